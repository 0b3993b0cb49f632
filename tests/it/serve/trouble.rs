//! A database in trouble: the service stays up, reads go on, writes answer 503 and are not made
//! later.

use std::fs;

use serde_json::json;

use super::server::Server;
use super::{CONFIGURATION, eventually, ready_with};
use crate::faults::full::Disk;
use crate::faults::locked::Holder;
use crate::world::{Files, World};

/// Waits for nobody for long.
const IMPATIENT: &str = "
[sqlite]
busy_timeout_ms = 50
[postgres]
connect_timeout_ms = 200
lock_timeout_ms = 200
";

fn ready(world: &World) -> &World {
    ready_with(world, &format!("{CONFIGURATION}{IMPATIENT}"))
}

const A: &str = "/api/settings/a.k0";

/// A write is refused with `code`, and reads go on.
#[track_caller]
fn assert_refused(server: &Server, code: &str) {
    let refused = server.put(A, r#"{"value": "refused"}"#);
    assert_eq!(refused.problem(), (503, code.to_owned()), "{refused}");
    assert!(refused.head.to_lowercase().contains("\r\nretry-after:"), "{refused}");
    assert_eq!(server.get(A).json()["value"], "x");
    assert_eq!(server.get("/health").status, 200);
}

/// Writes work again, and what was refused has never happened.
#[track_caller]
fn assert_well(server: &Server) {
    let written = server.put(A, r#"{"value": "after"}"#);
    assert_eq!((written.status, &written.json()["revision"]), (200, &json!(2)), "{written}");
    assert_eq!(server.get(A).json()["value"], "after");
    eventually("it is ready", || server.get("/ready").status == 200);
}

#[test]
fn a_write_to_a_locked_sqlite_file_is_refused_and_not_made_later() {
    let world = World::sqlite();
    let server = Server::start(ready(&world));
    let holder = Holder::sqlite(&world, "BEGIN IMMEDIATE");

    assert_refused(&server, "database::locked");
    assert_eq!(server.get("/ready").status, 200);

    holder.release();
    assert_well(&server);
}

#[test]
fn a_write_to_a_locked_postgres_database_is_refused_and_not_made_later() {
    let world = World::postgres();
    let server = Server::start(ready(&world));
    let holder = Holder::psql(&world, "BEGIN; SELECT revision FROM head FOR UPDATE");

    assert_refused(&server, "database::locked");

    holder.release();
    assert_well(&server);
}

#[test]
fn a_write_to_a_full_disk_is_refused_and_not_made_later() {
    let disk = Disk::of(8 << 20, &Files::new());
    for name in ["setpoint.toml", "settings.yaml"] {
        let source = World::sqlite();
        fs::write(disk.folder().join(name), ready(&source).read(name)).unwrap();
    }
    let world = &disk.world;
    let migrated = disk.inside(&world.command(&["migrate", "settings.yaml"])).output().unwrap();
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    let address = crate::world::free_address();
    let command = world.command(&["serve", "--listen", &address.to_string()]);
    let server = Server::spawn(disk.inside(&command), address);
    let ballast = disk.folder().join("ballast");
    assert!(fs::write(&ballast, vec![0; 16 << 20]).is_err(), "the disk has room for everything");

    assert_refused(&server, "database::full");

    fs::remove_file(ballast).unwrap();
    assert_well(&server);
}

#[test]
fn while_the_file_is_moved_away_writes_are_refused_and_reads_go_on() {
    let world = World::sqlite();
    let server = Server::start(ready(&world));
    let away = |from: &str, to: &str| fs::rename(world.path(from), world.path(to)).unwrap();
    away("setpoint.db", "away.db");

    assert_refused(&server, "database::gone");
    eventually("it says that it is not ready", || server.get("/ready").status == 503);

    away("away.db", "setpoint.db");
    assert_well(&server);
}

#[test]
fn a_file_that_takes_the_place_of_another_is_not_written_to() {
    let world = World::sqlite();
    let server = Server::start(ready(&world));
    world.ok(&["backup", "create", "first"]);
    fs::rename(world.path("setpoint.db"), world.path("away.db")).unwrap();
    fs::copy(world.path("away.db"), world.path("setpoint.db")).unwrap();
    let before = fs::read(world.path("setpoint.db")).unwrap();

    assert_refused(&server, "database::gone");
    let restored = server.send("POST", "/api/backups/first/restore", "{}");
    assert!(
        restored.status == 503 && restored.body.contains("database::gone"),
        "{}",
        restored.body
    );

    server.signal("TERM");
    assert_eq!(server.ended(), Some(0));
    assert!(fs::read(world.path("setpoint.db")).unwrap() == before, "it was written to");
}

#[test]
fn while_postgres_is_away_writes_are_refused_and_reads_go_on() {
    let world = World::postgres_alone();
    let server = Server::start(ready(&world));
    world.server().stop();

    let refused = server.put(A, r#"{"value": "refused"}"#);
    assert_eq!(refused.status, 503, "{refused}");
    assert_eq!(server.get(A).json()["value"], "x");
    eventually("it says that it is not ready", || server.get("/ready").status == 503);
    assert_eq!(server.get("/health").status, 200);

    world.server().start();
    eventually("it is ready again", || server.get("/ready").status == 200);
    assert_well(&server);
}

/// It holds the lock that every writer needs. Where the network is gone as well, PostgreSQL
/// would not find out for hours.
#[test]
fn an_instance_that_stops_in_the_middle_of_a_write_does_not_keep_others_from_writing() {
    let world = World::postgres();
    let (one, two) = (Server::start(ready(&world)), Server::start(&world));
    let held = Holder::psql(&world, "BEGIN; LOCK TABLE change IN SHARE MODE");
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    std::thread::scope(|scope| {
        let write = scope.spawn(|| one.put(A, r#"{"value": "one"}"#));
        eventually("it waits", || world.sql(waiting) == "1");
        one.signal("STOP");
        held.release();

        eventually("the other one can write", || two.put(A, r#"{"value": "after"}"#).status == 200);
        one.signal("CONT");
        let answer = write.join().unwrap();
        assert_eq!(answer.status, 503, "{answer}");
    });
    assert_eq!(world.sql("SELECT count(*) FROM change WHERE after = '\"one\"'"), "0");
}

/// A trigger that waits for the test when a revision is committed.
const WAIT: &str = "
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON revision DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION wait()";

#[test]
fn a_write_whose_commit_is_lost_is_not_said_to_be_undone() {
    let world = World::postgres();
    let configuration = format!("{CONFIGURATION}[postgres]\nlock_timeout_ms = 30000\n");
    let server = Server::start(ready_with(&world, &configuration));
    world.sql(WAIT);
    let held = Holder::psql(&world, "SELECT pg_advisory_lock(7)");
    let waiting = "FROM pg_stat_activity WHERE datname = current_database()
        AND wait_event_type = 'Lock' AND query = 'COMMIT'";
    std::thread::scope(|scope| {
        let write = scope.spawn(|| server.put(A, r#"{"value": "perhaps"}"#));
        eventually("it commits", || world.sql(&format!("SELECT count(*) {waiting}")) == "1");

        world.sql(&format!("SELECT count(pg_terminate_backend(pid)) {waiting}"));

        let answer = write.join().unwrap();
        assert_eq!(answer.problem(), (503, "database::unanswered".to_owned()), "{answer}");
    });
    held.release();
    assert_well(&server);
}
