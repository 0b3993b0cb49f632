//! Archives of other versions.

use std::fs;

use super::{archive, assert_sound, ready, settings};
use crate::world::{World, text};

on_both![
    a_database_of_an_older_version_is_backed_up_as_it_is_and_restores_into_this_one,
    a_backup_comes_before_the_steps_of_a_newer_version,
    a_backup_before_steps_of_an_older_version_is_recorded_as_the_first_is,
    where_no_backup_can_be_taken_no_step_runs,
    an_archive_of_a_newer_version_is_refused,
    a_manifest_with_something_else_in_it_is_told_without_words_of_a_library,
    an_archive_of_a_newer_format_is_refused,
];

fn a_database_of_an_older_version_is_backed_up_as_it_is_and_restores_into_this_one(world: &World) {
    ready(world);
    // The tables that later steps made are gone, with what is in them.
    world.ok(&["database", "down", "--steps", "2", "--yes"]);
    let before = settings(world);
    world.ok(&["backup", "create", "old"]);
    let listed = world.run(&["backup", "list"]).stderr;
    assert!(listed.starts_with("what is known of them cannot be told: "), "{listed}");
    assert!(listed.ends_with("was made by an older Setpoint: it is 2 steps behind\n"), "{listed}");
    world.ok(&["database", "up"]);
    world.ok(&["set", "new", "true"]);

    world.ok(&["backup", "restore", "old", "--yes"]);

    assert_eq!(settings(world), before);
    let listed = world.json(&["backup", "list"]);
    let old = listed.as_array().unwrap().iter().find(|it| it["name"] == "old").unwrap();
    let steps = old["steps"].as_array().unwrap().len();
    assert_eq!(steps, world.json(&["database", "status"])["applied"].as_array().unwrap().len() - 2);
    assert_sound(world);
}

fn a_backup_comes_before_the_steps_of_a_newer_version(world: &World) {
    assert_eq!(world.json(&["database", "up"])["backup"], serde_json::Value::Null);
    ready(world);
    let before = settings(world);
    world.ok(&["database", "down", "--steps", "1", "--yes"]);

    let done = world.json(&["database", "up"]);

    assert_eq!(done["steps"], 1);
    let listed = world.json(&["backup", "list"]);
    let kinds: Vec<_> = listed.as_array().unwrap().iter().map(|it| text(&it["kind"])).collect();
    assert_eq!(kinds, ["pre-migration", "pre-migration"]);
    assert_eq!(listed[1]["name"], done["backup"]);
    assert_ne!(listed[1]["verified_at"], serde_json::Value::Null);
    assert_eq!(settings(world), before);
    assert_eq!(world.json(&["database", "up"])["backup"], serde_json::Value::Null);
    assert_sound(world);
}

fn a_backup_before_steps_of_an_older_version_is_recorded_as_the_first_is(world: &World) {
    ready(world);
    let first = world.json(&["database", "down", "--yes"])["backup"].clone();
    let second = world.json(&["database", "down", "--yes"])["backup"].clone();
    world.ok(&["backup", "create", "older"]);

    let third = world.json(&["database", "up"])["backup"].clone();

    let listed = world.json(&["backup", "list"]);
    let listed = listed.as_array().unwrap();
    let names: Vec<_> = listed.iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, [first, second, "older".into(), third]);
    for one in listed {
        assert_ne!(one["verified_at"], serde_json::Value::Null, "{one}");
    }
}

fn where_no_backup_can_be_taken_no_step_runs(world: &World) {
    ready(world).ok(&["database", "down", "--no-backup", "--yes"]);
    // A file where the folder has to be.
    drop(fs::remove_dir_all(world.path("backups")));
    world.write("backups", "");

    let refusal = world.refusal(&["database", "up"]);

    assert!(refusal.starts_with("1 file::unwritable; "), "{refusal}");
    let missing = world.json(&["database", "status"]);
    assert_eq!(missing["pending"].as_array().unwrap().len(), 1);
    assert_eq!(world.json(&["database", "up", "--no-backup"])["steps"], 1);
}

/// Writes the archive `first` again as `other`, with a manifest that says something else.
fn say(world: &World, from: &str, to: &str) {
    let mut bytes = fs::read(archive(world, "first")).unwrap();
    let slot = &mut bytes[512..512 + 16 * 1024];
    let text = String::from_utf8(slot.to_vec()).unwrap();
    assert!(text.contains(from), "{text}");
    let mut said = text.replacen(from, to, 1).trim_end().to_owned().into_bytes();
    said.resize(slot.len(), b' ');
    slot.copy_from_slice(&said);
    let sum = setpoint_ops::hash::of_bytes(slot);
    // The last file is that sum, before the two empty blocks.
    let at = bytes.len() - 1024 - 512;
    bytes[at..at + 64].copy_from_slice(&sum.as_bytes()[7..]);
    fs::write(archive(world, "other"), bytes).unwrap();
}

fn an_archive_of_a_newer_version_is_refused(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    say(world, "_backup\"", "_backup\", \"m20991231_000001_flying\"");

    let refusal = world.refusal(&["backup", "restore", "other", "--yes"]);

    insta::assert_snapshot!(refusal, @"1 backup::newer; backup `other` was made by a newer Setpoint: it has the step m20991231_000001_flying; nothing was changed; use that Setpoint");
    assert_eq!(world.revision(), 5);
}

fn a_manifest_with_something_else_in_it_is_told_without_words_of_a_library(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    say(world, "\"pinned\": false", "\"pinned\": false,\n  \"name\": \"x\"");

    let problem = &world.json(&["backup", "list"])[0]["problem"];
    let refusals = [["backup", "restore"], ["backup", "verify"]]
        .map(|command| world.refusal(&[&command[..], &["other"]].concat()));

    assert_eq!(problem, "its manifest is not one that we write, at its line 8");
    let told = format!("1 backup::damaged; backup `other` is damaged: {}; ", text(problem));
    assert!(refusals.iter().all(|it| it.starts_with(&told)), "{refusals:?}");
}

fn an_archive_of_a_newer_format_is_refused(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    say(world, "\"format\": 1", "\"format\": 3, \"more\": []");

    let refusal = world.refusal(&["backup", "verify", "other"]);

    insta::assert_snapshot!(refusal, @"1 backup::newer; backup `other` was made by a newer Setpoint: it has format 3; nothing was changed; use that Setpoint");
    let listed = world.json(&["backup", "list"]);
    assert_eq!(
        listed[0]["problem"],
        "backup `other` was made by a newer Setpoint: it has format 3"
    );
}
