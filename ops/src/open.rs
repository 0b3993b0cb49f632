//! A file of the application that is to say something else: what it will say, checked before it
//! is written.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use serde::Serialize;
use setpoint_entity::seed;
use setpoint_importers::{Edit, Entry, Key, Limits, Mapper, MappingFault, TypedValue};

use crate::file::{Rewrite, Shown};
use crate::plan::SourceStatus;
use crate::source::{Content, Declared, Imported, Meaning, ReadSource, Taken, read_bytes};
use crate::{Error, Result, hash, rows};

/// A key that was not written.
#[derive(Debug, Serialize)]
pub struct Left {
    pub key: Key,
    pub reason: String,
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
