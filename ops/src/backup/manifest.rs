//! What an archive says of itself: the first thing in it, so that listing reads little.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::encryption::Recipient;

/// The version of the format of archives, and of those that are encrypted, which older versions
/// cannot read. Nothing newer is read.
pub(super) const FORMAT: u32 = 1;
pub(super) const ENCRYPTED: u32 = 2;

/// How much room there is for a manifest in its archive. The rest of it is spaces.
pub(super) const SLOT_BYTES: usize = 16 * 1024;

/// How long a note may be.
pub(super) const NOTE_CHARACTERS: usize = 1000;

pub(super) const MANIFEST: &str = "manifest.json";
/// Its hash, as `sha256sum` writes it: the last thing in an archive.
pub(super) const MANIFEST_SUM: &str = "manifest.json.sha256";
/// Every table, a line a row.
pub(super) const CONTENT: &str = "content.jsonl.zst";
/// The file of an SQLite database.
pub(super) const IMAGE: &str = "database.sqlite.zst";

/// What the names of members end in that are encrypted.
const SEALED: &str = ".age";

/// What a backup holds, and whose it is. This is never encrypted, so that backups can be listed
/// and removed without a key. It holds no values; but whoever reads it learns what it says, and
/// whoever can guess the whole of a member can tell by its hash that the guess is right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Of the archive's format.
    pub format: u32,
    /// Of the Setpoint that made it.
    pub version: String,
    pub kind: Kind,
    pub created_at: String,
    pub created_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether it is not to be removed.
    pub pinned: bool,
    pub engine: Engine,
    /// The steps of the schema.
    pub steps: Vec<String>,
    /// None if anybody can read the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encrypted>,
    /// The moment that it holds: the newest revision, and the history it belongs to.
    pub epoch: String,
    pub revision: i64,
    /// The hash of the newest sealed revision.
    pub head_hash: String,
    /// How many rows there are of each table.
    pub counts: BTreeMap<String, u64>,
    pub members: Vec<Member>,
}

/// To whom a backup is encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encrypted {
    /// Any one of them can read it.
    pub recipients: Vec<Recipient>,
}

/// A file in an archive: its name there; its size and hash as it is when it is unpacked, and
/// decrypted before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    pub name: String,
    pub size_bytes: u64,
    pub sha256: String,
}

/// Why a backup was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Manual,
    Job,
    /// Before a restore: the way back.
    PreRestore,
    /// Before the steps of a newer schema.
    PreMigration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    Sqlite,
    Postgres,
}

impl Manifest {
    /// As it stands in its archive; none if there is no room for it.
    pub(super) fn slot(&self) -> Option<Vec<u8>> {
        let mut text =
            serde_json::to_vec_pretty(self).expect("a manifest is texts and numbers, which can be");
        text.push(b'\n');
        (text.len() <= SLOT_BYTES).then(|| {
            text.resize(SLOT_BYTES, b' ');
            text
        })
    }

    /// What the archive says of the member that is called `name` where nothing is encrypted.
    pub(super) fn member(&self, name: &str) -> Option<&Member> {
        let name = member_name(name, self.encryption.is_some());
        self.members.iter().find(|it| it.name == name)
    }

    /// The members that have to be in the archive, in order.
    pub(super) fn wanted(&self) -> Vec<String> {
        let wanted: &[&str] = match self.engine {
            Engine::Sqlite => &[CONTENT, IMAGE],
            Engine::Postgres => &[CONTENT],
        };
        wanted.iter().map(|it| member_name(it, self.encryption.is_some())).collect()
    }
}

/// The name in an archive of the member `name`.
pub(super) fn member_name(name: &str, is_encrypted: bool) -> String {
    let end = if is_encrypted { SEALED } else { "" };
    format!("{name}{end}")
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Job => "job",
            Self::PreRestore => "pre-restore",
            Self::PreMigration => "pre-migration",
        }
    }
}

impl Engine {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}
