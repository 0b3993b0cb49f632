//! What the database has of a layer, as far as the merge has to look at it.
//!
//! A key that file, seed and database agree on has nothing to merge. Where only some differ, the
//! database finds those that were edited here, and only their rows are handed over.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, Value};
use setpoint_importers::Key;

use super::{Layer, Seed};
use crate::differing::{Fetched, SeedRow, differing, seeds_of};
use crate::plan::SourceStatus;
use crate::source::ReadSource;
use crate::{Result, bulk, rows, setting};

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
    fetched: &Fetched,
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
        let asked: Vec<SeedRow>;
        let rows = match fetched.seeds.get(&(namespace.to_owned(), path.clone())) {
            Some(rows) => rows,
            None => {
                asked = seeds_of(db, namespace, name, path).await?;
                &asked
            }
        };
        seeds += rows.len();
        for (key, value, format) in rows {
            let theirs = layer.theirs.get_full(key.as_str()).filter(|it| it.2.path == path);
            let same = theirs.is_some_and(|(_, _, it)| {
                let own = &it.entry.value;
                own.format.map(|it| it.as_str()) == format.as_deref() && own.text() == *value
            });
            match (theirs, same) {
                (Some((at, ..)), true) => seen[at] = true,
                _ => drop(differs.insert(key.clone())),
            }
        }
    }
    let others = layer.theirs.keys().zip(seen).filter(|(_, seen)| !seen);
    differs.extend(others.map(|(key, _)| (*key).to_owned()));
    if differs.len() > seeds / FEW {
        return load_all(db, namespace, name, layer).await;
    }
    match fetched.differing.get(&(namespace.to_owned(), name.to_owned())) {
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
    let values = [namespace.into(), name.into()];
    fill(db, "namespace = $1 AND layer = $2", &values, layer).await
}

async fn load_some(
    db: &impl ConnectionTrait,
    namespace: &str,
    name: &str,
    layer: &mut Layer<'_>,
    keys: HashSet<String>,
) -> Result<()> {
    let keys = serde_json::to_string(&keys).expect("keys are texts");
    let values = [namespace.into(), name.into(), keys.into()];
    let listed = bulk::listed(db.get_database_backend(), "$3");
    let condition = format!("namespace = $1 AND layer = $2 AND key IN ({listed})");
    fill(db, &condition, &values, layer).await
}

async fn fill(
    db: &impl ConnectionTrait,
    condition: &str,
    values: &[Value],
    layer: &mut Layer<'_>,
) -> Result<()> {
    let columns = ["key", "value", "format", "source", "raw_key"];
    /// Key, value, format, source, and the key as the file had it.
    type Row = (String, String, Option<String>, String, Option<String>);
    let seeds: Vec<Row> = bulk::select(db, &columns, "seed", condition, values.to_vec()).await?;
    for (key, text, format, source, raw_key) in seeds {
        let value = rows::value(&text, format.as_deref())?;
        let raw_key: Option<Key> = raw_key.map(rows::key).transpose()?;
        layer.seeds.insert(rows::key(key)?, Seed { value, source, raw_key });
    }
    layer.live.extend(setting::matching(db, condition, values.to_vec()).await?);
    Ok(())
}
