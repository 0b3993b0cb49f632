//! Files that follow the database, for the time in which a program still reads them.
//!
//! The outbox is the change log, and how far each file has come in it: a change is in the file
//! or still to be written, whatever crashed between.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Query;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter, QuerySelect,
};
use serde::Serialize;
use setpoint_entity::{change, head, outbox, removed_key, resolution, revision, seed, setting};
use setpoint_importers::{Key, Limits, TypedValue};

use crate::adopt::home;
use crate::apply::{lock_head, remember};
use crate::database::Database;
use crate::history::removed::is_any_between;
pub use crate::open::Left;
use crate::open::{Open, saying_what_it_can, seeds_of};
use crate::plan::{Author, Base, Kind, Plan};
use crate::setting::within;
use crate::source::{Declared, Imported, ReadSource, imported};
use crate::{Error, Result, rows, time};

/// What became of one file.
#[derive(Debug, Serialize)]
pub struct Followed {
    pub namespace: String,
    pub path: String,
    /// The keys that it says anew.
    pub written: Vec<Key>,
    /// The keys that it still says otherwise, and why: they are drift from now on.
    pub left: Vec<Left>,
    /// Why nothing could be written. It is tried again.
    pub failure: Option<String>,
}

/// Writes what has changed into those of `declared` files that follow the database. A file that
/// cannot be written now is told, and written the next time.
///
/// # Errors
///
/// [`Error::Locked`], [`Error::Database`].
pub async fn follow(
    db: &Database,
    declared: &[Declared],
    limits: &Limits,
    author: &Author,
    now: DateTime<Utc>,
) -> Result<Vec<Followed>> {
    let work = async {
        let transaction = db.begin().await?;
        let head = lock_head(&transaction).await?;
        let known = imported(&transaction).await?;
        let mut followed = Vec::new();
        for one in declared {
            if !one.write_back {
                continue;
            }
            let Some(last) = known.iter().find(|it| it.is_of(one)) else { continue };
            let db = &transaction;
            followed.extend(follow_one(db, &head, one, last, declared, limits, author, now).await?);
        }
        transaction.commit().await?;
        Ok::<_, Error>(followed)
    };
    work.await.map_err(|error| error.at(db.place()))
}

/// One file, while every other writer waits; nothing if it has nothing to follow.
#[expect(clippy::too_many_arguments, reason = "context first, then inputs, then now")]
async fn follow_one(
    db: &DatabaseTransaction,
    head: &head::Model,
    declared: &Declared,
    last: &Imported,
    all: &[Declared],
    limits: &Limits,
    author: &Author,
    now: DateTime<Utc>,
) -> Result<Option<Followed>> {
    let id = (declared.namespace.clone(), declared.path.clone());
    let row = outbox::Entity::find_by_id(id).one(db).await?;
    // The file says what its import took of it, but not what that settled against it.
    let start = Start {
        changed: row.as_ref().map_or(last.revision, |it| it.revision),
        settled: row.as_ref().map_or(last.revision - 1, |it| it.revision),
    };
    if start.settled >= head.revision {
        return Ok(None);
    }
    let (namespace, path) = (declared.namespace.clone(), declared.path.clone());
    let attempts = row.as_ref().map_or(0, |it| it.attempts);
    let mut next = outbox::Model {
        namespace: namespace.clone(),
        path: path.clone(),
        revision: head.revision,
        attempts: 0,
        failed_at: None,
        failure: None,
    };
    let mut followed =
        Followed { namespace, path, written: Vec::new(), left: Vec::new(), failure: None };

    let Changed { moved, homeless } = changed_since(db, declared, all, start).await?;
    followed.left.extend(
        homeless
            .into_iter()
            .map(|key| Left { key, reason: "more than one file could take it".to_owned() }),
    );
    if !moved.is_empty() {
        match write(db, declared, last, &moved, start.settled, limits).await {
            Ok(Written { source, written, left }) => {
                if let Some(source) = source {
                    let plan = Plan::new(
                        Kind::Adopt,
                        Base::of(head),
                        author.clone(),
                        Vec::new(),
                        Vec::new(),
                    );
                    let sources = [source];
                    remember::seeds(db, &plan, &sources).await?;
                    remember::sources(db, &plan, &sources, head.revision, now).await?;
                }
                followed.written = written;
                followed.left.extend(left);
            }
            Err(error @ Error::Database(_)) => return Err(error),
            Err(error) => {
                let failure = error.in_a_line();
                next.revision = start.settled;
                next.attempts = attempts + 1;
                next.failed_at = Some(time::stamp(now));
                next.failure = Some(failure.clone());
                followed.failure = Some(failure);
            }
        }
    }
    let next = next.into_active_model().reset_all();
    match row {
        Some(_) => drop(next.update(db).await?),
        None => drop(next.insert(db).await?),
    }
    let is_news =
        !followed.written.is_empty() || !followed.left.is_empty() || followed.failure.is_some();
    Ok(is_news.then_some(followed))
}

