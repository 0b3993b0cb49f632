use sea_orm::entity::prelude::*;

/// A backup that was taken, as far as the database knows. The archive itself says more.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "backup")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// `manual`, `job`, `pre-restore` or `pre-migration`.
    pub kind: String,
    pub note: Option<String>,
    pub created_at: String,
    pub created_by: String,
    /// When it was last read back whole; none if it was found damaged since.
    pub verified_at: Option<String>,
    /// When it was first found damaged since then.
    pub doubted_at: Option<String>,
    /// Since then it is not to be removed.
    pub pinned_at: Option<String>,
    /// The moment that it holds.
    pub epoch: String,
    pub revision: i64,
    pub head_hash: String,
    /// Of the archive.
    pub size_bytes: i64,
    pub sha256: String,
}

impl ActiveModelBehavior for ActiveModel {}
