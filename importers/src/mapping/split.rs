//! A list of maps as a map, keyed by a field of each: so that its items are settings of their own.
//!
//! `presets: [{name: low, fps: 30}]` by `name` is what `presets: {low: {fps: 30}}` would be.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{Mapper, MappingFault, SplitRefusal};
use crate::Entry;
use crate::key::Key;
use crate::value::TypedValue;

impl Mapper {
    /// The entries with every list that is to be split in its parts, which stand at its place.
    pub(super) fn split(&self, entries: Vec<Entry>, faults: &mut Vec<MappingFault>) -> Vec<Entry> {
        if self.split.is_empty() {
            return entries;
        }
        let mut parts = Vec::with_capacity(entries.len());
        for entry in entries {
            self.split_one(entry, &mut parts, faults);
        }
        parts
    }

    /// Whether a key is a list that is split, or lies below one: then nothing can be written
    /// to the file by it.
    pub fn is_split(&self, raw: &Key) -> bool {
        let mut paths = std::iter::once(raw.as_str()).chain(raw.ancestors());
        !self.split.is_empty()
            && paths.any(|path| {
                let path = Key::parse(path).expect("what a key lies in is a key");
                self.split_field(&path).is_some()
            })
    }

    fn split_field(&self, raw: &Key) -> Option<&String> {
        let segments: Vec<_> = raw.segments().collect();
        self.split.find(raw, &segments).map(|found| found.rule)
    }

    /// Lists inside the parts are split as well, if a pattern says so.
    fn split_one(&self, entry: Entry, parts: &mut Vec<Entry>, faults: &mut Vec<MappingFault>) {
        let Some(field) = self.split_field(&entry.key) else {
            parts.push(entry);
            return;
        };
        let (raw, place) = (entry.key.clone(), entry.place);
        match leaves(entry, field) {
            Ok(Split::Whole(entry)) => parts.push(entry),
            Ok(Split::Parts(found)) => {
                found.into_iter().for_each(|part| self.split_one(part, parts, faults));
            }
            Err(reason) => {
                let field = field.clone();
                faults.push(MappingFault::Split { raw, place: Some(place), field, reason });
            }
        }
    }
}

enum Split {
    /// Without items there are no parts: it is an empty map.
    Whole(Entry),
    Parts(Vec<Entry>),
}

fn leaves(entry: Entry, field: &str) -> Result<Split, SplitRefusal> {
    let Entry { key, value, place, span } = entry;
    let items = match value.json {
        Value::Array(items) => items,
        Value::Object(_) => Vec::new(),
        _ => return Err(SplitRefusal::NoList),
    };
    if items.is_empty() {
        let value = Value::Object(Map::new()).into();
        return Ok(Split::Whole(Entry { key, value, place, span }));
    }
    let mut positions = HashMap::new();
    let mut parts = Vec::new();
    for (position, item) in (1..).zip(items) {
        let Value::Object(mut members) = item else {
            return Err(SplitRefusal::NoMap { position });
        };
        let name = match members.shift_remove(field) {
            Some(Value::String(name)) => name,
            Some(Value::Number(number)) if !number.is_f64() => number.to_string(),
            _ => return Err(SplitRefusal::NoName { position }),
        };
        if let Some(first) = positions.insert(name.clone(), position) {
            return Err(SplitRefusal::SameName { first, second: position });
        }
        let mut add = |key, json| {
            parts.push(Entry { key, value: TypedValue::from(json), place, span });
        };
        let added =
            key.child(&name).and_then(|it| add_leaves(it, Value::Object(members), &mut add));
        added.map_err(|_| SplitRefusal::TooLong { position })?;
    }
    Ok(Split::Parts(parts))
}

/// Adds what a file with this value at this key would have for settings.
fn add_leaves(
    key: Key,
    value: Value,
    add: &mut impl FnMut(Key, Value),
) -> Result<(), crate::KeyError> {
    match value {
        Value::Object(members) if !members.is_empty() => {
            let mut members = members.into_iter();
            members.try_for_each(|(name, inner)| add_leaves(key.child(&name)?, inner, add))
        }
        leaf => {
            add(key, leaf);
            Ok(())
        }
    }
}
