//! Ends that cannot be recorded at once, and leases that are kept whatever the work does.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use setpoint_importers::Limits;
use setpoint_ops::backup::Storage;
use setpoint_ops::database::{Location, Settings};
use setpoint_ops::job::{Ground, Holder, State, Store, run_now};
use setpoint_ops::live::Policy;

use super::alarm::{Listener, answer, drifting};
use super::{at, instance, job, opened, ready};
use crate::faults::locked;
use crate::world::{World, block_on};

/// A job by hand whose work is done, and whose end cannot be recorded yet.
fn not_recorded_yet(world: &World, listener: &Listener, gone: impl FnOnce()) -> Child {
    let mut command = world.command(&["jobs", "run", "watch"]);
    command.env("SETPOINT_JOBS__LEASE_MS", "60000");
    command.env("SETPOINT_SQLITE__BUSY_TIMEOUT_MS", "20");
    let mut run = command.spawn().unwrap();
    let (stream, _) = listener.heard();
    gone();
    answer(stream, "200 OK");
    let mut lines = BufReader::new(run.stderr.as_mut().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|it| it.contains("not recorded yet")), "it has ended");
    run
}

#[track_caller]
fn assert_recorded(world: &World, mut run: Child) {
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert_eq!(world.sql("SELECT state, attempt FROM job_run"), "succeeded|1");
    assert_eq!(world.sql("SELECT count(*) FROM drift_report"), "1");
}

#[test]
fn the_end_of_a_run_is_recorded_once_others_let_it() {
    let (world, listener) = (World::sqlite(), Listener::new());
    drifting(&world, &listener, "");

    let mut holder = None;
    let lock = || holder = Some(locked::Holder::sqlite(&world, "BEGIN IMMEDIATE"));
    let run = not_recorded_yet(&world, &listener, lock);
    holder.unwrap().release();

    assert_recorded(&world, run);
}

#[test]
fn the_end_of_a_run_is_recorded_once_the_server_is_back() {
    let (world, listener) = (World::postgres_alone(), Listener::new());
    drifting(&world, &listener, "");

    let run = not_recorded_yet(&world, &listener, || world.server().stop());
    world.server().start();

    assert_recorded(&world, run);
}

#[test]
fn a_lease_is_renewed_while_the_work_has_the_only_connection() {
    let world = World::sqlite();
    let db = opened(ready(&world, ""));
    let wait = Duration::from_secs(30);
    let ground = Ground {
        location: Location::Sqlite(world.path("setpoint.db")),
        settings: Settings { lock_timeout: wait, connect_timeout: wait },
        backups: Storage::new(world.path("backups"), None),
        retention: None,
        revisions: None,
        declared: Arc::new(Policy::new(HashMap::new())),
        sources: Vec::new(),
        root: world.folder().to_owned(),
        limits: Limits::default(),
        rules: HashMap::new(),
        webhook_hosts: Vec::new(),
    };
    let work = block_on(db.snapshot()).unwrap();

    let run = thread::spawn(move || {
        let holder = Holder { lease: Duration::from_millis(100), ..instance("one") };
        let job = job(|_| {});
        let ran = block_on(run_now(Store::Plain(&db), &job, &holder, &ground, || at(0, 0)));
        ran.unwrap().recorded.state
    });
    let is_running = "SELECT count(*) FROM job_run WHERE state = 'running'";
    while world.sql(is_running) == "0" {}
    world.sql("UPDATE job_run SET lease_until = 'none'");
    while world.sql("SELECT lease_until FROM job_run") == "none" {}
    block_on(async { drop(work) });

    assert_eq!(run.join().unwrap(), State::Succeeded);
}
