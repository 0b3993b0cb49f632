//! Files as sources of settings: reading them, and what their last import was.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use sea_orm::{ConnectionTrait, DbErr, DerivePartialModel, EntityTrait};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use setpoint_entity::source;
use setpoint_importers::{
    Document, Entry, ImportError, Key, Limits, Mapper, Mapping, Note, Place, ValueType,
};

use crate::plan::{FoundSecret, PlannedSource, SourceStatus};
use crate::secret::{self, Kept, Rules};
use crate::{Error, Result, hash};

mod declare;
mod list;

pub use declare::{Named, declare};
pub use list::{Listed, State, list};

/// What the paths of seeds begin with that come with the program.
pub const SEEDS: &str = "seeds:";

/// A file and where its settings go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    pub namespace: String,
    pub layer: String,
    /// The name it is remembered by: relative to the folder of the configuration.
    pub path: String,
    pub content: Content,
    pub interpretation: Interpretation,
    /// Whether the file follows the database.
    pub write_back: bool,
}

/// Where the bytes of a source are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    File(PathBuf),
    /// In the program itself.
    Bundled(Cow<'static, [u8]>),
}

/// What is made of the bytes of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpretation {
    /// The importer's name; by the file's extension if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    #[serde(flatten)]
    pub mapping: Mapping,
    /// Which settings are secrets.
    #[serde(default, skip_serializing_if = "Rules::is_empty")]
    pub secrets: Rules,
    /// Which keys are, as the file has them.
    #[serde(default, skip_serializing_if = "Rules::is_empty")]
    pub secrets_in_file: Rules,
}

impl Interpretation {
    /// As the database remembers it; nothing if there is nothing to remember.
    pub(crate) fn to_text(&self) -> Option<String> {
        (*self != Self::default())
            .then(|| serde_json::to_string(self).expect("an interpretation is made of texts"))
    }
}

/// A declared file as it is now.
#[derive(Clone, Debug)]
pub struct ReadSource {
    pub declared: Declared,
    pub status: SourceStatus,
    pub bytes: Vec<u8>,
    pub raw_hash: String,
    pub declaration_hash: String,
    /// Whether it was declared otherwise when it was last imported.
    pub is_redeclared: bool,
    /// What it says; not read if the file is unchanged.
    pub meaning: Option<Meaning>,
    pub taken: Taken,
}

/// How much of what a file says is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Whole,
    /// Some keys of it. The next import looks at it again.
    Part,
    /// Some keys of a version that is skipped, and stays so.
    PartOfSkipped,
}

#[derive(Clone, Debug)]
pub struct Meaning {
    pub format: String,
    pub tree_hash: String,
    /// The settings that it makes.
    pub entries: Vec<Entry>,
    /// The keys of entries as the file has them, where they are others.
    pub raw_keys: HashMap<Key, Key>,
    /// The types that values have in the file, by the keys there, where some are converted.
    pub written: HashMap<Key, ValueType>,
    /// Its secrets, which are no entries unless they are references by now.
    pub secrets: Vec<FoundSecret>,
    /// The bytes to keep, where secrets are masked in them.
    pub masked: Option<Vec<u8>>,
    pub notes: Vec<Note>,
    /// Keys whose seeds stay as they are, whatever the file says.
    pub held: HashSet<Key>,
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
    #[serde(skip)]
    pub interpretation: Option<String>,
    #[serde(skip)]
    pub original_hash: Option<String>,
    #[serde(skip)]
    pub secrets: Option<String>,
    pub skipped_hash: Option<String>,
    pub skipped_by: Option<String>,
}

impl Imported {
    /// Whether it is an import of this source.
    pub fn is_of(&self, declared: &Declared) -> bool {
        (&self.namespace, &self.path) == (&declared.namespace, &declared.path)
    }

