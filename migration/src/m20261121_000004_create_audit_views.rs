//! The change log for people with a SQL prompt.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

const UP: &str = "
CREATE VIEW settings_audit_log AS
SELECT r.id AS revision, r.at AS changed_at, c.namespace, c.layer, c.key, c.action,
       c.before AS old_value, c.after AS new_value, r.actor, r.channel, r.kind, r.reason
FROM change c JOIN revision r ON r.id = c.revision;

CREATE VIEW recent_config_changes AS
SELECT * FROM settings_audit_log ORDER BY revision DESC, namespace, layer, key LIMIT 100;
";

const DOWN: &str = "DROP VIEW recent_config_changes; DROP VIEW settings_audit_log;";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        schema.get_connection().execute_unprepared(UP).await?;
        Ok(())
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        schema.get_connection().execute_unprepared(DOWN).await?;
        Ok(())
    }
}
