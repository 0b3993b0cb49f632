//! The log that all news comes from: revisions, their changes, and the one row writers lock.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::column::{clustered, name, number, text};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let revision = Table::create()
            .table("revision")
            .col(number("id").primary_key())
            .col(text("at"))
            .col(text("actor"))
            .col(text("channel"))
            .col(text("kind"))
            .col(ColumnDef::new("reason").text())
            .col(ColumnDef::new("plan_hash").text())
            .col(ColumnDef::new("previous_hash").text())
            .col(ColumnDef::new("hash").text())
            .take();
        schema.create_table(revision).await?;
        let by_plan =
            Index::create().name("revision_plan").table("revision").col("plan_hash").take();
        schema.create_index(by_plan).await?;

        let mut change = Table::create();
        change
            .table("change")
            .col(number("revision"))
            .col(name(schema, "namespace"))
            .col(name(schema, "layer"))
            .col(name(schema, "key"))
            .col(text("action"))
            .col(ColumnDef::new("before").text())
            .col(ColumnDef::new("before_format").text())
            .col(ColumnDef::new("after").text())
            .col(ColumnDef::new("after_format").text())
            .primary_key(
                Index::create().col("namespace").col("layer").col("key").col("revision").primary(),
            )
            .foreign_key(ForeignKey::create().from("change", "revision").to("revision", "id"));
        schema.create_table(clustered(schema, &mut change).take()).await?;
        let by_revision =
            Index::create().name("change_revision").table("change").col("revision").take();
        schema.create_index(by_revision).await?;

        let head = Table::create()
            .table("head")
            .col(number("id").primary_key().check(Expr::col("id").eq(1)))
            .col(text("epoch"))
            .col(number("revision"))
            .col(text("hash"))
            .col(ColumnDef::new("applying").big_integer())
            .take();
        schema.create_table(head).await?;

        let epoch = match schema.get_database_backend() {
            DbBackend::Postgres => "replace(gen_random_uuid()::text, '-', '')",
            _ => "lower(hex(randomblob(16)))",
        };
        let no_hash = format!("sha256:{}", "0".repeat(64));
        let first = format!(
            "INSERT INTO head (id, epoch, revision, hash) SELECT 1, {epoch}, 0, '{no_hash}'"
        );
        schema.get_connection().execute_unprepared(&first).await?;
        Ok(())
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        for table in ["head", "change", "revision"] {
            schema.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
