use sea_orm::entity::prelude::*;

/// A job at one of its times.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job_run")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub job: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub scheduled_for: String,
    /// `cron` or `manual`.
    pub trigger: String,
    pub verb: String,
    /// `queued`, `running`, `succeeded`, `failed`, `skipped` or `abandoned`.
    pub state: String,
    /// How often it was begun.
    pub attempt: i64,
    /// Grows with each claim: whoever holds a smaller one has lost the run.
    pub token: i64,
    /// It is not begun before.
    pub not_before: String,
    /// Who has it, or had it last.
    pub instance: Option<String>,
    /// Until when it is theirs: on PostgreSQL by the clock of the database.
    pub lease_until: Option<String>,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    pub output: Option<String>,
    pub error: Option<String>,
    /// What else is to be said of it, such as runs before it that were left out.
    pub note: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
