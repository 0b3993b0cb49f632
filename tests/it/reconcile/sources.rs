//! Sources that are not what they were, or not alone with their keys.

use std::fs;
use std::os::unix::fs::symlink;

use insta::assert_snapshot;
use tempfile::TempDir;

use super::{drift, refused, settings};
use crate::world::World;

on_both![
    a_source_that_vanished_stops_the_migration,
    a_source_that_became_a_folder_stops_the_migration,
    a_source_that_became_a_link_out_of_its_root_stops_the_migration,
    a_folder_that_became_a_link_out_of_its_root_stops_the_migration,
    a_link_that_stays_inside_is_followed,
    what_is_out_of_reach_does_not_hold_up_the_others,
    nothing_is_written_through_a_link_out_of_the_root,
    two_sources_that_claim_one_key_are_refused,
    two_sources_one_above_the_other_are_refused,
    a_source_that_claims_the_key_of_another_is_refused,
    a_key_goes_to_another_source_with_its_edit,
];

/// a.yaml and conf/b.yaml, both declared and imported; a.yaml has an update.
fn declared(world: &World) {
    let paths = ["a.yaml", "conf/b.yaml"].map(|it| format!("[[source]]\npath = \"{it}\"\n"));
    world.write("setpoint.toml", paths.concat());
    world.write("a.yaml", "a: 1\n");
    world.write("conf/b.yaml", "b: 1\n");
    world.ok(&["migrate"]);
    world.write("a.yaml", "a: 2\n");
}

fn elsewhere() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("b.yaml"), "b: 5\n").unwrap();
    folder
}

/// How each way of importing is refused, and that drift tells of it too.
#[track_caller]
fn assert_named(world: &World, code: &str, told: &str) {
    for arguments in
        [&["migrate"][..], &["migrate", "--dry-run"], &["reseed"], &["reseed", "conf/b.yaml"]]
    {
        let refusal = refused(world, arguments);
        assert!(refusal.starts_with(code) && refusal.contains("conf"), "{arguments:?}: {refusal}");
    }
    assert_eq!(drift(world), told);
}

fn a_source_that_vanished_stops_the_migration(world: &World) {
    declared(world);
    fs::remove_file(world.path("conf/b.yaml")).unwrap();

    assert_named(world, "1 file::unreadable", "conf/b.yaml: file-missing, a: update-available");
}

fn a_source_that_became_a_folder_stops_the_migration(world: &World) {
    declared(world);
    fs::remove_file(world.path("conf/b.yaml")).unwrap();
    world.write("conf/b.yaml/c.yaml", "b: 7\n");

    assert_named(
        world,
        "1 file::unreadable",
        "conf/b.yaml: file-unreadable, conf/b.yaml/c.yaml: import-unknown, a: update-available",
    );
}

fn a_source_that_became_a_link_out_of_its_root_stops_the_migration(world: &World) {
    declared(world);
    let elsewhere = elsewhere();
    fs::remove_file(world.path("conf/b.yaml")).unwrap();
    symlink(elsewhere.path().join("b.yaml"), world.path("conf/b.yaml")).unwrap();

    assert_named(world, "1 source::outside", "conf/b.yaml: file-unreadable, a: update-available");
}

fn a_folder_that_became_a_link_out_of_its_root_stops_the_migration(world: &World) {
    declared(world);
    let elsewhere = elsewhere();
    fs::remove_dir_all(world.path("conf")).unwrap();
    symlink(elsewhere.path(), world.path("conf")).unwrap();

    assert_named(world, "1 source::outside", "conf/b.yaml: file-unreadable, a: update-available");
}

fn a_link_that_stays_inside_is_followed(world: &World) {
    declared(world);
    fs::remove_file(world.path("conf/b.yaml")).unwrap();
    world.write("real/b.yaml", "b: 7\n");
    symlink("../real/b.yaml", world.path("conf/b.yaml")).unwrap();
    world.ok(&["migrate"]);

    assert_eq!(settings(world), "a = 2, b = 7");
}

fn what_is_out_of_reach_does_not_hold_up_the_others(world: &World) {
    declared(world);
    fs::remove_file(world.path("conf/b.yaml")).unwrap();
    world.ok(&["reseed", "a.yaml"]);

    assert_eq!(settings(world), "a = 2, b = 1");
}

fn nothing_is_written_through_a_link_out_of_the_root(world: &World) {
    declared(world);
    world.ok(&["set", "b", "9"]);
    let elsewhere = elsewhere();
    fs::remove_file(world.path("conf/b.yaml")).unwrap();
    symlink(elsewhere.path().join("b.yaml"), world.path("conf/b.yaml")).unwrap();
    world.run(&["adopt", "b"]);
    world.run(&["adopt", "--all"]);

    assert_eq!(fs::read_to_string(elsewhere.path().join("b.yaml")).unwrap(), "b: 5\n");
}

