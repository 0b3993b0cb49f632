//! A file that changed: what an update would do, and whether there is one.

use insta::assert_snapshot;
use serde_json::json;

use super::{everything, refused, settings};
use crate::world::World;

on_both![
    a_dry_run_shows_what_an_update_does_to_each_key,
    a_dry_run_says_as_json_where_each_side_came_from,
    a_dry_run_changes_nothing,
    a_conflict_with_a_deletion_shows_the_side_that_is_gone,
    reseed_takes_the_source_that_is_named_and_no_other,
    reseed_without_a_name_takes_every_source,
    reseed_refuses_a_source_that_nobody_knows,
    check_tells_whether_an_update_is_available_and_takes_none,
    check_says_it_as_json,
    check_tells_of_a_source_that_was_never_imported,
];

/// An update for edited, plain, gone and new.a; same was deleted and own.x made here.
fn update(world: &World) {
    world.migrate("edited: 1\nplain: 1\ngone: 1\nsame: 1\n");
    world.ok(&["set", "edited", "2"]);
    world.ok(&["set", "own.x", "hi"]);
    world.ok(&["unset", "same"]);
    world.write("settings.yaml", "# new\nedited: 3\nplain: 3\nsame: 1\nnew: {a: true}\n");
}

fn a_dry_run_shows_what_an_update_does_to_each_key(world: &World) {
    update(world);

    assert_snapshot!(world.run(&["migrate", "settings.yaml", "--dry-run"]), @r#"
    status 0
    -- stdout
    namespace default, layer base
      ! edited
          ours   2  (revision 2 by ann)
          theirs 3  (settings.yaml:2:9)
          base   1  (was settings.yaml:1:9)
      - gone = 1
      + new.a = true
      = own.x = "hi" (kept)
      ~ plain = 1 -> 3
      = same (stays deleted)
    1 added, 1 updated, 1 deleted, 2 kept, 1 conflict
    "#);
}

fn a_dry_run_says_as_json_where_each_side_came_from(world: &World) {
    update(world);
    let mut plan = world.json(&["migrate", "settings.yaml", "--dry-run"]);
    let conflict = &mut plan["changes"][0];
    conflict["provenance"]["live"].as_object_mut().unwrap().remove("at").unwrap();

    assert_eq!(
        *conflict,
        json!({
            "namespace": "default", "layer": "base", "key": "edited", "class": "conflict",
            "seed": 1, "seed_type": "integer",
            "before": 2, "before_type": "integer",
            "after": 3, "after_type": "integer",
            "origin": {"file": "settings.yaml", "line": 2, "column": 9},
            "provenance": {
                "seed": {"file": "settings.yaml", "line": 1, "column": 9},
                "live": {"revision": 2, "actor": "ann"},
            },
        })
    );
}

fn a_dry_run_changes_nothing(world: &World) {
    update(world);
    let before = everything(world);

    world.ok(&["migrate", "settings.yaml", "--dry-run"]);
    world.ok(&["reseed", "settings.yaml", "--dry-run"]);

    assert!(everything(world) == before);
}

fn a_conflict_with_a_deletion_shows_the_side_that_is_gone(world: &World) {
    world.migrate("here: 1\nthere: 1\n");
    world.ok(&["unset", "here"]);
    world.ok(&["set", "there", "2"]);
    world.write("settings.yaml", "here: 3\n");

    assert_snapshot!(world.ok(&["migrate", "settings.yaml", "--dry-run"]), @r"
    namespace default, layer base
      ! here
          ours   (none)
          theirs 3  (settings.yaml:1:7)
          base   1  (was settings.yaml:1:7)
      ! there
          ours   2  (revision 3 by ann)
          theirs (none)
          base   1  (was settings.yaml:2:8)
    2 conflicts
    ");
}

/// Two declared sources, both with an update.
fn two_updates(world: &World) {
    world.write("setpoint.toml", "[[source]]\npath = \"a.yaml\"\n[[source]]\npath = \"b.yaml\"\n");
    world.write("a.yaml", "a: 1\n");
    world.write("b.yaml", "b: 1\n");
    world.ok(&["migrate"]);
    world.write("a.yaml", "a: 2\n");
    world.write("b.yaml", "b: 2\n");
}

fn reseed_takes_the_source_that_is_named_and_no_other(world: &World) {
    two_updates(world);
    world.ok(&["reseed", "b.yaml"]);

    assert_eq!(settings(world), "a = 1, b = 2");
}

fn reseed_without_a_name_takes_every_source(world: &World) {
    two_updates(world);
    world.ok(&["reseed"]);

    assert_eq!(settings(world), "a = 2, b = 2");
}

fn reseed_refuses_a_source_that_nobody_knows(world: &World) {
    two_updates(world);

    assert_snapshot!(refused(world, &["reseed", "c.yaml"]), @"1 source::unknown; there is no source c.yaml; known are: a.yaml, b.yaml");
}

fn check_tells_whether_an_update_is_available_and_takes_none(world: &World) {
    two_updates(world);
    world.write("a.yaml", "# the same\na:   1\n");
    let available = world.run(&["reseed", "--check"]);
    let none = world.run(&["reseed", "a.yaml", "--check"]);

    assert_snapshot!(format!("{available}\n{none}\n{}", settings(world)), @r"
    status 2
    -- stdout
    SOURCE  NAMESPACE  LAYER  STATE
    a.yaml  default    base   up to date
    b.yaml  default    base   update available
    status 0
    -- stdout
    SOURCE  NAMESPACE  LAYER  STATE
    a.yaml  default    base   up to date
    a = 1, b = 1
    ");
}

fn check_says_it_as_json(world: &World) {
    two_updates(world);
    let ran = world.run(&["reseed", "b.yaml", "--check", "--json"]);
    let said = ran.json();
    let states = said["sources"].as_array().unwrap().iter().map(|it| it["status"].clone());

    assert_eq!(
        (ran.status, &said["update_available"], states.collect::<Vec<_>>()),
        (2, &json!(true), vec![json!("changed")])
    );
}

fn check_tells_of_a_source_that_was_never_imported(world: &World) {
    two_updates(world);
    world.ok(&["reseed"]);
    let toml = world.read("setpoint.toml") + "[[source]]\npath = \"c.yaml\"\n";
    world.write("setpoint.toml", toml);
    world.write("c.yaml", "c: 1\n");

    assert_snapshot!(world.run(&["reseed", "--check"]), @r"
    status 2
    -- stdout
    SOURCE  NAMESPACE  LAYER  STATE
    a.yaml  default    base   up to date
    b.yaml  default    base   up to date
    c.yaml  default    base   never imported
    ");
}
