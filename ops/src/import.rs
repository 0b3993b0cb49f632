//! Files into the database: a plan by the three-way merge of seed, live value and file.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde_json::Value;
use setpoint_entity::{seed, setting};
use setpoint_importers::{Entry, Key, Limits, Place, TypedValue};

use crate::apply::head;
use crate::differing::Fetched;
use crate::error::Claim;
use crate::file::Rewrite;
use crate::merge::{Outcome, merge};
use crate::plan::{
    Author, Base, Change, Class, Edited, FoundSecret, Kind, Move, Origin, Plan, Provenance,
    SourceStatus,
};
use crate::source::{Declared, Imported, ReadSource, SEEDS, imported, read};
use crate::{Error, Result, rows, secret};

mod load;
mod moving;
mod settle;
mod subtree;

use load::load;
pub use settle::chosen_value;

/// What to do with keys that both a user and a file have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Leave them open: the user's value stays and the conflict is listed again.
    #[default]
    Ask,
    /// The user's value stays and the conflict is settled.
    Ours,
    /// The file's value wins.
    Theirs,
    /// Refuse the whole plan.
    Fail,
}

/// What an import is to do besides taking what has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub choices: Choices,
    /// Whether versions are taken too that somebody chose to skip.
    pub take_skipped: bool,
    /// The file of environment variables that the values of secrets are moved to.
    pub secrets_to: Option<PathBuf>,
}

/// What is chosen for conflicts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// For every conflict that has no choice of its own.
    pub strategy: Strategy,
    /// For the conflict at a key, of which there must be one.
    pub by_key: BTreeMap<Key, Resolve>,
    /// For the conflict at a key of a layer of a namespace.
    pub by_place: BTreeMap<(String, String, Key), Resolve>,
}

/// What is chosen for one conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolve {
    Ours,
    Theirs,
    /// A value that neither side has, as a person types it.
    Value(String),
    /// The same, as a program sends it.
    Json(Value),
}

impl From<Strategy> for Options {
    fn from(strategy: Strategy) -> Self {
        Self { choices: Choices { strategy, ..Choices::default() }, ..Self::default() }
    }
}

impl Choices {
    /// Whether they may settle a conflict that was left open.
    fn settle_something(&self) -> bool {
        !self.by_key.is_empty()
            || !self.by_place.is_empty()
            || matches!(self.strategy, Strategy::Ours | Strategy::Theirs)
    }
}

impl Strategy {
    /// Refuses a plan with conflicts if that is the strategy.
    pub(crate) fn admit(self, plan: &Plan) -> Result<()> {
        match plan.summary.conflict {
            count if count > 0 && self == Self::Fail => Err(Error::Conflicts { count }),
            _ => Ok(()),
        }
    }
}

/// A plan, the files it came from, as they were read, and those that it writes.
#[derive(Clone, Debug)]
pub struct Import {
    pub plan: Plan,
    pub sources: Vec<ReadSource>,
    pub rewrites: Vec<Rewrite>,
}

impl Import {
    /// The files that said something and say nothing now, with how many settings that deletes.
    pub fn emptied(&self) -> Vec<(&str, usize)> {
        let is_empty = |it: &&ReadSource| {
            let meaning = it.meaning.as_ref();
            it.status == SourceStatus::Changed && meaning.is_some_and(|it| it.entries.is_empty())
        };
        let emptied = self.sources.iter().filter(is_empty).map(|source| {
            let declared = &source.declared;
            let deleted = self.plan.changes.iter().filter(|it| {
                it.class == Class::Delete
                    && (&it.namespace, &it.layer) == (&declared.namespace, &declared.layer)
            });
            (declared.path.as_str(), deleted.count())
        });
        emptied.filter(|(_, deleted)| *deleted > 0).collect()
    }
}

/// Everything that is known of one layer.
#[derive(Default)]
struct Layer<'a> {
    seeds: HashMap<Key, Seed>,
    live: HashMap<Key, TypedValue>,
    /// By the text of the key, in the order of the files.
    theirs: IndexMap<&'a str, Theirs<'a>>,
    /// Keys whose seed stays, whatever a file says of them.
    held: HashSet<&'a Key>,
}

struct Seed {
    value: TypedValue,
    source: String,
    /// The key as the file had it, if that was another.
    raw_key: Option<Key>,
}

/// What a file says of a key.
#[derive(Clone, Copy)]
struct Theirs<'a> {
    entry: &'a Entry,
    path: &'a str,
}

impl Theirs<'_> {
    fn origin(self) -> Origin {
        let Place { line, column } = self.entry.place;
        Origin { file: self.path.to_owned(), line, column }
    }
}

type LayerName = (String, String);

