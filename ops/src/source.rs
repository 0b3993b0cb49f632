//! Files as sources of settings: reading them, and what their last import was.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use sea_orm::{ConnectionTrait, DerivePartialModel, EntityTrait};
use serde::Serialize;
use serde_json::Value;
use setpoint_entity::source;
use setpoint_importers::{Entry, ImportError, Key, Limits, Note};

use crate::plan::{PlannedSource, SourceStatus};
use crate::{Error, Result, hash};

/// A file and where its settings go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    pub namespace: String,
    pub layer: String,
    /// The name it is remembered by: relative to the folder of the configuration.
    pub path: String,
    /// Where it is.
    pub file: PathBuf,
    /// The importer's name; by the file's extension if there is none.
    pub format: Option<String>,
    /// The key that all its keys go below.
    pub prefix: Option<Key>,
}

/// A declared file as it is now.
#[derive(Debug)]
pub struct ReadSource {
    pub declared: Declared,
    pub status: SourceStatus,
    pub bytes: Vec<u8>,
    pub raw_hash: String,
    pub declaration_hash: String,
    /// What it says, below its prefix; not read if the file is unchanged.
    pub meaning: Option<Meaning>,
}

#[derive(Debug)]
pub struct Meaning {
    pub format: String,
    pub tree_hash: String,
    pub entries: Vec<Entry>,
    pub notes: Vec<Note>,
}

/// What is remembered of an import, without the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, DerivePartialModel)]
#[sea_orm(entity = "source::Entity")]
pub struct Imported {
    pub namespace: String,
    pub path: String,
    pub layer: String,
    pub format: String,
    pub raw_hash: String,
    pub tree_hash: String,
    pub declaration_hash: String,
    pub version: i64,
    pub open_conflicts: i64,
    pub imported_at: String,
    pub imported_by: String,
    pub revision: i64,
}

/// Every source that was ever imported, in order of namespace and path.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn imported(db: &impl ConnectionTrait) -> Result<Vec<Imported>> {
    use sea_orm::QueryOrder;
    let sorted = source::Entity::find()
        .order_by_asc(source::Column::Namespace)
        .order_by_asc(source::Column::Path);
    Ok(sorted.into_partial_model::<Imported>().all(db).await?)
}

/// Reads `declared` files and compares each with its last import.
///
/// An unchanged file costs one hash. A file with conflicts left open is read again.
///
/// # Errors
///
/// [`Error::Unreadable`] for the first file that cannot be read; the faults of all files that
/// are refused, together.
#[tracing::instrument(level = "debug", skip_all)]
pub fn read(
    declared: &[Declared],
    imported: &[Imported],
    limits: &Limits,
) -> Result<Vec<ReadSource>> {
    let known: BTreeMap<_, _> =
        imported.iter().map(|it| ((it.namespace.as_str(), it.path.as_str()), it)).collect();
    let mut sources = Vec::with_capacity(declared.len());
    let mut refused = Vec::new();
    for declared in declared {
        let last = known.get(&(declared.namespace.as_str(), declared.path.as_str())).copied();
        match read_one(declared, last, limits)? {
            Ok(source) => sources.push(source),
            Err(error) => refused.push(error),
        }
    }
    if refused.len() > 1 {
        return Err(Error::Refused { errors: refused });
    }
    match refused.pop() {
        Some(error) => Err(error.into()),
        None => Ok(sources),
    }
}

/// Reads again the files that a saved plan was computed from.
///
/// # Errors
///
/// [`Error::Stale`] if one says something else by now, and as [`read`].
pub fn read_again(
    planned: &[PlannedSource],
    root: &Path,
    limits: &Limits,
) -> Result<Vec<ReadSource>> {
    let declared: Vec<Declared> = planned.iter().map(|it| Declared::of(it, root)).collect();
    let mut sources = read(&declared, &[], limits)?;
    for (source, planned) in sources.iter_mut().zip(planned) {
        if source.raw_hash != planned.raw_hash {
            return Err(Error::Stale { reason: format!("{} has changed", planned.path) });
        }
        source.status = planned.status;
        if planned.status == SourceStatus::Unchanged {
            source.meaning = None;
        }
    }
    Ok(sources)
}

