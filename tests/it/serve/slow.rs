//! Clients that do not keep up: stopped ones, and such that read when they like.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc;
use std::thread;

use serde_json::{Value, json};
use setpoint_client::types::Position;
use tokio::net::TcpSocket;
use tokio::time::timeout;

use super::audience::newest;
use super::checker::assert_true;
use super::history::{History, Wants, led};
use super::server::{Server, signal};
use super::truth::Truth;
use super::wire::Wire;
use super::writers::{self, Http};
use super::{CONFIGURATION, DEADLINE, ready_with};
use crate::world::{World, block_on};

/// Drops whoever is silent for a moment.
fn ready_and_impatient(world: &World) -> &World {
    ready_with(world, &CONFIGURATION.replace("client_timeout_ms = 2000", "client_timeout_ms = 300"))
}

/// `setpoint watch` as a process of its own.
struct Watch {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn start(world: &World, server: &Server) -> Self {
        let mut command = world.command(&["watch", "--json", "--url", &server.url()]);
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        server.wait_for("setpoint watch");
        Self { child, lines }
    }

    /// What it has told up to `end`, as frames. It began at revision 1, and prints no pings.
    fn told_up_to(mut self, truth: &Truth, end: &Position) -> History {
        let wants = Wants::default();
        let mut history = History::of("setpoint watch", &wants);
        let first = Position { revision: 1, ..end.clone() };
        let settings: Vec<_> =
            truth.newest().settings(&wants).swap_remove(1).into_values().collect();
        history.connected(None);
        history.heard(json!({"type": "Welcome"}));
        history.heard(json!({"type": "SettingsReloaded", "epoch": first.epoch, "revision": 1,
            "namespace": "default", "reason": "hello", "settings": settings}));
        let mut held = Some(first);
        while held.as_ref() != Some(end) {
            let mut frame: Value =
                serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap();
            if frame["changes"].is_array() {
                frame["type"] = json!("SettingsBatchChanged");
                if held.as_ref().is_some_and(|it| frame["after"] != it.revision) {
                    let ping = json!({"type": "Ping", "revision": frame["after"]});
                    held = led(held, &ping);
                    history.heard(ping);
                }
            } else {
                frame["type"] = json!("SettingsReloaded");
                history.connected(held.clone());
                history.heard(json!({"type": "Welcome"}));
            }
            held = led(held, &frame);
            history.heard(frame);
        }
        history
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_stopped_client_is_dropped_and_told_what_it_has_missed_when_it_goes_on() {
    let world = World::sqlite();
    let server = Server::start(ready_and_impatient(&world));
    let watch = Watch::start(&world, &server);
    let (done, _acknowledged) = mpsc::channel();
    let writer = Http::to(server.address, "one");
    writer.write_all(0..20, &done);

    signal(watch.child.id(), "STOP");
    thread::scope(|scope| {
        scope.spawn(|| writer.write_all(20..40, &done));
        scope.spawn(|| writers::sql(&world, 6));
    });
    server.wait_for("a client was silent for too long");
    signal(watch.child.id(), "CONT");
    writer.write_all(40..60, &done);
    writers::end(&world);

    let truth = Truth::of(&world);
    let end = newest(&world);
    assert_true(&truth, &[watch.told_up_to(&truth, &end)]);
}

/// A client that takes in little at a time, so that the service soon waits for it.
async fn narrow(server: &Server, position: Option<&Position>) -> Wire {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(32 * 1024).unwrap();
    let stream = socket.connect(server.address).await.unwrap();
    Wire::over(stream, None, &Wants::default(), position).await.unwrap()
}

/// Hears frames until `is_enough`, or the connection has ended.
async fn hear(wire: &mut Wire, history: &mut History, is_enough: impl Fn(&Value) -> bool) -> bool {
    while let Some(frame) = timeout(DEADLINE, wire.next()).await.expect("there is more to hear") {
        let was_enough = is_enough(&frame);
        history.heard(frame);
        if was_enough {
            return true;
        }
    }
    false
}

/// Writes more than the buffers between a service and a client that does not read can hold.
fn fill_the_line(world: &World) {
    let write = |number: usize| {
        format!(
            "UPDATE setting SET value = '\"{number}' || hex(zeroblob(130000)) || '\"' WHERE key = 'a.k0';"
        )
    };
    world.sql(&(0..24).map(write).collect::<String>());
}

fn reaches(end: &Position) -> impl Fn(&Value) -> bool {
    let revision = end.revision;
    move |frame| frame["revision"] == revision && frame["type"] != "Welcome"
}

#[test]
fn a_client_that_reads_nothing_is_dropped_and_told_what_it_has_missed_when_it_comes_back() {
    let world = World::sqlite();
    let server = Server::start(ready_and_impatient(&world));
    let mut history = History::of("it reads nothing", &Wants::default());
    let mut wire = block_on(narrow(&server, None));
    history.connected(None);
    block_on(hear(&mut wire, &mut history, |it| it["type"] == "SettingsReloaded"));

    fill_the_line(&world);
    server.wait_for("a client was silent for too long");
    let (done, _acknowledged) = mpsc::channel();
    Http::to(server.address, "one").write_all(0..20, &done);
    let end = newest(&world);

    // What was on its way is still told, and then it has ended.
    assert!(!block_on(hear(&mut wire, &mut history, reaches(&end))));
    let held = history.frames().fold(None, led);
    assert!(held.as_ref().is_some_and(|it| it.revision < end.revision), "{held:?}");
    history.connected(held.clone());
    let mut wire = block_on(narrow(&server, held.as_ref()));
    assert!(block_on(hear(&mut wire, &mut history, reaches(&end))));
    assert_true(&Truth::of(&world), &[history]);
}

#[test]
fn a_client_that_falls_behind_is_told_what_it_has_come_to() {
    let world = World::sqlite();
    let server = Server::start(ready_with(
        &world,
        &CONFIGURATION.replace("client_timeout_ms = 2000", "client_timeout_ms = 60000"),
    ));
    let mut history = History::of("it falls behind", &Wants::default());
    let mut wire = block_on(narrow(&server, None));
    history.connected(None);
    block_on(hear(&mut wire, &mut history, |it| it["type"] == "SettingsReloaded"));

    fill_the_line(&world);
    let (done, _acknowledged) = mpsc::channel();
    Http::to(server.address, "one").write_all(0..100, &done);
    let end = newest(&world);

    assert!(block_on(hear(&mut wire, &mut history, reaches(&end))));
    let spans = |it: &Value| {
        let after = it["after"].as_i64().filter(|_| it["type"] == "SettingsBatchChanged")?;
        Some(it["revision"].as_i64()? - after)
    };
    assert!(history.frames().filter_map(spans).any(|it| it > 64), "nothing was put together");
    assert_true(&Truth::of(&world), &[history]);
}
