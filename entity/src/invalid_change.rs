use sea_orm::entity::prelude::*;

/// A change made in SQL that the service keeps out of what it serves.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invalid_change")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub namespace: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub layer: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// What is wrong with it, without the value.
    pub reason: String,
    pub at: String,
}

impl ActiveModelBehavior for ActiveModel {}
