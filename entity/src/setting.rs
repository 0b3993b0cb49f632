use sea_orm::entity::prelude::*;

/// One live value at a key in a layer.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "setting")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub namespace: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub layer: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    pub value: String,
    pub value_type: String,
    /// `date-time`, `date` or `time` where a file wrote the text as one.
    pub format: Option<String>,
    /// The revision that set this value.
    pub revision: i64,
    pub created_at: String,
    pub updated_at: String,
    pub updated_by: String,
}

impl ActiveModelBehavior for ActiveModel {}
