//! What waits to be confirmed, and which clients will not run with it.

use sea_orm_migration::prelude::*;

use crate::column::{clustered, name, number, text};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let mut unconfirmed = Table::create();
        let state = Expr::col("state").is_in(["waiting", "confirmed", "undone"]);
        unconfirmed
            .table("unconfirmed")
            .col(name(schema, "epoch"))
            .col(number("revision"))
            .col(name(schema, "until"))
            .col(text("asked_by"))
            .col(number("reject_limit").check(Expr::col("reject_limit").gte(0)))
            .col(text("state").check(state))
            .col(ColumnDef::new("settled_at").text())
            .col(ColumnDef::new("settled_by").text())
            .col(ColumnDef::new("undone_as").big_integer())
            .primary_key(Index::create().col("epoch").col("revision").primary());
        schema.create_table(clustered(schema, &mut unconfirmed).take()).await?;

        let mut rejection = Table::create();
        rejection
            .table("rejection")
            .col(name(schema, "epoch"))
            .col(number("revision"))
            .col(name(schema, "client"))
            .col(text("at"))
            .primary_key(Index::create().col("epoch").col("revision").col("client").primary());
        schema.create_table(clustered(schema, &mut rejection).take()).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        for table in ["rejection", "unconfirmed"] {
            schema.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
