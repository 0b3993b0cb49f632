//! What the database has of a layer, as far as the merge has to look at it.
//!
//! A key that file, seed and database agree on has nothing to merge. Where only some differ, the
//! database finds those that were edited here, and only their rows are handed over.

use std::collections::HashSet;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use setpoint_entity::{seed, setting};
use setpoint_importers::Key;

use super::{Layer, Seed};
use crate::differing::{Row, differing};
use crate::plan::SourceStatus;
use crate::setting::layer as setting_layer;
use crate::source::ReadSource;
use crate::{Result, bulk, rows};

/// Rows are asked for one by one only if they are fewer than one in so many.
const FEW: usize = 8;

/// Fills `layer` with the seeds and live values that differ from each other or from the files,
/// and takes out of it what the files say of other keys.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn load(
    db: &impl ConnectionTrait,
    namespace: &str,
    name: &str,
    layer: &mut Layer<'_>,
    sources: &[ReadSource],
    edited: Option<&[Row]>,
) -> Result<()> {
    // Keys that have other names now are looked for among all seeds.
    let here = sources.iter().filter(|it| it.status.is_merged() && is_of(it, namespace, name));
    if here.clone().any(|it| it.status == SourceStatus::New || it.is_redeclared) {
        return load_all(db, namespace, name, layer).await;
    }
    let mut differs = HashSet::new();
    let mut seen = vec![false; layer.theirs.len()];
    let mut seeds = 0;
    for source in here {
        let path = &source.declared.path;
        let condition = "namespace = $1 AND layer = $2 AND source = $3";
        let values = [namespace.into(), name.into(), path.as_str().into()];
        let columns = ["key", "value", "format"];
        let rows: Vec<(String, String, Option<String>)> =
            bulk::select(db, &columns, "seed", condition, values).await?;
        seeds += rows.len();
        for (key, value, format) in rows {
            let theirs = layer.theirs.get_full(key.as_str()).filter(|it| it.2.path == path);
            let same = theirs.is_some_and(|(_, _, it)| {
                let own = &it.entry.value;
                own.format.map(|it| it.as_str()) == format.as_deref() && own.text() == value
            });
            match (theirs, same) {
                (Some((at, ..)), true) => seen[at] = true,
                _ => drop(differs.insert(key)),
            }
        }
    }
    let others = layer.theirs.keys().zip(seen).filter(|(_, seen)| !seen);
    differs.extend(others.map(|(key, _)| (*key).to_owned()));
    if differs.len() > seeds / FEW {
        return load_all(db, namespace, name, layer).await;
    }
    match edited {
        Some(rows) => differs.extend(rows.iter().map(|it| it.key.clone())),
        None => {
            let rows = differing(db, namespace, name).await?;
            differs.extend(rows.into_iter().map(|it| it.key));
        }
    }
    if differs.len() > seeds / FEW {
        return load_all(db, namespace, name, layer).await;
    }
    layer.theirs.retain(|key, _| differs.contains(*key));
    load_some(db, namespace, name, layer, differs).await
}

fn is_of(source: &ReadSource, namespace: &str, layer: &str) -> bool {
    source.declared.namespace == namespace && source.declared.layer == layer
}

async fn load_all(
    db: &impl ConnectionTrait,
    namespace: &str,
    name: &str,
    layer: &mut Layer<'_>,
) -> Result<()> {
    let columns = ["key", "value", "format", "source", "raw_key"];
    let condition = "namespace = $1 AND layer = $2";
    let values = [namespace.into(), name.into()];
    /// Key, value, format, source, and the key as the file had it.
    type Row = (String, String, Option<String>, String, Option<String>);
    let seeds: Vec<Row> = bulk::select(db, &columns, "seed", condition, values).await?;
    for (key, text, format, source, raw_key) in seeds {
        let value = rows::value(&text, format.as_deref())?;
        let raw_key = raw_key.map(rows::key).transpose()?;
        layer.seeds.insert(rows::key(key)?, Seed { value, source, raw_key });
    }
    layer.live = setting_layer(db, namespace, name).await?;
    Ok(())
}

async fn load_some(
    db: &impl ConnectionTrait,
    namespace: &str,
    name: &str,
    layer: &mut Layer<'_>,
    keys: HashSet<String>,
) -> Result<()> {
    const CHUNK_ROWS: usize = 500;
    let keys: Vec<String> = keys.into_iter().collect();
    for chunk in keys.chunks(CHUNK_ROWS) {
        let seeds = seed::Entity::find()
            .filter(seed::Column::Namespace.eq(namespace))
            .filter(seed::Column::Layer.eq(name))
            .filter(seed::Column::Key.is_in(chunk));
        for row in seeds.all(db).await? {
            let value = rows::value(&row.value, row.format.as_deref())?;
            let raw_key: Option<Key> = row.raw_key.map(rows::key).transpose()?;
            layer.seeds.insert(rows::key(row.key)?, Seed { value, source: row.source, raw_key });
        }
        let live = setting::Entity::find()
            .filter(setting::Column::Namespace.eq(namespace))
            .filter(setting::Column::Layer.eq(name))
            .filter(setting::Column::Key.is_in(chunk));
        layer.live.extend(crate::setting::values(db, live).await?);
    }
    Ok(())
}
