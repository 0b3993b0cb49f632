//! One connection to `GET /api/settings/ws`. It ends when it ends: see `follow` for one that
//! comes back.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::Service;
use crate::error::{Cause, ClientError, Result, is_tls, of_tls, root};
use crate::http::ANSWER_BYTES;
use crate::types::{ClientFrame, Hello, SUBPROTOCOL, ServerFrame, Welcome};

const PATH: &str = "/api/settings/ws";

/// Most frames are small, and there may be thousands of sockets in a process.
const BUFFER_BYTES: usize = 4 * 1024;

/// How long to wait for the other side to say goodbye as well.
const FAREWELL: Duration = Duration::from_secs(1);

const CLOSED: &str = "the service has closed it";

/// TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that was welcomed.
pub struct Socket {
    wire: Wire,
    welcome: Welcome,
}

impl Socket {
    /// Connects, says `hello` and waits to be welcomed.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] with what the service said; the others if it said nothing.
    pub async fn connect(service: &Service, hello: Hello) -> Result<Self> {
        let within = service.timeout();
        let connecting = async {
            let stream = open(service).await?;
            let mut wire = Wire { stream, service: service.clone(), silence: within, pinged: None };
            wire.send(&ClientFrame::Hello(hello)).await?;
            match wire.next().await? {
                ServerFrame::Welcome(welcome) => {
                    wire.silence = Duration::from_millis(welcome.timeout_ms.max(1));
                    Ok(Self { wire, welcome })
                }
                _ => Err(service.other("its first frame is no welcome")),
            }
        };
        match timeout(within, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(ClientError::Timeout { url: service.url().to_owned(), after: within }),
        }
    }

    /// The same, lost after another silence than the one that the service waits for.
    #[must_use]
    pub fn with_silence(mut self, silence: Duration) -> Self {
        self.wire.silence = silence;
        self
    }

    /// Who it talks to.
    #[must_use]
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// The next frame. A `Ping` was answered by then. To give up waiting loses nothing.
    ///
    /// # Errors
    ///
    /// [`ClientError::Lost`] when the connection has ended or nothing was heard for too long,
    /// [`ClientError::Refused`] when the service ends it and says why. Nothing comes after.
    pub async fn next(&mut self) -> Result<ServerFrame> {
        self.wire.next().await
    }

    /// Reports that this client runs with `revision`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Lost`].
    pub async fn applied(&mut self, revision: i64) -> Result<()> {
        self.wire.send(&ClientFrame::Applied { revision }).await
    }

    /// Reports that this client will not run with `revision`, and why.
    ///
    /// # Errors
    ///
    /// [`ClientError::Lost`].
    pub async fn rejected(&mut self, revision: i64, reason: &str) -> Result<()> {
        self.wire.send(&ClientFrame::Rejected { revision, reason: reason.to_owned() }).await
    }

    /// Ends the connection and says so. Without it the service finds out by itself.
    pub async fn close(mut self) {
        // It is gone either way.
        drop(timeout(FAREWELL, self.wire.stream.close(None)).await);
    }
}

/// Frames, in and out.
struct Wire {
    stream: WebSocketStream<Heard>,
    service: Service,
    /// After what silence it counts as lost.
    silence: Duration,
    /// A ping whose answer may not have left yet.
    pinged: Option<ServerFrame>,
}

impl Wire {
    async fn next(&mut self) -> Result<ServerFrame> {
        loop {
            if self.pinged.is_some() {
                self.send(&ClientFrame::Pong {}).await?;
            }
            if let Some(frame) = self.pinged.take() {
                return Ok(frame);
            }
            match self.frame().await? {
                ServerFrame::Error { problem } => return Err(ClientError::refused(problem)),
                frame @ ServerFrame::Ping { .. } => self.pinged = Some(frame),
                frame => return Ok(frame),
            }
        }
    }