    /// The keys that are left out because the file holds secrets there.
    ///
    /// # Errors
    ///
    /// If what the row remembers is not understood.
    pub(crate) fn left_out(&self) -> Result<Vec<Key>> {
        let text = self.secrets.as_deref().unwrap_or("[]");
        let keys = serde_json::from_str(text);
        Ok(keys.map_err(|error| DbErr::Type(format!("a source is not understood: {error}")))?)
    }

    /// Whether only a part of what the file said was taken: then no version is known as a whole.
    pub(crate) fn is_partial(&self) -> bool {
        self.raw_hash.is_empty()
    }

    /// The same file, to be read as it was then.
    ///
    /// # Errors
    ///
    /// If what the row remembers of it is not understood.
    pub fn declared(&self, root: &Path) -> Result<Declared> {
        let interpretation = match &self.interpretation {
            None => Interpretation::default(),
            Some(text) => serde_json::from_str(text)
                .map_err(|error| DbErr::Type(format!("a source is not understood: {error}")))?,
        };
        Ok(Declared {
            namespace: self.namespace.clone(),
            layer: self.layer.clone(),
            path: self.path.clone(),
            content: Content::File(root.join(&self.path)),
            interpretation,
            write_back: false,
        })
    }
}

/// `declared`, and every source that was imported and is not among them, to be read as it was
/// then.
///
/// # Errors
///
/// [`Error::Database`].
pub fn with_known(declared: &[Declared], known: &[Imported], root: &Path) -> Result<Vec<Declared>> {
    let names: HashSet<_> = declared.iter().map(|it| (&it.namespace, &it.path)).collect();
    // Seeds that are not declared came with another program.
    let others = known
        .iter()
        .filter(|it| !names.contains(&(&it.namespace, &it.path)) && !it.path.starts_with(SEEDS));
    let others: Vec<Declared> = others.map(|it| it.declared(root)).collect::<Result<_>>()?;
    Ok(declared.iter().cloned().chain(others).collect())
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
/// Why a file cannot be read, or is refused; of all files, together.
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
        match read_one(declared, last, limits) {
            Ok(Ok(source)) => sources.push(source),
            Ok(Err(error)) => refused.push(error.into()),
            Err(error) => refused.push(error),
        }
    }
    if refused.len() > 1 {
        return Err(Error::Refused { errors: refused });
    }
    match refused.pop() {
        Some(error) => Err(error),
        None => Ok(sources),
    }
}

