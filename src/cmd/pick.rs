//! Asking a person on a terminal, conflict by conflict.

use std::collections::BTreeMap;

use setpoint_ops::Key;
use setpoint_ops::import::Resolve;
use setpoint_ops::plan::{Class, Plan};

use super::view;
use crate::console;

/// What a person has chosen.
#[derive(Debug, Default)]
pub(super) struct Picked {
    pub by_key: BTreeMap<Key, Resolve>,
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
    let conflicts: Vec<_> = plan.changes.iter().filter(|it| it.class == Class::Conflict).collect();
    for (at, change) in conflicts.iter().enumerate() {
        let file = change.origin.as_ref().map(|it| it.file.clone());
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
                    Some(text) => Resolve::Value(text),
                    None => continue,
                },
                "l" | "later" | "" => break,
                "s" | "skip" => match &file {
                    Some(file) => {
                        picked.skipped.push(file.clone());
                        break;
                    }
                    None => continue,
                },
                "q" | "quit" => return Ok(Picked { quit: true, ..Picked::default() }),
                _ => continue,
            };
            picked.by_key.insert(change.key.clone(), choice);
            break;
        }
    }
    Ok(picked)
}
