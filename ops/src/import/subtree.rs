//! A scalar on one side against a map on the other.

use std::collections::{BTreeMap, HashSet};

use setpoint_importers::{Entry, Key, TypedValue};

use super::{Layer, Merged, Theirs};
use crate::export::tree;
use crate::plan::Class;

/// Makes each conflict speak for its key and everything below it, and makes a scalar on one
/// side against a map on the other one conflict over the subtree.
pub(super) fn join(merged: Vec<Merged>, layer: &Layer<'_>) -> Vec<Merged> {
    let roots = roots(&merged, layer);
    if roots.is_empty() {
        return merged;
    }
    let root_of = |key: &Key| {
        let above = key.ancestors().filter(|it| roots.contains(*it)).last();
        above.or_else(|| roots.get(key.as_str()).map(String::as_str)).map(str::to_owned)
    };
    let mut joined: Vec<Merged> =
        merged.into_iter().filter(|it| root_of(&it.key).is_none()).collect();
    let mut subtrees = BTreeMap::<String, Subtree>::new();
    for (key, value) in &layer.live {
        if let Some(root) = root_of(key) {
            subtrees.entry(root).or_default().ours.push((key, value));
        }
    }
    for (key, seed) in &layer.seeds {
        if let Some(root) = root_of(key) {
            subtrees.entry(root).or_default().base.push((key, &seed.value));
        }
    }
    for theirs in layer.theirs.values() {
        let Entry { key, value, place, .. } = theirs.entry;
        if let Some(root) = root_of(key) {
            let subtree = subtrees.entry(root).or_default();
            subtree.theirs.push((key, value));
            if subtree.first.is_none_or(|first| place < &first.entry.place) {
                subtree.first = Some(*theirs);
            }
        }
    }
    for (root, mut subtree) in subtrees {
        for side in [&mut subtree.base, &mut subtree.ours, &mut subtree.theirs] {
            side.sort_by_key(|(key, _)| *key);
        }
        let key = Key::parse(&root).expect("a root is a key or the map a key lies in");
        joined.push(Merged {
            class: Class::Conflict,
            before: tree::subtree(&key, subtree.ours),
            after: tree::subtree(&key, subtree.theirs),
            seed: tree::subtree(&key, subtree.base),
            origin: subtree.first.map(Theirs::origin),
            subtree: true,
            key,
        });
    }
    joined
}

/// The keys of conflicts, and those that a value and a map would share.
fn roots(merged: &[Merged], layer: &Layer<'_>) -> HashSet<String> {
    let keys = |which: fn(&Merged) -> bool| -> HashSet<&str> {
        merged.iter().filter(|it| which(it)).map(|it| it.key.as_str()).collect()
    };
    let conflicts = keys(|it| it.class == Class::Conflict);
    let deleted = keys(|it| it.class == Class::Delete);
    // The file's side of a conflict may yet win: what it would add counts as added.
    let added = keys(|it| {
        it.class == Class::Add
            || it.class == Class::Conflict && it.before.is_none() && it.after.is_some()
    });
    let mut roots: HashSet<String> = conflicts.into_iter().map(str::to_owned).collect();
    if added.is_empty() {
        return roots;
    }
    let stays = |key: &str| layer.live.contains_key(key) && !deleted.contains(key);
    for one in merged.iter().filter(|it| added.contains(it.key.as_str())) {
        roots.extend(one.key.ancestors().filter(|it| stays(it)).last().map(str::to_owned));
    }
    for key in layer.live.keys().filter(|it| stays(it.as_str())) {
        roots.extend(key.ancestors().filter(|it| added.contains(it)).last().map(str::to_owned));
    }
    roots
}

/// What the three sides have at a key and below it.
#[derive(Default)]
struct Subtree<'a> {
    base: Vec<(&'a Key, &'a TypedValue)>,
    ours: Vec<(&'a Key, &'a TypedValue)>,
    theirs: Vec<(&'a Key, &'a TypedValue)>,
    /// Of `theirs`, by its place.
    first: Option<Theirs<'a>>,
}
