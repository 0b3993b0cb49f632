//! What has happened: revisions, the changes of each, and the difference between two.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::Serialize;
use serde_json::Value;
use setpoint_entity::{change, invalid_change, revision};
use setpoint_importers::{Key, TypedValue};

use crate::apply::head;
use crate::confirm::{Unconfirmed, waiting};
use crate::{Error, Result, rows};

pub(crate) mod removed;
mod wanted;

pub use removed::{Removed, removed};
pub use wanted::{EventPlace, Wanted};

/// One applied plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revision {
    pub id: i64,
    pub at: String,
    pub actor: String,
    pub channel: String,
    pub kind: String,
    pub reason: Option<String>,
    /// How many settings it changed.
    pub changes: i64,
    pub hash: Option<String>,
    /// Until when it waits to be confirmed, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unconfirmed: Option<Unconfirmed>,
}

/// What one revision did to one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    pub revision: i64,
    pub at: String,
    pub actor: String,
    pub channel: String,
    pub kind: String,
    pub reason: Option<String>,
    pub namespace: String,
    pub layer: String,
    pub key: Key,
    pub action: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
    /// Why it was kept out of the service; none if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_out: Option<String>,
}

/// A key that two revisions differ in.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub namespace: String,
    pub layer: String,
    pub key: Key,
    pub before: Option<TypedValue>,
    pub after: Option<TypedValue>,
}

/// The newest `limit` revisions that are `wanted`, the newest first.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn revisions(
    db: &impl ConnectionTrait,
    wanted: &Wanted,
    limit: u32,
) -> Result<Vec<Revision>> {
    let found = revision::Entity::find()
        .filter(wanted.of_revisions())
        .order_by_desc(revision::Column::Id)
        .limit(u64::from(limit));
    let found = found.all(db).await?;
    let counted = change::Entity::find()
        .select_only()
        .column(change::Column::Revision)
        .column_as(change::Column::Key.count(), "changes")
        .filter(change::Column::Revision.is_in(found.iter().map(|it| it.id)))
        .filter(wanted.in_namespaces())
        .group_by(change::Column::Revision);
    let counted: Vec<(i64, i64)> = counted.into_tuple().all(db).await?;
    let counted: HashMap<i64, i64> = counted.into_iter().collect();
    let mut waiting: HashMap<i64, Unconfirmed> =
        waiting(db).await?.into_iter().map(|it| (it.revision, it)).collect();
    let read = |row: revision::Model| Revision {
        unconfirmed: waiting.remove(&row.id),
        changes: counted.get(&row.id).copied().unwrap_or_default(),
        id: row.id,
        at: row.at,
        actor: row.actor,
        channel: row.channel,
        kind: row.kind,
        reason: row.reason,
        hash: row.hash,
    };
    Ok(found.into_iter().map(read).collect())
}

/// The revision `id`, with how many settings it changed in the namespaces that are `wanted`.
///
/// # Errors
///
/// [`Error::UnknownRevision`], also if it changed nothing there; [`Error::Pruned`],
/// [`Error::Database`].
pub async fn revision(db: &impl ConnectionTrait, wanted: &Wanted, id: i64) -> Result<Revision> {
    let wanted = Wanted { before: id.checked_add(1), ..wanted.clone() };
    let newest = revisions(db, &wanted, 1).await?.pop();
    match newest.filter(|it| it.id == id) {
        Some(revision) => Ok(revision),
        None => {
            removed::refuse_removed(db, id).await?;
            Err(Error::UnknownRevision { id, newest: head(db).await?.revision })
        }
    }
}

/// The namespaces that revision `id` has changed something in.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn namespaces(db: &impl ConnectionTrait, id: i64) -> Result<Vec<String>> {
    let changed = change::Entity::find()
        .select_only()
        .column(change::Column::Namespace)
        .filter(change::Column::Revision.eq(id))
        .distinct();
    Ok(changed.into_tuple().all(db).await?)
}

/// What happened to `key` and the keys below it, the newest `limit` events, the newest first.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn events_of(
    db: &impl ConnectionTrait,
    namespace: &str,
    key: &Key,
    limit: u32,
) -> Result<Vec<Event>> {
    let wanted = Wanted {
        namespaces: Some(vec![namespace.to_owned()]),
        key: Some(key.clone()),
        ..Wanted::default()
    };
    events(db, &wanted, None, limit).await
}

