//! `setpoint jobs`, and jobs as they are declared.

use insta::assert_snapshot;
use serde_json::Value;

use super::{NIGHT, ready};
use crate::world::{World, text};

on_both![
    jobs_are_listed_with_their_next_run_by_the_clocks_of_their_zone,
    a_run_by_hand_is_recorded_with_what_it_told,
    a_job_that_fails_by_hand_exits_with_one_and_says_why,
    a_run_that_is_tried_again_is_listed_with_its_time,
    pausing_is_told_to_everybody,
    each_verb_can_be_run,
    what_the_retention_has_done_is_told_also_where_it_then_fails,
    what_is_over_is_taken_away_or_taken_back,
    a_file_that_follows_follows_what_a_run_takes_back,
    a_reseed_check_names_what_has_changed,
];

fn jobs_are_listed_with_their_next_run_by_the_clocks_of_their_zone(world: &World) {
    let listed = ready(world, NIGHT).json(&["jobs", "list"]);

    let job = &listed[0];
    let shown = ["name", "verb", "cron", "time_zone", "enabled", "last"].map(|it| job[it].clone());
    let wanted = r#"["night","audit-verify","0 3 * * *","Europe/Berlin",true,null]"#;
    assert_eq!(Value::from(shown.to_vec()).to_string(), wanted);
    let next = job["next"].as_array().unwrap();
    assert_eq!(next.len(), 3);
    assert!(next.iter().all(|it| text(it).contains("T03:00:00+0")), "{next:?}");
    let table = world.ok(&["jobs", "list"]);
    assert!(table.contains(" 03:00 +0") && table.contains(":00  never"), "{table}");
    assert!(table.lines().all(|it| it.len() <= 80), "{table}");
}

