use sea_orm::entity::prelude::*;

/// A drift that somebody chose to leave alone until it changes.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ignored_drift")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub namespace: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub layer: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// Of what file, seed and database said then.
    pub hash: String,
    pub author: String,
    pub reason: Option<String>,
    pub created_at: String,
    /// From then on it is told again.
    pub expires_at: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
