//! The tables that a backup holds, and their rows as lines: JSON arrays, the same to the byte on
//! both databases.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::Result;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Text,
    Number,
    /// Written as 0 or 1.
    Flag,
    /// Written in hexadecimal.
    Bytes,
}

use Holds::{Bytes, Flag, Number, Text};

/// What a restore does with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is what the backup says.
    Replaced,
    /// It stays as it is, unless it is empty: it is not about settings.
    Kept,
    /// It stays as it is, even if it is empty: it tells what was done here.
    Own,
    /// The restore says where the history stands.
    Head,
}

#[derive(Debug)]
pub(super) struct Table {
    pub name: &'static str,
    pub fate: Fate,
    /// How many of the columns, from the first on, are its primary key.
    pub key: usize,
    pub columns: &'static [(&'static str, Holds)],
}

/// Every table, those first that others point to. `head.applying` is never set between
/// transactions, so it is left out.
pub(super) const TABLES: [Table; 19] = [
    Table {
        name: "revision",
        fate: Fate::Replaced,
        key: 1,
        columns: &[
            ("id", Number),
            ("at", Text),
            ("actor", Text),
            ("channel", Text),
            ("kind", Text),
            ("reason", Text),
            ("plan_hash", Text),
            ("previous_hash", Text),
            ("hash", Text),
        ],
    },
    Table {
        name: "change",
        fate: Fate::Replaced,
        key: 4,
        columns: &[
            ("namespace", Text),
            ("layer", Text),
            ("key", Text),
            ("revision", Number),
            ("action", Text),
            ("before", Text),
            ("before_format", Text),
            ("after", Text),
            ("after_format", Text),
        ],
    },
    // Without it the chain would have gaps.
    Table {
        name: "pruned",
        fate: Fate::Replaced,
        key: 1,
        columns: &[
            ("first", Number),
            ("last", Number),
            ("previous_hash", Text),
            ("hash", Text),
            ("changes", Number),
            ("horizon", Number),
            ("revision", Number),
        ],
    },
    Table {
        name: "setting",
        fate: Fate::Replaced,
        key: 3,
        columns: &[
            ("namespace", Text),
            ("layer", Text),
            ("key", Text),
            ("value", Text),
            ("value_type", Text),
            ("format", Text),
            ("revision", Number),
            ("created_at", Text),
            ("updated_at", Text),
            ("updated_by", Text),
        ],
    },
    Table {
        name: "seed",
        fate: Fate::Replaced,
        key: 3,
        columns: &[
            ("namespace", Text),
            ("layer", Text),
            ("key", Text),
            ("value", Text),
            ("value_type", Text),
            ("format", Text),
            ("source", Text),
            ("line", Number),
            ("column", Number),
            ("raw_key", Text),
        ],
    },
    Table {
        name: "source",
        fate: Fate::Replaced,
        key: 2,
        columns: &[
            ("namespace", Text),
            ("path", Text),
            ("layer", Text),
            ("format", Text),
            ("raw_hash", Text),
            ("tree_hash", Text),
            ("declaration_hash", Text),
            ("version", Number),
            ("open_conflicts", Number),
            ("imported_at", Text),
            ("imported_by", Text),
            ("revision", Number),
            ("interpretation", Text),
            ("original", Bytes),
            ("original_hash", Text),
            ("secrets", Text),
            ("skipped_hash", Text),
            ("skipped_at", Text),
            ("skipped_by", Text),
        ],
    },
    Table {
        name: "removed_key",
        fate: Fate::Replaced,
        key: 3,
        columns: &[("namespace", Text), ("layer", Text), ("key", Text), ("source", Text)],
    },
    Table {
        name: "resolution",
        fate: Fate::Replaced,
        key: 1,
        columns: &[
            ("hash", Text),
            ("namespace", Text),
            ("layer", Text),
            ("key", Text),
            ("choice", Text),
            ("revision", Number),
            ("value", Text),
            ("format", Text),
        ],
    },
    Table {
        name: "ignored_drift",
        fate: Fate::Replaced,
        key: 3,
        columns: &[
            ("namespace", Text),
            ("layer", Text),
            ("key", Text),
            ("hash", Text),
            ("author", Text),
            ("reason", Text),
            ("created_at", Text),
            ("expires_at", Text),
        ],
    },
    // But for those of files that follow the database now: what these say is known, and stays so.
    Table {
        name: "outbox",
        fate: Fate::Replaced,
        key: 2,
        columns: &[
            ("namespace", Text),
            ("path", Text),
            ("revision", Number),
            ("attempts", Number),
            ("failed_at", Text),
            ("failure", Text),
        ],
    },
    Table {
        name: "invalid_change",
        fate: Fate::Replaced,
        key: 4,
        columns: &[
            ("revision", Number),
            ("namespace", Text),
            ("layer", Text),
            ("key", Text),
            ("reason", Text),
            ("at", Text),
        ],
    },
    // A token that was revoked since must not come back.
    Table {
        name: "token",
        fate: Fate::Kept,
        key: 1,
        columns: &[
            ("name", Text),
            ("hash", Text),
            ("role", Text),
            ("namespaces", Text),
            ("created_at", Text),
            ("created_by", Text),
            ("expires_at", Text),
            ("revoked_at", Text),
            ("revoked_by", Text),
        ],
    },
    // In another database it would tell that this one took them.
    Table {
        name: "backup",
        fate: Fate::Own,
        key: 1,
        columns: &[
            ("name", Text),
            ("kind", Text),
            ("note", Text),
            ("created_at", Text),
            ("created_by", Text),
            ("verified_at", Text),
            ("doubted_at", Text),
            ("pinned_at", Text),
            ("epoch", Text),
            ("revision", Number),
            ("head_hash", Text),
            ("size_bytes", Number),
            ("sha256", Text),
        ],
    },
    Table {
        name: "unconfirmed",
        fate: Fate::Replaced,
        key: 2,
        columns: &[
            ("epoch", Text),
            ("revision", Number),
            ("until", Text),
            ("asked_by", Text),
            ("reject_limit", Number),
            ("state", Text),
            ("settled_at", Text),
            ("settled_by", Text),
            ("undone_as", Number),
        ],
    },
    Table {
        name: "rejection",
        fate: Fate::Replaced,
        key: 3,
        columns: &[("epoch", Text), ("revision", Number), ("client", Text), ("at", Text)],
    },
    // What has run has run, whatever the settings were then.
    Table {
        name: "job",
        fate: Fate::Kept,
        key: 1,
        columns: &[
            ("name", Text),
            ("schedule", Text),
            ("considered_until", Text),
            ("paused_at", Text),
            ("paused_by", Text),
        ],
    },
    Table {
        name: "job_run",
        fate: Fate::Kept,
        key: 2,
        columns: &[
            ("job", Text),
            ("scheduled_for", Text),
            ("trigger", Text),
            ("verb", Text),
            ("state", Text),
            ("attempt", Number),
            ("token", Number),
            ("not_before", Text),
            ("instance", Text),
            ("lease_until", Text),
            ("started_at", Text),
            ("finished_at", Text),
            ("output", Text),
            ("error", Text),
            ("note", Text),
        ],
    },
    Table {
        name: "drift_report",
        fate: Fate::Kept,
        key: 2,
        columns: &[
            ("job", Text),
            ("scheduled_for", Text),
            ("created_at", Text),
            ("epoch", Text),
            ("revision", Number),
            ("told", Flag),
            ("report", Text),
        ],
    },
    Table {
        name: "head",
        fate: Fate::Head,
        key: 1,
        columns: &[("id", Number), ("epoch", Text), ("revision", Number), ("hash", Text)],
    },
];

