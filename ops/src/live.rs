//! What is live, in memory, and the news of it: the service in front of the database.
//!
//! A read takes the snapshot and waits for nobody. A write waits until it is on the disk and in
//! the snapshot. Whoever else writes to the database, through another process or by SQL, is
//! followed through the change log: there is no other source of news.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Value};
use setpoint_entity::head;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::apply::{self, Applied, Channel};
use crate::confirm::Rejection;
use crate::database::{self, Access, Database, Location};
use crate::edit::{self, Edits};
use crate::history::removed::is_any_between;
use crate::plan::{Author, Base, Kind, Plan};
use crate::token::{self, Keyring};
use crate::{Error, Result, bulk};

mod confirm;
mod connections;
mod file_events;
mod follow;
mod index;
mod kept_out;
mod load;
mod missing;
mod news;
mod policy;
mod snapshot;
#[cfg(test)]
mod tests;
mod writer;

use connections::Connections;
pub use follow::Delivery;
pub use index::{Index, Row};
pub(crate) use kept_out::refused;
pub use kept_out::{KeptOut, kept_out};
pub use missing::Missing;
pub use news::{Effective, Moved, News};
pub use policy::{Policy, Space as Declared};
pub use snapshot::{Entry, Refused, Snapshot, Space, View};
use writer::Job;

/// What is live. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Live {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
}

/// How to follow the database.
#[derive(Clone, Copy, Debug)]
pub struct Following {
    /// Whether other writers are followed at all.
    pub enabled: bool,
    /// How often the database is asked where nothing has told of news.
    pub poll: Duration,
}

/// What became of a change.
pub struct Written {
    pub plan: Plan,
    pub applied: Applied,
    /// What is live with it, and with what was written beside it.
    pub snapshot: Arc<Snapshot>,
}

/// How well the database is followed.
#[derive(Clone, Debug)]
pub struct Status {
    /// When the snapshot was last known to be what the database holds.
    pub checked: Instant,
    /// Why it is not known now.
    pub failure: Option<String>,
    pub delivery: Delivery,
}

struct Shared {
    location: Location,
    access: Access,
    settings: database::Settings,
    connections: Connections,
    current: ArcSwap<Snapshot>,
    keys: ArcSwap<Keyring>,
    /// Counts what was published.
    newest: watch::Sender<u64>,
    /// Counts how often there were other tokens.
    newest_keys: watch::Sender<u64>,
    /// Held while tokens are read, with what was read last.
    keys_gate: tokio::sync::Mutex<Vec<setpoint_entity::token::Model>>,
    /// What clients reject, until it is written down.
    rejected: Mutex<BTreeSet<Rejection>>,
    /// Told when it is more.
    newest_rejection: Notify,
    /// Up to which revision it was written down what is kept out.
    recorded: AtomicI64,
    /// Held by whoever is about to publish.
    gate: tokio::sync::Mutex<()>,
    status: Mutex<Status>,
    /// When the writer last found out what others had written.
    written: Mutex<Instant>,
}

/// How many changes wait at most.
const WAITING: usize = 4096;

impl Live {
    /// Opens the database, loads it, and follows it until it is closed. With
    /// [`Access::Follow`] nothing can be written.
    ///
    /// # Errors
    ///
    /// As [`database::open`].
    pub async fn open(
        location: &Location,
        access: Access,
        settings: database::Settings,
        policy: Policy,
        following: Following,
    ) -> Result<(Self, Closing)> {
        let connections = Connections::open(location, access, settings).await?;
        let transaction = connections.reader.snapshot().await?;
        let head = apply::head(&transaction).await?;
        let loaded = load::everything(&transaction, &head, Arc::new(policy)).await;
        let keys = Keyring::new(token::all(&transaction).await?);
        drop(transaction);
        let place = connections.writer.place().to_owned();
        let loaded = loaded.map_err(|error| error.at(&place))?;
        let shared = Arc::new(Shared {
            location: location.clone(),
            access,
            settings,
            connections,
            current: ArcSwap::from_pointee(loaded),
            keys: ArcSwap::from_pointee(keys),
            newest: watch::Sender::new(1),
            newest_keys: watch::Sender::new(1),
            rejected: Mutex::default(),
            newest_rejection: Notify::new(),
            recorded: AtomicI64::new(0),
            keys_gate: tokio::sync::Mutex::default(),
            gate: tokio::sync::Mutex::new(()),
            status: Mutex::new(Status {
                checked: Instant::now(),
                failure: None,
                delivery: Delivery::Off,
            }),
            written: Mutex::new(Instant::now()),
        });
        let (jobs, waiting) = mpsc::channel(WAITING);
        let writer = tokio::spawn(writer::run(shared.clone(), waiting));
        let (stop, stopped) = watch::channel(false);
        let follower = tokio::spawn(follow::run(shared.clone(), following, stopped));
        let closing = Closing { shared: shared.clone(), stop, writer, follower };
        Ok((Self { shared, jobs }, closing))
    }

