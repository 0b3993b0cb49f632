//! Clocks that jump, and what those that were ahead leave behind.

use insta::assert_snapshot;

use super::{Jobs, NIGHT, job, minute, ready, runs};
use crate::serve::server::Server;
use crate::world::{World, text};

on_both![
    a_clock_that_jumps_by_a_little_neither_repeats_nor_skips,
    what_lies_ahead_of_every_clock_makes_room,
    what_lies_ahead_is_not_the_newest,
];

/// More than any clock of these tests is ahead.
const YEARS: i64 = 60 * 24 * 3650;

fn skipping(world: &World) -> Jobs {
    Jobs::of(world, job(|it| it.missed = Some("skip".to_owned())))
}

fn a_clock_that_jumps_by_a_little_neither_repeats_nor_skips(world: &World) {
    let jobs = skipping(world);
    assert_eq!(jobs.all(1, 0), [1]);
    assert_eq!(jobs.all(2, 0), [2]);

    assert_eq!(jobs.all(1, 0), [0i64; 0]);
    assert_eq!((2..5).flat_map(|it| jobs.all(it, 0)).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn what_a_clock_that_was_ahead_has_run_is_run_again_when_its_time_comes() {
    let world = World::sqlite();
    let jobs = skipping(&world);
    assert_eq!(jobs.all(1, 0), [1]);
    // On by an hour, and on by years, and back each time.
    assert_eq!(jobs.all(61, 0), [61]);
    assert_eq!(jobs.all(2, 30), [0i64; 0]);
    assert_eq!(jobs.all(YEARS, 0), [YEARS]);
    assert_eq!(jobs.all(3, 0), [0i64; 0]);

    assert_eq!((4..6).flat_map(|it| jobs.all(it, 0)).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(jobs.all(61, 0), [61]);
    assert_snapshot!(runs(&world), @r"
    1: succeeded
    2: succeeded, was recorded for 2026-05-01T13:01:00.000Z, by a clock that was ahead
    2: succeeded, was recorded for 2036-04-28T12:00:00.000Z, by a clock that was ahead
    4: succeeded
    5: succeeded
    60: skipped, 55 runs were missed, 2026-05-01T12:06:00.000Z to 2026-05-01T13:00:00.000Z
    61: succeeded
    ");
}

#[test]
fn on_postgres_nothing_is_run_before_its_time_and_nothing_again() {
    let world = World::postgres();
    let jobs = skipping(&world);
    assert_eq!(jobs.all(1, 0), [1]);
    // Whose clock is behind does not know what others have run.
    assert_eq!(jobs.all(-60, 0), [0i64; 0]);
    assert_eq!(jobs.all(2, 0), [2]);

    let ahead = jobs.tick(YEARS, 0).unwrap();

    assert!(minute(&ahead) < YEARS, "{ahead:?}");
    let later = "SELECT count(*) FROM job_run WHERE scheduled_for > '2030' OR started_at > '2030'";
    assert_eq!(world.sql(later), "0");
}

/// A run of a time that no clock has reached, copied from one that there was.
fn ahead(world: &World, scheduled_for: &str, state: &str, attempt: u8) {
    world.sql(&format!(
        "INSERT INTO job_run (job, scheduled_for, trigger, verb, state, attempt, token, not_before,
                              started_at, finished_at)
         SELECT job, '{scheduled_for}', trigger, verb, '{state}', {attempt}, token, '{scheduled_for}',
                '{scheduled_for}', '{scheduled_for}' FROM job_run LIMIT 1"
    ));
}

fn what_lies_ahead_of_every_clock_makes_room(world: &World) {
    let jobs = skipping(world);
    assert_eq!(jobs.all(1, 0), [1]);
    ahead(world, "2099-01-01T00:00:00.000Z", "succeeded", 1);
    ahead(world, "2099-01-01T00:01:00.000Z", "failed", 2);
    ahead(world, "2099-01-01T00:02:00.000Z", "queued", 0);
    ahead(world, "2099-01-01T00:03:00.000Z", "skipped", 0);
    world.sql("UPDATE job SET considered_until = '2099-01-01T00:03:00.000Z'");

    assert_eq!(jobs.all(2, 0), [0i64; 0]);
    assert_eq!(jobs.all(3, 0), [3]);
    assert_snapshot!(runs(world), @r"
    1: succeeded
    1: succeeded, was recorded for 2099-01-01T00:00:00.000Z, by a clock that was ahead
    1: failed, was recorded for 2099-01-01T00:01:00.000Z, by a clock that was ahead
    3: succeeded
    ");
    let moved = "SELECT scheduled_for, finished_at FROM job_run WHERE note IS NOT NULL ORDER BY 1";
    assert_snapshot!(world.sql(moved), @r"
    2026-05-01T12:01:59.998Z|2026-05-01T12:01:59.998Z
    2026-05-01T12:01:59.999Z|2026-05-01T12:01:59.999Z
    ");
}

fn what_lies_ahead_is_not_the_newest(world: &World) {
    let watch = "[[job]]\nname = 'watch'\ncron = '@daily'\nverb = 'drift'\n";
    ready(world, &format!("{NIGHT}{watch}")).migrate("a: 1\n");
    world.ok(&["backup", "create", "first"]);
    world.ok(&["jobs", "run", "watch"]);
    world.ok(&["jobs", "run", "night"]);
    world.sql("DELETE FROM job_run WHERE job = 'watch'");
    ahead(world, "2099-01-01T00:00:00.000Z", "failed", 1);
    world.sql(
        "INSERT INTO drift_report (job, scheduled_for, created_at, epoch, revision, told, report)
         SELECT job, '2099', '2099-01-01T00:00:00.000Z', epoch, revision, told, 'none'
         FROM drift_report",
    );
    world.sql(
        "INSERT INTO backup (name, kind, created_at, created_by, verified_at, epoch, revision,
                             head_hash, size_bytes, sha256)
         SELECT 'later', kind, '2099-01-01T00:00:00.000Z', created_by, '2099-01-01T00:00:00.000Z',
                epoch, revision, head_hash, 77, sha256 FROM backup",
    );

    let listed = world.json(&["jobs", "list"]);
    let last = listed.as_array().unwrap().iter().find(|it| it["name"] == "night").unwrap();
    assert_eq!(last["last"]["state"], "succeeded");
    assert!(world.ok(&["drift", "report"]).contains("0 out of line"));
    assert!(text(&world.json(&["jobs", "run", "watch"])["output"]).starts_with("0 out of line"));
    let server = Server::start(world);
    let mut metrics = server.get("/metrics").body;
    while !metrics.contains("setpoint_job_failing{") || !metrics.contains("setpoint_backup_size") {
        metrics = server.get("/metrics").body;
    }
    let says = |it: &str| metrics.lines().any(|line| line == it);
    assert!(says(r#"setpoint_job_failing{name="night"} 0"#), "{metrics}");
    assert!(!says("setpoint_backup_size_bytes 77"), "{metrics}");
    assert!(!metrics.lines().any(|it| it.ends_with(" 4070908800")), "{metrics}");
}
