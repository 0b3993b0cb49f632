//! Connections: limited in number, without delay, with TLS if there is a certificate.
//!
//! A client that is too slow with what it asks is cut off here: nobody else sees half a head.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use metrics::Counter;
use poem::http::StatusCode;
use poem::http::uri::Scheme;
use poem::listener::Acceptor;
use poem::web::{LocalAddr, RemoteAddr};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use crate::problem::ApiError;
use crate::tls::Tls;

/// What is accepted, and how.
pub(crate) struct Accepting {
    pub listener: TcpListener,
    pub address: SocketAddr,
    pub tls: Option<Tls>,
    /// How many at a time.
    pub connections: usize,
    /// Counts those that were too many.
    pub refused: Counter,
    /// How long a client may take nothing of what is sent to it.
    pub patience: Duration,
    pub closed: CancellationToken,
    /// Cancelled when nothing more is to come, after that.
    pub drained: CancellationToken,
}

/// Connections that are ready to be answered.
pub(crate) struct Accepted {
    address: SocketAddr,
    scheme: Scheme,
    ready: mpsc::Receiver<(Connection, SocketAddr)>,
    /// Cancelled once everything that was accepted has been handed over.
    drained: CancellationToken,
}

/// How long the head of a request may take, from its first byte.
const HEAD: Duration = Duration::from_secs(10);

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// After an error such as "too many open files", which comes at once again.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until it is told to stop.
pub(crate) fn accept(accepting: Accepting) -> Accepted {
    let (address, is_tls) = (accepting.address, accepting.tls.is_some());
    let scheme = if is_tls { Scheme::HTTPS } else { Scheme::HTTP };
    let (made, ready) = mpsc::channel(64);
    let drained = accepting.drained.clone();
    tokio::spawn(run(accepting, made));
    Accepted { address, scheme, ready, drained }
}

async fn run(accepting: Accepting, made: mpsc::Sender<(Connection, SocketAddr)>) {
    let leave = Arc::new(Semaphore::new(accepting.connections));
    let patience = accepting.patience;
    let mut is_full = false;
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = accepting.listener.accept() => accepted,
            // Whoever had connected by then is still served.
            () = accepting.closed.cancelled() => return,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = leave.clone().try_acquire_owned() else {
            // Closed at once: a client that waits would not know why.
            accepting.refused.increment(1);
            if !is_full {
                tracing::warn!(limit = accepting.connections, "refusing connections: too many");
            }
            is_full = true;
            if accepting.tls.is_none() {
                drop(stream.try_write(full().as_bytes()));
            }
            continue;
        };
        is_full = false;
        // An answer is written in one go; waiting for more to send costs 40 ms.
        drop(stream.set_nodelay(true));
        match &accepting.tls {
            None => {
                let connection = Connection::new(Either::Left(stream), patience, permit);
                if made.send((connection, from)).await.is_err() {
                    return;
                }
            }
            Some(tls) => {
                let acceptor = TlsAcceptor::from(tls.config());
                let (made, closed) = (made.clone(), accepting.closed.clone());
                tokio::spawn(async move {
                    let shaken = tokio::select! {
                        shaken = timeout(HANDSHAKE, acceptor.accept(stream)) => shaken,
                        () = closed.cancelled() => return,
                    };
                    if let Ok(Ok(stream)) = shaken {
                        let stream = Either::Right(Box::new(stream));
                        let connection = Connection::new(stream, patience, permit);
                        drop(made.send((connection, from)).await);
                    }
                });
            }
        }
    }
}

/// What is told to a connection too many.
fn full() -> String {
    let mut error = ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "connection::limit",
        "there are too many connections",
    )
    .help("try again in a moment; `connections` of [server] in setpoint.toml is the limit");
    let body = serde_json::to_string(error.problem()).expect("a problem is texts");
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n\
         retry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

impl Acceptor for Accepted {
    type Io = Connection;

    fn local_addr(&self) -> Vec<LocalAddr> {
        vec![LocalAddr(self.address.into())]
    }

    async fn accept(&mut self) -> io::Result<(Connection, LocalAddr, RemoteAddr, Scheme)> {
        match self.ready.recv().await {
            Some((connection, from)) => Ok((
                connection,
                LocalAddr(self.address.into()),
                RemoteAddr(from.into()),
                self.scheme.clone(),
            )),
            None => {
                self.drained.cancel();
                std::future::pending().await
            }
        }
    }
}

