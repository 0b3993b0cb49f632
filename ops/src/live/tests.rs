//! The snapshot against the plain way to the same answer: look at every layer, each time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use proptest::prelude::*;
use serde_json::Value;
use setpoint_importers::{Key, TypedValue};

use super::news::{Moved, News};
use super::policy::{Policy, Space};
use super::snapshot::{Entry, Snapshot, View};
use crate::secret::Rules;
use crate::setting::{Scope, Setting, highest};

const LAYERS: [&str; 4] = ["base", "site", "machine", "user:ann"];

/// Keys of which some stand above others.
const KEYS: [&str; 7] = ["a", "a.b", "a.b.c", "a.c", "b", "b.\"x.y\"", "c"];

/// A key of a layer gets a value, or loses it.
type Step = (usize, usize, Option<i64>);

fn policy() -> Arc<Policy> {
    let layers = LAYERS[..3].iter().map(|it| (*it).to_owned()).collect();
    let space = Space { layers, secrets: Rules::default(), schema: None };
    Arc::new(Policy::new(HashMap::from([("n".to_owned(), space)])))
}

fn setting(layer: &str, key: &str, value: i64, revision: i64) -> Setting {
    let value = TypedValue::from(Value::from(value));
    Setting {
        namespace: "n".to_owned(),
        layer: layer.to_owned(),
        key: Key::parse(key).unwrap(),
        value_type: value.value_type(),
        value: value.json,
        format: None,
        revision,
        updated_at: String::new(),
        updated_by: String::new(),
    }
}

fn news(id: i64, moved: Vec<Moved>) -> News {
    News {
        id,
        at: String::new(),
        actor: String::new(),
        channel: String::new(),
        kind: String::new(),
        reason: None,
        moved,
        effective: Vec::new(),
        rendered: OnceLock::new(),
        refused: Vec::new(),
    }
}

/// Leaves out what would make a layer no tree, as every writer does.
fn is_tree(live: &BTreeMap<(usize, usize), Setting>, step: &Step) -> bool {
    let key = Key::parse(KEYS[step.1]).unwrap();
    step.2.is_none()
        || live
            .iter()
            .filter(|it| it.0.0 == step.0 && it.0.1 != step.1)
            .all(|(_, other)| !key.starts_with(&other.key) && !other.key.starts_with(&key))
}

proptest! {
    #[test]
    fn what_is_advanced_is_what_would_be_loaded(
        steps in prop::collection::vec((0..LAYERS.len(), 0..KEYS.len(), prop::option::of(0..3_i64)), 0..60)
    ) {
        let mut snapshot = Snapshot::empty("e".into(), 0, policy()).filled(Vec::new(), []);
        let mut live = BTreeMap::new();
        let mut told = BTreeMap::<String, Setting>::new();
        let mut revision = 0;
        for step in steps {
            if !is_tree(&live, &step) {
                continue;
            }
            revision += 1;
            let (layer, key) = (LAYERS[step.0], KEYS[step.1]);
            let after = step.2.map(|value| setting(layer, key, value, revision));
            match &after {
                Some(setting) => live.insert((step.0, step.1), setting.clone()),
                None => live.remove(&(step.0, step.1)),
            };
            let moved = Moved {
                namespace: "n".into(),
                layer: layer.into(),
                key: Key::parse(key).unwrap(),
                after: after.map(|it| Arc::new(Entry::new(it))),
            };
            snapshot.advance(news(revision, vec![moved]));

            let all = || live.values().cloned();
            let scope = |layers: &[&str]| Scope {
                namespace: "n".to_owned(),
                layers: layers.iter().map(|it| (*it).to_owned()).collect(),
            };
            let declared = all().filter(|it| it.layer != LAYERS[3]);
            let expected = highest(&scope(&LAYERS[..3]), declared);
            let listed = |view| -> Vec<Setting> {
                snapshot.list("n", view, None, None).map(|it| it.setting.clone()).collect()
            };
            prop_assert_eq!(listed(View::Effective), expected.clone());
            prop_assert_eq!(listed(View::User("ann")), highest(&scope(&LAYERS), all()));
            for key in KEYS {
                let key = Key::parse(key).unwrap();
                for view in [View::Effective, View::User("ann"), View::Layer("site")] {
                    let one = snapshot.get("n", view, key.as_str()).map(|it| &it.setting);
                    let of_list = listed(view).into_iter().find(|it| it.key == key);
                    prop_assert_eq!(one, of_list.as_ref());
                    let below = snapshot.list("n", view, Some(&key), None);
                    let below: Vec<Setting> = below.map(|it| it.setting.clone()).collect();
                    let mut wanted = listed(view);
                    wanted.retain(|it| it.key.starts_with(&key));
                    prop_assert_eq!(below, wanted);
                }
            }

            // Whoever takes the news has the same.
            for one in snapshot.since(revision - 1).unwrap().flat_map(|it| &it.effective) {
                match &one.entry {
                    Some(entry) => told.insert(one.key.to_string(), entry.setting.clone()),
                    None => told.remove(one.key.as_str()),
                };
            }
            prop_assert_eq!(told.values().cloned().collect::<Vec<_>>(), expected);
        }
        let loaded = Snapshot::empty("e".into(), revision, policy())
            .filled(live.into_values().collect(), []);
        let listed = |of: &Snapshot| -> Vec<Setting> {
            of.list("n", View::Effective, None, None).map(|it| it.setting.clone()).collect()
        };
        prop_assert_eq!(listed(&loaded), listed(&snapshot));
    }
}

#[test]
fn a_page_goes_on_where_the_one_before_ended() {
    let settings = ["a", "a-b", "a.b", "a0", "b"].map(|it| setting("base", it, 1, 1));
    let snapshot = Snapshot::empty("e".into(), 1, policy()).filled(settings.to_vec(), []);
    let prefix = Key::parse("a").unwrap();

    let after = |it| -> Vec<&str> {
        let found = snapshot.list("n", View::Effective, Some(&prefix), it);
        found.map(|it| it.setting.key.as_str()).collect()
    };

    assert_eq!(after(None), ["a", "a.b"]);
    assert_eq!(after(Some("a")), ["a.b"]);
    assert_eq!(after(Some("a-b")), ["a.b"]);
    assert_eq!(after(Some("a.b")), [""; 0]);
    assert_eq!(after(Some("0")), ["a", "a.b"]);
}

#[test]
fn only_recent_revisions_are_kept() {
    let mut snapshot = Snapshot::empty("e".into(), 0, policy()).filled(Vec::new(), []);
    for id in 1..=9_000 {
        snapshot.advance(news(id, Vec::new()));
    }

    assert!(snapshot.since(0).is_none());
    assert_eq!(snapshot.since(8_999).map(Iterator::count), Some(1));
    assert_eq!(snapshot.since(9_000).map(Iterator::count), Some(0));
    assert!(snapshot.since(9_001).is_none());
}
