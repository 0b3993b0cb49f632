use std::fmt;
use std::io;
use std::path::PathBuf;

use miette::Diagnostic;
use sea_orm::DbErr;
use setpoint_importers::{EditError, ImportError, KeyError, MappingFault};
use thiserror::Error;

use crate::amount::counted;
use crate::backup::BackupError;

mod from_database;

use from_database::{SQLITE_IOERR_SHMSIZE, code_of, is_of_the_connection, words_of};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can happen to a user. Codes are public and never renamed.
#[derive(Debug, Error, Diagnostic)]
pub enum Error {
    #[error("there is no setting `{key}` in namespace `{namespace}`")]
    #[diagnostic(code(setting::unknown), help("{help}"))]
    UnknownKey { namespace: String, key: String, help: String },

    #[error("`{key}` is there already in layer `{layer}`")]
    #[diagnostic(
        code(setting::exists),
        help("nothing was changed; set it without asking that it is new to change it")
    )]
    Exists { layer: String, key: String },

    #[error("`{key}` is a secret, whose value is not stored")]
    #[diagnostic(
        code(secret::value),
        help(
            "nothing was changed; set a reference, env:NAME or file:PATH, or say that it is none: \
             [namespaces.NAME] public = [\"{key}\"] in setpoint.toml"
        )
    )]
    SecretValue { key: String },

    #[error("`{key}` is no key: {reason}")]
    #[diagnostic(
        code(setting::bad_key),
        help("a key is dotted segments such as http.port or hosts.\"a.b\".port")
    )]
    BadKey { key: String, reason: KeyError },

    #[error("`{value}` is no {wanted}, which `{key}` holds")]
    #[diagnostic(
        code(setting::wrong_type),
        help("give a value of that type, or change the type with --type")
    )]
    WrongType { key: String, value: String, wanted: String },

    #[error("this is no value for `{key}`: {}", reasons.join("; "))]
    #[diagnostic(
        code(setting::schema),
        help("nothing was changed; the schema of the namespace says what is valid")
    )]
    Schema { key: String, reasons: Vec<String> },

    #[error("a map cannot be the value of `{key}`")]
    #[diagnostic(
        code(setting::map),
        help("set the keys below it one by one, or give the map to `setpoint import`")
    )]
    MapValue { key: String },

    #[error("`{key}` and `{below}` cannot both be settings of layer `{layer}`: a layer is a tree")]
    #[diagnostic(
        code(setting::not_a_tree),
        help("unset one of them first; a reset with --purge removes keys that no file has")
    )]
    NotATree { layer: String, key: String, below: String },

    #[error("no source is of namespace `{namespace}`")]
    #[diagnostic(code(namespace::no_source), help("{help}"))]
    NoSource { namespace: String, help: String },

    #[error("namespace `{namespace}` has no layer `{layer}`")]
    #[diagnostic(
        code(layer::unknown),
        help("declare it in setpoint.toml: [namespaces.{namespace}] layers = [\"{layer}\"]")
    )]
    UnknownLayer { namespace: String, layer: String },

    #[error("there is no revision {id}; the newest is {newest}")]
    #[diagnostic(code(revision::unknown), help("`setpoint history` lists them"))]
    UnknownRevision { id: i64, newest: i64 },

    #[error("{what} was removed by retention on {at}")]
    #[diagnostic(
        code(history::pruned),
        help("a backup from before holds it: `setpoint backup list` has those that are left")
    )]
    Pruned { what: String, at: String },

    #[error("revision {id} restored a backup, whole: it has no changes that could be taken back")]
    #[diagnostic(
        code(revision::restored),
        help(
            "nothing was changed; what was there before is in a backup, pre-restore-…: \
             `setpoint backup list`"
        )
    )]
    RestoredWhole { id: i64 },

    #[error("this plan is stale: {reason}")]
    #[diagnostic(
        code(plan::stale),
        help("nothing was changed; plan again and look at what is different")
    )]
    Stale { reason: String },

    #[error("this is no plan that can be applied: {reason}")]
    #[diagnostic(
        code(plan::invalid),
        help("make one with `setpoint migrate --dry-run --out plan.json`")
    )]
    BadPlan { reason: String },

    #[error("{} in conflict, and --strategy is fail", counted(*count, "key"))]
    #[diagnostic(
        code(plan::conflicts),
        help(
            "nothing was changed; look at `setpoint migrate --dry-run`, then choose --strategy ours or theirs"
        )
    )]
    Conflicts { count: usize },

    #[error("`{key}` is not in conflict")]
    #[diagnostic(
        code(plan::no_conflict),
        help(
            "nothing was changed; `setpoint migrate --dry-run` lists the conflicts, `setpoint set \
             {key}` changes a key that has none"
        )
    )]
    NoConflict { key: String },

    #[error("`{key}` is in conflict in more than one layer or namespace")]
    #[diagnostic(
        code(plan::several_conflicts),
        help(
            "nothing was changed; settle them on a terminal, where each is asked about, or import \
             one source at a time"
        )
    )]
    SeveralConflicts { key: String },

    #[error(transparent)]
    #[diagnostic(transparent)]
    Import(#[from] ImportError),

    #[error("{} files were refused", errors.len())]
    #[diagnostic(
        code(import::refused),
        help("nothing was written; mend them and run the same command again")
    )]
    Refused {
        #[related]
        errors: Vec<Error>,
    },

    #[error("cannot read {}", path.display())]
    #[diagnostic(code(file::unreadable), help("{help}"))]
    Unreadable { path: PathBuf, help: String, source: io::Error },

    #[error("cannot write {}", path.display())]
    #[diagnostic(
        code(file::unwritable),
        help(
            "nothing was changed; check that the folder exists, is yours and that the disk has room"
        )
    )]
    Unwritable { path: PathBuf, source: io::Error },

    #[error("{} is read-only", path.display())]
    #[diagnostic(
        code(file::read_only),
        help("nothing of it was changed; make it writable and run the same command again")
    )]
    ReadOnly { path: PathBuf, source: io::Error },

    #[error("{} was edited while it was to be written", path.display())]
    #[diagnostic(
        code(file::edited_meanwhile),
        help("nothing of it was changed; look at `setpoint drift` and run the same command again")
    )]
    EditedMeanwhile { path: PathBuf },

    #[error("{path} was never imported")]
    #[diagnostic(
        code(source::never_imported),
        help("`setpoint migrate` imports it; a version can be skipped once another was taken")
    )]
    NeverImported { path: String },

    #[error("nothing can be searched that is so long: {reason}")]
    #[diagnostic(
        code(search::too_long),
        help("search for a few words; `setpoint get` takes a whole key of any length")
    )]
    BadQuery { reason: String },

    #[error("`{text}` is no time")]
    #[diagnostic(
        code(time::invalid),
        help(
            "give 12h, 30d or 8w, a day such as 2030-01-31, or a time such as 2030-01-31T12:00:00Z"
        )
    )]
    BadTime { text: String },

    #[error("`{text}` is no length of time")]
    #[diagnostic(code(time::no_length), help("give 90s, 10m, 2h or 1d; 365d at most"))]
    BadLength { text: String },

    #[error("only what waits to be confirmed can be rejected")]
    #[diagnostic(
        code(unconfirmed::limit_alone),
        help("nothing was changed; say how long it waits, too, as in 10m")
    )]
    LimitWithoutTrial,

    #[error("no revision waits to be confirmed")]
    #[diagnostic(
        code(unconfirmed::none),
        help("`setpoint history` says what became of those that did")
    )]
    NothingUnconfirmed,

    #[error("several revisions wait to be confirmed: {revisions}")]
    #[diagnostic(
        code(unconfirmed::several),
        help("nothing was confirmed; name one, `setpoint confirm --list` says more of them")
    )]
    SeveralUnconfirmed { revisions: String },

    #[error("revision {id} does not wait to be confirmed")]
    #[diagnostic(
        code(unconfirmed::not_waiting),
        help("it stays without that; `setpoint confirm --list` has those that wait")
    )]
    NotUnconfirmed { id: i64 },

    #[error("revision {id} was taken back by {by}, before it was confirmed")]
    #[diagnostic(
        code(unconfirmed::taken_back),
        help("nothing was confirmed; revert what took it back to have it again")
    )]
    TakenBack { id: i64, by: String },

    #[error("revision {id} was not confirmed in time: it waited until {until}")]
    #[diagnostic(
        code(unconfirmed::too_late),
        help("it is undone, or will be at once; `setpoint history` has what it changed")
    )]
    ConfirmedTooLate { id: i64, until: String },

    #[error("revision {id} was rejected by those who run with it")]
    #[diagnostic(
        code(unconfirmed::rejected),
        help("it is undone, or will be at once; `setpoint history` has what it changed")
    )]
    ConfirmedRejected { id: i64 },

    #[error("{path} holds a secret at `{key}`")]
    #[diagnostic(
        code(secret::in_file),
        help(
            "nothing was changed; `setpoint migrate --secrets-to .env` moves it out of the file first"
        )
    )]
    SecretInFile { path: String, key: String },

    #[error("{path} is declared otherwise than it was imported")]
    #[diagnostic(
        code(source::redeclared),
        help("nothing was changed; `setpoint migrate` brings its keys in line first")
    )]
    Redeclared { path: String },

    #[error("{at} is in the past")]
    #[diagnostic(code(drift::in_the_past), help("give a time to come, such as 30d or 2030-01-31"))]
    InThePast { at: String },

    #[error("`{name}` cannot be the name of a token")]
    #[diagnostic(
        code(token::bad_name),
        help("there is no new token; give 1 to 100 of A-Z a-z 0-9 . _ -, a letter or digit first")
    )]
    BadTokenName { name: String },

    #[error("`{name}` is what the history calls those who have no token")]
    #[diagnostic(code(token::taken), help("there is no new token; give it another name"))]
    TakenTokenName { name: String },

    #[error("this is a token, not the name of one")]
    #[diagnostic(
        code(token::not_a_name),
        help(
            "nothing was changed; `setpoint token list` has the names. What is typed in a command \
             can be seen by others: revoke that token"
        )
    )]
    TokenForName,

    #[error("a token cannot be for these namespaces: {namespaces}")]
    #[diagnostic(
        code(token::bad_namespaces),
        help(
            "there is no new token; give one or more names of A-Z a-z 0-9 _ - ., or none for all \
             namespaces"
        )
    )]
    BadNamespaces { namespaces: String },

    #[error("a token that expires at {at} would be of no use: that is in the past")]
    #[diagnostic(
        code(token::expiry),
        help("there is no new token; give a time to come, such as 90d or 2030-01-31")
    )]
    TokenExpiry { at: String },

    #[error("there is a token `{name}`, or was")]
    #[diagnostic(
        code(token::exists),
        help("there is no new token; choose another name: one is never used again")
    )]
    TokenExists { name: String },

    #[error("there is no token `{name}`")]
    #[diagnostic(
        code(token::no_such_name),
        help("nothing was changed; `setpoint token list` has the names")
    )]
    UnknownToken { name: String },

    #[error("token `{name}` was revoked at {at} by {by}")]
    #[diagnostic(
        code(token::revoked_before),
        help("nothing was changed; it is refused since then")
    )]
    RevokedBefore { name: String, at: String, by: String },

    #[error("the operating system gives no random numbers: {reason}")]
    #[diagnostic(
        code(token::no_randomness),
        help(
            "there is no new token; run the command again once the machine has finished starting"
        )
    )]
    NoRandomness { reason: String },

    #[error("there is no job `{job}`")]
    #[diagnostic(code(job::unknown), help("{help}"))]
    UnknownJob { job: String, help: String },

    #[error("job `{job}` is running since {since}, by {instance}")]
    #[diagnostic(
        code(job::running),
        help(
            "nothing was begun; wait for it: `setpoint jobs history {job}` tells when it is over"
        )
    )]
    JobRunning { job: String, since: String, instance: String },

    #[error("the run of job `{job}` was taken over by another instance")]
    #[diagnostic(
        code(job::lost),
        help("what this one did was not recorded; look at `setpoint jobs history {job}`")
    )]
    JobLost { job: String },

    #[error(transparent)]
    #[diagnostic(transparent)]
    Edit(#[from] EditError),

    #[error("`{key}` is not out of line in namespace `{namespace}`")]
    #[diagnostic(code(drift::none), help("nothing was changed; `setpoint drift` lists what is"))]
    NoDrift { namespace: String, key: String },

    #[error("{path} would not say what `{key}` is: {reason}")]
    #[diagnostic(
        code(adopt::not_the_same),
        help(
            "nothing was changed; declare how it is read, as in convert = {{ \"{key}\" = \"integer\" }}"
        )
    )]
    NotTheSame { path: String, key: String, reason: String },

    #[error("no file can take `{key}`")]
    #[diagnostic(code(adopt::no_file), help("nothing was changed; {help}"))]
    NoHome { key: String, help: String },

    #[error("two sources have the same key:{}", claims.iter().map(|it| format!("\n{it}")).collect::<String>())]
    #[diagnostic(
        code(source::claimed_twice),
        help(
            "nothing was changed; give one source another `prefix`, `layer` or `namespace` in \
             setpoint.toml; where keys moved from one file to another, migrate both together, or \
             take the old file away"
        )
    )]
    ClaimedTwice { claims: Vec<Claim> },

    #[error("the mapping of {path} does not fit it")]
    #[diagnostic(
        code(source::mapping),
        help("nothing was changed; mend the [[source]] of {path} in setpoint.toml")
    )]
    Mapping {
        path: String,
        #[related]
        faults: Vec<MappingFault>,
    },

    #[error(transparent)]
    #[diagnostic(transparent)]
    MappingFault(#[from] MappingFault),

    #[error("{fault}")]
    #[diagnostic(forward(fault))]
    Unmapped { key: String, fault: Box<MappingFault> },

    #[error("{path} is a link to {}, outside the folder of setpoint.toml", target.display())]
    #[diagnostic(
        code(source::outside),
        help("nothing was changed; if it is meant, declare the file that the link leads to")
    )]
    Outside { path: String, target: PathBuf },

    #[error("{what} cannot be written as {format}")]
    #[diagnostic(code(export::unwritable), help("{help}"))]
    NotInFormat { what: String, format: &'static str, help: String },

    #[error("there is no folder {}", path.display())]
    #[diagnostic(code(database::no_folder), help("make it first, or check --database"))]
    NoFolder { path: PathBuf },

    #[error(
        "retention has removed {} from {place}, and an older version cannot know it",
        counted(*removed, "revision")
    )]
    #[diagnostic(
        code(database::no_way_back),
        help(
            "nothing was changed; there is no way back over removed revisions: have the older version \
             restore a backup of before into a new database, such as the one that was taken before \
             the steps were run (`setpoint backup list`)"
        )
    )]
    NoWayBack { place: String, removed: i64 },

    #[error(
        "an older version would not undo what waits to be confirmed in {place}: {}",
        revisions.iter().map(|it| format!("revision {it}")).collect::<Vec<_>>().join(", ")
    )]
    #[diagnostic(
        code(database::on_trial),
        help("nothing was changed; confirm it or revert it first: `setpoint confirm --list`")
    )]
    OnTrial { place: String, revisions: Vec<i64> },

    #[error("there is no database at {place}")]
    #[diagnostic(
        code(database::missing),
        help("`setpoint migrate` or `setpoint database up` makes one; --database names another")
    )]
    NoDatabase { place: String },

    #[error("{place} has no Setpoint tables")]
    #[diagnostic(
        code(database::empty),
        help("`setpoint migrate` or `setpoint database up` makes them; --database names another")
    )]
    EmptyDatabase { place: String },

    #[error("{place} was made by a newer Setpoint: it has the step {step}")]
    #[diagnostic(
        code(database::newer),
        help("use that Setpoint, or restore a backup from before the update")
    )]
    NewerDatabase { place: String, step: String },

    #[error("{place} was made by an older Setpoint: it is {} behind", counted(*pending, "step"))]
    #[diagnostic(code(database::older), help("`setpoint database up` brings it up to date"))]
    OlderDatabase { place: String, pending: usize },

    #[error("{place} is locked by another process")]
    #[diagnostic(
        code(database::locked),
        help("nothing was changed; wait for it or stop it, then run the same command again")
    )]
    Locked { place: String },

    #[error("{place} is gone")]
    #[diagnostic(
        code(database::gone),
        help(
            "nothing was changed; move the very file back, or stop the service, put a copy or a \
             restored backup in its place, and start it again"
        )
    )]
    Gone { place: String },

    #[error("{place} does not answer")]
    #[diagnostic(
        code(database::unanswered),
        help(
            "whether the change was made is not known: read the setting, or send the same plan \
             again"
        )
    )]
    Unanswered { place: String },

    #[error("too many changes are waiting to be written")]
    #[diagnostic(code(service::busy), help("nothing was changed; try again in a second"))]
    Busy,

    #[error("cannot reach {place}: {}", words_of(cause))]
    #[diagnostic(
        code(database::unreachable),
        help(
            "check the address, that the server runs and that you may connect; nothing was changed"
        )
    )]
    Unreachable { place: String, cause: DbErr },

    #[error("the URL of the database, {place}, cannot be read: {reason}")]
    #[diagnostic(
        code(database::url),
        help(
            "nothing was changed; write postgres://USER:PASSWORD@HOST:5432/DATABASE, or \
             postgres:///DATABASE?host=/FOLDER&user=USER for a socket; in a password %40 is @, %2F is /"
        )
    )]
    BadUrl { place: String, reason: String },

    #[error("{place} is not there, and {left} is")]
    #[diagnostic(
        code(database::left_behind),
        help(
            "nothing was changed; a program may have the lost database open: stop every service, then \
             put the database back, or move {left} and its like away: they may hold its last changes"
        )
    )]
    LeftBehind { place: String, left: String },

    #[error("{place} is no database")]
    #[diagnostic(
        code(database::foreign),
        help("nothing was changed; it is not an SQLite file: name another with --database")
    )]
    NotADatabase { place: String },

    #[error("{place} is damaged or cannot be read")]
    #[diagnostic(
        code(database::damaged),
        help(
            "nothing was changed; check the disk. To restore a backup stop every service, and move the \
             file away first, with those beside it that end in -wal and -shm"
        )
    )]
    Damaged { place: String },

    #[error("revision {revision} was applied, but could not be read back")]
    #[diagnostic(
        code(verify::unreadable),
        help("look at `setpoint history` and run `setpoint verify`")
    )]
    NotReadBack { revision: i64, source: Box<Error> },

    #[error("{place} lies on a network file system ({kind})")]
    #[diagnostic(
        code(database::network),
        help("SQLite needs a local disk; use one, or PostgreSQL")
    )]
    NetworkFileSystem { place: String, kind: &'static str },

    #[error("SQLite {found} is older than 3.51.3, which mends a bug that damages databases")]
    #[diagnostic(code(database::old_sqlite), help("build Setpoint with the SQLite it brings"))]
    OldSqlite { found: String },

    #[error("the disk of {place} is full")]
    #[diagnostic(
        code(database::full),
        help("nothing was changed; make room and run the same command again")
    )]
    DiskFull { place: String },

    #[error("the disk of {place} failed")]
    #[diagnostic(
        code(database::disk),
        help(
            "nothing was changed as far as can be told; once the disk is well, look at \
             `setpoint history` and run the same command again"
        )
    )]
    DiskFailed { place: String },

    #[error("{place} cannot be opened or written")]
    #[diagnostic(
        code(database::not_writable),
        help("check that the file and its folder are yours to write")
    )]
    NotWritable { place: String },

    #[error("the settings in the database are not those that were imported: {difference}")]
    #[diagnostic(
        code(verify::differs),
        help("`setpoint verify` says more; `setpoint revert` undoes the import")
    )]
    NotVerified { difference: String },

    #[error("{what} has a NUL character, which no database keeps")]
    #[diagnostic(code(text::nul), help("nothing was changed; leave it out"))]
    NulCharacter { what: &'static str },

    #[error("it is not declared which backups stay")]
    #[diagnostic(
        code(retention::none),
        help(
            "nothing was removed; declare it in setpoint.toml, as in [backups.retention] \
             keep_daily = 7"
        )
    )]
    NoRetention,

    #[error(transparent)]
    #[diagnostic(transparent)]
    Backup(#[from] BackupError),

    #[error("the retention policy keeps nothing")]
    #[diagnostic(
        code(retention::keeps_nothing),
        help("nothing was removed; say what to keep: [backups.retention] keep_daily = 7")
    )]
    KeepsNothing,

    #[error("it is not declared which revisions stay")]
    #[diagnostic(
        code(retention::no_revisions),
        help(
            "nothing was removed; declare it in setpoint.toml, as in [revisions] \
             keep_within = \"2y\""
        )
    )]
    NoRevisionRetention,

    #[error("the retention policy keeps no revision")]
    #[diagnostic(
        code(retention::keeps_no_revision),
        help("nothing was removed; say what to keep: [revisions] keep_within = \"2y\"")
    )]
    KeepsNoRevision,

    #[error("the history is not what was written: {reason}")]
    #[diagnostic(
        code(retention::tampered),
        help(
            "no revision was removed: with them would go what shows it. See `setpoint \
             verify`, and restore a backup whose history is whole"
        )
    )]
    Tampered { reason: String },

    #[error("{reason}")]
    #[diagnostic(
        code(retention::invalid),
        help("nothing was removed; mend [backups.retention] or [revisions] in setpoint.toml")
    )]
    BadRetention { reason: String },

    #[error("the database failed: {}", words_of(_0))]
    #[diagnostic(code(database::failed), help("nothing was changed"))]
    Database(DbErr),
}

