//! Changes that stay only if somebody confirms them, while the service runs.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::server::Server;
use super::wire::upgrade;
use super::{CONFIGURATION, DEADLINE, eventually, ready, ready_with};
use crate::confirm::pass;
use crate::world::{World, block_on, spawn};

on_both![
    what_nobody_confirms_is_undone_when_its_time_is_over,
    what_was_due_while_no_service_ran_is_undone_at_its_start,
    of_what_has_been_changed_since_it_is_said_that_nothing_was_left,
    two_services_undo_it_once,
    clients_that_reject_it_have_it_undone_at_once,
    every_write_can_be_on_trial_and_be_confirmed,
    a_service_that_is_killed_as_it_undoes_leaves_it_undone_or_not,
];

/// Sets a key as revision 2, which waits for an hour.
#[track_caller]
fn put(server: &Server, query: &str) -> i64 {
    let answer = server.put(&format!("/api/settings/a.k0?{query}"), r#"{"value": "new"}"#);
    assert_eq!(answer.status, 200, "{answer}");
    answer.json()["revision"].as_i64().unwrap()
}

/// The revisions that took something back.
fn reverts(world: &World) -> Vec<i64> {
    let history = world.json(&["history"]);
    let of_us = history.as_array().unwrap().iter().filter(|it| it["actor"] == "setpoint");
    of_us.map(|it| it["id"].as_i64().unwrap()).collect()
}

/// A client that listens by `name`.
async fn listen(to: SocketAddr, name: &str) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(to).await.unwrap();
    let mut socket = upgrade(stream, None).await.unwrap();
    let hello = json!({"type": "Hello", "client": name}).to_string();
    socket.send(Message::text(hello)).await.unwrap();
    socket
}

