//! Ten real versions of one file, replayed in order, with edits by a user between them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use setpoint_importers::{Key, TypedValue};
use setpoint_ops::import::Strategy;
use setpoint_ops::plan::Class;

use crate::data::{data, meaning};
use crate::table::{Settings, Table};
use crate::world::{World, text};

on_both![
    a_real_history_without_edits_ends_as_its_last_version,
    a_real_history_loses_no_edit_and_reports_exactly_the_conflicts,
];

/// The versions, the oldest first, each with its bytes and what it says.
fn versions() -> Vec<(Vec<u8>, Settings)> {
    let Some(data) = data() else { return Vec::new() };
    let mut files: Vec<_> = fs::read_dir(data.join("visionflow/history"))
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    files.sort();
    let read = |bytes: Vec<u8>| (bytes.clone(), meaning("settings.yaml", &bytes));
    files.iter().map(|it| read(fs::read(it).unwrap())).collect()
}

fn live(world: &World) -> Settings {
    meaning("x.json", world.ok(&["export", "--format", "json"]).as_bytes())
}

fn a_real_history_without_edits_ends_as_its_last_version(world: &World) {
    let versions = versions();
    let Some((_, last)) = versions.last() else { return };
    for (bytes, _) in &versions {
        world.write("settings.yaml", bytes);
        world.ok(&["migrate", "settings.yaml"]);
    }

    assert_eq!(live(world), *last);
}

fn a_real_history_loses_no_edit_and_reports_exactly_the_conflicts(world: &World) {
    let versions = versions();
    let mut table = Table::default();
    let mut edits = BTreeMap::new();
    let mut conflicts = 0;
    for (at, (bytes, file)) in versions.iter().enumerate() {
        world.write("settings.yaml", bytes);
        let plan = world.json(&["migrate", "settings.yaml", "--dry-run"]);
        let planned = plan["changes"].as_array().unwrap().iter();
        let planned: BTreeMap<&str, &str> =
            planned.map(|it| (text(&it["key"]), text(&it["class"]))).collect();
        let expected = table.migrate(file, Strategy::Ask);
        let open = expected.values().filter(|it| **it == Class::Conflict).count();
        conflicts += open;
        let names: BTreeMap<&str, &str> =
            expected.iter().map(|(key, class)| (key.as_str(), name(*class))).collect();
        assert_eq!(planned, names, "version {}", at + 1);

        let status = world.run(&["migrate", "settings.yaml"]).status;
        assert_eq!(status, if open > 0 { 2 } else { 0 }, "version {}", at + 1);
        assert_eq!(live(world), table.live, "version {}", at + 1);

        if let Some((_, next)) = versions.get(at + 1) {
            for (key, value) in edits_between(&table, file, next, at) {
                edits.insert(key, value);
            }
            edit(world, &mut table, &edits);
        }
    }

    let lost: Vec<&Key> = edits
        .iter()
        .filter(|(key, value)| table.live.get(*key) != value.as_ref())
        .map(|it| it.0)
        .collect();
    assert!(lost.is_empty() && (versions.is_empty() || conflicts > 20), "{conflicts}, {lost:?}");
}

/// What a user does before the next version comes: to keys that it changes, removes and adds,
/// to one it leaves alone, and to one of the user's own. A key without a value is unset.
fn edits_between(
    table: &Table,
    file: &Settings,
    next: &Settings,
    at: usize,
) -> Vec<(Key, Option<TypedValue>)> {
    let ours = |what: &str| Some(TypedValue::from(serde_json::json!(format!("{what} {at}"))));
    let untouched = |key: &&Key| table.live.get(*key) == file.get(*key);
    let free = |key: &Key| !table.live.keys().any(|it| it.starts_with(key) || key.starts_with(it));
    let changed = file
        .keys()
        .filter(untouched)
        .filter(|key| next.get(*key).is_some_and(|it| *it != file[*key]));
    let changed: Vec<&Key> = changed.collect();
    let removed: Vec<&Key> =
        file.keys().filter(untouched).filter(|key| !next.contains_key(*key)).collect();
    let added: Vec<&Key> =
        next.keys().filter(|key| !file.contains_key(*key) && free(key)).collect();
    let same = file.keys().filter(untouched).filter(|key| next.get(*key) == file.get(*key));

    let mut edits = vec![(Key::parse(&format!("own.edit_{at}")).unwrap(), ours("own"))];
    let mut push = |key: Option<&&Key>, value| edits.extend(key.map(|it| ((*it).clone(), value)));
    push(changed.first(), ours("changed"));
    push(changed.get(1), changed.get(1).map(|it| next[*it].clone()));
    push(changed.get(2), None);
    push(removed.first(), ours("removed"));
    push(removed.get(1), None);
    push(added.first(), ours("added"));
    push(added.get(1), added.get(1).map(|it| next[*it].clone()));
    push(same.clone().nth(at).as_ref(), ours("same"));
    push(same.clone().nth(at + 20).as_ref(), None);
    edits
}

/// Brings `edits` to the world and to the table.
fn edit(world: &World, table: &mut Table, edits: &BTreeMap<Key, Option<TypedValue>>) {
    let mut document = String::from("{");
    for (key, value) in edits {
        match value {
            Some(value) => {
                table.live.insert(key.clone(), value.clone());
            }
            None if table.live.remove(key).is_some() => {
                world.ok(&["unset", key.as_str()]);
            }
            None => {}
        }
    }
    let set: Vec<(Key, TypedValue)> =
        edits.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
    document.clear();
    for (key, value) in &set {
        writeln!(document, "{key} = {}", toml_text(value)).unwrap();
    }
    let ran = world.run_with(&["import", "-", "--format", "toml"], &document);
    assert_eq!(ran.status, 0, "{ran}\n{document}");
}

/// TOML writes texts, numbers, booleans and arrays of them as JSON does.
fn toml_text(value: &TypedValue) -> String {
    value.text()
}

fn name(class: Class) -> &'static str {
    match class {
        Class::Add => "add",
        Class::Update => "update",
        Class::Delete => "delete",
        Class::Keep => "keep",
        Class::Converge => "converge",
        Class::Conflict => "conflict",
    }
}
