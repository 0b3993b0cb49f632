//! `setpoint doctor`, which looks for what is wrong before it hurts.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;

use insta::assert_snapshot;

use crate::reconcile::picker::at_terminal;
use crate::world::{World, text};

on_both![
    a_job_that_fails_again_and_again_is_wrong_until_it_succeeds,
    a_job_that_was_due_long_ago_is_wrong_unless_it_is_paused,
    backups_that_cannot_be_read_or_are_other_ones_are_wrong,
];

/// What `doctor` says of `check`, each in a line: `ok` or `WRONG` first.
fn said_of(world: &World, check: &str) -> String {
    let checks = world.json(&["doctor"]);
    let found = checks.as_array().unwrap().iter().filter(|it| it["check"] == check);
    let line = |ok: bool, says: &str| format!("{} {says}", if ok { "ok" } else { "WRONG" });
    found
        .map(|it| line(it["ok"].as_bool().unwrap(), text(&it["says"])))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_webhook_that_leads_nowhere_is_wrong_and_not_shown() {
    let world = World::sqlite();
    world.migrate("a: 1\n");
    world.write(
        "setpoint.toml",
        "[[job]]\nname = 'watch'\ncron = '@daily'\nverb = 'drift'\nwebhook = 'env:HOOK'\n\
         [jobs]\nwebhook_hosts = ['hooks.test']\n",
    );
    let said = |url: &str| {
        world.set_variable("HOOK", url);
        said_of(&world, "job")
    };

    assert_snapshot!(said_of(&world, "job"), @"WRONG `watch` has nobody to tell: there is no variable HOOK; mend its webhook or what that refers to, for this command and for the service");
    assert_eq!(world.run(&["doctor"]).status, 1);
    assert_snapshot!(said("https://other.test/secret-path"), @"WRONG `watch` has nobody to tell: `other.test` is not among jobs.webhook_hosts; mend its webhook or what that refers to, for this command and for the service");
    assert_snapshot!(said("secret-path"), @"WRONG `watch` has nobody to tell: it is no URL; mend its webhook or what that refers to, for this command and for the service");
    assert_eq!(said("https://hooks.test/secret-path"), "");
    assert_eq!(world.run(&["doctor"]).status, 0);
}

fn night(world: &World) {
    let job = "[[job]]\nname = 'night'\ncron = '0 3 * * *'\nverb = 'audit-verify'\n";
    world.write("setpoint.toml", job);
    world.migrate("a: 1\n");
}

fn a_job_that_fails_again_and_again_is_wrong_until_it_succeeds(world: &World) {
    night(world);
    let run = || world.run(&["jobs", "run", "night"]).status;
    let said = || {
        let said = said_of(world, "job");
        let time = said.find(" UTC").map(|end| &said[end - "2026-05-01 12:00".len()..end]);
        time.map_or(said.clone(), |it| said.replace(it, "[time]"))
    };

    assert_eq!((said().as_str(), run(), said().as_str()), ("", 0, ""));
    world.sql("UPDATE revision SET reason = 'another' WHERE id = 1");
    assert_eq!(run(), 1);
    assert_snapshot!(said(), @"WRONG `night` failed at [time] UTC: revision 1: it or its changes were edited; see `setpoint jobs history night`");
    assert_eq!((run(), run()), (1, 1));
    assert_snapshot!(said(), @"WRONG `night` has failed 3 times since [time] UTC: revision 1: it or its changes were edited; see `setpoint jobs history night`");
    world.ok(&["jobs", "pause", "night"]);
    let paused = said_of(world, "job");
    let told = [
        "WRONG `night` is paused by ann since ",
        " UTC, and has failed 3 times since ",
        "were edited; see `setpoint jobs history night`; once that is mended `setpoint jobs resume \
         night`",
    ];
    assert!(told.iter().all(|it| paused.contains(it)) && paused.lines().count() == 1, "{paused}");
    world.ok(&["jobs", "resume", "night"]);
    world.sql("UPDATE revision SET reason = NULL WHERE id = 1");
    assert_eq!((run(), said().as_str(), world.run(&["doctor"]).status), (0, "", 0));
}

fn a_job_that_was_due_long_ago_is_wrong_unless_it_is_paused(world: &World) {
    night(world);
    world.sql(
        "INSERT INTO job (name, schedule, considered_until)
         VALUES ('night', '0 3 * * * UTC', '2026-01-01T00:00:00.000Z')",
    );

    assert_snapshot!(said_of(world, "job"), @"WRONG `night` was due at 2026-01-01 03:00 UTC, and no service has noticed: start `setpoint serve`, or look why it runs no jobs");
    world.ok(&["jobs", "pause", "night"]);
    let paused = said_of(world, "job");
    assert!(paused.starts_with("ok `night` is paused by ann since "), "{paused}");
    world.ok(&["doctor"]);
    world.ok(&["jobs", "resume", "night"]);
    assert_eq!(said_of(world, "job"), "");
}

fn backups_that_cannot_be_read_or_are_other_ones_are_wrong(world: &World) {
    world.migrate("a: 1\n");
    for name in ["one", "two"] {
        world.ok(&["backup", "create", name]);
    }
    assert_eq!(said_of(world, "backups"), "ok backups");

    world.write("backups/20260501T120000.000Z-1.setpoint.tar", "");
    world.write("backups/20260502T120000.000Z-1.setpoint.tar", "none");
    std::fs::copy(world.path("backups/one.setpoint.tar"), world.path("backups/two.setpoint.tar"))
        .unwrap();

    assert_snapshot!(said_of(world, "backups"), @r"
    ok backups
    WRONG 2 of 4 backups cannot be read, such as 20260502T120000.000Z-1: see `setpoint backup list`
    WRONG 1 of 4 backups took the place of another, such as two: see `setpoint backup list`
    ");
    assert_eq!(world.run(&["doctor"]).status, 1);
}

#[test]
fn a_damaged_file_is_wrong() {
    let world = World::sqlite();
    world.migrate(&(0..5_000).map(|it| format!("key_{it}: {it}\n")).collect::<String>());
    assert_eq!(said_of(&world, "database"), "ok setpoint.db");
    let file = OpenOptions::new().write(true).open(world.path("setpoint.db")).unwrap();
    let middle = file.metadata().unwrap().len() / 2 / 4096 * 4096;

    file.write_all_at(&[0xff; 4096], middle).unwrap();

    assert_snapshot!(said_of(&world, "database"), @"WRONG setpoint.db is damaged or cannot be read; check the disk. To restore a backup stop every service, and move the file away first, with those beside it that end in -wal and -shm");
    assert_eq!(world.run(&["doctor"]).status, 1);
}

#[test]
fn on_a_terminal_what_is_wrong_can_be_read_to_its_end() {
    let world = World::sqlite();
    world.migrate("a: 1\n");
    world.write("setpoint.toml", "[backups.encryption]\nrecipients = [\n'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p']\nidentity_file = 'key.txt'\n");

    let told = at_terminal(&world, &["doctor"], "");

    assert_snapshot!(told, @r"
    status 1
    -- stdout
    CHECK          STATE  SAYS
    configuration  ok     0 sources declared
    backups        ok     backups
    encryption     WRONG  there is no file key.txt, where the key of backups should
                          be; put it there, with mode 600, or mend
                          [backups.encryption] identity_file; until then no backup
                          is taken
    database       ok     [database]
    history        ok     the history of 1 revision holds together
    imported       ok     settings.yaml into default, version 1 at revision 1, 0
                          conflicts open
    ");
}
