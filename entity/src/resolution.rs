use sea_orm::entity::prelude::*;

/// How a conflict was settled, so that it is asked once.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "resolution")]
pub struct Model {
    /// Hash of the key and of (base, ours, theirs).
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: String,
    pub namespace: String,
    pub layer: String,
    pub key: String,
    /// `ours` or `theirs`.
    pub choice: String,
    pub revision: i64,
}

impl ActiveModelBehavior for ActiveModel {}
