//! Opening, making and upgrading the database.

use std::error::Error as _;
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sea_orm::sea_query::{Alias, Expr, Query};
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::{self, Connection as _, SqliteConnection};
use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, DatabaseConnection, DatabaseTransaction,
    DbBackend, IsolationLevel, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use setpoint_migration::Migrator;

use crate::{Error, Result, confirm};

/// Where the settings live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    Sqlite(PathBuf),
    /// A connection URL.
    Postgres(String),
    /// An empty SQLite database that nothing remembers: what a dry run plans against before
    /// there is a database.
    Memory,
}

/// How to open it.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long to wait for another writer.
    pub lock_timeout: Duration,
    /// How long to wait for a server.
    pub connect_timeout: Duration,
}

/// What the caller is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    /// Read for long, from several connections, while others write.
    Follow,
    Write,
    /// Write, a little at a time and for as long as the program runs.
    Serve,
    /// Write, and make the database first if there is none.
    Create,
}

impl Access {
    fn is_to_write(self) -> bool {
        matches!(self, Self::Write | Self::Serve | Self::Create)
    }
}

/// How many connections read side by side: one of them waits for news.
const FOLLOWERS: u32 = 4;

/// An open database whose tables are those of this version.
pub struct Database {
    pub connection: DatabaseConnection,
    place: String,
    /// What the file was when it was opened without taking a lock.
    unlocked: Option<(PathBuf, Fingerprint)>,
}

/// Which steps of the schema a database has.
#[derive(Debug, PartialEq, Eq)]
pub struct Schema {
    pub applied: Vec<String>,
    pub pending: Vec<String>,
    /// Steps that this version does not know.
    pub unknown: Vec<String>,
}

impl Location {
    /// A `postgres://` URL, a `sqlite:` URL or the path of an SQLite file.
    pub fn parse(text: &str) -> Self {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Self::Postgres(text.to_owned());
        }
        let path = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:"));
        Self::Sqlite(PathBuf::from(path.unwrap_or(text)))
    }

    /// Its name for people: a URL comes without user and password.
    pub fn name(&self) -> String {
        match self {
            Self::Sqlite(path) => path.display().to_string(),
            Self::Memory => "a new database".to_owned(),
            Self::Postgres(url) => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
                match rest.rsplit_once('@') {
                    // Whether that is a password or a query, nobody can tell.
                    Some((before, _)) if before.contains('?') => format!("{scheme}://…"),
                    found => {
                        let host = found.map_or(rest, |(_, host)| host);
                        format!("{scheme}://{}", host.split('?').next().unwrap_or_default())
                    }
                }
            }
        }
    }

    /// Whether there is something to open: a file, or a server that may or may not answer.
    pub fn exists(&self) -> bool {
        match self {
            Self::Sqlite(path) => path.exists(),
            Self::Postgres(_) => true,
            Self::Memory => false,
        }
    }
}

/// Opens the database at `location`.
///
/// # Errors
///
/// [`Error::NoDatabase`] and [`Error::EmptyDatabase`] unless `access` is [`Access::Create`];
/// [`Error::OlderDatabase`] and [`Error::NewerDatabase`] if its tables are of another version;
/// [`Error::Unreachable`], [`Error::BadUrl`], [`Error::NotADatabase`], [`Error::LeftBehind`],
/// [`Error::NetworkFileSystem`].
#[tracing::instrument(level = "debug", skip_all)]
pub async fn open(location: &Location, access: Access, settings: Settings) -> Result<Database> {
    let database = connect(location, access, settings).await?;
    let schema = schema(&database).await?;
    let place = database.place.clone();
    if let Some(step) = schema.unknown.into_iter().next() {
        return Err(Error::NewerDatabase { place, step });
    }
    if schema.pending.is_empty() {
        return Ok(database);
    }
    if !schema.applied.is_empty() {
        return Err(Error::OlderDatabase { place, pending: schema.pending.len() });
    }
    if access != Access::Create {
        return Err(Error::EmptyDatabase { place });
    }
    match up(&database).await {
        Ok(_) => Ok(database),
        Err(error) => Err(closed_after(database, error).await),
    }
}

/// Does `work` on the database at `location` and closes it, whatever comes of the work: what
/// SQLite could not bring to the disk is dropped then and nobody finds it later.
///
/// # Errors
///
/// As [`open`], and those of the work.
pub async fn using<T>(
    location: &Location,
    access: Access,
    settings: Settings,
    work: impl AsyncFnOnce(&Database) -> Result<T>,
) -> Result<T> {
    closing(open(location, access, settings).await?, work).await
}

