//! What is said over WebSockets that should not be.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::history::Wants;
use super::server::Server;
use super::wire::{hello, upgrade};
use super::{DEADLINE, ready};
use crate::world::{World, block_on};

type Socket = WebSocketStream<TcpStream>;

async fn open(server: &Server) -> Socket {
    let stream = TcpStream::connect(server.address).await.unwrap();
    upgrade(stream, server.token.as_deref()).await.unwrap()
}

async fn greeted(server: &Server) -> Socket {
    let mut socket = open(server).await;
    let hello = hello(&Wants::default(), None).to_string();
    socket.send(Message::text(hello)).await.unwrap();
    socket
}

/// What is heard until the end: the error, if there is one, and the code of the close.
async fn end(mut socket: Socket) -> (Option<Value>, Option<u16>) {
    let mut error = None;
    while let Some(heard) = timeout(DEADLINE, socket.next()).await.expect("it ends") {
        match heard {
            Ok(Message::Text(text)) => {
                let frame: Value = serde_json::from_str(&text).unwrap();
                if frame["type"] == "Error" {
                    error = Some(frame);
                }
            }
            Ok(Message::Close(frame)) => return (error, frame.map(|it| it.code.into())),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    (error, None)
}

/// How a connection ends over which `message` is said after a hello.
#[track_caller]
fn said(server: &Server, message: Message) -> (String, Option<u16>) {
    block_on(async {
        let mut socket = greeted(server).await;
        // It may be refused before it has left.
        drop(socket.send(message).await);
        let (error, code) = end(socket).await;
        let error = error.map(|it| it["problem"]["code"].as_str().unwrap().to_owned());
        (error.unwrap_or_default(), code)
    })
}

#[test]
fn garbage_ends_the_connection_with_a_reason() {
    let world = World::sqlite();
    let server = Server::start(ready(&world));
    let invalid = |code| ("socket::invalid".to_owned(), Some(code));

    assert_eq!(said(&server, Message::text("garbage")), invalid(1008));
    assert_eq!(said(&server, Message::text(r#"{"type": "Shout"}"#)), invalid(1008));
    assert_eq!(said(&server, Message::text("{}")), invalid(1008));
    let second = hello(&Wants::default(), None).to_string();
    assert_eq!(
        said(&server, Message::text(second)),
        ("socket::second_hello".to_owned(), Some(1008))
    );
    assert_eq!(said(&server, Message::binary(vec![0, 1])), invalid(1003));
    assert_eq!(said(&server, Message::text("x".repeat(100_000))), invalid(1009));
    assert_eq!(server.get("/health").status, 200);
}

#[test]
fn whoever_does_not_say_hello_first_is_told_to() {
    let world = World::sqlite();
    let server = Server::start(ready(&world));

    let (error, code) = block_on(async {
        let mut socket = open(&server).await;
        socket.send(Message::text(r#"{"type": "Ping"}"#)).await.unwrap();
        end(socket).await
    });

    assert_eq!(
        (error.unwrap()["problem"]["code"].clone(), code),
        (json!("socket::invalid"), Some(1008))
    );
}

#[test]
fn a_pattern_or_a_namespace_that_is_none_is_refused() {
    let world = World::sqlite();
    let server = Server::start(ready(&world));

    for (hello, expected) in [
        (json!({"type": "Hello", "patterns": ["a*b"]}), "pattern::invalid"),
        (json!({"type": "Hello", "namespace": "nowhere"}), "namespace::unknown"),
    ] {
        let (error, code) = block_on(async {
            let mut socket = open(&server).await;
            socket.send(Message::text(hello.to_string())).await.unwrap();
            end(socket).await
        });
        assert_eq!(
            (error.unwrap()["problem"]["code"].clone(), code),
            (json!(expected), Some(1008))
        );
    }
}

#[test]
fn whoever_listens_with_a_token_that_is_revoked_is_dropped() {
    let world = World::sqlite();
    ready(&world);
    let make = |name| world.ok(&["token", "create", name, "--role", "viewer"]).trim().to_owned();
    let (kept, token) = (make("kept"), make("listener"));
    let server = Server::start(&world).with_token(&token);
    let socket = block_on(greeted(&server));
    let mut events = super::http::begin(
        server.address,
        "GET",
        "/api/settings/events",
        &[("Authorization", &format!("Bearer {token}"))],
        0,
    )
    .unwrap();

    world.ok(&["token", "revoke", "listener", "--yes"]);

    let (error, code) = block_on(end(socket));
    assert_eq!(
        (error.unwrap()["problem"]["code"].clone(), code),
        (json!("token::revoked"), Some(1008))
    );
    // The events end, too.
    std::io::copy(&mut events, &mut std::io::sink()).unwrap();
    assert_eq!(server.with_token(&kept).get("/api/settings/a.k0").status, 200);
}