fn a_run_by_hand_is_recorded_with_what_it_told(world: &World) {
    ready(world, NIGHT).migrate("a: 1\n");
    let told = world.ok(&["jobs", "run", "night"]);

    assert!(
        told.starts_with("the history of 1 revision holds together; the newest hash is "),
        "{told}"
    );
    let history = world.json(&["jobs", "history", "night"]);
    let fields = ["job", "trigger", "verb", "state", "attempt", "error", "note"];
    let run = fields.map(|it| history[0][it].to_string()).join(" ");
    assert_eq!(run, r#""night" "manual" "audit-verify" "succeeded" 1 null null"#);
    assert_eq!(text(&history[0]["output"]), told.trim_end());
    assert_eq!(world.json(&["jobs", "list"])[0]["last"]["state"], "succeeded");
    for table in [world.ok(&["jobs", "list"]), world.ok(&["jobs", "history"])] {
        let row = table.lines().nth(1).unwrap();
        let columns = row.find("the history of 1 revision holds together").unwrap_or(row.len());
        assert!(row.contains("succeeded") && columns <= 80, "{table}");
    }
    assert_eq!((world.revision(), world.run(&["verify"]).status), (1, 0));
}

fn a_job_that_fails_by_hand_exits_with_one_and_says_why(world: &World) {
    ready(world, NIGHT).migrate("a: 1\n");
    world.sql("UPDATE revision SET reason = 'another' WHERE id = 1");
    let ran = world.run(&["jobs", "run", "night"]);

    assert_snapshot!(ran, @r"
    status 1
    -- stderr
    job::failed

      × job `night` failed: revision 1: it or its changes were edited
      help: it is in `setpoint jobs history night`
    ");
    assert_eq!(world.json(&["jobs", "history"])[0]["state"], "failed");
}

fn a_run_that_is_tried_again_is_listed_with_its_time(world: &World) {
    ready(world, NIGHT);
    world.sql(
        "INSERT INTO job_run (job, scheduled_for, trigger, verb, state, attempt, token,
                              not_before, finished_at, error)
         VALUES ('night', '2026-05-01T01:00:00.000Z', 'cron', 'audit-verify', 'queued', 1, 1,
                 '2026-05-01T01:05:00.000Z', '2026-05-01T01:04:30.000Z', 'no luck')",
    );
    let retry_at = || world.json(&["jobs", "list"])[0]["last"]["retry_at"].clone();

    let table = world.ok(&["jobs", "list"]);
    let told = "  2026-05-01 01:00  failed, due again 2026-05-01 01:05\n";
    assert!(table.ends_with(told), "{table}");
    assert_eq!(retry_at(), "2026-05-01T01:05:00.000Z");
    // As one that was given back, and has not failed.
    world.sql("UPDATE job_run SET finished_at = NULL");
    assert_eq!(retry_at(), Value::Null);
}

fn pausing_is_told_to_everybody(world: &World) {
    ready(world, NIGHT);
    let said = |verb| world.run(&["jobs", verb, "night"]).stderr;

    assert_eq!(said("resume"), "job `night` was not paused\n");
    assert_eq!(said("pause"), "job `night` is paused, on every instance\n");
    assert_eq!(said("pause"), "job `night` was paused before\n");
    assert!(world.ok(&["jobs", "list"]).contains("paused by ann"));
    assert_eq!(world.json(&["jobs", "pause", "night"])["paused_by"], "ann");
    assert_eq!(said("resume"), "job `night` runs again, from its next time on\n");
    assert_snapshot!(world.refusal(&["jobs", "pause", "day"]), @"1 job::unknown; there is no job `day`; declared are: night");
}

fn each_verb_can_be_run(world: &World) {
    let verbs = [
        "audit-verify",
        "backup",
        "drift",
        "expire",
        "reseed-check",
        "retention",
        "vacuum",
        "verify-backups",
    ];
    let jobs = verbs.map(|it| format!("[[job]]\nname = '{it}'\ncron = '@daily'\nverb = '{it}'\n"));
    let jobs = format!("{}[backups.retention]\nkeep_last = 3\n", jobs.concat());
    ready(world, &jobs).migrate("a: 1\n");

    let told = verbs.map(|it| world.ok(&["jobs", "run", it]));
    assert!(told[1].contains(": revision 1, ") && told[1].contains("read back whole"), "{told:?}");
    let (vacuumed, told) = (told[6].clone(), [&told[2..6], &told[7..]].concat());
    assert!(vacuumed.starts_with("analysed"), "{vacuumed}");
    assert_snapshot!(told.concat(), @r"
    0 out of line, 0 of them new, 0 ignored; files compared: 1
    0 ignored drifts removed, over for 30 days; 0 tokens have expired and are refused; nothing had to be undone
    1 source, all as imported
    1 backup, all kept
    1 backup, each read back whole
    ");
    assert_eq!(world.get("a"), "1");
}

fn what_the_retention_has_done_is_told_also_where_it_then_fails(world: &World) {
    let jobs = "[[job]]\nname = 'ret'\ncron = '@daily'\nverb = 'retention'\n\
                [backups.retention]\nkeep_last = 1\n[revisions]\nkeep_last = 1\n";
    ready(world, jobs).migrate("a: 1\n");
    for (name, value) in [("one", "2"), ("two", "3"), ("three", "4")] {
        world.ok(&["set", "a", value]);
        world.ok(&["backup", "create", name]);
    }
    world.sql("UPDATE change SET after = '9' WHERE revision = 2");

    let ran = world.run(&["jobs", "run", "ret"]);

    let said = "`ret` failed: backups: 1 kept, removed two, one; no revisions went: ";
    let line = ran.stderr.replace("\n  │ ", " ");
    assert!(ran.status == 1 && line.contains(said), "{ran}");
}

fn what_is_over_is_taken_away_or_taken_back(world: &World) {
    ready(world, "[[job]]\nname = 'tidy'\ncron = '@daily'\nverb = 'expire'\n").migrate("a: 1\n");
    world.ok(&["set", "a", "2"]);
    world.ok(&["ignore", "a", "--until", "30d"]);
    world.ok(&["token", "create", "ci", "--role", "viewer", "--expires", "30d"]);
    world.ok(&["set", "b", "3", "--confirm-within", "10m"]);
    let run = || world.ok(&["jobs", "run", "tidy"]);
    let nothing = "0 ignored drifts removed, over for 30 days; 0 tokens have expired and are \
                   refused; nothing had to be undone\n";
    assert_eq!(run(), nothing);

    let long_ago = "'2020-01-01T00:00:00.000Z'";
    world.sql(&format!("UPDATE ignored_drift SET expires_at = {long_ago}"));
    world.sql(&format!("UPDATE token SET expires_at = {long_ago}"));
    world.sql(&format!("UPDATE unconfirmed SET until = {long_ago}"));

    assert_eq!(
        run(),
        "1 ignored drifts removed, over for 30 days; 1 tokens have expired and are refused; \
         revision 3 was not confirmed by 2020-01-01T00:00:00.000Z: undone as revision 4\n"
    );
    assert_eq!(world.sql("SELECT count(*) FROM ignored_drift"), "0");
    // Nor is it revoked: a clock that is ahead for a moment locks nobody out for good.
    assert_eq!(world.sql("SELECT count(*) FROM token WHERE revoked_at IS NULL"), "1");
    assert_eq!((world.get("b"), world.revision()), ("(none)".to_owned(), 4));
    assert!(run().ends_with("1 tokens have expired and are refused; nothing had to be undone\n"));
}

fn a_file_that_follows_follows_what_a_run_takes_back(world: &World) {
    let source = "[[source]]\npath = 's.yaml'\nwrite_back = true\n";
    let job = "[[job]]\nname = 'tidy'\ncron = '@daily'\nverb = 'expire'\n";
    world.write("s.yaml", "p: 1 # one\n");
    ready(world, &[job, source].concat()).ok(&["migrate"]);
    world.ok(&["set", "p", "5", "--confirm-within", "10m"]);
    let on_trial = world.read("s.yaml");
    crate::confirm::pass(world);

    let ran = world.run(&["jobs", "run", "tidy"]);

    assert_eq!(ran.status, 0, "{ran}");
    assert!(ran.stdout.ends_with(": undone as revision 3\n"), "{ran}");
    assert_eq!(ran.stderr, "s.yaml follows: 1 written\n");
    assert_eq!([on_trial, world.read("s.yaml")], ["p: 5 # one\n", "p: 1 # one\n"]);
    assert_eq!(world.get("p"), "1");
    assert!(world.ok(&["drift"]).starts_with("no drift"));
}

fn a_reseed_check_names_what_has_changed(world: &World) {
    ready(world, "[[job]]\nname = 'new'\ncron = '@daily'\nverb = 'reseed-check'\n");
    world.migrate("a: 1\n");
    world.write("settings.yaml", "a: 2\n");

    let told = world.ok(&["jobs", "run", "new"]);
    assert_eq!(told, "an update is available: settings.yaml of default\n");
    assert_eq!(world.get("a"), "1");
}

#[test]
fn a_bad_job_stops_only_what_has_to_do_with_jobs() {
    let world = World::sqlite();
    world.migrate("a: 1\n");
    world.ok(&["backup", "create", "first"]);
    world.ok(&["set", "a", "2"]);

    let bad = [
        "cron = '@daily'\nverb = 'fly'",
        "cron = '0 0 30 2 *'\nverb = 'backup'",
        "cron = 5\nverb = 'backup'",
        "cron = '@daily'",
        "cron = '@daily'\nverb = 'backup'\nverbs = 'backup'",
        "cron = '@daily'\nverb = 'retention'",
    ];
    for bad in bad {
        world.write("setpoint.toml", format!("[[job]]\nname = 'night'\n{bad}\n"));
        for command in [&["get", "a"][..], &["backup", "restore", "first", "--dry-run"]] {
            let ran = world.run(command);
            assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{ran}");
        }
        for command in [
            &["jobs", "list"][..],
            &["jobs", "run", "night"],
            &["config", "show"],
            &["serve", "--listen", "127.0.0.1:0"],
        ] {
            let refusal = world.refusal(command);
            assert!(refusal.starts_with("1 config::invalid; `job night"), "{bad}: {refusal}");
        }
        let doctor = world.run(&["doctor"]);
        assert!(doctor.status == 1 && doctor.stdout.contains("WRONG  `job night"), "{doctor}");
    }
}

#[test]
fn a_job_that_has_no_rules_for_what_it_removes_is_told_before_it_runs() {
    let world = World::sqlite();
    let declare = |rules: &str| {
        let job = "[[job]]\nname = 'tidy'\ncron = '@daily'\nverb = 'retention'\n";
        world.write("setpoint.toml", format!("{job}{rules}"));
    };

    declare("");
    assert_snapshot!(world.refusal(&["config", "show"]), @"1 config::invalid; `job tidy: verb` in setpoint.toml: `retention` has no rules, and would remove nothing; say what stays, in [backups.retention] or [revisions]; nothing was done");
    for rules in ["[backups.retention]\nkeep_last = 1\n", "[revisions]\nkeep_last = 1\n"] {
        declare(rules);
        world.ok(&["config", "show"]);
    }
}

#[test]
fn all_that_is_wrong_with_the_jobs_is_told_before_anything_is_done() {
    let world = World::sqlite();
    let wrong = NIGHT.replace("0 3 * * *", "0 0 30 2 *").replace("audit-verify", "audit-verfy");
    world.write("setpoint.toml", format!("{wrong}{NIGHT}retries = 50\n[jobs]\nlease_ms = 1\n"));

    assert_snapshot!(world.run(&["jobs", "list"]), @r#"
    status 1
    -- stderr
    config::invalid

      × the configuration has 5 wrong values
      help: mend them; nothing was done

    Error: config::invalid

      × `jobs.lease_ms` in setpoint.toml: is not within 100 and 3600000
      help: mend it there; nothing was done

    Error: config::invalid

      × `job number 1: cron` in setpoint.toml: `0 0 30 2 *` never comes: no month
      │ has such a day
      help: write it as in cron = "30 3 * * *", or "@daily"; nothing was done

    Error: config::invalid

      × `job number 1: verb` in setpoint.toml: `audit-verfy` is nothing that a job
      │ can do
      help: did you mean `audit-verify`? There are audit-verify, backup, drift,
            expire, reseed-check, retention, vacuum, verify-backups; nothing was
            done

    Error: config::invalid

      × `job number 2: name` in setpoint.toml: there are two jobs `night`
      help: give one of them another name; nothing was done

    Error: config::invalid

      × `job number 2: retries` in setpoint.toml: 50 retries are more than 20
      help: give fewer; the next run comes anyway; nothing was done
    "#);
    assert_eq!(world.file_names(), ["setpoint.toml"]);
}
