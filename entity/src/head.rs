use sea_orm::entity::prelude::*;

/// The one row that every writer locks.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "head")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// Names this history of revisions; a restored backup starts another.
    pub epoch: String,
    /// The newest revision.
    pub revision: i64,
    /// The hash of the newest sealed revision.
    pub hash: String,
    /// Set inside a transaction that applies a plan: the triggers stay silent.
    pub applying: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
