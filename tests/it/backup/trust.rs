//! What the database knows of its backups, and what it takes for its own.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;

use super::{archive, ready};
use crate::world::{World, text};

on_both![
    what_another_database_keeps_in_the_same_folder_stays_and_takes_no_place,
    what_was_restored_from_is_not_taken_for_ones_own,
    what_is_from_before_a_restore_is_still_ones_own,
    what_is_not_in_the_record_stays_until_it_is_read_back,
    a_pin_is_that_of_the_archive_and_not_of_one_that_had_its_name,
    another_archive_in_its_place_is_not_verified,
];

const KEEP_ONE: &str = "[backups.retention]\nkeep_last = 1\n";

fn recorded(world: &World) -> String {
    world.sql("SELECT name FROM backup ORDER BY name").replace('\n', " ")
}

fn reasons(world: &World) -> String {
    let decided = world.json(&["backup", "prune", "--yes"]);
    let line = |it: &Value| format!("{} {}", text(&it["name"]), it["reasons"]);
    decided.as_array().unwrap().iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Another database with the backup `theirs`, whose archive lies in the folder of `world` too.
fn theirs(world: &World) {
    let other = World::sqlite();
    ready(&other).ok(&["backup", "create", "theirs"]);
    world.write("backups/theirs.setpoint.tar", fs::read(archive(&other, "theirs")).unwrap());
}

fn what_another_database_keeps_in_the_same_folder_stays_and_takes_no_place(world: &World) {
    ready(world).write("setpoint.toml", KEEP_ONE);
    world.ok(&["backup", "create", "one"]);
    world.ok(&["backup", "create", "two"]);
    theirs(world);

    let verified = world.run(&["backup", "verify", "--all"]);

    assert_eq!(verified.status, 0);
    let said = "theirs is not in the record of this database, as its history is not\n";
    assert_eq!(verified.stderr, said);
    assert_snapshot!(reasons(world), @r#"
    theirs ["unknown to this database"]
    two ["last backup","newest backup","newest verified backup"]
    one []
    "#);
    assert!(archive(world, "theirs").exists() && !archive(world, "one").exists());
    assert_eq!(recorded(world), "two");
    assert_snapshot!(world.refusal(&["backup", "unpin", "theirs"]), @"1 backup::not_recorded; this database does not know backup `theirs`; nothing was changed; `setpoint backup verify theirs` records it if it is of this database's history; if it is not, no rule removes it, and `setpoint backup remove --force theirs` does (over HTTP force=true)");
    world.ok(&["backup", "remove", "--force", "theirs", "--yes"]);
}

fn what_was_restored_from_is_not_taken_for_ones_own(world: &World) {
    theirs(world);
    world.ok(&["backup", "restore", "theirs", "--yes"]);
    world.write("setpoint.toml", KEEP_ONE);
    world.ok(&["backup", "create", "one"]);

    let verified = world.run(&["backup", "verify", "--all"]);

    assert_eq!(verified.status, 0);
    let said = "theirs is not in the record of this database, as its history is not\n";
    assert_eq!(verified.stderr, said);
    assert_snapshot!(reasons(world), @r#"
    one ["last backup","newest backup","newest verified backup"]
    theirs ["unknown to this database"]
    "#);
    assert_eq!(recorded(world), "one");
}

fn what_is_from_before_a_restore_is_still_ones_own(world: &World) {
    ready(world).ok(&["backup", "create", "one"]);
    world.ok(&["backup", "create", "two"]);
    world.ok(&["set", "new", "true"]);
    world.ok(&["backup", "restore", "one", "--yes"]);
    world.sql("DELETE FROM backup WHERE name = 'two'");
    world.write("setpoint.toml", KEEP_ONE);

    world.ok(&["backup", "verify", "two"]);

    assert!(recorded(world).ends_with(" two"));
    world.ok(&["backup", "prune", "--yes"]);
    assert!(!archive(world, "one").exists() && !archive(world, "two").exists());
}

fn what_is_not_in_the_record_stays_until_it_is_read_back(world: &World) {
    ready(world).write("setpoint.toml", KEEP_ONE);
    world.ok(&["backup", "create", "one"]);
    world.ok(&["backup", "create", "two"]);
    world.sql("DELETE FROM backup WHERE name = 'one'");

    assert!(reasons(world).ends_with("one [\"unknown to this database\"]"));
    world.ok(&["backup", "verify", "one"]);

    assert!(reasons(world).ends_with("one []"));
    assert!(!archive(world, "one").exists());
}

fn a_pin_is_that_of_the_archive_and_not_of_one_that_had_its_name(world: &World) {
    ready(world);
    for (first, second) in [(&[][..], &["--pin"][..]), (&["--pin"], &[])] {
        world.ok(&[&["backup", "create", "x"], first].concat());
        fs::remove_file(archive(world, "x")).unwrap();
        world.ok(&[&["backup", "create", "x"], second].concat());

        let is_pinned = !second.is_empty();
        assert_eq!(world.json(&["backup", "list"])[0]["pinned"], is_pinned);
        let pinned = world.sql("SELECT count(pinned_at) FROM backup");
        assert_eq!(pinned, if is_pinned { "1" } else { "0" });
        fs::remove_file(archive(world, "x")).unwrap();
        world.sql("DELETE FROM backup");
    }
}

fn another_archive_in_its_place_is_not_verified(world: &World) {
    ready(world).write("setpoint.toml", KEEP_ONE);
    world.ok(&["backup", "create", "one"]);
    world.ok(&["backup", "create", "two"]);
    fs::copy(archive(world, "one"), archive(world, "two")).unwrap();

    assert_eq!(world.json(&["backup", "list"])[1]["verified_at"], Value::Null);
    assert_snapshot!(reasons(world), @r#"
    two ["not the archive that this database knows by its name"]
    one ["last backup","newest backup","newest verified backup"]
    "#);
}
