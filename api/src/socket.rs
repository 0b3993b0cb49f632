//! `/api/settings/ws`: news over a WebSocket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use poem::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use poem::http::{HeaderMap, StatusCode};
use poem::{Endpoint, IntoResponse, Request, Response};
use setpoint_client::types::{ClientFrame, Hello, SUBPROTOCOL, ServerFrame};
use setpoint_ops::time::stamp;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message as Frame};

use crate::access::Caller;
use crate::clients::{Listed, Rejection, Transport};
use crate::feed::{self, Feed};
use crate::front::{address, is_websocket};
use crate::listen::{client, refused, wants, welcome};
use crate::problem::ApiError;
use crate::service::{Service, now};

/// How long somebody may take to say hello.
const HELLO: Duration = Duration::from_secs(10);

/// What a client may say at once, in bytes.
const MOST_BYTES: usize = 64 * 1024;

/// Of the buffers of each connection, of which there may be thousands.
const BUFFER_BYTES: usize = 1024;

/// The endpoint that turns a request into a WebSocket.
pub(crate) struct Socket(pub Arc<Service>);

impl Endpoint for Socket {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        match upgrade(&self.0, &request) {
            Ok(response) => Ok(response),
            Err(error) => Ok(error.into_response()),
        }
    }
}

fn upgrade(service: &Arc<Service>, request: &Request) -> Result<Response, ApiError> {
    let headers = request.headers();
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|_| is_websocket(request));
    let version = headers.get(SEC_WEBSOCKET_VERSION).is_some_and(|it| it == "13");
    let wrong = |detail: &str| {
        ApiError::new(StatusCode::BAD_REQUEST, "request::no_websocket", detail)
            .help("open it as a WebSocket, such as with `setpoint watch --url`; or read /api/settings/events")
    };
    let Some(key) = key.filter(|_| version) else {
        return Err(wrong("this is no handshake of a WebSocket of version 13"));
    };
    let Ok(upgrade) = request.take_upgrade() else {
        return Err(wrong("this connection cannot become a WebSocket"));
    };
    let caller = request.extensions().get::<Caller>();
    let caller = caller.expect("the front puts it there").clone();
    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()));
    if offers_protocol(headers) {
        response = response.header(SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
    }
    let (service, from) = (service.clone(), address(request));
    service.clone().tasks.spawn(async move {
        let Ok(connection) = upgrade.await else { return };
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES)
            .max_message_size(Some(MOST_BYTES))
            .max_frame_size(Some(MOST_BYTES));
        let socket = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
        service.meters.websockets.increment(1.0);
        serve(&service, socket, caller, from).await;
        service.meters.websockets.decrement(1.0);
    });
    Ok(response.finish())
}

fn offers_protocol(headers: &HeaderMap) -> bool {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered = offered.filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(','));
    offered.any(|it| it.trim() == SUBPROTOCOL)
}

/// Why a conversation is over.
enum End {
    /// The client has gone.
    Gone,
    /// It is told this, and dropped.
    Told(ApiError, CloseCode),
    /// It was silent for too long.
    Silent,
    /// The service stops.
    Stopping,
}

type Stream = WebSocketStream<poem::Upgraded>;

async fn serve(
    service: &Arc<Service>,
    mut socket: Stream,
    caller: Caller,
    from: Option<SocketAddr>,
) {
    let end = match hello(service, &mut socket).await {
        Ok(hello) => match converse(service, &mut socket, &caller, from, hello).await {
            Ok(never) => never,
            Err(end) => end,
        },
        Err(end) => end,
    };
    let patience = service.setup.load().client_timeout;
    let close = |code, reason: &'static str| CloseFrame { code, reason: reason.into() };
    let frame = match end {
        End::Gone => return,
        End::Silent => {
            service.meters.dropped.increment(1);
            tracing::info!(client = ?from, actor = %caller.name, "a client was silent for too long");
            close(CloseCode::Policy, "silent for too long")
        }
        End::Stopping => close(CloseCode::Away, "the service stops"),
        End::Told(mut error, code) => {
            let problem = error.problem().clone();
            let text = feed::text(&ServerFrame::Error { problem });
            drop(timeout(patience, socket.send(Frame::text(text))).await);
            close(code, "see the message before this")
        }
    };
    drop(timeout(patience, socket.close(Some(frame))).await);
    // Until the client has answered, or gone.
    let rest = async { while let Some(Ok(_)) = socket.next().await {} };
    drop(timeout(Duration::from_secs(1), rest).await);
}

/// The first thing that a client says.
async fn hello(service: &Service, socket: &mut Stream) -> Result<Hello, End> {
    let first = tokio::select! {
        () = service.stopping.cancelled() => return Err(End::Stopping),
        first = timeout(HELLO, heard(socket)) => first.map_err(|_| End::Silent)??,
    };
    match first {
        Some(ClientFrame::Hello(hello)) => Ok(hello),
        _ => Err(wrong("the first message is no hello", CloseCode::Policy)),
    }
}