/// The newest `limit` events that are `wanted`, the newest first; those of one revision in order
/// of namespace, layer and key. Only those that come behind `after`.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn events(
    db: &impl ConnectionTrait,
    wanted: &Wanted,
    after: Option<&EventPlace>,
    limit: u32,
) -> Result<Vec<Event>> {
    let mut found = change::Entity::find().filter(wanted.of_events());
    if let Some(after) = after {
        found = found.filter(after.behind());
    }
    let found = found
        .order_by_desc(change::Column::Revision)
        .order_by_asc(change::Column::Namespace)
        .order_by_asc(change::Column::Layer)
        .order_by_asc(change::Column::Key)
        .limit(u64::from(limit));
    let found = found.all(db).await?;
    let ids: BTreeSet<i64> = found.iter().map(|it| it.revision).collect();
    let revisions = revision::Entity::find()
        .filter(revision::Column::Id.is_in(ids.iter().copied()))
        .all(db)
        .await?;
    let revisions: HashMap<i64, revision::Model> =
        revisions.into_iter().map(|it| (it.id, it)).collect();
    let kept_out = invalid_change::Entity::find()
        .filter(invalid_change::Column::Revision.is_in(ids))
        .all(db)
        .await?;
    let mut kept_out: HashMap<_, String> = kept_out
        .into_iter()
        .map(|it| ((it.revision, it.namespace, it.layer, it.key), it.reason))
        .collect();
    let json = |text: Option<String>| -> Result<Option<Value>> {
        Ok(rows::side(text.as_deref(), None)?.map(|it| it.json))
    };
    let read = |row: change::Model| {
        let Some(of) = revisions.get(&row.revision) else {
            return Err(DbErr::RecordNotFound(format!("there is no revision {}", row.revision)))?;
        };
        let place = (row.revision, row.namespace, row.layer, row.key);
        let kept_out = kept_out.remove(&place);
        let (revision, namespace, layer, key) = place;
        Ok(Event {
            revision,
            at: of.at.clone(),
            actor: of.actor.clone(),
            channel: of.channel.clone(),
            kind: of.kind.clone(),
            reason: of.reason.clone(),
            namespace,
            layer,
            key: rows::key(key)?,
            action: row.action,
            before: json(row.before)?,
            after: json(row.after)?,
            kept_out,
        })
    };
    found.into_iter().map(read).collect()
}

/// What has to change to get from revision `from` to revision `to`, in order of namespace,
/// layer and key. Revision 0 is the empty database.
///
/// # Errors
///
/// [`Error::UnknownRevision`], [`Error::Pruned`], [`Error::Database`].
pub async fn diff(db: &impl ConnectionTrait, from: i64, to: i64) -> Result<Vec<Difference>> {
    let newest = head(db).await?.revision;
    for id in [from, to] {
        if !(0..=newest).contains(&id) {
            return Err(Error::UnknownRevision { id, newest });
        }
    }
    let (low, high) = (from.min(to), from.max(to));
    removed::refuse_between(db, low, high).await?;
    let changes = change::Entity::find()
        .filter(change::Column::Revision.gt(low))
        .filter(change::Column::Revision.lte(high))
        .order_by_asc(change::Column::Revision);

    let mut net = BTreeMap::<(String, String, String), (Side, Side)>::new();
    for row in changes.all(db).await? {
        let after = (row.after, row.after_format);
        net.entry((row.namespace, row.layer, row.key))
            .and_modify(|(_, last)| *last = after.clone())
            .or_insert(((row.before, row.before_format), after));
    }
    let mut differences = Vec::new();
    for ((namespace, layer, key), (before, after)) in net {
        let (before, after) = if from <= to { (before, after) } else { (after, before) };
        let read = |(text, format): Side| rows::side(text.as_deref(), format.as_deref());
        let (before, after) = (read(before)?, read(after)?);
        if before != after {
            differences.push(Difference { namespace, layer, key: rows::key(key)?, before, after });
        }
    }
    Ok(differences)
}

type Side = (Option<String>, Option<String>);