/// The first frame of this type that is heard.
async fn heard(socket: &mut WebSocketStream<TcpStream>, kind: &str) -> Value {
    let find = async {
        loop {
            let Message::Text(text) = socket.next().await.unwrap().unwrap() else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap();
            match frame["type"].as_str().unwrap() {
                "Ping" => socket.send(Message::text(r#"{"type":"Pong"}"#)).await.unwrap(),
                found if found == kind => return frame,
                _ => {}
            }
        }
    };
    timeout(DEADLINE, find).await.unwrap()
}

fn what_nobody_confirms_is_undone_when_its_time_is_over(world: &World) {
    let server = Server::start(ready(world));
    let address = server.address;
    let listening = spawn(async move {
        let mut socket = listen(address, "one").await;
        heard(&mut socket, "SettingsReloaded").await;
        let told = heard(&mut socket, "SettingChanged").await;
        (told, heard(&mut socket, "SettingChanged").await)
    });
    eventually("somebody listens", || server.get("/api/clients").json()[0]["revision"] == json!(1));

    put(&server, "confirm_within=1s");
    let (set, undone) = block_on(listening).unwrap();

    assert_eq!((&set["revision"], &set["actor"]), (&json!(2), &json!("local")), "{set}");
    assert_eq!((&undone["revision"], &undone["actor"]), (&json!(3), &json!("setpoint")));
    assert_eq!((&undone["kind"], &undone["channel"]), (&json!("revert"), &json!("job")));
    assert_eq!(server.get("/api/settings/a.k0").json()["value"], "x");
    assert_eq!(world.run(&["verify"]).status, 0);
}

fn what_was_due_while_no_service_ran_is_undone_at_its_start(world: &World) {
    let server = Server::start(ready(world));
    put(&server, "confirm_within=1h");
    server.put("/api/settings/a.k1?confirm_within=1h", r#"{"value": "new"}"#);
    let confirmed = server.send("POST", "/api/revisions/3/confirm", "");
    assert_eq!(confirmed.status, 200, "{confirmed}");
    let address = server.kill();
    pass(world);

    let server = Server::start_at(world, address);

    let values = ["a.k0", "a.k1"]
        .map(|it| server.get(&format!("/api/settings/{it}")).json()["value"].clone());
    assert_eq!(values, [json!("x"), json!("new")]);
    assert_eq!(reverts(world), [4]);
}

fn of_what_has_been_changed_since_it_is_said_that_nothing_was_left(world: &World) {
    let server = Server::start(ready(world));
    put(&server, "confirm_within=1h");
    server.put("/api/settings/a.k0", r#"{"value": "newer"}"#);
    pass(world);

    server.put("/api/settings/other", r#"{"value": [3]}"#);

    server.wait_for("nothing was left of it to undo");
    assert_eq!(server.get("/api/settings/a.k0").json()["value"], "newer");
    assert_eq!(reverts(world), [0; 0]);
}

fn two_services_undo_it_once(world: &World) {
    let (one, two) = (Server::start(ready(world)), Server::start(world));

    put(&one, "confirm_within=1s");
    for server in [&one, &two] {
        eventually("it is undone", || {
            server.get("/api/settings/a.k0").json()["value"] == json!("x")
        });
    }
    // Whoever comes second has looked by the time its own write is done.
    two.put("/api/settings/other", r#"{"value": [3]}"#);
    one.put("/api/settings/other", r#"{"value": [4]}"#);

    assert_eq!(reverts(world), [3]);
    let states = world.sql("SELECT state, undone_as FROM unconfirmed");
    assert_eq!(states, "undone|3");
    assert_eq!(world.run(&["verify"]).status, 0);
}

fn clients_that_reject_it_have_it_undone_at_once(world: &World) {
    let server = Server::start(ready(world));
    let address = server.address;
    put(&server, "confirm_within=1h");
    let rejections = || {
        let waiting = server.get("/api/revisions?unconfirmed=true").json();
        waiting["revisions"][0]["unconfirmed"]["rejections"].as_i64()
    };
    let reject = |name: &str| {
        block_on(async {
            let mut socket = listen(address, name).await;
            heard(&mut socket, "SettingsReloaded").await;
            let rejected = json!({"type": "Rejected", "revision": 2, "reason": "no"}).to_string();
            socket.send(Message::text(rejected)).await.unwrap();
            socket
        })
    };

    let first = reject("one");
    eventually("it is counted", || rejections() == Some(1));
    // The same one, over another connection.
    let again = reject("one");
    assert_eq!(server.get("/api/settings/a.k0").json()["value"], "new");
    let second = reject("two");
    eventually("it is undone", || server.get("/api/settings/a.k0").json()["value"] == json!("x"));

    assert_eq!(rejections(), None);
    let reason = world.json(&["history"])[0]["reason"].clone();
    assert_eq!(reason, "revision 2 was rejected by 2 clients");
    assert_eq!(
        server.send("POST", "/api/revisions/2/confirm", "").problem(),
        (409, "unconfirmed::rejected".to_owned())
    );
    drop((first, again, second));
}

fn every_write_can_be_on_trial_and_be_confirmed(world: &World) {
    let source = "[[source]]\npath = 'settings.yaml'\n";
    let server = Server::start(ready_with(world, &format!("{CONFIGURATION}\n{source}")));
    let within = "confirm_within=1h&reject_limit=0";
    let plan = server.send("POST", "/api/plans", r#"{"edits": {"planned": 1}}"#).json();
    let plan = format!("/api/plans/{}/apply", plan["hash"].as_str().unwrap());
    world.write("settings.yaml", world.read("settings.yaml").replace("end: 0", "end: 1"));

    for (method, path, body) in [
        ("PUT", "/api/settings/a.k0".to_owned(), r#"{"value": "new"}"#),
        ("DELETE", "/api/settings/a.k1".to_owned(), ""),
        ("POST", "/api/settings/update".to_owned(), r#"{"b": {"k0": "new"}}"#),
        ("POST", "/api/config/b".to_owned(), r#"{"k1": "new"}"#),
        ("POST", plan, ""),
        ("POST", "/api/revisions/2/revert".to_owned(), ""),
        ("POST", "/api/drift/reset".to_owned(), r#"{"all": true}"#),
        ("POST", "/api/sources/migrate".to_owned(), "{}"),
    ] {
        let answer = server.send(method, &format!("{path}?{within}"), body);
        assert_eq!(answer.status, 200, "{path} {answer}");
    }
    let body = "imported: 1\n";
    let path = format!("/api/sources/import?name=a.yaml&{within}");
    assert_eq!(server.send("POST", &path, body).status, 200);

    let waiting = server.get("/api/revisions?unconfirmed=true").json();
    let waiting = waiting["revisions"].as_array().unwrap();
    let newest = world.revision();
    let ids: Vec<i64> = waiting.iter().map(|it| it["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (2..=newest).rev().collect::<Vec<_>>());
    assert_eq!(waiting[0]["unconfirmed"]["reject_limit"], 0);
    for _ in 0..2 {
        let confirmed = server.send("POST", &format!("/api/revisions/{newest}/confirm"), "");
        assert_eq!(confirmed.json(), json!({"revision": newest}));
    }
    let problem = |method: &str, path: &str, body: &str| server.send(method, path, body).problem();
    let put =
        |query: &str| problem("PUT", &format!("/api/settings/end?{query}"), r#"{"value": 5}"#);
    assert_eq!(put("confirm_within=never"), (400, "time::no_length".to_owned()));
    assert_eq!(put("reject_limit=2"), (400, "unconfirmed::limit_alone".to_owned()));
    let confirm = |id: i64| problem("POST", &format!("/api/revisions/{id}/confirm"), "");
    assert_eq!(confirm(1), (409, "unconfirmed::not_waiting".to_owned()));
    assert_eq!(confirm(99), (404, "revision::unknown".to_owned()));
    pass(world);
    assert_eq!(confirm(2), (409, "unconfirmed::too_late".to_owned()));
}

fn a_service_that_is_killed_as_it_undoes_leaves_it_undone_or_not(world: &World) {
    ready(world);
    // The first is killed before it has done it, the others ever later.
    for round in 0..4 {
        world.ok(&["set", "a.k0", &format!("new {round}"), "--confirm-within", "1h"]);
        let revision = world.revision();
        pass(world);
        let mut starting = world.command(&["serve", "--listen", "127.0.0.1:0"]).spawn().unwrap();
        if round > 0 {
            let sql = format!("SELECT state FROM unconfirmed WHERE revision = {revision}");
            eventually("it is undone", || world.sql(&sql) == "undone");
        }
        starting.kill().unwrap();
        starting.wait().unwrap();
        let state = world
            .sql(&format!("SELECT state, undone_as FROM unconfirmed WHERE revision = {revision}"));
        let newest = world.revision();
        let told = match newest == revision {
            true => "waiting|".to_owned(),
            false => format!("undone|{}", revision + 1),
        };
        assert_eq!(state, told);

        let server = Server::start(world);

        assert_eq!(server.get("/api/settings/a.k0").json()["value"], "x");
        assert_eq!(world.revision(), revision + 1);
        server.kill();
    }
    assert_eq!(reverts(world).len(), 4);
    assert_eq!(world.run(&["verify"]).status, 0);
}
