use sea_orm::entity::prelude::*;

/// A file that was imported, as it was then.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "source")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub namespace: String,
    /// Relative to the folder of the configuration where it lies below it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub path: String,
    pub layer: String,
    pub format: String,
    /// Hash of the bytes.
    pub raw_hash: String,
    /// Hash of the meaning: key order, comments and line endings do not count.
    pub tree_hash: String,
    /// Hash of how the source was declared: what it was read into.
    pub declaration_hash: String,
    /// How many different meanings of this file have been imported.
    pub version: i64,
    /// Conflicts that the last import left open.
    pub open_conflicts: i64,
    pub imported_at: String,
    pub imported_by: String,
    pub revision: i64,
    /// How it was read, as JSON; null if as its name tells.
    pub interpretation: Option<String>,
    /// The bytes, the values of secrets masked.
    pub original: Vec<u8>,
    /// Hash of `original`, where it is not `raw_hash` because something is masked.
    pub original_hash: Option<String>,
    /// The keys that are left out because they hold secrets, as JSON.
    pub secrets: Option<String>,
    /// The tree hash of a version that somebody chose not to take.
    pub skipped_hash: Option<String>,
    pub skipped_at: Option<String>,
    pub skipped_by: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
