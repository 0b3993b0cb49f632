//! Revisions that retention has removed: what stays, what is told of the rest, and that the chain
//! goes on over it.

use insta::assert_snapshot;
use serde_json::json;

use crate::world::World;

mod random;
mod read;
mod restored;
mod served;
mod tampered;

on_both![
    what_no_rule_keeps_is_removed_and_the_rest_says_why_it_stays,
    what_is_removed_is_sealed_into_the_chain_and_a_second_time_nothing_goes,
    without_a_verified_backup_of_this_history_nothing_is_removed,
    without_a_policy_or_somebody_to_ask_nothing_is_removed,
    several_at_once_and_others_who_write_leave_a_history_that_holds_together,
    a_job_removes_backups_and_revisions_and_tells_both,
    a_plan_that_may_have_been_applied_before_is_refused,
    the_last_good_value_of_a_key_that_is_kept_out_stays,
    steps_that_hold_what_is_left_of_removed_revisions_stay,
];

/// Eleven revisions, nine of them in a backup, under a policy that keeps two.
fn past(world: &World) -> &World {
    world.write("setpoint.toml", "[revisions]\nkeep_last = 2\n");
    world.migrate("a: 1\nb: 1\nc: 1\n");
    world.ok(&["set", "a", "2"]);
    world.ok(&["set", "b", "2"]);
    world.ok(&["unset", "c"]);
    world.ok(&["set", "a", "3"]);
    world.ok(&["set", "d", "1"]);
    world.ok(&["unset", "d"]);
    world.ok(&["set", "b", "3"]);
    world.ok(&["set", "a", "4"]);
    world.ok(&["backup", "create", "first"]);
    world.ok(&["set", "a", "5"]);
    world.ok(&["set", "b", "4"]);
    world
}

/// The same after revisions 2, 3 and 5 to 7 were removed, by revision 12.
fn pruned(world: &World) -> &World {
    past(world).ok(&["audit", "prune", "--yes"]);
    world
}

#[track_caller]
fn assert_sound(world: &World) {
    for command in [&["audit", "verify"][..], &["verify"]] {
        let ran = world.run(command);
        assert_eq!(ran.status, 0, "{ran}");
    }
}

/// The numbers of all revisions that are there.
fn numbers(world: &World) -> String {
    world.sql("SELECT id FROM revision ORDER BY id").replace('\n', " ")
}

