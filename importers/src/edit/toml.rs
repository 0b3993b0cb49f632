//! TOML: values are changed in place; new keys find the table that is theirs.

use serde_json::Value;

use self::outline::{Outline, key};
use self::text::{Toml, name_of};
use super::align::{Step, align};
use super::flow::Flow;
use super::meant::{Meant, State, Wish};
use super::work::{EditId, Work};
use crate::tree::{Content, NodeId, Tree};
use crate::{Limits, TypedValue, toml};

mod outline;
mod text;

pub(super) fn plan(work: &mut Work, meant: &Meant, limits: &Limits) {
    let tree = toml::tree(work.text, limits);
    let Some(root) = tree.root else { return };
    let outline = Outline::of(work.text);
    let notation = Toml { line_break: work.line_break() };
    let mut plan = Plan {
        flow: Flow { tree: &tree, notation: &notation, meant },
        tree: &tree,
        outline: &outline,
        meant,
        added: Vec::new(),
    };
    plan.map(work, Some(root), &meant.wish);
    plan.remove_headers(work);
    let added = std::mem::take(&mut plan.added);
    plan.add(work, &added);
}

struct Plan<'p, 'a> {
    flow: Flow<'p, 'a>,
    tree: &'p Tree<'a>,
    outline: &'p Outline,
    meant: &'p Meant<'p>,
    added: Vec<Added>,
}

/// A key that has no place in the file yet.
struct Added {
    path: Vec<String>,
    text: String,
    edit: EditId,
}

/// Keys that have a new table.
struct Table {
    path: Vec<String>,
    /// Where its header goes.
    at: usize,
    keys: Vec<String>,
    edit: EditId,
}

impl Plan<'_, '_> {
    fn map(&mut self, work: &mut Work, id: Option<NodeId>, wish: &Wish) {
        let members = match id.map(|id| &self.tree.get(id).content) {
            Some(Content::Map(members)) => members.as_slice(),
            _ => &[],
        };
        let by_name: std::collections::HashMap<&str, NodeId> =
            members.iter().map(|it| (&*it.name, it.value)).collect();
        for child in &wish.below {
            let id = by_name.get(child.name.as_str()).copied();
            work.current = child.edit;
            if let (Some(statement), Some(id)) = (self.outline.statement(&child.path), id) {
                match &child.state {
                    State::Leaf { new, old } => self.flow.set(work, id, old.as_ref(), new),
                    State::Gone => {
                        let start = work.line_start(statement.start);
                        work.delete_lines(start..work.line_end(statement.end));
                    }
                    State::Map => self.flow.table(work, id, child),
                }
                continue;
            }
            if self.outline.is_array(&child.path) {
                self.array(work, id, child);
                continue;
            }
            match &child.state {
                State::Leaf { new, .. } => {
                    self.map(work, id, child);
                    let is_header = self.outline.section(&child.path).is_some();
                    if !(is_header && is_empty_map(new)) {
                        self.leaf(work, child, new);
                    }
                }
                State::Map | State::Gone => self.map(work, id, child),
            }
        }
    }

    fn leaf(&mut self, work: &mut Work, wish: &Wish, value: &TypedValue) {
        work.current = wish.edit;
        let notation = self.flow.notation;
        match notation.inline(&value.json, value.format.is_some()) {
            Ok(text) => {
                let path = work.edits[wish.edit].key.segments().map(Into::into).collect();
                self.added.push(Added { path, text, edit: wish.edit });
            }
            Err(reason) => work.refuse(0, reason),
        }
    }

    /// Changes a list that is written as `[[tables]]`.
    fn array(&mut self, work: &mut Work, id: Option<NodeId>, wish: &Wish) {
        let tables = self.outline.tables_of(&wish.path);
        let items = match id.map(|id| &self.tree.get(id).content) {
            Some(Content::List(items)) => items.as_slice(),
            _ => &[],
        };
        let (new, old) = match &wish.state {
            State::Leaf { new, old: Some(old) } => (new, old),
            State::Leaf { new, old: None } => return self.leaf(work, wish, new),
            State::Map | State::Gone => {
                tables.iter().for_each(|table| self.remove_table(work, table));
                return self.map(work, None, wish);
            }
        };
        let (Value::Array(olds), Value::Array(news)) = (&old.json, &new.json) else {
            tables.iter().for_each(|table| self.remove_table(work, table));
            return self.leaf(work, wish, new);
        };
        if news.is_empty() || !news.iter().all(Value::is_object) || items.len() != tables.len() {
            tables.iter().for_each(|table| self.remove_table(work, table));
            return self.leaf(work, wish, new);
        }
        for step in align(olds, news) {
            match step {
                Step::Replace { old, new } => {
                    self.flow.change(work, items[old], Some(&olds[old]), &news[new], false);
                }
                Step::Remove { old } => self.remove_table(work, &tables[old]),
                Step::Insert { before, new } => {
                    self.insert_table(work, &tables, before, &news[new]);
                }
            }
        }
    }

    fn remove_table(&self, work: &mut Work, sections: &[usize]) {
        for at in sections {
            let section = &self.outline.sections[*at];
            let start = work.line_start(section.header.start);
            work.delete_lines(start..work.line_end(section.end()));
        }
    }

