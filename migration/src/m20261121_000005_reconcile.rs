//! What keeping files and database reconciled has to remember: the names that keys have in
//! their files, versions that are skipped, drift that is ignored, and how far files that follow
//! the database have come.

use sea_orm_migration::prelude::*;

use crate::column::{name, number, text};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// Columns of tables that earlier steps made. All may be null: rows from before have none.
const COLUMNS: [(&str, &str); 9] = [
    ("seed", "raw_key"),
    ("source", "interpretation"),
    ("source", "original_hash"),
    ("source", "secrets"),
    ("source", "skipped_hash"),
    ("source", "skipped_at"),
    ("source", "skipped_by"),
    ("resolution", "value"),
    ("resolution", "format"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in COLUMNS {
            let alter =
                Table::alter().table(table).add_column(ColumnDef::new(column).text()).take();
            schema.alter_table(alter).await?;
        }

        let ignored = Table::create()
            .table("ignored_drift")
            .col(name(schema, "namespace"))
            .col(name(schema, "layer"))
            .col(name(schema, "key"))
            .col(text("hash"))
            .col(text("author"))
            .col(ColumnDef::new("reason").text())
            .col(text("created_at"))
            .col(ColumnDef::new("expires_at").text())
            .primary_key(Index::create().col("namespace").col("layer").col("key").primary())
            .take();
        schema.create_table(ignored).await?;

        let outbox = Table::create()
            .table("outbox")
            .col(name(schema, "namespace"))
            .col(name(schema, "path"))
            .col(number("revision"))
            .col(number("attempts"))
            .col(ColumnDef::new("failed_at").text())
            .col(ColumnDef::new("failure").text())
            .primary_key(Index::create().col("namespace").col("path").primary())
            .take();
        schema.create_table(outbox).await?;

        let removed = Table::create()
            .table("removed_key")
            .col(name(schema, "namespace"))
            .col(name(schema, "layer"))
            .col(name(schema, "key"))
            .col(text("source"))
            .primary_key(Index::create().col("namespace").col("layer").col("key").primary())
            .take();
        schema.create_table(removed).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        for table in ["removed_key", "outbox", "ignored_drift"] {
            schema.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        for (table, column) in COLUMNS.into_iter().rev() {
            let alter = Table::alter().table(table).drop_column(column).take();
            schema.alter_table(alter).await?;
        }
        Ok(())
    }
}
