//! What tables have in common.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// A text that is compared and sorted byte by byte, whatever the locale of the database.
pub(crate) fn name(schema: &SchemaManager, column: &'static str) -> ColumnDef {
    let mut definition = ColumnDef::new(column);
    match schema.get_database_backend() {
        DbBackend::Postgres => definition.custom("text COLLATE \"C\""),
        _ => definition.text(),
    };
    definition.not_null().take()
}

pub(crate) fn text(column: &'static str) -> ColumnDef {
    ColumnDef::new(column).text().not_null().take()
}

pub(crate) fn number(column: &'static str) -> ColumnDef {
    ColumnDef::new(column).big_integer().not_null().take()
}

/// Stores the rows in the primary key's tree, where a database can be told to.
pub(crate) fn clustered<'a>(
    schema: &SchemaManager,
    table: &'a mut TableCreateStatement,
) -> &'a mut TableCreateStatement {
    match schema.get_database_backend() {
        DbBackend::Sqlite => table.extra("WITHOUT ROWID"),
        _ => table,
    }
}

/// The type of the JSON text in `column`, as `value_type` names it; null where it has none.
///
/// A map is no value of a setting, unless it is empty, and a number beyond 64 bits is none. Released steps use this: it never
/// changes.
pub fn type_of(backend: DbBackend, column: &str) -> String {
    match backend {
        DbBackend::Postgres => format!(
            "CASE json_typeof({column}::json) WHEN 'string' THEN 'string' \
             WHEN 'boolean' THEN 'boolean' WHEN 'null' THEN 'json' WHEN 'array' THEN 'json' \
             WHEN 'number' THEN CASE \
             WHEN {column} ~ '[.eE]' THEN CASE WHEN {column}::float8 IS NOT NULL THEN 'float' END \
             WHEN {column}::numeric BETWEEN -9223372036854775808 AND 18446744073709551615 \
             THEN 'integer' END \
             WHEN 'object' THEN CASE WHEN {column} ~ '^\\s*{{\\s*}}\\s*$' THEN 'json' END END"
        ),
        _ => format!(
            "CASE json_type({column}) WHEN 'text' THEN 'string' WHEN 'true' THEN 'boolean' \
             WHEN 'false' THEN 'boolean' WHEN 'null' THEN 'json' WHEN 'array' THEN 'json' \
             WHEN 'integer' THEN CASE WHEN CAST({column} AS REAL) \
             BETWEEN -9223372036854775808.0 AND 18446744073709551615.0 THEN 'integer' END \
             WHEN 'real' THEN CASE WHEN abs(CAST({column} AS REAL)) <= 1.7976931348623157e308 \
             THEN 'float' END \
             WHEN 'object' THEN CASE WHEN json({column}) = '{{}}' THEN 'json' END END"
        ),
    }
}