/// A key of the file that has changed in the database.
struct Moved {
    key: Key,
    base: Option<TypedValue>,
    live: Option<TypedValue>,
}

/// The revisions after which a file has something to follow.
#[derive(Clone, Copy)]
struct Start {
    changed: i64,
    settled: i64,
}

/// What revisions after some other have done to the keys of a file.
struct Changed {
    moved: Vec<Moved>,
    /// New keys of its layer that no file is found for.
    homeless: Vec<Key>,
}

/// The keys of `declared` that later revisions have changed, or settled against the file.
async fn changed_since(
    db: &DatabaseTransaction,
    declared: &Declared,
    all: &[Declared],
    start: Start,
) -> Result<Changed> {
    const CHUNK_ROWS: usize = 500;
    let (namespace, layer) = (declared.namespace.as_str(), declared.layer.as_str());
    let is_first = all
        .iter()
        .find(|it| it.write_back && it.namespace == namespace && it.layer == layer)
        .is_some_and(|it| it.path == declared.path);
    let keys: Vec<String> = change::Entity::find()
        .select_only()
        .column(change::Column::Key)
        .distinct()
        .filter(change::Column::Revision.gt(start.changed))
        .filter(change::Column::Namespace.eq(namespace))
        .filter(change::Column::Layer.eq(layer))
        .into_tuple()
        .all(db)
        .await?;
    let mut keys: BTreeSet<String> = keys.into_iter().collect();
    keys.extend(settled_since(db, namespace, layer, start.settled).await?);
    if is_any_between(db, start.changed, i64::MAX).await? {
        // What they have changed is known no more: it may be any key.
        keys.extend(all_keys(db, namespace, layer).await?);
    }
    let mut restored = HashSet::new();
    if is_replaced_since(db, start.changed).await? {
        restored.extend(keys_of(db, declared).await?.into_iter().filter(|it| !keys.contains(it)));
    }
    keys.extend(restored.iter().cloned());
    let keys: Vec<String> = keys.into_iter().collect();
    let (mut moved, mut homeless) = (Vec::new(), Vec::new());
    for chunk in keys.chunks(CHUNK_ROWS) {
        let seeds = seed::Entity::find()
            .filter(seed::Column::Namespace.eq(namespace))
            .filter(seed::Column::Layer.eq(layer))
            .filter(seed::Column::Key.is_in(chunk));
        let seeds = seeds.all(db).await?.into_iter().map(|row| (row.key.clone(), row));
        let mut seeds: HashMap<String, seed::Model> = seeds.collect();
        let live = setting::Entity::find()
            .filter(setting::Column::Namespace.eq(namespace))
            .filter(setting::Column::Layer.eq(layer))
            .filter(setting::Column::Key.is_in(chunk));
        let mut live = crate::setting::values(db, live).await?;
        for key in chunk {
            let row = seeds.remove(key);
            let is_restored = restored.contains(key);
            let key = rows::key(key.clone())?;
            let is_own = match &row {
                Some(row) => row.source == declared.path,
                None => match home(db, namespace, layer, &key, all).await? {
                    Some(path) => path == declared.path,
                    None => {
                        if is_first && live.contains_key(&key) {
                            homeless.push(key.clone());
                        }
                        false
                    }
                },
            };
            if is_own {
                let base =
                    row.map(|it| rows::value(&it.value, it.format.as_deref())).transpose()?;
                let live = live.remove(&key);
                if !is_restored || base != live {
                    moved.push(Moved { base, live, key });
                }
            }
        }
    }
    moved.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(Changed { moved, homeless })
}

