//! What an archive says of itself: the first thing in it, so that listing reads little.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the format of archives that this program writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;

/// How much room there is for a manifest in its archive. The rest of it is spaces.
pub(super) const SLOT_BYTES: usize = 16 * 1024;

/// How long a note may be.
pub(super) const NOTE_BYTES: usize = 1000;

pub(super) const MANIFEST: &str = "manifest.json";
/// Its hash, as `sha256sum` writes it: the last thing in an archive.
pub(super) const MANIFEST_SUM: &str = "manifest.json.sha256";
/// Every table, a line a row.
pub(super) const CONTENT: &str = "content.jsonl.zst";
/// The file of an SQLite database.
pub(super) const IMAGE: &str = "database.sqlite.zst";

/// What a backup holds, and whose it is.
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
    /// The moment that it holds: the newest revision, and the history it belongs to.
    pub epoch: String,
    pub revision: i64,
    /// The hash of the newest sealed revision.
    pub head_hash: String,
    /// How many rows there are of each table.
    pub counts: BTreeMap<String, u64>,
    pub members: Vec<Member>,
}

/// A file in an archive, as it is when it is unpacked.
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

    pub(super) fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|it| it.name == name)
    }
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
