//! What the service needs: tokens, what it keeps out of raw SQL, and on PostgreSQL a word to
//! everybody who listens when something has changed.
//!
//! The changes after a revision are read in order by the index `change_revision`, which is there.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::column::{clustered, name, number, text};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// `epoch revision` when the head has moved, `tokens` when a token is another. PostgreSQL sends
/// it once the transaction is committed, and says the same only once for each transaction.
const TELL: &str = "
CREATE FUNCTION setpoint_tell_head() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_notify('setpoint', NEW.epoch || ' ' || NEW.revision);
    RETURN NULL;
END $$;

CREATE TRIGGER head_moved AFTER UPDATE OF epoch, revision ON head FOR EACH ROW
    WHEN ((OLD.epoch, OLD.revision) IS DISTINCT FROM (NEW.epoch, NEW.revision))
    EXECUTE FUNCTION setpoint_tell_head();

CREATE FUNCTION setpoint_tell_tokens() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_notify('setpoint', 'tokens');
    RETURN NULL;
END $$;

CREATE TRIGGER token_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON token
    FOR EACH STATEMENT EXECUTE FUNCTION setpoint_tell_tokens();
";

const TELL_NO_MORE: &str = "
DROP TRIGGER token_changed ON token;
DROP TRIGGER head_moved ON head;
DROP FUNCTION setpoint_tell_tokens();
DROP FUNCTION setpoint_tell_head();
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let is_postgres = schema.get_database_backend() == DbBackend::Postgres;
        let role = Expr::col("role").is_in(["viewer", "editor", "admin"]);
        let list = match is_postgres {
            true => "json_typeof(namespaces::json) = 'array'",
            false => "json_type(namespaces) = 'array'",
        };
        let token = Table::create()
            .table("token")
            .col(name(schema, "name").primary_key())
            .col(name(schema, "hash").unique_key())
            .col(text("role").check(role))
            .col(ColumnDef::new("namespaces").text().check(Expr::cust(list)))
            .col(text("created_at"))
            .col(text("created_by"))
            .col(ColumnDef::new("expires_at").text())
            .col(ColumnDef::new("revoked_at").text())
            .col(ColumnDef::new("revoked_by").text())
            .take();
        schema.create_table(token).await?;

        let mut invalid = Table::create();
        invalid
            .table("invalid_change")
            .col(number("revision"))
            .col(name(schema, "namespace"))
            .col(name(schema, "layer"))
            .col(name(schema, "key"))
            .col(text("reason"))
            .col(text("at"))
            .primary_key(
                Index::create().col("revision").col("namespace").col("layer").col("key").primary(),
            );
        schema.create_table(clustered(schema, &mut invalid).take()).await?;

        if is_postgres {
            schema.get_connection().execute_unprepared(TELL).await?;
        }
        Ok(())
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        if schema.get_database_backend() == DbBackend::Postgres {
            schema.get_connection().execute_unprepared(TELL_NO_MORE).await?;
        }
        for table in ["invalid_change", "token"] {
            schema.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
