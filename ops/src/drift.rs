//! Where file, seed and database disagree. Read only: the comparison is that of an import.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::io;
use std::path::Path;

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;
use serde::{Serialize, Serializer};
use serde_json::Value;
use setpoint_importers::{Key, Limits, TypedValue, ValueType};

use crate::differing::{Fetched, Row, differing, seeds_of};
use crate::ignore::{self, Ignored};
use crate::import::{Difference, differences};
use crate::nearest::nearest;
use crate::plan::{Origin, SourceStatus};
use crate::secret::Rules;
use crate::source::{Declared, Imported, ReadSource, imported, read, read_bytes, with_known};
use crate::{Error, Result, hash, rows};

/// Everything that is out of line, and what was looked at.
#[derive(Debug)]
pub struct Report {
    /// In order of namespace, layer and key. What concerns a whole file comes first.
    pub drift: Vec<Drift>,
    /// How many files were compared, of each namespace that a source is of.
    pub files: BTreeMap<String, usize>,
}

/// One key, or one file, that is out of line.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    pub namespace: String,
    pub layer: String,
    /// None if it is the file as a whole.
    pub key: Option<Key>,
    pub kind: Kind,
    /// The file that has the key, or had it.
    pub source: Option<String>,
    /// What the file says; not known if it cannot be read.
    pub file: Option<TypedValue>,
    pub seed: Option<TypedValue>,
    pub live: Option<TypedValue>,
    /// Where the file says it.
    pub origin: Option<Origin>,
    /// Why the file cannot be read.
    pub reason: Option<String>,
    /// Of the three values: an ignored drift is told again when it is another.
    pub hash: String,
    pub ignored: Option<Ignored>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The file that was imported is not there.
    FileMissing,
    /// It is there, and cannot be read.
    FileUnreadable,
    /// The file was never imported: what of it is live is not known.
    ImportUnknown,
    /// The file is as it was imported, the database is not.
    EditedHere,
    /// The database is as it was imported, the file is not.
    UpdateAvailable,
    /// The file does not have the key any more.
    KeyRemoved,
    /// Neither is.
    Both,
    /// No file has it.
    UnknownKey,
}

impl Report {
    /// What nobody has chosen to ignore.
    pub fn open(&self) -> impl Iterator<Item = &Drift> {
        self.drift.iter().filter(|it| !it.is_ignored())
    }

    /// How many files were compared.
    pub fn file_count(&self) -> usize {
        self.files.values().sum()
    }

    /// Leaves out all namespaces but those that `is_shown`.
    pub fn keep(&mut self, is_shown: impl Fn(&str) -> bool) {
        self.drift.retain(|it| is_shown(&it.namespace));
        self.files.retain(|namespace, _| is_shown(namespace));
    }

    /// Leaves out all namespaces but this.
    ///
    /// # Errors
    ///
    /// [`Error::NoSource`].
    pub fn keep_only(&mut self, namespace: &str) -> Result<()> {
        refuse_without_source(namespace, self.files.keys())?;
        self.keep(|it| it == namespace);
        Ok(())
    }
}

/// Refuses a `namespace` that is not among `known`, those that a source is of.
///
/// # Errors
///
/// [`Error::NoSource`].
pub(crate) fn refuse_without_source<'a>(
    namespace: &str,
    known: impl Iterator<Item = &'a String>,
) -> Result<()> {
    let known: Vec<&str> = known.map(String::as_str).collect();
    if known.contains(&namespace) {
        return Ok(());
    }
    let help = match (nearest(namespace, known.iter().copied()), known.as_slice()) {
        (_, []) => "there is no source: declare a [[source]] in setpoint.toml".to_owned(),
        (Some(near), _) => format!("did you mean `{near}`? Sources are of: {}", known.join(", ")),
        (None, _) => format!("sources are of: {}", known.join(", ")),
    };
    Err(Error::NoSource { namespace: namespace.to_owned(), help })
}

