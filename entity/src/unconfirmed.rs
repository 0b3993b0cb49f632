use sea_orm::entity::prelude::*;

/// A revision that is taken back unless somebody confirms it; it stays when that is settled.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "unconfirmed")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub epoch: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i64,
    /// From then on it is undone.
    pub until: String,
    pub asked_by: String,
    /// More clients than these may not reject it.
    pub reject_limit: i64,
    /// `waiting`, `confirmed` or `undone`.
    pub state: String,
    pub settled_at: Option<String>,
    pub settled_by: Option<String>,
    /// The revision that took it back, if there was something left of it.
    pub undone_as: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