/// A table of [`TABLES`] with those of its columns that a database or an archive has.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub table: &'static Table,
    pub columns: Vec<(&'static str, Holds)>,
}

impl Shape {
    /// As whoever wrote an archive names it.
    pub(super) fn named(table: &str, columns: &[String]) -> Option<Self> {
        let table = TABLES.iter().find(|it| it.name == table)?;
        let found = table.columns.iter().filter(|it| columns.iter().any(|column| column == it.0));
        let shape = Self { table, columns: found.copied().collect() };
        let same = shape.columns.iter().map(|it| it.0).eq(columns.iter().map(String::as_str));
        (same && shape.has_key()).then_some(shape)
    }

    /// Every table that `db` has, of this version or an older one.
    pub(super) async fn of_all(db: &impl ConnectionTrait) -> Result<Vec<Self>> {
        let backend = db.get_database_backend();
        let sql = match backend {
            DbBackend::Postgres => {
                "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1) \
                 AND attnum > 0 AND NOT attisdropped"
            }
            _ => "SELECT name FROM pragma_table_info($1)",
        };
        let mut shapes = Vec::new();
        for table in &TABLES {
            let ask = Statement::from_sql_and_values(backend, sql, [table.name.into()]);
            let rows = db.query_all_raw(ask).await?;
            let names = rows.iter().map(|row| row.try_get_by_index::<String>(0));
            let names = names.collect::<Result<Vec<_>, _>>()?;
            let found = table.columns.iter().filter(|it| names.iter().any(|name| name == it.0));
            let shape = Self { table, columns: found.copied().collect() };
            if shape.has_key() {
                shapes.push(shape);
            }
        }
        Ok(shapes)
    }

