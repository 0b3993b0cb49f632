//! Many rows at once, where a row at a time costs more than the work.
//!
//! For single rows there are the entities.

use std::fmt::Write as _;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value};
use serde::de::DeserializeOwned;

use crate::Result;

/// How many rows one statement writes: every full one is the same statement, prepared once.
const CHUNK_ROWS: usize = 500;

/// How many rows a [`Script`] takes to itself. With more of them the way there is what counts least.
const SCRIPT_ROWS: usize = 256;

/// Statements that are carried out one after the other, and are sent to the database together where
/// it can take them so: SQLite has a thread of its own, and is woken once.
pub(crate) struct Script<'a, C> {
    db: &'a C,
    statements: Vec<(String, Vec<Value>)>,
}

impl<'a, C: ConnectionTrait> Script<'a, C> {
    pub(crate) fn on(db: &'a C) -> Self {
        Self { db, statements: Vec::new() }
    }

    /// Adds a statement, whose values on SQLite are each a `?`.
    pub(crate) fn push(&mut self, statement: Statement) {
        let values = statement.values.map_or_else(Vec::new, |it| it.0);
        self.statements.push((statement.sql, values));
    }

    /// Adds the insertion of `rows` into the `columns` of `table`; many are inserted at once.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Database`].
    pub(crate) async fn insert<const N: usize>(
        &mut self,
        table: &str,
        columns: [&str; N],
        rows: impl ExactSizeIterator<Item = [Value; N]>,
    ) -> Result<()> {
        if rows.len() > SCRIPT_ROWS {
            self.run().await?;
            return insert(self.db, table, columns, "", rows).await;
        }
        let mut values: Vec<Value> = rows.flatten().collect();
        while !values.is_empty() {
            let count = at_once(values.len() / N);
            let rest = values.split_off(count * N);
            let sql = insert_sql(self.db.get_database_backend(), table, columns, "", count);
            self.statements.push((sql, values));
            values = rest;
        }
        Ok(())
    }

    /// Carries out what was added.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Database`].
    #[tracing::instrument(level = "debug", skip_all)]
    pub(crate) async fn run(&mut self) -> Result<()> {
        let mut statements = std::mem::take(&mut self.statements);
        let backend = self.db.get_database_backend();
        if backend == DbBackend::Sqlite && !statements.is_empty() {
            let (texts, values): (Vec<_>, Vec<_>) = statements.into_iter().unzip();
            statements = vec![(texts.join(";\n"), values.concat())];
        }
        for (sql, values) in statements {
            self.db.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
        }
        Ok(())
    }
}

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
        let count = at_once(values.len() / N);
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

/// How many of `rows` one statement writes. Fewer than a full chunk go as powers of two: of these
/// there are few statements, too.
fn at_once(rows: usize) -> usize {
    match rows {
        CHUNK_ROWS => CHUNK_ROWS,
        rows => 1 << rows.ilog2(),
    }
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
