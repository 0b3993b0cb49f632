//! Live values into the files they came from, as a plan: afterwards a file says what is live.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use setpoint_entity::{removed_key, seed};
use setpoint_importers::{Entry, Key, Limits, TypedValue};

use crate::apply::head;
use crate::drift::{self, Drift, Kind as DriftKind};
use crate::import::Import;
pub use crate::open::Left;
use crate::open::{Open, SeedKeys, saying_what_it_can, seeds_of};
use crate::plan::{Author, Base, Change, Class, Kind, Origin, Plan};
use crate::setting::{below, layer};
use crate::source::{Declared, Meaning, ReadSource, imported, read_bytes, with_known};
use crate::{Error, Result};

/// What is to be adopted, in one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Everything that was edited here and nobody ignores.
    All,
    /// These keys and those below them, whatever their drift is.
    Keys(Vec<Key>),
}

/// An import of what the files will say, and the keys that no file is found for.
#[derive(Debug)]
pub struct Adoption {
    pub import: Import,
    /// None, unless everything was wanted.
    pub left: Vec<Left>,
}

/// Plans to write live values into their files: comments, order, quoting and anchors stay.
///
/// # Errors
///
/// [`Error::NoDrift`] for a key that is in line; [`Error::NoHome`] if no file can take a key, and
/// [`Error::Edit`], [`Error::Unmapped`], [`Error::NotTheSame`], [`Error::SecretInFile`] and
/// [`Error::SecretValue`] if its file cannot be made to say it: with [`Wanted::All`] such keys are
/// left out. [`Error::Redeclared`], and those of reading the files; [`Error::Database`].
#[expect(clippy::too_many_arguments, reason = "context first, then inputs, then now")]
pub async fn plan(
    db: &impl ConnectionTrait,
    declared: &[Declared],
    root: &Path,
    namespace: &str,
    wanted: &Wanted,
    limits: &Limits,
    author: Author,
    now: DateTime<Utc>,
) -> Result<Adoption> {
    let head = head(db).await?;
    let found = drift::report(db, declared, root, &[], limits, now).await?.drift;
    let known = imported(db).await?;
    let declared = with_known(declared, &known, root)?;
    let unreadable: Vec<&Declared> =
        found.iter().filter_map(|it| file_of(it, namespace, &declared)).collect();
    let chosen = match wanted.of(found, namespace) {
        Err(Error::NoDrift { .. }) if !unreadable.is_empty() => Vec::new(),
        chosen => chosen?,
    };
    if let Some(file) = unreadable.first().filter(|_| chosen.is_empty()) {
        // What is in it cannot be compared; reading it says why.
        read_bytes(file, limits)??;
    }

    let mut by_file = BTreeMap::<String, Vec<Drift>>::new();
    let mut left = Vec::new();
    for one in chosen {
        let Some(key) = &one.key else { continue };
        let path = match &one.source {
            Some(path) => {
                let is_it = |it: &&Declared| is_at(it, namespace, &one.layer) && it.path == *path;
                declared.iter().find(is_it).map(|it| it.path.clone())
            }
            None => home(db, namespace, &one.layer, key, &declared).await?,
        };
        match path {
            Some(path) => by_file.entry(path).or_default().push(one),
            None if *wanted == Wanted::All => left.push(Left {
                key: key.clone(),
                reason: "more than one file could take it, or none".to_owned(),
            }),
            None => {
                return Err(Error::NoHome {
                    key: key.to_string(),
                    help: "more than one file of its layer could, or none".to_owned(),
                });
            }
        }
    }

    let mut changes = Vec::new();
    let mut sources = Vec::new();
    let mut rewrites = Vec::new();
    for (path, drift) in by_file {
        let is_it = |it: &&Declared| it.namespace == namespace && it.path == path;
        let declared = declared.iter().find(is_it).expect("a file with drift is declared or known");
        let last = known.iter().find(|it| it.namespace == namespace && it.path == path);
        let file = Open::of(declared, last, limits)?;
        let seeds = seeds_of(db, namespace, &path).await?;
        let live = match drift.iter().any(is_subtree) {
            true => layer(db, namespace, &declared.layer).await?,
            false => HashMap::new(),
        };
        let values = drift.iter().flat_map(|it| leaves(it, &file.meaning, &seeds, &live));
        let mut values: Vec<(Key, Option<TypedValue>)> = values.collect();
        let (source, rewrite) = match wanted {
            Wanted::Keys(_) => file.saying(&values, &seeds, limits)?,
            Wanted::All => {
                drop(file);
                let open = || Open::of(declared, last, limits);
                let (said, refused) = saying_what_it_can(open, &mut values, &seeds, limits)?;
                left.extend(refused);
                said
            }
        };
        if values.is_empty() {
            continue;
        }
        let says = source.meaning.iter().flat_map(|it| &it.entries);
        let says: HashMap<&Key, &Entry> = says.map(|it| (&it.key, it)).collect();
        changes.extend(values.into_iter().map(|(key, live)| {
            let entry = says.get(&key).copied();
            converge(&source.declared, key, live, entry)
        }));
        sources.push(source);
        rewrites.push(rewrite);
    }
    let planned = sources.iter().map(ReadSource::planned).collect();
    let plan = Plan::new(Kind::Adopt, Base::of(&head), author, planned, changes);
    Ok(Adoption { import: Import { plan, sources, rewrites }, left })
}

