//! YAML: values are changed in place, whatever their style; new keys get lines of their own.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use self::text::{Context, Yaml};
use super::align::{Step, align};
use super::brackets::Brackets;
use super::meant::{Meant, New, State, Wish};
use super::work::Work;
use crate::tree::{Content, Member, NodeId, Scalar, Tree};
use crate::{Limits, yaml};

mod block;
mod gap;
mod text;

pub(super) fn plan(work: &mut Work, meant: &Meant, limits: &Limits) {
    let tree = yaml::tree(work.text, limits);
    let notation = Yaml { quote: quote_of(work.text, &tree) };
    let plan = Plan { tree: &tree, notation: &notation, meant };
    match tree.root {
        Some(root) => plan.map(work, root, &meant.wish),
        None => plan.fill_empty(work),
    }
}

/// The quote around the first quoted value.
fn quote_of(text: &str, tree: &Tree) -> char {
    let quoted = tree.nodes().iter().find_map(|node| match node.content {
        Content::Scalar(Scalar::Text(_)) => {
            text[node.span.start..].chars().next().filter(|c| matches!(c, '"' | '\''))
        }
        _ => None,
    });
    quoted.unwrap_or('\'')
}

struct Plan<'p, 'a> {
    tree: &'p Tree<'a>,
    notation: &'p Yaml,
    meant: &'p Meant<'p>,
}

impl Plan<'_, '_> {
    /// Makes the changes below `wish` in the map `id`.
    fn map(&self, work: &mut Work, id: NodeId, wish: &Wish) {
        let node = self.tree.get(id);
        let Content::Map(members) = &node.content else { return };
        let own = members.iter().enumerate().filter(|(_, it)| !it.merge);
        let by_name: HashMap<&str, usize> = own.map(|(at, it)| (&*it.name, at)).collect();
        let merge = members.iter().find(|it| it.merge);
        let mut removed = Vec::new();
        let mut added = Vec::new();
        for child in &wish.below {
            work.current = child.edit;
            match by_name.get(child.name.as_str()) {
                Some(at) => self.member(work, id, &members[*at], child, || removed.push(*at)),
                None => match (&child.state, merge) {
                    (State::Gone, merge) => {
                        let at = merge.map_or(node.span.start, |it| it.name_span.start);
                        let line = work.place(at).line;
                        let reason = format!(
                            "the merge key on line {line} brings it; take it out of the map there"
                        );
                        work.refuse(at, reason);
                    }
                    (State::Map, Some(merge)) if self.meant.was_map(&child.path) => {
                        let at = merge.name_span.start;
                        let line = work.place(at).line;
                        let reason = format!(
                            "the merge key on line {line} brings `{}`: changing it here would \
                             change it there too",
                            child.path
                        );
                        work.refuse(at, reason);
                    }
                    _ => added.extend(child.new_value().map(|new| (child, new))),
                },
            }
        }
        if removed.is_empty() && added.is_empty() {
            return;
        }
        if self.is_flow(work, id) {
            return self.rework_flow(work, id, members, &removed, &added, wish);
        }
        for (at, edit) in removed.iter().map(|at| (*at, self.edit_of(wish, members, *at))) {
            work.current = edit;
            self.remove_member(work, &members[at]);
        }
        for (child, new) in &added {
            work.current = child.edit;
            self.add_member(work, id, members, &child.name, new);
        }
    }

    fn edit_of(&self, wish: &Wish, members: &[Member], at: usize) -> usize {
        let child = wish.below.iter().find(|it| it.name == members[at].name);
        child.map_or(wish.edit, |it| it.edit)
    }

