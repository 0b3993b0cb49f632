//! Block style: lines that come, go and are written anew.

use serde_json::Value;

use super::gap::{self, Gap};
use super::text::{self, Context};
use super::{Plan, Step};
use crate::edit::meant::{New, Wish};
use crate::edit::work::Work;
use crate::tree::{Content, Member, NodeId};

impl Plan<'_, '_> {
    pub(super) fn remove_member(&self, work: &mut Work, member: &Member) {
        let start = work.line_start(member.name_span.start);
        let end = self.lines_end(work, self.member_end(work, member));
        if work.text[start..member.name_span.start].contains(['?', '-']) {
            let reason = "it is an explicit key (`? key`) or shares its line; take it out by hand";
            return work.refuse(member.name_span.start, reason);
        }
        work.delete_lines(start..end);
    }

    pub(super) fn add_member(
        &self,
        work: &mut Work,
        map: NodeId,
        members: &[Member],
        name: &str,
        new: &New,
    ) {
        let Some(last) = members.last() else {
            let at = self.tree.get(map).span.start;
            return work.refuse(at, "there is no key here to put it after");
        };
        let indent = " ".repeat(self.column(work, &members[0]));
        let sibling = &work.text[last.name_span.start..];
        let name = self.notation.name_like(sibling, name, Context::Block);
        let mut lines = String::new();
        self.write_member(&mut lines, work, &indent, &name, new);
        let at = self.lines_end(work, self.member_end(work, last));
        work.insert_lines(at, &lines);
    }

    /// Puts keys into a file that has none.
    pub(super) fn fill_empty(&self, work: &mut Work) {
        let mut lines = String::new();
        if let New::Map(members) = self.meant.wish.new_map() {
            for (name, new) in &members {
                let name = self.notation.name_like("", name, Context::Block);
                self.write_member(&mut lines, work, "", &name, new);
            }
        }
        let end = work.text.rfind("\n...").map(|at| at + 1);
        let end = end.or_else(|| work.text.starts_with("...").then_some(0));
        work.current = self.meant.wish.below.first().map_or(0, |it| it.edit);
        work.insert_lines(end.unwrap_or(work.text.len()), &lines);
    }

    /// Puts a map where a value was.
    pub(super) fn make_map(&self, work: &mut Work, member: &Member, wish: &Wish, context: Context) {
        let Some(from) = gap::colon(work.text, member.name_span.end) else {
            return work.refuse(member.name_span.start, "it is an explicit key (`? key`)");
        };
        let span = self.tree.get(member.value).span;
        if context == Context::Flow {
            let text = self.flow_text(&wish.new_map());
            return match span.start == span.end {
                true => work.insert(from, format!(" {text}")),
                false => work.replace(span.start..span.end, text),
            };
        }
        let column = self.column(work, member);
        let indent = " ".repeat(column + self.step(work));
        let mut lines = String::new();
        if let New::Map(members) = wish.new_map() {
            for (name, new) in &members {
                let name = self.notation.name_like("", name, Context::Block);
                self.write_member(&mut lines, work, &indent, &name, new);
            }
        }
        let end = self.lines_end(work, self.member_end(work, member));
        let lines_start = work.line_start(span.start);
        if lines_start > from {
            work.delete(lines_start..end);
        } else if span.start < span.end {
            let gap = gap::read(work.text, from, span.start);
            let header = gap.header.map_or(span.start, |it| it.start);
            let before = work.text[..header].trim_end_matches([' ', '\t']).len();
            work.delete(before..span.end);
        }
        work.insert_lines(end, &lines);
    }

    fn write_member(&self, out: &mut String, work: &Work, indent: &str, name: &str, new: &New) {
        let line_break = work.line_break();
        match new {
            New::Leaf(value) => {
                let value = self.notation.value(&value.json, Context::Block);
                out.push_str(&format!("{indent}{name}: {value}{line_break}"));
            }
            New::Map(members) => {
                out.push_str(&format!("{indent}{name}:{line_break}"));
                let indent = format!("{indent}{}", " ".repeat(self.step(work)));
                for (name, new) in members {
                    let name = self.notation.name_like("", name, Context::Block);
                    self.write_member(out, work, &indent, &name, new);
                }
            }
        }
    }

    /// How many columns a key is indented; an explicit one begins with its `?`.
    fn column(&self, work: &Work, member: &Member) -> usize {
        let name = member.name_span.start;
        let before = &work.text[work.line_start(name)..name];
        before.trim_end().strip_suffix('?').unwrap_or(before).chars().count()
    }

    /// By how many columns this file indents.
    fn step(&self, work: &Work) -> usize {
        let column = |at: usize| at - work.line_start(at);
        let inner = self.tree.nodes().iter().find_map(|node| {
            let Content::Map(members) = &node.content else { return None };
            members.iter().find_map(|member| {
                let Content::Map(inner) = &self.tree.get(member.value).content else { return None };
                let inner = inner.first()?.name_span.start;
                work.indent_before(inner)?;
                let step = column(inner).checked_sub(column(member.name_span.start))?;
                (step > 0 && !self.is_flow(work, member.value)).then_some(step)
            })
        });
        inner.unwrap_or(2)
    }

    /// Puts one line of text where a block was.
    pub(super) fn collapse(&self, work: &mut Work, from: usize, id: NodeId, text: &str) {
        let start = self.tree.get(id).span.start;
        let end = self.last_end(work, id);
        if work.line_start(start) < from {
            return work.replace(start..end, text);
        }
        let first_dash = match &self.tree.get(id).content {
            Content::List(_) => gap::dash(work.text, from, start).unwrap_or(start),
            _ => start,
        };
        let gap = gap::read(work.text, from, first_dash);
        work.insert(gap.end, format!(" {text}"));
        if let Some(tag) = gap.tag {
            work.delete(tag);
        }
        work.delete_lines(work.line_start(first_dash)..self.lines_end(work, end));
    }

