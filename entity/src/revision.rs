use sea_orm::entity::prelude::*;

/// A plan that has been applied, or an edit made in SQL.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "revision")]
pub struct Model {
    /// 1, 2, 3 and so on, without gaps, in commit order.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub at: String,
    pub actor: String,
    /// `cli`, `api`, `panel`, `job` or `sql`.
    pub channel: String,
    pub kind: String,
    pub reason: Option<String>,
    pub plan_hash: Option<String>,
    /// Null until the next writer seals an edit made in SQL.
    pub previous_hash: Option<String>,
    pub hash: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
