//! Conflicts that are settled: by a strategy, or because the same one was settled before.

use std::collections::{HashMap, HashSet};

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use setpoint_entity::resolution;
use setpoint_importers::{Key, TypedValue};

use super::{Choices, Layer, Merged, Resolve, Strategy};
use crate::edit::{parse_value, typed};
use crate::plan::{Choice, Class, Resolution};
use crate::{Result, hash, rows};

/// A choice that settles a conflict.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Settled {
    Ours,
    Theirs,
    Value(TypedValue),
}

/// The choices of one layer that were made before, by the hash of the conflict.
pub(super) async fn remembered(
    db: &impl ConnectionTrait,
    namespace: &str,
    layer: &str,
) -> Result<HashMap<String, Settled>> {
    let found = resolution::Entity::find()
        .filter(resolution::Column::Namespace.eq(namespace))
        .filter(resolution::Column::Layer.eq(layer));
    let choice = |row: resolution::Model| {
        let settled = match (row.value, row.choice == Choice::Theirs.as_str()) {
            (Some(text), _) => Settled::Value(rows::value(&text, row.format.as_deref())?),
            (None, true) => Settled::Theirs,
            (None, false) => Settled::Ours,
        };
        Ok((row.hash, settled))
    };
    found.all(db).await?.into_iter().map(choice).collect()
}

/// Carries out what is chosen for conflicts, and what was chosen before for the same ones.
///
/// # Errors
///
/// [`crate::Error::WrongType`] if a chosen value is none that its key can have.
pub(super) fn settle(
    merged: Vec<Merged>,
    choices: &Choices,
    remembered: &HashMap<String, Settled>,
    (namespace, name): (&str, &str),
    layer: &Layer<'_>,
) -> Result<(Vec<Merged>, Vec<Resolution>)> {
    let mut settled = Vec::with_capacity(merged.len());
    let mut resolutions = Vec::new();
    for mut one in merged {
        if one.class != Class::Conflict {
            settled.push(one);
            continue;
        }
        let hash = hash_of(namespace, name, &one);
        let place = (namespace.to_owned(), name.to_owned(), one.key.clone());
        let own = choices.by_place.get(&place).or_else(|| choices.by_key.get(&one.key));
        let own = own.map(|it| it.settled(&one)).transpose()?;
        let choice = own.or_else(|| match choices.strategy {
            Strategy::Ours => Some(Settled::Ours),
            Strategy::Theirs => Some(Settled::Theirs),
            Strategy::Ask | Strategy::Fail => remembered.get(&hash).cloned(),
        });
        let Some(choice) = choice else {
            settled.push(one);
            continue;
        };
        resolutions.push(Resolution {
            hash,
            namespace: namespace.to_owned(),
            layer: name.to_owned(),
            key: one.key.clone(),
            choice: choice.name(),
            value: choice.value().cloned(),
        });
        match choice {
            Settled::Theirs => settled.extend(theirs_below(&one, layer)),
            Settled::Value(value) => settled.extend(value_at(&one, value, layer)),
            Settled::Ours => {
                one.class = Class::Keep;
                one.after = one.before.clone();
                settled.push(one);
            }
        }
    }
    Ok((settled, resolutions))
}

impl Resolve {
    fn settled(&self, conflict: &Merged) -> Result<Settled> {
        let sides = || (conflict.before.as_ref(), conflict.after.as_ref());
        Ok(match self {
            Self::Ours => Settled::Ours,
            Self::Theirs => Settled::Theirs,
            Self::Value(text) => Settled::Value(chosen_value(&conflict.key, sides(), text)?),
            Self::Json(json) => {
                let example = example(sides());
                Settled::Value(typed(&conflict.key, json.clone(), None, example)?)
            }
        })
    }
}

/// Reads `text` as a value for a key in conflict: of the type of what is live, or else of what the
/// file says.
///
/// # Errors
///
/// As [`parse_value`].
pub fn chosen_value(
    key: &Key,
    sides: (Option<&TypedValue>, Option<&TypedValue>),
    text: &str,
) -> Result<TypedValue> {
    parse_value(key, text, None, example(sides))
}

/// The value whose type a chosen one has.
fn example<'a>(
    (ours, theirs): (Option<&'a TypedValue>, Option<&'a TypedValue>),
) -> Option<&'a TypedValue> {
    ours.or(theirs).filter(|it| !it.json.is_object())
}

impl Settled {
    fn name(&self) -> Choice {
        match self {
            Self::Ours => Choice::Ours,
            Self::Theirs => Choice::Theirs,
            Self::Value(_) => Choice::Value,
        }
    }

    fn value(&self) -> Option<&TypedValue> {
        match self {
            Self::Value(value) => Some(value),
            Self::Ours | Self::Theirs => None,
        }
    }
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
        let theirs = layer.theirs.get(key.as_str());
        let after = theirs.map(|it| &it.entry.value);
        Some(Merged { origin: theirs.map(|it| it.origin()), ..chosen(key, after, layer)? })
    };
    keys.into_iter().filter_map(change).collect()
}

/// The changes that make a key `value`, and leave nothing below it.
fn value_at(conflict: &Merged, value: TypedValue, layer: &Layer<'_>) -> Vec<Merged> {
    let root = &conflict.key;
    let below = layer.live.keys().filter(|it| *it != root && it.starts_with(root));
    let gone = below.filter_map(|key| chosen(key, None, layer));
    gone.chain(chosen(root, Some(&value), layer)).collect()
}

/// The change that makes the live value of `key` what was chosen, if it is not that already.
fn chosen(key: &Key, after: Option<&TypedValue>, layer: &Layer<'_>) -> Option<Merged> {
    let before = layer.live.get(key);
    let class = match (before, after) {
        (None, Some(_)) => Class::Add,
        (Some(_), None) => Class::Delete,
        (Some(before), Some(after)) if before != after => Class::Update,
        _ => return None,
    };
    Some(Merged {
        key: key.clone(),
        class,
        before: before.cloned(),
        after: after.cloned(),
        seed: None,
        origin: None,
        subtree: false,
    })
}
