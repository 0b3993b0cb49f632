//! Whether the database holds what it should: after an import, and at any time.

use std::collections::{HashMap, HashSet};

use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, Statement};
use serde::Serialize;
use setpoint_entity::{seed, setting};
use setpoint_importers::{Format, Key, Limits, TypedValue};

use crate::plan::{Class, Effect, Plan};
use crate::source::{ReadSource, tree_hash};
use crate::{Error, Result, audit, bulk, hash, rows};

/// Reads back what an import wrote: every setting of `plan`, and the seed of every entry of
/// `sources`. Returns how many values were compared.
///
/// A setting that a later revision than `revision` has changed is not compared.
///
/// # Errors
///
/// [`Error::NotVerified`] names the first difference; [`Error::Database`].
#[tracing::instrument(level = "debug", skip_all)]
pub async fn imported(
    db: &impl ConnectionTrait,
    plan: &Plan,
    sources: &[ReadSource],
    revision: i64,
) -> Result<usize> {
    let differs = |difference: String| Err(Error::NotVerified { difference });
    let mut compared = 0;
    let mut layers = HashMap::<_, Vec<Effect<'_>>>::new();
    for effect in plan.effects() {
        layers.entry((effect.namespace, effect.layer)).or_default().push(effect);
    }
    for ((namespace, layer), effects) in layers {
        let columns = ["key", "value", "format", "revision"];
        let condition = "namespace = $1 AND layer = $2";
        let values = [namespace.into(), layer.into()];
        let live: Vec<(String, String, Option<String>, i64)> =
            bulk::select(db, &columns, "setting", condition, values).await?;
        let live: HashMap<&str, _> = live.iter().map(|it| (it.0.as_str(), it)).collect();
        for Effect { key, after, .. } in effects {
            let row = live.get(key.as_str());
            let found = row.map(|it| (it.1.as_str(), it.2.as_deref()));
            let text = after.map(TypedValue::text).unwrap_or_default();
            let wanted = after.map(|it| (text.as_str(), it.format.map(Format::as_str)));
            if found != wanted && row.is_none_or(|it| it.3 <= revision) {
                return differs(format!("`{key}` does not have the value it was given"));
            }
            compared += 1;
        }
    }

    for source in sources {
        let Some(meaning) = &source.meaning else { continue };
        let declared = &source.declared;
        let open: HashSet<&str> = plan
            .changes
            .iter()
            .filter(|it| it.class == Class::Conflict && it.namespace == declared.namespace)
            .map(|it| it.key.as_str())
            .collect();
        let condition = "namespace = $1 AND layer = $2 AND source = $3";
        let values = [&declared.namespace, &declared.layer, &declared.path];
        let values = values.map(|it| it.as_str().into());
        let seeds: Vec<(String, String)> =
            bulk::select(db, &["key", "value"], "seed", condition, values).await?;
        let seeds: HashMap<&str, &str> =
            seeds.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        for entry in &meaning.entries {
            let key = entry.key.as_str();
            let is_open = |key: &str| open.contains(key);
            let is_below = !open.is_empty() && (is_open(key) || entry.key.ancestors().any(is_open));
            if is_below || meaning.held.contains(&entry.key) {
                continue;
            }
            if seeds.get(key).is_none_or(|it| *it != entry.value.text()) {
                let path = &declared.path;
                return differs(format!("the seed of `{key}` is not what {path} says"));
            }
            compared += 1;
        }
    }
    Ok(compared)
}

/// What a check of the whole database found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub settings: usize,
    pub revisions: i64,
    pub sources: usize,
    /// Everything that is wrong, in words.
    pub problems: Vec<String>,
}

/// Checks the whole database: its own structure, that the history adds up to the live values,
/// the chain, that each layer is a tree, and that the seeds are what the originals say.
///
/// # Errors
///
/// [`Error::Database`] if it cannot be read; what is wrong with the content is in the report.
pub async fn everything(db: &impl ConnectionTrait, limits: &Limits) -> Result<Report> {
    let mut report = Report::default();
    check_structure(db, &mut report).await?;
    check_settings(db, &mut report).await?;
    check_originals(db, limits, &mut report).await?;
    check_chain(db, &mut report).await?;
    Ok(report)
}

/// What is wrong with the history and what it says is live, in words; nothing if they hold
/// together.
///
/// # Errors
///
/// [`Error::Database`].
pub(crate) async fn history(db: &impl ConnectionTrait) -> Result<Vec<String>> {
    let mut report = Report::default();
    check_settings(db, &mut report).await?;
    check_chain(db, &mut report).await?;
    Ok(report.problems)
}

async fn check_chain(db: &impl ConnectionTrait, report: &mut Report) -> Result<()> {
    let verdict = audit::verify(db).await?;
    report.revisions = verdict.revisions;
    if let Some(bad) = verdict.first_bad {
        report.problems.push(format!("revision {}: {}", bad.revision, bad.reason));
    }
    Ok(())
}

