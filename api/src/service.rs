//! What every request has: the live settings, the declarations, who is connected.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use getrandom::fill;
use poem::http::StatusCode;
use setpoint_ops::Limits;
use setpoint_ops::live::{Live, Snapshot, View};
use setpoint_ops::source::Declared;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clients::Clients;
use crate::meters::Meters;
use crate::problem::{ApiError, ApiResult};
use crate::tickets::Tickets;

/// What is configured. It is swapped as a whole when the configuration is read again.
#[derive(Clone)]
pub struct Setup {
    /// The namespace of requests that name none.
    pub namespace: String,
    /// The folder that paths of sources are relative to.
    pub root: PathBuf,
    pub sources: Vec<Declared>,
    /// Of files that are imported.
    pub limits: Limits,
    /// Where originals are copied to before a file is changed.
    pub backups: PathBuf,
    /// Whether requests without a token are answered while there is none in the database.
    pub open: bool,
    /// Names of this service in `Host`, besides `localhost` and addresses.
    pub hosts: Vec<String>,
    /// Web pages of other origins that may use the service, such as `https://panel.example`.
    pub origins: Vec<String>,
    pub body_bytes: usize,
    pub upload_bytes: usize,
    /// Of JSON in bodies: maps and arrays inside one another.
    pub depth: usize,
    /// Requests a second that one caller may send; as many as it likes if there is none.
    pub rate: Option<NonZeroU32>,
    /// How often clients of news are asked whether they live, and after what silence dropped.
    pub heartbeat: Duration,
    pub client_timeout: Duration,
    /// How old the snapshot may be before the service calls itself not ready.
    pub stale_after: Duration,
}

/// A running service.
pub(crate) struct Service {
    pub live: Live,
    pub setup: ArcSwap<Setup>,
    pub clients: Clients,
    pub tickets: Tickets,
    /// Leave to make large messages, which several have at a time.
    pub big: Arc<Semaphore>,
    pub meters: Meters,
    /// Names this run of the service.
    pub instance: String,
    /// Cancelled when it is to stop: what lasts ends then.
    pub stopping: CancellationToken,
    /// What lasts longer than a request.
    pub tasks: TaskTracker,
}

impl Service {
    pub(crate) fn new(live: Live, setup: Setup, meters: Meters) -> Arc<Self> {
        Arc::new(Self {
            live,
            setup: ArcSwap::from_pointee(setup),
            clients: Clients::default(),
            tickets: Tickets::default(),
            big: Arc::new(Semaphore::new(4)),
            meters,
            instance: random_name(),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// The namespace that was asked for, which there has to be.
    pub(crate) fn namespace(
        &self,
        snapshot: &Snapshot,
        asked: Option<String>,
    ) -> ApiResult<String> {
        let namespace = asked.unwrap_or_else(|| self.setup.load().namespace.clone());
        if snapshot.has(&namespace) || namespace == self.setup.load().namespace {
            return Ok(namespace);
        }
        let known: Vec<&str> = snapshot.namespaces().collect();
        Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "namespace::unknown",
            format!("there is no namespace `{namespace}`"),
        )
        .help(format!("there are: {}", known.join(", "))))
    }
}

/// Through whose eyes a request looks.
pub(crate) fn view<'a>(layer: Option<&'a str>, user: Option<&'a str>) -> ApiResult<View<'a>> {
    match (layer, user) {
        (None, None) => Ok(View::Effective),
        (Some(layer), None) => Ok(View::Layer(layer)),
        (None, Some(user)) => Ok(View::User(user)),
        (Some(_), Some(_)) => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "request::invalid",
            "`layer` and `user` exclude each other",
        )
        .help("give `layer=user:ID` for the preferences of a user alone")),
    }
}

/// A name that nobody else has: 16 hexadecimal digits.
pub(crate) fn random_name() -> String {
    let mut bytes = [0; 8];
    fill(&mut bytes).expect("the operating system has random numbers");
    format!("{:016x}", u64::from_le_bytes(bytes))
}

/// The one place of the service that reads the clock.
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
