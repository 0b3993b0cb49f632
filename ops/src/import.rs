//! Files into the database: a plan by the three-way merge of seed, live value and file.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use indexmap::IndexMap;
use sea_orm::ConnectionTrait;
use setpoint_importers::{Entry, Key, Limits, Place, TypedValue};

use crate::apply::head;
use crate::error::Claim;
use crate::merge::{Outcome, merge};
use crate::plan::{Author, Base, Change, Class, Kind, Origin, Plan, PlannedSource, SourceStatus};
use crate::source::{Declared, ReadSource, imported, read};
use crate::{Error, Result, bulk, rows, setting};

mod settle;
mod subtree;

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

impl Strategy {
    /// Refuses a plan with conflicts if that is the strategy.
    pub(crate) fn admit(self, plan: &Plan) -> Result<()> {
        match plan.summary.conflict {
            count if count > 0 && self == Self::Fail => Err(Error::Conflicts { count }),
            _ => Ok(()),
        }
    }
}

/// A plan and the files it came from, as they were read.
#[derive(Debug)]
pub struct Import {
    pub plan: Plan,
    pub sources: Vec<ReadSource>,
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
}

struct Seed {
    value: TypedValue,
    source: String,
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
/// long as its file is there, below `root`.
///
/// # Errors
///
/// [`Error::Unreadable`], [`Error::Import`] and [`Error::Refused`] for the files;
/// [`Error::ClaimedTwice`]; [`Error::Conflicts`] with [`Strategy::Fail`]; [`Error::Database`].
#[tracing::instrument(level = "debug", skip_all)]
pub async fn plan(
    db: &impl ConnectionTrait,
    declared: &[Declared],
    root: &Path,
    strategy: Strategy,
    limits: &Limits,
    author: Author,
) -> Result<Import> {
    let head = head(db).await?;
    let mut sources = read(declared, &imported(db).await?, limits)?;
    if matches!(strategy, Strategy::Ours | Strategy::Theirs) {
        let open = sources.iter_mut().filter(|it| it.status == SourceStatus::Open);
        open.for_each(|it| it.status = SourceStatus::Changed);
    }
    let base = Base::of(&head);

    let mut layers = collect(&sources)?;
    let mut changes = Vec::new();
    let mut resolutions = Vec::new();
    for ((namespace, name), layer) in &mut layers {
        load(db, namespace, name, layer).await?;
        refuse_second_claims(namespace, layer, &sources, root)?;
        let merged = merge_layer(layer, &sources);
        let joined = subtree::join(merged, layer);
        let before = settle::remembered(db, namespace, name).await?;
        let (settled, chosen) = settle::settle(joined, strategy, &before, (namespace, name), layer);
        resolutions.extend(chosen);
        changes.extend(settled.into_iter().map(|it| it.into_change(namespace, name)));
    }

    let sources_planned = sources.iter().map(planned).collect();
    let plan = Plan::new(Kind::Import, base, author, sources_planned, changes);
    let plan = plan.remembering(resolutions);
    strategy.admit(&plan)?;
    Ok(Import { plan, sources })
}

fn planned(source: &ReadSource) -> PlannedSource {
    PlannedSource {
        namespace: source.declared.namespace.clone(),
        layer: source.declared.layer.clone(),
        path: source.declared.path.clone(),
        prefix: source.declared.prefix.clone(),
        format: source.declared.format.clone(),
        status: source.status,
        raw_hash: source.raw_hash.clone(),
    }
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

#[tracing::instrument(level = "debug", skip_all)]
async fn load(
    db: &impl ConnectionTrait,
    namespace: &str,
    name: &str,
    layer: &mut Layer<'_>,
) -> Result<()> {
    let columns = ["key", "value", "format", "source"];
    let condition = "namespace = $1 AND layer = $2";
    let values = [namespace.into(), name.into()];
    let seeds: Vec<(String, String, Option<String>, String)> =
        bulk::select(db, &columns, "seed", condition, values).await?;
    for (key, text, format, source) in seeds {
        let value = rows::value(&text, format.as_deref())?;
        layer.seeds.insert(rows::key(key)?, Seed { value, source });
    }
    layer.live = setting::layer(db, namespace, name).await?;
    Ok(())
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
                None => root.join(&seed.source).exists(),
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
        }
    }
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
    let left_out = |key: &Key| !layer.theirs.contains_key(key.as_str());
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
