//! Connections: limited in number, without delay, with TLS if there is a certificate.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use metrics::counter;
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

use crate::tls::Tls;

/// What is accepted, and how.
pub(crate) struct Accepting {
    pub listener: TcpListener,
    pub address: SocketAddr,
    pub tls: Option<Tls>,
    /// How many at a time.
    pub connections: usize,
    /// How long a client may take nothing of what is sent to it.
    pub patience: Duration,
    pub closed: CancellationToken,
}

/// Connections that are ready to be answered.
pub(crate) struct Accepted {
    address: SocketAddr,
    scheme: Scheme,
    ready: mpsc::Receiver<(Connection, SocketAddr)>,
}

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// After an error such as "too many open files", which comes at once again.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until it is told to stop.
pub(crate) fn accept(accepting: Accepting) -> Accepted {
    let (address, is_tls) = (accepting.address, accepting.tls.is_some());
    let scheme = if is_tls { Scheme::HTTPS } else { Scheme::HTTP };
    let (made, ready) = mpsc::channel(64);
    tokio::spawn(run(accepting, made));
    Accepted { address, scheme, ready }
}

async fn run(accepting: Accepting, made: mpsc::Sender<(Connection, SocketAddr)>) {
    let leave = Arc::new(Semaphore::new(accepting.connections));
    let patience = accepting.patience;
    loop {
        let accepted = tokio::select! {
            () = accepting.closed.cancelled() => return,
            accepted = accepting.listener.accept() => accepted,
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
            counter!("connections_refused_total").increment(1);
            continue;
        };
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
                let made = made.clone();
                tokio::spawn(async move {
                    if let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await {
                        let stream = Either::Right(Box::new(stream));
                        let connection = Connection::new(stream, patience, permit);
                        drop(made.send((connection, from)).await);
                    }
                });
            }
        }
    }
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
            // Whoever stopped it has stopped the server as well.
            None => std::future::pending().await,
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
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: Stream, patience: Duration, permit: OwnedSemaphorePermit) -> Self {
        Self { stream, patience, stalled: None, _permit: permit }
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
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(context, bytes);
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