/// Compares `declared` files, and all others that were imported, with seeds and live values.
/// With `only` these paths alone.
///
/// # Errors
///
/// [`Error::ClaimedTwice`], [`Error::Mapping`], [`Error::Database`]. A file that cannot be read
/// is drift, not an error.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn report(
    db: &impl ConnectionTrait,
    declared: &[Declared],
    root: &Path,
    only: &[String],
    limits: &Limits,
    now: DateTime<Utc>,
) -> Result<Report> {
    let known = imported(db).await?;
    let mut declared = with_known(declared, &known, root)?;
    let mut files = BTreeMap::new();
    for one in &declared {
        let is_compared = only.is_empty() || only.contains(&one.path);
        *files.entry(one.namespace.clone()).or_default() += usize::from(is_compared);
    }
    declared.retain(|it| only.is_empty() || only.contains(&it.path));
    let (states, fetched) =
        tokio::join!(states(&declared, &known, limits), fetched(db, &declared, &known, limits));
    let (states, fetched) = (states?, fetched?);
    let mut drift = Vec::new();
    let mut sources = Vec::new();
    let mut skipped = HashSet::new();
    for (one, state) in declared.iter().zip(states) {
        match state {
            Ok(mut source) => {
                if source.status == SourceStatus::Skipped {
                    skipped.insert((one.namespace.clone(), one.path.clone()));
                    source.status = SourceStatus::Changed;
                }
                sources.push(source);
            }
            Err(out) => drift.push(out),
        }
    }
    drift.extend(differences(db, &sources, root, &fetched).await?.into_iter().map(Drift::from));
    let settled: Vec<&Declared> =
        declared.iter().filter(|it| known.iter().any(|row| row.is_of(it))).collect();
    drift.extend(edited_in_unchanged(fetched, &settled, &sources, only.is_empty())?);

    drift.retain(|it| {
        let is_update = matches!(it.kind, Kind::UpdateAvailable | Kind::KeyRemoved);
        let source = it.source.clone().map(|path| (it.namespace.clone(), path));
        !is_update || source.is_none_or(|it| !skipped.contains(&it))
    });
    // Of a file that cannot be read it is not known what it says.
    for one in drift.iter_mut().filter(|it| it.key.is_some()) {
        let is_read = |it: &ReadSource| {
            it.declared.namespace == one.namespace && Some(&it.declared.path) == one.source.as_ref()
        };
        if one.source.is_some() && !sources.iter().any(is_read) {
            (one.file, one.origin) = (None, None);
        }
    }
    let layers: HashSet<_> = declared.iter().map(|it| (&it.namespace, &it.layer)).collect();
    let unknown: HashSet<_> = drift
        .iter()
        .filter(|it| it.kind == Kind::ImportUnknown)
        .map(|it| (it.namespace.clone(), it.layer.clone()))
        .collect();
    let mut left_out = HashSet::new();
    for row in &known {
        let keys = row.left_out()?.into_iter();
        left_out.extend(keys.map(|it| (row.namespace.clone(), row.layer.clone(), it)));
    }
    // Whose key it is can only be told where every file of the layer was imported.
    drift.retain(|it| {
        let key = it.key.as_ref().filter(|_| it.kind == Kind::UnknownKey);
        key.is_none_or(|key| {
            !left_out.contains(&(it.namespace.clone(), it.layer.clone(), key.clone()))
        })
    });
    drift.retain(|it| {
        it.kind != Kind::UnknownKey
            || only.is_empty()
                && layers.contains(&(&it.namespace, &it.layer))
                && !unknown.contains(&(it.namespace.clone(), it.layer.clone()))
    });
    drift.sort_by(|a, b| {
        let place = |it: &Drift| (it.key.is_some(), it.namespace.clone(), it.layer.clone());
        place(a).cmp(&place(b)).then_with(|| (&a.key, &a.source).cmp(&(&b.key, &b.source)))
    });
    ignore::mark(db, &mut drift, now).await?;
    Ok(Report { drift, files })
}

