//! What the file is to say when the edits are made.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::Edit;
use super::work::{EditId, Work};
use crate::{Document, Entry, Key, Place, TypedValue};

/// What the file is to say, and the keys it takes to get there.
pub(super) struct Meant<'e> {
    entries: HashMap<&'e str, TypedValue>,
    /// The root of a tree of the keys that change.
    pub wish: Wish,
    /// The keys of maps that held something before.
    maps_before: HashSet<&'e str>,
    pub maps: HashSet<&'e str>,
}

/// A key that changes, or a map that one lies in.
pub(super) struct Wish {
    pub name: String,
    /// The key in canonical text; empty for the root.
    pub path: String,
    pub state: State,
    /// One of the edits that are made here or below.
    pub edit: EditId,
    pub below: Vec<Wish>,
    index: HashMap<String, usize>,
}

#[derive(Clone)]
pub(super) enum State {
    /// A value is to stand here; and what stood here before, if that was one value as well.
    Leaf {
        new: TypedValue,
        old: Option<TypedValue>,
    },
    /// A map with something in it.
    Map,
    Gone,
}

/// What a new key is to hold.
pub(super) enum New<'w> {
    Leaf(&'w TypedValue),
    Map(Vec<(&'w str, New<'w>)>),
}

impl<'e> Meant<'e> {
    /// Refuses edits that contradict each other, or the tree that a file is.
    pub fn of(before: &'e Document, edits: &'e [Edit], work: &mut Work) -> Self {
        let mut entries: HashMap<&str, TypedValue> =
            before.entries.iter().map(|it| (it.key.as_str(), it.value.clone())).collect();
        let mut olds = HashMap::new();
        let mut changes: HashMap<&str, (EditId, Option<TypedValue>)> = HashMap::new();
        for (id, edit) in edits.iter().enumerate() {
            let key = edit.key.as_str();
            let value = edit.value.clone().map(|it| in_format(it, &before.format));
            if let Some((_, other)) = changes.get(key) {
                if *other != value {
                    let place = place_of(before, key);
                    work.refuse_edit(id, place, "two edits give this key different values");
                }
                continue;
            }
            if matches!(&value, Some(TypedValue { json: Value::Object(map), .. }) if !map.is_empty())
            {
                let reason = "a map with keys is no value; set each of its keys";
                work.refuse_edit(id, place_of(before, key), reason);
                continue;
            }
            changes.insert(key, (id, value));
        }
        for (key, (_, value)) in &changes {
            let old = match value {
                Some(value) => entries.insert(key, value.clone()),
                None => entries.remove(key),
            };
            if let Some(old) = old {
                olds.insert(*key, old);
            }
        }
        let maps: HashSet<&str> = match edits.is_empty() {
            true => HashSet::new(),
            false => before
                .entries
                .iter()
                .map(|it| &it.key)
                .chain(edits.iter().map(|it| &it.key))
                .filter(|key| entries.contains_key(key.as_str()))
                .flat_map(Key::ancestors)
                .collect(),
        };
        for (id, edit) in edits.iter().enumerate().filter(|(_, it)| it.value.is_some()) {
            let key = edit.key.as_str();
            if let Some(other) = edit.key.ancestors().find(|it| entries.contains_key(it)) {
                let reason = format!("`{other}` is a value, so nothing can stand below it");
                work.refuse_edit(id, place_of(before, other), reason);
            } else if maps.contains(key) {
                let reason = "keys stand below it, so it cannot be a value; take them out as well";
                work.refuse_edit(id, place_of(before, key), reason);
            }
        }
        let maps_before = before.entries.iter().flat_map(|it| it.key.ancestors()).collect();
        let wish = Wish::new(String::new(), String::new(), State::Map, 0);
        let mut meant = Self { entries, wish, maps_before, maps };
        let mut wish = Wish::new(String::new(), String::new(), State::Map, 0);
        for (id, edit) in edits.iter().enumerate() {
            let key = edit.key.as_str();
            let Some((first, value)) = changes.get(key) else { continue };
            let old = olds.get(key);
            if *first == id && value.as_ref() != old {
                meant.add(&mut wish, id, &edit.key, old);
            }
        }
        meant.wish = wish;
        meant
    }

