//! What an import leaves behind besides values: seeds, sources and settled conflicts.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Query;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, DatabaseTransaction, EntityTrait,
    IntoActiveModel, QueryFilter,
};
use setpoint_entity::{removed_key, seed, source};
use setpoint_importers::{Format, Key, TypedValue};

use crate::plan::{Change, Class, Plan, SourceStatus};
use crate::secret::is_safe;
use crate::source::{Imported, Meaning, ReadSource, Taken, tree_hash};
use crate::{Result, bulk, hash, rows, time};

/// Makes the seeds what the files say, except where a conflict is still open.
#[tracing::instrument(level = "debug", skip_all)]
pub(crate) async fn seeds(
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
            // One in another layer is from before the source was declared for this one.
            let is_here = known.get(entry.key.as_str()).is_some_and(|it| it.1 == layer);
            let before = is_here.then(|| known.remove(entry.key.as_str())).flatten();
            if is_open(&entry.key) || meaning.held.contains(&entry.key) {
                continue;
            }
            let raw_key = meaning.raw_keys.get(&entry.key).map(Key::to_string);
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
                raw_key,
            };
            let said = (row.layer.as_str(), row.value.as_str(), row.format.as_deref());
            let same = |it: &SeedRow| {
                said == (it.1.as_str(), it.2.as_str(), it.3.as_deref())
                    && (row.line, row.column) == (it.4, it.5)
                    && row.raw_key == it.6
            };
            if !before.as_ref().is_some_and(same) {
                news.push(row);
            }
        }
        // A seed from before its key was a secret is not kept.
        let secrets: HashSet<&Key> =
            meaning.secrets.iter().filter(|it| !it.repeats).map(|it| &it.key).collect();
        let mut gone = Vec::new();
        for (key, row) in known {
            let parsed = rows::key(key)?;
            let value = rows::value(&row.2, row.3.as_deref())?;
            let exposes = secrets.contains(&parsed) && !is_safe(&value);
            let stays = is_open(&parsed) || meaning.held.contains(&parsed);
            if exposes || row.1 != layer || !stays {
                gone.push((row.1, parsed));
            }
        }
        forget(db, namespace, &declared.path, gone).await?;
        write_seeds(db, news).await?;
    }
    Ok(())
}

/// Takes away the seeds of keys, each after its layer, that are no more in their file, and
/// remembers which file that was, in case they come back.
async fn forget(
    db: &DatabaseTransaction,
    namespace: &str,
    source: &str,
    mut gone: Vec<(String, Key)>,
) -> Result<()> {
    const CHUNK_ROWS: usize = 500;
    gone.sort();
    let rows = gone.iter().map(|(layer, key)| removed_key::Model {
        namespace: namespace.to_owned(),
        layer: layer.clone(),
        key: key.to_string(),
        source: source.to_owned(),
    });
    write_removed(db, rows).await?;
    for of_layer in gone.chunk_by(|a, b| a.0 == b.0) {
        for chunk in of_layer.chunks(CHUNK_ROWS) {
            seed::Entity::delete_many()
                .filter(seed::Column::Namespace.eq(namespace))
                .filter(seed::Column::Layer.eq(&chunk[0].0))
                .filter(seed::Column::Key.is_in(chunk.iter().map(|it| it.1.as_str())))
                .exec(db)
                .await?;
        }
    }
    Ok(())
}

/// Remembers of keys which file they were taken out of.
pub(crate) async fn write_removed(
    db: &DatabaseTransaction,
    removed: impl IntoIterator<Item = removed_key::Model>,
) -> Result<()> {
    let columns = ["namespace", "layer", "key", "source"];
    let overwrite = "ON CONFLICT (namespace, layer, key) DO UPDATE SET source = excluded.source";
    let rows = removed
        .into_iter()
        .map(|it| [it.namespace.into(), it.layer.into(), it.key.into(), it.source.into()]);
    bulk::insert(db, "removed_key", columns, overwrite, rows).await
}

/// Gives the seeds of keys that move their new keys.
pub(super) async fn moves(db: &DatabaseTransaction, plan: &Plan) -> Result<()> {
    const CHUNK_ROWS: usize = 500;
    let mut moved = Vec::new();
    for one_layer in
        plan.moves.chunk_by(|a, b| (&a.namespace, &a.layer) == (&b.namespace, &b.layer))
    {
        for chunk in one_layer.chunks(CHUNK_ROWS) {
            let to: HashMap<&str, &Key> =
                chunk.iter().map(|it| (it.from.as_str(), &it.to)).collect();
            let here = Condition::all()
                .add(seed::Column::Namespace.eq(&chunk[0].namespace))
                .add(seed::Column::Layer.eq(&chunk[0].layer))
                .add(seed::Column::Key.is_in(to.keys().copied()));
            let found = seed::Entity::find().filter(here.clone()).all(db).await?;
            seed::Entity::delete_many().filter(here).exec(db).await?;
            moved.extend(found.into_iter().map(|row| seed::Model {
                key: to[row.key.as_str()].to_string(),
                raw_key: Some(row.raw_key.unwrap_or(row.key)),
                ..row
            }));
        }
    }
    // Only now, as one may go where another was.
    write_seeds(db, moved).await
}

