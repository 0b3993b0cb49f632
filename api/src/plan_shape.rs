//! What plans look like to programs: schemas alone. `ops` writes and reads them.

use poem_openapi::{Enum, Object};
use serde_json::Value;
use setpoint_client::types::{Format, ValueType};

/// Changes that have not happened yet.
#[derive(Object)]
#[oai(rename = "Plan")]
pub(crate) struct PlanShape {
    kind: PlanKind,
    /// Of everything else in here: two plans with the same hash do the same.
    hash: String,
    base: Base,
    actor: String,
    #[oai(skip_serializing_if_is_none)]
    reason: Option<String>,
    summary: Summary,
    /// The files it was computed from.
    #[oai(default)]
    sources: Vec<PlannedSource>,
    /// How conflicts are settled, to be remembered.
    #[oai(default)]
    resolutions: Vec<Resolution>,
    /// Keys that have another name now. They move first: the changes are those after it.
    #[oai(default)]
    moves: Vec<Move>,
    /// Secrets in the files: their values are in no plan.
    #[oai(default)]
    secrets: Vec<FoundSecret>,
    /// In order of namespace, layer and key.
    changes: Vec<ChangeShape>,
}

#[derive(Enum)]
#[oai(rename_all = "lowercase")]
enum PlanKind {
    Import,
    Edit,
    Preset,
    Revert,
    Reset,
    Adopt,
    Restore,
}

/// The moment that a plan was computed at.
#[derive(Object)]
#[oai(rename = "PlanBase")]
struct Base {
    /// Null while there is no history.
    #[oai(nullable)]
    epoch: Option<String>,
    revision: i64,
}

/// How many changes there are of each class.
#[derive(Object)]
pub(crate) struct Summary {
    add: u64,
    update: u64,
    delete: u64,
    keep: u64,
    converge: u64,
    conflict: u64,
}

#[derive(Enum)]
#[oai(rename_all = "kebab-case")]
enum SourceStatus {
    New,
    Changed,
    /// Other bytes that say the same.
    SameMeaning,
    Unchanged,
    /// It says what it said, and conflicts over it are open.
    Open,
    Skipped,
}

/// A file that a plan was computed from, with how it is read.
#[derive(Object)]
struct PlannedSource {
    namespace: String,
    layer: String,
    path: String,
    status: SourceStatus,
    raw_hash: String,
}

/// How a conflict is settled.
#[derive(Object)]
struct Resolution {
    hash: String,
    namespace: String,
    layer: String,
    key: String,
    /// `ours`, `theirs` or `value`.
    choice: String,
    value: Option<Value>,
}

/// A key that gets another name.
#[derive(Object)]
struct Move {
    namespace: String,
    layer: String,
    from: String,
    to: String,
}

/// A secret that a file holds.
#[derive(Object)]
pub(crate) struct FoundSecret {
    namespace: String,
    layer: String,
    key: String,
    origin: Origin,
    /// What the setting becomes instead, such as `env:NAME`; null if it is left out.
    #[oai(nullable)]
    reference: Option<String>,
    /// Whether the database has a value of it from before it was one.
    #[oai(default)]
    is_live: bool,
    /// Whether it is left out because it repeats the value of a secret.
    #[oai(default)]
    repeats: bool,
}

/// What becomes of a key; of those below it, too, where it is a conflict of a value with a map.
#[derive(Object)]
#[oai(rename = "PlannedChange")]
pub(crate) struct ChangeShape {
    namespace: String,
    layer: String,
    key: String,
    class: Class,
    /// The live value. Null where there is none, too; the type is there if there is one.
    before: Value,
    /// The value it gets; in a conflict the one it does not get.
    after: Value,
    /// In a conflict: what the file said when it was last imported.
    seed: Option<Value>,
    #[oai(nullable)]
    origin: Option<Origin>,
    #[oai(skip_serializing_if_is_none)]
    provenance: Option<Provenance>,
    #[oai(skip_serializing_if_is_none)]
    before_type: Option<ValueType>,
    #[oai(skip_serializing_if_is_none)]
    before_format: Option<Format>,
    #[oai(skip_serializing_if_is_none)]
    after_type: Option<ValueType>,
    #[oai(skip_serializing_if_is_none)]
    after_format: Option<Format>,
    #[oai(skip_serializing_if_is_none)]
    seed_type: Option<ValueType>,
    #[oai(skip_serializing_if_is_none)]
    seed_format: Option<Format>,
}

#[derive(Enum)]
#[oai(rename_all = "lowercase")]
enum Class {
    Add,
    Update,
    Delete,
    /// An edit that stays.
    Keep,
    /// Only the seed learns what is live already.
    Converge,
    /// Both moved; nothing happens until someone chooses.
    Conflict,
}

/// Where a value stands in a file, counted from 1.
#[derive(Object)]
pub(crate) struct Origin {
    file: String,
    line: u32,
    column: u32,
}

/// Where the sides of a conflict come from.
#[derive(Object)]
struct Provenance {
    #[oai(nullable)]
    seed: Option<Origin>,
    #[oai(nullable)]
    live: Option<Edited>,
}

/// The revision that set a value.
#[derive(Object)]
struct Edited {
    revision: i64,
    at: String,
    actor: String,
}
