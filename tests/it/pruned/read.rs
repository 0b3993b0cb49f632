//! What is told of a history that is not whole.

use insta::assert_snapshot;

use super::{assert_sound, past, pruned};
use crate::world::World;

on_both![
    a_moment_is_told_as_before_or_not_at_all,
    differences_are_told_as_before_or_not_at_all,
    what_a_removed_revision_did_is_not_taken_back,
    lists_say_that_they_are_not_whole,
    what_explains_a_value_says_that_earlier_changes_were_removed,
    who_gave_live_settings_their_values_is_told_as_before,
    a_key_that_was_deleted_is_new_when_sql_inserts_it,
    a_file_that_follows_catches_up_over_what_was_removed,
];

fn a_moment_is_told_as_before_or_not_at_all(world: &World) {
    past(world);
    let at = |moment: i64| world.run(&["list", "--at", &moment.to_string(), "--json"]);
    let before: Vec<_> = (0..=11).map(|it| at(it).json()).collect();

    world.ok(&["audit", "prune", "--yes"]);

    for (moment, before) in (0..).zip(before) {
        let ran = at(moment);
        match moment {
            2..=8 => assert_eq!(ran.problem()["code"], "history::pruned", "{moment}: {ran}"),
            _ => assert_eq!(ran.json(), before, "{moment}"),
        }
    }
    for command in [["export", "--at", "5"], ["get", "a", "--at=5"]] {
        assert!(world.refusal(&command).contains("history::pruned"), "{command:?}");
    }
    assert_snapshot!(world.refusal(&["list", "--at", "5"]), @"1 history::pruned; part of what was live at revision 5 was removed by retention on 2026-05-01T12:00:00.000Z; a backup from before holds it: `setpoint backup list` has those that are left");
}

fn differences_are_told_as_before_or_not_at_all(world: &World) {
    past(world);
    let pairs = || (0..=11_i64).flat_map(|a| (0..=11_i64).map(move |b| [a, b]));
    let diff = |pair: [i64; 2]| {
        let [from, to] = pair.map(|it| it.to_string());
        world.run(&["diff", &from, &to, "--json"])
    };
    let asked: Vec<_> = pairs().filter(|[a, b]| (a * 7 + b * 5) % 4 == 0).collect();
    let before: Vec<_> = asked.iter().map(|it| diff(*it).json()).collect();

    world.ok(&["audit", "prune", "--yes"]);

    for (pair, before) in asked.into_iter().zip(before) {
        let ran = diff(pair);
        let (low, high) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
        match [2, 3, 5, 6, 7].iter().any(|it| (low + 1..=high).contains(it)) {
            true => assert_eq!(ran.problem()["code"], "history::pruned", "{pair:?}: {ran}"),
            false => assert_eq!(ran.json(), before, "{pair:?}"),
        }
    }
    assert_snapshot!(world.refusal(&["diff", "1"]), @"1 history::pruned; part of what happened between revisions 1 and 12 was removed by retention on 2026-05-01T12:00:00.000Z; a backup from before holds it: `setpoint backup list` has those that are left");
}

fn what_a_removed_revision_did_is_not_taken_back(world: &World) {
    pruned(world);

    let refused = [&["revert", "5"][..], &["revert", "--to", "4"]].map(|it| world.refusal(it));

    assert_snapshot!(refused.join("\n"), @r"
    1 history::pruned; revision 5 was removed by retention on 2026-05-01T12:00:00.000Z; a backup from before holds it: `setpoint backup list` has those that are left
    1 history::pruned; part of what happened between revisions 4 and 12 was removed by retention on 2026-05-01T12:00:00.000Z; a backup from before holds it: `setpoint backup list` has those that are left
    ");
    world.ok(&["revert", "--to", "9"]);
    assert_eq!((world.get("a").as_str(), world.get("b").as_str()), ("4", "3"));
    assert_sound(world);
}

fn lists_say_that_they_are_not_whole(world: &World) {
    pruned(world);

    let told = [&["history"][..], &["history", "a"], &["audit", "log"]];

    for command in told {
        let ran = world.run(command);
        assert_eq!(ran.stderr, "retention has removed 5 revisions, the newest of them 7\n");
    }
}

fn what_explains_a_value_says_that_earlier_changes_were_removed(world: &World) {
    past(world);
    assert!(!world.ok(&["explain", "a"]).contains("retention"));

    world.ok(&["audit", "prune", "--yes"]);

    assert!(world.ok(&["explain", "a"]).ends_with(
        "\nretention has removed revisions up to 7 of the history, see revision 12: earlier \
         changes may be missing here\n"
    ));
    let removed = &world.json(&["explain", "a"])["removed"];
    let told = ["revisions", "last", "removed_by"].map(|it| removed[it].to_string());
    assert_eq!(told, ["5", "7", "12"]);
    assert!(removed["removed_at"].is_string());
}

fn who_gave_live_settings_their_values_is_told_as_before(world: &World) {
    past(world);
    let told = || ["a", "b"].map(|it| world.json(&["explain", it])["effective"].clone());
    let before = told();

    world.ok(&["audit", "prune", "--yes"]);

    assert_eq!(told(), before);
    assert_eq!(world.json(&["explain", "c"])["layers"][0]["state"], "deleted-here");
}

fn a_key_that_was_deleted_is_new_when_sql_inserts_it(world: &World) {
    pruned(world);
    let insert = "INSERT INTO setting (namespace, layer, key, value, value_type) VALUES";

    world.sql(&format!("{insert} ('default', 'base', 'c', '7', 'integer')"));
    world.sql(&format!("{insert} ('default', 'base', 'd', '7', 'integer')"));

    let sql = "SELECT key, action, before FROM change WHERE revision > 12 ORDER BY revision";
    assert_eq!(world.sql(sql), "c|add|\nd|add|");
    assert_sound(world);
}

fn a_file_that_follows_catches_up_over_what_was_removed(world: &World) {
    let revisions = "[revisions]\nkeep_last = 1\n";
    world.write("setpoint.toml", revisions);
    world.migrate("a: 1\nb: 1\nc: 1\n");
    for edit in [&["set", "b", "2"][..], &["unset", "c"], &["set", "d", "1"], &["unset", "d"]] {
        world.ok(edit);
    }
    world.ok(&["set", "e", "1"]);
    world.ok(&["set", "b", "3"]);
    world.ok(&["backup", "create", "first"]);
    world.ok(&["audit", "prune", "--yes"]);

    let follows = "[[source]]\npath = 'settings.yaml'\nwrite_back = true\n";
    world.write("setpoint.toml", format!("{revisions}{follows}"));
    world.ok(&["set", "a", "2"]);

    assert_eq!(world.read("settings.yaml"), "a: 2\nb: 3\ne: 1\n");
}