/// Reads again the files, or `seeds`, that a saved plan was computed from.
///
/// # Errors
///
/// [`Error::Stale`] if one says something else by now, and as [`read`].
pub fn read_again(
    planned: &[PlannedSource],
    seeds: &[Declared],
    root: &Path,
    limits: &Limits,
) -> Result<Vec<ReadSource>> {
    let declared = |it: &PlannedSource| {
        let is_it = |seed: &&Declared| (&seed.namespace, &seed.path) == (&it.namespace, &it.path);
        seeds.iter().find(is_it).cloned().unwrap_or_else(|| Declared::of(it, root))
    };
    let declared: Vec<Declared> = planned.iter().map(declared).collect();
    let mut sources = read(&declared, &[], limits)?;
    for (source, planned) in sources.iter_mut().zip(planned) {
        if source.raw_hash != planned.raw_hash {
            return Err(Error::Stale { reason: format!("{} has changed", planned.path) });
        }
        source.status = planned.status;
        if matches!(planned.status, SourceStatus::Unchanged | SourceStatus::Skipped) {
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
        is_redeclared: last.is_some_and(|it| it.declaration_hash != declaration_hash),
        declaration_hash,
        meaning: None,
        taken: Taken::Whole,
    };
    let is_known = last.is_some();
    let skipped = last.and_then(|it| it.skipped_hash.as_deref());
    let last = last.filter(|last| last.declaration_hash == source.declaration_hash);
    let is_open = last.is_some_and(|last| last.open_conflicts > 0);
    if last.is_some_and(|last| last.raw_hash == source.raw_hash) && !is_open {
        source.status = SourceStatus::Unchanged;
        return Ok(Ok(source));
    }

    let meaning = match Meaning::of(declared, &source.bytes, limits)? {
        Ok(meaning) => meaning,
        Err(error) => return Ok(Err(error)),
    };
    source.status = match last {
        _ if skipped == Some(&meaning.tree_hash) => SourceStatus::Skipped,
        Some(last) if last.tree_hash != meaning.tree_hash || last.is_partial() => {
            SourceStatus::Changed
        }
        Some(_) if is_open => SourceStatus::Open,
        Some(_) => SourceStatus::SameMeaning,
        None if is_known => SourceStatus::Changed,
        None => SourceStatus::New,
    };
    source.meaning = Some(meaning);
    Ok(Ok(source))
}

impl ReadSource {
    /// Whether its bytes are in a file, and not in the program.
    pub fn is_file(&self) -> bool {
        matches!(self.declared.content, Content::File(_))
    }

    /// As a plan names it.
    pub fn planned(&self) -> PlannedSource {
        PlannedSource {
            namespace: self.declared.namespace.clone(),
            layer: self.declared.layer.clone(),
            path: self.declared.path.clone(),
            interpretation: self.declared.interpretation.clone(),
            status: self.status,
            raw_hash: self.raw_hash.clone(),
        }
    }
}

impl Meaning {
    /// The keys of its secrets that are left out, as JSON; nothing if there are none.
    pub(crate) fn secrets_text(&self) -> Option<String> {
        let left_out = self.secrets.iter().filter(|it| it.reference.is_none());
        let keys: Vec<&Key> = left_out.map(|it| &it.key).collect();
        (!keys.is_empty()).then(|| serde_json::to_string(&keys).expect("keys are texts"))
    }

    /// What `bytes` say, as `declared` would have them read.
    ///
    /// # Errors
    ///
    /// [`Error::Mapping`]; inside, that the importer refused them.
    pub fn of(
        declared: &Declared,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Result<Self, ImportError>> {
        let Interpretation { format, mapping, .. } = &declared.interpretation;
        let name = Path::new(&declared.path);
        let document = match setpoint_importers::read(name, bytes, format.as_deref(), limits) {
            Ok(document) => document,
            Err(error) => return Ok(Err(declared.interpretation.masked(error))),
        };
        let mapper = declared.mapper()?;
        let refused = |faults| Error::Mapping { path: declared.path.clone(), faults };
        let kept = secret::mask(declared, &mapper, bytes, &document, limits);
        let tree_hash = tree_hash(kept.as_ref().map_or(&document.entries, |it| &it.entries));
        let Document { format, mut entries, mut notes } = document;
        let mut secrets = Vec::new();
        let mut masked = None;
        if let Some(Kept { bytes, hidden, .. }) = kept {
            masked = Some(bytes);
            let hidden_at: HashSet<Place> =
                entries.iter().filter(|it| hidden.contains(&it.key)).map(|it| it.place).collect();
            // A note may repeat the value.
            notes.retain(|it| !hidden_at.contains(&it.place));
            for entry in entries.extract_if(.., |it| hidden.contains(&it.key)) {
                let key = mapper.key(&entry.key).map_err(|fault| refused(vec![fault]))?;
                let repeats = !declared.interpretation.is_secret(&mapper, &entry.key, &entry.value);
                secrets.extend(key.map(|it| FoundSecret {
                    repeats,
                    ..FoundSecret::left_out(declared, it, entry.place)
                }));
            }
        }
        let (mut raw_keys, mut written) = (HashMap::new(), HashMap::new());
        if !mapping.is_identity() {
            if !mapping.convert.is_empty() {
                let kind = |it: &Entry| (it.key.clone(), it.value.value_type());
                written = entries.iter().map(kind).collect();
            }
            let mapped = mapper.apply(entries).map_err(refused)?;
            let renamed = mapped.iter().filter(|it| it.raw != it.entry.key);
            raw_keys = renamed.map(|it| (it.entry.key.clone(), it.raw.clone())).collect();
            entries = mapped.into_iter().map(|it| it.entry).collect();
        }
        let held = secrets.iter().map(|it| it.key.clone()).collect();
        Ok(Ok(Self { format, tree_hash, entries, raw_keys, written, secrets, masked, notes, held }))
    }
}

/// The bytes of the source, of which no more than the limit are ever read.
///
/// # Errors
///
/// [`Error::Unreadable`], [`Error::Outside`]; inside, that they are too many.
pub fn read_bytes(declared: &Declared, limits: &Limits) -> Result<Result<Vec<u8>, ImportError>> {
    let file = match &declared.content {
        Content::Bundled(bytes) => return Ok(Ok(bytes.to_vec())),
        Content::File(file) => file,
    };
    let unreadable = |source: io::Error| {
        let help = match source.kind() {
            io::ErrorKind::NotFound => {
                "it is not there; check the path, and `path` in setpoint.toml"
            }
            io::ErrorKind::PermissionDenied => "you may not read it; check its owner and mode",
            io::ErrorKind::IsADirectory => "it is a folder; name the files in it",
            _ => "nothing was changed",
        };
        Error::Unreadable { path: file.clone(), help: help.to_owned(), source }
    };
    // Opening a pipe waits for a writer, who may never come.
    let metadata = fs::metadata(file).map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    if !metadata.is_file() {
        return Err(unreadable(io::Error::other("it is no regular file")));
    }
    refuse_outside(declared, file)?;
    let opened = fs::File::open(file).map_err(unreadable)?;
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

/// Refuses a file that is declared inside the folder of the configuration and is a link to
/// one outside.
fn refuse_outside(declared: &Declared, file: &Path) -> Result<()> {
    let inside = Path::new(&declared.path);
    if inside.components().any(|it| !matches!(it, Component::Normal(_))) {
        return Ok(());
    }
    let Ok(file) = std::path::absolute(file) else { return Ok(()) };
    let root = file.ancestors().nth(inside.components().count());
    let (Some(Ok(root)), Ok(target)) = (root.map(Path::canonicalize), file.canonicalize()) else {
        return Ok(());
    };
    match target.starts_with(root) {
        true => Ok(()),
        false => Err(Error::Outside { path: declared.path.clone(), target }),
    }
}

impl Declared {
    fn of(planned: &PlannedSource, root: &Path) -> Self {
        Self {
            namespace: planned.namespace.clone(),
            layer: planned.layer.clone(),
            path: planned.path.clone(),
            content: Content::File(root.join(&planned.path)),
            interpretation: planned.interpretation.clone(),
            write_back: false,
        }
    }

    /// The source that `named` is, whether its file is there or not.
    pub fn at(named: &Named, root: &Path) -> Self {
        Self {
            namespace: named.namespace.clone(),
            layer: named.layer.clone(),
            path: declare::relative(&named.path, root),
            content: Content::File(named.path.clone()),
            interpretation: named.interpretation.clone(),
            write_back: named.write_back,
        }
    }

    /// Whether both name the same file of the same namespace.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.namespace, &self.path) == (&other.namespace, &other.path)
    }

    /// Whether `name` is its path, or a path that leads to it.
    pub fn is_named(&self, name: &Path, root: &Path) -> bool {
        Path::new(&self.path) == name || declare::relative(name, root) == self.path
    }

    /// Its mapping, ready to be carried out.
    ///
    /// # Errors
    ///
    /// [`Error::Mapping`] with every fault of the declaration.
    pub fn mapper(&self) -> Result<Mapper> {
        let checked = self.interpretation.mapping.check();
        checked.map_err(|faults| Error::Mapping { path: self.path.clone(), faults })
    }

    /// Tells a source whose settings go elsewhere from the same file read as before.
    pub fn hash(&self) -> String {
        #[derive(Serialize)]
        struct Declaration<'a> {
            interpretation: &'a Interpretation,
            layer: &'a str,
        }
        let declaration = Declaration { interpretation: &self.interpretation, layer: &self.layer };
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
