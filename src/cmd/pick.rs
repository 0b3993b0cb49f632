//! Asking a person on a terminal, conflict by conflict.

use std::collections::BTreeMap;

use setpoint_ops::import::{Resolve, chosen_value};
use setpoint_ops::plan::{Change, Class, Plan};
use setpoint_ops::{Key, TypedValue};

use super::view;
use crate::console;

/// What a person has chosen.
#[derive(Debug, Default)]
pub(super) struct Picked {
    /// By namespace, layer and key.
    pub by_place: BTreeMap<(String, String, Key), Resolve>,
    /// Files whose version is not to be taken.
    pub skipped: Vec<String>,
    /// Whether nothing at all is to be done.
    pub quit: bool,
}

const QUESTION: &str =
    "[o]urs, [t]heirs, [v]alue, [l]ater, [s]kip this version of the file, [q]uit?";

/// Asks about each conflict of `plan`.
pub(super) fn pick(plan: &Plan) -> miette::Result<Picked> {
    let mut picked = Picked::default();
    let file_of = |it: &Change| {
        let seed = it.provenance.as_ref().and_then(|it| it.seed.as_ref());
        it.origin.as_ref().or(seed).map(|it| it.file.clone())
    };
    let conflicts: Vec<_> = plan.changes.iter().filter(|it| it.class == Class::Conflict).collect();
    for (at, change) in conflicts.iter().enumerate() {
        let file = file_of(change);
        if file.as_ref().is_some_and(|it| picked.skipped.contains(it)) {
            continue;
        }
        let mut text = format!("conflict {} of {}\n", at + 1, conflicts.len());
        view::push_change(&mut text, change);
        console::tell(text.trim_end());
        loop {
            let Some(answer) = console::ask(QUESTION)? else {
                return Ok(Picked { quit: true, ..Picked::default() });
            };
            let choice = match answer.as_str() {
                "o" | "ours" => Resolve::Ours,
                "t" | "theirs" => Resolve::Theirs,
                "v" | "value" => match console::ask("the value:")? {
                    Some(text) => match chosen_value(&change.key, sides(change), &text) {
                        Ok(_) => Resolve::Value(text),
                        Err(error) => {
                            console::tell(error);
                            continue;
                        }
                    },
                    None => continue,
                },
                "l" | "later" | "" => break,
                "s" | "skip" => match &file {
                    Some(file) => {
                        // What was chosen for other keys of it is not wanted any more.
                        let of_file = |it: &&&Change| file_of(it).as_ref() == Some(file);
                        for other in conflicts.iter().filter(of_file) {
                            picked.by_place.remove(&place_of(other));
                        }
                        picked.skipped.push(file.clone());
                        break;
                    }
                    None => continue,
                },
                "q" | "quit" => return Ok(Picked { quit: true, ..Picked::default() }),
                _ => continue,
            };
            picked.by_place.insert(place_of(change), choice);
            break;
        }
    }
    Ok(picked)
}

fn sides(change: &Change) -> (Option<&TypedValue>, Option<&TypedValue>) {
    (change.before.as_ref(), change.after.as_ref())
}

fn place_of(change: &Change) -> (String, String, Key) {
    (change.namespace.clone(), change.layer.clone(), change.key.clone())
}
