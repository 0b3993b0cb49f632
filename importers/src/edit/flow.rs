//! Lists and maps in brackets, which JSON, TOML and YAML's flow style have in common.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::align::{Step, align};
use super::brackets::Brackets;
use super::meant::{Meant, New, State, Wish};
use super::work::Work;
use crate::TypedValue;
use crate::tree::{Content, Member, NodeId, Tree};

/// How a format writes what stands in brackets.
pub(super) trait Notation {
    /// What stands between a name and its value.
    fn colon(&self) -> &'static str;

    /// Where the comment that starts at `at` ends, if one does.
    fn comment_end(&self, text: &str, at: usize) -> Option<usize>;

    fn name(&self, name: &str) -> String;

    /// The value on one line; `dates` if texts are to be dates.
    ///
    /// # Errors
    ///
    /// Why the format cannot hold it.
    fn inline(&self, value: &Value, dates: bool) -> Result<String, String>;

    /// The value in the place of `old`, in its style if that can be.
    ///
    /// # Errors
    ///
    /// Why the format cannot hold it.
    fn restyled(&self, _old: &str, value: &Value, dates: bool) -> Result<String, String> {
        self.inline(value, dates)
    }
}

/// A document, or the part of one, that is all in brackets.
pub(super) struct Flow<'f, 'a> {
    pub tree: &'f Tree<'a>,
    pub notation: &'f dyn Notation,
    pub meant: &'f Meant<'f>,
}

impl Flow<'_, '_> {
    /// Makes the changes below `wish` in the map `id`.
    pub fn map(&self, work: &mut Work, id: NodeId, wish: &Wish) {
        let Content::Map(members) = &self.tree.get(id).content else { return };
        let span = self.tree.get(id).span;
        let by_name: HashMap<&str, usize> =
            members.iter().enumerate().map(|(at, it)| (&*it.name, at)).collect();
        let mut removed = HashSet::new();
        let mut added = Vec::new();
        let mut structural = wish.edit;
        for child in &wish.below {
            work.current = child.edit;
            let Some(at) = by_name.get(child.name.as_str()) else {
                added.extend(child.new_value().map(|new| (child, new)));
                continue;
            };
            let member = &members[*at];
            match &child.state {
                State::Leaf { new, old } => self.set(work, member.value, old.as_ref(), new),
                State::Gone => {
                    structural = child.edit;
                    removed.insert(*at);
                }
                State::Map if self.meant.was_map(&child.path) => {
                    self.map(work, member.value, child);
                }
                State::Map => {
                    let at = self.tree.get(member.value).span;
                    match self.new_text(work, &child.new_map(), self.layout(work, id, members)) {
                        Ok(text) => work.replace(at.start..at.end, text),
                        Err(reason) => work.refuse(at.start, reason),
                    }
                }
            }
        }
        if removed.is_empty() && added.is_empty() {
            return;
        }
        work.current = added.first().map_or(structural, |(child, _)| child.edit);
        let spread = |member: &Member| self.is_spread(work, member.value);
        if self.is_spread(work, id) || members.iter().any(spread) {
            return work.refuse(span.start, SPREAD);
        }
        let layout = self.layout(work, id, members);
        let colon = self.colon(work, members);
        let mut texts = Vec::with_capacity(added.len());
        for (child, new) in &added {
            work.current = child.edit;
            match self.new_text(work, new, layout.clone()) {
                Ok(text) => {
                    let name = self.notation.name(&child.name);
                    texts.push((usize::MAX, format!("{name}{colon}{text}")));
                }
                Err(reason) => work.refuse(span.start, reason),
            }
        }
        let ends: Vec<usize> = members.iter().map(|it| self.tree.get(it.value).span.end).collect();
        if members.is_empty() && !texts.is_empty() {
            let inner = span.start + 1..span.end - 1;
            if work.text[inner.clone()].trim().is_empty() {
                let (indent, step) = layout.unwrap_or_default();
                let texts: Vec<String> = texts.into_iter().map(|it| it.1).collect();
                return work.replace(inner, filled(&texts, &indent, &step, work.line_break()));
            }
        }
        Brackets::new(work.text, span.start..span.end, &ends, self.notation)
            .rework(work, &removed, &texts);
    }

    /// Makes the changes below `wish` in a map, or makes a map of the value `id`.
    pub fn table(&self, work: &mut Work, id: NodeId, wish: &Wish) {
        let node = self.tree.get(id);
        if matches!(node.content, Content::Map(_)) {
            return self.map(work, id, wish);
        }
        match self.new_text(work, &wish.new_map(), None) {
            Ok(text) => work.replace(node.span.start..node.span.end, text),
            Err(reason) => work.refuse(node.span.start, reason),
        }
    }

    /// Changes one value where it stands.
    pub fn set(&self, work: &mut Work, id: NodeId, old: Option<&TypedValue>, new: &TypedValue) {
        let dates = new.format.is_some();
        let old = old.filter(|it| it.format == new.format).map(|it| &it.json);
        self.change(work, id, old, &new.json, dates);
    }