/// As [`using`], of tables that may be of an older version.
///
/// # Errors
///
/// As [`connect`], and those of the work.
pub(crate) async fn using_any<T>(
    location: &Location,
    access: Access,
    settings: Settings,
    work: impl AsyncFnOnce(&Database) -> Result<T>,
) -> Result<T> {
    closing(connect(location, access, settings).await?, work).await
}

async fn closing<T>(
    database: Database,
    work: impl AsyncFnOnce(&Database) -> Result<T>,
) -> Result<T> {
    match work(&database).await {
        Ok(done) => database.close().await.map(|()| done),
        Err(error) => Err(closed_after(database, error).await),
    }
}

/// What `work` reads in the database at `location`, all of it as of one moment. It is done again
/// where somebody has written to a file that was read without a lock.
///
/// # Errors
///
/// As [`open`], and those of the work; [`Error::Locked`] if somebody has written each time.
pub async fn reading<T>(
    location: &Location,
    settings: Settings,
    work: impl AsyncFn(&DatabaseTransaction) -> Result<T>,
) -> Result<T> {
    const TRIES: usize = 5;
    for _ in 0..TRIES {
        let once = async |db: &Database| {
            let snapshot = db.snapshot().await?;
            Ok((work(&snapshot).await, db.may_be_torn()))
        };
        let (done, is_torn) = using(location, Access::Read, settings, once).await?;
        if !is_torn {
            return done.map_err(|error| error.at(&location.name()));
        }
    }
    Err(Error::Locked { place: location.name() })
}

/// The first error is the one to tell.
async fn closed_after(database: Database, error: Error) -> Error {
    let error = error.at(&database.place);
    drop(database.close().await);
    error
}

/// Connects without looking at the tables: for [`schema`], [`up`] and [`down`].
///
/// # Errors
///
/// As [`open`], except those about the tables.
pub async fn connect(location: &Location, access: Access, settings: Settings) -> Result<Database> {
    let place = location.name();
    let connected = match location {
        Location::Sqlite(path) => connect_sqlite(path, access, settings).await,
        Location::Postgres(url) => connect_postgres(url, settings).await,
        Location::Memory => connect_memory().await,
    };
    let (connection, unlocked) = connected.map_err(|error| error.at(&place))?;
    Ok(Database { connection, place, unlocked })
}

async fn connect_sqlite(
    path: &Path,
    access: Access,
    settings: Settings,
) -> Result<(DatabaseConnection, Option<(PathBuf, Fingerprint)>)> {
    let place = path.display().to_string();
    if let Some(kind) = network_file_system(path) {
        return Err(Error::NetworkFileSystem { place, kind });
    }
    match (fs::metadata(path), access) {
        (Ok(found), _) if !found.is_file() => return Err(Error::NotADatabase { place }),
        // SQLite would make the files beside it as unwritable as it is, and leave them there.
        (Ok(_), access)
            if access.is_to_write()
                && rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_err() =>
        {
            return Err(Error::NotWritable { place });
        }
        (Ok(_), _) => {}
        (Err(_), Access::Create) => {
            refuse_left_behind(path)?;
            create_private(path)?;
        }
        (Err(_), _) => return Err(Error::NoDatabase { place }),
    }
    let unlocked = match access {
        Access::Read => Fingerprint::of_quiet(path).map(|it| (path.to_owned(), it)),
        _ => None,
    };
    let immutable = unlocked.is_some();

    let mut options = ConnectOptions::new("sqlite:");
    let connections = if access == Access::Follow { FOLLOWERS } else { 1 };
    options.sqlx_logging(false).max_connections(connections).min_connections(1);
    options.idle_timeout(None).max_lifetime(None).test_before_acquire(false);
    options.map_sqlx_sqlite_pool_opts(move |pool| {
        let pool = pool.idle_timeout(None).max_lifetime(None);
        match access.is_to_write() {
            true => pool.after_release(|it, _| Box::pin(is_done(it))),
            false => pool,
        }
    });
    let path = path.to_owned();
    options.map_sqlx_sqlite_opts(move |_| {
        use sea_orm::sqlx::ConnectOptions as _;
        use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .busy_timeout(settings.lock_timeout)
            .foreign_keys(true)
            .row_buffer_size(4096)
            .disable_statement_logging();
        // With SQLite's own 2 MiB the pages of a large layer are read, or written, again and again.
        let roomy = options.clone().pragma("cache_size", "-65536");
        // Pages that change again and again go into the database less often.
        let writing = roomy.clone().pragma("wal_autocheckpoint", "4000");
        let writing = writing.journal_mode(SqliteJournalMode::Wal);
        let writing = writing.synchronous(SqliteSynchronous::Full);
        match access {
            Access::Follow => options.read_only(true),
            Access::Read => roomy.read_only(true).immutable(immutable),
            Access::Write | Access::Create => writing,
            // What a statement of many rows may have to take back would go into a file of its own,
            // with each transaction. Where a statement writes much, that is the place for it.
            Access::Serve => writing.pragma("temp_store", "memory"),
        }
    });
    let connected = sea_orm::Database::connect(options).await;
    let connection = connected.map_err(|cause| Error::Unreachable { place, cause })?;
    if access.is_to_write() {
        refuse_old_sqlite(&connection).await?;
    }
    Ok((connection, unlocked))
}

