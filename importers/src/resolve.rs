//! From a [`Tree`] to settings: what all formats have in common is decided here, once.
//!
//! Merge keys, aliases, duplicate keys, limits, the building of keys, and what a leaf is: a
//! scalar, an array, or an empty map.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::key::Key;
use crate::place::{Lines, Span};
use crate::tree::{Content, Member, NodeId, Scalar, Tree};
use crate::value::TypedValue;
use crate::written::Written;
use crate::{Entry, Limits, Reading};

const MERGE_WANTS_MAPS: &str = "a merge key takes a map, or a list of maps";
const DATE_INSIDE: &str =
    "a date among other values, or inside a map or list in an array; quote it to store it as text";

/// Adds every setting of `tree`, in its order, and every fault that is not one of syntax.
pub(crate) fn into(reading: &mut Reading, tree: &Tree, lines: &Lines, limits: &Limits) {
    find_duplicates(reading, tree, lines);
    reading.written = Written::of(tree);
    let Some(root) = tree.root else { return };
    let mut walk = Walk { tree, lines, limits, reading, spent: 0, bomb: false };
    let node = tree.get(root);
    match &node.content {
        Content::Map(_) => walk.map(root, None, Via::default()),
        Content::Nothing => {}
        Content::List(_) => walk.fault(node.span, top_level("a list")),
        Content::Scalar(_) | Content::Alias(_) => walk.fault(node.span, top_level("one value")),
    }
}

/// The JSON of one node of a tree without faults.
///
/// # Errors
///
/// What the first fault is.
pub(crate) fn value(tree: &Tree, limits: &Limits, node: NodeId) -> Result<Value, String> {
    let mut reading = Reading::default();
    find_duplicates(&mut reading, tree, &Lines::new(""));
    let lines = &Lines::new("");
    let mut walk = Walk { tree, lines, limits, reading: &mut reading, spent: 0, bomb: false };
    let value = walk.json(node, Via::default());
    match reading.faults.into_iter().next() {
        Some(fault) => Err(fault.message),
        None => value.ok_or_else(|| "no value".to_owned()),
    }
}

fn top_level(found: &str) -> String {
    format!("the top level is {found}; settings need a map of keys to values")
}

fn find_duplicates(reading: &mut Reading, tree: &Tree, lines: &Lines) {
    // A quoted `<<` is an ordinary key, so it does not clash with the merge key.
    let mut seen: HashMap<(bool, &str), Span> = HashMap::new();
    for node in tree.nodes() {
        let Content::Map(members) = &node.content else { continue };
        seen.clear();
        for member in members {
            let name = (member.merge, &*member.name);
            let Some(first) = seen.get(&name) else {
                seen.insert(name, member.name_span);
                continue;
            };
            let line = lines.place(first.start).line;
            let message = if member.merge {
                format!("a second merge key, after line {line}; give one merge key a list")
            } else {
                format!("this key is already set on line {line}; keep one of the two")
            };
            reading.faults.push(Fault::relative(member.name_span, message));
        }
    }
}

/// How the walk came to a node.
#[derive(Clone, Copy, Default)]
struct Via {
    /// Maps and lists around it.
    depth: usize,
    /// The outermost alias or merge key it was reached through.
    alias: Option<Span>,
}

impl Via {
    fn below(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

/// One key of a map whose merge keys are resolved.
#[derive(Clone, Copy)]
struct Item<'t> {
    name: &'t str,
    name_span: Span,
    value: NodeId,
    alias: Option<Span>,
}

struct Walk<'t, 'a, 'r> {
    tree: &'t Tree<'a>,
    lines: &'t Lines<'t>,
    limits: &'t Limits,
    reading: &'r mut Reading,
    /// Nodes made by aliases and merge keys so far.
    spent: usize,
    /// Whether they were too many: nothing is expanded any more.
    bomb: bool,
}

impl<'t> Walk<'t, '_, '_> {
    fn map(&mut self, id: NodeId, parent: Option<&Key>, via: Via) {
        for item in self.items(id, via, 0) {
            let key = match parent {
                Some(parent) => parent.child(item.name),
                None => Key::from_segments([item.name]),
            };
            let key = match key {
                Ok(key) => key,
                Err(error) => {
                    self.fault(item.name_span, error.to_string());
                    continue;
                }
            };
            let via = Via { alias: via.alias.or(item.alias), ..via.below() };
            let Some((id, via)) = self.enter(item.value, via) else { continue };
            match &self.tree.get(id).content {
                Content::Map(members) if !members.is_empty() => self.map(id, Some(&key), via),
                _ => self.leaf(id, key, via),
            }
        }
    }

    fn leaf(&mut self, id: NodeId, key: Key, via: Via) {
        let node = self.tree.get(id);
        let value = match &node.content {
            Content::Scalar(Scalar::Date(text, format)) => {
                Some(TypedValue { json: Value::from(text.as_str()), format: Some(*format) })
            }
            Content::List(items) => self.dates(items).or_else(|| {
                let items = self.list(items, via)?;
                Some(TypedValue::from(Value::Array(items)))
            }),
            _ => self.json_of(id, via).map(TypedValue::from),
        };
        if let Some(value) = value {
            let place = self.lines.place(node.span.start);
            self.reading.entries.push(Entry { key, value, place, span: node.span });
        }
    }

    /// The value of a list whose every item is a date of one kind.
    fn dates(&self, items: &[NodeId]) -> Option<TypedValue> {
        let date = |id: &NodeId| match &self.tree.get(*id).content {
            Content::Scalar(Scalar::Date(text, format)) => Some((text.as_str(), *format)),
            _ => None,
        };
        let (_, format) = items.first().and_then(date)?;
        let texts = items.iter().map(|id| {
            let (text, own) = date(id)?;
            (own == format).then(|| Value::from(text))
        });
        Some(TypedValue { json: texts.collect::<Option<_>>()?, format: Some(format) })
    }