    /// Changes a key that the map has itself.
    fn member(
        &self,
        work: &mut Work,
        map: NodeId,
        member: &Member,
        wish: &Wish,
        remove: impl FnOnce(),
    ) {
        let node = self.tree.get(member.value);
        let context = if self.is_flow(work, map) { Context::Flow } else { Context::Block };
        match &wish.state {
            State::Gone => remove(),
            State::Leaf { new, old } => {
                let old = old.as_ref().map(|it| &it.json);
                let Some(from) = gap::colon(work.text, member.name_span.end) else {
                    return self.without_colon(work, member, &new.json, context);
                };
                self.change(work, from, member.value, old, &new.json, context);
            }
            State::Map => match &node.content {
                Content::Alias(target) if self.meant.was_map(&wish.path) => {
                    let target = self.tree.get(*target).span.start;
                    let name = work.text[node.span.start..node.span.end].trim_start_matches('*');
                    let line = work.place(target).line;
                    let reason = format!(
                        "`{}` is an alias of &{name}, line {line}: changing it here would change \
                         it there too",
                        wish.path
                    );
                    work.refuse(node.span.start, reason);
                }
                Content::Map(members) if !members.is_empty() => {
                    self.map(work, member.value, wish);
                }
                _ => self.make_map(work, member, wish, context),
            },
        }
    }

    /// A key in brackets, or one that is explicit, without a value.
    fn without_colon(&self, work: &mut Work, member: &Member, new: &Value, context: Context) {
        let span = self.tree.get(member.value).span;
        if context == Context::Flow && span.start == span.end {
            let text = self.notation.value(new, context);
            return work.insert(member.name_span.end, format!(": {text}"));
        }
        if span.start < span.end
            && matches!(self.tree.get(member.value).content, Content::Scalar(_))
        {
            let old = &work.text[span.start..span.end];
            if !self.tree.is_block_scalar(member.value) {
                let text = self.notation.restyled(old, new, context);
                return work.replace(span.start..span.end, text);
            }
        }
        work.refuse(member.name_span.start, "it is an explicit key (`? key`); change it by hand");
    }

    /// Changes the value that stands somewhere after `from`.
    fn change(
        &self,
        work: &mut Work,
        from: usize,
        id: NodeId,
        old: Option<&Value>,
        new: &Value,
        context: Context,
    ) {
        if old == Some(new) && !new.is_f64() {
            return;
        }
        let node = self.tree.get(id);
        let span = node.span.start..node.span.end;
        match (&node.content, old, new) {
            (Content::Alias(_), ..) => work.replace(span, self.notation.value(new, context)),
            (Content::Scalar(_) | Content::Nothing, ..) => {
                self.scalar(work, from, id, new, context);
            }
            (Content::List(items), Some(Value::Array(olds)), Value::Array(news))
                if !items.is_empty() && !news.is_empty() && items.len() == olds.len() =>
            {
                let steps = align(olds, news);
                if self.is_flow(work, id) {
                    self.flow_list(work, id, items, (olds, news), steps);
                } else {
                    self.block_list(work, from, items, (olds, news), steps);
                }
            }
            (Content::Map(members), Some(Value::Object(olds)), Value::Object(news))
                if olds.len() == news.len()
                    && members.len() == news.len()
                    && members.iter().all(|it| !it.merge && news.contains_key(&*it.name)) =>
            {
                let context = if self.is_flow(work, id) { Context::Flow } else { context };
                for member in members {
                    let Some(from) = gap::colon(work.text, member.name_span.end) else {
                        work.refuse(member.name_span.start, "it is an explicit key (`? key`)");
                        continue;
                    };
                    let (old, new) = (&olds[&*member.name], &news[&*member.name]);
                    self.change(work, from, member.value, Some(old), new, context);
                }
            }
            _ if self.is_flow(work, id) => {
                self.drop_tag(work, from, span.start);
                work.replace(span, self.notation.value(new, context));
            }
            _ => self.collapse(work, from, id, &self.notation.value(new, Context::Block)),
        }
    }

    fn scalar(&self, work: &mut Work, from: usize, id: NodeId, new: &Value, context: Context) {
        let node = self.tree.get(id);
        let span = node.span.start..node.span.end;
        if span.is_empty() && !self.tree.is_block_scalar(id) {
            let gap = gap::read(work.text, from, work.content_end(from).max(span.start));
            // The gap of a value that is not written may run into what follows.
            let end = if gap.end <= work.content_end(from) { gap.end } else { from };
            return work.insert(end, format!(" {}", self.notation.value(new, context)));
        }
        let gap = gap::read(work.text, from, span.start);
        if self.tree.is_block_scalar(id) {
            return self.block_scalar(work, id, &gap, new);
        }
        let is_text = matches!(node.content, Content::Scalar(Scalar::Text(_)));
        if !(is_text && new.is_string()) {
            self.drop_tag(work, from, span.start);
        }
        let text = self.notation.restyled(&work.text[span.clone()], new, context);
        work.replace(span, text);
    }

