//! The checker itself: it takes every true history, and refuses each that was tampered with.

use proptest::prelude::*;
use serde_json::{Value, json};
use setpoint_client::types::Position;

use super::check;
use crate::serve::history::{History, Wants};
use crate::serve::truth::{Change, Epoch, Revision, Settings, Truth};

const EPOCH: &str = "e1";

const KEYS: [&str; 5] = ["a.x", "a.y", "a", "b", "c.deep.x"];

const LAYERS: [&str; 3] = ["base", "site", "user:ann"];

/// Which layer, which key, and the value or none.
type Edit = (usize, usize, Option<i64>);

fn truth(edits: Vec<Edit>) -> Truth {
    let mut live = std::collections::BTreeSet::new();
    let mut revisions = Vec::<Revision>::new();
    for (layer, key, value) in edits {
        let (layer, key) = (LAYERS[layer], KEYS[key]);
        let is_tree = live.iter().all(|&(other, it): &(&str, &str)| {
            let apart = !it.starts_with(&format!("{key}.")) && !key.starts_with(&format!("{it}."));
            other != layer || apart
        });
        let is_possible = match value {
            Some(_) => is_tree.then(|| live.insert((layer, key))).is_some(),
            None => live.remove(&(layer, key)),
        };
        if !is_possible {
            continue;
        }
        let id = i64::try_from(revisions.len()).unwrap() + 1;
        let after = value.map(|it| json!(it));
        revisions.push(Revision {
            id,
            at: format!("2026-05-01T12:00:00.{id:03}Z"),
            actor: format!("actor {id}"),
            channel: "api".to_owned(),
            kind: "edit".to_owned(),
            reason: (id % 2 == 0).then(|| format!("reason {id}")),
            changes: vec![Change { layer: layer.to_owned(), key: key.to_owned(), after }],
        });
    }
    let layers = vec!["base".to_owned(), "site".to_owned()];
    Truth { epochs: vec![Epoch { name: EPOCH.to_owned(), layers, revisions }] }
}

/// What an ideal service tells a client: `steps` says how many revisions at a time, and what
/// comes in between.
fn told(truth: &Truth, wants: &Wants, start: i64, steps: &[(i64, u8)]) -> History {
    let epoch = truth.newest();
    let all = epoch.settings(wants);
    let at = |revision: i64| &all[usize::try_from(revision).unwrap()];
    let mut history = History::of("ideal", wants);
    let start = start.min(epoch.last());
    history.connected(None);
    history.heard(json!({"type": "Welcome"}));
    history.heard(reload(start, "hello", at(start)));
    let (mut looked, mut held) = (start, start);
    let rest = std::iter::once((epoch.last(), 0));
    for (count, then) in steps.iter().copied().chain(rest) {
        let to = (looked + count).min(epoch.last());
        looked = to;
        if at(held) != at(to) {
            history.heard(change(epoch, held, to, at(held), at(to)));
            held = to;
        }
        match then {
            0 => {
                history.heard(json!({"type": "Ping", "revision": looked}));
                held = looked;
            }
            1 | 2 => {
                let asked = Position { epoch: EPOCH.to_owned(), revision: held };
                history.connected(Some(asked));
                history.heard(json!({"type": "Welcome"}));
                looked = held;
                if then == 1 && held < epoch.last() {
                    looked = (held + 2).min(epoch.last());
                    held = looked;
                    history.heard(reload(held, "resync", at(held)));
                }
            }
            _ => {}
        }
    }
    history
}

fn reload(revision: i64, reason: &str, settings: &Settings) -> Value {
    let settings: Vec<&Value> = settings.values().map(|it| &**it).collect();
    json!({"type": "SettingsReloaded", "epoch": EPOCH, "revision": revision,
        "namespace": "default", "reason": reason, "settings": settings})
}