fn what_no_rule_keeps_is_removed_and_the_rest_says_why_it_stays(world: &World) {
    let dry = past(world).run(&["audit", "prune", "--dry-run"]);

    assert_snapshot!(dry, @r"
    status 0
    -- stdout
    REVISIONS  CHANGES         BECAUSE
    1          3        stays  a file was imported with it
    2-3        2        goes
    4          1        stays  deleted what another set
    5-7        3        goes
    8          1        stays  earlier moments are told by it
    9          1        stays  earlier moments are told by it, a backup ends with it
    10         1        stays  last revision, in no verified backup of this history
    11         1        stays  newest revision, last revision, in no verified backup of this history
    ");
    assert_eq!(numbers(world), "1 2 3 4 5 6 7 8 9 10 11");
    let told = world.json(&["audit", "prune", "--yes"]);
    assert_eq!((&told["removed_by"], &told["horizon"]), (&json!([12]), &json!(9)), "{told}");
    assert_eq!(told["backup"]["name"], "first");
    assert_eq!(numbers(world), "1 4 8 9 10 11 12");
}

fn what_is_removed_is_sealed_into_the_chain_and_a_second_time_nothing_goes(world: &World) {
    pruned(world);

    let verified = world.run(&["audit", "verify"]);
    let top = &world.json(&["history", "--limit", "1"])[0];
    let again = world.run(&["audit", "prune", "--yes"]);

    assert_snapshot!(verified, @r"
    status 0
    -- stdout
    the history of 12 revisions holds together, 5 of them removed by retention
    sha256:[hash]
    ");
    let said = ["id", "kind", "actor", "channel", "reason"].map(|it| top[it].to_string()).join(" ");
    assert_snapshot!(said, @r#"12 "retention" "ann" "cli" "revisions removed: 5, from 2 to 7, with 5 changes""#);
    assert_eq!((again.status, world.revision()), (0, 12), "{again}");
    world.ok(&["set", "a", "6"]);
    assert_sound(world);
}

fn without_a_verified_backup_of_this_history_nothing_is_removed(world: &World) {
    past(world).sql("UPDATE backup SET verified_at = NULL");
    let ran = world.run(&["audit", "prune", "--yes"]);
    let told = ran.stdout.lines().nth(1).unwrap();
    assert!(told.contains("in no verified backup of this history"), "{ran}");
    assert!(ran.stderr.contains("no verified backup of this history holds any"), "{ran}");

    // Of another history it tells nothing.
    world.ok(&["backup", "verify", "first"]);
    world.ok(&["backup", "restore", "first", "--at", "5", "--yes"]);
    assert_eq!(world.run(&["audit", "prune", "--yes"]).status, 0);
    assert_eq!((numbers(world).as_str(), world.revision()), ("1 2 3 4 5 6", 6));
}

fn without_a_policy_or_somebody_to_ask_nothing_is_removed(world: &World) {
    let asked = past(world).refusal(&["audit", "prune"]);
    world.write("setpoint.toml", "");
    let none = world.refusal(&["audit", "prune", "--yes"]);
    world.write("setpoint.toml", "[revisions]\nkeep_last = 0\n");
    let nothing = world.refusal(&["audit", "prune", "--yes"]);
    world.write("setpoint.toml", "");

    assert_snapshot!([asked, none, nothing].join("\n"), @r#"
    1 confirm::nobody; Remove 5 revisions? Nobody is here to ask; nothing was changed; add --yes if it is meant
    1 retention::no_revisions; it is not declared which revisions stay; nothing was removed; declare it in setpoint.toml, as in [revisions] keep_within = "2y"
    1 config::invalid; `revisions` in setpoint.toml: keeps nothing: say what to keep, as in keep_within = "2y"; mend it there; nothing was done
    "#);
    assert_eq!(world.revision(), 11);
}

fn several_at_once_and_others_who_write_leave_a_history_that_holds_together(world: &World) {
    past(world);
    let prune = || world.start(&["audit", "prune", "--yes"]);
    let mut running: Vec<_> = (0..3).map(|_| prune()).collect();
    running.extend((0..3).map(|it| world.start(&["set", "e", &it.to_string()])));
    for child in running {
        let ran = world.end(child);
        assert_eq!(ran.status, 0, "{ran}");
    }

    assert_sound(world);
    assert_eq!(world.sql("SELECT first, last FROM pruned ORDER BY 1"), "2|3\n5|7");
    assert_eq!(world.revision(), 15);
}

fn a_job_removes_backups_and_revisions_and_tells_both(world: &World) {
    let job = "[[job]]\nname = 'tidy'\ncron = '@daily'\nverb = 'retention'\n";
    let policies = "[revisions]\nkeep_last = 2\n[backups.retention]\nkeep_last = 1\n";
    past(world).ok(&["backup", "create", "second"]);
    world.write("setpoint.toml", format!("{policies}{job}"));

    let told = world.ok(&["jobs", "run", "tidy"]);

    assert_snapshot!(told, @"backups: 1 kept, removed first; 6 revisions kept, 5 removed");
    assert_eq!(world.json(&["history", "--limit", "1"])[0]["actor"], "job:tidy");
    assert_sound(world);
}

fn a_plan_that_may_have_been_applied_before_is_refused(world: &World) {
    world.write("setpoint.toml", "[revisions]\nkeep_last = 2\n");
    world.migrate("a: 1\n");
    world.ok(&["set", "a", "2", "--out", "plan.json"]);
    world.ok(&["apply", "plan.json"]);
    world.ok(&["set", "a", "1"]);
    world.ok(&["set", "b", "1"]);
    world.ok(&["set", "b", "2"]);
    world.ok(&["backup", "create", "first"]);
    let before = world.ok(&["apply", "plan.json"]);
    world.ok(&["audit", "prune", "--yes"]);

    let refused = world.refusal(&["apply", "plan.json"]);

    assert_snapshot!(format!("{before}{refused}"), @r"
    namespace default, layer base
      ~ a = 1 -> 2
    1 updated
    1 plan::stale; this plan is stale: revisions since 1 were removed by retention; nothing was changed; plan again and look at what is different
    ");
    assert_eq!(world.get("a"), "1");
}

/// A schema that only takes numbers.
const SCHEMA: &str = r#"{"properties": {"a": {"type": "integer"}}}"#;

fn the_last_good_value_of_a_key_that_is_kept_out_stays(world: &World) {
    let schema = "[namespaces.default]\nschema = 'schema.json'\n";
    world.write("schema.json", SCHEMA);
    world.write("setpoint.toml", format!("[revisions]\nkeep_last = 1\n{schema}"));
    world.migrate("a: 1\nb: 1\n");
    world.ok(&["set", "a", "2"]);
    world.ok(&["set", "b", "2"]);
    world.sql("UPDATE setting SET value = '\"x\"', value_type = 'string' WHERE key = 'a'");
    world.ok(&["set", "b", "3"]);
    world.ok(&["set", "b", "4"]);
    world.ok(&["backup", "create", "first"]);
    let told = world.json(&["audit", "prune", "--yes"]);

    let server = crate::serve::plain(world);

    assert_eq!(numbers(world), "1 2 4 5 6 7", "{told}");
    assert_eq!(server.get("/api/settings/a").json()["value"], 2);
}

fn steps_that_hold_what_is_left_of_removed_revisions_stay(world: &World) {
    pruned(world);
    let backups = world.json(&["backup", "list"]).as_array().unwrap().len();

    let ran = world.json(&["database", "down", "--steps", "2", "--no-backup", "--yes"]);
    assert_eq!(ran["steps"], 2);
    // The steps after it are taken back already.
    let refused = ["1", "2"].map(|it| world.refusal(&["database", "down", "--steps", it, "--yes"]));

    assert_snapshot!(refused[0], @"1 database::no_way_back; retention has removed 5 revisions from [database], and an older version cannot know it; nothing was changed; there is no way back over removed revisions: have the older version restore a backup of before into a new database, such as the one that was taken before the steps were run (`setpoint backup list`)");
    assert_eq!(refused[0], refused[1]);
    world.ok(&["database", "up", "--no-backup"]);
    assert_eq!(world.json(&["backup", "list"]).as_array().unwrap().len(), backups);
    assert_sound(world);
    let pruned = world.refusal(&["get", "d", "--at", "6"]);
    assert!(pruned.starts_with("1 history::pruned;"), "{pruned}");
}
