use sea_orm::entity::prelude::*;

/// What a run of a job found out of line.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "drift_report")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub job: String,
    /// That of the run.
    #[sea_orm(primary_key, auto_increment = false)]
    pub scheduled_for: String,
    pub created_at: String,
    pub epoch: String,
    pub revision: i64,
    /// Whether everybody who was to be told of what is new in it was told.
    pub told: bool,
    /// JSON, without the values of secrets.
    pub report: String,
}

impl ActiveModelBehavior for ActiveModel {}
