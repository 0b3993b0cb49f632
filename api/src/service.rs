//! What every request has: the live settings, the declarations, who is connected.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use getrandom::fill;
use poem::http::StatusCode;
use sea_orm::DatabaseTransaction;
use setpoint_ops::backup::Storage;
use setpoint_ops::database::Settings;
use setpoint_ops::job;
use setpoint_ops::live::{Live, Snapshot, View};
use setpoint_ops::secret::Rules;
use setpoint_ops::source::Declared;
use setpoint_ops::token::Role;
use setpoint_ops::{Error, Limits};
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Caller;
use crate::clients::Clients;
use crate::meters::Meters;
use crate::plans::Plans;
use crate::problem::{ApiError, ApiResult};
use crate::rate::Rates;
use crate::search::Indexes;
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
    /// Where backups are kept, and originals before a file is changed.
    pub backups: Storage,
    /// How the database is opened besides, by what needs it for itself.
    pub database: Settings,
    /// The jobs, and what they look at.
    pub jobs: Arc<job::Setup>,
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
    pub rates: Rates,
    pub plans: Plans,
    pub indexes: Indexes,
    /// Leave to make large messages, which several have at a time.
    pub big: Arc<Semaphore>,
    /// Held by who makes, reads or restores a backup: one at a time.
    pub backing_up: Arc<Mutex<()>>,
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
            rates: Rates::default(),
            plans: Plans::default(),
            indexes: Indexes::default(),
            big: Arc::new(Semaphore::new(4)),
            backing_up: Arc::default(),
            meters,
            instance: random_name(),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// The namespace that was asked for, which there has to be, and where `caller` is to have a
    /// role. Whoever does not is not told what there is.
    pub(crate) fn namespace(
        &self,
        snapshot: &Snapshot,
        caller: &Caller,
        role: Role,
        asked: Option<String>,
    ) -> ApiResult<String> {
        let namespace = asked.unwrap_or_else(|| self.setup.load().namespace.clone());
        caller.may_in(role, &namespace)?;
        if snapshot.has(&namespace) || namespace == self.setup.load().namespace {
            return Ok(namespace);
        }
        let known: Vec<&str> = snapshot.namespaces().filter(|it| caller.sees(it)).collect();
        Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "namespace::unknown",
            format!("there is no namespace `{namespace}`"),
        )
        .help(format!("there are: {}", known.join(", "))))
    }
}

impl Service {
    /// The namespaces that `caller` sees of those that were asked for; none if it is all.
    pub(crate) fn visible(
        &self,
        caller: &Caller,
        asked: Option<String>,
    ) -> ApiResult<Option<Vec<String>>> {
        match asked {
            Some(_) => {
                let namespace =
                    self.namespace(&self.live.snapshot(), caller, Role::Viewer, asked)?;
                Ok(Some(vec![namespace]))
            }
            None => {
                caller.may(Role::Viewer)?;
                Ok(caller.namespaces.as_ref().map(|it| it.to_vec()))
            }
        }
    }

    /// A layer of a namespace that may hold settings.
    pub(crate) fn layer(
        &self,
        snapshot: &Snapshot,
        namespace: &str,
        asked: Option<String>,
    ) -> ApiResult<String> {
        let layer = asked.unwrap_or_else(|| BASE.to_owned());
        match snapshot.declared(namespace).has_layer(&layer) {
            true => Ok(layer),
            false => Err(unknown_layer(snapshot, namespace, &layer)),
        }
    }

    /// What the database said, as an answer: with its name, where the error is about it.
    pub(crate) fn answer<T>(&self, result: Result<T, Error>) -> ApiResult<T> {
        result.map_err(|error| error.at(&self.live.location().name()).into())
    }

    /// One moment of the database.
    pub(crate) async fn reader(&self) -> ApiResult<DatabaseTransaction> {
        self.answer(self.live.reader().await)
    }

    /// What is declared of the secrets of each namespace.
    pub(crate) fn rules(&self) -> impl Fn(&str) -> Rules {
        let snapshot = self.live.snapshot();
        move |namespace: &str| snapshot.declared(namespace).secrets.clone()
    }
}

/// The layer that every namespace has.
pub(crate) const BASE: &str = "base";

fn unknown_layer(snapshot: &Snapshot, namespace: &str, layer: &str) -> ApiError {
    let (known, layer) = (snapshot.layers(namespace).join(", "), layer.to_owned());
    ApiError::from(Error::UnknownLayer { namespace: namespace.to_owned(), layer })
        .help(format!("there are: {known}; and user:ID for what a user prefers"))
}

/// Through whose eyes a request looks at a namespace.
pub(crate) fn view<'a>(
    snapshot: &Snapshot,
    namespace: &str,
    layer: Option<&'a str>,
    user: Option<&'a str>,
) -> ApiResult<View<'a>> {
    match (layer, user) {
        (None, None) => Ok(View::Effective),
        (Some(layer), None) if !snapshot.has_layer(namespace, layer) => {
            Err(unknown_layer(snapshot, namespace, layer))
        }
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

/// Does what takes its time, such as reading files, on a thread where nobody waits for it. It goes
/// on if whoever asked goes away.
pub(crate) async fn aside<T, F>(
    service: &Arc<Service>,
    work: impl FnOnce(Arc<Service>) -> F + Send + 'static,
) -> ApiResult<T>
where
    F: Future<Output = ApiResult<T>>,
    T: Send + 'static,
{
    let (runtime, inner) = (tokio::runtime::Handle::current(), service.clone());
    let done = service.tasks.spawn_blocking(move || runtime.block_on(work(inner))).await;
    done.unwrap_or_else(|_| Err(Error::Unanswered { place: service.live.location().name() }.into()))
}
