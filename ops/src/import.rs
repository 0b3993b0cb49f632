//! Files into the database: a plan by the three-way merge of seed, live value and file.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use sea_orm::ConnectionTrait;
use setpoint_importers::{Entry, Key, Limits, Place, TypedValue};

use crate::apply::head;
use crate::error::Claim;
use crate::export::tree;
use crate::merge::{Outcome, merge};
use crate::plan::{Author, Base, Change, Class, Kind, Origin, Plan, PlannedSource, SourceStatus};
use crate::source::{Declared, ReadSource, imported, read};
use crate::{Error, Result, bulk, rows, setting};

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

/// A plan and the files it came from, as they were read.
#[derive(Debug)]
pub struct Import {
    pub plan: Plan,
    pub sources: Vec<ReadSource>,
}

/// Everything that is known of one layer.
#[derive(Default)]
struct Layer<'a> {
    seeds: HashMap<Key, Seed>,
    live: HashMap<Key, TypedValue>,
    /// By the text of the key.
    theirs: HashMap<&'a str, Theirs<'a>>,
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
    let base = Base { epoch: (head.revision > 0).then_some(head.epoch), revision: head.revision };

    let mut layers = collect(&sources)?;
    let mut changes = Vec::new();
    for ((namespace, name), layer) in &mut layers {
        load(db, namespace, name, layer).await?;
        refuse_second_claims(namespace, layer, &sources, root)?;
        let merged = merge_layer(layer, &sources);
        let settled = settle(join_subtrees(merged, layer), strategy, layer);
        changes.extend(settled.into_iter().map(|it| it.into_change(namespace, name)));
    }

    let sources_planned = sources.iter().map(planned).collect();
    let plan = Plan::new(Kind::Import, base, author, sources_planned, changes);
    match plan.summary.conflict {
        count if count > 0 && strategy == Strategy::Fail => Err(Error::Conflicts { count }),
        _ => Ok(Import { plan, sources }),
    }
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

/// Turns a scalar on one side against a map on the other into one conflict over the subtree.
fn join_subtrees(merged: Vec<Merged>, layer: &Layer<'_>) -> Vec<Merged> {
    let added: HashSet<&str> = of_class(&merged, Class::Add);
    if added.is_empty() {
        return merged;
    }
    let deleted = of_class(&merged, Class::Delete);
    let stays = |key: &str| layer.live.contains_key(key) && !deleted.contains(key);

    let mut roots = HashSet::new();
    for key in merged.iter().filter(|it| it.class == Class::Add).map(|it| &it.key) {
        roots.extend(key.ancestors().filter(|it| stays(it)).last().map(str::to_owned));
    }
    for key in layer.live.keys().filter(|it| !deleted.contains(it.as_str())) {
        roots.extend(key.ancestors().filter(|it| added.contains(it)).last().map(str::to_owned));
    }
    if roots.is_empty() {
        return merged;
    }

    let root_of = |key: &Key| {
        let above = key.ancestors().find(|it| roots.contains(*it));
        above.or_else(|| roots.get(key.as_str()).map(String::as_str)).map(str::to_owned)
    };
    let mut joined: Vec<Merged> =
        merged.into_iter().filter(|it| root_of(&it.key).is_none()).collect();
    let mut subtrees = BTreeMap::<String, Subtree>::new();
    for (key, value) in &layer.live {
        if let Some(root) = root_of(key) {
            subtrees.entry(root).or_default().ours.push((key, value));
        }
    }
    for (key, seed) in &layer.seeds {
        if let Some(root) = root_of(key) {
            subtrees.entry(root).or_default().base.push((key, &seed.value));
        }
    }
    for theirs in layer.theirs.values() {
        let Entry { key, value, place } = theirs.entry;
        if let Some(root) = root_of(key) {
            let subtree = subtrees.entry(root).or_default();
            subtree.theirs.push((key, value));
            if subtree.first.is_none_or(|first| place < &first.entry.place) {
                subtree.first = Some(*theirs);
            }
        }
    }
    for (root, mut subtree) in subtrees {
        for side in [&mut subtree.base, &mut subtree.ours, &mut subtree.theirs] {
            side.sort_by_key(|(key, _)| *key);
        }
        let key = Key::parse(&root).expect("a root is a key or the map a key lies in");
        joined.push(Merged {
            class: Class::Conflict,
            before: tree::subtree(&key, subtree.ours),
            after: tree::subtree(&key, subtree.theirs),
            seed: tree::subtree(&key, subtree.base),
            origin: subtree.first.map(Theirs::origin),
            subtree: true,
            key,
        });
    }
    joined
}

/// What the three sides have at a key and below it.
#[derive(Default)]
struct Subtree<'a> {
    base: Vec<(&'a Key, &'a TypedValue)>,
    ours: Vec<(&'a Key, &'a TypedValue)>,
    theirs: Vec<(&'a Key, &'a TypedValue)>,
    /// Of `theirs`, by its place.
    first: Option<Theirs<'a>>,
}

fn of_class(merged: &[Merged], class: Class) -> HashSet<&str> {
    merged.iter().filter(|it| it.class == class).map(|it| it.key.as_str()).collect()
}

/// Carries out what was chosen for conflicts.
fn settle(merged: Vec<Merged>, strategy: Strategy, layer: &Layer<'_>) -> Vec<Merged> {
    let mut settled = Vec::with_capacity(merged.len());
    for mut one in merged {
        match (one.class, strategy) {
            (Class::Conflict, Strategy::Ours) => {
                one.class = Class::Keep;
                one.after = one.before.clone();
                settled.push(one);
            }
            (Class::Conflict, Strategy::Theirs) => settled.extend(theirs_below(&one, layer)),
            _ => settled.push(one),
        }
    }
    settled
}

/// The changes that make a key, or the subtree at it, what the file says.
fn theirs_below(conflict: &Merged, layer: &Layer<'_>) -> Vec<Merged> {
    let root = &conflict.key;
    let keys: HashSet<&Key> = if conflict.subtree {
        let theirs = layer.theirs.values().map(|it| &it.entry.key);
        theirs.chain(layer.live.keys()).filter(|it| it.starts_with(root)).collect()
    } else {
        HashSet::from([root])
    };
    let change = |key: &Key| {
        let (before, theirs) = (layer.live.get(key), layer.theirs.get(key.as_str()));
        let class = match (before, theirs) {
            (None, Some(_)) => Class::Add,
            (Some(_), None) => Class::Delete,
            (Some(before), Some(theirs)) if *before != theirs.entry.value => Class::Update,
            _ => return None,
        };
        Some(Merged {
            key: key.clone(),
            class,
            before: before.cloned(),
            after: theirs.map(|it| it.entry.value.clone()),
            seed: None,
            origin: theirs.map(|it| it.origin()),
            subtree: false,
        })
    };
    keys.into_iter().filter_map(change).collect()
}