/// Whether what was done over a connection has ended, so that it may be used again. When a commit
/// fails SQLite takes the transaction back, and sqlx counts it as open for ever: after the second
/// of them every commit would succeed, and nothing be written.
async fn is_done(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // By then what was dropped is rolled back.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// For a transaction on PostgreSQL in which much else is done: it is not ended for its silence.
pub(crate) const PATIENT: &str = "SET LOCAL idle_in_transaction_session_timeout = 0";

/// No transaction is ended for a shorter silence of its program: a machine may be busy.
const SHORTEST_SILENCE: Duration = Duration::from_secs(5);

async fn connect_postgres(
    url: &str,
    settings: Settings,
) -> Result<(DatabaseConnection, Option<(PathBuf, Fingerprint)>)> {
    let place = Location::Postgres(url.to_owned()).name();
    // What the libraries say of a URL that they cannot read shows all of it, with the password.
    if let Err(error) = url.parse::<PgConnectOptions>() {
        let reason = error.source().map_or_else(|| "it is not one".to_owned(), ToString::to_string);
        return Err(Error::BadUrl { place, reason });
    }
    let mut options = ConnectOptions::new(url);
    options.sqlx_logging(false).max_connections(4).connect_timeout(settings.connect_timeout);
    options.acquire_timeout(settings.connect_timeout).set_application_name("setpoint");
    // One who holds a lock and is not heard of has stopped, or its network has: the server would
    // wait for hours for it.
    let silence = (settings.lock_timeout * 2).max(SHORTEST_SILENCE);
    let [lock_timeout, silence] =
        [settings.lock_timeout, silence].map(|it| format!("{}ms", it.as_millis()));
    options.map_sqlx_postgres_opts(move |it| {
        it.options([
            ("lock_timeout", &lock_timeout),
            ("idle_in_transaction_session_timeout", &silence),
        ])
    });
    let connected = sea_orm::Database::connect(options).await;
    Ok((connected.map_err(|cause| Error::Unreachable { place, cause })?, None))
}

async fn connect_memory() -> Result<(DatabaseConnection, Option<(PathBuf, Fingerprint)>)> {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.sqlx_logging(false).max_connections(1).min_connections(1);
    options.map_sqlx_sqlite_pool_opts(|pool| pool.idle_timeout(None).max_lifetime(None));
    let connection = sea_orm::Database::connect(options).await?;
    let database = Database { connection, place: Location::Memory.name(), unlocked: None };
    up(&database).await?;
    Ok((database.connection, None))
}

/// Refuses to make a database beside the files of one that is gone. SQLite would take them for those
/// of the new one: whoever has the lost one open still writes to them, and in the end they are gone,
/// with what both have written.
fn refuse_left_behind(path: &Path) -> Result<()> {
    let beside = ["-wal", "-shm"].map(|it| beside(path, it));
    match beside.into_iter().find(|it| it.exists()) {
        Some(left) => Err(Error::LeftBehind {
            place: path.display().to_string(),
            left: left.display().to_string(),
        }),
        None => Ok(()),
    }
}

/// The file that SQLite keeps beside a database under this ending.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// SQLite gives its other files the mode of this one.
fn create_private(path: &Path) -> Result<()> {
    let made =
        fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map(drop).map_err(Error::unwritable(path))
}

async fn refuse_old_sqlite(connection: &DatabaseConnection) -> Result<()> {
    let ask = Statement::from_string(DbBackend::Sqlite, "SELECT sqlite_version()");
    let row = connection.query_one_raw(ask).await?;
    let found: String = match row {
        Some(row) => row.try_get_by_index(0)?,
        None => String::new(),
    };
    let numbers: Vec<u32> = found.split('.').map_while(|it| it.parse().ok()).collect();
    if numbers.as_slice() < [3, 51, 3].as_slice() {
        return Err(Error::OldSqlite { found });
    }
    Ok(())
}

/// The kind of network file system that `path` lies on, by the magic numbers of statfs(2).
fn network_file_system(path: &Path) -> Option<&'static str> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let kind = rustix::fs::statfs(folder).ok()?.f_type;
    match u32::try_from(i128::from(kind) & 0xffff_ffff).ok()? {
        0x6969 => Some("NFS"),
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => Some("SMB"),
        0x0102_1997 => Some("9P"),
        0x5346_414f => Some("AFS"),
        0x00c3_6400 => Some("Ceph"),
        _ => None,
    }
}

