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
    /// `ours`, `theirs` or `value`.
    pub choice: String,
    pub revision: i64,
    /// The value that was chosen, if it is neither of the two.
    pub value: Option<String>,
    pub format: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
