//! The real files of two applications, where they lie beside the project: one changed value is
//! one changed line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};
use setpoint_importers::{Key, TypedValue};

use super::{diff, following};
use crate::data::{data, meaning};
use crate::world::World;

/// Of each type as many keys are changed.
const KEYS_OF_A_TYPE: usize = 4;

/// Another value of the same type.
fn another(value: &Value) -> Value {
    match value {
        Value::Bool(it) => json!(!it),
        Value::Number(it) if it.is_i64() => json!(it.as_i64().unwrap() + 7),
        Value::Number(it) => json!(it.as_f64().unwrap() + 0.25),
        Value::String(it) => json!(format!("{it}x")),
        Value::Array(items) if !items.is_empty() => {
            let mut items = items.clone();
            *items.last_mut().unwrap() = another(items.last().unwrap());
            Value::Array(items)
        }
        other => panic!("{other} has no other of its type"),
    }
}

/// Some keys of each type: the first, the last and those between at equal distances.
fn chosen(meaning: BTreeMap<Key, TypedValue>) -> Vec<(Key, Value)> {
    let mut by_type = BTreeMap::<&str, Vec<(Key, Value)>>::new();
    for (key, value) in meaning {
        by_type.entry(value.value_type().as_str()).or_default().push((key, value.json));
    }
    let some = by_type.into_values().flat_map(|keys| {
        let last = keys.len() - 1;
        let places: BTreeSet<usize> =
            (0..KEYS_OF_A_TYPE).map(|it| it * last / (KEYS_OF_A_TYPE - 1)).collect();
        places.into_iter().map(move |it| keys[it].clone())
    });
    some.collect()
}

/// Changes each of the chosen values; `is_plain` says which keys stand in the file by themselves.
#[track_caller]
fn assert_one_line_changes(file: &str, is_plain: impl Fn(&Key) -> bool) {
    let Some(data) = data() else { return };
    let text = fs::read_to_string(data.join(file)).unwrap();
    let name = file.rsplit('/').next().unwrap();
    let mut plain = meaning(name, text.as_bytes());
    plain.retain(|key, value| {
        let is_empty = value.json == json!([]) || value.json == json!({}) || value.json.is_null();
        is_plain(key) && !is_empty
    });
    let world = World::sqlite();
    following(&world, name, &text, "");
    let chosen = chosen(plain);
    assert!(chosen.len() > KEYS_OF_A_TYPE, "{chosen:?}");

    for (key, value) in chosen {
        let before = world.read(name);
        let value = another(&value);
        let typed = match &value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        world.ok(&["set", key.as_str(), "--", &typed]);

        let diff = diff(&world, &before, name);
        let marks: String = diff.lines().map(|it| it.chars().next().unwrap_or(' ')).collect();
        assert_eq!(marks.trim_start_matches(|c: char| c.is_ascii_digit()), "<->", "{key}:\n{diff}");
        let says = meaning(name, world.read(name).as_bytes());
        assert_eq!(says[&key].json, value, "{key}");
    }
    world.ok(&["drift"]);
}

#[test]
fn one_value_of_the_settings_is_one_line() {
    assert_one_line_changes("visionflow/settings.yaml", |_| true);
}

#[test]
fn one_value_of_the_developer_configuration_is_one_line() {
    assert_one_line_changes("visionflow/dev_config.toml", |_| true);
}

/// What templates bring into other maps, or is brought from there, is no value of its own.
#[test]
fn one_value_of_the_coach_mapping_is_one_line() {
    assert_one_line_changes("coachiq/2021_Entegra_Aspire_44R.yml", |key| {
        let plain = ["coach_info", "dgn_pairs", "interface_requirements"];
        plain.contains(&&*key.segments().next().unwrap())
    });
}