/// A key that two sources have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    pub namespace: String,
    pub key: String,
    pub first: String,
    pub second: String,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, key, first, second } = self;
        write!(f, "`{key}` of {namespace}: {first} and {second}")
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

impl Error {
    /// The same error with the name of the database, where SQLite's code tells what it is.
    pub fn at(self, place: &str) -> Self {
        let (Self::Database(error) | Self::Unreachable { cause: error, .. }) = &self else {
            return self;
        };
        let place = place.to_owned();
        match code_of(error).as_deref() {
            Some("5" | "6" | "55P03" | "40P01") => Self::Locked { place },
            Some("8" | "14") => Self::NotWritable { place },
            Some("13" | SQLITE_IOERR_SHMSIZE | "53100") => Self::DiskFull { place },
            Some("10" | "58030") => Self::DiskFailed { place },
            Some("11") => Self::Damaged { place },
            Some("26") => Self::NotADatabase { place },
            // PostgreSQL's two words for it, in a text and in JSON.
            Some("22021" | "22P05") => Self::NulCharacter { what: "a text" },
            _ => self,
        }
    }

    /// The same as an error of a commit: where the connection was lost over it, nobody knows
    /// whether it was made.
    pub(crate) fn of_commit(error: DbErr, place: &str) -> Self {
        // Classes 08 (connection) and 57 (the operator intervenes) of PostgreSQL.
        let is_lost = |code: String| code.len() == 5 && ["08", "57"].contains(&&code[..2]);
        match code_of(&error).is_none_or(is_lost) {
            true => Self::Unanswered { place: place.to_owned() },
            false => Self::from(error).at(place),
        }
    }