    fn insert_table(&self, work: &mut Work, tables: &[Vec<usize>], before: usize, table: &Value) {
        let first = &self.outline.sections[tables[0][0]];
        let line_break = work.line_break();
        let mut lines = format!("[[{}]]{line_break}", name_of(&first.path));
        for (name, value) in table.as_object().into_iter().flatten() {
            match self.flow.notation.inline(value, false) {
                Ok(text) => lines.push_str(&format!("{} = {text}{line_break}", name_of([name]))),
                Err(reason) => return work.refuse(first.header.start, reason),
            }
        }
        match tables.get(before) {
            Some(next) => {
                let start = self.outline.sections[next[0]].header.start;
                work.insert(work.line_start(start), lines + line_break);
            }
            None => {
                let last = tables.last().and_then(|it| it.last()).copied().unwrap_or_default();
                let at = work.line_end(self.outline.sections[last].end());
                work.insert_lines(at, &format!("{line_break}{lines}"));
            }
        }
    }

    /// Takes out the headers of tables that lost their last key.
    fn remove_headers(&self, work: &mut Work) {
        let mut gone: Vec<(&str, EditId)> = Vec::new();
        self.meant.wish.visit(&mut |wish| {
            let empty = matches!(&wish.state, State::Leaf { new, .. } if is_empty_map(new));
            if !empty && !matches!(wish.state, State::Map) {
                gone.push((&wish.path, wish.edit));
            }
        });
        for (path, edit) in gone {
            let Some(section) = self.outline.section(path) else { continue };
            work.current = edit;
            let header = &self.outline.sections[section].header;
            work.delete_lines(work.line_start(header.start)..work.line_end(header.end));
        }
    }

    fn add(&self, work: &mut Work, added: &[Added]) {
        let mut tables: Vec<Table> = Vec::new();
        for it in added {
            work.current = it.edit;
            let line_break = work.line_break();
            let parents = &it.path[..it.path.len() - 1];
            let host = (0..it.path.len()).rev().find_map(|length| self.host(&it.path[..length]));
            let name = |from: usize| format!("{} = {}", name_of(&it.path[from..]), it.text);
            let at = match host {
                Some(Host::Dotted { section, statement }) => {
                    let section = &self.outline.sections[section];
                    let statement = &section.statements[statement];
                    let indent = work.indent_before(statement.start).unwrap_or_default();
                    let line = format!("{indent}{}{line_break}", name(section.path.len()));
                    work.insert_lines(work.line_end(statement.end), &line);
                    continue;
                }
                Some(Host::Section(section))
                    if self.outline.sections[section].path.len() == parents.len()
                        || self.outline.is_dotted() =>
                {
                    let length = self.outline.sections[section].path.len();
                    self.add_statement(work, section, &name(length));
                    continue;
                }
                Some(Host::Section(0)) | None => work.text.len(),
                Some(Host::Section(section)) => self.end_below(work, section),
                Some(Host::Implicit { last }) => self.end_below_last(work, last),
            };
            let key = name(parents.len());
            match tables.iter_mut().find(|table| table.path == parents) {
                Some(table) => table.keys.push(key),
                None => {
                    let path = parents.to_vec();
                    tables.push(Table { path, at, keys: vec![key], edit: it.edit });
                }
            }
        }
        for Table { path, at, keys, edit } in tables {
            work.current = edit;
            let line_break = work.line_break();
            let is_first = work.text[..at].trim().is_empty() && work.splices.is_empty();
            let blank = if is_first { "" } else { line_break };
            let keys = keys.join(line_break);
            let header = name_of(&path);
            work.insert_lines(at, &format!("{blank}[{header}]{line_break}{keys}{line_break}"));
        }
    }

    /// What the file has of this table.
    fn host(&self, path: &[String]) -> Option<Host> {
        let text = key(path);
        if let Some(section) = self.outline.section(&text)
            && (path.is_empty() || self.meant.maps.contains(text.as_str()))
        {
            return Some(Host::Section(section));
        }
        if let Some((section, statement)) = self.outline.last_dotted(path) {
            return Some(Host::Dotted { section, statement });
        }
        self.outline.last_section_below(path).map(|last| Host::Implicit { last })
    }

    fn end_below(&self, work: &Work, section: usize) -> usize {
        let path = &self.outline.sections[section].path;
        let last = self.outline.last_section_below(path).unwrap_or(section);
        self.end_below_last(work, last)
    }

    fn end_below_last(&self, work: &Work, last: usize) -> usize {
        work.line_end(self.outline.sections[last].end())
    }

    fn add_statement(&self, work: &mut Work, section: usize, line: &str) {
        let line_break = work.line_break();
        let it = &self.outline.sections[section];
        let indent_at = it.statements.last().map_or(it.header.start, |it| it.start);
        let indent = work.indent_before(indent_at).unwrap_or_default();
        let line = format!("{indent}{line}{line_break}");
        if section > 0 || !it.statements.is_empty() {
            return work.insert_lines(work.line_end(it.end()), &line);
        }
        match self.outline.sections.get(1) {
            None => work.insert_lines(work.text.len(), &line),
            Some(next) => {
                let at = above_comments(work, work.line_start(next.header.start));
                work.insert(at, line);
            }
        }
    }
}

enum Host {
    Section(usize),
    /// Named by dots in a statement.
    Dotted {
        section: usize,
        statement: usize,
    },
    /// Only tables below it have headers.
    Implicit {
        last: usize,
    },
}

fn is_empty_map(value: &TypedValue) -> bool {
    matches!(&value.json, Value::Object(map) if map.is_empty())
}

/// The start of the comment lines right above a line.
fn above_comments(work: &Work, mut at: usize) -> usize {
    while at > 0 {
        let before = work.line_start(at - 1);
        if !work.text[before..at].trim_start().starts_with('#') {
            break;
        }
        at = before;
    }
    at
}