/// Whether a backup has taken the place of everything: the log does not say what that changed.
async fn is_replaced_since(db: &DatabaseTransaction, since: i64) -> Result<bool> {
    let changing = Query::select()
        .column(change::Column::Revision)
        .from(change::Entity)
        .and_where(change::Column::Revision.gt(since))
        .take();
    let found = revision::Entity::find()
        .filter(revision::Column::Id.gt(since))
        .filter(revision::Column::Kind.eq(Kind::Restore.as_str()))
        .filter(revision::Column::Id.not_in_subquery(changing));
    Ok(found.count(db).await? > 0)
}

/// The keys that a file has, or had when they were last live.
async fn keys_of(db: &DatabaseTransaction, declared: &Declared) -> Result<Vec<String>> {
    let Declared { namespace, layer, path, .. } = declared;
    let seeds = seed::Entity::find()
        .select_only()
        .column(seed::Column::Key)
        .filter(seed::Column::Namespace.eq(namespace))
        .filter(seed::Column::Layer.eq(layer))
        .filter(seed::Column::Source.eq(path));
    let mut keys: Vec<String> = seeds.into_tuple().all(db).await?;
    let removed = removed_key::Entity::find()
        .select_only()
        .column(removed_key::Column::Key)
        .filter(removed_key::Column::Namespace.eq(namespace))
        .filter(removed_key::Column::Layer.eq(layer))
        .filter(removed_key::Column::Source.eq(path));
    keys.extend(removed.into_tuple::<String>().all(db).await?);
    Ok(keys)
}

/// Every key of a layer that is live, or that a file has.
async fn all_keys(db: &DatabaseTransaction, namespace: &str, layer: &str) -> Result<Vec<String>> {
    let live = setting::Entity::find()
        .select_only()
        .column(setting::Column::Key)
        .filter(setting::Column::Namespace.eq(namespace))
        .filter(setting::Column::Layer.eq(layer));
    let mut keys: Vec<String> = live.into_tuple().all(db).await?;
    let seeds = seed::Entity::find()
        .select_only()
        .column(seed::Column::Key)
        .filter(seed::Column::Namespace.eq(namespace))
        .filter(seed::Column::Layer.eq(layer));
    keys.extend(seeds.into_tuple::<String>().all(db).await?);
    Ok(keys)
}

/// The keys whose live value was chosen over that of the file: nothing changed in the database.
async fn settled_since(
    db: &DatabaseTransaction,
    namespace: &str,
    layer: &str,
    since: i64,
) -> Result<Vec<String>> {
    let roots: Vec<String> = resolution::Entity::find()
        .select_only()
        .column(resolution::Column::Key)
        .filter(resolution::Column::Revision.gt(since))
        .filter(resolution::Column::Namespace.eq(namespace))
        .filter(resolution::Column::Layer.eq(layer))
        .into_tuple()
        .all(db)
        .await?;
    let mut keys = Vec::new();
    for root in roots {
        let root = rows::key(root)?;
        let live = setting::Entity::find()
            .select_only()
            .column(setting::Column::Key)
            .filter(setting::Column::Namespace.eq(namespace))
            .filter(setting::Column::Layer.eq(layer))
            .filter(within(setting::Column::Key, &root));
        keys.extend(live.into_tuple::<String>().all(db).await?);
        let seeds = seed::Entity::find()
            .select_only()
            .column(seed::Column::Key)
            .filter(seed::Column::Namespace.eq(namespace))
            .filter(seed::Column::Layer.eq(layer))
            .filter(within(seed::Column::Key, &root));
        keys.extend(seeds.into_tuple::<String>().all(db).await?);
    }
    Ok(keys)
}