    /// Everything live, now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.current()
    }

    /// The tokens there are, now.
    pub fn keys(&self) -> Arc<Keyring> {
        self.shared.keys.load_full()
    }

    /// Tells whenever there are other tokens.
    pub fn key_news(&self) -> watch::Receiver<u64> {
        self.shared.newest_keys.subscribe()
    }

    /// Tells whenever there is another snapshot.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.shared.newest.subscribe()
    }

    pub fn status(&self) -> Status {
        self.shared.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn backend(&self) -> DbBackend {
        self.shared.connections.writer.backend()
    }

    pub fn location(&self) -> &Location {
        &self.shared.location
    }

    /// Writes the plan that `make` makes of what is live when its turn comes. It may be asked
    /// more than once.
    ///
    /// # Errors
    ///
    /// Those of `make`; [`Error::Busy`] if too many wait, [`Error::Gone`], [`Error::Locked`],
    /// [`Error::DiskFull`], [`Error::Unreachable`], [`Error::Database`]: nothing was written then.
    /// [`Error::Unanswered`]: that is not known.
    pub async fn write(
        &self,
        channel: Channel,
        now: DateTime<Utc>,
        make: impl FnMut(&Snapshot) -> Result<Plan> + Send + 'static,
    ) -> Result<Written> {
        let (reply, written) = oneshot::channel();
        let job = Job { make: Box::new(make), channel, now, reply };
        self.jobs.try_send(job).map_err(|_| Error::Busy)?;
        written.await.unwrap_or_else(|_| Err(Error::Unanswered { place: self.shared.place() }))
    }

    /// One moment of the database, to be read: what the snapshot does not hold, such as the past.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`], [`Error::Unreachable`].
    pub async fn reader(&self) -> Result<DatabaseTransaction> {
        self.shared.connections.refuse_gone()?;
        let db = &self.shared.connections.reader;
        db.snapshot().await.map_err(|error| error.at(db.place()))
    }

    /// The database, for what is more than a change of some keys. [`Live::catch_up`] afterwards.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    pub fn writer(&self) -> Result<&Database> {
        self.shared.connections.refuse_gone()?;
        Ok(&self.shared.connections.writer)
    }

    /// Makes live what was written past [`Live::write`], tokens too.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`], [`Error::Unreachable`], [`Error::Database`].
    pub async fn catch_up(&self) -> Result<()> {
        self.shared.catch_up().await?;
        self.shared.reload_keys().await
    }

    /// Goes on under other declarations.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`], [`Error::Database`]: it goes on as before.
    pub async fn reconfigure(&self, policy: Policy) -> Result<()> {
        let _gate = self.shared.gate.lock().await;
        let policy = Arc::new(policy);
        let db = self.shared.connections.follower.snapshot().await?;
        let head = apply::head(&db).await?;
        let mut loaded = load::everything(&db, &head, policy).await?;
        self.shared.recorded.store(0, Relaxed);
        loaded.generation += self.snapshot().generation;
        self.shared.publish(loaded);
        Ok(())
    }
}

impl Snapshot {
    /// Plans `edits` in one layer of what is live. A key that has its value already is left out.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownLayer`], [`Error::SecretValue`], [`Error::Schema`], [`Error::NotATree`],
    /// [`Error::MapValue`], [`Error::NulCharacter`].
    pub fn plan(
        &self,
        namespace: &str,
        layer: &str,
        edits: Edits,
        kind: Kind,
        author: Author,
    ) -> Result<Plan> {
        author.check()?;
        let declared = self.declared(namespace);
        if !declared.has_layer(layer) {
            let (namespace, layer) = (namespace.to_owned(), layer.to_owned());
            return Err(Error::UnknownLayer { namespace, layer });
        }
        for (key, value) in edits.iter().filter_map(|(key, it)| Some((key, it.as_ref()?))) {
            declared.check(key, value)?;
        }
        let stored = self.stored_around(namespace, layer, edits.keys());
        let changes = edit::changes(namespace, layer, &stored, edits)?;
        let epoch = (self.revision > 0).then(|| self.epoch.to_string());
        let base = Base { epoch, revision: self.revision };
        Ok(Plan::new(kind, base, author, Vec::new(), changes))
    }
}

impl Shared {
    fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    fn place(&self) -> String {
        self.location.name()
    }

    /// How long a transaction may take until nobody waits for it any more.
    fn patience(&self) -> Duration {
        self.settings.lock_timeout + self.settings.connect_timeout + Duration::from_secs(5)
    }

