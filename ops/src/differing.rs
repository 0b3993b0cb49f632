//! The keys of a layer whose seed and live value are not the same. The database compares, and
//! hands over only those.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde::Deserialize;
use setpoint_entity::{seed, setting};

use crate::{Result, bulk};

/// One key, as the tables have it.
#[derive(Deserialize)]
pub(crate) struct Row {
    pub key: String,
    /// Of the seed; none if no file has the key.
    pub source: Option<String>,
    pub line: Option<i64>,
    pub column: Option<i64>,
    pub seed: Option<String>,
    pub seed_format: Option<String>,
    pub live: Option<String>,
    pub live_format: Option<String>,
}

/// In the order of [`Row`].
const COLUMNS: [&str; 8] =
    ["key", "source", "line", "column", "seed", "seed_format", "live", "live_format"];

/// The seed of one key: key, value and format.
pub(crate) type SeedRow = (String, String, Option<String>);

/// What was asked of the database before it was known whether it is needed.
#[derive(Default)]
pub(crate) struct Fetched {
    /// What differs in each layer, by its namespace and name.
    pub differing: HashMap<(String, String), Vec<Row>>,
    /// The seeds of files, by their namespace and path.
    pub seeds: HashMap<(String, String), Vec<SeedRow>>,
}

/// Texts are compared: two of one value, such as maps in another order, differ here.
const EDITED: &str = "
SELECT s.key, s.source, s.line, s.\"column\", s.value AS seed, s.format AS seed_format,
       l.value AS live, l.format AS live_format
FROM seed s LEFT JOIN setting l
ON l.namespace = s.namespace AND l.layer = s.layer AND l.key = s.key
WHERE s.namespace = $1 AND s.layer = $2
AND (l.value IS NULL OR l.value <> s.value OR l.format IS DISTINCT FROM s.format)";

const OWN: &str = "
SELECT l.key, NULL AS source, NULL AS line, NULL AS \"column\", NULL AS seed,
       NULL AS seed_format, l.value AS live, l.format AS live_format
FROM setting l LEFT JOIN seed s
ON s.namespace = l.namespace AND s.layer = l.layer AND s.key = l.key
WHERE l.namespace = $1 AND l.layer = $2 AND s.key IS NULL";

/// The keys of a layer that were edited here, and those that no file has.
///
/// # Errors
///
/// [`crate::Error::Database`].
#[tracing::instrument(level = "debug", skip_all)]
pub(crate) async fn differing(
    db: &impl ConnectionTrait,
    namespace: &str,
    layer: &str,
) -> Result<Vec<Row>> {
    let ask = async |sql| -> Result<Vec<Row>> {
        let values = [namespace.into(), layer.into()];
        bulk::select(db, &COLUMNS, &format!("({sql}) differing"), "true", values).await
    };
    let mut rows = ask(EDITED).await?;
    let seeds = seed::Entity::find()
        .filter(seed::Column::Namespace.eq(namespace))
        .filter(seed::Column::Layer.eq(layer));
    let live = setting::Entity::find()
        .filter(setting::Column::Namespace.eq(namespace))
        .filter(setting::Column::Layer.eq(layer));
    let (seeds, live) = (seeds.count(db).await?, live.count(db).await?);
    let deleted = rows.iter().filter(|it| it.live.is_none()).count() as u64;
    // To count is much less work than to look each of them up.
    if live + deleted > seeds {
        rows.extend(ask(OWN).await?);
    }
    Ok(rows)
}

/// Every seed of the file at `path`.
///
/// # Errors
///
/// [`crate::Error::Database`].
#[tracing::instrument(level = "debug", skip_all)]
pub(crate) async fn seeds_of(
    db: &impl ConnectionTrait,
    namespace: &str,
    layer: &str,
    path: &str,
) -> Result<Vec<SeedRow>> {
    let condition = "namespace = $1 AND layer = $2 AND source = $3";
    let values = [namespace.into(), layer.into(), path.into()];
    bulk::select(db, &["key", "value", "format"], "seed", condition, values).await
}