/// The files as they are, each as [`state_of`] tells. They are read while the database compares.
async fn states(
    declared: &[Declared],
    known: &[Imported],
    limits: &Limits,
) -> Result<Vec<Result<ReadSource, Drift>>> {
    let (declared, known, limits) = (declared.to_vec(), known.to_vec(), limits.clone());
    let read =
        move || declared.iter().map(|it| state_of(it, &known, &limits)).collect::<Result<_>>();
    tokio::task::spawn_blocking(read).await.expect("reading files does not panic")
}

/// What differs in each layer that `declared` files go into, and the seeds of those files that
/// are not as they were imported.
async fn fetched(
    db: &impl ConnectionTrait,
    declared: &[Declared],
    known: &[Imported],
    limits: &Limits,
) -> Result<Fetched> {
    let layers: BTreeSet<_> =
        declared.iter().map(|it| (it.namespace.clone(), it.layer.clone())).collect();
    let changed = changed(declared, known, limits);
    let mut fetched = Fetched::default();
    for (namespace, layer) in layers {
        let rows = differing(db, &namespace, &layer).await?;
        fetched.differing.insert((namespace, layer), rows);
    }
    for one in changed.await {
        let rows = seeds_of(db, &one.namespace, &one.layer, &one.path).await?;
        fetched.seeds.insert((one.namespace, one.path), rows);
    }
    Ok(fetched)
}

/// The imported files that have other bytes now. Of those that cannot be read others tell.
fn changed(
    declared: &[Declared],
    known: &[Imported],
    limits: &Limits,
) -> impl Future<Output = Vec<Declared>> {
    let pairs = declared.iter().filter_map(|it| {
        let last = known.iter().find(|last| last.is_of(it))?;
        Some((it.clone(), last.raw_hash.clone()))
    });
    let (pairs, limits) = (pairs.collect::<Vec<_>>(), limits.clone());
    let is_changed = move |(one, last): (Declared, String)| {
        let bytes = read_bytes(&one, &limits).ok()?.ok()?;
        (hash::of_bytes(&bytes) != last).then_some(one)
    };
    let compare = move || pairs.into_iter().filter_map(is_changed).collect();
    let compared = tokio::task::spawn_blocking(compare);
    async { compared.await.expect("comparing hashes does not panic") }
}

/// The file as it is, or that it is not there to be compared.
fn state_of(
    declared: &Declared,
    known: &[Imported],
    limits: &Limits,
) -> Result<Result<ReadSource, Drift>> {
    let of_file = |kind, reason| Ok(Err(Drift::of_file(declared, kind, reason)));
    let source = match read(std::slice::from_ref(declared), known, limits) {
        Ok(mut sources) => sources.remove(0),
        Err(Error::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return of_file(Kind::FileMissing, None);
        }
        Err(error @ (Error::Unreadable { .. } | Error::Outside { .. } | Error::Import(_))) => {
            return of_file(Kind::FileUnreadable, Some(error.in_a_line()));
        }
        Err(error) => return Err(error),
    };
    match source.status {
        SourceStatus::New => of_file(Kind::ImportUnknown, None),
        _ => Ok(Ok(source)),
    }
}

