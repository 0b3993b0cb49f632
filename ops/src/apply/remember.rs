//! What an import leaves behind besides values: seeds, sources and settled conflicts.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Query;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter,
};
use setpoint_entity::{seed, source};
use setpoint_importers::Key;

use crate::plan::{Change, Class, Plan, SourceStatus};
use crate::source::{Imported, ReadSource, tree_hash};
use crate::{Result, bulk, rows, time};

/// Makes the seeds what the files say, except where a conflict is still open.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn seeds(
    db: &DatabaseTransaction,
    plan: &Plan,
    read: &[ReadSource],
) -> Result<()> {
    let open: HashSet<(&str, &str, &str)> = plan
        .changes
        .iter()
        .filter(|it| it.class == Class::Conflict)
        .map(|it| (it.namespace.as_str(), it.layer.as_str(), it.key.as_str()))
        .collect();
    for source in read {
        let Some(meaning) = &source.meaning else { continue };
        let declared = &source.declared;
        let (namespace, layer) = (declared.namespace.as_str(), declared.layer.as_str());
        let is_open = |key: &Key| {
            !open.is_empty()
                && (open.contains(&(namespace, layer, key.as_str()))
                    || key.ancestors().any(|it| open.contains(&(namespace, layer, it))))
        };

        let mut known = seeds_of(db, namespace, &declared.path).await?;
        let mut news = Vec::new();
        for entry in meaning.entries.iter() {
            let before = known.remove(entry.key.as_str());
            if is_open(&entry.key) {
                continue;
            }
            let row = seed::Model {
                namespace: namespace.to_owned(),
                layer: layer.to_owned(),
                key: entry.key.to_string(),
                value: entry.value.text(),
                value_type: entry.value.value_type().to_string(),
                format: entry.value.format.map(|it| it.as_str().to_owned()),
                source: declared.path.clone(),
                line: entry.place.line.into(),
                column: entry.place.column.into(),
            };
            let said = (row.layer.as_str(), row.value.as_str(), row.format.as_deref());
            let same = |it: &SeedRow| {
                said == (it.1.as_str(), it.2.as_str(), it.3.as_deref())
                    && (row.line, row.column) == (it.4, it.5)
            };
            if !before.as_ref().is_some_and(same) {
                news.push(row);
            }
        }
        for (key, row) in known {
            let parsed = rows::key(key.clone())?;
            if !is_open(&parsed) {
                seed::Entity::delete_by_id((namespace.to_owned(), row.1, key)).exec(db).await?;
            }
        }
        write_seeds(db, news).await?;
    }
    Ok(())
}

/// Key, layer, value, format, line and column.
type SeedRow = (String, String, String, Option<String>, i64, i64);

async fn seeds_of(
    db: &DatabaseTransaction,
    namespace: &str,
    path: &str,
) -> Result<HashMap<String, SeedRow>> {
    let columns = ["key", "layer", "value", "format", "line", "column"];
    let condition = "namespace = $1 AND source = $2";
    let values = [namespace.into(), path.into()];
    let rows: Vec<SeedRow> = bulk::select(db, &columns, "seed", condition, values).await?;
    Ok(rows.into_iter().map(|it| (it.0.clone(), it)).collect())
}

async fn write_seeds(db: &DatabaseTransaction, news: Vec<seed::Model>) -> Result<()> {
    let columns =
        ["namespace", "layer", "key", "value", "value_type", "format", "source", "line", "column"];
    let overwrite = "ON CONFLICT (namespace, layer, key) DO UPDATE SET value = excluded.value, \
                     value_type = excluded.value_type, format = excluded.format, \
                     source = excluded.source, line = excluded.line, \
                     \"column\" = excluded.\"column\"";
    let rows = news.into_iter().map(|it| {
        [
            it.namespace.into(),
            it.layer.into(),
            it.key.into(),
            it.value.into(),
            it.value_type.into(),
            it.format.into(),
            it.source.into(),
            it.line.into(),
            it.column.into(),
        ]
    });
    bulk::insert(db, "seed", columns, overwrite, rows).await
}

/// Keeps each file that was read as it was.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn sources(
    db: &DatabaseTransaction,
    plan: &Plan,
    read: &[ReadSource],
    revision: i64,
    now: DateTime<Utc>,
) -> Result<()> {
    for source in read {
        let Some(meaning) = &source.meaning else { continue };
        let declared = &source.declared;
        let id = (declared.namespace.clone(), declared.path.clone());
        let last = source::Entity::find_by_id(id).into_partial_model::<Imported>().one(db).await?;
        let as_it_was = |last: &Imported| {
            last.raw_hash == source.raw_hash && source.status == SourceStatus::Open
        };
        if plan.is_empty() && last.as_ref().is_some_and(as_it_was) {
            continue;
        }
        let version = match &last {
            None => 1,
            Some(last) if last.tree_hash == meaning.tree_hash => last.version,
            Some(last) => last.version + 1,
        };
        let same = |it: &&Change| {
            it.class == Class::Conflict
                && it.namespace == declared.namespace
                && it.layer == declared.layer
                && it.origin.as_ref().is_none_or(|origin| origin.file == declared.path)
        };
        let row = source::Model {
            namespace: declared.namespace.clone(),
            path: declared.path.clone(),
            layer: declared.layer.clone(),
            format: meaning.format.clone(),
            raw_hash: source.raw_hash.clone(),
            tree_hash: meaning.tree_hash.clone(),
            declaration_hash: source.declaration_hash.clone(),
            version,
            open_conflicts: plan.changes.iter().filter(same).count() as i64,
            imported_at: time::stamp(now),
            imported_by: plan.author.actor.clone(),
            revision,
            original: source.bytes.clone(),
        };
        let row = row.into_active_model().reset_all();
        match last {
            Some(_) => source::Entity::update(row).exec(db).await.map(drop)?,
            None => source::Entity::insert(row).exec_without_returning(db).await.map(drop)?,
        }
    }
    Ok(())
}

/// How conflicts were settled, so that each is asked about once.
pub(super) async fn resolutions(
    db: &DatabaseTransaction,
    plan: &Plan,
    revision: i64,
) -> Result<()> {
    let columns = ["hash", "namespace", "layer", "key", "choice", "revision"];
    let overwrite = "ON CONFLICT (hash) DO UPDATE SET choice = excluded.choice, \
                     revision = excluded.revision";
    let rows = plan.resolutions.iter().map(|it| {
        [
            it.hash.as_str().into(),
            it.namespace.as_str().into(),
            it.layer.as_str().into(),
            it.key.as_str().into(),
            it.choice.as_str().into(),
            revision.into(),
        ]
    });
    bulk::insert(db, "resolution", columns, overwrite, rows).await
}

/// Forgets files that every key has moved away from, to one that is new.
pub(super) async fn forget_moved(db: &DatabaseTransaction, read: &[ReadSource]) -> Result<()> {
    let new = read.iter().filter(|it| it.status == SourceStatus::New);
    let namespaces: HashSet<&str> = new.map(|it| it.declared.namespace.as_str()).collect();
    for namespace in namespaces {
        let with_seeds = Query::select()
            .distinct()
            .column(seed::Column::Source)
            .from(seed::Entity)
            .and_where(seed::Column::Namespace.eq(namespace))
            .take();
        source::Entity::delete_many()
            .filter(source::Column::Namespace.eq(namespace))
            .filter(source::Column::Path.not_in_subquery(with_seeds))
            .filter(source::Column::TreeHash.ne(tree_hash(&[])))
            .filter(source::Column::OpenConflicts.eq(0))
            .exec(db)
            .await?;
    }
    Ok(())
}
