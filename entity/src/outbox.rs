use sea_orm::entity::prelude::*;

/// How far a file that follows the database has come.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub namespace: String,
    /// Of the source.
    #[sea_orm(primary_key, auto_increment = false)]
    pub path: String,
    /// The changes of every revision up to this one are in the file.
    pub revision: i64,
    /// How often the next ones could not be written.
    pub attempts: i64,
    pub failed_at: Option<String>,
    /// Why, the last time.
    pub failure: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