    /// The JSON of a node that came from anywhere; `None` if it has a fault.
    fn json(&mut self, id: NodeId, via: Via) -> Option<Value> {
        let (id, via) = self.enter(id, via)?;
        self.json_of(id, via)
    }

    fn json_of(&mut self, id: NodeId, via: Via) -> Option<Value> {
        let node = self.tree.get(id);
        match &node.content {
            Content::Scalar(Scalar::Null) => Some(Value::Null),
            Content::Scalar(Scalar::Boolean(flag)) => Some(Value::from(*flag)),
            Content::Scalar(Scalar::Number(number)) => Some(Value::Number(number.clone())),
            Content::Scalar(Scalar::Text(text)) => Some(Value::from(text.as_ref())),
            Content::Scalar(Scalar::Date(..)) => {
                self.fault(node.span, DATE_INSIDE);
                None
            }
            Content::List(items) => self.list(items, via).map(Value::Array),
            Content::Map(_) => {
                let mut map = Map::new();
                let mut whole = true;
                for item in self.items(id, via, 0) {
                    let via = Via { alias: via.alias.or(item.alias), ..via.below() };
                    match self.json(item.value, via) {
                        Some(value) => _ = map.insert(item.name.to_owned(), value),
                        None => whole = false,
                    }
                }
                whole.then_some(Value::Object(map))
            }
            Content::Alias(_) | Content::Nothing => None,
        }
    }

    /// The items, all of which are visited even if one has a fault.
    fn list(&mut self, items: &[NodeId], via: Via) -> Option<Vec<Value>> {
        let values: Vec<Option<Value>> =
            items.iter().map(|item| self.json(*item, via.below())).collect();
        values.into_iter().collect()
    }

    /// Follows an alias, and pays for what is made through one.
    fn enter(&mut self, id: NodeId, via: Via) -> Option<(NodeId, Via)> {
        let node = self.tree.get(id);
        let (id, via) = match node.content {
            Content::Alias(target) => (target, Via { alias: via.alias.or(Some(node.span)), ..via }),
            _ => (id, via),
        };
        let content = &self.tree.get(id).content;
        let Some(alias) = via.alias else { return Some((id, via)) };
        let cost = match content {
            Content::Scalar(Scalar::Text(text)) => 1 + text.len() / 64,
            _ => 1,
        };
        if matches!(content, Content::List(_) | Content::Map(_)) && via.depth >= self.limits.depth {
            self.fault(alias, too_deep(self.limits));
            return None;
        }
        self.spend(cost, alias).then_some((id, via))
    }

    /// The keys of a map: its own, and where a merge key stands those that it brings.
    fn items(&mut self, id: NodeId, via: Via, merges: usize) -> Vec<Item<'t>> {
        let tree = self.tree;
        let Content::Map(members) = &tree.get(id).content else { return Vec::new() };
        let item = |member: &'t Member| Item {
            name: &member.name,
            name_span: member.name_span,
            value: member.value,
            alias: None,
        };
        if !members.iter().any(|member| member.merge) {
            return members.iter().map(item).collect();
        }
        let own = members.iter().filter(|member| !member.merge);
        let mut seen: HashSet<&str> = own.map(|member| &*member.name).collect();
        let mut items = Vec::with_capacity(members.len());
        for member in members {
            if !member.merge {
                items.push(item(member));
                continue;
            }
            let alias = via.alias.unwrap_or(member.name_span);
            for source in self.merge_sources(member.value) {
                if merges >= self.limits.depth {
                    self.fault(member.name_span, too_deep(self.limits));
                    break;
                }
                if !self.spend(1, alias) {
                    return items;
                }
                let through = Via { alias: Some(alias), ..via };
                for brought in self.items(source, through, merges + 1) {
                    if !self.spend(1, alias) {
                        return items;
                    }
                    if seen.insert(brought.name) {
                        items.push(Item { alias: Some(alias), ..brought });
                    }
                }
            }
        }
        items
    }

    /// The maps that a merge key names.
    fn merge_sources(&mut self, id: NodeId) -> Vec<NodeId> {
        let tree = self.tree;
        let target = |id: NodeId| match tree.get(id).content {
            Content::Alias(target) => target,
            _ => id,
        };
        let sources = match &tree.get(target(id)).content {
            Content::List(items) => items.as_slice(),
            _ => &[id],
        };
        let mut maps = Vec::with_capacity(sources.len());
        for source in sources {
            match tree.get(target(*source)).content {
                Content::Map(_) => maps.push(target(*source)),
                Content::Nothing => {}
                _ => self
                    .reading
                    .faults
                    .push(Fault::relative(tree.get(*source).span, MERGE_WANTS_MAPS)),
            }
        }
        maps
    }

    /// Whether `cost` more nodes may be made through aliases.
    fn spend(&mut self, cost: usize, alias: Span) -> bool {
        if self.bomb {
            return false;
        }
        self.spent += cost;
        self.bomb = self.spent > self.limits.alias_nodes;
        if self.bomb {
            let limit = self.limits.alias_nodes;
            self.fault(alias, format!("aliases and merge keys make more than {limit} values"));
        }
        !self.bomb
    }

    fn fault(&mut self, span: Span, message: impl Into<String>) {
        self.reading.faults.push(Fault::new(span, message));
    }
}

/// What to say of a map or list inside too many others.
pub(crate) fn too_deep(limits: &Limits) -> String {
    format!("nested deeper than {} levels", limits.depth)
}