/// What tells that nobody wrote to a database file meanwhile.
///
/// Reading an SQLite database in WAL mode makes two files beside it, even when it is opened
/// read-only. Without a `-wal` file nobody is writing, so it can be read as if it were
/// immutable: no file is made. Whoever starts to write makes a `-wal` file or has moved its
/// content into the database, which changes this.
#[derive(Debug, PartialEq, Eq)]
struct Fingerprint {
    size_bytes: u64,
    modified: SystemTime,
}

impl Fingerprint {
    fn of_quiet(path: &Path) -> Option<Self> {
        if fs::metadata(beside(path, "-wal")).is_ok_and(|it| it.len() > 0) {
            return None;
        }
        let found = fs::metadata(path).ok()?;
        Some(Self { size_bytes: found.len(), modified: found.modified().ok()? })
    }
}

impl Database {
    pub fn backend(&self) -> DbBackend {
        self.connection.get_database_backend()
    }

    /// Its name for people.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Whether somebody may have written while this database was open without a lock: what
    /// was read is then to be read again.
    fn may_be_torn(&self) -> bool {
        let Some((path, before)) = &self.unlocked else { return false };
        Fingerprint::of_quiet(path).as_ref() != Some(before)
    }

    /// A transaction whose reads all see the same moment.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn snapshot(&self) -> Result<DatabaseTransaction> {
        let options = match self.backend() {
            DbBackend::Postgres => TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                ..Default::default()
            },
            _ => TransactionOptions::default(),
        };
        Ok(self.connection.begin_with_options(options).await?)
    }

    /// A transaction that is the only one writing.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] if another writer holds on for longer than the lock timeout.
    pub async fn begin(&self) -> Result<DatabaseTransaction> {
        let options = TransactionOptions {
            sqlite_transaction_mode: (self.backend() == DbBackend::Sqlite)
                .then_some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let begun = self.connection.begin_with_options(options).await;
        begun.map_err(|error| Error::from(error).at(&self.place))
    }

    /// # Errors
    ///
    /// [`Error::Database`] if the last work cannot be finished.
    pub async fn close(self) -> Result<()> {
        Ok(self.connection.close().await?)
    }
}

/// The steps of this version, in their order.
pub(crate) fn steps() -> Vec<String> {
    Migrator::migrations().iter().map(|it| it.name().to_owned()).collect()
}

/// Which steps `database` has. Changes nothing.
///
/// # Errors
///
/// [`Error::NotADatabase`] if the file is something else, [`Error::Database`].
pub async fn schema(database: &Database) -> Result<Schema> {
    let known = steps();
    let applied = applied(&database.connection).await.map_err(|error| error.at(&database.place))?;
    Ok(Schema {
        pending: known.iter().filter(|it| !applied.contains(it)).cloned().collect(),
        unknown: applied.iter().filter(|it| !known.contains(it)).cloned().collect(),
        applied,
    })
}

async fn applied(connection: &impl ConnectionTrait) -> Result<Vec<String>> {
    let exists = match connection.get_database_backend() {
        DbBackend::Postgres => "SELECT 1 WHERE to_regclass('setpoint_migration') IS NOT NULL",
        _ => "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'setpoint_migration'",
    };
    let exists = Statement::from_string(connection.get_database_backend(), exists);
    if connection.query_one_raw(exists).await?.is_none() {
        return Ok(Vec::new());
    }
    let versions = Query::select()
        .column("version")
        .from(Alias::new("setpoint_migration"))
        .order_by_expr(Expr::col("version"), sea_orm::Order::Asc)
        .take();
    let rows = connection.query_all(&versions).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}

