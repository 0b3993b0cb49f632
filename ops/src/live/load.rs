//! From the database into memory: everything, or what came after a revision.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect, Statement,
};
use setpoint_entity::{change, head};
use setpoint_importers::{Key, TypedValue};

use super::news::{Moved, News};
use super::policy::Policy;
use super::snapshot::{Entry, Refused, Snapshot};
use crate::setting::Setting;
use crate::{Result, bulk, rows};

/// A value as the log or the table of live values has it.
struct Row {
    namespace: String,
    layer: String,
    key: String,
    /// None if the setting was deleted.
    value: Option<String>,
    format: Option<String>,
    revision: i64,
    at: String,
    actor: String,
    /// Through which door it came; none if its revision is not kept any more.
    channel: Option<String>,
}

/// What a row is to those who read.
enum Read {
    Setting(Setting),
    Deleted(Key),
    Refused(Refused),
}

/// Loads everything that is live at `head`.
pub(super) async fn everything(
    db: &impl ConnectionTrait,
    head: &head::Model,
    policy: Arc<Policy>,
) -> Result<Snapshot> {
    type Tuple =
        (String, String, String, String, Option<String>, i64, String, String, Option<String>);
    let columns = [
        "namespace",
        "layer",
        "key",
        "value",
        "format",
        "revision",
        "updated_at",
        "updated_by",
        "channel",
    ];
    let table = "(SELECT s.namespace, s.layer, s.key, s.value, s.format, s.revision, s.updated_at,
                  s.updated_by, r.channel FROM setting s LEFT JOIN revision r ON r.id = s.revision) t";
    let found: Vec<Tuple> = bulk::select(db, &columns, table, "1 = 1", []).await?;

    let mut settings = Vec::with_capacity(found.len());
    let mut refused = Vec::new();
    for (namespace, layer, key, value, format, revision, at, actor, channel) in found {
        let value = Some(value);
        let row = Row { namespace, layer, key, value, format, revision, at, actor, channel };
        match read(row, &policy) {
            Read::Setting(setting) => settings.push(setting),
            Read::Deleted(_) => {}
            Read::Refused(one) => {
                settings.extend(last_good(db, &one, &policy).await?);
                refused.push(one);
            }
        }
    }
    let empty = Snapshot::empty(head.epoch.as_str().into(), head.revision, policy);
    let mut filled = empty.filled(settings, refused);
    filled.changed_at(&newest_changes(db, &filled).await?);
    Ok(filled)
}

/// The last revision that changed something in each namespace: what was deleted is not live, and
/// counts as well.
async fn newest_changes(
    db: &impl ConnectionTrait,
    snapshot: &Snapshot,
) -> Result<Vec<(String, i64)>> {
    let mut newest = Vec::new();
    for namespace in snapshot.namespaces() {
        let last = change::Entity::find()
            .select_only()
            .column(change::Column::Revision)
            .filter(change::Column::Namespace.eq(namespace))
            .order_by_desc(change::Column::Revision)
            .limit(1);
        let last: Option<i64> = last.into_tuple().one(db).await?;
        newest.extend(last.map(|it| (namespace.to_owned(), it)));
    }
    Ok(newest)
}

/// Loads the revisions after that of `snapshot` up to `head` onto it.
pub(super) async fn delta(
    db: &impl ConnectionTrait,
    head: &head::Model,
    snapshot: &mut Snapshot,
) -> Result<()> {
    type Of = (i64, String, String, String, String, Option<String>);
    type Tuple = (i64, String, String, String, Option<String>, Option<String>);
    let after = snapshot.revision;
    let columns = ["id", "at", "actor", "channel", "kind", "reason"];
    let range = || [after.into(), head.revision.into()];
    let condition = "id > $1 AND id <= $2";
    let mut revisions: Vec<Of> = bulk::select(db, &columns, "revision", condition, range()).await?;
    revisions.sort_by_key(|it| it.0);
    let columns = ["revision", "namespace", "layer", "key", "after", "after_format"];
    let condition = "revision > $1 AND revision <= $2";
    let found: Vec<Tuple> = bulk::select(db, &columns, "change", condition, range()).await?;
    let mut changes = HashMap::<i64, Vec<Tuple>>::new();
    for one in found {
        changes.entry(one.0).or_default().push(one);
    }

    let policy = snapshot.policy.clone();
    let mut names = Names::default();
    for (id, at, actor, channel, kind, reason) in revisions {
        let (mut moved, mut refused) = (Vec::new(), Vec::new());
        let mut of_revision = changes.remove(&id).unwrap_or_default();
        of_revision.sort_by(|a, b| (&a.1, &a.2, &a.3).cmp(&(&b.1, &b.2, &b.3)));
        for (revision, namespace, layer, key, value, format) in of_revision {
            let place = (names.get(&namespace), names.get(&layer));
            let (at, actor, channel) = (at.clone(), actor.clone(), Some(channel.clone()));
            let row = Row { namespace, layer, key, value, format, revision, at, actor, channel };
            let (key, after) = match read(row, &policy) {
                Read::Setting(setting) => {
                    (setting.key.clone(), Some(Arc::new(Entry::new(setting))))
                }
                Read::Deleted(key) => (key, None),
                Read::Refused(one) => {
                    refused.push(one);
                    continue;
                }
            };
            moved.push(Moved { namespace: place.0, layer: place.1, key, after });
        }
        snapshot.advance(News {
            id,
            at,
            actor,
            channel,
            kind,
            reason,
            moved,
            effective: Vec::new(),
            rendered: OnceLock::new(),
            refused,
        });
    }
    Ok(())
}

