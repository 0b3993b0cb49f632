//! Which backups stay.

use insta::assert_snapshot;
use serde_json::Value;

use super::{archive, ready};
use crate::world::{World, text};

on_both![
    what_no_rule_keeps_is_removed_and_the_rest_says_why_it_stays,
    without_a_policy_nothing_is_removed,
    what_is_damaged_does_not_count_and_the_newest_good_one_stays,
];

const KEEP_ONE: &str = "[backups.retention]\nkeep_last = 1\n";

fn with_backups<'w>(world: &'w World, policy: &str) -> &'w World {
    ready(world).write("setpoint.toml", policy);
    world.ok(&["backup", "create", "one", "--pin"]);
    for name in ["two", "three", "four"] {
        world.ok(&["backup", "create", name]);
    }
    world
}

fn names(world: &World) -> Vec<String> {
    let listed = world.json(&["backup", "list"]);
    listed.as_array().unwrap().iter().map(|it| text(&it["name"]).to_owned()).collect()
}

fn decided(told: &Value) -> String {
    let line = |it: &Value| format!("{} {}", text(&it["name"]), it["reasons"]);
    told.as_array().unwrap().iter().map(line).collect::<Vec<_>>().join("\n")
}

fn what_no_rule_keeps_is_removed_and_the_rest_says_why_it_stays(world: &World) {
    let planned = with_backups(world, KEEP_ONE).json(&["backup", "prune", "--dry-run"]);

    assert_snapshot!(decided(&planned), @r#"
    four ["last backup","newest backup","newest verified backup"]
    three []
    two []
    one ["pinned"]
    "#);
    assert_eq!(names(world), ["one", "two", "three", "four"]);

    let refused = world.refusal(&["backup", "prune"]);
    assert!(refused.contains("--yes"), "{refused}");
    assert_eq!(decided(&world.json(&["backup", "prune", "--yes"])), decided(&planned));
    assert_eq!(names(world), ["one", "four"]);
    assert_eq!(world.sql("SELECT name FROM backup ORDER BY name"), "four\none");
}

fn without_a_policy_nothing_is_removed(world: &World) {
    let refused = with_backups(world, "").refusal(&["backup", "prune", "--yes"]);

    assert!(refused.contains("retention::none"), "{refused}");
    assert_eq!(names(world).len(), 4);
}

fn what_is_damaged_does_not_count_and_the_newest_good_one_stays(world: &World) {
    with_backups(world, KEEP_ONE);
    let path = archive(world, "four");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(world.run(&["backup", "verify", "four"]).status, 1);

    let planned = world.json(&["backup", "prune", "--yes"]);

    assert_eq!(names(world), ["four", "one", "three"], "{planned}");
    assert_eq!(world.run(&["backup", "restore", "three", "--yes"]).status, 0);
}