/// Reads `declared` files and compares them with their last import and the live values.
///
/// A source of the same namespace that is not in `declared` keeps its claim on its keys as
/// long as its file is there, below `root`. A version that somebody chose to skip is left out.
///
/// # Errors
///
/// [`Error::Unreadable`], [`Error::Import`], [`Error::Refused`], [`Error::Mapping`] and
/// [`Error::Outside`] for the files; [`Error::ClaimedTwice`]; [`Error::NoConflict`] for a choice
/// that settles nothing; [`Error::Conflicts`] with [`Strategy::Fail`]; [`Error::Database`].
#[tracing::instrument(level = "debug", skip_all)]
pub async fn plan(
    db: &impl ConnectionTrait,
    declared: &[Declared],
    root: &Path,
    options: &Options,
    limits: &Limits,
    author: Author,
) -> Result<Import> {
    let Options { choices, take_skipped, secrets_to } = options;
    let head = head(db).await?;
    let known = imported(db).await?;
    refuse_folders(declared, &known, root)?;
    let mut sources = match secrets_to {
        None => read(declared, &known, limits)?,
        Some(_) => read(declared, &secret::unread(&known), limits)?,
    };
    for source in &mut sources {
        match source.status {
            SourceStatus::Open if choices.settle_something() => {
                source.status = SourceStatus::Changed;
            }
            SourceStatus::Skipped if *take_skipped => source.status = SourceStatus::Changed,
            SourceStatus::Skipped => source.meaning = None,
            _ => {}
        }
    }
    let rewrites = match secrets_to {
        None => Vec::new(),
        Some(file) => secret::move_out(&mut sources, &known, file, limits)?,
    };
    let base = Base::of(&head);

    let mut layers = collect(&sources)?;
    let mut changes = Vec::new();
    let mut resolutions = Vec::new();
    let mut moves = Vec::new();
    let mut exposed = HashSet::new();
    let mut unused: BTreeSet<&Key> = choices.by_key.keys().collect();
    let nothing = Fetched::default();
    for ((namespace, name), layer) in &mut layers {
        let (moved, joined) = compare(db, namespace, name, layer, &sources, root, &nothing).await?;
        moves.extend(moved);
        let is_live = |key: &&&Key| layer.live.get(**key).is_some_and(|it| !secret::is_safe(it));
        let live = layer.held.iter().filter(is_live);
        exposed.extend(live.map(|it| (namespace.clone(), name.clone(), (*it).clone())));
        for one in joined.iter().filter(|it| it.class == Class::Conflict) {
            if choices.by_key.contains_key(&one.key) && !unused.remove(&one.key) {
                return Err(Error::SeveralConflicts { key: one.key.to_string() });
            }
        }
        let before = settle::remembered(db, namespace, name).await?;
        let (settled, chosen) = settle::settle(joined, choices, &before, (namespace, name), layer)?;
        resolutions.extend(chosen);
        let first = changes.len();
        changes.extend(settled.into_iter().map(|it| it.into_change(namespace, name)));
        tell_provenance(db, namespace, name, &mut changes[first..]).await?;
    }
    for resolution in &resolutions {
        let Some(value) = &resolution.value else { continue };
        let of_namespace = sources.iter().find(|it| it.declared.namespace == resolution.namespace);
        let rules = of_namespace.map(|it| &it.declared.interpretation.secrets);
        rules.map(|it| it.refuse(&resolution.key, value)).transpose()?;
    }
    if let Some(key) = unused.first() {
        return Err(Error::NoConflict { key: key.to_string() });
    }

    let sources_planned = sources.iter().map(ReadSource::planned).collect();
    let found = sources.iter().flat_map(|it| it.meaning.iter().flat_map(|it| &it.secrets));
    let secrets = found.cloned().map(|it| {
        let place = (it.namespace.clone(), it.layer.clone(), it.key.clone());
        FoundSecret { is_live: exposed.contains(&place), ..it }
    });
    let secrets = secrets.collect();
    let plan = Plan::new(Kind::Import, base, author, sources_planned, changes);
    let plan = plan.with(resolutions, moves, secrets);
    choices.strategy.admit(&plan)?;
    Ok(Import { plan, sources, rewrites })
}

/// Fills `layer` with what the database has, as far as it is not `fetched`, and merges the three
/// sides.
async fn compare(
    db: &impl ConnectionTrait,
    namespace: &str,
    name: &str,
    layer: &mut Layer<'_>,
    sources: &[ReadSource],
    root: &Path,
    fetched: &Fetched,
) -> Result<(Vec<Move>, Vec<Merged>)> {
    load(db, namespace, name, layer, sources, fetched).await?;
    let moved = moving::move_renamed(namespace, name, layer, sources)?;
    refuse_second_claims(namespace, layer, sources, root)?;
    let merged = merge_layer(layer, sources);
    Ok((moved, subtree::join(merged, layer)))
}

