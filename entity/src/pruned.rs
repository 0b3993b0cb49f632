use sea_orm::entity::prelude::*;

/// Revisions in a row that retention has removed.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pruned")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub first: i64,
    pub last: i64,
    /// The hash that the first chained to.
    pub previous_hash: String,
    /// The hash of the last, which the next revision chains to.
    pub hash: String,
    /// How many settings they changed, all together.
    pub changes: i64,
    /// From this revision on what was live can be told as before.
    pub horizon: i64,
    /// The revision of kind `retention` that removed them; its plan hash is of its rows here.
    pub revision: i64,
}

impl ActiveModelBehavior for ActiveModel {}