fn two_sources_that_claim_one_key_are_refused(world: &World) {
    world.write("one.yaml", "a: 1\nb: 1\n");
    world.write("two.yaml", "c: 1\nb: 1\na: 2\n");

    assert_snapshot!(refused(world, &["migrate", "one.yaml", "two.yaml"]), @r"
    1 source::claimed_twice; two sources have the same key:
    `a` of default: one.yaml:1:4 and two.yaml:3:4
    `b` of default: one.yaml:2:4 and two.yaml:2:4; nothing was changed; give one source another `prefix`, `layer` or `namespace` in setpoint.toml; where keys moved from one file to another, migrate both together, or take the old file away
    ");
}

fn two_sources_one_above_the_other_are_refused(world: &World) {
    world.write("one.yaml", "a: 1\n");
    world.write("two.yaml", "a: {b: 1}\n");
    let refusal = refused(world, &["migrate", "one.yaml", "two.yaml"]);

    let claim = "`a.b` of default: one.yaml:1:4 and two.yaml:1:8";
    assert!(refusal.starts_with("1 source::claimed_twice") && refusal.contains(claim), "{refusal}");
}

fn a_source_that_claims_the_key_of_another_is_refused(world: &World) {
    declared(world);
    world.write("a.yaml", "a: 2\nb: 3\n");
    let claim = "`b` of default: conf/b.yaml and a.yaml:2:4";

    for arguments in [&["migrate"][..], &["reseed", "a.yaml"], &["drift"]] {
        let refusal = refused(world, arguments);
        assert!(
            refusal.starts_with("1 source::claimed_twice") && refusal.contains(claim),
            "{refusal}"
        );
    }
}

fn a_key_goes_to_another_source_with_its_edit(world: &World) {
    declared(world);
    world.ok(&["set", "b", "9"]);
    world.write("a.yaml", "a: 2\nb: 1\n");
    world.write("conf/b.yaml", "c: 1\n");
    world.ok(&["migrate"]);

    assert_eq!(
        (settings(world).as_str(), drift(world).as_str()),
        ("a = 2, b = 9, c = 1", "b: edited-here")
    );
}

/// What `validate` says of the declared files.
fn validate(world: &World) -> String {
    let before = world.files();
    let ran = world.run(&["validate"]);
    assert!(world.files() == before, "{ran}");
    ran.to_string()
}

#[test]
fn validate_finds_nothing_wrong_without_a_database() {
    let world = World::sqlite();
    world.write("setpoint.toml", "[[source]]\npath = \"a.yaml\"\n[[source]]\npath = \"c.toml\"\n");
    world.write("a.yaml", "a: 1\nb: {c: 1}\n");
    world.write("c.toml", "d = 1\n");

    assert_snapshot!(validate(&world), @r"
    status 0
    -- stdout
    2 files, 3 settings: all right
    ");
}

#[test]
fn validate_tells_of_files_that_cannot_be_read_as_what_they_are() {
    let world = World::sqlite();
    world.write("a.yaml", "a: 1\na: 2\n");
    world.write("c.toml", "d = \n");
    let ran = world.run(&["validate", "a.yaml", "c.toml", "--json"]);
    let related = ran.problem()["related"].clone();
    let places = related.as_array().unwrap().iter().map(|it| {
        let fault = &it["faults"][0];
        format!("{}:{}", fault["file"].as_str().unwrap(), fault["line"])
    });

    assert_eq!(
        (ran.status, places.collect::<Vec<_>>().join(" ")),
        (2, "a.yaml:2 c.toml:1".to_owned())
    );
}

#[test]
fn validate_tells_of_sources_that_do_not_fit_together() {
    let world = World::sqlite();
    world.write("a.yaml", "a: 1\n");
    world.write("c.toml", "a = 1\n");
    let ran = world.run(&["validate", "a.yaml", "c.toml", "--json"]);

    assert_eq!((ran.status, ran.problem()["code"].as_str()), (2, Some("source::claimed_twice")));
}

#[test]
fn validate_tells_of_a_mapping_that_does_not_fit() {
    let world = World::sqlite();
    let toml = "[[source]]\npath = \"a.yaml\"\nrename = { a = \"n\", b = \"n\" }\n";
    world.write("setpoint.toml", toml);
    world.write("a.yaml", "a: 1\nb: 1\n");
    let ran = world.run(&["validate", "--json"]);

    assert_eq!((ran.status, ran.problem()["code"].as_str()), (2, Some("source::mapping")));
}

#[test]
fn validate_fails_without_its_files() {
    let world = World::sqlite();
    let ran = world.run(&["validate", "gone.yaml", "--json"]);

    assert_eq!((ran.status, ran.problem()["code"].as_str()), (1, Some("file::unreadable")));
}