    fn drop_tag(&self, work: &mut Work, from: usize, to: usize) {
        if let Some(tag) = gap::read(work.text, from, to).tag {
            work.delete(tag);
        }
    }

    fn flow_list(
        &self,
        work: &mut Work,
        id: NodeId,
        items: &[NodeId],
        (olds, news): (&[Value], &[Value]),
        steps: Vec<Step>,
    ) {
        let span = self.tree.get(id).span;
        let mut removed = HashSet::new();
        let mut added = Vec::new();
        for step in steps {
            match step {
                Step::Replace { old, new } => {
                    let item = self.tree.get(items[old]).span;
                    let (old, id) = (&olds[old], items[old]);
                    self.change(work, item.start, id, Some(old), &news[new], Context::Flow);
                }
                Step::Remove { old } => _ = removed.insert(old),
                Step::Insert { before, new } => {
                    added.push((before, self.notation.value(&news[new], Context::Flow)));
                }
            }
        }
        if removed.is_empty() && added.is_empty() {
            return;
        }
        let ends: Vec<usize> = items.iter().map(|it| self.tree.get(*it).span.end).collect();
        Brackets::new(work.text, span.start..span.end, &ends, self.notation)
            .rework(work, &removed, &added);
    }

    fn rework_flow(
        &self,
        work: &mut Work,
        id: NodeId,
        members: &[Member],
        removed: &[usize],
        added: &[(&Wish, New)],
        wish: &Wish,
    ) {
        let span = self.tree.get(id).span;
        work.current = match (added.first(), removed.first()) {
            (Some((child, _)), _) => child.edit,
            (None, Some(at)) => self.edit_of(wish, members, *at),
            (None, None) => wish.edit,
        };
        let sibling = members.last().map_or("", |it| &work.text[it.name_span.start..]);
        let json_like = members.last().is_some_and(|it| {
            gap::colon(work.text, it.name_span.end)
                .is_some_and(|at| !work.text[at..].starts_with(char::is_whitespace))
        });
        let texts: Vec<(usize, String)> = added
            .iter()
            .map(|(child, new)| {
                let name = self.notation.name_like(sibling, &child.name, Context::Flow);
                let colon = if json_like && name.ends_with('"') { ":" } else { ": " };
                (usize::MAX, format!("{name}{colon}{}", self.flow_text(new)))
            })
            .collect();
        let ends: Vec<usize> = members
            .iter()
            .map(|it| {
                let end = self.tree.get(it.value).span.end;
                gap::colon(work.text, it.name_span.end).unwrap_or(it.name_span.end).max(end)
            })
            .collect();
        let removed = removed.iter().copied().collect();
        Brackets::new(work.text, span.start..span.end, &ends, self.notation)
            .rework(work, &removed, &texts);
    }

    fn flow_text(&self, new: &New) -> String {
        match new {
            New::Leaf(value) => self.notation.value(&value.json, Context::Flow),
            New::Map(members) => {
                let members = members.iter().map(|(name, value)| {
                    let name = self.notation.name_like("", name, Context::Flow);
                    format!("{name}: {}", self.flow_text(value))
                });
                format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// Whether a map or list stands in brackets.
    fn is_flow(&self, work: &Work, id: NodeId) -> bool {
        let node = self.tree.get(id);
        let text = &work.text[node.span.start..node.span.end];
        match &node.content {
            // A block map may begin with a key in brackets only if it is explicit.
            Content::Map(_) => text.starts_with('{'),
            Content::List(items) => {
                text.starts_with('[')
                    && items
                        .first()
                        .is_none_or(|it| self.tree.get(*it).span.start > node.span.start)
            }
            _ => false,
        }
    }
}
