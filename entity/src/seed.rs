use sea_orm::entity::prelude::*;

/// The value of a key as a source gave it when it was last imported: the base of the merge.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "seed")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub namespace: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub layer: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    pub value: String,
    pub value_type: String,
    pub format: Option<String>,
    /// Path of the source, as in [`super::source`].
    pub source: String,
    pub line: i64,
    pub column: i64,
    /// The key as the file has it, where a mapping makes another of it.
    pub raw_key: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
