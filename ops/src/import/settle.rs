//! Conflicts that are settled: by a strategy, or because the same one was settled before.

use std::collections::{HashMap, HashSet};

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use setpoint_entity::resolution;
use setpoint_importers::{Key, TypedValue};

use super::{Layer, Merged, Strategy};
use crate::plan::{Choice, Class, Resolution};
use crate::{Result, hash};

/// The choices of one layer that were made before, by the hash of the conflict.
pub(super) async fn remembered(
    db: &impl ConnectionTrait,
    namespace: &str,
    layer: &str,
) -> Result<HashMap<String, Choice>> {
    let found = resolution::Entity::find()
        .filter(resolution::Column::Namespace.eq(namespace))
        .filter(resolution::Column::Layer.eq(layer));
    let choice = |row: resolution::Model| {
        let theirs = row.choice == Choice::Theirs.as_str();
        (row.hash, if theirs { Choice::Theirs } else { Choice::Ours })
    };
    Ok(found.all(db).await?.into_iter().map(choice).collect())
}

/// Carries out what was chosen for conflicts, and what was chosen before for the same ones.
pub(super) fn settle(
    merged: Vec<Merged>,
    strategy: Strategy,
    remembered: &HashMap<String, Choice>,
    (namespace, name): (&str, &str),
    layer: &Layer<'_>,
) -> (Vec<Merged>, Vec<Resolution>) {
    let mut settled = Vec::with_capacity(merged.len());
    let mut resolutions = Vec::new();
    for mut one in merged {
        if one.class != Class::Conflict {
            settled.push(one);
            continue;
        }
        let hash = hash_of(namespace, name, &one);
        let choice = match strategy {
            Strategy::Ours => Some(Choice::Ours),
            Strategy::Theirs => Some(Choice::Theirs),
            Strategy::Ask | Strategy::Fail => remembered.get(&hash).copied(),
        };
        let Some(choice) = choice else {
            settled.push(one);
            continue;
        };
        resolutions.push(Resolution {
            hash,
            namespace: namespace.to_owned(),
            layer: name.to_owned(),
            key: one.key.clone(),
            choice,
        });
        match choice {
            Choice::Theirs => settled.extend(theirs_below(&one, layer)),
            Choice::Ours => {
                one.class = Class::Keep;
                one.after = one.before.clone();
                settled.push(one);
            }
        }
    }
    (settled, resolutions)
}

fn hash_of(namespace: &str, layer: &str, conflict: &Merged) -> String {
    #[derive(Serialize)]
    struct Triple<'a> {
        base: Option<Side>,
        key: &'a str,
        layer: &'a str,
        namespace: &'a str,
        ours: Option<Side>,
        theirs: Option<Side>,
    }
    type Side = (String, Option<&'static str>);
    let side = |it: &Option<TypedValue>| {
        it.as_ref().map(|it| (it.text(), it.format.map(|format| format.as_str())))
    };
    let triple = Triple {
        base: side(&conflict.seed),
        key: conflict.key.as_str(),
        layer,
        namespace,
        ours: side(&conflict.before),
        theirs: side(&conflict.after),
    };
    hash::of_json("", &triple)
}

/// The changes that make a key, or the subtree at it, what the file says.
fn theirs_below(conflict: &Merged, layer: &Layer<'_>) -> Vec<Merged> {
    let root = &conflict.key;
    let keys: HashSet<&Key> = if conflict.subtree {
        let theirs = layer.theirs.values().map(|it| &it.entry.key);
        theirs.chain(layer.live.keys()).filter(|it| it.starts_with(root)).collect()
    } else {
        HashSet::from([root])
    };
    let change = |key: &Key| {
        let (before, theirs) = (layer.live.get(key), layer.theirs.get(key.as_str()));
        let class = match (before, theirs) {
            (None, Some(_)) => Class::Add,
            (Some(_), None) => Class::Delete,
            (Some(before), Some(theirs)) if *before != theirs.entry.value => Class::Update,
            _ => return None,
        };
        Some(Merged {
            key: key.clone(),
            class,
            before: before.cloned(),
            after: theirs.map(|it| it.entry.value.clone()),
            seed: None,
            origin: theirs.map(|it| it.origin()),
            subtree: false,
        })
    };
    keys.into_iter().filter_map(change).collect()
}
