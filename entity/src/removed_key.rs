use sea_orm::entity::prelude::*;

/// The file that a key was taken out of, to go back there if it comes back.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "removed_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub namespace: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub layer: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// Path of the source.
    pub source: String,
}

impl ActiveModelBehavior for ActiveModel {}