    pub(super) fn block_scalar(&self, work: &mut Work, id: NodeId, gap: &Gap, new: &Value) {
        let span = self.tree.get(id).span;
        let Some(header) = gap.header.clone() else {
            return work.refuse(span.start, "the start of this text could not be found");
        };
        let old = work.text[header.clone()].to_owned();
        let lines_start = work.line_end(header.start);
        let lines_end = self.lines_end(work, self.last_end(work, id)).max(lines_start);
        let written = new.as_str().and_then(|text| text::block(&old, text));
        let Some((new_header, lines)) = written else {
            let value = self.notation.value(new, Context::Block);
            if let Some(tag) = gap.tag.clone().filter(|_| !new.is_string()) {
                work.delete(tag);
            }
            work.replace(header, value);
            return work.delete_lines(lines_start..lines_end);
        };
        let indent = &work.text[work.line_start(span.start)..span.start];
        let indent = &indent[..indent.len() - indent.trim_start_matches(' ').len()];
        let line_break = work.line_break();
        let line = |it: &String| match it.is_empty() {
            true => line_break.to_owned(),
            false => format!("{indent}{it}{line_break}"),
        };
        let mut text: String = lines.iter().map(line).collect();
        if !work.text[lines_start..lines_end].ends_with('\n') {
            text.truncate(text.len() - line_break.len());
        }
        work.replace(header, new_header);
        let (range, text) = changed_lines(&work.text[lines_start..lines_end], &text);
        work.replace(lines_start + range.start..lines_start + range.end, text);
    }

    pub(super) fn block_list(
        &self,
        work: &mut Work,
        from: usize,
        items: &[NodeId],
        (olds, news): (&[Value], &[Value]),
        steps: Vec<Step>,
    ) {
        let mut at = from;
        let mut dashes = Vec::with_capacity(items.len());
        for item in items {
            let start = self.tree.get(*item).span.start;
            let Some(dash) = gap::dash(work.text, at, start.max(at)) else {
                return work.refuse(start, "the dash of this item could not be found");
            };
            dashes.push(dash);
            at = self.last_end(work, *item).max(dash + 1);
        }
        let ends: Vec<usize> = items
            .iter()
            .zip(&dashes)
            .map(|(item, dash)| self.last_end(work, *item).max(dash + 1))
            .collect();
        for step in steps {
            match step {
                Step::Replace { old, new } => {
                    let (from, id) = (dashes[old] + 1, items[old]);
                    self.change(work, from, id, Some(&olds[old]), &news[new], Context::Block);
                }
                Step::Remove { old } => {
                    if work.indent_before(dashes[old]).is_none() {
                        work.refuse(dashes[old], "this item shares its line; change it by hand");
                        continue;
                    }
                    let start = work.line_start(dashes[old]);
                    work.delete_lines(start..self.lines_end(work, ends[old]));
                }
                Step::Insert { before, new } => {
                    let like = before.min(items.len() - 1);
                    let column = dashes[like] - work.line_start(dashes[like]);
                    let value = self.notation.value(&news[new], Context::Block);
                    let indent = " ".repeat(column);
                    let line = format!("{indent}- {value}{}", work.line_break());
                    match dashes.get(before) {
                        Some(dash) if work.indent_before(*dash).is_some() => {
                            work.insert(work.line_start(*dash), line);
                        }
                        Some(dash) => work.refuse(*dash, "this item shares its line"),
                        None => {
                            let at = self.lines_end(work, ends[ends.len() - 1]);
                            work.insert_lines(at, &line);
                        }
                    }
                }
            }
        }
    }

    fn member_end(&self, work: &Work, member: &Member) -> usize {
        self.last_end(work, member.value).max(member.name_span.end)
    }

    /// Where the last thing that is written of a node ends.
    fn last_end(&self, work: &Work, id: NodeId) -> usize {
        let node = self.tree.get(id);
        match &node.content {
            _ if self.is_flow(work, id) => node.span.end,
            Content::Map(members) => {
                members.last().map_or(node.span.end, |it| self.member_end(work, it))
            }
            Content::List(items) => {
                items.last().map_or(node.span.end, |it| self.last_end(work, *it))
            }
            _ if self.tree.is_block_scalar(id) => {
                let text = &work.text[..node.span.end];
                let header = text[..node.span.start].trim_end();
                let header = &header[work.line_start(header.len())..];
                let keeps = header
                    .split_whitespace()
                    .any(|word| word.starts_with(['|', '>']) && word.contains('+'));
                if keeps { node.span.end } else { text.trim_end().len().max(node.span.start) }
            }
            _ => node.span.end,
        }
    }

    /// The start of the line after what ends at `end`.
    fn lines_end(&self, work: &Work, end: usize) -> usize {
        if work.text[..end].ends_with('\n') { end } else { work.line_end(end) }
    }
}

/// The part of `old` that differs from `new`, in whole lines, and what is to be there.
fn changed_lines<'t>(old: &str, new: &'t str) -> (std::ops::Range<usize>, &'t str) {
    let same = |(a, b): &(&str, &str)| a == b;
    let pairs = old.split_inclusive('\n').zip(new.split_inclusive('\n'));
    let head: usize = pairs.take_while(same).map(|(line, _)| line.len()).sum();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let pairs = old_rest.split_inclusive('\n').rev().zip(new_rest.split_inclusive('\n').rev());
    let tail: usize = pairs.take_while(same).map(|(line, _)| line.len()).sum();
    (head..old.len() - tail, &new[head..new.len() - tail])
}