async fn check_triggers(db: &impl ConnectionTrait, report: &mut Report) -> Result<()> {
    let backend = db.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => {
            "SELECT t.tgname::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
             WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
             AND c.relnamespace = current_schema()::regnamespace"
        }
        _ => "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    };
    let mut found = HashSet::new();
    for row in db.query_all_raw(Statement::from_string(backend, sql)).await? {
        found.insert(row.try_get_by_index::<String>(0)?);
    }
    for name in setpoint_migration::triggers(backend).iter().filter(|it| !found.contains(**it)) {
        report.problems.push(format!(
            "the trigger {name} is missing: what is written in SQL is not in the history; take a \
             backup, and restore it into a new database"
        ));
    }
    Ok(())
}

async fn check_structure(db: &impl ConnectionTrait, report: &mut Report) -> Result<()> {
    check_triggers(db, report).await?;
    if db.get_database_backend() != DbBackend::Sqlite {
        return Ok(());
    }
    let ask = |sql: &str| db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql));
    for row in ask("PRAGMA integrity_check").await? {
        let line: String = row.try_get_by_index(0)?;
        if line != "ok" {
            report.problems.push(format!("database file: {line}"));
        }
    }
    for row in ask("PRAGMA foreign_key_check").await? {
        let table: String = row.try_get_by_index(0)?;
        report.problems.push(format!("table {table}: a row points to a row that is not there"));
    }
    Ok(())
}

/// Live values that are not what the log says last, and values of the log that are not live.
/// Each looks its keys up by index: the cost is that of the settings and the log.
const OUT_OF_LINE: [&str; 2] = [
    "SELECT s.namespace, s.key FROM setting s WHERE NOT EXISTS (
         SELECT 1 FROM change c JOIN revision r ON r.id = c.revision
         WHERE c.namespace = s.namespace AND c.layer = s.layer AND c.key = s.key
         AND c.revision = s.revision AND c.after = s.value
         AND c.after_format IS NOT DISTINCT FROM s.format
         AND r.actor = s.updated_by AND r.at = s.updated_at)
     OR EXISTS (
         SELECT 1 FROM change n WHERE n.namespace = s.namespace AND n.layer = s.layer
         AND n.key = s.key AND n.revision > s.revision)
     ORDER BY 1, 2 LIMIT 100",
    "SELECT c.namespace, c.key FROM change c WHERE c.after IS NOT NULL AND NOT EXISTS (
         SELECT 1 FROM change n WHERE n.namespace = c.namespace AND n.layer = c.layer
         AND n.key = c.key AND n.revision > c.revision)
     AND NOT EXISTS (
         SELECT 1 FROM setting s WHERE s.namespace = c.namespace AND s.layer = c.layer
         AND s.key = c.key)
     ORDER BY 1, 2 LIMIT 100",
];

#[derive(PartialEq, Eq, PartialOrd, Ord, FromQueryResult)]
struct Named {
    namespace: String,
    key: String,
}

async fn check_settings(db: &impl ConnectionTrait, report: &mut Report) -> Result<()> {
    let mut found = Vec::new();
    for sql in OUT_OF_LINE {
        let ask = Statement::from_string(db.get_database_backend(), sql);
        found.extend(Named::find_by_statement(ask).all(db).await?);
    }
    found.sort();
    for Named { namespace, key } in found {
        let problem = format!("`{key}` of {namespace}: it is not as the history has it");
        report.problems.push(problem);
    }
    let all = setting::Entity::find().all(db).await?;
    report.settings = all.len();
    let keys: HashSet<(&str, &str, &str)> =
        all.iter().map(|it| (it.namespace.as_str(), it.layer.as_str(), it.key.as_str())).collect();
    for row in &all {
        let (namespace, layer) = (row.namespace.as_str(), row.layer.as_str());
        match Key::parse(&row.key) {
            Err(error) => report.problems.push(format!("{namespace}: {error}")),
            Ok(key) => {
                let above = key.ancestors().find(|it| keys.contains(&(namespace, layer, it)));
                if let Some(above) = above {
                    let problem = format!("`{above}` and `{key}` of {namespace} are both values");
                    report.problems.push(problem);
                }
            }
        }
    }
    Ok(())
}

async fn check_originals(
    db: &impl ConnectionTrait,
    limits: &Limits,
    report: &mut Report,
) -> Result<()> {
    use setpoint_entity::source;
    for row in source::Entity::find().all(db).await? {
        report.sources += 1;
        let (path, namespace) = (&row.path, &row.namespace);
        let wanted = row.original_hash.as_ref().unwrap_or(&row.raw_hash);
        if hash::of_bytes(&row.original) != *wanted {
            report.problems.push(format!("{path} of {namespace}: the original was changed"));
            continue;
        }
        if row.original.is_empty() && row.original_hash.is_some() {
            // What an external importer reads cannot be masked, so it is not kept.
            continue;
        }
        let name = std::path::Path::new(path);
        let read = setpoint_importers::read(name, &row.original, Some(&row.format), limits);
        match read {
            Ok(document) if tree_hash(&document.entries) == row.tree_hash => {}
            _ => report
                .problems
                .push(format!("{path} of {namespace}: the original reads differently")),
        }
    }
    for row in seed::Entity::find().all(db).await? {
        if rows::value(&row.value, row.format.as_deref()).is_err() {
            report
                .problems
                .push(format!("the seed of `{}` of {}: no value", row.key, row.namespace));
        }
    }
    Ok(())
}
