//! The listening socket, and the life of the service on it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use miette::Diagnostic;
use poem::Server;
use setpoint_ops::live::{Live, Policy};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::accept::{Accepting, accept};
use crate::meters::{self, Meters};
use crate::routes;
use crate::service::{Service, Setup};
use crate::tls::Tls;

/// Why the service cannot start.
#[derive(Debug, Error, Diagnostic)]
pub enum ServeError {
    #[error("cannot listen on {address}")]
    #[diagnostic(
        code(serve::listen),
        help(
            "check that nothing else listens there and that the address is one of this machine; --listen names another"
        )
    )]
    Listen { address: String, source: io::Error },

    #[error("{path} is no {what}: {reason}")]
    #[diagnostic(code(serve::tls), help("give PEM files: --tls-cert the chain, --tls-key its key"))]
    Tls { path: String, what: &'static str, reason: String },

    #[error("cannot measure: {reason}")]
    #[diagnostic(code(serve::meters))]
    Meters { reason: String },

    #[error("cannot load the settings under the new configuration")]
    #[diagnostic(
        code(serve::reload),
        help("nothing was changed; see to the database, and send SIGHUP again")
    )]
    Reload { source: setpoint_ops::Error },
}

/// A socket that listens, and is not answered yet.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
}

/// A service that answers.
pub struct Running {
    service: Arc<Service>,
    /// Cancelled when no more connections are to be taken.
    closed: CancellationToken,
    server: JoinHandle<io::Result<()>>,
    tls: Option<Tls>,
}

/// How long an open connection may say nothing.
const IDLE: Duration = Duration::from_secs(120);

/// Listens on `address`, which may be a name.
///
/// # Errors
///
/// [`ServeError::Listen`].
pub async fn bind(address: &str, tls: Option<Tls>) -> Result<Bound, ServeError> {
    let failed = |source| ServeError::Listen { address: address.to_owned(), source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok(Bound { listener, address: bound, tls })
}

impl Bound {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is reached, for people.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Answers, on at most so many connections at a time.
    ///
    /// # Errors
    ///
    /// [`ServeError::Meters`].
    pub fn start(
        self,
        live: Live,
        setup: Setup,
        connections: usize,
    ) -> Result<Running, ServeError> {
        let meters =
            Meters::install().map_err(|error| ServeError::Meters { reason: error.to_string() })?;
        let service = Service::new(live, setup, meters);
        service.tasks.spawn(upkeep(service.clone()));
        service.tasks.spawn(measure_backups(service.clone()));
        let (closed, drained) = (CancellationToken::new(), CancellationToken::new());
        let accepting = Accepting {
            listener: self.listener,
            address: self.address,
            tls: self.tls.clone(),
            connections,
            refused: service.meters.connections_refused.clone(),
            // Those who listen are told why before that.
            patience: service.setup.load().client_timeout + Duration::from_secs(1),
            closed: closed.clone(),
            drained: drained.clone(),
        };
        let server = Server::new_with_acceptor(accept(accepting)).idle_timeout(IDLE);
        let grace = service.setup.load().client_timeout;
        let served = server.run_with_graceful_shutdown(
            routes(&service),
            async move { drained.cancelled().await },
            Some(grace),
        );
        Ok(Running { service, closed, server: tokio::spawn(served), tls: self.tls })
    }
}

impl Running {
    /// Goes on under another configuration: all of it, or nothing but the certificate.
    ///
    /// # Errors
    ///
    /// [`ServeError::Tls`], [`ServeError::Reload`].
    pub async fn reconfigure(&self, setup: Setup, policy: Policy) -> Result<(), ServeError> {
        if let Some(tls) = &self.tls {
            tls.reload()?;
        }
        let reconfigured = self.service.live.reconfigure(policy).await;
        reconfigured.map_err(|source| ServeError::Reload { source })?;
        self.service.setup.store(Arc::new(setup));
        self.service.meters.reloads.increment(1);
        Ok(())
    }

    /// Counts that a configuration could not be taken, for those who look at the metrics.
    pub fn stays_as_it_was(&self) {
        self.service.meters.reloads_failed.increment(1);
    }

    /// Whether it serves still.
    pub fn is_finished(&self) -> bool {
        self.server.is_finished()
    }

    /// Takes no more connections, tells those who listen, and waits for what is being answered.
    ///
    /// # Errors
    ///
    /// If the server had failed.
    pub async fn stop(self) -> io::Result<()> {
        self.closed.cancel();
        self.service.stopping.cancel();
        self.service.tasks.close();
        let served = self.server.await;
        self.service.tasks.wait().await;
        served.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

/// Looks how old the backups are: others take some, too.
async fn measure_backups(service: Arc<Service>) {
    let mut often = tokio::time::interval(Duration::from_secs(15));
    loop {
        tokio::select! {
            () = service.stopping.cancelled() => return,
            _ = often.tick() => meters::of_backups(&service).await,
        }
    }
}

/// Counts revisions as they become live, and tidies up.
async fn upkeep(service: Arc<Service>) {
    let mut news = service.live.news();
    let mut known = service.live.snapshot().revision;
    let mut tidy = tokio::time::interval(Duration::from_secs(5));
    loop {
        tokio::select! {
            () = service.stopping.cancelled() => return,
            _ = tidy.tick() => {
                service.meters.upkeep();
                service.rates.tidy();
            }
            changed = news.changed() => {
                if changed.is_err() {
                    return;
                }
                let snapshot = service.live.snapshot();
                for news in snapshot.since(known).into_iter().flatten() {
                    let channel = news.channel.clone();
                    metrics::counter!("hotreload_events_total", "channel" => channel).increment(1);
                }
                known = snapshot.revision;
            }
        }
    }
}
