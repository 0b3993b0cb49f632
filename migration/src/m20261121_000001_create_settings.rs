//! Live values, what the files gave when they were last imported, and the files.

use sea_orm_migration::prelude::*;

use crate::column::{clustered, name, number, text, type_of};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let value_type = type_of(schema.get_database_backend(), "value");
        let agrees = Expr::cust(format!("value_type = coalesce({value_type}, 'no value')"));
        let dated = "format IS NULL OR format IN ('date-time', 'date', 'time') \
                     AND value_type IN ('string', 'json')";
        let key = || Index::create().col("namespace").col("layer").col("key").primary().take();

        let mut setting = Table::create();
        setting
            .table("setting")
            .col(name(schema, "namespace"))
            .col(name(schema, "layer"))
            .col(name(schema, "key"))
            .col(text("value"))
            .col(text("value_type"))
            .col(ColumnDef::new("format").text())
            .col(number("revision").default(0))
            .col(text("created_at").default(""))
            .col(text("updated_at").default(""))
            .col(text("updated_by").default(""))
            .primary_key(&mut key())
            .check(("value_and_type_agree", agrees))
            .check(("format_is_known", Expr::cust(dated)));
        schema.create_table(clustered(schema, &mut setting).take()).await?;

        let mut seed = Table::create();
        seed.table("seed")
            .col(name(schema, "namespace"))
            .col(name(schema, "layer"))
            .col(name(schema, "key"))
            .col(text("value"))
            .col(text("value_type"))
            .col(ColumnDef::new("format").text())
            .col(text("source"))
            .col(number("line"))
            .col(number("column"))
            .primary_key(&mut key());
        schema.create_table(clustered(schema, &mut seed).take()).await?;

        let source = Table::create()
            .table("source")
            .col(name(schema, "namespace"))
            .col(name(schema, "path"))
            .col(text("layer"))
            .col(text("format"))
            .col(text("raw_hash"))
            .col(text("tree_hash"))
            .col(text("declaration_hash"))
            .col(number("version"))
            .col(number("open_conflicts"))
            .col(text("imported_at"))
            .col(text("imported_by"))
            .col(number("revision"))
            .col(ColumnDef::new("original").blob().not_null())
            .primary_key(Index::create().col("namespace").col("path").primary())
            .take();
        schema.create_table(source).await?;

        let resolution = Table::create()
            .table("resolution")
            .col(name(schema, "hash").primary_key())
            .col(text("namespace"))
            .col(text("layer"))
            .col(text("key"))
            .col(text("choice"))
            .col(number("revision"))
            .take();
        schema.create_table(resolution).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        for table in ["resolution", "source", "seed", "setting"] {
            schema.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
