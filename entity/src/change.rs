use sea_orm::entity::prelude::*;

/// One key's before and after inside a revision.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "change")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub namespace: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub layer: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i64,
    /// `add`, `update` or `delete`.
    pub action: String,
    pub before: Option<String>,
    pub before_format: Option<String>,
    pub after: Option<String>,
    pub after_format: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