    pub fn change(
        &self,
        work: &mut Work,
        id: NodeId,
        old: Option<&Value>,
        new: &Value,
        dates: bool,
    ) {
        if old == Some(new) && !new.is_f64() {
            return;
        }
        let node = self.tree.get(id);
        match (&node.content, old, new) {
            (Content::List(items), Some(Value::Array(old)), Value::Array(new))
                if !new.is_empty() && !items.is_empty() =>
            {
                let mut removed = HashSet::new();
                let mut added = Vec::new();
                for step in align(old, new) {
                    match step {
                        Step::Replace { old: at, new: to } => {
                            self.change(work, items[at], Some(&old[at]), &new[to], dates);
                        }
                        Step::Remove { old } => _ = removed.insert(old),
                        Step::Insert { before, new: at } => {
                            match self.notation.inline(&new[at], dates) {
                                Ok(text) => added.push((before, text)),
                                Err(reason) => work.refuse(node.span.start, reason),
                            }
                        }
                    }
                }
                if !(removed.is_empty() && added.is_empty()) {
                    if items.iter().any(|it| self.is_spread(work, *it)) {
                        return work.refuse(node.span.start, SPREAD);
                    }
                    let ends: Vec<usize> =
                        items.iter().map(|it| self.tree.get(*it).span.end).collect();
                    let span = node.span.start..node.span.end;
                    Brackets::new(work.text, span, &ends, self.notation)
                        .rework(work, &removed, &added);
                }
            }
            (Content::Map(members), Some(Value::Object(old)), Value::Object(new))
                if old.len() == new.len()
                    && members.len() == new.len()
                    && members.iter().all(|it| new.contains_key(&*it.name)) =>
            {
                for member in members {
                    let (old, new) = (&old[&*member.name], &new[&*member.name]);
                    self.change(work, member.value, Some(old), new, dates);
                }
            }
            _ if self.is_spread(work, id) => work.refuse(node.span.start, SPREAD),
            _ => {
                let span = node.span.start..node.span.end;
                match self.notation.restyled(&work.text[span.clone()], new, dates) {
                    Ok(text) => work.replace(span, text),
                    Err(reason) => work.refuse(span.start, reason),
                }
            }
        }
    }

    /// Whether a map or list is written in lines of its own and not between brackets.
    fn is_spread(&self, work: &Work, id: NodeId) -> bool {
        let node = self.tree.get(id);
        let text = &work.text[node.span.start..node.span.end];
        match &node.content {
            Content::Map(_) => !text.starts_with('{'),
            Content::List(items) => {
                text.starts_with("[[")
                    && items.iter().any(|it| {
                        matches!(self.tree.get(*it).content, Content::Map(_))
                            && self.is_spread(work, *it)
                    })
            }
            _ => false,
        }
    }

    /// What stands between the names and values of these members.
    fn colon(&self, work: &Work, members: &[Member]) -> String {
        // The value of a table with a header stands before its name.
        let between =
            |it: &Member| work.text.get(it.name_span.end..self.tree.get(it.value).span.start);
        let seen = members.last().and_then(between);
        let usual = self.notation.colon();
        let minified = || {
            let outer = self.tree.nodes().iter().find_map(|it| match &it.content {
                Content::Map(members) => members.first(),
                _ => None,
            })?;
            between(outer).filter(|it| it.trim() == usual.trim())
        };
        seen.filter(|it| it.trim() == usual.trim() && !it.contains('\n'))
            .or_else(minified)
            .unwrap_or(usual)
            .to_owned()
    }

    /// The indentation of the lines in a map and one step of it, if it has a line for each key.
    fn layout(&self, work: &Work, id: NodeId, members: &[Member]) -> Option<(String, String)> {
        let open = self.tree.get(id).span.start;
        let outer = &work.text[work.line_start(open)..open];
        let outer = &outer[..outer.len() - outer.trim_start_matches([' ', '\t']).len()];
        let Some(last) = members.last() else {
            let root = self.tree.root?;
            let Content::Map(members) = &self.tree.get(root).content else { return None };
            let step = work.indent_before(members.first()?.name_span.start)?;
            let own_line = work.line_start(members.first()?.name_span.start) > 0;
            return (own_line && root != id).then(|| (format!("{outer}{step}"), step.to_owned()));
        };
        let indent = work.indent_before(last.name_span.start)?;
        if work.line_start(last.name_span.start) <= open {
            return None;
        }
        let step = indent.strip_prefix(outer).filter(|it| !it.is_empty()).unwrap_or("  ");
        Some((indent.to_owned(), step.to_owned()))
    }

    /// A new value; a map in one line, or in lines of its own below that indentation.
    fn new_text(
        &self,
        work: &Work,
        new: &New,
        layout: Option<(String, String)>,
    ) -> Result<String, String> {
        let members = match new {
            New::Leaf(value) => return self.notation.inline(&value.json, value.format.is_some()),
            New::Map(members) => members,
        };
        let layout = layout.map(|(indent, step)| (format!("{indent}{step}"), step));
        let mut texts = Vec::with_capacity(members.len());
        let colon = match self.tree.root.map(|root| &self.tree.get(root).content) {
            Some(Content::Map(members)) => self.colon(work, members),
            _ => self.notation.colon().to_owned(),
        };
        for (name, value) in members {
            let value = self.new_text(work, value, layout.clone())?;
            texts.push(format!("{}{colon}{value}", self.notation.name(name)));
        }
        let (indent, step) = layout.unwrap_or_default();
        Ok(format!("{{{}}}", filled(&texts, &indent, &step, work.line_break())))
    }
}

const SPREAD: &str = "this table is spread over dotted keys or headers; its keys cannot be moved";

/// What stands between the brackets of a new map.
fn filled(texts: &[String], indent: &str, step: &str, line_break: &str) -> String {
    if indent.is_empty() {
        return texts.join(", ");
    }
    let outer = indent.strip_suffix(step).unwrap_or_default();
    let lines = texts.join(&format!(",{line_break}{indent}"));
    format!("{line_break}{indent}{lines}{line_break}{outer}")
}