/// Key, layer, value, format, line, column, and the key as the file has it.
type SeedRow = (String, String, String, Option<String>, i64, i64, Option<String>);

async fn seeds_of(
    db: &DatabaseTransaction,
    namespace: &str,
    path: &str,
) -> Result<HashMap<String, SeedRow>> {
    let columns = ["key", "layer", "value", "format", "line", "column", "raw_key"];
    let condition = "namespace = $1 AND source = $2";
    let values = [namespace.into(), path.into()];
    let rows: Vec<SeedRow> = bulk::select(db, &columns, "seed", condition, values).await?;
    Ok(rows.into_iter().map(|it| (it.0.clone(), it)).collect())
}

pub(crate) async fn write_seeds(db: &DatabaseTransaction, news: Vec<seed::Model>) -> Result<()> {
    let columns = [
        "namespace",
        "layer",
        "key",
        "value",
        "value_type",
        "format",
        "source",
        "line",
        "column",
        "raw_key",
    ];
    let overwrite = "ON CONFLICT (namespace, layer, key) DO UPDATE SET value = excluded.value, \
                     value_type = excluded.value_type, format = excluded.format, \
                     source = excluded.source, line = excluded.line, \
                     \"column\" = excluded.\"column\", raw_key = excluded.raw_key";
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
            it.raw_key.into(),
        ]
    });
    bulk::insert(db, "seed", columns, overwrite, rows).await
}

/// Keeps each file that was read as it was.
#[tracing::instrument(level = "debug", skip_all)]
pub(crate) async fn sources(
    db: &DatabaseTransaction,
    plan: &Plan,
    read: &[ReadSource],
    revision: i64,
    now: DateTime<Utc>,
) -> Result<()> {
    for source in read {
        let Some(meaning) = &source.meaning else { continue };
        let declared = &source.declared;
        if source.taken != Taken::Whole {
            partly(db, source, meaning).await?;
            continue;
        }
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
            interpretation: declared.interpretation.to_text(),
            original: meaning.masked.as_ref().unwrap_or(&source.bytes).clone(),
            secrets: meaning.secrets_text(),
            original_hash: meaning.masked.as_ref().map(|it| hash::of_bytes(it)),
            skipped_hash: None,
            skipped_at: None,
            skipped_by: None,
        };
        let row = row.into_active_model().reset_all();
        match last {
            Some(_) => source::Entity::update(row).exec(db).await.map(drop)?,
            None => source::Entity::insert(row).exec_without_returning(db).await.map(drop)?,
        }
    }
    Ok(())
}

/// Some keys of a file are as it says now: no version of it is known as a whole any more.
async fn partly(db: &DatabaseTransaction, source: &ReadSource, meaning: &Meaning) -> Result<()> {
    let declared = &source.declared;
    let id = (declared.namespace.clone(), declared.path.clone());
    let Some(last) =
        source::Entity::find_by_id(id).into_partial_model::<Imported>().one(db).await?
    else {
        return Ok(());
    };
    let mut row = source::ActiveModel {
        namespace: Set(last.namespace),
        path: Set(last.path),
        raw_hash: Set(String::new()),
        ..Default::default()
    };
    if last.original_hash.is_none() {
        row.original_hash = Set(Some(last.raw_hash));
    }
    if source.taken == Taken::PartOfSkipped {
        row.skipped_hash = Set(Some(meaning.tree_hash.clone()));
    }
    row.update(db).await?;
    Ok(())
}

/// How conflicts were settled, so that each is asked about once.
pub(super) async fn resolutions(
    db: &DatabaseTransaction,
    plan: &Plan,
    revision: i64,
) -> Result<()> {
    let columns = ["hash", "namespace", "layer", "key", "choice", "revision", "value", "format"];
    let overwrite = "ON CONFLICT (hash) DO UPDATE SET choice = excluded.choice, \
                     revision = excluded.revision, value = excluded.value, \
                     format = excluded.format";
    let rows = plan.resolutions.iter().map(|it| {
        [
            it.hash.as_str().into(),
            it.namespace.as_str().into(),
            it.layer.as_str().into(),
            it.key.as_str().into(),
            it.choice.as_str().into(),
            revision.into(),
            it.value.as_ref().map(TypedValue::text).into(),
            it.value.as_ref().and_then(|it| it.format).map(Format::as_str).into(),
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
