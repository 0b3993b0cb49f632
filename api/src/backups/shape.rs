//! What backups look like to programs.

use std::collections::HashMap;

use poem_openapi::types::Example;
use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};
use setpoint_ops::backup::Counted;

use crate::body::given;
use crate::payload::Like;
use crate::plan_shape::PlanShape;

/// What is to be backed up, which is everything, and how it is called.
#[derive(Default, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, example)]
pub(super) struct NewBackup {
    /// Made of the time and the revision without this.
    #[serde(default, deserialize_with = "given")]
    #[oai(
        skip_serializing_if_is_none,
        validator(max_length = 100, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")
    )]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default, deserialize_with = "given")]
    #[oai(skip_serializing_if_is_none, validator(max_length = 1000))]
    pub note: Option<String>,
    /// Keep it whatever the retention says.
    #[serde(default)]
    #[oai(default)]
    pub pin: bool,
}

impl Example for NewBackup {
    fn example() -> Self {
        let (name, note) = ("before-the-move".to_owned(), "the last of the old desk".to_owned());
        Self { name: Some(name), note: Some(note), pin: true }
    }
}

/// What taking a backup would come to.
#[derive(Object)]
#[oai(rename = "ForeseenBackup")]
pub(super) struct ForeseenShape {
    /// What it would be called.
    name: String,
    /// The revision that it would hold.
    revision: i64,
    /// The room that it needs while it is made.
    needed_bytes: u64,
    /// The room that there is; null if that cannot be told.
    #[oai(nullable)]
    free_bytes: Option<u64>,
}

/// What removing a backup would come to.
#[derive(Serialize, Object)]
#[oai(rename = "RemovedBackup")]
pub(super) struct RemovedShape {
    pub name: String,
    /// False: it could be removed, and was not.
    pub removed: bool,
}

/// A backup. What it says of itself is missing where it cannot be read.
#[derive(Object)]
#[oai(rename = "Backup", skip_serializing_if_is_none)]
pub(super) struct BackupShape {
    name: String,
    /// Of the archive.
    size_bytes: u64,
    /// Of the archive, where it has just been read back.
    sha256: Option<String>,
    /// When it was last read back whole; null if that is not known, or it was found damaged since.
    #[oai(nullable, skip_serializing_if_is_none = false)]
    verified_at: Option<String>,
    /// Why it cannot be read.
    problem: Option<String>,
    /// The version of the archive's format.
    format: Option<u32>,
    /// Of the Setpoint that made it.
    version: Option<String>,
    kind: Option<BackupKind>,
    created_at: Option<String>,
    created_by: Option<String>,
    note: Option<String>,
    /// Whether the retention leaves it alone.
    pinned: Option<bool>,
    engine: Option<Engine>,
    /// The steps of the schema.
    steps: Option<Vec<String>>,
    /// To whom it is encrypted; missing if anybody can read it.
    encryption: Option<EncryptionShape>,
    /// The moment that it holds: its newest revision, and the history that is of.
    epoch: Option<String>,
    revision: Option<i64>,
    /// The hash of the newest sealed revision.
    head_hash: Option<String>,
    /// How many rows there are of each table.
    counts: Option<HashMap<String, u64>>,
    /// The files in the archive.
    members: Option<Vec<MemberShape>>,
    /// Whether its history was damaged when it was taken: then the retention takes no sound one for
    /// it. Missing if that is not known.
    history_damaged: Option<bool>,
    /// Whether the record of this database is of another archive by that name, in whose place
    /// somebody has put this one.
    replaced: Option<bool>,
    /// Whether the record of this database has it, if it has just been taken or read back: one of
    /// another's history it never has.
    recorded: Option<bool>,
    /// Where its history and its settings did not hold together when it was taken, if it has just
    /// been taken or read back; missing where the history is too long to be looked at when it is
    /// taken.
    problems: Option<Vec<String>>,
}

/// To whom a backup is encrypted.
#[derive(Object)]
#[oai(rename = "BackupEncryption")]
struct EncryptionShape {
    /// X25519 recipients of age: any one of them can read it.
    recipients: Vec<String>,
}

/// Why a backup was taken.
#[derive(Enum)]
#[oai(rename_all = "kebab-case")]
enum BackupKind {
    Manual,
    Job,
    /// Before a restore: the way back.
    PreRestore,
    /// Before the steps of a newer schema.
    PreMigration,
}

/// The database that a backup was taken of. It restores into any.
#[derive(Enum)]
#[oai(rename = "BackupEngine", rename_all = "lowercase")]
enum Engine {
    Sqlite,
    Postgres,
}

/// A file in an archive, as it is when it is unpacked.
#[derive(Object)]
#[oai(rename = "BackupMember")]
struct MemberShape {
    name: String,
    size_bytes: u64,
    sha256: String,
}

/// What of a backup is put back.
#[derive(Default, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, example)]
pub(super) struct RestoreWish {
    /// Not its end but this revision, or the newest at this time: `12h` ago, the end of a day such
    /// as `2030-01-31`, or a time.
    #[serde(default, deserialize_with = "given")]
    #[oai(skip_serializing_if_is_none)]
    pub at: Option<String>,
    /// Only the values of these keys, or patterns such as `http.*`; all that there is without this.
    #[serde(default, deserialize_with = "given")]
    #[oai(skip_serializing_if_is_none, validator(min_items = 1))]
    pub only: Option<Vec<String>>,
}

impl Example for RestoreWish {
    fn example() -> Self {
        Self { at: Some("12h".to_owned()), only: Some(vec!["http.*".to_owned()]) }
    }
}

/// What became of a restore.
#[derive(Object, Serialize)]
#[oai(rename = "Restored")]
pub(super) struct RestoredShape {
    pub backup: String,
    /// The revision that it goes back to.
    pub from_revision: i64,
    /// Whether there is nothing to do: what is live is that already.
    pub is_there: bool,
    /// What becomes of the settings.
    pub plan: Like<PlanShape>,
    /// What becomes of the rest; nothing with `only`.
    pub tables: Vec<TableShape>,
    /// Where its history and its settings did not hold together when it was taken.
    pub problems: Vec<String>,
    /// The history that began with it; missing if none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub epoch: Option<String>,
    /// The revision it is now; missing if nothing had to change, or with `dry_run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub revision: Option<i64>,
    /// The backup of what was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub safety_backup: Option<String>,
    /// The revision that it took the place of, if others wrote after the plan was made: then that
    /// is what the backup holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub replaced_revision: Option<i64>,
    /// The revisions that waited to be confirmed at that moment, and will do so again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub waiting: Option<Vec<i64>>,
}

/// How many rows a table has and will have.
#[derive(Object, Serialize)]
#[oai(rename = "RestoredTable")]
pub(super) struct TableShape {
    table: String,
    before: u64,
    after: u64,
}

pub(super) fn table(it: Counted) -> TableShape {
    TableShape { table: it.table.to_owned(), before: it.before, after: it.after }
}