fn change(epoch: &Epoch, from: i64, to: i64, before: &Settings, after: &Settings) -> Value {
    let Revision { at, actor, channel, kind, reason, .. } = epoch.revision(to);
    let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let keys = keys.into_iter().filter(|it| before.get(*it) != after.get(*it));
    let changes = keys.map(|key| match after.get(key) {
        Some(setting) => json!({"key": key, "setting": **setting}),
        None => json!({"key": key}),
    });
    let mut frame = json!({"type": "SettingsBatchChanged", "after": from, "epoch": EPOCH,
        "revision": to, "namespace": "default", "changes": changes.collect::<Vec<_>>(),
        "at": at, "actor": actor, "channel": channel, "kind": kind});
    if let Some(reason) = reason {
        frame["reason"] = json!(reason);
    }
    frame
}

/// Makes a frame untrue. None if there is nothing in it that could be made so.
fn alter(frame: &mut Value, how: usize) -> Option<()> {
    let is_change = frame["type"] == "SettingsBatchChanged";
    let list = if is_change { "changes" } else { "settings" };
    let first = frame[list].as_array()?.first().cloned();
    let setting = if is_change { "/changes/0/setting" } else { "/settings/0" };
    match how {
        0 => *frame.pointer_mut(&format!("{setting}/value"))? = json!("another"),
        1 => *frame.pointer_mut(&format!("{setting}/revision"))? = json!(0),
        2 => *frame.pointer_mut(&format!("{setting}/updated_by"))? = json!("mallory"),
        3 => *frame.pointer_mut(&format!("{setting}/layer"))? = json!("other"),
        4 => drop(frame[list].as_array_mut()?.pop()?),
        5 => frame[list].as_array_mut()?.push(first?),
        6 => frame[list].as_array_mut()?.push(json!({"key": "made.up", "value": 1})),
        7 => frame["epoch"] = json!("e0"),
        8 if is_change => frame["revision"] = json!(frame["revision"].as_i64()? + 1),
        9 if is_change => frame["after"] = json!(frame["after"].as_i64()? - 1),
        10 if is_change => frame["actor"] = json!("mallory"),
        11 if is_change => frame["reason"] = json!("another"),
        12 => frame["namespace"] = json!("other"),
        _ => return None,
    }
    Some(())
}

/// A log, what somebody wants, and what they are told.
fn histories() -> impl Strategy<Value = (Truth, History)> {
    let edit = (0..LAYERS.len(), 0..KEYS.len(), prop::option::weighted(0.8, 0..3_i64));
    let edits = prop::collection::vec(edit, 1..40);
    let wants = prop::sample::select(vec![
        Wants::of(&[], None),
        Wants::of(&["a.**"], None),
        Wants::of(&["*.x", "b"], None),
        Wants::of(&[], Some("ann")),
        Wants::of(&["a.**"], Some("ann")),
    ]);
    let steps = prop::collection::vec((1..6_i64, 0..6_u8), 0..12);
    (edits, wants, 0..6_i64, steps).prop_map(|(edits, wants, start, steps)| {
        let truth = truth(edits);
        let history = told(&truth, &wants, start, &steps);
        (truth, history)
    })
}