fn read_one(
    declared: &Declared,
    last: Option<&Imported>,
    limits: &Limits,
) -> Result<Result<ReadSource, ImportError>> {
    let bytes = match read_bytes(declared, limits)? {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Err(error)),
    };
    let raw_hash = hash::of_bytes(&bytes);
    let declaration_hash = declared.hash();
    let mut source = ReadSource {
        declared: declared.clone(),
        status: SourceStatus::New,
        bytes,
        raw_hash,
        declaration_hash,
        meaning: None,
    };
    let is_known = last.is_some();
    let last = last.filter(|last| last.declaration_hash == source.declaration_hash);
    let is_open = last.is_some_and(|last| last.open_conflicts > 0);
    if last.is_some_and(|last| last.raw_hash == source.raw_hash) && !is_open {
        source.status = SourceStatus::Unchanged;
        return Ok(Ok(source));
    }

    let format = declared.format.as_deref();
    let name = Path::new(&declared.path);
    let document = match setpoint_importers::read(name, &source.bytes, format, limits) {
        Ok(document) => document,
        Err(error) => return Ok(Err(error)),
    };
    let tree_hash = tree_hash(&document.entries);
    source.status = match last {
        Some(last) if last.tree_hash != tree_hash => SourceStatus::Changed,
        Some(_) if is_open => SourceStatus::Open,
        Some(_) => SourceStatus::SameMeaning,
        None if is_known => SourceStatus::Changed,
        None => SourceStatus::New,
    };
    let mut entries = document.entries;
    if let Some(prefix) = &declared.prefix {
        for entry in &mut entries {
            let key = entry.key.below(prefix);
            entry.key =
                key.map_err(|reason| Error::BadKey { key: entry.key.to_string(), reason })?;
        }
    }
    let (format, notes) = (document.format, document.notes);
    source.meaning = Some(Meaning { format, tree_hash, entries, notes });
    Ok(Ok(source))
}

/// The bytes of the file, of which no more than the limit are ever read.
fn read_bytes(declared: &Declared, limits: &Limits) -> Result<Result<Vec<u8>, ImportError>> {
    let unreadable = |source: io::Error| {
        let help = match source.kind() {
            io::ErrorKind::NotFound => {
                "it is not there; check the path, and `path` in setpoint.toml"
            }
            io::ErrorKind::PermissionDenied => "you may not read it; check its owner and mode",
            io::ErrorKind::IsADirectory => "it is a folder; name the files in it",
            _ => "nothing was changed",
        };
        Error::Unreadable { path: declared.file.clone(), help: help.to_owned(), source }
    };
    // Opening a pipe waits for a writer, who may never come.
    if !fs::metadata(&declared.file).map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::other("it is no regular file")));
    }
    let opened = fs::File::open(&declared.file).map_err(unreadable)?;
    let size = opened.metadata().map_err(unreadable)?.len();
    let mut bytes = Vec::with_capacity(size.min(limits.size_bytes) as usize + 1);
    opened.take(limits.size_bytes + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limits.size_bytes {
        let size = size.max(bytes.len() as u64);
        let limit = limits.size_bytes;
        return Ok(Err(ImportError::TooLarge { path: declared.path.clone(), size, limit }));
    }
    Ok(Ok(bytes))
}

/// A file or a folder of files, as somebody names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Relative to the current folder.
    pub path: PathBuf,
    pub namespace: String,
    pub layer: String,
    pub format: Option<String>,
    pub prefix: Option<Key>,
}