    fn publish(&self, snapshot: Snapshot) {
        self.current.store(Arc::new(snapshot));
        self.newest.send_modify(|count| *count += 1);
    }

    /// Publishes what others have written meanwhile, if they have.
    async fn catch_up(&self) -> Result<bool> {
        self.connections.refuse_gone()?;
        let reader = &self.connections.follower;
        let work = async {
            if is_at(&self.current(), &apply::head(&reader.connection).await?) {
                return Ok(false);
            }
            let _gate = self.gate.lock().await;
            let db = reader.snapshot().await?;
            let head = apply::head(&db).await?;
            self.catch_up_to(&db, &head).await
        };
        work.await.map_err(|error: Error| error.at(reader.place()))
    }

    /// Publishes what is live at `head`. The caller holds the gate.
    async fn catch_up_to(&self, db: &impl ConnectionTrait, head: &head::Model) -> Result<bool> {
        let current = self.current();
        if is_at(&current, head) {
            return Ok(false);
        }
        let is_later = *current.epoch == *head.epoch && head.revision > current.revision;
        let mut next = Snapshot::clone(&current);
        if is_later && is_any_between(db, current.revision, head.revision).await? {
            // What has led there is not known any more, so nobody can be told but everything.
            next = load::everything(db, head, current.policy.clone()).await?;
            next.generation = current.generation;
        } else if is_later {
            load::delta(db, head, &mut next).await?;
        } else {
            // Another history, or one that has lost its end: what clients know counts no more.
            next = load::everything(db, head, current.policy.clone()).await?;
            next.generation += current.generation;
            self.recorded.store(0, Relaxed);
        }
        let known: HashSet<_> = current.refused().map(|it| (it.revision, &it.key)).collect();
        for refused in next.refused().filter(|it| !known.contains(&(it.revision, &it.key))) {
            let Refused { namespace, layer, key, revision, .. } = &**refused;
            tracing::warn!(namespace, layer, key, revision, "kept out a change made by SQL");
        }
        self.publish(next);
        Ok(true)
    }

    /// Takes the tokens as they are now: they are in no revision.
    async fn reload_keys(&self) -> Result<()> {
        // What was read earlier must not be kept later: a revoked token would come back.
        let mut keys = self.keys_gate.lock().await;
        let rows = token::all(&self.connections.follower.connection).await?;
        if *keys != rows {
            self.keys.store(Arc::new(Keyring::new(rows.clone())));
            *keys = rows;
            self.newest_keys.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    /// Writes down what is kept out, for the audit. Where others write for long it is done later.
    async fn record_refused(&self) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(1);
        let current = self.current();
        let known = self.recorded.load(Relaxed);
        let new: Vec<_> = current.refused().filter(|it| it.revision > known).cloned().collect();
        let Some(newest) = new.iter().map(|it| it.revision).max() else { return Ok(()) };
        if self.access != Access::Serve {
            return Ok(());
        }
        let columns = ["revision", "namespace", "layer", "key", "reason", "at"];
        let row = |it: &Arc<Refused>| -> [Value; 6] {
            [
                it.revision.into(),
                it.namespace.as_str().into(),
                it.layer.as_str().into(),
                it.key.as_str().into(),
                it.reason.as_str().into(),
                it.at.as_str().into(),
            ]
        };
        let rows: Vec<_> = new.iter().map(row).collect();
        let (db, done) = (&self.connections.writer.connection, "ON CONFLICT DO NOTHING");
        let written = bulk::insert(db, "invalid_change", columns, done, rows);
        if let Ok(written) = timeout(PATIENCE, written).await {
            written?;
            self.recorded.store(newest, Relaxed);
        }
        Ok(())
    }

    /// The writer knows what others have written up to now.
    fn has_looked(&self) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last_written(&self) -> Instant {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn is_at(snapshot: &Snapshot, head: &head::Model) -> bool {
    *snapshot.epoch == *head.epoch && snapshot.revision == head.revision
}

/// What is to be awaited when nobody uses the database any more.
pub struct Closing {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    writer: JoinHandle<()>,
    follower: JoinHandle<()>,
}

impl Closing {
    /// Waits for what is being written, and closes the database. Every [`Live`] is gone by then,
    /// or this waits for it.
    ///
    /// # Errors
    ///
    /// [`Error::Database`] if the last work cannot be finished.
    pub async fn close(self) -> Result<()> {
        self.stop.send_replace(true);
        drop(self.follower.await);
        drop(self.writer.await);
        match Arc::try_unwrap(self.shared) {
            Ok(shared) => shared.connections.close().await,
            Err(_) => Ok(()),
        }
    }
}
