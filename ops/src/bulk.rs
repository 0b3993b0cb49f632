//! Many rows at once, where a row at a time costs more than the work.
//!
//! For single rows there are the entities.

use std::fmt::Write as _;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value};
use serde::de::DeserializeOwned;

use crate::Result;

/// How many rows one statement writes: every full one is the same statement, prepared once.
const CHUNK_ROWS: usize = 500;

/// Inserts `rows` into the `columns` of `table`; `on_conflict` ends the statement.
///
/// # Errors
///
/// [`crate::Error::Database`].
pub(crate) async fn insert<const N: usize>(
    db: &impl ConnectionTrait,
    table: &str,
    columns: [&str; N],
    on_conflict: &str,
    rows: impl IntoIterator<Item = [Value; N]>,
) -> Result<()> {
    let backend = db.get_database_backend();
    let mut rows = rows.into_iter();
    let mut next = || {
        let mut values = Vec::with_capacity(N * CHUNK_ROWS.min(rows.size_hint().0.max(1)));
        values.extend(rows.by_ref().take(CHUNK_ROWS).flatten());
        values
    };
    let mut sql = (0, String::new());
    let mut values = next();
    while !values.is_empty() {
        // Fewer than a full chunk go as powers of two: of these there are few statements, too.
        let count = match values.len() / N {
            CHUNK_ROWS => CHUNK_ROWS,
            count => 1 << count.ilog2(),
        };
        if sql.0 != count {
            sql = (count, insert_sql(backend, table, columns, on_conflict, count));
        }
        let rest = values.split_off(count * N);
        // The next rows are made ready while the database is busy with these.
        let written = Statement::from_sql_and_values(backend, &sql.1, values);
        let (written, ready) = tokio::join!(db.execute_raw(written), async {
            if rest.is_empty() { next() } else { rest }
        });
        written?;
        values = ready;
    }
    Ok(())
}

fn insert_sql<const N: usize>(
    backend: DbBackend,
    table: &str,
    columns: [&str; N],
    on_conflict: &str,
    rows: usize,
) -> String {
    let columns = columns.map(|it| format!("\"{it}\"")).join(", ");
    let mut sql = format!("INSERT INTO {table} ({columns}) VALUES ");
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 1..=N {
            let comma = if column == 1 { "" } else { ", " };
            match backend {
                DbBackend::Postgres => write!(sql, "{comma}${}", row * N + column),
                // SQLite takes `$1` for a name, which it looks up among all others.
                _ => write!(sql, "{comma}?"),
            }
            .expect("a string takes every text");
        }
        sql.push(')');
    }
    sql.push(' ');
    sql.push_str(on_conflict);
    sql
}

/// Reads every row of `table` that `condition` finds, a tuple of its `columns` each.
///
/// The database hands over one JSON text: a row at a time, handing over takes ten times as
/// long as finding.
///
/// # Errors
///
/// [`crate::Error::Database`].
pub(crate) async fn select<T: DeserializeOwned>(
    db: &impl ConnectionTrait,
    columns: &[&str],
    table: &str,
    condition: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<T>> {
    let columns = columns.iter().map(|it| format!("\"{it}\"")).collect::<Vec<_>>().join(", ");
    let packed = match db.get_database_backend() {
        DbBackend::Postgres => {
            format!("coalesce(json_agg(json_build_array({columns})), '[]')::text")
        }
        _ => format!("json_group_array(json_array({columns}))"),
    };
    let sql = format!("SELECT {packed} FROM {table} WHERE {condition}");
    let ask = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let row = db.query_one_raw(ask).await?;
    let text: String = match row {
        Some(row) => row.try_get_by_index(0)?,
        None => return Ok(Vec::new()),
    };
    let rows = serde_json::from_str(&text);
    Ok(rows.map_err(|error| DbErr::Type(format!("rows of {table} are not as expected: {error}")))?)
}

/// The texts of a JSON list, which is the value at `place`, as a query of its own.
pub(crate) fn listed(backend: DbBackend, place: &str) -> String {
    match backend {
        DbBackend::Postgres => format!("SELECT json_array_elements_text({place}::json)"),
        _ => format!("SELECT value FROM json_each({place})"),
    }
}