/// Where the frames about settings are.
fn frames_about_settings(history: &History) -> Vec<(usize, usize)> {
    let connections = history.connections.iter().enumerate();
    let all = connections.flat_map(|(number, it)| (0..it.frames.len()).map(move |at| (number, at)));
    let is_told = |(number, at): &(usize, usize)| {
        let kind = history.connections[*number].frames[*at]["type"].as_str().unwrap().to_owned();
        kind.starts_with("Settings")
    };
    all.filter(is_told).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_true_history_is_taken((truth, history) in histories()) {
        prop_assert_eq!(check(&truth, &history), Ok(()));
    }

    #[test]
    fn a_history_without_one_of_its_frames_is_refused(
        (truth, mut history) in histories(),
        which: prop::sample::Index,
    ) {
        let (number, at) = *which.get(&frames_about_settings(&history));
        let lost = history.connections[number].frames.remove(at);
        // To be told all of what one has already tells nothing.
        prop_assume!(lost["reason"] != "resync");
        prop_assert!(check(&truth, &history).is_err());
    }

    #[test]
    fn a_history_with_a_frame_twice_is_refused(
        (truth, mut history) in histories(),
        which: prop::sample::Index,
    ) {
        let (number, at) = *which.get(&frames_about_settings(&history));
        let frames = &mut history.connections[number].frames;
        frames.insert(at, frames[at].clone());
        prop_assert!(check(&truth, &history).is_err());
    }

    #[test]
    fn a_history_with_two_frames_swapped_is_refused(
        (truth, mut history) in histories(),
        which: prop::sample::Index,
    ) {
        let all = frames_about_settings(&history);
        let follows = |&(number, at): &(usize, usize)| all.contains(&(number, at + 1));
        let swappable: Vec<_> = all.iter().copied().filter(follows).collect();
        prop_assume!(!swappable.is_empty());
        let (number, at) = *which.get(&swappable);
        history.connections[number].frames.swap(at, at + 1);
        prop_assert!(check(&truth, &history).is_err());
    }

    #[test]
    fn a_history_with_an_altered_frame_is_refused(
        (truth, mut history) in histories(),
        which: prop::sample::Index,
        how in 0..13_usize,
    ) {
        let (number, at) = *which.get(&frames_about_settings(&history));
        prop_assume!(alter(&mut history.connections[number].frames[at], how).is_some());
        prop_assert!(check(&truth, &history).is_err());
    }

    #[test]
    fn a_history_that_ends_early_is_refused((truth, mut history) in histories()) {
        let is_news = |it: &Value| !matches!(it["type"].as_str(), Some("Welcome" | "Ping"));
        let frames = &mut history.connections.last_mut().unwrap().frames;
        prop_assume!(frames.iter().any(is_news));
        while frames.pop().is_some_and(|it| !is_news(&it)) {}
        prop_assert!(check(&truth, &history).is_err());
    }
}

/// A client that is told of two revisions over two connections.
fn small() -> (Truth, History) {
    let truth = truth(vec![(0, 0, Some(1)), (0, 0, Some(2))]);
    let history = told(&truth, &Wants::default(), 1, &[(0, 1)]);
    (truth, history)
}

#[test]
fn a_client_that_asks_for_less_than_it_has_is_refused() {
    let (truth, mut history) = small();
    assert_eq!(check(&truth, &history), Ok(()));

    history.connections[1].asked.as_mut().unwrap().revision = 0;

    let fault = check(&truth, &history).unwrap_err();
    assert!(fault.starts_with("connection 1, frame 0: it asks for what comes after"), "{fault}");
}

#[test]
fn a_ping_that_leads_past_something_untold_is_refused() {
    let (truth, mut history) = small();
    history.connections[0].frames.push(json!({"type": "Ping", "revision": 2}));

    let fault = check(&truth, &history).unwrap_err();

    assert!(fault.starts_with("connection 0, frame 2: a.x is {"), "{fault}");
}

#[test]
fn a_ping_that_leads_back_is_refused() {
    let (truth, mut history) = small();
    history.heard(json!({"type": "Ping", "revision": 1}));

    assert!(check(&truth, &history).unwrap_err().contains("it leads back from"));
}

#[test]
fn a_client_that_is_not_welcomed_once_and_first_is_refused() {
    let (truth, history) = small();
    let (mut never, mut twice) = (history.clone(), history);
    never.connections[0].frames.remove(0);
    twice.connections[0].frames.insert(0, json!({"type": "Welcome"}));

    assert!(check(&truth, &never).unwrap_err().contains("not welcomed first"));
    assert!(check(&truth, &twice).unwrap_err().contains("welcomed twice"));
}

#[test]
fn what_comes_after_an_error_is_refused() {
    let (truth, mut history) = small();
    history.connections[0].frames.insert(1, json!({"type": "Error"}));

    assert!(check(&truth, &history).unwrap_err().contains("something comes after the error"));
}

#[test]
fn a_client_that_is_taken_back_to_an_earlier_epoch_is_refused() {
    let (mut truth, mut history) = small();
    truth.epochs.insert(0, Epoch { name: "e0".to_owned(), ..truth.epochs[0].clone() });
    let asked = Position { epoch: EPOCH.to_owned(), revision: 2 };
    history.connected(Some(asked));
    history.heard(json!({"type": "Welcome"}));
    let settings = truth.newest().settings(&history.wants);
    let mut frame = reload(2, "resync", &settings[2]);
    frame["epoch"] = json!("e0");
    history.heard(frame);

    assert!(check(&truth, &history).unwrap_err().contains("it is taken back from"));
}