    /// Whether it is what was to be written that does not fit: of another type, or against a
    /// constraint.
    pub(crate) fn is_of_data(&self) -> bool {
        let Self::Database(error) = self else { return false };
        // SQLite's SQLITE_ERROR (of its JSON functions), SQLITE_CONSTRAINT, SQLITE_MISMATCH and
        // SQLITE_TOOBIG; classes 22 (data) and 23 (constraints) of PostgreSQL.
        code_of(error).is_some_and(|it| match it.len() {
            5 => it.starts_with("22") || it.starts_with("23"),
            _ => ["1", "18", "19", "20"].contains(&it.as_str()),
        })
    }

    /// Whether it is what was read that is at fault: no database, a damaged one, or one with other
    /// tables and rows than ours. Of a full disk, a lock or a lack of memory nothing follows for it.
    pub(crate) fn is_of_what_is_read(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::NotADatabase { .. } => true,
            Self::Database(error) if is_of_the_connection(error) => false,
            // Without a code it is a value of another type. SQLITE_ERROR is a table that is not
            // there, then come SQLITE_CORRUPT, TOOBIG, CONSTRAINT, MISMATCH, FORMAT and NOTADB.
            Self::Database(error) => code_of(error)
                .is_none_or(|it| ["1", "11", "18", "19", "20", "24", "26"].contains(&it.as_str())),
            _ => false,
        }
    }

    /// Whether it is the way to the database that failed, not what was asked of it.
    pub fn is_of_the_connection(&self) -> bool {
        matches!(self, Self::Database(error) if is_of_the_connection(error))
    }

    /// The same once more, for others who waited for the same thing.
    pub(crate) fn shared(&self) -> Self {
        let at = |place: &String| place.clone();
        match self {
            Self::Locked { place } => Self::Locked { place: at(place) },
            Self::DiskFull { place } => Self::DiskFull { place: at(place) },
            Self::DiskFailed { place } => Self::DiskFailed { place: at(place) },
            Self::NotWritable { place } => Self::NotWritable { place: at(place) },
            Self::Damaged { place } => Self::Damaged { place: at(place) },
            Self::Gone { place } => Self::Gone { place: at(place) },
            Self::Unanswered { place } => Self::Unanswered { place: at(place) },
            Self::Unreachable { place, cause } => {
                Self::Unreachable { place: at(place), cause: cause.clone() }
            }
            Self::NulCharacter { what } => Self::NulCharacter { what },
            Self::Database(error) => Self::Database(error.clone()),
            other => Self::Database(DbErr::Custom(other.in_a_line())),
        }
    }

    /// The error in one line: with its cause, or the first fault of a file.
    pub fn in_a_line(&self) -> String {
        if let Self::Import(error) = self
            && let Some((place, message)) = error.faults().into_iter().next()
        {
            return format!("{}:{}: {message}", place.line, place.column);
        }
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }

    /// What is wrong with a backup, if it says that one is damaged, and not only that it could not
    /// be looked at.
    pub fn damage(&self) -> Option<&str> {
        match self {
            Self::Backup(BackupError::Damaged { reason, .. }) => Some(reason),
            _ => None,
        }
    }

    /// Whether it says that there is no backup of some name: it may have been removed meanwhile.
    pub(crate) fn is_no_backup(&self) -> bool {
        matches!(self, Self::Backup(BackupError::Unknown { .. }))
    }

    pub(crate) fn unwritable(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Unwritable { path: path.into(), source }
    }
}
