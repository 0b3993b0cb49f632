//! What jobs need: when each was last looked at and whether it is paused, every run of one, and
//! the reports of drift that they made.

use sea_orm_migration::prelude::*;

use crate::column::{name, number, text};

#[derive(DeriveMigrationName)]
pub struct Migration;

const STATES: [&str; 6] = ["queued", "running", "succeeded", "failed", "skipped", "abandoned"];

fn some_text(column: &'static str) -> ColumnDef {
    ColumnDef::new(column).text().take()
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let job = Table::create()
            .table("job")
            .col(name(schema, "name").primary_key())
            .col(text("schedule"))
            .col(text("considered_until"))
            .col(some_text("paused_at"))
            .col(some_text("paused_by"))
            .take();
        schema.create_table(job).await?;

        let run = Table::create()
            .table("job_run")
            .col(name(schema, "job"))
            .col(name(schema, "scheduled_for"))
            .col(text("trigger").check(Expr::col("trigger").is_in(["cron", "manual"])))
            .col(text("verb"))
            .col(text("state").check(Expr::col("state").is_in(STATES)))
            .col(number("attempt"))
            .col(number("token"))
            .col(text("not_before"))
            .col(some_text("instance"))
            .col(some_text("lease_until"))
            .col(some_text("started_at"))
            .col(some_text("finished_at"))
            .col(some_text("output"))
            .col(some_text("error"))
            .col(some_text("note"))
            .primary_key(Index::create().col("job").col("scheduled_for").primary())
            .take();
        schema.create_table(run).await?;
        let open = Index::create().name("job_run_state").table("job_run").col("state").take();
        schema.create_index(open).await?;

        let report = Table::create()
            .table("drift_report")
            .col(name(schema, "job"))
            .col(name(schema, "scheduled_for"))
            .col(name(schema, "created_at"))
            .col(text("epoch"))
            .col(number("revision"))
            .col(ColumnDef::new("told").boolean().not_null())
            .col(text("report"))
            .primary_key(Index::create().col("job").col("scheduled_for").primary())
            .take();
        schema.create_table(report).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        for table in ["drift_report", "job_run", "job"] {
            schema.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
