//! Live values into the files they came from, as a plan: afterwards a file says what is live.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use serde::Serialize;
use setpoint_entity::{removed_key, seed};
use setpoint_importers::{Edit, Entry, Key, Limits, Mapper, MappingFault, TypedValue};

use crate::apply::head;
use crate::drift::{self, Drift, Kind as DriftKind};
use crate::file::{Rewrite, Shown};
use crate::import::Import;
use crate::plan::{Author, Base, Change, Class, Kind, Origin, Plan, SourceStatus};
use crate::setting::{below, layer};
use crate::source::{
    Content, Declared, Imported, Meaning, ReadSource, Taken, imported, read_bytes, with_known,
};
use crate::{Error, Result, hash, rows};

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

/// A key that was not written.
#[derive(Debug, Serialize)]
pub struct Left {
    pub key: Key,
    pub reason: String,
}

/// Plans to write live values into their files: comments, order, quoting and anchors stay.
///
/// # Errors
///
/// [`Error::NoDrift`] for a key that is in line; [`Error::NoHome`] if no file can take a key;
/// [`Error::Edit`] with every key that a file cannot be made to say; those of reading the
/// files; [`Error::Database`].
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

/// The file that a new key of a layer belongs to: the one it was taken out of, or the only one that has keys of the nearest map
/// it lies in, or the only one of the layer, or the only one of it that follows the database.
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

/// The keys that a source has seeds of, each with its name in the file if that is another.
pub(crate) type SeedKeys = HashMap<Key, Option<Key>>;

pub(crate) async fn seeds_of(
    db: &impl ConnectionTrait,
    namespace: &str,
    path: &str,
) -> Result<SeedKeys> {
    let found = seed::Entity::find()
        .select_only()
        .columns([seed::Column::Key, seed::Column::RawKey])
        .filter(seed::Column::Namespace.eq(namespace))
        .filter(seed::Column::Source.eq(path));
    let found: Vec<(String, Option<String>)> = found.into_tuple().all(db).await?;
    let keys = found
        .into_iter()
        .map(|(key, raw_key)| Ok((rows::key(key)?, raw_key.map(rows::key).transpose()?)));
    keys.collect()
}

/// What [`Open::saying`] makes of those of `values` that a file can be made to say. The others
/// are taken out of them and returned, each with the reason.
pub(crate) fn saying_what_it_can<'a>(
    open: impl Fn() -> Result<Open<'a>>,
    values: &mut Vec<(Key, Option<TypedValue>)>,
    seeds: &SeedKeys,
    limits: &Limits,
) -> Result<((ReadSource, Rewrite), Vec<Left>)> {
    let mut left = Vec::new();
    loop {
        let error = match open()?.saying(values, seeds, limits) {
            Ok(said) => return Ok((said, left)),
            Err(error) => error,
        };
        let refused = refused(&error, values, seeds);
        if refused.is_empty() {
            return Err(error);
        }
        values.retain(|(key, _)| !refused.contains_key(key));
        left.extend(refused.into_iter().map(|(key, reason)| Left { key, reason }));
    }
}

/// The keys among `values` that a file cannot be made to say, each with the reason; none if it is
/// the file that cannot be written.
fn refused(
    error: &Error,
    values: &[(Key, Option<TypedValue>)],
    seeds: &SeedKeys,
) -> BTreeMap<Key, String> {
    let one = |key: &str, reason: String| {
        let named = values.iter().find(|(it, _)| it.as_str() == key);
        named.map(|(key, _)| (key.clone(), reason)).into_iter().collect()
    };
    match error {
        Error::Edit(error) => {
            let reasons: HashMap<&Key, &str> =
                error.refusals().iter().map(|it| (&it.key, it.reason.as_str())).collect();
            let raw_key = |key: &Key| seeds.get(key).cloned().flatten();
            let refused = values.iter().filter_map(|(key, _)| {
                let reason = reasons.get(key).or_else(|| reasons.get(&raw_key(key)?))?;
                Some((key.clone(), (*reason).to_owned()))
            });
            let refused: BTreeMap<Key, String> = refused.collect();
            match refused.is_empty() && !error.refusals().is_empty() {
                // They go by names that only the file knows.
                true => values.iter().map(|(key, _)| (key.clone(), error.to_string())).collect(),
                false => refused,
            }
        }
        Error::NoHome { key, .. } | Error::NotTheSame { key, .. } => one(key, error.to_string()),
        Error::SecretInFile { key, .. } | Error::SecretValue { key } => one(key, error.to_string()),
        Error::Unmapped { key, fault } => one(key, fault.to_string()),
        _ => BTreeMap::new(),
    }
}

/// A file that is to say something else.
pub(crate) struct Open<'a> {
    declared: &'a Declared,
    mapper: Mapper,
    bytes: Vec<u8>,
    pub meaning: Meaning,
    /// Whether it says just what was imported of it.
    is_settled: bool,
    /// Whether somebody chose not to take what it says.
    is_skipped: bool,
}

impl<'a> Open<'a> {
    pub(crate) fn of(
        declared: &'a Declared,
        last: Option<&Imported>,
        limits: &Limits,
    ) -> Result<Self> {
        if last.is_some_and(|it| it.declaration_hash != declared.hash()) {
            return Err(Error::Redeclared { path: declared.path.clone() });
        }
        let bytes = read_bytes(declared, limits)??;
        let meaning = Meaning::of(declared, &bytes, limits)??;
        let is_settled = last.is_some_and(|last| {
            last.tree_hash == meaning.tree_hash && last.open_conflicts == 0 && !last.is_partial()
        });
        let is_skipped =
            last.is_some_and(|it| it.skipped_hash.as_ref() == Some(&meaning.tree_hash));
        let mapper = declared.mapper()?;
        Ok(Self { declared, mapper, bytes, meaning, is_settled, is_skipped })
    }