type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// A connection, which counts as long as it is held. It fails once a client takes nothing of what
/// is sent to it for too long: nobody else looks after one that reads nothing.
pub(crate) struct Connection {
    stream: Stream,
    patience: Duration,
    /// Runs while what is sent is not taken.
    stalled: Option<Pin<Box<Sleep>>>,
    head: Head,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: Stream, patience: Duration, permit: OwnedSemaphorePermit) -> Self {
        Self { stream, patience, stalled: None, head: Head::Awaited, _permit: permit }
    }

    /// What became of sending something, which may not take too long.
    fn in_time<T>(
        &mut self,
        context: &mut Context<'_>,
        sent: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if sent.is_ready() {
            self.stalled = None;
            return sent;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        let too_long = stalled.as_mut().poll(context);
        too_long.map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.head.read(&buffer.filled()[before..]);
        match &mut self.head {
            Head::Coming { until, .. } if read.is_pending() => {
                until.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
            _ => read,
        }
    }
}

/// How far a client is with what it asks, as its bytes tell.
enum Head {
    /// Nothing of the next request has come.
    Awaited,
    /// Some of it has, and the end of its head has not. Of that, so many bytes have come.
    Coming { until: Pin<Box<Sleep>>, matched: usize },
    /// It has come, and is being answered.
    Complete,
    /// It is another protocol by now, which has its own time limits.
    Other,
}

impl Head {
    fn read(&mut self, bytes: &[u8]) {
        const END: &[u8] = b"\r\n\r\n";
        if bytes.is_empty() {
            return;
        }
        if let Self::Awaited = self {
            *self = match bytes.starts_with(b"PRI ") {
                true => Self::Other,
                false => Self::Coming { until: Box::pin(sleep(HEAD)), matched: 0 },
            };
        }
        if let Self::Coming { matched, .. } = self {
            for byte in bytes {
                *matched = match *byte {
                    it if it == END[*matched] => *matched + 1,
                    b'\r' => 1,
                    _ => 0,
                };
                if *matched == END.len() {
                    *self = Self::Complete;
                    return;
                }
            }
        }
    }

    /// Sees the beginning of what is written.
    fn wrote(&mut self, bytes: &[u8]) {
        *self = match self {
            Self::Other => return,
            _ if bytes.starts_with(b"HTTP/1.1 101") => Self::Other,
            // The body is to come now.
            _ if bytes.starts_with(b"HTTP/1.1 100") => return,
            _ => Self::Awaited,
        };
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(context, bytes);
        if sent.is_ready() {
            self.head.wrote(bytes);
        }
        self.in_time(context, sent)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = Pin::new(&mut self.stream).poll_flush(context);
        self.in_time(context, sent)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(parts: &[&[u8]]) -> &'static str {
        let mut head = Head::Awaited;
        parts.iter().for_each(|it| head.read(it));
        match head {
            Head::Awaited => "awaited",
            Head::Coming { .. } => "coming",
            Head::Complete => "complete",
            Head::Other => "other",
        }
    }

    #[tokio::test]
    async fn the_end_of_a_head_is_seen_however_it_is_divided() {
        assert_eq!(seen(&[]), "awaited");
        assert_eq!(seen(&[b"GET / HTTP/1.1\r\n", b"Host: a\r\n"]), "coming");
        assert_eq!(seen(&[b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"]), "complete");
        assert_eq!(seen(&[b"GET /\r", b"\n\r", b"\n"]), "complete");
        assert_eq!(seen(&[b"GET /\r\n\r\r\n", b"\r\n"]), "complete");
        assert_eq!(seen(&[b"PRI * HTTP/2.0\r\n"]), "other");
    }

    #[tokio::test]
    async fn after_an_answer_the_next_head_is_awaited_and_after_an_upgrade_none() {
        let after = |answer: &[u8]| {
            let mut head = Head::Awaited;
            head.read(b"GET / HTTP/1.1\r\n\r\n");
            head.wrote(answer);
            head.read(b"\x81\x00");
            matches!(head, Head::Coming { .. })
        };

        assert!(after(b"HTTP/1.1 200 OK\r\n"));
        assert!(!after(b"HTTP/1.1 101 Switching Protocols\r\n"));
        assert!(!after(b"HTTP/1.1 100 Continue\r\n"));
    }
}
