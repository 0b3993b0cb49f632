//! The program under test, in a namespace of its own.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::future::poll_fn;
use std::mem::{Discriminant, discriminant};
use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::Duration;

use chrono::DateTime;
use sea_orm::{ConnectionTrait, QueryResult, Statement};
use setpoint_importers::{Key, Limits, TypedValue};
use setpoint_ops::apply::{Channel, apply, apply_and_rewrite, head};
use setpoint_ops::database::{Access, Database, Location, Settings as Opening, open};
use setpoint_ops::drift::{self, Kind};
use setpoint_ops::edit::{self, Edits};
use setpoint_ops::plan::{Author, Plan};
use setpoint_ops::secret::Rules;
use setpoint_ops::source::{Declared, Interpretation, Named, declare};
use setpoint_ops::{Error, adopt, import, reset, revert, skip, write_back};

use super::settings::Settings;
use super::story::{Act, Crash, Format, Story};
use crate::data::meaning;

/// A row as text.
pub type Row = Vec<Option<String>>;

pub struct Program {
    location: Location,
    folder: PathBuf,
    pub database: Database,
    pub namespace: String,
    pub format: Format,
    write_back: bool,
    /// How often each kind of act was polled at most.
    polls: HashMap<Discriminant<Act>, usize>,
}

impl Program {
    pub async fn start(location: Location, folder: &Path) -> Self {
        Self {
            database: opened(&location).await,
            location,
            folder: folder.to_owned(),
            namespace: String::new(),
            format: Format::Json,
            write_back: false,
            polls: HashMap::new(),
        }
    }

    pub async fn open(&mut self, namespace: String, story: &Story) {
        // A story that has failed leaves its files and seeds behind.
        self.forget().await;
        self.namespace = namespace;
        self.format = story.format;
        self.write_back = story.write_back;
    }

    /// What is there no more is compared no more.
    pub async fn forget(&self) {
        let sql = "DELETE FROM source; DELETE FROM seed; DELETE FROM outbox";
        self.database.connection.execute_unprepared(sql).await.unwrap();
    }

    /// As after a crash: with another connection, when the server is done with the last one.
    pub async fn reopen(&mut self) {
        self.reopen_after(async || ()).await;
        let transaction = self.database.begin().await.unwrap();
        let lock = "UPDATE head SET revision = revision";
        transaction.execute_unprepared(lock).await.unwrap();
        transaction.commit().await.unwrap();
    }

    /// Does `act`, unless it crashes first. Gives the plan, if there is one.
    pub async fn act(
        &mut self,
        act: &Act,
        crash: Option<Crash>,
    ) -> Option<Result<Option<Plan>, Error>> {
        let usual = self.polls.get(&discriminant(act)).copied().unwrap_or_default();
        let last = match crash {
            None => usize::MAX,
            Some(Crash::At(hundredths)) => usual * hundredths / 100,
            Some(Crash::Before(left)) => usual.saturating_sub(left + 1),
            Some(Crash::BetweenTheTwo) => {
                self.act_and_forget(act).await;
                return None;
            }
        };
        let mut polls = 0;
        let mut work = Box::pin(self.done(act));
        let done = poll_fn(|context| {
            if polls == last {
                return Poll::Ready(None);
            }
            polls += 1;
            work.as_mut().poll(context).map(Some)
        })
        .await;
        drop(work);
        if done.as_ref().is_some_and(Result::is_ok) {
            let most = self.polls.entry(discriminant(act)).or_default();
            *most = polls.max(*most);
        }
        done
    }

    /// As if the machine had gone down right before the database was written; another than
    /// SQLite goes down earlier.
    async fn act_and_forget(&mut self, act: &Act) {
        let Location::Sqlite(path) = self.location.clone() else { return };
        // Closing brings everything into this one file.
        self.reopen_after(async || ()).await;
        let kept = fs::read(&path).unwrap();
        drop(self.done(act).await);
        self.reopen_after(async || fs::write(&path, kept).unwrap()).await;
    }

    async fn reopen_after(&mut self, work: impl AsyncFnOnce()) {
        self.database.connection.clone().close().await.unwrap();
        work().await;
        self.database = opened(&self.location).await;
    }