/// The file that a drift is about as a whole, and that cannot be read.
fn file_of<'a>(drift: &Drift, namespace: &str, declared: &'a [Declared]) -> Option<&'a Declared> {
    let is_file = matches!(drift.kind, DriftKind::FileMissing | DriftKind::FileUnreadable);
    let is_it =
        |it: &&Declared| it.namespace == namespace && drift.source.as_ref() == Some(&it.path);
    declared.iter().find(is_it).filter(|_| is_file && drift.namespace == namespace)
}

impl Wanted {
    fn of(&self, drift: Vec<Drift>, namespace: &str) -> Result<Vec<Drift>> {
        let here = drift.into_iter().filter(|it| it.namespace == namespace && it.key.is_some());
        let here: Vec<Drift> = here.collect();
        match self {
            Self::All => Ok(here
                .into_iter()
                .filter(|it| matches!(it.kind, DriftKind::EditedHere | DriftKind::UnknownKey))
                .filter(|it| !it.is_ignored())
                .collect()),
            Self::Keys(keys) => {
                let is_at = |it: &Drift, key: &Key| {
                    it.key.as_ref().is_some_and(|found| found.starts_with(key))
                };
                let missing = keys.iter().find(|key| !here.iter().any(|it| is_at(it, key)));
                if let Some(key) = missing {
                    let (namespace, key) = (namespace.to_owned(), key.to_string());
                    return Err(Error::NoDrift { namespace, key });
                }
                Ok(here.into_iter().filter(|it| keys.iter().any(|key| is_at(it, key))).collect())
            }
        }
    }
}

/// Whether a drift speaks for its key and everything below it.
fn is_subtree(drift: &Drift) -> bool {
    let sides = [&drift.file, &drift.seed, &drift.live];
    sides.into_iter().flatten().any(|it| it.json.as_object().is_some_and(|it| !it.is_empty()))
}

/// The keys that a drift is about, each with its live value.
fn leaves(
    drift: &Drift,
    meaning: &Meaning,
    seeds: &SeedKeys,
    live: &HashMap<Key, TypedValue>,
) -> Vec<(Key, Option<TypedValue>)> {
    let Some(root) = &drift.key else { return Vec::new() };
    if !is_subtree(drift) {
        return vec![(root.clone(), drift.live.clone())];
    }
    let said = meaning.entries.iter().map(|it| &it.key);
    let keys: BTreeSet<&Key> = said.chain(seeds.keys()).chain(live.keys()).collect();
    let below = keys.into_iter().filter(|it| it.starts_with(root));
    below.map(|it| (it.clone(), live.get(it).cloned())).collect()
}

fn converge(
    declared: &Declared,
    key: Key,
    live: Option<TypedValue>,
    entry: Option<&Entry>,
) -> Change {
    Change {
        namespace: declared.namespace.clone(),
        layer: declared.layer.clone(),
        class: Class::Converge,
        before: live.clone(),
        after: live,
        seed: None,
        origin: entry.map(|it| Origin {
            file: declared.path.clone(),
            line: it.place.line,
            column: it.place.column,
        }),
        provenance: None,
        key,
    }
}

/// The file that a new key of a layer belongs to: the one it was taken out of, or the only one
/// that has keys of the nearest map it lies in, or the only one of the layer, or the only one of
/// it that follows the database.
pub(crate) async fn home(
    db: &impl ConnectionTrait,
    namespace: &str,
    layer: &str,
    key: &Key,
    declared: &[Declared],
) -> Result<Option<String>> {
    let id = (namespace.to_owned(), layer.to_owned(), key.to_string());
    if let Some(row) = removed_key::Entity::find_by_id(id).one(db).await?
        && declared.iter().any(|it| is_at(it, namespace, layer) && it.path == row.source)
    {
        return Ok(Some(row.source));
    }
    for above in key.ancestors() {
        let mut sources: Vec<String> = seed::Entity::find()
            .select_only()
            .column(seed::Column::Source)
            .distinct()
            .filter(seed::Column::Namespace.eq(namespace))
            .filter(seed::Column::Layer.eq(layer))
            .filter(below(seed::Column::Key, above))
            .limit(2)
            .into_tuple()
            .all(db)
            .await?;
        match sources.len() {
            0 => {}
            1 => {
                let is_there = |it: &String| {
                    declared.iter().any(|one| is_at(one, namespace, layer) && one.path == *it)
                };
                return Ok(sources.pop().filter(is_there));
            }
            _ => return Ok(None),
        }
    }
    let of_layer = || declared.iter().filter(|it| is_at(it, namespace, layer));
    Ok(only(of_layer()).or_else(|| only(of_layer().filter(|it| it.write_back))))
}

fn is_at(declared: &Declared, namespace: &str, layer: &str) -> bool {
    (declared.namespace.as_str(), declared.layer.as_str()) == (namespace, layer)
}

fn only<'a>(mut found: impl Iterator<Item = &'a Declared>) -> Option<String> {
    match (found.next(), found.next()) {
        (Some(only), None) => Some(only.path.clone()),
        _ => None,
    }
}
