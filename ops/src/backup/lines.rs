//! Tables as lines, a piece at a time, out of a database and into one.

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, Value};
use serde_json::Value as Json;

use super::tables::Shape;
use crate::{Error, Result, hash};

/// About how much is read at a time.
const PIECE_BYTES: u64 = 1 << 18;

/// How many rows are read at most.
const PIECE_ROWS: u64 = 4000;

/// The rows of one table, in order of its key.
pub(super) struct Lines<'a, C> {
    db: &'a C,
    shape: &'a Shape,
    /// The key of the last row that was read.
    after: Vec<Value>,
    /// How many rows are read next.
    rows: u64,
    is_done: bool,
}

/// Some lines, without a line break at the end.
pub(super) struct Piece {
    pub text: String,
    pub rows: u64,
}

impl<'a, C: ConnectionTrait> Lines<'a, C> {
    pub(super) fn of(db: &'a C, shape: &'a Shape) -> Self {
        // Of what may be large there is one at a time.
        Self { db, shape, after: Vec::new(), rows: 1, is_done: false }
    }

    /// The next lines; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Piece>> {
        if self.is_done {
            return Ok(None);
        }
        if let Some(at) = self.shape.bytes() {
            return self.next_with_bytes(at).await;
        }
        let backend = self.db.get_database_backend();
        let sql = self.shape.reading(backend, !self.after.is_empty());
        let Some(row) = self.ask(sql).await? else { return Ok(None) };
        let (count, text): (i64, Option<String>) =
            (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let rows = u64::try_from(count).unwrap_or_default();
        let Some(text) = text.filter(|_| rows > 0) else {
            self.is_done = true;
            return Ok(None);
        };
        self.is_done = rows < self.rows;
        if !self.is_done {
            self.after = self.key_of(text.rsplit('\n').next().unwrap_or_default())?;
        }
        let row_bytes = (text.len() as u64 / rows).max(1);
        self.rows = (PIECE_BYTES / row_bytes).clamp(1, PIECE_ROWS.min(self.rows * 8));
        Ok(Some(Piece { text, rows }))
    }

    /// One row. In SQL its bytes would be written as text several times over, and all of that would
    /// be in memory at once.
    async fn next_with_bytes(&mut self, at: usize) -> Result<Option<Piece>> {
        let backend = self.db.get_database_backend();
        let sql = self.shape.reading_bytes(backend, at, !self.after.is_empty());
        let Some(row) = self.ask(sql).await? else {
            self.is_done = true;
            return Ok(None);
        };
        let before: String = row.try_get_by_index(0)?;
        let after: String = row.try_get_by_index(2)?;
        self.after = self.key_of(&before)?;
        let bytes: Vec<u8> = row.try_get_by_index(1)?;
        drop(row);
        let mut text = String::with_capacity(before.len() + 2 * bytes.len() + after.len() + 4);
        text.push_str(before.strip_suffix(']').unwrap_or(&before));
        text.push_str(",\"");
        hash::push_hex(&mut text, &bytes);
        text.push_str("\",");
        text.push_str(after.strip_prefix('[').unwrap_or(&after));
        Ok(Some(Piece { text, rows: 1 }))
    }

    async fn ask(&self, sql: String) -> Result<Option<QueryResult>> {
        let limit = Value::from(i64::try_from(self.rows).unwrap_or(i64::MAX));
        let values = std::iter::once(limit).chain(self.after.iter().cloned());
        let backend = self.db.get_database_backend();
        let ask = Statement::from_sql_and_values(backend, sql, values);
        Ok(self.db.query_one_raw(ask).await?)
    }

    fn key_of(&self, line: &str) -> Result<Vec<Value>> {
        let cells: Vec<Json> = serde_json::from_str(line).map_err(|error| {
            let name = self.shape.table.name;
            DbErr::Type(format!("a row of {name} is not as expected: {error}"))
        })?;
        let value = |cell: Json| match cell {
            Json::String(text) => Value::from(text),
            other => Value::from(other.as_i64()),
        };
        Ok(cells.into_iter().take(self.shape.table.key).map(value).collect())
    }
}

/// Inserts the rows of `lines`, which are joined by line breaks.
///
/// # Errors
///
/// [`Error::Database`] if they are none of this table.
pub(super) async fn insert(db: &impl ConnectionTrait, shape: &Shape, lines: &str) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let backend = db.get_database_backend();
    // A line break is in no line, and JSON takes white space between items.
    let items = format!("[{}]", lines.replace('\n', ",\n"));
    let write = Statement::from_sql_and_values(backend, shape.writing(backend), [items.into()]);
    db.execute_raw(write).await?;
    Ok(())
}

/// How many rows a table has.
pub(super) async fn count(db: &impl ConnectionTrait, table: &str) -> Result<u64> {
    let sql = format!("SELECT count(*) FROM \"{table}\"");
    let ask = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(ask).await?;
    let row = row.ok_or_else(|| Error::from(DbErr::RecordNotFound("no count".to_owned())))?;
    let count: i64 = row.try_get_by_index(0)?;
    Ok(u64::try_from(count).unwrap_or_default())
}