    fn add(&self, root: &mut Wish, edit: EditId, key: &Key, old: Option<&TypedValue>) {
        let mut paths: Vec<&str> = key.ancestors().collect();
        paths.reverse();
        paths.push(key.as_str());
        let mut wish = root;
        for (segment, path) in key.segments().zip(paths) {
            let next = match wish.index.get(segment.as_ref()) {
                Some(next) => *next,
                None => {
                    let state = self.state(path, old.filter(|_| path == key.as_str()));
                    let next = Wish::new(segment.clone().into(), path.to_owned(), state, edit);
                    wish.index.insert(segment.into_owned(), wish.below.len());
                    wish.below.push(next);
                    wish.below.len() - 1
                }
            };
            wish = &mut wish.below[next];
        }
        wish.state = self.state(key.as_str(), old);
        wish.edit = edit;
    }

    fn state(&self, path: &str, old: Option<&TypedValue>) -> State {
        match self.entries.get(path) {
            Some(new) => State::Leaf { new: new.clone(), old: old.cloned() },
            None if self.maps.contains(path) => State::Map,
            None => State::Gone,
        }
    }

    /// Whether this was a map with something in it.
    pub fn was_map(&self, path: &str) -> bool {
        self.maps_before.contains(path)
    }

    /// The edits whose keys do not read back as meant, with a key that shows it.
    pub fn differences(&self, after: &Document) -> Vec<(EditId, Option<String>)> {
        let mut other = None;
        let mut edits: HashMap<&str, EditId> = HashMap::new();
        self.wish.visit(&mut |wish| _ = edits.insert(&wish.path, wish.edit));
        let mut faults = Vec::new();
        let mut seen = HashSet::new();
        let mut wrong = |key: &'_ str| match edits.get(key) {
            Some(edit) => faults.push((*edit, None)),
            None => _ = other.get_or_insert_with(|| key.to_owned()),
        };
        for entry in &after.entries {
            let key = entry.key.as_str();
            seen.insert(key);
            if !self.entries.get(key).is_some_and(|it| *it == entry.value) {
                wrong(key);
            }
        }
        let missing = |key: &&str| !seen.contains(*key);
        self.entries.keys().copied().filter(missing).for_each(&mut wrong);
        if let Some(other) = other {
            faults.extend(self.wish.edits().into_iter().map(|(id, _)| (id, Some(other.clone()))));
        }
        faults
    }
}

impl Wish {
    fn new(name: String, path: String, state: State, edit: EditId) -> Self {
        Self { name, path, state, edit, below: Vec::new(), index: HashMap::new() }
    }

    /// What is to stand below a map that is not there yet.
    pub fn new_map(&self) -> New<'_> {
        let members = self.below.iter().filter_map(|it| Some((it.name.as_str(), it.new_value()?)));
        New::Map(members.collect())
    }

    /// What is to stand here, if anything is.
    pub fn new_value(&self) -> Option<New<'_>> {
        match &self.state {
            State::Leaf { new, .. } => Some(New::Leaf(new)),
            State::Map => Some(self.new_map()),
            State::Gone => None,
        }
    }

    pub fn visit<'w>(&'w self, visitor: &mut impl FnMut(&'w Self)) {
        for wish in &self.below {
            visitor(wish);
            wish.visit(visitor);
        }
    }

    /// Every edit that changes something.
    pub fn edits(&self) -> Vec<(EditId, Option<String>)> {
        let mut edits = Vec::new();
        self.visit(&mut |wish| {
            if wish.below.is_empty() || matches!(wish.state, State::Leaf { .. }) {
                edits.push((wish.edit, None));
            }
        });
        edits
    }
}

/// The value as a file of this format would be read.
fn in_format(value: TypedValue, format: &str) -> TypedValue {
    match (format, value.json) {
        ("toml", json) => TypedValue { json, format: value.format },
        ("env", json @ (Value::Bool(_) | Value::Number(_))) => Value::from(json.to_string()).into(),
        (_, json) => json.into(),
    }
}

/// Where a key stands, or the first one below it.
fn place_of(before: &Document, key: &str) -> Place {
    let lies_in = |it: &&Entry| it.key.as_str() == key || it.key.ancestors().any(|map| map == key);
    before.entries.iter().find(lies_in).map_or(Place::START, |it| it.place)
}