/// The files that `named` stands for, and those in folders that no importer reads.
///
/// A folder means the files in it, not those in folders below it. A file that is named twice
/// counts once, as it was named first.
///
/// # Errors
///
/// [`Error::Unreadable`] if a path is not there or a folder has no file that can be read.
pub fn declare(named: &[Named], root: &Path) -> Result<(Vec<Declared>, Vec<PathBuf>)> {
    let mut declared: Vec<Declared> = Vec::new();
    let mut skipped = Vec::new();
    for one in named {
        let files = match one.path.is_dir() {
            true => files_in(&one.path, one.format.is_some(), &mut skipped)?,
            false => vec![one.path.clone()],
        };
        for file in files {
            let path = relative(&file, root);
            if declared.iter().any(|it| it.path == path && it.namespace == one.namespace) {
                continue;
            }
            declared.push(Declared {
                namespace: one.namespace.clone(),
                layer: one.layer.clone(),
                path,
                file,
                format: one.format.clone(),
                prefix: one.prefix.clone(),
            });
        }
    }
    Ok((declared, skipped))
}

fn files_in(folder: &Path, any: bool, skipped: &mut Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let unreadable = |help: &str, source| Error::Unreadable {
        path: folder.to_owned(),
        help: help.to_owned(),
        source,
    };
    let forbidden = |source| unreadable("check its owner and mode", source);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(forbidden)? {
        let path = entry.map_err(forbidden)?.path();
        let ours = path.file_name().is_some_and(|it| it == "setpoint.toml");
        if path.is_dir() || ours {
            continue;
        }
        match any || setpoint_importers::format_of(&path).is_some() {
            true => files.push(path),
            false => skipped.push(path),
        }
    }
    files.sort();
    skipped.sort();
    match files.is_empty() {
        true => Err(unreadable(
            "no file in it has an extension we read; name the files and their --format",
            io::Error::other("there is nothing in it to read"),
        )),
        false => Ok(files),
    }
}

/// `file` as seen from `root`, by its name alone: links are not followed, since the target of
/// one may have another name tomorrow.
fn relative(file: &Path, root: &Path) -> String {
    let (file, root) = (absolute(file), absolute(root));
    let same = file.components().zip(root.components()).take_while(|(a, b)| a == b).count();
    let up = root.components().skip(same).map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(file.components().skip(same)).collect();
    path.display().to_string()
}

fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(clean.pop()),
            other => clean.push(other),
        }
    }
    clean
}

impl Declared {
    fn of(planned: &PlannedSource, root: &Path) -> Self {
        Self {
            namespace: planned.namespace.clone(),
            layer: planned.layer.clone(),
            path: planned.path.clone(),
            file: root.join(&planned.path),
            format: planned.format.clone(),
            prefix: planned.prefix.clone(),
        }
    }

    /// Tells a source whose settings go elsewhere from the same file read as before.
    pub fn hash(&self) -> String {
        #[derive(Serialize)]
        struct Declaration<'a> {
            format: Option<&'a str>,
            layer: &'a str,
            prefix: Option<&'a str>,
        }
        let declaration = Declaration {
            format: self.format.as_deref(),
            layer: &self.layer,
            prefix: self.prefix.as_ref().map(Key::as_str),
        };
        hash::of_json("", &declaration)
    }
}

/// The hash of what a file says: the order of keys, comments and line endings do not count.
#[tracing::instrument(level = "debug", skip_all)]
pub fn tree_hash(entries: &[Entry]) -> String {
    #[derive(Serialize)]
    struct Leaf<'a> {
        format: Option<&'static str>,
        key: &'a str,
        value: String,
    }
    let mut leaves: Vec<_> = entries
        .iter()
        .map(|entry| Leaf {
            format: entry.value.format.map(|it| it.as_str()),
            key: entry.key.as_str(),
            value: sorted_text(&entry.value.json),
        })
        .collect();
    leaves.sort_by(|a, b| a.key.cmp(b.key));
    hash::of_json("", &leaves)
}

/// The JSON text of `value` with every map in order of its keys.
fn sorted_text(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => {
            let mut sorted = value.clone();
            sorted.sort_all_objects();
            sorted.to_string()
        }
        scalar => scalar.to_string(),
    }
}
