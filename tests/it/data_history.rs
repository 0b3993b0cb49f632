//! Versions of one file, replayed in order, with edits by a user between them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use setpoint_importers::{Key, TypedValue};
use setpoint_ops::import::Choices;
use setpoint_ops::plan::Class;

use crate::data::{data, meaning};
use crate::model::settings::{Settings, keys_of};
use crate::table::Table;
use crate::world::{World, fixture, text};

on_both![
    a_history_without_edits_ends_as_its_last_version,
    a_history_loses_no_edit_and_reports_exactly_the_conflicts,
    a_real_history_without_edits_ends_as_its_last_version,
    a_real_history_loses_no_edit_and_reports_exactly_the_conflicts,
];

/// A version of the file and what it says.
type Version = (Vec<u8>, Settings);

/// The versions in a folder, the oldest first.
fn versions(folder: &Path) -> Vec<Version> {
    let files = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = files.map(|it| it.unwrap().path()).collect();
    files.sort();
    let read = |bytes: Vec<u8>| (bytes.clone(), meaning("settings.yaml", &bytes));
    files.iter().map(|it| read(fs::read(it).unwrap())).collect()
}

fn ours() -> Vec<Version> {
    versions(&fixture("visualiser/history"))
}

fn real() -> Option<Vec<Version>> {
    Some(versions(&data()?.join("visionflow/history")))
}

fn a_history_without_edits_ends_as_its_last_version(world: &World) {
    let versions = ours();
    migrate_all(world, &versions);

    assert_eq!(live(world), versions.last().unwrap().1);
}

fn a_history_loses_no_edit_and_reports_exactly_the_conflicts(world: &World) {
    let (lost, conflicts) = replay_with_edits(world, &ours());

    assert!(lost.is_empty() && conflicts > 2, "{conflicts}, {lost:?}");
}

fn a_real_history_without_edits_ends_as_its_last_version(world: &World) {
    let Some(versions) = real() else { return };
    migrate_all(world, &versions);

    assert_eq!(live(world), versions.last().unwrap().1);
}

fn a_real_history_loses_no_edit_and_reports_exactly_the_conflicts(world: &World) {
    let Some(versions) = real() else { return };
    // Edits go to any of its keys, also to those that look like secrets.
    world.write("setpoint.toml", "[namespaces.default]\npublic = [\"**\"]\n");

    let (lost, conflicts) = replay_with_edits(world, &versions);

    assert!(lost.is_empty() && conflicts > 20, "{conflicts}, {lost:?}");
}

fn migrate_all(world: &World, versions: &[Version]) {
    for (bytes, _) in versions {
        world.write("settings.yaml", bytes);
        world.ok(&["migrate", "settings.yaml"]);
    }
}

fn live(world: &World) -> Settings {
    meaning("x.json", world.ok(&["export", "--format", "json"]).as_bytes())
}

/// Migrates all versions, with edits before each but the first, and compares each with the
/// table. Gives the edits that were lost, and how many conflicts there were.
fn replay_with_edits(world: &World, versions: &[Version]) -> (Vec<Key>, usize) {
    let mut table = Table::default();
    let mut edits = BTreeMap::new();
    let mut conflicts = 0;
    for (at, (bytes, file)) in versions.iter().enumerate() {
        world.write("settings.yaml", bytes);
        let plan = world.json(&["migrate", "settings.yaml", "--dry-run"]);
        let planned = plan["changes"].as_array().unwrap().iter();
        let planned: BTreeMap<&str, &str> =
            planned.map(|it| (text(&it["key"]), text(&it["class"]))).collect();
        table.file = file.clone();
        let expected = table.migrate(&Choices::default(), false).unwrap();
        // Nothing was chosen: all of them stay open.
        let open = keys_of(&expected, &[Class::Conflict]).len();
        conflicts += open;
        let names: BTreeMap<&str, &str> =
            expected.iter().map(|(key, class)| (key.as_str(), name(*class))).collect();
        assert_eq!(planned, names, "version {}", at + 1);

        let status = world.run(&["migrate", "settings.yaml"]).status;
        assert_eq!(status, if open > 0 { 2 } else { 0 }, "version {}", at + 1);
        assert_eq!(live(world), table.live, "version {}", at + 1);

        if let Some((_, next)) = versions.get(at + 1) {
            edits.extend(edits_between(&table, file, next, at));
            edit(world, &mut table, &edits);
        }
    }
    let is_lost = |key: &Key, value: &Option<TypedValue>| table.live.get(key) != value.as_ref();
    let lost = edits.iter().filter(|(key, value)| is_lost(key, value));
    (lost.map(|it| it.0.clone()).collect(), conflicts)
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
    let mut document = String::new();
    for (key, value) in edits {
        match value {
            Some(value) => {
                // TOML writes texts, numbers, booleans and lists of them as JSON does.
                writeln!(document, "{key} = {}", value.text()).unwrap();
                table.live.insert(key.clone(), value.clone());
            }
            None if table.live.remove(key).is_some() => {
                world.ok(&["unset", key.as_str()]);
            }
            None => {}
        }
    }
    let ran = world.run_with(&["import", "-", "--format", "toml"], &document);
    assert_eq!(ran.status, 0, "{ran}\n{document}");
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
