use sea_orm::entity::prelude::*;

/// A job that a service has looked after, whether or not it is declared still.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// Its times and their zone, as they were declared when it was last considered.
    pub schedule: String,
    /// Every run that was due up to then has a row, or was left out on purpose.
    pub considered_until: String,
    pub paused_at: Option<String>,
    pub paused_by: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