/// What is not as it was imported, of files that say what they said then: the database compares,
/// and hands over what differs.
fn edited_in_unchanged(
    mut fetched: Fetched,
    declared: &[&Declared],
    sources: &[ReadSource],
    own: bool,
) -> Result<Vec<Drift>> {
    let is_merged = |it: &&ReadSource| it.status.is_merged();
    let merged: HashSet<_> = sources
        .iter()
        .filter(is_merged)
        .map(|it| (it.declared.namespace.as_str(), it.declared.path.as_str()))
        .collect();
    let compared: HashSet<_> = sources
        .iter()
        .filter(is_merged)
        .map(|it| (it.declared.namespace.as_str(), it.declared.layer.as_str()))
        .collect();
    let layers: BTreeSet<(&str, &str)> =
        declared.iter().map(|it| (it.namespace.as_str(), it.layer.as_str())).collect();
    let mut drift = Vec::new();
    for (namespace, layer) in layers {
        let wants_own = own && !compared.contains(&(namespace, layer));
        let is_left = declared.iter().any(|it| {
            let name = (namespace, it.path.as_str());
            (it.namespace.as_str(), it.layer.as_str()) == (namespace, layer)
                && !merged.contains(&name)
        });
        // Where every file is merged anyway, the database does not have to compare again.
        if !is_left && !wants_own {
            continue;
        }
        let name = (namespace.to_owned(), layer.to_owned());
        for row in fetched.differing.remove(&name).unwrap_or_default() {
            let is_told = match row.source.as_deref() {
                Some(source) => merged.contains(&(namespace, source)),
                None => !wants_own,
            };
            if !is_told {
                drift.extend(drift_of(row, namespace, layer)?);
            }
        }
    }
    Ok(drift)
}

/// Nothing if the texts differ and the values do not.
fn drift_of(row: Row, namespace: &str, layer: &str) -> Result<Option<Drift>> {
    let base = rows::side(row.seed.as_deref(), row.seed_format.as_deref())?;
    let ours = rows::side(row.live.as_deref(), row.live_format.as_deref())?;
    if base == ours {
        return Ok(None);
    }
    let number = |it: Option<i64>| it.and_then(|it| u32::try_from(it).ok()).unwrap_or_default();
    let origin = row.source.clone().map(|file| Origin {
        file,
        line: number(row.line),
        column: number(row.column),
    });
    let difference = Difference {
        namespace: namespace.to_owned(),
        layer: layer.to_owned(),
        key: rows::key(row.key)?,
        theirs: base.clone(),
        base,
        ours,
        origin,
        source: row.source,
    };
    Ok(Some(difference.into()))
}

impl From<Difference> for Drift {
    fn from(it: Difference) -> Self {
        let kind = match (&it.base, &it.ours, &it.theirs) {
            (None, Some(_), None) => Kind::UnknownKey,
            (base, _, theirs) if base == theirs => Kind::EditedHere,
            (base, ours, None) if base == ours => Kind::KeyRemoved,
            (base, ours, _) if base == ours => Kind::UpdateAvailable,
            _ => Kind::Both,
        };
        let mut drift = Self {
            namespace: it.namespace,
            layer: it.layer,
            key: Some(it.key),
            kind,
            source: it.source,
            file: it.theirs,
            seed: it.base,
            live: it.ours,
            origin: it.origin,
            reason: None,
            hash: String::new(),
            ignored: None,
        };
        drift.hash = drift.computed_hash();
        drift
    }
}

impl Drift {
    fn of_file(declared: &Declared, kind: Kind, reason: Option<String>) -> Self {
        let mut drift = Self {
            namespace: declared.namespace.clone(),
            layer: declared.layer.clone(),
            key: None,
            kind,
            source: Some(declared.path.clone()),
            file: None,
            seed: None,
            live: None,
            origin: None,
            reason,
            hash: String::new(),
            ignored: None,
        };
        drift.hash = drift.computed_hash();
        drift
    }

    /// Whether somebody has chosen to leave it alone, and that is not over.
    pub fn is_ignored(&self) -> bool {
        self.ignored.as_ref().is_some_and(|it| !it.is_over)
    }

    /// Whether `name` is that of its key, of a map it lies in, or of its file.
    pub fn is_at(&self, name: &str) -> bool {
        match &self.key {
            Some(key) => key.as_str() == name || key.ancestors().any(|it| it == name),
            None => self.source.as_deref() == Some(name),
        }
    }

    /// Takes out the values of what is a secret by now.
    pub fn hide(&mut self, rules: &Rules) {
        let Some(key) = &self.key else { return };
        for side in [&mut self.file, &mut self.seed, &mut self.live] {
            *side = side.take().map(|it| TypedValue { json: rules.shown(key, it.json), ..it });
        }
    }

