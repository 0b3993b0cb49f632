//! What is left of revisions that retention has removed: one row for each range of them, which
//! the chain of hashes goes on over.

use sea_orm_migration::prelude::*;

use crate::column::{number, text};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let in_order = Expr::cust("first <= last AND last <= horizon AND horizon < revision");
        let pruned = Table::create()
            .table("pruned")
            .col(number("first").primary_key())
            .col(number("last"))
            .col(text("previous_hash"))
            .col(text("hash"))
            .col(number("changes"))
            .col(number("horizon"))
            .col(number("revision"))
            .check(("pruned_is_in_order", in_order))
            .take();
        schema.create_table(pruned).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        schema.drop_table(Table::drop().table("pruned").to_owned()).await
    }
}