    async fn frame(&mut self) -> Result<ServerFrame> {
        loop {
            let deadline = self.stream.get_ref().heard + self.silence;
            let Ok(message) = timeout_at(deadline, self.stream.next()).await else {
                // A large frame may be on its way over a slow line.
                if self.stream.get_ref().heard + self.silence > deadline {
                    continue;
                }
                let reason = format!("nothing was heard for {:?}", self.silence);
                return Err(lost(&self.service, &reason));
            };
            match message {
                Some(Ok(Message::Text(text))) => {
                    return serde_json::from_str(&text).map_err(|error| {
                        self.service.other(&format!("a frame of it cannot be read: {error}"))
                    });
                }
                Some(Ok(Message::Binary(_))) => {
                    return Err(self.service.other("it sent a binary frame"));
                }
                Some(Ok(Message::Close(Some(frame)))) if !frame.reason.is_empty() => {
                    return Err(lost(&self.service, &frame.reason));
                }
                Some(Ok(Message::Close(_))) | None => {
                    return Err(lost(&self.service, CLOSED));
                }
                // tungstenite answers a ping of the protocol while it reads.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(failed(&self.service, error)),
            }
        }
    }

    async fn send(&mut self, frame: &ClientFrame) -> Result<()> {
        let text = serde_json::to_string(frame).expect("a frame is texts and numbers");
        match timeout(self.silence, self.stream.send(Message::text(text))).await {
            Ok(sent) => sent.map_err(|error| failed(&self.service, error)),
            Err(_) => {
                let reason = format!("nothing was taken for {:?}", self.silence);
                Err(lost(&self.service, &reason))
            }
        }
    }
}

/// A stream that knows when something came over it last.
struct Heard {
    stream: Box<dyn Stream>,
    heard: Instant,
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.heard = Instant::now();
        }
        read
    }
}

impl AsyncWrite for Heard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

async fn open(service: &Service) -> Result<WebSocketStream<Heard>> {
    let uri = service.uri(PATH)?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let is_secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    let unreachable = |error: io::Error| ClientError::Unreachable {
        url: service.url().to_owned(),
        reason: error.to_string(),
    };
    let plain = TcpStream::connect((host.as_str(), port)).await.map_err(unreachable)?;
    plain.set_nodelay(true).map_err(unreachable)?;
    let stream: Box<dyn Stream> = if is_secure {
        let insecure = |error: &Cause| of_tls(service.url().to_owned(), error);
        let name = ServerName::try_from(host).map_err(|error| insecure(&error))?;
        let connector = TlsConnector::from(service.tls());
        let secured = connector.connect(name, plain).await;
        Box::new(secured.map_err(|error| insecure(&error))?)
    } else {
        Box::new(plain)
    };

    let stream = Heard { stream, heard: Instant::now() };

    // tungstenite wants to hear of sockets where hyper wants to hear of HTTP.
    let address = format!("ws{}", uri.to_string().trim_start_matches("http"));
    let mut request = address.into_client_request().map_err(|error| failed(service, error))?;
    let protocol = SUBPROTOCOL.parse().expect("it is a constant without spaces");
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    if let Some(authorization) = service.authorization() {
        request.headers_mut().insert(AUTHORIZATION, authorization.clone());
    }
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(Some(ANSWER_BYTES))
        .max_frame_size(Some(ANSWER_BYTES));
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((stream, _)) => Ok(stream),
        Err(error) => Err(failed(service, error)),
    }
}

fn failed(service: &Service, error: WsError) -> ClientError {
    let url = service.url().to_owned();
    match error {
        WsError::Http(answer) if answer.status() != StatusCode::SWITCHING_PROTOCOLS => {
            let body = answer.body().as_deref().unwrap_or_default();
            service.refusal(answer.status(), body)
        }
        WsError::Capacity(_) => ClientError::TooLarge { url, limit_bytes: ANSWER_BYTES },
        WsError::ConnectionClosed | WsError::AlreadyClosed => lost(service, CLOSED),
        error if is_tls(&error) => of_tls(url, &error),
        WsError::Io(error) => lost(service, &error.to_string()),
        WsError::Protocol(
            error @ (ProtocolError::ResetWithoutClosingHandshake
            | ProtocolError::HandshakeIncomplete),
        ) => lost(service, &error.to_string()),
        error => service.other(&root(&error)),
    }
}

fn lost(service: &Service, reason: &str) -> ClientError {
    ClientError::Lost { url: service.url().to_owned(), reason: reason.to_owned() }
}
