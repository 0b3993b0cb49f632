//! Plans are looked up among the revisions that came after them: the index of all of them cost
//! each revision a page of its own.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        schema.drop_index(Index::drop().name("revision_plan").table("revision").to_owned()).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let by_plan =
            Index::create().name("revision_plan").table("revision").col("plan_hash").take();
        schema.create_index(by_plan).await
    }
}
