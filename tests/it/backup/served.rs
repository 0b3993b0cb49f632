//! Restores under a running service, which goes on without a restart.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde_json::Value;
use tokio::time::timeout;

use super::{assert_sound, epoch, ready, settings};
use crate::serve::{self, Kind, Server, Wants, Wire};
use crate::world::{World, block_on};

on_both![
    a_running_service_follows_a_restore_and_tells_its_clients,
    a_restore_while_others_write_loses_nothing_that_was_acknowledged,
    a_backup_while_others_write_is_of_one_moment,
];

fn a_running_service_follows_a_restore_and_tells_its_clients(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    world.ok(&["set", "http.port", "1"]);
    world.ok(&["set", "new", "true"]);
    let (server, token) = served(world);
    let (wants, address) = (Wants::default(), server.address);
    let wire = async {
        let wire = Wire::connect(Kind::Raw, address, Some(&token), &wants, None).await;
        let mut wire = wire.unwrap();
        let told = reloaded(&mut wire).await;
        (wire, told)
    };
    let (mut wire, before) = block_on(wire);
    assert_eq!((port(&before), &before["revision"]), (1.into(), &7.into()));

    world.ok(&["backup", "restore", "first", "--yes"]);

    let after = block_on(reloaded(&mut wire));
    assert_eq!((port(&after), &after["revision"]), (8080.into(), &6.into()));
    assert!(after["epoch"].as_str().unwrap().starts_with(&epoch(world)));
    assert_ne!(after["epoch"], before["epoch"]);
    let read = server.get("/api/settings/http.port").json();
    assert_eq!(read["value"], 8080);
    let written = server.put("/api/settings/http.port", r#"{"value": 9}"#);
    assert_eq!((written.status, world.revision()), (200, 7), "{written}");
    assert_sound(world);
}

/// The service, and who may write.
fn served(world: &World) -> (Server, String) {
    let printed = world.ok(&["token", "create", "writer", "--role", "editor"]);
    let token = printed.trim_end().to_owned();
    (serve::plain(world).with_token(&token), token)
}

/// The next frame with all settings.
async fn reloaded(wire: &mut Wire) -> Value {
    loop {
        let frame = timeout(serve::DEADLINE, wire.next()).await.unwrap().unwrap();
        if frame["type"] == "SettingsReloaded" {
            return frame;
        }
    }
}

fn port(reloaded: &Value) -> Value {
    let settings = reloaded["settings"].as_array().unwrap().iter();
    let mut port = settings.filter(|it| it["key"] == "http.port");
    port.next().unwrap()["value"].clone()
}

/// Writes `key` again and again until `done`. Gives the values that were acknowledged.
fn write_until(server: &Server, key: &str, done: &AtomicBool) -> Vec<u64> {
    let mut kept = Vec::new();
    for value in 1.. {
        if done.load(Relaxed) {
            break;
        }
        let body = format!(r#"{{"value": {value}}}"#);
        let answer = server.put(&format!("/api/settings/{key}"), &body);
        assert_eq!(answer.status, 200, "whoever writes waits for the restore: {answer}");
        kept.push(value);
    }
    kept
}

fn a_restore_while_others_write_loses_nothing_that_was_acknowledged(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    let (server, _) = served(world);
    let done = AtomicBool::new(false);

    let (kept, restored) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_until(&server, "busy", &done));
        let restored = world.run(&["backup", "restore", "first", "--yes", "--json"]);
        done.store(true, Relaxed);
        (writer.join().unwrap(), restored)
    });

    assert_eq!(restored.status, 0, "{restored}");
    assert_sound(world);
    // What was written before lies in the backup that the restore took, what was written after is
    // live: of each revision there is one or the other.
    let safe = restored.json()["safety_backup"].as_str().unwrap().to_owned();
    let live = changes(&super::rows_of(world));
    world.ok(&["backup", "restore", &safe, "--yes"]);
    let before = changes(&super::rows_of(world));
    assert_eq!(live.len() + before.len(), kept.len(), "{kept:?}\n{before:?}\n{live:?}");
    assert_eq!([before, live].concat(), kept);
    assert_sound(world);
}

fn changes(rows: &str) -> Vec<u64> {
    rows.lines().map(|it| it.parse().unwrap()).collect()
}

fn a_backup_while_others_write_is_of_one_moment(world: &World) {
    ready(world);
    let (server, _) = served(world);
    let done = AtomicBool::new(false);

    std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_until(&server, "busy", &done));
        for name in ["one", "two", "three"] {
            world.ok(&["backup", "create", name]);
        }
        done.store(true, Relaxed);
        assert!(!writer.join().unwrap().is_empty());
    });
    drop(server);

    for name in ["one", "two", "three"] {
        world.ok(&["backup", "verify", name]);
        world.ok(&["backup", "restore", name, "--yes"]);
        assert_sound(world);
        assert!(!settings(world).is_empty());
    }
}
