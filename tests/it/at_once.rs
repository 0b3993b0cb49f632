//! Several processes at the same time.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::world::World;

on_both![
    edits_of_different_keys_at_once_are_all_there,
    edits_of_one_key_at_once_follow_each_other,
    two_first_migrates_at_once_make_one_revision,
    two_migrates_of_a_changed_file_at_once_make_one_revision,
    edits_in_sql_and_here_at_once_are_all_there,
];

/// Starts all commands, then waits for all. The status of each.
fn all_at_once(world: &World, commands: &[Vec<String>]) -> BTreeSet<i32> {
    let started: Vec<_> = commands
        .iter()
        .map(|it| world.start(&it.iter().map(String::as_str).collect::<Vec<_>>()))
        .collect();
    let ended = started.into_iter().map(|it| {
        let ran = world.end(it);
        assert_eq!(ran.status, 0, "{ran}");
        ran.status
    });
    ended.collect()
}

fn set(key: &str, value: usize) -> Vec<String> {
    ["set", key, &value.to_string()].map(str::to_owned).to_vec()
}

/// The ids of all revisions, the newest first.
fn revisions(world: &World) -> Vec<i64> {
    let history = world.json(&["history"]);
    history.as_array().unwrap().iter().map(|it| it["id"].as_i64().unwrap()).collect()
}

fn whole(world: &World) -> bool {
    world.run(&["verify"]).status == 0
}

fn edits_of_different_keys_at_once_are_all_there(world: &World) {
    world.migrate("a: 1\n");
    let commands: Vec<_> = (0..12).map(|it| set(&format!("key.number_{it}"), it)).collect();
    all_at_once(world, &commands);

    let list = world.json(&["list", "--prefix", "key"]);
    let mut values: Vec<i64> =
        list.as_array().unwrap().iter().map(|it| it["value"].as_i64().unwrap()).collect();
    values.sort_unstable();
    let expected = ((0..12).collect(), (1..=13).rev().collect(), true);
    assert_eq!((values, revisions(world), whole(world)), expected);
}

fn edits_of_one_key_at_once_follow_each_other(world: &World) {
    world.migrate("a: 0\n");
    let commands: Vec<_> = (1..=4).map(|it| set("a", it)).collect();
    all_at_once(world, &commands);

    // Each change starts from what the one before it left.
    let history = world.json(&["history", "a"]);
    let changes: Vec<(&Value, &Value)> =
        history.as_array().unwrap().iter().map(|it| (&it["after"], &it["before"])).collect();
    let follows = changes.windows(2).all(|pair| pair[0].1 == pair[1].0);
    assert_eq!((follows, revisions(world), whole(world)), (true, vec![5, 4, 3, 2, 1], true));
}

fn migrate() -> Vec<String> {
    vec!["migrate".to_owned(), "settings.yaml".to_owned()]
}

fn two_first_migrates_at_once_make_one_revision(world: &World) {
    world.write("settings.yaml", "a: 1\nb: 2\n");
    all_at_once(world, &[migrate(), migrate()]);

    assert_eq!((revisions(world), whole(world)), (vec![1], true));
}

fn two_migrates_of_a_changed_file_at_once_make_one_revision(world: &World) {
    world.migrate("a: 1\n");
    world.write("settings.yaml", "a: 2\nb: 2\n");
    all_at_once(world, &[migrate(), migrate()]);

    assert_eq!((revisions(world), whole(world)), (vec![2, 1], true));
}

fn edits_in_sql_and_here_at_once_are_all_there(world: &World) {
    world.migrate("a: 0\nb: 0\n");
    let children: Vec<_> = (1..=4).map(|it| world.start(&["set", "a", &it.to_string()])).collect();
    for value in 1..=4 {
        world.sql(&format!("UPDATE setting SET value = '{value}' WHERE key = 'b'"));
    }
    for child in children {
        let ran = world.end(child);
        assert_eq!(ran.status, 0, "{ran}");
    }

    let expected = ("4".to_owned(), (1..=9).rev().collect(), true);
    assert_eq!((world.get("b"), revisions(world), whole(world)), expected);
}