/// The values that keys have had since a revision.
type Earlier = HashMap<Key, Vec<Option<TypedValue>>>;

async fn values_since(
    db: &DatabaseTransaction,
    declared: &Declared,
    keys: &[&Key],
    since: i64,
) -> Result<Earlier> {
    const CHUNK_ROWS: usize = 500;
    let mut values = Earlier::new();
    for chunk in keys.chunks(CHUNK_ROWS) {
        let found = change::Entity::find()
            .filter(change::Column::Revision.gt(since))
            .filter(change::Column::Namespace.eq(&declared.namespace))
            .filter(change::Column::Layer.eq(&declared.layer))
            .filter(change::Column::Key.is_in(chunk.iter().map(|it| it.as_str())));
        for row in found.all(db).await? {
            let after = rows::side(row.after.as_deref(), row.after_format.as_deref())?;
            values.entry(rows::key(row.key)?).or_default().push(after);
        }
    }
    Ok(values)
}

fn was_live(earlier: &Earlier, key: &Key, value: Option<&TypedValue>) -> bool {
    earlier.get(key).is_some_and(|values| values.iter().any(|it| it.as_ref() == value))
}

struct Written {
    /// The file as it is then, if it says something new.
    source: Option<ReadSource>,
    written: Vec<Key>,
    left: Vec<Left>,
}

/// Makes the file say what has moved, except where somebody has edited it meanwhile.
async fn write(
    db: &DatabaseTransaction,
    declared: &Declared,
    last: &Imported,
    moved: &[Moved],
    since: i64,
    limits: &Limits,
) -> Result<Written> {
    let open = || Open::of(declared, Some(last), limits);
    let file = open()?;
    let says: HashMap<&Key, &TypedValue> =
        file.meaning.entries.iter().map(|it| (&it.key, &it.value)).collect();
    let theirs_of = |it: &Moved| says.get(&it.key).copied();
    let strange = moved.iter().filter(|it| theirs_of(it) != it.live.as_ref());
    let strange = strange.filter(|it| theirs_of(it) != it.base.as_ref());
    let strange: Vec<&Key> = strange.map(|it| &it.key).collect();
    let earlier = values_since(db, declared, &strange, since).await?;
    let mut left = Vec::new();
    let mut values = Vec::new();
    let mut written = Vec::new();
    for Moved { key, base, live } in moved {
        let theirs = says.get(key).copied();
        if theirs.is_none() && live.is_none() && base.is_none() {
            continue;
        }
        let reason = match () {
            () if file.meaning.held.contains(key) => "the file holds a secret there",
            () if theirs == live.as_ref() => {
                values.push((key.clone(), live.clone()));
                continue;
            }
            // What the database said meanwhile is what a run wrote that was killed before it
            // could say so.
            () if theirs == base.as_ref() || was_live(&earlier, key, theirs) => {
                values.push((key.clone(), live.clone()));
                written.push(key.clone());
                continue;
            }
            () => "the file was edited meanwhile",
        };
        left.push(Left { key: key.clone(), reason: reason.to_owned() });
    }
    if values.is_empty() {
        return Ok(Written { source: None, written, left });
    }
    let seeds = seeds_of(db, &declared.namespace, &declared.path).await?;
    drop(file);
    let (said, refused) = saying_what_it_can(open, &mut values, &seeds, limits)?;
    left.extend(refused);
    let (source, rewrite) = said;
    if rewrite.before.as_ref() != Some(&rewrite.after) {
        rewrite.carry_out()?;
    }
    let refused: HashSet<&Key> = left.iter().map(|it| &it.key).collect();
    written.retain(|it| !refused.contains(it));
    Ok(Written { source: Some(source), written, left })
}