/// The last value before `refused` that programs may have, which is then still theirs.
async fn last_good(
    db: &impl ConnectionTrait,
    refused: &Refused,
    policy: &Policy,
) -> Result<Option<Setting>> {
    #[derive(FromQueryResult)]
    struct Earlier {
        revision: i64,
        after: Option<String>,
        after_format: Option<String>,
        before: Option<String>,
        before_format: Option<String>,
        at: String,
        actor: String,
        channel: String,
    }
    const EARLIER: &str = "
        SELECT c.revision, c.after, c.after_format, c.before, c.before_format, r.at, r.actor,
               r.channel
        FROM change c JOIN revision r ON r.id = c.revision
        WHERE c.namespace = $1 AND c.layer = $2 AND c.key = $3 AND c.revision < $4
        ORDER BY c.revision DESC LIMIT 1";
    let Refused { namespace, layer, key, .. } = refused;
    let mut before = refused.revision + 1;
    let mut was = None;
    loop {
        let values =
            [namespace.as_str().into(), layer.as_str().into(), key.as_str().into(), before.into()];
        let ask = Statement::from_sql_and_values(db.get_database_backend(), EARLIER, values);
        let Some(earlier) = Earlier::find_by_statement(ask).one(db).await? else { return Ok(None) };
        let is_refused_one = earlier.revision == refused.revision;
        let became = rows::side(earlier.after.as_deref(), earlier.after_format.as_deref()).ok();
        if was.is_some_and(|it| it != became) {
            // Retention has removed what came between.
            return Ok(None);
        }
        was = Some(rows::side(earlier.before.as_deref(), earlier.before_format.as_deref()).ok());
        before = earlier.revision;
        if is_refused_one {
            continue;
        }
        let row = Row {
            namespace: namespace.clone(),
            layer: layer.clone(),
            key: key.clone(),
            value: earlier.after,
            format: earlier.after_format,
            revision: earlier.revision,
            at: earlier.at,
            actor: earlier.actor,
            channel: Some(earlier.channel),
        };
        match read(row, policy) {
            Read::Setting(setting) => return Ok(Some(setting)),
            Read::Deleted(_) => return Ok(None),
            Read::Refused(_) => {}
        }
    }
}

/// Looks at a row.
fn read(row: Row, policy: &Policy) -> Read {
    let Row { namespace, layer, key, value, format, revision, at, actor, channel } = row;
    let refused = |key: String, at, reason: String, stored| {
        let (namespace, layer) = (namespace.clone(), layer.clone());
        Read::Refused(Refused { namespace, layer, key, revision, at, reason, stored })
    };
    let key = match Key::try_from(key.clone()) {
        Ok(key) => key,
        Err(error) => return refused(key, at, format!("is no key: {error}"), None),
    };
    let value: TypedValue = match rows::side(value.as_deref(), format.as_deref()) {
        Ok(Some(value)) => value,
        Ok(None) => return Read::Deleted(key),
        Err(error) => return refused(key.to_string(), at, error.to_string(), None),
    };
    let declared = policy.space(&namespace);
    if let Some(reason) = declared.keeps_out(channel.as_deref(), &key, &value) {
        return refused(key.to_string(), at, reason.to_string(), Some(value));
    }
    Read::Setting(Setting {
        namespace,
        layer,
        key,
        value_type: value.value_type(),
        value: value.json,
        format: value.format,
        revision,
        updated_at: at,
        updated_by: actor,
    })
}

/// Names of namespaces and layers, each kept once.
#[derive(Default)]
struct Names(HashMap<String, Arc<str>>);

impl Names {
    fn get(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        let kept: Arc<str> = name.into();
        self.0.insert(name.to_owned(), kept.clone());
        kept
    }
}