    /// The same file with `values`, as it will be read, and how it is written.
    pub(crate) fn saying(
        self,
        values: &[(Key, Option<TypedValue>)],
        seeds: &SeedKeys,
        limits: &Limits,
    ) -> Result<(ReadSource, Rewrite)> {
        let declared = self.declared;
        let Content::File(file) = &declared.content else {
            return Err(Error::NoHome {
                key: values.first().map(|(key, _)| key.to_string()).unwrap_or_default(),
                help: format!("{} is part of the program", declared.path),
            });
        };
        let in_file: HashSet<&Key> = self.meaning.entries.iter().map(|it| &it.key).collect();
        let edit =
            |key, value: &Option<_>| self.edit(key, value.as_ref(), seeds, in_file.contains(key));
        let wanted: HashSet<&Key> = values.iter().map(|(key, _)| key).collect();
        if let Some(secret) = self.meaning.secrets.iter().find(|it| wanted.contains(&it.key)) {
            let (path, key) = (declared.path.clone(), secret.key.to_string());
            return Err(Error::SecretInFile { path, key });
        }
        let edits = values.iter().map(|(key, value)| edit(key, value));
        let edits: Vec<Edit> = edits.collect::<Result<_>>()?;
        let (name, format) = (Path::new(&declared.path), self.meaning.format.as_str());
        let after = setpoint_importers::edit(name, &self.bytes, Some(format), limits, &edits)?;

        let mut meaning = Meaning::of(declared, &after, limits)??;
        if let Some(secret) = meaning.secrets.iter().find(|it| wanted.contains(&it.key)) {
            return Err(Error::SecretValue { key: secret.key.to_string() });
        }
        let says: HashMap<&Key, &TypedValue> =
            meaning.entries.iter().map(|it| (&it.key, &it.value)).collect();
        if let Some((key, _)) =
            values.iter().find(|(key, it)| says.get(key) != it.as_ref().as_ref())
        {
            return Err(Error::NotTheSame {
                path: declared.path.clone(),
                key: key.to_string(),
                reason: "it would come back with another type".to_owned(),
            });
        }
        if !self.is_settled {
            // A seed above or below what is written can be in the file no more.
            let taken: HashSet<&str> = values.iter().map(|(key, _)| key.as_str()).collect();
            let written = || values.iter().filter(|(_, it)| it.is_some()).map(|(key, _)| key);
            let roots: HashSet<&str> = written().map(Key::as_str).collect();
            let above: HashSet<&str> = written().flat_map(Key::ancestors).collect();
            let is_apart = |it: &&Key| {
                !taken.contains(it.as_str())
                    && !above.contains(it.as_str())
                    && !it.ancestors().any(|it| roots.contains(it))
            };
            let all = meaning.entries.iter().map(|Entry { key, .. }| key).chain(seeds.keys());
            let held: Vec<Key> = all.filter(is_apart).cloned().collect();
            meaning.held.extend(held);
        }
        let masked =
            |meaning: &Meaning, bytes: &[u8]| meaning.masked.as_deref().unwrap_or(bytes).to_vec();
        let shown =
            Shown { before: masked(&self.meaning, &self.bytes), after: masked(&meaning, &after) };
        let rewrite = Rewrite {
            name: declared.path.clone(),
            path: file.clone(),
            before: Some(self.bytes),
            after: after.clone(),
            private: false,
            shown: Some(shown),
        };
        let source = ReadSource {
            declared: declared.clone(),
            status: SourceStatus::Changed,
            raw_hash: hash::of_bytes(&after),
            declaration_hash: declared.hash(),
            is_redeclared: false,
            bytes: after,
            meaning: Some(meaning),
            taken: match (self.is_settled, self.is_skipped) {
                (true, _) => Taken::Whole,
                (false, true) => Taken::PartOfSkipped,
                (false, false) => Taken::Part,
            },
        };
        Ok((source, rewrite))
    }

    fn edit(
        &self,
        key: &Key,
        value: Option<&TypedValue>,
        seeds: &SeedKeys,
        is_in_file: bool,
    ) -> Result<Edit> {
        let mapper = &self.mapper;
        let in_file = is_in_file.then(|| self.meaning.raw_keys.get(key).unwrap_or(key));
        let before = || seeds.get(key).map(|it| it.as_ref().unwrap_or(key));
        let leads_here =
            |raw_key: &&Key| mapper.key(raw_key).is_ok_and(|it| it.as_ref() == Some(key));
        let raw_key = match in_file.or_else(|| before().filter(leads_here)) {
            Some(raw_key) => raw_key.clone(),
            None => mapper.unmap(key).ok_or_else(|| Error::NoHome {
                key: key.to_string(),
                help: format!("the mapping of {} makes no such key", self.declared.path),
            })?,
        };
        let unmapped = |fault| Error::Unmapped { key: key.to_string(), fault: Box::new(fault) };
        if mapper.is_split(&raw_key) {
            return Err(unmapped(MappingFault::SplitSetting { raw: raw_key }));
        }
        let written = self.meaning.written.get(&raw_key).copied();
        let value = value.map(|it| mapper.unvalue(&raw_key, it, written)).transpose();
        let value = value.map_err(unmapped)?;
        Ok(Edit { key: raw_key, value })
    }
}
