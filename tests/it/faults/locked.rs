//! Another process that holds the database: waiting has an end, and nothing is half done.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use super::strace::Followed;
use super::{MIGRATE, Scenario, State, code, started};
use crate::world::{Ran, World};

/// A process that does one thing and holds on to it.
pub struct Holder {
    process: Child,
}

impl Holder {
    /// Runs `sql` in sqlite3, which is done when this returns.
    pub fn sqlite(world: &World, sql: &str) -> Self {
        let mut sqlite3 = Command::new("sqlite3");
        Self::of(sqlite3.args(["-batch", "-bail"]).arg(world.path("setpoint.db")), sql)
    }

    pub fn psql(world: &World, sql: &str) -> Self {
        let mut psql = Command::new("psql");
        Self::of(
            psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", &world.database()]),
            sql,
        )
    }

    fn of(command: &mut Command, sql: &str) -> Self {
        let mut process = started(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let stdin = process.stdin.as_mut().unwrap();
        stdin.write_all(format!("{sql};\nSELECT 'held';\n").as_bytes()).unwrap();
        let lines = BufReader::new(process.stdout.as_mut().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|it| it == "held"), "{sql} failed");
        Self { process }
    }

    /// Ends it at the end of its input, which takes the transaction back.
    pub fn release(mut self) {
        drop(self.process.stdin.take());
        assert!(self.process.wait().unwrap().success());
    }
}

fn migrate_impatiently(world: &World) -> Ran {
    let mut command = world.command(&[&MIGRATE[..], &["--json"]].concat());
    command.env("SETPOINT_SQLITE__BUSY_TIMEOUT_MS", "50");
    world.end(command.spawn().unwrap())
}

#[track_caller]
fn is_refused_until_released(scenario: &Scenario, sql: &str) {
    let world = scenario.world();
    let holder = Holder::sqlite(&world, sql);

    let ran = migrate_impatiently(&world);

    assert_eq!((ran.status, code(&ran).as_str()), (1, "database::locked"), "{ran}");
    assert!(!scenario.assert_whole_or_nothing(&world, sql));
    holder.release();
    scenario.assert_next_run_finishes(&world, sql);
}

#[test]
fn a_migration_gives_up_on_a_database_that_another_process_writes_to() {
    is_refused_until_released(&Scenario::second(), "BEGIN IMMEDIATE");
}

#[test]
fn a_migration_gives_up_on_a_database_that_another_process_holds_exclusively() {
    is_refused_until_released(&Scenario::second(), "BEGIN EXCLUSIVE");
}

#[test]
fn a_first_migration_gives_up_on_an_empty_database_that_another_process_holds() {
    is_refused_until_released(&Scenario::first(), "BEGIN EXCLUSIVE");
}

#[test]
fn a_migration_gives_up_on_a_database_that_another_process_keeps_to_itself() {
    let sql = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE head SET applying = NULL";
    let scenario = Scenario::second();
    let world = scenario.world();
    let holder = Holder::sqlite(&world, sql);

    let ran = migrate_impatiently(&world);

    assert_eq!((ran.status, code(&ran).as_str()), (1, "database::locked"), "{ran}");
    holder.release();
    assert_eq!(State::of(&world), scenario.before);
    scenario.assert_next_run_finishes(&world, sql);
}

#[test]
fn an_edit_gives_up_on_a_database_that_another_process_writes_to() {
    let scenario = Scenario::second();
    let world = scenario.world();
    let holder = Holder::sqlite(&world, "BEGIN IMMEDIATE");

    let mut command = world.command(&["set", "http.port", "1", "--json"]);
    command.env("SETPOINT_SQLITE__BUSY_TIMEOUT_MS", "50");
    let ran = world.end(command.spawn().unwrap());

    assert_eq!((ran.status, code(&ran).as_str()), (1, "database::locked"), "{ran}");
    holder.release();
    assert_eq!(State::of(&world), scenario.before);
}

#[test]
fn reads_and_dry_runs_work_while_another_process_writes() {
    let scenario = Scenario::second();
    let world = scenario.world();
    let expected = world.json(&[&MIGRATE[..], &["--dry-run"]].concat());
    let change = "UPDATE setting SET value = '81' WHERE key = 'http.port'";
    let holder = Holder::sqlite(&world, &format!("BEGIN IMMEDIATE; {change}"));

    let planned = world.json(&[&MIGRATE[..], &["--dry-run"]].concat());

    assert_eq!((world.get("http.port"), planned), ("80".to_owned(), expected));
    holder.release();
}

#[test]
fn a_writer_waits_for_another_one_that_finishes_in_time() {
    let scenario = Scenario::second();
    let world = scenario.world();
    let holder = Holder::sqlite(&world, "BEGIN IMMEDIATE");
    let mut command = world.command(&MIGRATE);
    command.env("SETPOINT_SQLITE__BUSY_TIMEOUT_MS", "60000");
    let sleeps = ["-e", "trace=nanosleep,clock_nanosleep"];
    let mut waiting = Followed::start(&world, &sleeps, &command);
    waiting.wait_for("nanosleep");

    holder.release();

    let ran = waiting.end(&world);
    assert_eq!((ran.status, State::of(&world)), (0, scenario.after), "{ran}");
}

#[test]
fn a_migration_gives_up_on_a_postgres_database_that_another_session_writes_to() {
    let world = World::postgres();
    world.migrate("a: 1\n");
    world.write("settings.yaml", "a: 2\n");
    let holder = Holder::psql(&world, "BEGIN; SELECT revision FROM head FOR UPDATE");

    let mut command = world.command(&["migrate", "settings.yaml", "--json"]);
    let ran = world.end(command.env("SETPOINT_POSTGRES__LOCK_TIMEOUT_MS", "50").spawn().unwrap());

    assert_eq!((ran.status, code(&ran).as_str()), (1, "database::locked"), "{ran}");
    assert_eq!(world.get("a"), "1");
    holder.release();
    world.ok(&["migrate", "settings.yaml"]);
    assert_eq!((world.get("a"), world.revision()), ("2".to_owned(), 2));
}