/// A key that its three sides do not agree on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    pub namespace: String,
    pub layer: String,
    pub key: Key,
    pub base: Option<TypedValue>,
    pub ours: Option<TypedValue>,
    pub theirs: Option<TypedValue>,
    /// Where the file says it.
    pub origin: Option<Origin>,
    /// The file that has the key, or had it.
    pub source: Option<String>,
}

/// The same comparison as for a plan, of the layers of those `sources` that say something new.
pub(crate) async fn differences(
    db: &impl ConnectionTrait,
    sources: &[ReadSource],
    root: &Path,
    fetched: &Fetched,
) -> Result<Vec<Difference>> {
    let mut differences = Vec::new();
    for ((namespace, name), mut layer) in collect(sources)? {
        let (_, merged) =
            compare(db, &namespace, &name, &mut layer, sources, root, fetched).await?;
        let differs = merged.into_iter().filter(|it| it.class != Class::Converge);
        differences.extend(differs.map(|one| {
            let kept = one.class == Class::Keep;
            let seed = || layer.seeds.get(&one.key).map(|it| it.source.clone());
            Difference {
                source: one.origin.as_ref().map(|it| it.file.clone()).or_else(seed),
                namespace: namespace.clone(),
                layer: name.clone(),
                theirs: if kept { one.seed.clone() } else { one.after },
                key: one.key,
                base: one.seed,
                ours: one.before,
                origin: one.origin,
            }
        }));
    }
    Ok(differences)
}

/// Refuses sources that were files at their last import and are folders now.
fn refuse_folders(declared: &[Declared], known: &[Imported], root: &Path) -> Result<()> {
    let involved: HashSet<&str> = declared.iter().map(|it| it.namespace.as_str()).collect();
    let folder = known
        .iter()
        .filter(|it| involved.contains(it.namespace.as_str()))
        .map(|it| root.join(&it.path))
        .find(|it| it.is_dir());
    match folder {
        None => Ok(()),
        Some(path) => Err(Error::Unreadable {
            path,
            help: "it was a file when it was last imported; put the file back, or take the folder \
                   away"
                .to_owned(),
            source: io::ErrorKind::IsADirectory.into(),
        }),
    }
}

/// Checks that no two of `sources` have the same key, or one above a key of the other.
///
/// # Errors
///
/// [`Error::ClaimedTwice`].
pub fn check(sources: &[ReadSource]) -> Result<()> {
    collect(sources).map(drop)
}

/// Sorts what the changed files say by layer, where two files must not say the same.
fn collect(sources: &[ReadSource]) -> Result<BTreeMap<LayerName, Layer<'_>>> {
    let mut layers = BTreeMap::<LayerName, Layer<'_>>::new();
    let mut claims = Vec::new();
    for source in sources {
        let Some(meaning) = &source.meaning else { continue };
        if !source.status.is_merged() {
            continue;
        }
        let declared = &source.declared;
        let name = (declared.namespace.clone(), declared.layer.clone());
        let layer = layers.entry(name).or_default();
        layer.theirs.reserve(meaning.entries.len());
        layer.held.extend(&meaning.held);
        for entry in &meaning.entries {
            let theirs = Theirs { entry, path: &declared.path };
            if let Some(first) = layer.theirs.insert(entry.key.as_str(), theirs) {
                claims.push(claim(
                    &declared.namespace,
                    &entry.key,
                    &first.origin(),
                    &theirs.origin(),
                ));
            }
        }
    }
    for ((namespace, _), layer) in &layers {
        for theirs in layer.theirs.values() {
            let key = &theirs.entry.key;
            let above = key.ancestors().find_map(|it| layer.theirs.get(it));
            claims.extend(above.map(|it| claim(namespace, key, &it.origin(), &theirs.origin())));
        }
    }
    refuse(claims)?;
    Ok(layers)
}

fn claim(namespace: &str, key: &Key, first: &impl ToString, second: &impl ToString) -> Claim {
    Claim {
        namespace: namespace.to_owned(),
        key: key.to_string(),
        first: first.to_string(),
        second: second.to_string(),
    }
}

/// Tells of all `claims` at once, or of as many as a person reads.
fn refuse(mut claims: Vec<Claim>) -> Result<()> {
    const READ: usize = 20;
    claims.sort();
    claims.truncate(READ);
    if claims.is_empty() { Ok(()) } else { Err(Error::ClaimedTwice { claims }) }
}

