//! Back to what the files said at their last import, as a plan.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use setpoint_entity::seed;
use setpoint_importers::{Key, TypedValue};

use crate::apply::{head, refuse_stale};
use crate::edit::{self, Edits};
use crate::export::{self, ExportFormat};
use crate::plan::{Author, Base, Change, Class, Kind, Origin, Plan};
use crate::setting::{self, Scope};
use crate::{Error, Result, originals, rows};

/// What to put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub namespace: String,
    /// Only this layer.
    pub layer: Option<String>,
    /// Only these keys and those below them; all if there are none.
    pub keys: Vec<Key>,
    /// Whether keys that no file has are removed too.
    pub purge: bool,
}

/// Plans to give every setting of `target` the value of its seed. Users' own keys, which no file
/// has, are kept without `purge`.
///
/// # Errors
///
/// [`Error::UnknownKey`] if there is nothing at one of the keys; [`Error::NotATree`] if a user's own
/// key stands above or below a seed and is not purged; [`Error::Database`].
pub async fn plan(db: &impl ConnectionTrait, target: &Target, author: Author) -> Result<Plan> {
    let head = head(db).await?;
    let mut seeds = seeds(db, target).await?;
    let mut layers: Vec<String> = setting::layers(db)
        .await?
        .into_iter()
        .filter(|(namespace, layer)| *namespace == target.namespace && target.includes(layer))
        .map(|(_, layer)| layer)
        .collect();
    layers.extend(seeds.keys().cloned());
    layers.sort();
    layers.dedup();

    let mut changes: Vec<Change> = Vec::new();
    let mut unknown: Vec<&Key> = target.keys.iter().collect();
    for layer in layers {
        let live = setting::layer(db, &target.namespace, &layer).await?;
        let seeds = seeds.remove(&layer).unwrap_or_default();
        unknown.retain(|it| !seeds.keys().any(|key| key.starts_with(it)));
        let mut edits = Edits::new();
        let mut origins = HashMap::new();
        for (key, value) in &live {
            if !target.contains(key) || seeds.contains_key(key) {
                continue;
            }
            unknown.retain(|it| !key.starts_with(it));
            match target.purge {
                true => drop(edits.insert(key.clone(), None)),
                false => changes.push(kept(target, &layer, key, value)),
            }
        }
        for (key, (value, origin)) in seeds {
            origins.insert(key.clone(), origin);
            edits.insert(key, Some(value));
        }
        let planned = edit::changes(&target.namespace, &layer, &live, edits)?;
        changes.extend(planned.into_iter().map(|it| {
            let origin = origins.remove(&it.key);
            Change { origin, ..it }
        }));
    }
    if let Some(key) = unknown.first() {
        return Err(Error::UnknownKey {
            namespace: target.namespace.clone(),
            key: key.to_string(),
            help: "no file and nobody has set it; `setpoint search` finds keys".to_owned(),
        });
    }
    Ok(Plan::new(Kind::Reset, Base::of(&head), author, Vec::new(), changes))
}

fn kept(target: &Target, layer: &str, key: &Key, value: &TypedValue) -> Change {
    Change {
        namespace: target.namespace.clone(),
        layer: layer.to_owned(),
        key: key.clone(),
        class: Class::Keep,
        before: Some(value.clone()),
        after: Some(value.clone()),
        seed: None,
        origin: None,
        provenance: None,
    }
}

impl Target {
    fn includes(&self, layer: &str) -> bool {
        self.layer.as_ref().is_none_or(|it| it == layer)
    }

    fn contains(&self, key: &Key) -> bool {
        self.keys.is_empty() || self.keys.iter().any(|it| key.starts_with(it))
    }
}

type Seeds = BTreeMap<Key, (TypedValue, Origin)>;

/// The seeds of `target`, by layer.
async fn seeds(db: &impl ConnectionTrait, target: &Target) -> Result<BTreeMap<String, Seeds>> {
    let mut found = seed::Entity::find().filter(seed::Column::Namespace.eq(&target.namespace));
    if let [only] = target.keys.as_slice() {
        found = found.filter(setting::within(seed::Column::Key, only));
    }
    let mut seeds = BTreeMap::<String, Seeds>::new();
    for row in found.all(db).await? {
        let key = rows::key(row.key.clone())?;
        if target.includes(&row.layer) && target.contains(&key) {
            let value = rows::value(&row.value, row.format.as_deref())?;
            let origin = rows::origin(&row);
            seeds.entry(row.layer).or_default().insert(key, (value, origin));
        }
    }
    Ok(seeds)
}

/// The settings of every namespace that `plan` is about, as they are: to be kept before it is
/// applied.
///
/// # Errors
///
/// [`Error::Stale`] if it would not be applied, [`Error::Database`].
pub async fn before(db: &impl ConnectionTrait, plan: &Plan) -> Result<Vec<(String, Vec<u8>)>> {
    refuse_stale(db, plan, &head(db).await?).await?;
    let namespaces: BTreeSet<&str> = plan.changes.iter().map(|it| it.namespace.as_str()).collect();
    let mut kept = Vec::new();
    for namespace in namespaces {
        kept.extend(documents(db, namespace).await?);
    }
    Ok(kept)
}

/// Every setting of a namespace as it is: a JSON document a layer, by its name. `setpoint import`
/// reads them.
///
/// # Errors
///
/// [`Error::Database`].
async fn documents(db: &impl ConnectionTrait, namespace: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let mut documents = Vec::new();
    for (_, layer) in setting::layers(db).await?.into_iter().filter(|it| it.0 == namespace) {
        let scope = Scope { namespace: namespace.to_owned(), layers: vec![layer.clone()] };
        let text = export::document(db, &scope, None, None, ExportFormat::Json).await?;
        documents.push((format!("{namespace}.{layer}.json"), text.into_bytes()));
    }
    Ok(documents)
}

/// Writes `documents` into a new folder of `backups`, and returns it.
///
/// # Errors
///
/// [`Error::Unwritable`].
pub fn keep(
    documents: &[(String, Vec<u8>)],
    backups: &Path,
    now: DateTime<Utc>,
) -> Result<PathBuf> {
    let files = documents.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    originals::keep(backups, "pre_reset", files, now)
}
