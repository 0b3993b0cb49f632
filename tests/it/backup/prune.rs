//! Which backups stay.

use std::fs;
use std::time::Duration;

use chrono::Utc;
use insta::assert_snapshot;
use serde_json::Value;
use setpoint_ops::backup::{Storage, plan_prune, prune_planned};
use setpoint_ops::database::{Location, Settings};
use setpoint_ops::retention::Policy;

use super::{archive, ready};
use crate::faults::run_by;
use crate::world::{World, block_on, text};

on_both![
    what_no_rule_keeps_is_removed_and_the_rest_says_why_it_stays,
    what_was_shown_is_removed_and_nothing_else_or_nothing,
    without_a_policy_nothing_is_removed,
    what_is_damaged_does_not_count_and_the_newest_good_one_stays,
    what_has_become_damaged_since_it_was_verified_is_not_relied_upon,
    what_was_taken_of_a_damaged_history_says_so_and_removes_no_sound_one,
    one_that_cannot_be_removed_does_not_hold_up_the_others_nor_the_revisions,
    where_there_is_no_backup_none_is_verified,
    one_backup_is_removed_unless_it_is_needed,
    what_is_in_the_record_and_gone_is_told,
    what_no_database_can_tell_of_is_removed_only_by_force,
    a_backup_is_pinned_and_unpinned,
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

/// Whoever asks the library decides and carries out, with time between, as who is asked does.
fn what_was_shown_is_removed_and_nothing_else_or_nothing(world: &World) {
    with_backups(world, KEEP_ONE);
    let wait = Duration::from_secs(30);
    let settings = Settings { lock_timeout: wait, connect_timeout: wait };
    let location = match world.is_postgres() {
        true => Location::parse(&world.database()),
        false => Location::Sqlite(world.path("setpoint.db")),
    };
    let storage = Storage::new(world.path("backups"), None);
    let policy: Policy = serde_json::from_str(r#"{"keep_last": 1}"#).unwrap();
    let now = Utc::now();
    let planned = plan_prune(&location, settings, &storage, &policy, now);
    let planned = block_on(planned).unwrap();
    let carry_out = || {
        block_on(prune_planned(&location, settings, &storage, &policy, &planned, now))
            .map_err(|error| error.to_string())
    };

    world.ok(&["backup", "pin", "two"]);
    assert_eq!(carry_out(), Err("backup `two` is to stay by now: pinned".to_owned()));
    assert_eq!(names(world), ["one", "two", "three", "four"]);

    world.ok(&["backup", "unpin", "two"]);
    // By now it would go, and nobody was told so.
    world.ok(&["backup", "unpin", "one"]);
    assert_eq!(carry_out(), Ok(()));
    assert_eq!(names(world), ["one", "four"]);
}

fn without_a_policy_nothing_is_removed(world: &World) {
    let refused = with_backups(world, "").refusal(&["backup", "prune", "--yes"]);

    assert!(refused.contains("retention::none"), "{refused}");
    assert_eq!(names(world).len(), 4);
}

fn what_is_damaged_does_not_count_and_the_newest_good_one_stays(world: &World) {
    with_backups(world, KEEP_ONE);
    let path = archive(world, "four");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(world.run(&["backup", "verify", "four"]).status, 1);

    let planned = world.json(&["backup", "prune", "--yes"]);

    assert_eq!(names(world), ["four", "one", "three"], "{planned}");
    assert_eq!(world.run(&["backup", "restore", "three", "--yes"]).status, 0);
}

fn what_has_become_damaged_since_it_was_verified_is_not_relied_upon(world: &World) {
    with_backups(world, KEEP_ONE);
    let mut bytes = fs::read(archive(world, "four")).unwrap();
    bytes[18_000] ^= 1;
    fs::write(archive(world, "four"), bytes).unwrap();

    let pruned = world.json(&["backup", "prune", "--yes"]);

    assert_snapshot!(decided(&pruned), @r#"
    four ["newest backup","not verified, and no newer one is","not verified, kept for 7d"]
    three ["last backup","newest verified backup"]
    two []
    one ["pinned"]
    "#);
    assert_eq!(names(world), ["one", "three", "four"]);
    world.ok(&["backup", "restore", "three", "--dry-run"]);
}

fn what_was_taken_of_a_damaged_history_says_so_and_removes_no_sound_one(world: &World) {
    const JOB: &str = "[[job]]\nname = 'nightly'\nverb = 'backup'\ncron = '0 3 1 1 *'\n";
    ready(world).write("setpoint.toml", format!("{KEEP_ONE}{JOB}"));
    world.ok(&["backup", "create", "sound"]);
    world.sql("UPDATE change SET after = '9' WHERE revision = 2");
    let edited = "revision 2: it or its changes were edited";

    let made = world.run(&["backup", "create", "first", "--json"]);
    let ran = world.run(&["jobs", "run", "nightly", "--json"]);

    assert_eq!([made.status, ran.status], [1, 1]);
    let [made, ran] = [made, ran].map(|it| it.stdout.parse::<Value>().unwrap());
    assert_eq!(made["problems"][1], edited, "{made}");
    let said = text(&ran["error"]);
    let nightly = said.strip_prefix("the history in ").unwrap().split(' ').next().unwrap();
    assert!(said.contains(&format!("{nightly}: revision ")), "{said}");
    let state = |name: &str| {
        let listed = world.ok(&["backup", "list"]);
        let line = listed.lines().find(|it| it.starts_with(name)).unwrap().to_owned();
        line.contains("history damaged")
    };
    assert_eq!(["sound", "first", nightly].map(state), [false, true, true]);
    // Reading it back again finds the same.
    let refused = world.refusal(&["backup", "verify", "--all"]);
    assert!(refused.contains("the history in 2 of 3 backups is damaged"), "{refused}");
    let pruned = decided(&world.json(&["backup", "prune", "--yes"])).replace(nightly, "nightly");
    assert_snapshot!(pruned, @r#"
    nightly ["last backup","newest backup"]
    first []
    sound ["last backup","newest verified backup"]
    "#);
    assert_eq!(names(world), ["sound", nightly]);
    let refused = world.refusal(&["backup", "remove", "sound", "--yes"]);
    assert!(refused.starts_with("1 backup::last_verified; "), "{refused}");
    world.ok(&["backup", "remove", "sound", "--force", "--yes"]);
    let refused = world.refusal(&["backup", "remove", nightly, "--yes"]);
    assert!(refused.starts_with("1 backup::last_verified; "), "{refused}");

    // What was edited is undone: a backup is sound again.
    world.sql("UPDATE change SET after = '8080' WHERE revision = 2");
    let made = world.json(&["backup", "create", "mended"]);
    assert_eq!(made["problems"], serde_json::json!([]));
}

fn one_that_cannot_be_removed_does_not_hold_up_the_others_nor_the_revisions(world: &World) {
    const JOB: &str = "[[job]]\nname = 'tidy'\nverb = 'retention'\ncron = '0 3 1 1 *'\n";
    with_backups(world, &format!("{KEEP_ONE}{JOB}[revisions]\nkeep_last = 1\n"));
    world.ok(&["backup", "create", "five"]);
    let strace = |arguments: &[&str]| {
        // As the program names it.
        let path = "backups/three.setpoint.tar";
        let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", path];
        let inject = ["-e", "inject=unlink,unlinkat:error=EPERM"];
        run_by(world, &[&strace[..], &inject].concat(), &world.command(arguments))
    };

    let pruned = strace(&["backup", "prune", "--yes", "--json"]);

    let told = pruned.problem();
    assert_eq!(told["code"], "backup::partly_pruned", "{pruned}");
    assert!(text(&told["message"]).starts_with("removed two, four, and not three: "), "{told}");
    assert!(!text(&told["help"]).contains("nothing was changed"), "{told}");
    assert_eq!(names(world), ["one", "three", "five"]);
    assert_eq!(world.sql("SELECT count(*) FROM backup"), "3");
    // Nothing was: it says so.
    let again = strace(&["backup", "prune", "--yes", "--json"]).problem();
    assert_eq!(again["code"], "backup::not_removed", "{again}");
    let job = strace(&["jobs", "run", "tidy", "--json"]);
    let told = job.problem();
    let told = text(&told["message"]);
    assert!(told.contains("backups: backups/three.setpoint.tar cannot be removed: "), "{told}");
    assert!(told.ends_with("5 revisions, all kept") && job.status == 1, "{job}");
    assert_eq!(world.json(&["jobs", "history", "tidy"])[0]["state"], "failed");
    let job = world.run(&["jobs", "run", "tidy"]);
    assert_eq!(job.status, 0, "{job}");
    assert_eq!(names(world), ["one", "five"]);
}

fn where_there_is_no_backup_none_is_verified(world: &World) {
    const JOB: &str = "[[job]]\nname = 'check'\nverb = 'verify-backups'\ncron = '0 3 1 1 *'\n";
    ready(world).write("setpoint.toml", JOB);

    let refusal = world.refusal(&["backup", "verify", "--all"]);

    assert!(refusal.starts_with("1 backup::none; there is no backup in "), "{refusal}");
    let job = world.run(&["jobs", "run", "check"]);
    assert!(job.status == 1 && format!("{job}").contains("there is no backup in "), "{job}");
}

fn one_backup_is_removed_unless_it_is_needed(world: &World) {
    with_backups(world, "");

    let refused = ["one", "four", "five"].map(|it| world.refusal(&["backup", "remove", it]));
    assert_snapshot!(refused.join("\n"), @r"
    1 backup::pinned; backup `one` is pinned; it was not removed; unpin it first, or say --force (over HTTP force=true) if it has to go all the same
    1 backup::last_verified; backup `four` is the newest that is known to restore; it was not removed; take a newer one first, or say --force (over HTTP force=true) if it has to go all the same
    1 backup::unknown; there is no backup `five`; nothing was done; `setpoint backup list` has the names
    ");
    for arguments in [&["two"][..], &["four", "--force"]] {
        let ran = world.run(&[&["backup", "remove", "--dry-run"], arguments].concat());
        let told = format!("{} would be removed", arguments[0]);
        assert_eq!((ran.status, ran.stderr.trim_end()), (0, &*told));
    }
    let asked = world.refusal(&["backup", "remove", "two"]);
    assert!(asked.contains("--yes"), "{asked}");
    assert_eq!(names(world), ["one", "two", "three", "four"]);

    let removed = world.json(&["backup", "remove", "two", "--yes"]);
    assert_eq!((&removed["name"], &removed["removed"]), (&"two".into(), &true.into()));
    world.ok(&["backup", "remove", "four", "--force", "--yes"]);
    assert_eq!(names(world), ["one", "three"]);
    assert_eq!(world.sql("SELECT name FROM backup ORDER BY name"), "one\nthree");
}

fn what_is_in_the_record_and_gone_is_told(world: &World) {
    with_backups(world, "");
    fs::remove_file(world.path("backups/two.setpoint.tar")).unwrap();

    let ran = world.run(&["backup", "list"]);

    let told = "of 1 backup in the record nothing is in ";
    assert!(ran.stderr.contains(told) && ran.stderr.contains("such as two"), "{ran}");
    world.ok(&["backup", "remove", "two", "--dry-run"]);
    world.ok(&["backup", "remove", "two", "--yes"]);
    assert_eq!(world.run(&["backup", "list"]).stderr, "");
    let refused = world.refusal(&["backup", "remove", "two", "--yes"]);
    assert!(refused.starts_with("1 backup::unknown; "), "{refused}");
}

fn what_no_database_can_tell_of_is_removed_only_by_force(world: &World) {
    with_backups(world, "");
    world.sql("DELETE FROM backup");

    let refused = world.refusal(&["backup", "remove", "two", "--yes"]);

    assert!(refused.starts_with("1 backup::not_ours; "), "{refused}");
    world.ok(&["backup", "remove", "two", "--force", "--yes"]);
    assert_eq!(names(world), ["one", "three", "four"]);
}

fn a_backup_is_pinned_and_unpinned(world: &World) {
    with_backups(world, KEEP_ONE);

    assert_eq!(world.json(&["backup", "pin", "two"])["pinned"], true);
    let since = world.sql("SELECT pinned_at FROM backup WHERE name = 'two'");
    world.ok(&["backup", "pin", "two"]);
    assert_eq!(world.sql("SELECT pinned_at FROM backup WHERE name = 'two'"), since);
    assert_eq!(world.json(&["backup", "unpin", "one"])["pinned"], false);
    // What the archive says of itself counts no more.
    world.ok(&["backup", "verify", "one"]);
    world.ok(&["backup", "prune", "--yes"]);

    assert_eq!(names(world), ["two", "four"]);
    world.sql("DELETE FROM backup WHERE name = 'four'");
    let refused = world.refusal(&["backup", "pin", "four"]);
    assert!(refused.starts_with("1 backup::not_recorded; "), "{refused}");
    let unknown = world.refusal(&["backup", "unpin", "five"]);
    assert!(unknown.starts_with("1 backup::unknown; "), "{unknown}");
}
