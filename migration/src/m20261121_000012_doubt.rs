//! Since when a backup is not known to be whole any more: it is given up some time after that, not
//! some time after it was taken.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let doubted = ColumnDef::new("doubted_at").text().take();
        schema.alter_table(Table::alter().table("backup").add_column(doubted).to_owned()).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        schema
            .alter_table(Table::alter().table("backup").drop_column("doubted_at").to_owned())
            .await
    }
}
