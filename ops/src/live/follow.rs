//! Hearing of what others write: file events and `data_version` on SQLite, LISTEN on PostgreSQL,
//! and a slow poll on both as the safety net. All of them are hints: the change log is the truth.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::postgres::PgListener;
use sea_orm::sqlx::{self, Sqlite};
use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::file_events::FileEvents;
use super::{Following, Shared};
use crate::database::Location;
use crate::{Error, Result};

/// How news of other writers come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Not at all: nobody asked for them.
    Off,
    /// Events of the database's folder.
    FileEvents,
    /// LISTEN and NOTIFY.
    Listen,
    /// Only by asking from time to time.
    Poll,
}

/// The channel of the triggers in the schema.
const CHANNEL: &str = "setpoint";

/// How soon a lost connection is tried again, at first and at last.
const RETRY: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(5)];

/// For how long a hint is taken seriously: SQLite writes to the file before readers see it, and
/// syncs in between.
const HINT_LASTS: Duration = Duration::from_millis(500);

/// How soon it is looked again, at first.
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_micros(500);

/// For how long after a transaction of our own the follower leaves looking to the writer: each
/// page that it writes is a hint.
pub(super) const WRITER_LOOKS: Duration = Duration::from_millis(5);

/// Follows the database until it is told to stop.
pub(super) async fn run(
    shared: Arc<Shared>,
    following: Following,
    mut stop: watch::Receiver<bool>,
) {
    let hint = Arc::new(Notify::new());
    let listener = match &shared.location {
        _ if !following.enabled => None,
        Location::Sqlite(path) => watch_files(&shared, path, hint.clone()),
        Location::Postgres(url) => {
            shared.tell(|status| status.delivery = Delivery::Poll);
            Some(tokio::spawn(listen(shared.clone(), url.clone(), hint.clone())))
        }
        Location::Memory => None,
    };
    let mut eyes = Eyes { connection: None, version: None };
    let mut poll = interval_at(Instant::now() + following.poll, following.poll);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let hinted = tokio::select! {
            // First what comes seldom: there may always be a hint.
            biased;
            _ = stop.changed() => break,
            _ = poll.tick() => false,
            () = hint.notified() => true,
        };
        let looked = match hinted {
            true => look_for_a_while(&shared, &mut eyes, &hint).await,
            false => look_around(&shared, following.enabled).await,
        };
        report(&shared, looked);
    }
    if let Some(listener) = listener {
        listener.abort();
        drop(listener.await);
    }
}

/// Looks at everything, whatever has been told: also what no revision tells of.
async fn look_around(shared: &Shared, is_enabled: bool) -> Result<()> {
    shared.reload_keys().await?;
    if is_enabled {
        shared.catch_up().await?;
        shared.record_refused().await?;
    }
    Ok(())
}

fn report(shared: &Shared, looked: Result<()>) {
    let failure = looked.err().map(|error| error.in_a_line());
    shared.tell(|status| {
        if failure.is_some() && status.failure.is_none() {
            tracing::error!(error = failure, "cannot follow the database");
        }
        if failure.is_none() {
            status.checked = Instant::now();
        }
        status.failure = failure;
    });
}

/// Looks until there is something new, or the hint was about our own writes. A hint that comes
/// meanwhile is looked into afterwards: where many write, there is no end of them.
async fn look_for_a_while(shared: &Shared, eyes: &mut Eyes, hint: &Notify) -> Result<()> {
    let mut pause = SHORTEST_PAUSE;
    let mut is_hinted_again = false;
    let until = Instant::now() + HINT_LASTS;
    loop {
        shared.connections.refuse_gone()?;
        // The writer looks at the beginning of each of its transactions.
        if shared.last_written().elapsed() < WRITER_LOOKS && Instant::now() < until {
            is_hinted_again = true;
            sleep(WRITER_LOOKS).await;
            continue;
        }
        let is_new = eyes.look(shared).await?;
        if is_new || shared.connections.file.is_none() || Instant::now() >= until {
            if is_hinted_again && shared.connections.file.is_some() {
                hint.notify_one();
            }
            return Ok(());
        }
        if timeout(pause, hint.notified()).await.is_ok() {
            is_hinted_again = true;
            pause = SHORTEST_PAUSE;
        } else {
            pause *= 2;
        }
    }
}

/// A connection of its own: `data_version` is that of a connection.
struct Eyes {
    connection: Option<PoolConnection<Sqlite>>,
    version: Option<i64>,
}

impl Eyes {
    /// Takes what somebody has written since the last look, as far as can be told. Whether it
    /// was something.
    async fn look(&mut self, shared: &Shared) -> Result<bool> {
        let mut seen = None;
        if shared.connections.file.is_some() {
            let version = self.version(shared).await;
            if version.is_err() {
                self.connection = None;
            }
            seen = Some(version.map_err(|error| {
                Error::Database(sea_orm::DbErr::Query(sea_orm::RuntimeErr::SqlxError(error.into())))
            })?);
            if self.version == seen {
                return Ok(false);
            }
        }
        shared.reload_keys().await?;
        let is_new = shared.catch_up().await?;
        // Only now: what could not be taken is looked for again.
        self.version = seen;
        Ok(is_new)
    }

    async fn version(&mut self, shared: &Shared) -> std::result::Result<i64, sqlx::Error> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let pool = shared.connections.follower.connection.get_sqlite_connection_pool();
                self.connection.insert(pool.acquire().await?)
            }
        };
        sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut **connection).await
    }
}

/// Hints at writes to the database or its `-wal`.
fn watch_files(shared: &Arc<Shared>, path: &Path, hint: Arc<Notify>) -> Option<JoinHandle<()>> {
    let lost = |shared: &Shared, error: std::io::Error| {
        tracing::warn!(%error, "no file events: the database is asked from time to time");
        shared.tell(|status| status.delivery = Delivery::Poll);
    };
    match FileEvents::of(path) {
        Ok(events) => {
            shared.tell(|status| status.delivery = Delivery::FileEvents);
            let shared = shared.clone();
            Some(tokio::spawn(async move {
                if let Err(error) = events.give(&shared, hint).await {
                    lost(&shared, error);
                }
            }))
        }
        Err(error) => {
            lost(shared, error);
            None
        }
    }
}

/// Hints at every notification, and after every time that some may have been lost.
async fn listen(shared: Arc<Shared>, url: String, hint: Arc<Notify>) {
    let mut wait = RETRY[0];
    loop {
        let lost = async {
            let mut listener = PgListener::connect(&url).await?;
            listener.listen(CHANNEL).await?;
            shared.tell(|status| status.delivery = Delivery::Listen);
            wait = RETRY[0];
            hint.notify_one();
            while listener.try_recv().await?.is_some() {
                hint.notify_one();
            }
            Ok::<_, sqlx::Error>(())
        };
        let lost = lost.await.err().map(|it| it.to_string());
        shared.tell(|status| status.delivery = Delivery::Poll);
        tracing::warn!(error = lost, "no notifications: the database is asked from time to time");
        hint.notify_one();
        sleep(wait).await;
        wait = (wait * 2).min(RETRY[1]);
    }
}