async fn converse(
    service: &Arc<Service>,
    socket: &mut Stream,
    caller: &Caller,
    from: Option<SocketAddr>,
    hello: Hello,
) -> Result<End, End> {
    let setup = service.setup.load_full();
    let (name, position) = (hello.client.clone(), hello.position.clone());
    let wants = wants(service, caller, hello.namespace, &hello.patterns, hello.user);
    let wants = wants.map_err(|error| End::Told(error, CloseCode::Policy))?;
    let client = client(caller, name, from, Transport::WebSocket, &wants);
    tracing::info!(
        client = client.id,
        name = client.name,
        actor = client.actor,
        "a client listens"
    );
    let id = client.id.clone();
    let welcome = welcome(service, &client);
    let listed = service.clients.add(client);
    send(socket, welcome, setup.client_timeout).await?;

    let mut feed = Feed::new(service.live.clone(), wants, position, service.big.clone());
    let mut heartbeat = interval_at(Instant::now() + setup.heartbeat, setup.heartbeat);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard_at = Instant::now();
    let mut refused = Box::pin(refused(service.clone(), caller.clone()));
    let ended = loop {
        tokio::select! {
            () = service.stopping.cancelled() => break End::Stopping,
            error = &mut refused => break End::Told(error, CloseCode::Policy),
            message = feed.next() => {
                service.meters.sent.increment(1);
                if message.is_reload {
                    service.meters.resyncs.increment(1);
                }
                let (revision, text, _sending) = message.into_parts();
                if let Err(end) = send(socket, text, setup.client_timeout).await {
                    break end;
                }
                listed.update(|it| it.revision = revision);
            }
            frame = heard(socket) => match frame {
                Ok(Some(frame)) => {
                    heard_at = Instant::now();
                    let answered = match answered(service, &listed, frame, &id) {
                        Ok(Some(answer)) => send(socket, answer, setup.client_timeout).await,
                        Ok(None) => Ok(()),
                        Err(end) => Err(end),
                    };
                    if let Err(end) = answered {
                        break end;
                    }
                }
                Ok(None) => heard_at = Instant::now(),
                Err(end) => break end,
            },
            _ = heartbeat.tick() => {
                if heard_at.elapsed() > setup.client_timeout {
                    break End::Silent;
                }
                let revision = feed.position().revision;
                listed.update(|it| it.revision = revision);
                let ping = feed::text(&ServerFrame::Ping { revision });
                if let Err(end) = send(socket, ping, setup.client_timeout).await {
                    break end;
                }
            }
        }
    };
    tracing::info!(client = id, "a client has gone");
    Ok(ended)
}

/// What the service says to something that a client says.
fn answered(
    service: &Service,
    listed: &Listed,
    frame: ClientFrame,
    id: &str,
) -> Result<Option<String>, End> {
    let answer = match frame {
        ClientFrame::Ping {} => Some(feed::text(&ServerFrame::Pong {})),
        ClientFrame::Pong {} => None,
        ClientFrame::Applied { revision } => {
            listed.update(|it| it.applied = Some(revision));
            None
        }
        ClientFrame::Rejected { revision, reason } => {
            service.meters.rejected.increment(1);
            tracing::warn!(client = id, revision, "a client will not run with a revision");
            let at = stamp(now());
            let reason = reason.chars().take(1000).collect();
            listed.update(|it| {
                it.rejected = Some(Rejection { revision, reason, at });
                service.live.reject(it.rejects(revision));
            });
            None
        }
        ClientFrame::Hello(_) => {
            let error = ApiError::new(
                StatusCode::BAD_REQUEST,
                "socket::second_hello",
                "there was a hello before",
            )
            .help("open another connection to hear of something else");
            return Err(End::Told(error, CloseCode::Policy));
        }
    };
    Ok(answer)
}

/// The next thing that a client says; none if it is only a sign of life.
async fn heard(socket: &mut Stream) -> Result<Option<ClientFrame>, End> {
    match socket.next().await {
        None | Some(Ok(Frame::Close(_))) => Err(End::Gone),
        Some(Ok(Frame::Text(text))) => match serde_json::from_str(&text) {
            Ok(frame) => Ok(Some(frame)),
            Err(error) => Err(wrong(&format!("this is no message: {error}"), CloseCode::Policy)),
        },
        Some(Ok(Frame::Binary(_))) => Err(wrong("messages are texts", CloseCode::Unsupported)),
        Some(Ok(_)) => Ok(None),
        Some(Err(SocketError::Capacity(_))) => {
            Err(wrong("a message is larger than 64 KiB", CloseCode::Size))
        }
        Some(Err(SocketError::Utf8(_))) => Err(wrong("a text is no UTF-8", CloseCode::Invalid)),
        Some(Err(SocketError::Protocol(_))) => {
            Err(wrong("this is not how WebSockets talk", CloseCode::Protocol))
        }
        Some(Err(_)) => Err(End::Gone),
    }
}

fn wrong(detail: &str, code: CloseCode) -> End {
    let error = ApiError::new(StatusCode::BAD_REQUEST, "socket::invalid", detail)
        .help("the messages are those of the protocol setpoint.v1");
    End::Told(error, code)
}

/// Sends `text`, to whoever takes it in time.
async fn send(socket: &mut Stream, text: String, patience: Duration) -> Result<(), End> {
    match timeout(patience, socket.send(Frame::text(text))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => Err(End::Silent),
    }
}
