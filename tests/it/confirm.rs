//! Changes that stay only if somebody confirms them; with a service, see `serve::confirm`.

use chrono::{Duration, Utc};
use insta::assert_snapshot;
use setpoint_ops::confirm::{Rejection, confirm, due, reject, undo, waiting};
use setpoint_ops::database::{Access, Database, Location, Settings, open};

use crate::world::{World, block_on};

on_both![
    what_is_confirmed_stays,
    what_nobody_confirms_is_undone_by_the_next_command,
    a_command_that_fails_tells_what_was_undone_before_it,
    every_command_that_changes_settings_can_be_on_trial,
    what_is_taken_back_waits_no_longer,
    steps_without_which_nobody_undoes_what_waits_stay_until_it_is_settled,
    what_lies_below_another_that_waits_is_not_ended_by_taking_that_back,
    a_key_that_was_edited_since_keeps_that_edit,
    of_two_that_wait_the_value_before_both_comes_back,
    what_cannot_go_back_beside_new_keys_is_left_and_the_rest_goes_back,
    a_confirmation_that_makes_no_sense_is_refused,
    two_who_undo_at_once_undo_once,
    more_rejections_than_the_limit_undo_it_before_its_time,
    only_clients_whose_settings_it_changed_may_reject_it,
    what_waits_is_told_and_what_is_overdue_is_wrong,
    what_waited_in_another_history_is_left_alone,
    what_waited_when_a_backup_was_taken_waits_again_when_it_is_restored,
    what_was_confirmed_since_stays_confirmed_when_a_backup_is_restored,
    a_trial_is_no_longer_for_being_restored_again,
    a_restore_of_some_values_undoes_what_is_due_as_other_commands_do,
    what_was_undone_since_waits_again_at_the_moment_when_it_did,
    what_nobody_confirmed_is_undone_also_below_what_waits_after_a_restore,
    what_undoing_stands_on_is_not_removed_by_retention,
];

/// Lets the time of everything that waits be over.
pub fn pass(world: &World) {
    world.sql("UPDATE unconfirmed SET until = '2020-01-01T00:00:00.000Z'");
}

/// Sets `key` to `value` on trial.
fn set(world: &World, key: &str, value: &str) {
    world.ok(&["set", key, value, "--confirm-within", "10m"]);
}

/// Has a command look what is due.
fn undo_due(world: &World) -> String {
    let ran = world.run(&["set", "other", "1"]);
    assert_eq!(ran.status, 0, "{ran}");
    ran.stderr
}

/// The library's own way to the database.
pub fn database(world: &World) -> Database {
    let location = match world.is_postgres() {
        true => Location::parse(&world.database()),
        false => Location::Sqlite(world.path("setpoint.db")),
    };
    let patience = std::time::Duration::from_secs(20);
    let settings = Settings { lock_timeout: patience, connect_timeout: patience };
    block_on(open(&location, Access::Write, settings)).unwrap()
}

fn what_is_confirmed_stays(world: &World) {
    world.migrate("a: 1\n");
    let told = world.run(&["set", "a", "2", "--confirm-within", "90m"]).stderr;
    assert!(told.contains("undone in 1h 30m unless `setpoint confirm 2` comes before"), "{told}");
    let again = world.run(&["set", "a", "2"]).stderr;
    assert!(again.contains("revision 2 is undone at 20"), "{again}");
    world.ok(&["confirm"]);
    pass(world);

    undo_due(world);

    assert_eq!(world.get("a"), "2");
    assert_eq!(world.json(&["confirm", "--list"]), serde_json::json!([]));
}

