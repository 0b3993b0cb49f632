//! Jobs: run when they are due, by one instance alone, however many there are and whatever
//! becomes of them.

use chrono::{DateTime, TimeZone as _, Utc};
use serde_json::Value;
use setpoint_ops::database::{Access, Database, Location, Settings, open};
use setpoint_ops::job::{Claim, Declared, Effect, Ended, Holder, Job, read};

use crate::world::{World, block_on, text};

mod alarm;
mod claims;
mod commands;
mod race;
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
    read(&[declared], &[]).unwrap().remove(0)
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
    Ended { result: Ok("done".to_owned()), effect: Effect::Nothing }
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