    /// What names it: its key, or else its file.
    pub fn name(&self) -> &str {
        let key = self.key.as_ref().map(Key::as_str);
        key.or(self.source.as_deref()).unwrap_or_default()
    }

    fn computed_hash(&self) -> String {
        #[derive(Serialize)]
        struct Hashed<'a> {
            file: Option<Side>,
            kind: Kind,
            live: Option<Side>,
            name: &'a str,
            seed: Option<Side>,
        }
        type Side = (String, Option<&'static str>);
        let side = |it: &Option<TypedValue>| {
            it.as_ref().map(|it| (it.text(), it.format.map(|format| format.as_str())))
        };
        let hashed = Hashed {
            file: side(&self.file),
            kind: self.kind,
            live: side(&self.live),
            name: self.name(),
            seed: side(&self.seed),
        };
        hash::of_json("", &hashed)
    }
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::FileMissing,
        Self::FileUnreadable,
        Self::ImportUnknown,
        Self::EditedHere,
        Self::UpdateAvailable,
        Self::KeyRemoved,
        Self::Both,
        Self::UnknownKey,
    ];

    /// Its name for programs, as JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::FileMissing => "file-missing",
            Self::FileUnreadable => "file-unreadable",
            Self::ImportUnknown => "import-unknown",
            Self::EditedHere => "edited-here",
            Self::UpdateAvailable => "update-available",
            Self::KeyRemoved => "key-removed",
            Self::Both => "both",
            Self::UnknownKey => "unknown-key",
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::FileMissing => "file missing",
            Self::FileUnreadable => "file unreadable",
            Self::ImportUnknown => "import status unknown",
            Self::EditedHere => "edited here",
            Self::UpdateAvailable => "update available",
            Self::KeyRemoved => "key removed",
            Self::Both => "both changed",
            Self::UnknownKey => "unknown key",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `file`, `seed` and `live` are null both where there is no value and where it is null; their
/// types are there in the second case only.
impl Serialize for Drift {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            namespace: &'a str,
            layer: &'a str,
            key: Option<&'a Key>,
            kind: Kind,
            source: Option<&'a str>,
            file: Option<&'a Value>,
            seed: Option<&'a Value>,
            live: Option<&'a Value>,
            origin: Option<&'a Origin>,
            #[serde(skip_serializing_if = "Option::is_none")]
            file_type: Option<ValueType>,
            #[serde(skip_serializing_if = "Option::is_none")]
            seed_type: Option<ValueType>,
            #[serde(skip_serializing_if = "Option::is_none")]
            live_type: Option<ValueType>,
            #[serde(skip_serializing_if = "Option::is_none")]
            reason: Option<&'a str>,
            hash: &'a str,
            ignored: Option<&'a Ignored>,
        }
        fn json(side: &Option<TypedValue>) -> Option<&Value> {
            side.as_ref().map(|it| &it.json)
        }
        let kind = |side: &Option<TypedValue>| side.as_ref().map(TypedValue::value_type);
        let wire = Wire {
            namespace: &self.namespace,
            layer: &self.layer,
            key: self.key.as_ref(),
            kind: self.kind,
            source: self.source.as_deref(),
            file: json(&self.file),
            seed: json(&self.seed),
            live: json(&self.live),
            origin: self.origin.as_ref(),
            file_type: kind(&self.file),
            seed_type: kind(&self.seed),
            live_type: kind(&self.live),
            reason: self.reason.as_deref(),
            hash: &self.hash,
            ignored: self.ignored.as_ref(),
        };
        wire.serialize(serializer)
    }
}

/// How many there are of each kind.
pub fn counts<'a>(drift: impl Iterator<Item = &'a Drift>) -> Vec<(Kind, usize)> {
    let mut counts = HashMap::<Kind, usize>::new();
    for one in drift {
        *counts.entry(one.kind).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort();
    counts
}
