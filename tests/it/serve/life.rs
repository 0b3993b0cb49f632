//! How the service ends, and goes on under another configuration.

use std::io::{Read as _, Write as _};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::history::Wants;
use super::http::{begin, read};
use super::server::Server;
use super::wire::{Kind, Wire, hello, upgrade};
use super::{CONFIGURATION, DEADLINE, ready};
use crate::world::{World, block_on};

#[test]
fn a_service_that_is_told_to_end_answers_what_was_asked_before() {
    let world = World::sqlite();
    let server = Server::start(ready(&world));
    let body = r#"{"value": "at last"}"#;
    let headers = [("Content-Type", "application/json"), ("Expect", "100-continue")];
    let path = "/api/settings/a.k0";
    let mut stream = begin(server.address, "PUT", path, &headers, body.len()).unwrap();
    // It reads the body now.
    let mut told = [0; 25];
    stream.read_exact(&mut told).unwrap();
    assert!(told.starts_with(b"HTTP/1.1 100 "), "{told:?}");
    let mut socket = block_on(async {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let mut socket = upgrade(stream, None).await.unwrap();
        socket.send(Message::text(hello(&Wants::default(), None).to_string())).await.unwrap();
        socket
    });

    server.signal("TERM");
    server.wait_for("stopping once everything is answered");
    stream.write_all(body.as_bytes()).unwrap();

    let answer = read(stream).unwrap();
    assert_eq!(answer.status, 200, "{answer}");
    let code = block_on(async {
        loop {
            match timeout(DEADLINE, socket.next()).await.unwrap() {
                Some(Ok(Message::Close(frame))) => break frame.map(|it| u16::from(it.code)),
                Some(Ok(_)) => {}
                other => panic!("it ends without a close: {other:?}"),
            }
        }
    });
    assert_eq!(code, Some(1001));
    assert_eq!(server.ended(), Some(0));
    assert_eq!(world.get("a.k0"), "at last");
    assert!(!world.file_names().iter().any(|it| it.ends_with("-wal")), "{:?}", world.file_names());
}

/// The value of `a.k0` that a frame tells everything with, and why it does.
fn told_anew(frame: &Value) -> Option<(String, String)> {
    let settings = frame["settings"].as_array()?;
    let setting = settings.iter().find(|it| it["key"] == "a.k0")?;
    Some((setting["value"].to_string(), frame["reason"].as_str()?.to_owned()))
}

async fn next_told_anew(wire: &mut Wire) -> (String, String) {
    loop {
        let frame = timeout(DEADLINE, wire.next()).await.unwrap().unwrap();
        if let Some(told) = told_anew(&frame) {
            return told;
        }
    }
}

#[test]
fn a_layer_that_is_declared_while_the_service_runs_counts_at_once() {
    let world = World::sqlite();
    let server = Server::start(ready(&world));
    world.sql(
        "INSERT INTO setting (namespace, layer, key, value, value_type)
         VALUES ('default', 'top', 'a.k0', '\"of top\"', 'string')",
    );
    let wants = Wants::default();
    let mut wires = [Kind::Raw, Kind::Shipped, Kind::Events]
        .map(|kind| block_on(Wire::connect(kind, server.address, None, &wants, None)).unwrap());
    for wire in &mut wires {
        assert_eq!(block_on(next_told_anew(wire)), (r#""x""#.into(), "hello".into()));
    }

    world.write("setpoint.toml", CONFIGURATION.replace("'site'", "'site', 'top'"));
    server.signal("HUP");

    for wire in &mut wires {
        let told = block_on(next_told_anew(wire));
        assert_eq!(told, (r#""of top""#.into(), "reconfigured".into()));
    }
}

#[test]
fn a_configuration_that_cannot_be_read_leaves_the_service_as_it_was() {
    let world = World::sqlite();
    let server = Server::start(ready(&world));
    world.write("setpoint.toml", "[server]\nheartbeat_ms = 'often'\n");

    server.signal("HUP");

    server.wait_for("the configuration stays as it was");
    assert_eq!(server.put("/api/settings/a.k0?layer=site", r#"{"value": "y"}"#).status, 200);
}

#[test]
fn each_fault_of_a_configuration_that_is_not_taken_is_named() {
    let world = World::sqlite();
    let server = Server::start(ready(&world));
    let jobs = "[[job]]\nname = 'night'\ncron = '61 3 * * *'\nverb = 'backup'\n\
                [[job]]\nname = 'day'\ncron = '@daily'\nverb = 'fly'\n";
    let wider = CONFIGURATION.replace("'site'", "'site', 'top'");
    world.write("setpoint.toml", format!("{wider}\n{jobs}"));

    server.signal("HUP");

    server.wait_for("the configuration stays as it was");
    server.wait_for("`job night: cron` in setpoint.toml: ");
    server.wait_for("`job day: verb` in setpoint.toml: `fly` is nothing that a job can do");
    server.wait_for("there are audit-verify, backup, ");
    let put =
        |layer: &str| server.put(&format!("/api/settings/a.k0?layer={layer}"), r#"{"value": "y"}"#);
    assert_eq!((put("site").status, put("top").status), (200, 404));
}

#[test]
fn what_needs_a_restart_is_named_and_the_rest_is_taken() {
    let world = World::sqlite();
    let server = Server::start(ready(&world));
    let later = "[[source]]\npath = 'settings.yaml'\nwrite_back = true\n";
    let server_later = "poll_ms = 300\nlisten = '127.0.0.1:1'\n";
    let again = CONFIGURATION.replace("poll_ms = 200\n", server_later);

    world.write("setpoint.toml", format!("{again}\n{later}"));
    server.signal("HUP");

    server.wait_for("these need a restart: server.listen, server.poll_ms");
    assert_eq!(server.put("/api/settings/end", r#"{"value": 7}"#).status, 200);
    super::eventually("a file follows that is declared by now", || {
        world.read("settings.yaml").contains("end: 7")
    });
}

#[test]
fn a_body_that_is_too_large_is_refused_and_its_sender_hears_so() {
    let world = World::sqlite();
    let server = Server::start(ready(&world));

    let large = format!("{{\"a\": \"{}\"}}", "x".repeat(3 << 20));
    let refused = server.send("POST", "/api/settings/update", &large);

    assert_eq!(refused.problem(), (413, "request::too_large".to_owned()));
}