/// Runs every step that is missing, all in one transaction. Returns how many there were.
///
/// # Errors
///
/// [`Error::Locked`], [`Error::DiskFull`], [`Error::Database`]; nothing has changed then.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn up(database: &Database) -> Result<usize> {
    let pending = schema(database).await?.pending.len();
    run_steps(database, None).await?;
    Ok(pending)
}

/// Runs the first `count` steps on a database that has none: it is of an older version then.
///
/// # Errors
///
/// As [`up`].
pub(crate) async fn up_to(database: &Database, count: usize) -> Result<()> {
    match u32::try_from(count).unwrap_or(u32::MAX) {
        0 => Ok(()),
        count => run_steps(database, Some(count)).await,
    }
}

async fn run_steps(database: &Database, count: Option<u32>) -> Result<()> {
    let at = |error: Error| error.at(&database.place);
    let transaction = database.begin().await?;
    lock_schema(&transaction).await.map_err(at)?;
    Migrator::up(&transaction, count).await.map_err(|it| at(it.into()))?;
    transaction.commit().await.map_err(|it| at(it.into()))
}

/// Takes the newest `steps` steps back, with the data that lies in their tables. Returns how many
/// there were.
///
/// # Errors
///
/// [`Error::NewerDatabase`], [`Error::NoWayBack`], [`Error::OnTrial`], [`Error::Locked`],
/// [`Error::Database`]; nothing has changed then.
pub async fn down(database: &Database, steps: u32) -> Result<usize> {
    let at = |error: Error| error.at(&database.place);
    let transaction = database.begin().await?;
    lock_schema(&transaction).await.map_err(at)?;
    let newest = refuse_down(&transaction, &database.place, steps).await.map_err(at)?;
    Migrator::down(&transaction, Some(steps)).await.map_err(|it| at(it.into()))?;
    transaction.commit().await.map_err(|it| at(it.into()))?;
    Ok(newest)
}

/// The step that holds what is left of removed revisions: without it a history would answer falsely.
const PRUNED: &str = "m20261121_000010_prune";

/// The step that holds what waits to be confirmed: without it nobody would take that back.
const CONFIRM: &str = "m20261121_000009_confirm";

/// Refuses to take the newest `steps` steps of the database `place` back if something would be lost
/// that the steps that are left rely on. Returns how many there are of so many.
///
/// # Errors
///
/// [`Error::NewerDatabase`], [`Error::NoWayBack`], [`Error::OnTrial`], [`Error::Database`].
pub(crate) async fn refuse_down(
    connection: &impl ConnectionTrait,
    place: &str,
    steps: u32,
) -> Result<usize> {
    let (known, applied) = (self::steps(), applied(connection).await?);
    if let Some(step) = applied.iter().find(|it| !known.contains(it)) {
        return Err(Error::NewerDatabase { place: place.to_owned(), step: step.clone() });
    }
    let newest = applied.iter().rev().take(usize::try_from(steps).unwrap_or(usize::MAX));
    if newest.clone().any(|it| it == PRUNED) {
        let count = "SELECT CAST(coalesce(sum(last - first + 1), 0) AS bigint) FROM pruned";
        let count = Statement::from_string(connection.get_database_backend(), count);
        let removed: i64 = match connection.query_one_raw(count).await? {
            Some(row) => row.try_get_by_index(0)?,
            None => 0,
        };
        if removed > 0 {
            return Err(Error::NoWayBack { place: place.to_owned(), removed });
        }
    }
    if newest.clone().any(|it| it == CONFIRM) {
        let waiting = confirm::waiting(connection).await?;
        let revisions: Vec<i64> = waiting.iter().rev().map(|it| it.revision).collect();
        if !revisions.is_empty() {
            return Err(Error::OnTrial { place: place.to_owned(), revisions });
        }
    }
    Ok(newest.count())
}

/// PostgreSQL lets two processes create the same table at once, and one of them fails.
async fn lock_schema(transaction: &DatabaseTransaction) -> Result<()> {
    if transaction.get_database_backend() == DbBackend::Postgres {
        transaction.execute_unprepared("SELECT pg_advisory_xact_lock(7387402911)").await?;
    }
    Ok(())
}

/// Refuses a database in a folder that is not there: a mistyped path makes no folders.
///
/// # Errors
///
/// [`Error::NoFolder`].
pub fn refuse_missing_folder(location: &Location) -> Result<()> {
    let Location::Sqlite(path) = location else { return Ok(()) };
    match path.parent().filter(|it| !it.as_os_str().is_empty()) {
        Some(folder) if !folder.is_dir() => Err(Error::NoFolder { path: folder.to_owned() }),
        _ => Ok(()),
    }
}
