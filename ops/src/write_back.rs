//! Files that follow the database, for the time in which a program still reads them.
//!
//! The outbox is the change log, and how far each file has come in it: a change is in the file
//! or still to be written, whatever crashed between.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect,
};
use serde::Serialize;
use setpoint_entity::{change, outbox, resolution, seed, setting};
use setpoint_importers::{Key, Limits, TypedValue};

use crate::adopt::{Open, home, seeds_of};
use crate::apply::{lock_head, remember};
use crate::database::Database;
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

/// A key that was not written.
#[derive(Debug, Serialize)]
pub struct Left {
    pub key: Key,
    pub reason: String,
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
    let mut followed = Vec::new();
    for one in declared.iter().filter(|it| it.write_back) {
        let work = async {
            let transaction = db.begin().await?;
            let done = follow_one(&transaction, one, declared, limits, author, now).await?;
            transaction.commit().await?;
            Ok::<_, Error>(done)
        };
        followed.extend(work.await.map_err(|error| error.at(db.place()))?);
    }
    Ok(followed)
}

/// One file, while every other writer waits; nothing if it has nothing to follow.
async fn follow_one(
    db: &DatabaseTransaction,
    declared: &Declared,
    all: &[Declared],
    limits: &Limits,
    author: &Author,
    now: DateTime<Utc>,
) -> Result<Option<Followed>> {
    let head = lock_head(db).await?;
    let known = imported(db).await?;
    let is_it = |it: &&Imported| (&it.namespace, &it.path) == (&declared.namespace, &declared.path);
    let Some(last) = known.iter().find(is_it) else { return Ok(None) };
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
        match write(db, declared, last, &moved, limits).await {
            Ok(Written { source, written, left }) => {
                if let Some(source) = source {
                    let plan = Plan::new(
                        Kind::Adopt,
                        Base::of(&head),
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
                let failure = match std::error::Error::source(&error) {
                    Some(cause) => format!("{error}: {cause}"),
                    None => error.to_string(),
                };
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
                moved.push(Moved { base, live: live.remove(&key), key });
            }
        }
    }
    moved.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(Changed { moved, homeless })
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
    limits: &Limits,
) -> Result<Written> {
    let open = || Open::of(declared, Some(last), limits);
    let file = open()?;
    let says: HashMap<&Key, &TypedValue> =
        file.meaning.entries.iter().map(|it| (&it.key, &it.value)).collect();
    let mut left = Vec::new();
    let mut values = Vec::new();
    let mut written = Vec::new();
    for Moved { key, base, live } in moved {
        let theirs = says.get(key).copied();
        if theirs.is_none() && live.is_none() && base.is_none() {
            continue;
        }
        let reason = match () {
            () if theirs == live.as_ref() => {
                values.push((key.clone(), live.clone()));
                continue;
            }
            () if file.meaning.held.contains(key) => "the file holds a secret there",
            () if theirs == base.as_ref() => {
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
    let said = match file.saying(&values, &seeds, limits) {
        Err(error) if !refuses_keys(&error) => return Err(error),
        Err(_) => {
            // Those that cannot be said are left out, one by one.
            let mut can = Vec::new();
            for value in values {
                let alone = open()?.saying(std::slice::from_ref(&value), &seeds, limits);
                match alone {
                    Ok(_) => can.push(value),
                    Err(error) if refuses_keys(&error) => {
                        left.push(Left { key: value.0, reason: error.to_string() });
                    }
                    Err(error) => return Err(error),
                }
            }
            open()?.saying(&can, &seeds, limits)?
        }
        Ok(said) => said,
    };
    let (source, rewrite) = said;
    if rewrite.before.as_ref() != Some(&rewrite.after) {
        rewrite.carry_out()?;
    }
    let refused: HashSet<&Key> = left.iter().map(|it| &it.key).collect();
    written.retain(|it| !refused.contains(it));
    Ok(Written { source: Some(source), written, left })
}

/// Whether it is keys that cannot be written, and not the file.
fn refuses_keys(error: &Error) -> bool {
    matches!(
        error,
        Error::Edit(_) | Error::NoHome { .. } | Error::NotTheSame { .. } | Error::MappingFault(_)
    )
}
