//! Finds for keys that went those that came for them.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use serde_json::Value;

use super::{Because, Renamed};
use crate::key::Key;
use crate::value::TypedValue;

/// One setting on one side.
pub(super) struct Leaf<'a> {
    key: &'a Key,
    value: &'a TypedValue,
}

/// What is left on both sides, and what was paired.
pub(super) struct Pairing<'a> {
    gone: Vec<Leaf<'a>>,
    come: Vec<Leaf<'a>>,
    /// For each of `gone`, its place in `come`.
    pairs: Vec<Option<(usize, Because)>>,
    /// Which of `come` have been paired.
    taken: Vec<bool>,
}

impl<'a> Pairing<'a> {
    pub fn new(before: &'a [(Key, TypedValue)], now: &'a [(Key, TypedValue)]) -> Self {
        let gone = without(before, now);
        let come = without(now, before);
        let (pairs, taken) = (vec![None; gone.len()], vec![false; come.len()]);
        Self { gone, come, pairs, taken }
    }

    /// Pairs those that have the same trait, if there is one of them on either side.
    ///
    /// Returns what it paired.
    pub fn by<T: Eq + Hash>(
        &mut self,
        because: Because,
        of: impl Fn(&Leaf<'a>) -> Option<T>,
    ) -> Vec<Renamed> {
        let mut groups: HashMap<T, Group> = HashMap::new();
        for (at, leaf) in self.gone.iter().enumerate().filter(|(at, _)| self.pairs[*at].is_none()) {
            let Some(common) = of(leaf) else { continue };
            groups.entry(common).or_default().gone.add(at);
        }
        for (at, leaf) in self.come.iter().enumerate().filter(|(at, _)| !self.taken[*at]) {
            let Some(group) = of(leaf).and_then(|common| groups.get_mut(&common)) else { continue };
            group.come.add(at);
        }
        let mut found = Vec::new();
        for group in groups.into_values() {
            let (Count::One(gone), Count::One(come)) = (group.gone, group.come) else { continue };
            found.push(self.pair(gone, come, because));
        }
        found
    }

    /// Pairs keys of the same value that went from one section to the other.
    pub fn along(&mut self, sections: &HashMap<Key, Key>) {
        if sections.is_empty() {
            return;
        }
        let come: HashMap<&Key, usize> =
            self.come.iter().enumerate().map(|(at, leaf)| (leaf.key, at)).collect();
        for gone in 0..self.gone.len() {
            let Leaf { key, value } = self.gone[gone];
            if self.pairs[gone].is_some() {
                continue;
            }
            let section = key.ancestors().find_map(|above| sections.get_key_value(above));
            let target = section.and_then(|(from, to)| key.moved(from, to).ok().flatten());
            let Some(at) = target.and_then(|target| come.get(&target).copied()) else { continue };
            if !self.taken[at] && self.come[at].value == value {
                self.pair(gone, at, Because::Moved);
            }
        }
    }

    /// In the order of the file before.
    pub fn pairs(self) -> Vec<Renamed> {
        let found = self.gone.iter().zip(self.pairs);
        let found = found.filter_map(|(gone, pair)| {
            let (come, because) = pair?;
            Some(Renamed { from: gone.key.clone(), to: self.come[come].key.clone(), because })
        });
        found.collect()
    }

    fn pair(&mut self, gone: usize, come: usize, because: Because) -> Renamed {
        self.pairs[gone] = Some((come, because));
        self.taken[come] = true;
        Renamed { from: self.gone[gone].key.clone(), to: self.come[come].key.clone(), because }
    }
}

/// Those of one side whose keys the other does not have.
fn without<'a>(these: &'a [(Key, TypedValue)], others: &[(Key, TypedValue)]) -> Vec<Leaf<'a>> {
    let others: HashSet<&Key> = others.iter().map(|(key, _)| key).collect();
    let missing = these.iter().filter(|(key, _)| !others.contains(key));
    missing.map(|(key, value)| Leaf { key, value }).collect()
}

#[derive(Default)]
struct Group {
    gone: Count,
    come: Count,
}

#[derive(Default)]
enum Count {
    #[default]
    None,
    One(usize),
    Several,
}

impl Count {
    fn add(&mut self, at: usize) {
        *self = match self {
            Self::None => Self::One(at),
            Self::One(_) | Self::Several => Self::Several,
        };
    }
}

impl Leaf<'_> {
    /// The key without upper case and separators.
    pub fn folded(&self) -> Vec<String> {
        self.key.segments().map(|name| folded(&name)).collect()
    }

    /// The last segment without upper case and separators.
    pub fn last(&self) -> String {
        folded(&self.key.segments().last().expect("a key has a segment"))
    }

    /// The map it lies in; none at the top of the file.
    pub fn parent(&self) -> Option<String> {
        self.key.ancestors().next().map(str::to_owned)
    }

    /// Equal if the values are: with maps in order of their keys.
    pub fn value_text(&self) -> String {
        let format = self.value.format.map_or("", |it| it.as_str());
        let json = &self.value.json;
        if !matches!(json, Value::Array(_) | Value::Object(_)) {
            return format!("{format}{json}");
        }
        let mut json = json.clone();
        json.sort_all_objects();
        format!("{format}{json}")
    }

    /// Whether few other settings are likely to have this value.
    ///
    /// True, null, nothing, and numbers of one digit besides zeros are found everywhere.
    pub fn is_telling(&self) -> bool {
        match &self.value.json {
            Value::Null | Value::Bool(_) => false,
            Value::Number(number) => {
                let text = number.to_string();
                let mantissa = text.split('e').next().unwrap_or_default();
                mantissa.bytes().filter(|it| (b'1'..=b'9').contains(it)).count() > 1
            }
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
        }
    }
}

fn folded(name: &str) -> String {
    let kept = name.chars().filter(|it| !matches!(it, '_' | '-'));
    kept.flat_map(char::to_lowercase).collect()
}