fn what_nobody_confirms_is_undone_by_the_next_command(world: &World) {
    world.migrate("a: 1\nb: 1\n");
    set(world, "a", "2");
    assert_eq!(undo_due(world).trim(), "revision 3", "its time is not over");
    pass(world);

    // A dry run writes nothing, and neither does a look.
    world.ok(&["set", "other", "2", "--dry-run"]);
    world.ok(&["list"]);
    assert_eq!(world.get("a"), "2");
    let told = undo_due(world);

    assert!(told.contains("revision 2 was not confirmed by 2020-01-01T00:00:00.000Z"), "{told}");
    assert!(told.contains("undone as revision 4"), "{told}");
    let undone = world.json(&["history"])[0].clone();
    let said = ["actor", "channel", "kind", "reason"].map(|it| undone[it].as_str().unwrap());
    let reason = "revision 2 was not confirmed by 2020-01-01T00:00:00.000Z";
    assert_eq!(said, ["setpoint", "job", "revert", reason]);
    assert_eq!((world.get("a"), world.get("b")), ("1".to_owned(), "1".to_owned()));
    assert_eq!(world.run(&["verify"]).status, 0);
}

fn a_command_that_fails_tells_what_was_undone_before_it(world: &World) {
    world.migrate("a: 1\nb: 1\n");
    set(world, "a", "2");
    pass(world);
    let ran = world.run(&["set", "b.c", "2"]);

    assert_snapshot!(ran, @r"
    status 1
    -- stderr
    revision 2 was not confirmed by 2026-05-01T12:00:00.000Z: undone as revision 3
    setting::not_a_tree

      × `b` and `b.c` cannot both be settings of layer `base`: a layer is a tree
      help: unset one of them first; a reset with --purge removes keys that no
            file has

    note: what was undone before that stays undone
    ");
    assert_eq!((world.get("a"), world.revision()), ("1".to_owned(), 3));
    set(world, "a", "2");
    pass(world);
    let problem = world.run(&["set", "b.c", "2", "--json"]).problem();
    let told = "revision 4 was not confirmed by 2020-01-01T00:00:00.000Z: undone as revision 5";
    assert_eq!(problem["before"], serde_json::json!([told]));
}

fn every_command_that_changes_settings_can_be_on_trial(world: &World) {
    world.migrate("a: 1\nb: 1\nc: 1\n");
    world.write("more.yaml", "c: 3\n");
    world.write("settings.yaml", "a: 1\nb: 9\nc: 1\n");
    world.ok(&["set", "c", "2"]);
    world.ok(&["set", "a", "7", "--out", "plan.json"]);
    let commands: [&[&str]; 7] = [
        &["apply", "plan.json"],
        &["unset", "b"],
        &["import", "more.yaml"],
        &["revert", "3"],
        &["reset", "c", "--yes"],
        &["migrate", "settings.yaml", "--strategy", "theirs"],
        &["reseed", "settings.yaml"],
    ];

    for command in &commands[..6] {
        let before = world.revision();
        let within = ["--confirm-within", "1h", "--strategy", "theirs"];
        let length = if command[0] == "revert" { 4 } else { 2 };
        let ran = world.run(&[command, &within[..length]].concat());
        assert_eq!(ran.status, 0, "{command:?} {ran}");
        let told = format!("`setpoint confirm {}` comes before", before + 1);
        assert!(ran.stderr.contains(&told), "{command:?} {ran}");
    }
    let nothing = world.run(&[commands[6], &["--confirm-within", "1h"]].concat());

    assert!(!nothing.stderr.contains("setpoint confirm"), "{nothing}");
    let waiting = world.json(&["confirm", "--list"]);
    assert_eq!(waiting.as_array().unwrap().len(), 6);
    pass(world);
    undo_due(world);
    let values = ["a", "b", "c"].map(|it| world.get(it));
    assert_eq!(values, ["1", "1", "2"]);
    assert_eq!(world.run(&["verify"]).status, 0);
}

fn what_is_taken_back_waits_no_longer(world: &World) {
    world.migrate("a: 1\nb: 1\nc: 1\n");
    let waiting = || {
        let listed = world.json(&["confirm", "--list"]);
        let listed = listed.as_array().unwrap().iter();
        listed.map(|it| it["revision"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    set(world, "a", "2");
    set(world, "b", "2");
    set(world, "c", "2");

    // That one may come back.
    world.ok(&["revert", "2", "--confirm-within", "10m"]);
    assert_eq!(waiting(), [5, 4, 3, 2]);
    world.ok(&["revert", "4"]);
    assert_eq!(waiting(), [5, 3, 2]);
    world.ok(&["revert", "--to", "1"]);
    assert_eq!(waiting(), [5, 2]);
    assert_eq!(["a", "b", "c"].map(|it| world.get(it)), ["1", "1", "1"]);

    assert_snapshot!(world.refusal(&["confirm", "3"]), @"1 unconfirmed::taken_back; revision 3 was taken back by ann, before it was confirmed; nothing was confirmed; revert what took it back to have it again");
    // What somebody sets again is theirs.
    world.ok(&["set", "b", "2"]);
    pass(world);
    undo_due(world);
    assert_eq!(["a", "b", "c"].map(|it| world.get(it)), ["1", "2", "1"]);
}

fn what_lies_below_another_that_waits_is_not_ended_by_taking_that_back(world: &World) {
    world.migrate("a: 1\n");
    set(world, "a", "2");
    set(world, "a", "3");

    world.ok(&["revert", "3"]);

    assert_eq!(world.json(&["confirm", "--list"])[0]["revision"], 2);
    pass(world);
    undo_due(world);
    assert_eq!(world.get("a"), "1");
}

fn a_key_that_was_edited_since_keeps_that_edit(world: &World) {
    world.migrate("a: 1\nb: 1\n");
    world.write("more.yaml", "a: 2\nb: 2\nc: 2\n");
    world.ok(&["import", "more.yaml", "--confirm-within", "10m"]);
    world.ok(&["set", "b", "3"]);
    pass(world);

    let told = undo_due(world);

    assert!(told.contains("; b stays, edited since: undone as revision 4"), "{told}");
    assert_eq!(["a", "b", "c"].map(|it| world.get(it)), ["1", "3", "(none)"]);
}

fn of_two_that_wait_the_value_before_both_comes_back(world: &World) {
    world.migrate("a: 1\nb: 1\n");
    set(world, "a", "2");
    set(world, "b", "2");
    set(world, "a", "3");
    set(world, "b", "3");
    // Both of `a` at once; those of `b` one after the other, the lower one first.
    let until = |revision: i64| {
        world.sql(&format!(
            "UPDATE unconfirmed SET until = '2020-01-01T00:00:00.000Z' WHERE revision = {revision}"
        ))
    };

    until(2);
    until(4);
    until(3);
    undo_due(world);
    let between = ["a", "b"].map(|it| world.get(it));
    pass(world);
    undo_due(world);

    assert_eq!(between, ["1", "3"]);
    assert_eq!(["a", "b"].map(|it| world.get(it)), ["1", "1"]);
    assert_eq!(world.run(&["verify"]).status, 0);
}

fn what_cannot_go_back_beside_new_keys_is_left_and_the_rest_goes_back(world: &World) {
    world.migrate("a: 1\nb:\n  c: 1\nd: 1\n");
    world.write("more.yaml", "d: 2\n");
    world.ok(&["import", "more.yaml", "--replace", "--confirm-within", "10m"]);
    world.ok(&["set", "a.below", "1"]);
    world.ok(&["set", "b", "1"]);
    pass(world);

    let told = undo_due(world);

    assert!(told.contains("a, b.c stay, edited since"), "{told}");
    assert_eq!(["a.below", "b", "d"].map(|it| world.get(it)), ["1", "1", "1"]);
    assert_eq!(world.run(&["verify"]).status, 0);
}

fn a_confirmation_that_makes_no_sense_is_refused(world: &World) {
    world.migrate("a: 1\n");
    let code = |arguments: &[&str]| {
        let ran = world.run(&[arguments, &["--json"]].concat());
        assert_eq!(ran.status, 1, "{ran}");
        ran.problem()["code"].as_str().unwrap().to_owned()
    };

    assert_eq!(code(&["confirm"]), "unconfirmed::none");
    assert_eq!(code(&["confirm", "1"]), "unconfirmed::not_waiting");
    assert_eq!(code(&["confirm", "9"]), "revision::unknown");
    assert_eq!(code(&["set", "a", "2", "--confirm-within", "soon"]), "time::no_length");
    assert_eq!(code(&["set", "a", "2", "--confirm-within", "366d"]), "time::no_length");
    assert_eq!(world.run(&["set", "a", "2", "--reject-limit", "1"]).status, 2);
    set(world, "a", "2");
    set(world, "a", "3");
    assert_eq!(code(&["confirm"]), "unconfirmed::several");
    world.ok(&["confirm", "3"]);
    world.ok(&["confirm", "3"]);
    pass(world);
    assert_eq!(code(&["confirm", "2"]), "unconfirmed::too_late");
    assert_eq!(world.get("a"), "3");
}

fn two_who_undo_at_once_undo_once(world: &World) {
    world.migrate("a: 1\n");
    set(world, "a", "2");
    let (one, two) = (database(world), database(world));
    let later = Utc::now() + Duration::hours(1);
    if world.is_postgres() {
        // There the server's clock counts, and not what anybody says.
        assert_eq!(block_on(undo(&one, later)).unwrap(), []);
        pass(world);
    }

    let undone = block_on(async { tokio::join!(undo(&one, later), undo(&two, later)) });
    let late = block_on(confirm(&one, Some(2), "ann", later));

    let (one_did, two_did) = (undone.0.unwrap(), undone.1.unwrap());
    assert_eq!(one_did.len() + two_did.len(), 1, "{one_did:?} {two_did:?}");
    assert!(late.is_err());
    assert_eq!((world.get("a"), world.revision()), ("1".to_owned(), 3));
    block_on(async {
        one.close().await.unwrap();
        two.close().await.unwrap();
    });
}

/// Who rejects revision 2.
fn rejection(client: &str, namespace: &str) -> Rejection {
    Rejection { revision: 2, client: client.to_owned(), namespace: namespace.to_owned() }
}

fn more_rejections_than_the_limit_undo_it_before_its_time(world: &World) {
    world.migrate("a: 1\n");
    set(world, "a", "2");
    let (db, now) = (database(world), Utc::now());
    let is_due = |clients: &[&str]| {
        let rejections: Vec<_> = clients.iter().map(|it| rejection(it, "default")).collect();
        block_on(reject(&db, &rejections, now)).unwrap();
        !block_on(due(&db.connection, now)).unwrap().revisions.is_empty()
    };

    assert!(!is_due(&["one", "one"]));
    assert!(!is_due(&["one"]), "it is the same client");
    assert!(is_due(&["two"]));
    assert!(block_on(confirm(&db, Some(2), "ann", now)).is_err());
    let undone = block_on(undo(&db, now)).unwrap();

    assert_eq!(undone[0].reason, "revision 2 was rejected by 2 clients");
    assert_eq!(world.get("a"), "1");
    block_on(db.close()).unwrap();
}

fn only_clients_whose_settings_it_changed_may_reject_it(world: &World) {
    world.migrate("a: 1\n");
    world.ok(&["set", "a", "2", "--confirm-within", "10m", "--reject-limit", "0"]);
    let (db, now) = (database(world), Utc::now());
    let counted = || block_on(waiting(&db.connection)).unwrap()[0].rejections;

    block_on(reject(&db, &[rejection("one", "another")], now)).unwrap();
    block_on(reject(&db, &[Rejection { revision: 1, ..rejection("one", "default") }], now))
        .unwrap();
    assert_eq!(counted(), 0);
    block_on(reject(&db, &[rejection("one", "default")], now)).unwrap();

    assert_eq!(counted(), 1);
    let told = undo_due(world);
    assert!(told.contains("revision 2 was rejected by a client: undone as revision 3"), "{told}");
    block_on(db.close()).unwrap();
}

fn what_waits_is_told_and_what_is_overdue_is_wrong(world: &World) {
    world.migrate("a: 1\n");
    set(world, "a", "2");
    let check = || {
        let checks = world.json(&["doctor"]);
        let found = checks.as_array().unwrap().iter().find(|it| it["check"] == "unconfirmed");
        found.map(|it| it["ok"].as_bool().unwrap())
    };

    let listed = world.json(&["confirm", "--list"])[0].clone();
    assert_eq!((&listed["revision"], &listed["asked_by"]), (&2.into(), &"ann".into()));
    assert_eq!(world.json(&["history"])[0]["unconfirmed"], listed);
    assert!(world.ok(&["history"]).contains("(to be confirmed until "));
    assert_eq!(check(), Some(true));
    pass(world);

    assert_eq!(check(), Some(false));
    undo_due(world);
    assert_eq!(check(), None);
    assert!(!world.ok(&["history"]).contains("to be confirmed"));
}

fn steps_without_which_nobody_undoes_what_waits_stay_until_it_is_settled(world: &World) {
    world.migrate("a: 1\nb: 1\n");
    set(world, "a", "2");
    set(world, "b", "2");
    let down = ["database", "down", "--steps", "4", "--yes", "--no-backup"];

    assert_snapshot!(world.refusal(&down), @"1 database::on_trial; an older version would not undo what waits to be confirmed in [database]: revision 2, revision 3; nothing was changed; confirm it or revert it first: `setpoint confirm --list`");
    world.ok(&["confirm", "2"]);
    world.ok(&["revert", "3"]);

    assert_eq!(world.json(&down)["steps"], 4);
    world.ok(&["database", "up", "--no-backup"]);
    assert_eq!(["a", "b"].map(|it| world.get(it)), ["2", "1"]);
}

fn what_waited_in_another_history_is_left_alone(world: &World) {
    world.migrate("a: 1\n");
    set(world, "a", "2");
    world.sql("UPDATE unconfirmed SET epoch = 'another'");
    pass(world);

    undo_due(world);

    assert_eq!(world.get("a"), "2");
    assert_eq!(world.json(&["confirm", "--list"]), serde_json::json!([]));
}

fn what_waited_when_a_backup_was_taken_waits_again_when_it_is_restored(world: &World) {
    world.migrate("a: 1\n");
    set(world, "a", "2");
    world.ok(&["backup", "create", "nightly"]);
    world.ok(&["set", "b", "3"]);

    let planned = world.run(&["backup", "restore", "nightly", "--dry-run"]);
    let restored = world.run(&["backup", "restore", "nightly", "--yes"]);

    assert_eq!(planned.stderr, "revision 2 was not confirmed yet, and would wait again\n");
    let said = "revision 2 was not confirmed yet, and waits again (`setpoint confirm`)\n";
    assert!(restored.status == 0 && restored.stderr.ends_with(said), "{restored}");
    let listed = world.json(&["confirm", "--list"]);
    assert_eq!((&listed[0]["revision"], listed.as_array().unwrap().len()), (&2.into(), 1));
    undo_due(world);
    assert_eq!(world.get("a"), "2", "as long as it was given has passed already: {listed}");
    pass(world);
    undo_due(world);
    assert_eq!(world.get("a"), "1");
    world.ok(&["verify"]);
}

fn what_was_confirmed_since_stays_confirmed_when_a_backup_is_restored(world: &World) {
    world.migrate("a: 1\n");
    set(world, "a", "2");
    world.ok(&["backup", "create", "nightly"]);
    world.ok(&["confirm"]);
    world.ok(&["set", "b", "3"]);

    let planned = world.json(&["backup", "restore", "nightly", "--dry-run"]);
    assert!(planned["waiting"].is_null(), "{planned}");
    world.ok(&["backup", "restore", "nightly", "--yes"]);

    assert_eq!(world.json(&["confirm", "--list"]), serde_json::json!([]));
    assert_eq!(world.get("a"), "2");
    world.ok(&["backup", "restore", "nightly", "--at", "1", "--yes"]);
    assert_eq!(world.sql("SELECT count(*) FROM unconfirmed"), "0");
}

fn a_trial_is_no_longer_for_being_restored_again(world: &World) {
    world.migrate("a: 1\n");
    set(world, "a", "2");
    world.ok(&["backup", "create", "one"]);
    world.ok(&["set", "b", "1"]);
    world.ok(&["backup", "restore", "one", "--yes"]);
    // As if that had been long after.
    let now = "epoch = (SELECT epoch FROM head)";
    world.sql(&format!("UPDATE unconfirmed SET until = '2090-01-01T00:00:00.000Z' WHERE {now}"));
    world.ok(&["backup", "create", "two"]);
    world.ok(&["set", "b", "2"]);

    world.ok(&["backup", "restore", "two", "--yes"]);

    let until = world.sql(&format!("SELECT until FROM unconfirmed WHERE {now}"));
    let until: chrono::DateTime<Utc> = until.parse().unwrap();
    assert!(until <= Utc::now() + Duration::minutes(10), "{until}");
}

fn a_restore_of_some_values_undoes_what_is_due_as_other_commands_do(world: &World) {
    world.migrate("a: 1\nb: 1\n");
    world.ok(&["backup", "create", "first"]);
    world.ok(&["set", "b", "2"]);
    set(world, "a", "2");
    pass(world);

    let restore = ["backup", "restore", "first", "--only", "b", "--yes"];
    world.ok(&[&restore[..], &["--dry-run"]].concat());
    assert_eq!(world.get("a"), "2");
    world.ok(&restore);

    assert_eq!([world.get("a"), world.get("b")], ["1", "1"]);
}

fn what_was_undone_since_waits_again_at_the_moment_when_it_did(world: &World) {
    world.migrate("a: 1\n");
    set(world, "a", "2");
    pass(world);
    undo_due(world);
    world.ok(&["backup", "create", "after"]);
    assert_eq!(world.get("a"), "1");

    let restored = world.run(&["backup", "restore", "after", "--at", "2", "--yes"]);

    let said = "revision 2 was not confirmed yet, and waits again (`setpoint confirm`)\n";
    assert!(restored.status == 0 && restored.stderr.ends_with(said), "{restored}");
    assert_eq!(world.get("a"), "2");
    pass(world);
    undo_due(world);
    assert_eq!(world.get("a"), "1");
    world.ok(&["verify"]);
}

/// Three changes of `a` on trial above 1; nobody confirms the first two, which stay below the third.
fn three_trials(world: &World) {
    world.migrate("a: 1\n");
    for value in ["10", "20", "30"] {
        set(world, "a", value);
    }
    world.sql("UPDATE unconfirmed SET until = '2020-01-01T00:00:00.000Z' WHERE revision < 4");
    let told = undo_due(world);
    assert_eq!(told.matches("nothing is left to undo").count(), 2, "{told}");
    world.ok(&["backup", "create", "then"]);
}

fn what_nobody_confirmed_is_undone_also_below_what_waits_after_a_restore(world: &World) {
    three_trials(world);
    for at in ["5", "4"] {
        world.ok(&["set", "c", "1"]);

        let restored = world.run(&["backup", "restore", "then", "--at", at, "--yes"]);

        // At revision 4 all three waited.
        let waits = restored.stderr.matches(" waits again ").count();
        assert_eq!((restored.status, waits), (0, if at == "4" { 3 } else { 1 }), "{restored}");
        pass(world);
        undo_due(world);
        assert_eq!(world.get("a"), "1", "{at}");
    }
    world.ok(&["verify"]);
}

fn what_undoing_stands_on_is_not_removed_by_retention(world: &World) {
    three_trials(world);
    world.write("setpoint.toml", "[revisions]\nkeep_last = 1\n");

    let told = world.json(&["audit", "prune", "--yes"]);

    let goes = told["ranges"].as_array().unwrap().iter();
    let goes: Vec<_> = goes.filter(|it| it["reasons"].as_array().unwrap().is_empty()).collect();
    assert!(goes.iter().all(|it| it["last"] == 1), "{told}");
    pass(world);
    undo_due(world);
    assert_eq!(world.get("a"), "1");
}
