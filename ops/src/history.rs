//! What has happened: revisions, the changes of each, and the difference between two.

use std::collections::BTreeMap;

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, Statement,
};
use serde::Serialize;
use serde_json::Value;
use setpoint_entity::change;
use setpoint_importers::{Key, TypedValue};

use crate::apply::head;
use crate::{Error, Result, rows};

/// One applied plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromQueryResult)]
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

const REVISIONS: &str = "
SELECT r.id, r.at, r.actor, r.channel, r.kind, r.reason, r.hash,
       (SELECT count(*) FROM change c WHERE c.revision = r.id) AS changes
FROM revision r ORDER BY r.id DESC LIMIT $1
";

/// The newest `limit` revisions, the newest first.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn revisions(db: &impl ConnectionTrait, limit: u32) -> Result<Vec<Revision>> {
    let ask = Statement::from_sql_and_values(
        db.get_database_backend(),
        REVISIONS,
        [i64::from(limit).into()],
    );
    Ok(Revision::find_by_statement(ask).all(db).await?)
}

#[derive(FromQueryResult)]
struct EventRow {
    revision: i64,
    at: String,
    actor: String,
    channel: String,
    kind: String,
    reason: Option<String>,
    namespace: String,
    layer: String,
    key: String,
    action: String,
    before: Option<String>,
    after: Option<String>,
}

const EVENTS_OF_KEY: &str = "
SELECT c.revision, r.at, r.actor, r.channel, r.kind, r.reason,
       c.namespace, c.layer, c.key, c.action, c.before, c.after
FROM change c JOIN revision r ON r.id = c.revision
WHERE c.namespace = $1 AND (c.key = $2 OR (c.key > $3 AND c.key < $4))
ORDER BY c.revision DESC, c.layer, c.key LIMIT $5
";

const EVENTS: &str = "
SELECT c.revision, r.at, r.actor, r.channel, r.kind, r.reason,
       c.namespace, c.layer, c.key, c.action, c.before, c.after
FROM change c JOIN revision r ON r.id = c.revision
ORDER BY c.revision DESC, c.namespace, c.layer, c.key LIMIT $1
";

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
    let values = [
        namespace.into(),
        key.as_str().into(),
        format!("{key}.").into(),
        format!("{key}/").into(),
        i64::from(limit).into(),
    ];
    events_by(db, EVENTS_OF_KEY, values).await
}

/// The newest `limit` events of every namespace, the newest first.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn events(db: &impl ConnectionTrait, limit: u32) -> Result<Vec<Event>> {
    events_by(db, EVENTS, [i64::from(limit).into()]).await
}

async fn events_by<const N: usize>(
    db: &impl ConnectionTrait,
    sql: &str,
    values: [sea_orm::Value; N],
) -> Result<Vec<Event>> {
    let ask = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let found = EventRow::find_by_statement(ask).all(db).await?;
    let json = |text: Option<String>| -> Result<Option<Value>> {
        Ok(rows::side(text.as_deref(), None)?.map(|it| it.json))
    };
    let read = |row: EventRow| {
        Ok(Event {
            revision: row.revision,
            at: row.at,
            actor: row.actor,
            channel: row.channel,
            kind: row.kind,
            reason: row.reason,
            namespace: row.namespace,
            layer: row.layer,
            key: rows::key(row.key)?,
            action: row.action,
            before: json(row.before)?,
            after: json(row.after)?,
        })
    };
    found.into_iter().map(read).collect()
}

/// What has to change to get from revision `from` to revision `to`, in order of namespace,
/// layer and key. Revision 0 is the empty database.
///
/// # Errors
///
/// [`Error::UnknownRevision`], [`Error::Database`].
pub async fn diff(db: &impl ConnectionTrait, from: i64, to: i64) -> Result<Vec<Difference>> {
    let newest = head(db).await?.revision;
    for id in [from, to] {
        if !(0..=newest).contains(&id) {
            return Err(Error::UnknownRevision { id, newest });
        }
    }
    let (low, high) = (from.min(to), from.max(to));
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
