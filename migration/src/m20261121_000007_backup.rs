//! What is known of the backups that were taken of this database. The archives are the truth:
//! this says which of them were read back, and which are to stay.

use sea_orm_migration::prelude::*;

use crate::column::{name, number, text};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let backup = Table::create()
            .table("backup")
            .col(name(schema, "name").primary_key())
            .col(text("kind"))
            .col(ColumnDef::new("note").text())
            .col(text("created_at"))
            .col(text("created_by"))
            .col(ColumnDef::new("verified_at").text())
            .col(ColumnDef::new("pinned_at").text())
            .col(text("epoch"))
            .col(number("revision"))
            .col(text("head_hash"))
            .col(number("size_bytes"))
            .col(text("sha256"))
            .take();
        schema.create_table(backup).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        schema.drop_table(Table::drop().table("backup").to_owned()).await
    }
}
