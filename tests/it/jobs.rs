//! Jobs: run when they are due, by one instance alone, however many there are and whatever
//! becomes of them.

use chrono::{DateTime, TimeZone as _, Utc};
use serde_json::Value;
use setpoint_ops::database::{Access, Database, Location, Settings, open};
use setpoint_ops::job::{Claim, Declared, Ended, Holder, Job, State, finish, read, renew, tick};

use crate::world::{World, block_on, text};

mod alarm;
mod claims;
mod clocks;
mod commands;
mod ends;
pub mod race;
mod service;

/// What `night` does at 3 each morning.
const NIGHT: &str = "
[[job]]
name = 'night'
cron = '0 3 * * *'
time_zone = 'Europe/Berlin'
verb = 'audit-verify'
";

/// A world with a database, and `configuration`.
fn ready<'w>(world: &'w World, configuration: &str) -> &'w World {
    world.write("setpoint.toml", configuration);
    world.ok(&["database", "up"]);
    world
}

/// The database of a world, opened once more.
fn opened(world: &World) -> Database {
    let location = match world.is_postgres() {
        true => Location::parse(&world.database()),
        false => Location::Sqlite(world.path("setpoint.db")),
    };
    let wait = std::time::Duration::from_secs(30);
    let settings = Settings { lock_timeout: wait, connect_timeout: wait };
    block_on(open(&location, Access::Write, settings)).unwrap()
}

/// A job of every minute, changed by `change`.
fn job(change: impl FnOnce(&mut Declared)) -> Job {
    let mut declared = Declared {
        name: "minute".to_owned(),
        cron: "* * * * *".to_owned(),
        verb: "audit-verify".to_owned(),
        ..Declared::default()
    };
    change(&mut declared);
    read(&[declared], &[], true).unwrap().remove(0)
}

/// A job of a database, run by the library, with a clock that the tests set.
struct Jobs {
    db: Database,
    job: Job,
}

impl Jobs {
    /// A job that was looked at at noon for the first time.
    fn of(world: &World, job: Job) -> Self {
        let jobs = Self { db: opened(ready(world, "")), job };
        assert_eq!(jobs.tick(0, 1), None);
        jobs
    }

    fn tick(&self, minute: i64, second: i64) -> Option<Claim> {
        self.tick_as("one", minute, second)
    }

    fn tick_as(&self, name: &str, minute: i64, second: i64) -> Option<Claim> {
        block_on(tick(&self.db, &self.job, &instance(name), at(minute, second))).unwrap()
    }

    /// Ends a run; tells whether it was still the instance's.
    fn end(&self, claim: &Claim, ended: &Ended, minute: i64) -> Option<State> {
        let finished = block_on(finish(&self.db, claim, &self.job, ended, at(minute, 30))).unwrap();
        finished.map(|it| it.state)
    }

    /// As if the instance had not been heard of for as long as its lease.
    fn silence(&self, claim: &Claim) {
        let silent = Holder { lease: std::time::Duration::ZERO, ..instance("any") };
        assert!(block_on(renew(&self.db, claim, &silent, at(0, 0))).unwrap());
    }

    /// What can be claimed in a minute, one after the other, as minutes.
    fn all(&self, minute_: i64, second: i64) -> Vec<i64> {
        let mut ran = Vec::new();
        while let Some(claim) = self.tick(minute_, second) {
            assert_eq!(self.end(&claim, &succeeded(), minute_), Some(State::Succeeded));
            ran.push(minute(&claim));
        }
        ran
    }
}

/// An instance whose lease is long.
fn instance(name: &str) -> Holder {
    Holder { instance: name.to_owned(), lease: std::time::Duration::from_secs(3600) }
}

/// So many minutes and seconds after noon on 1 May 2026.
fn at(minute: i64, second: i64) -> DateTime<Utc> {
    let noon = Utc.with_ymd_and_hms(2026, 5, 1, 12, 0, 0).unwrap();
    noon + chrono::Duration::seconds(60 * minute + second)
}

fn succeeded() -> Ended {
    Ended::done("done")
}

/// The minute after noon that a claim is of.
fn minute(claim: &Claim) -> i64 {
    let time = DateTime::parse_from_rfc3339(&claim.scheduled_for).unwrap().to_utc();
    (time - at(0, 0)).num_minutes()
}

/// Every run as `minute: state`, the oldest first, with what is said of it.
fn runs(world: &World) -> String {
    let listed = world.json(&["jobs", "history", "--limit", "1000"]);
    let line = |it: &Value| {
        let time = DateTime::parse_from_rfc3339(text(&it["scheduled_for"])).unwrap().to_utc();
        let said = ["error", "note"].map(|name| it[name].as_str().unwrap_or_default());
        let said = said.iter().filter(|it| !it.is_empty()).map(|it| format!(", {it}"));
        let said: String = said.collect();
        format!("{}: {}{said}", (time - at(0, 0)).num_minutes(), text(&it["state"]))
    };
    listed.as_array().unwrap().iter().rev().map(line).collect::<Vec<_>>().join("\n")
}