    async fn done(&self, act: &Act) -> Result<Option<Plan>, Error> {
        let (limits, now) = (Limits::default(), DateTime::default());
        let (db, namespace) = (&self.database, &*self.namespace);
        let declared = self.declared();
        let root = &self.folder;
        let snapshot = db.snapshot().await?;
        let plan = match act {
            Act::File(_) | Act::Text(..) => return Ok(None),
            Act::Sql { sql, .. } => {
                drop(snapshot);
                let values = [namespace.into()];
                let ask = Statement::from_sql_and_values(db.backend(), sql, values);
                db.connection.execute_raw(ask).await?;
                return Ok(None);
            }
            Act::Skip => {
                drop(snapshot);
                skip::skip(db, &declared, &limits, "ann", now).await?;
                return Ok(None);
            }
            Act::Follow => {
                drop(snapshot);
                let done = write_back::follow(db, &declared, &limits, &author(), now).await?;
                let failed = done.iter().find_map(|it| it.failure.as_ref());
                assert_eq!(failed, None, "nothing stands in its way");
                return Ok(None);
            }
            Act::Migrate(options) => {
                let (declared, author) = (&declared, author());
                let import = import::plan(&snapshot, declared, root, options, &limits, author);
                let import = import.await?;
                drop(snapshot);
                apply(db, &import.plan, &import.sources, Channel::Cli, now).await?;
                return Ok(Some(import.plan));
            }
            Act::Adopt(key) => {
                let wanted = match key {
                    None => adopt::Wanted::All,
                    Some(key) => adopt::Wanted::Keys(vec![key.clone()]),
                };
                let author = author();
                let planned = adopt::plan(
                    &snapshot, &declared, root, namespace, &wanted, &limits, author, now,
                );
                let import::Import { plan, sources, rewrites } = planned.await?.import;
                drop(snapshot);
                apply_and_rewrite(db, &plan, &sources, &rewrites, Channel::Cli, now).await?;
                return Ok(Some(plan));
            }
            Act::Edit(edits) => {
                let edits: Edits = edits.iter().cloned().collect();
                let rules = Rules::default();
                edit::plan(&snapshot, namespace, "base", edits, &rules, author()).await?
            }
            Act::Reset { prefix, purge } => {
                let target = reset::Target {
                    namespace: namespace.to_owned(),
                    layer: None,
                    keys: prefix.iter().cloned().collect(),
                    purge: *purge,
                };
                reset::plan(&snapshot, &target, author()).await?
            }
            Act::Revert { target, prefix, strategy, .. } => {
                let keys = prefix.iter().cloned().collect();
                let part = revert::Part { keys, ..revert::Part::default() };
                revert::plan(&snapshot, *target, &part, *strategy, author()).await?
            }
        };
        drop(snapshot);
        apply(db, &plan, &[], Channel::Cli, now).await?;
        Ok(Some(plan))
    }

    fn declared(&self) -> Vec<Declared> {
        let named = Named {
            path: self.path(),
            namespace: self.namespace.clone(),
            layer: "base".to_owned(),
            interpretation: Interpretation::default(),
            write_back: self.write_back,
        };
        declare(&[named], &self.folder).unwrap().0
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.{}", self.namespace, self.format.extension()))
    }

    pub fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    pub fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    pub fn file(&self) -> Settings {
        meaning(self.path().to_str().unwrap(), self.text().as_bytes())
    }

    pub async fn revision(&self) -> i64 {
        head(&self.database.connection).await.unwrap().revision
    }

    pub async fn live(&self) -> Settings {
        self.settings("setting").await
    }

    pub async fn seeds(&self) -> Settings {
        self.settings("seed").await
    }

    async fn settings(&self, table: &str) -> Settings {
        let sql = format!("SELECT key, value FROM {table} WHERE namespace = $1");
        let read = |row: Row| {
            let [key, text] = row.try_into().unwrap();
            (Key::parse(&key.unwrap()).unwrap(), value(&text.unwrap()))
        };
        self.rows(&sql, self.namespace.clone()).await.into_iter().map(read).collect()
    }

    /// What `sql` finds, as text; it has one parameter.
    pub async fn rows(&self, sql: &str, parameter: impl Into<sea_orm::Value>) -> Vec<Row> {
        let db = &self.database;
        let columns = sql.strip_prefix("SELECT ").unwrap().split_once(" FROM ").unwrap().0;
        let text: Vec<_> = columns.split(", ").map(|it| format!("CAST({it} AS text)")).collect();
        let sql = sql.replacen(columns, &text.join(", "), 1);
        let ask = Statement::from_sql_and_values(db.backend(), sql, [parameter.into()]);
        let found = db.connection.query_all_raw(ask).await.unwrap();
        let cell = |row: &QueryResult, at| row.try_get_by_index(at).unwrap();
        found.iter().map(|row| (0..text.len()).map(|at| cell(row, at)).collect()).collect()
    }

    /// What is out of line; none if the file was never imported.
    pub async fn drift(&self) -> Option<BTreeMap<Key, Kind>> {
        let (limits, now) = (Limits::default(), DateTime::default());
        let snapshot = self.database.snapshot().await.unwrap();
        let declared = self.declared();
        let report = drift::report(&snapshot, &declared, &self.folder, &[], &limits, now).await;
        let drift = report.unwrap().drift.into_iter().map(|it| (it.key, it.kind));
        let drift: Vec<(Option<Key>, Kind)> = drift.collect();
        match drift.as_slice() {
            [(None, Kind::ImportUnknown)] => None,
            _ => Some(drift.into_iter().map(|it| (it.0.unwrap(), it.1)).collect()),
        }
    }

    /// Everything that the database knows, as text, if somebody is going to compare it.
    pub async fn dump(&self, crash: Option<Crash>) -> Option<String> {
        crash?;
        let tables = [
            ("key, value, revision, updated_by", "setting"),
            ("key, value, source, line", "seed"),
            ("path, raw_hash, open_conflicts, revision, skipped_hash", "source"),
            ("hash, choice, revision, value", "resolution"),
            ("path, revision, attempts, failure", "outbox"),
        ];
        let mut dump = format!("{:?}", head(&self.database.connection).await.unwrap());
        for (columns, table) in tables {
            let sql = format!("SELECT {columns} FROM {table} WHERE namespace = $1 ORDER BY 1");
            dump += &format!("{:?}", self.rows(&sql, self.namespace.clone()).await);
        }
        Some(dump)
    }
}

async fn opened(location: &Location) -> Database {
    let timeout = Duration::from_secs(5);
    let opening = Opening { lock_timeout: timeout, connect_timeout: timeout };
    open(location, Access::Create, opening).await.unwrap()
}

fn author() -> Author {
    Author { actor: "ann".to_owned(), reason: None }
}

pub fn value(text: &str) -> TypedValue {
    serde_json::from_str::<serde_json::Value>(text).unwrap().into()
}