    fn has_key(&self) -> bool {
        self.columns.len() >= self.table.key
            && self.columns[..self.table.key] == self.table.columns[..self.table.key]
    }

    /// The line before those of its rows.
    pub(super) fn heading(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|it| format!("\"{}\"", it.0)).collect();
        format!("{{\"columns\":[{}],\"table\":\"{}\"}}", names.join(","), self.table.name)
    }

    /// SQL that counts up to `$1` rows after the key in `$2` and so on, if there is one, and joins
    /// their lines.
    pub(super) fn reading(&self, backend: DbBackend, has_key: bool) -> String {
        let line = line(backend, &self.columns);
        let rows = self.rows_after(has_key);
        format!(
            "SELECT count(*), string_agg(line, '\n') FROM (SELECT {line} AS line {rows}) AS lines"
        )
    }

    /// Which of its columns holds a file, if one does.
    pub(super) fn bytes(&self) -> Option<usize> {
        self.columns.iter().position(|it| it.1 == Bytes)
    }

    /// SQL as [`Shape::reading`] for rows with a file in the column `at`, which the database is not
    /// made to write as text: the line up to it, the bytes, and the line after it.
    pub(super) fn reading_bytes(&self, backend: DbBackend, at: usize, has_key: bool) -> String {
        let (before, after) = (&self.columns[..at], &self.columns[at + 1..]);
        let (before, after) = (line(backend, before), line(backend, after));
        let (name, rows) = (self.columns[at].0, self.rows_after(has_key));
        format!("SELECT {before}, \"{name}\", {after} {rows}")
    }

    fn rows_after(&self, has_key: bool) -> String {
        let key = self.columns[..self.table.key].iter().map(|it| format!("\"{}\"", it.0));
        let key = key.collect::<Vec<_>>().join(", ");
        let binds = (0..self.table.key).map(|it| format!("${}", it + 2)).collect::<Vec<_>>();
        let after = match has_key {
            true => format!("WHERE ({key}) > ({})", binds.join(", ")),
            false => String::new(),
        };
        format!("FROM \"{}\" {after} ORDER BY {key} LIMIT $1", self.table.name)
    }
    /// SQL that inserts the rows whose lines are the items of the JSON array `$1`.
    pub(super) fn writing(&self, backend: DbBackend) -> String {
        let names: Vec<_> = self.columns.iter().map(|it| format!("\"{}\"", it.0)).collect();
        let cell = |(at, (_, holds)): (usize, &(&str, Holds))| match (backend, holds) {
            (DbBackend::Postgres, Text) => format!("item->>{at}"),
            (DbBackend::Postgres, Number) => format!("(item->>{at})::bigint"),
            (DbBackend::Postgres, Flag) => format!("(item->>{at})::int::boolean"),
            (DbBackend::Postgres, Bytes) => format!("decode(item->>{at}, 'hex')"),
            (_, Text) => format!("CAST(value->>{at} AS TEXT)"),
            (_, Number | Flag) => format!("CAST(value->>{at} AS INTEGER)"),
            (_, Bytes) => format!("unhex(value->>{at})"),
        };
        let cells: Vec<_> = self.columns.iter().enumerate().map(cell).collect();
        let from = match backend {
            DbBackend::Postgres => "json_array_elements($1::json) AS items(item)",
            _ => "json_each($1)",
        };
        let (name, names, cells) = (self.table.name, names.join(", "), cells.join(", "));
        format!("INSERT INTO \"{name}\" ({names}) SELECT {cells} FROM {from}")
    }
}

/// A row of these `columns` as a line.
fn line(backend: DbBackend, columns: &[(&str, Holds)]) -> String {
    let cell = |(name, holds): &(&str, Holds)| match (backend, holds) {
        (DbBackend::Postgres, Flag) => format!("\"{name}\"::int::text"),
        (DbBackend::Postgres, _) => format!("coalesce(to_json(\"{name}\")::text, 'null')"),
        (_, _) => format!("\"{name}\""),
    };
    let cells: Vec<_> = columns.iter().map(cell).collect();
    match backend {
        DbBackend::Postgres => format!("'[' || {} || ']'", cells.join(" || ',' || ")),
        _ => format!("json_array({})", cells.join(", ")),
    }
}