/// A key moves from one source to another only if the first has let go of it.
fn refuse_second_claims(
    namespace: &str,
    layer: &Layer<'_>,
    sources: &[ReadSource],
    root: &Path,
) -> Result<()> {
    let mut holds = HashMap::<&str, bool>::new();
    let mut claims = Vec::new();
    for (key, theirs) in &layer.theirs {
        let Some(seed) = layer.seeds.get(*key).filter(|it| it.source != theirs.path) else {
            continue;
        };
        let held = *holds.entry(&seed.source).or_insert_with(|| {
            let declared = sources
                .iter()
                .find(|it| it.declared.namespace == namespace && it.declared.path == seed.source);
            match declared {
                Some(it) => !it.status.is_merged(),
                None => seed.source.starts_with(SEEDS) || root.join(&seed.source).exists(),
            }
        });
        if held {
            claims.push(claim(namespace, &theirs.entry.key, &seed.source, &theirs.origin()));
        }
    }
    refuse(claims)
}

/// One key's merge, before it is known whether it can stand beside the others.
struct Merged {
    key: Key,
    class: Class,
    before: Option<TypedValue>,
    after: Option<TypedValue>,
    seed: Option<TypedValue>,
    origin: Option<Origin>,
    /// Whether it speaks for everything below its key too.
    subtree: bool,
}

impl Merged {
    fn into_change(self, namespace: &str, layer: &str) -> Change {
        Change {
            namespace: namespace.to_owned(),
            layer: layer.to_owned(),
            seed: self.seed.filter(|_| self.class == Class::Conflict),
            key: self.key,
            class: self.class,
            before: self.before,
            after: self.after,
            origin: self.origin,
            provenance: None,
        }
    }
}

/// Adds to conflicts where their seeds stood and who set their live values.
async fn tell_provenance(
    db: &impl ConnectionTrait,
    namespace: &str,
    layer: &str,
    changes: &mut [Change],
) -> Result<()> {
    const CHUNK_ROWS: usize = 500;
    let mut conflicts: Vec<&mut Change> =
        changes.iter_mut().filter(|it| it.class == Class::Conflict).collect();
    for chunk in conflicts.chunks_mut(CHUNK_ROWS) {
        let keys: Vec<&str> = chunk.iter().map(|it| it.key.as_str()).collect();
        let live = setting::Entity::find()
            .filter(setting::Column::Namespace.eq(namespace))
            .filter(setting::Column::Layer.eq(layer))
            .filter(setting::Column::Key.is_in(keys.iter().copied()));
        let live = live.all(db).await?.into_iter().map(|row| {
            let edited =
                Edited { revision: row.revision, at: row.updated_at, actor: row.updated_by };
            (row.key, edited)
        });
        let mut live: HashMap<String, Edited> = live.collect();
        let seeds = seed::Entity::find()
            .filter(seed::Column::Namespace.eq(namespace))
            .filter(seed::Column::Layer.eq(layer))
            .filter(seed::Column::Key.is_in(keys.iter().copied()));
        let seeds = seeds.all(db).await?;
        let mut seeds: HashMap<String, Origin> =
            seeds.into_iter().map(|row| (row.key.clone(), rows::origin(&row))).collect();
        for change in chunk {
            let key = change.key.as_str();
            let provenance = Provenance { seed: seeds.remove(key), live: live.remove(key) };
            let known = provenance != Provenance::default();
            change.provenance = known.then(|| Box::new(provenance));
        }
    }
    Ok(())
}

#[tracing::instrument(level = "debug", skip_all)]
fn merge_layer(layer: &Layer<'_>, sources: &[ReadSource]) -> Vec<Merged> {
    let changed: HashSet<&str> = sources
        .iter()
        .filter(|it| it.status.is_merged())
        .map(|it| it.declared.path.as_str())
        .collect();
    let mut merged = Vec::new();
    let mut consider = |key: &Key, theirs: Option<Theirs<'_>>| {
        let base = layer.seeds.get(key).map(|it| &it.value);
        let ours = layer.live.get(key);
        let value = theirs.map(|it| &it.entry.value);
        let (class, after) = match merge(base, ours, value) {
            Outcome::Nothing => return,
            Outcome::Add => (Class::Add, value),
            Outcome::Update => (Class::Update, value),
            Outcome::Delete => (Class::Delete, None),
            Outcome::Keep => (Class::Keep, ours),
            Outcome::Converge => (Class::Converge, ours),
            Outcome::Conflict => (Class::Conflict, value),
        };
        merged.push(Merged {
            key: key.clone(),
            class,
            before: ours.cloned(),
            after: after.cloned(),
            seed: base.cloned(),
            origin: theirs.map(Theirs::origin),
            subtree: false,
        });
    };

    for theirs in layer.theirs.values() {
        consider(&theirs.entry.key, Some(*theirs));
    }
    let left_out =
        |key: &Key| !layer.theirs.contains_key(key.as_str()) && !layer.held.contains(key);
    for (key, seed) in &layer.seeds {
        if left_out(key) && changed.contains(seed.source.as_str()) {
            consider(key, None);
        }
    }
    for key in layer.live.keys() {
        if left_out(key) && !layer.seeds.contains_key(key) {
            consider(key, None);
        }
    }
    merged
}
