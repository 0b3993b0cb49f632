//! Triggers that turn an edit made in sqlite3 or psql into a revision by `sql`.
//!
//! While Setpoint itself writes, `head.applying` is set and the triggers stay silent. SQLite
//! makes one revision a row, PostgreSQL one a statement. The hash is left to the next writer.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let script = match schema.get_database_backend() {
            DbBackend::Postgres => include_str!("watch_raw_sql/postgres_up.sql"),
            _ => include_str!("watch_raw_sql/sqlite_up.sql"),
        };
        schema.get_connection().execute_unprepared(script).await?;
        Ok(())
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let script = match schema.get_database_backend() {
            DbBackend::Postgres => include_str!("watch_raw_sql/postgres_down.sql"),
            _ => include_str!("watch_raw_sql/sqlite_down.sql"),
        };
        schema.get_connection().execute_unprepared(script).await?;
        Ok(())
    }
}
