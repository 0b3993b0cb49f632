//! Three ways to listen: a WebSocket read by hand, the client that is shipped, and events.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use setpoint_client::types::{Hello, Position};
use setpoint_client::{Service, Socket};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::history::Wants;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// tokio-tungstenite, and frames as plain JSON.
    Raw,
    /// The `Socket` of the client crate.
    Shipped,
    /// Server-sent events.
    Events,
}

pub enum Wire {
    Raw(Box<WebSocketStream<TcpStream>>),
    Shipped(Box<Socket>),
    Events(Events),
}

impl Wire {
    /// Connects and says what it wants, from `position` on.
    pub async fn connect(
        kind: Kind,
        to: SocketAddr,
        token: Option<&str>,
        wants: &Wants,
        position: Option<&Position>,
    ) -> Result<Self, String> {
        match kind {
            Kind::Raw => {
                let stream = TcpStream::connect(to).await.map_err(|it| it.to_string())?;
                Self::over(stream, token, wants, position).await
            }
            Kind::Shipped => {
                let service = Service::new(&format!("http://{to}"), token.map(str::to_owned));
                let hello = Hello {
                    client: Some("shipped".to_owned()),
                    namespace: None,
                    patterns: wants.patterns.clone(),
                    user: wants.user.clone(),
                    position: position.cloned(),
                };
                let socket = Socket::connect(&service.unwrap(), hello).await;
                Ok(Self::Shipped(Box::new(socket.map_err(|it| it.to_string())?)))
            }
            Kind::Events => Ok(Self::Events(Events::open(to, token, wants, position).await?)),
        }
    }

    /// The same over `stream`, with frames as they come.
    pub async fn over(
        stream: TcpStream,
        token: Option<&str>,
        wants: &Wants,
        position: Option<&Position>,
    ) -> Result<Self, String> {
        let mut socket = upgrade(stream, token).await?;
        let hello = Message::text(hello(wants, position).to_string());
        socket.send(hello).await.map_err(|it| it.to_string())?;
        Ok(Self::Raw(Box::new(socket)))
    }

    /// The next frame; none when the connection has ended. To give up waiting loses nothing.
    pub async fn next(&mut self) -> Option<Value> {
        match self {
            Self::Raw(socket) => loop {
                let Message::Text(text) = socket.next().await?.ok()? else { continue };
                let frame: Value = serde_json::from_str(&text).unwrap();
                if frame["type"] == "Ping" {
                    // If it cannot be said, the connection ends by itself.
                    drop(socket.send(Message::text(r#"{"type":"Pong"}"#)).await);
                }
                return Some(frame);
            },
            Self::Shipped(socket) => {
                let frame = socket.next().await.ok()?;
                Some(serde_json::to_value(frame).unwrap())
            }
            Self::Events(events) => events.next().await,
        }
    }
}

/// A WebSocket that has said nothing yet.
pub async fn upgrade(
    stream: TcpStream,
    token: Option<&str>,
) -> Result<WebSocketStream<TcpStream>, String> {
    let to = stream.peer_addr().map_err(|it| it.to_string())?;
    let url = format!("ws://{to}/api/settings/ws");
    let mut request = url.into_client_request().unwrap();
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert("authorization", value);
    }
    let opened = client_async(request, stream).await;
    opened.map(|it| it.0).map_err(|it| it.to_string())
}

pub fn hello(wants: &Wants, position: Option<&Position>) -> Value {
    let mut hello = json!({"type": "Hello", "client": "raw", "patterns": wants.patterns});
    if let Some(user) = &wants.user {
        hello["user"] = json!(user);
    }
    if let Some(position) = position {
        hello["epoch"] = json!(position.epoch);
        hello["revision"] = json!(position.revision);
    }
    hello
}

/// A stream of events in chunks, see RFC 9112, 7.1.
pub struct Events {
    stream: TcpStream,
    /// What came and is not cut into chunks yet.
    bytes: Vec<u8>,
    /// What came and is not cut into events yet.
    text: Vec<u8>,
}

impl Events {
    async fn open(
        to: SocketAddr,
        token: Option<&str>,
        wants: &Wants,
        position: Option<&Position>,
    ) -> Result<Self, String> {
        let mut query = "client=events".to_owned();
        if !wants.patterns.is_empty() {
            query.push_str(&format!("&pattern={}", wants.patterns.join(",")));
        }
        if let Some(user) = &wants.user {
            query.push_str(&format!("&user={user}"));
        }
        let mut head = format!("GET /api/settings/events?{query} HTTP/1.1\r\nHost: {to}\r\n");
        if let Some(token) = token {
            head.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        if let Some(Position { epoch, revision }) = position {
            head.push_str(&format!("Last-Event-ID: {epoch}-{revision}\r\n"));
        }
        head.push_str("\r\n");
        let mut stream = TcpStream::connect(to).await.map_err(|it| it.to_string())?;
        stream.write_all(head.as_bytes()).await.map_err(|it| it.to_string())?;
        let mut events = Self { stream, bytes: Vec::new(), text: Vec::new() };
        let head = loop {
            match cut(&mut events.bytes, b"\r\n\r\n") {
                Some(head) => break String::from_utf8(head).unwrap(),
                None => events.read().await.ok_or("it ended before its head")?,
            }
        };
        match head.starts_with("HTTP/1.1 200 ") && head.contains("text/event-stream") {
            true => Ok(events),
            false => Err(head),
        }
    }

    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(event) = cut(&mut self.text, b"\n\n") {
                if let Some(frame) = event_frame(std::str::from_utf8(&event).unwrap()) {
                    return Some(frame);
                }
            } else if !self.cut_chunk() {
                self.read().await?;
            }
        }
    }

    /// Moves a chunk on, if one is whole.
    fn cut_chunk(&mut self) -> bool {
        let Some(end) = find(&self.bytes, b"\r\n") else { return false };
        let size = std::str::from_utf8(&self.bytes[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let (start, after) = (end + 2, end + 2 + size + 2);
        if self.bytes.len() < after {
            return false;
        }
        self.text.extend(&self.bytes[start..start + size]);
        self.bytes.drain(..after);
        true
    }

    async fn read(&mut self) -> Option<()> {
        let count = self.stream.read_buf(&mut self.bytes).await.ok()?;
        (count > 0).then_some(())
    }
}

/// The frame of an event, whose id has to be where it leads to; none for a comment.
fn event_frame(event: &str) -> Option<Value> {
    let field = |name: &str| event.lines().find_map(|it| it.strip_prefix(name));
    let frame: Value = serde_json::from_str(field("data:")?).unwrap();
    if let (Some(id), Some(epoch)) = (field("id:"), frame["epoch"].as_str()) {
        assert_eq!(id.trim(), format!("{epoch}-{}", frame["revision"]), "{event}");
    }
    Some(frame)
}

fn cut(bytes: &mut Vec<u8>, end: &[u8]) -> Option<Vec<u8>> {
    let at = find(bytes, end)?;
    let rest = bytes.split_off(at + end.len());
    Some(std::mem::replace(bytes, rest))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|it| it == wanted)
}
