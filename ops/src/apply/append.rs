//! Revisions appended to the log, and the live values copied from it.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait,
    QueryFilter, QueryTrait, Statement,
};
use setpoint_entity::{change, head, revision, setting};
use setpoint_importers::TypedValue;
use setpoint_migration::type_of;

use super::Channel;
use crate::audit::{self, ChainedChange};
use crate::bulk::Script;
use crate::plan::{Effect, Plan};
use crate::{Result, confirm, time};

/// Makes `plans` the revisions after `head`, one each, in their order, through what door and when
/// they came. The caller has locked it.
pub(crate) async fn append(
    db: &DatabaseTransaction,
    head: &head::Model,
    plans: &[(impl Borrow<Plan>, Channel, DateTime<Utc>)],
) -> Result<()> {
    let mut hash = audit::seal(db, head).await?;
    let mut revisions = Vec::with_capacity(plans.len());
    let mut changes = Vec::new();
    let mut done = Vec::new();
    for ((plan, channel, now), id) in plans.iter().zip(head.revision + 1..) {
        let plan: &Plan = plan.borrow();
        let mut row = revision::Model {
            id,
            at: time::stamp(*now),
            actor: plan.author.actor.clone(),
            channel: channel.as_str().to_owned(),
            kind: plan.kind.as_str().to_owned(),
            reason: plan.author.reason.clone(),
            plan_hash: Some(plan.hash.clone()),
            previous_hash: Some(hash.clone()),
            hash: None,
        };
        let effects = plan.effects();
        let rows: Vec<change::Model> = effects.iter().map(|it| change_row(it, id)).collect();
        hash = audit::link(&hash, &row, rows.iter().map(ChainedChange::from).collect());
        row.hash = Some(hash.clone());
        revisions.push(row);
        changes.extend(rows);
        done.extend(effects);
    }
    let Some(newest) = revisions.last().map(|it| it.id) else { return Ok(()) };

    let range = [head.revision + 1, newest];
    let backend = db.get_database_backend();
    let mut script = Script::on(db);
    // Of what is written from here on, no trigger makes a revision.
    let applying = Expr::value(newest);
    let silence = head::Entity::update_many().col_expr(head::Column::Applying, applying);
    script.push(silence.build(backend));
    write_revisions(&mut script, revisions).await?;
    write_changes(&mut script, changes).await?;
    if plans.len() > 1 {
        // What each key is in the end.
        let last: BTreeMap<_, _> = done.into_iter().map(|it| (it.place(), it)).collect();
        done = last.into_values().collect();
    }
    done.retain(|it| it.after.is_none());
    delete_settings(&mut script, backend, &done);
    script.push(settings_written(backend, range));
    let next = head::ActiveModel {
        id: Set(head.id),
        revision: Set(newest),
        hash: Set(hash),
        applying: Set(None),
        ..Default::default()
    };
    script.push(head::Entity::update(next).validate()?.build(backend));
    script.run().await?;
    confirm::wait(db, head, plans).await?;
    confirm::end_taken_back(db, head, plans).await
}

async fn write_revisions(
    script: &mut Script<'_, DatabaseTransaction>,
    revisions: Vec<revision::Model>,
) -> Result<()> {
    let columns =
        ["id", "at", "actor", "channel", "kind", "reason", "plan_hash", "previous_hash", "hash"];
    let rows = revisions.into_iter().map(|it| {
        [
            it.id.into(),
            it.at.into(),
            it.actor.into(),
            it.channel.into(),
            it.kind.into(),
            it.reason.into(),
            it.plan_hash.into(),
            it.previous_hash.into(),
            it.hash.into(),
        ]
    });
    script.insert("revision", columns, rows).await
}

fn change_row(effect: &Effect<'_>, revision: i64) -> change::Model {
    let action = match (effect.before, effect.after) {
        (None, _) => "add",
        (_, None) => "delete",
        _ => "update",
    };
    let format =
        |side: Option<&TypedValue>| side.and_then(|it| it.format).map(|it| it.as_str().to_owned());
    change::Model {
        namespace: effect.namespace.to_owned(),
        layer: effect.layer.to_owned(),
        key: effect.key.to_string(),
        revision,
        action: action.to_owned(),
        before: effect.before.map(TypedValue::text),
        before_format: format(effect.before),
        after: effect.after.map(TypedValue::text),
        after_format: format(effect.after),
    }
}

async fn write_changes(
    script: &mut Script<'_, DatabaseTransaction>,
    changes: Vec<change::Model>,
) -> Result<()> {
    let columns = [
        "namespace",
        "layer",
        "key",
        "revision",
        "action",
        "before",
        "before_format",
        "after",
        "after_format",
    ];
    let rows = changes.into_iter().map(|it| {
        [
            it.namespace.into(),
            it.layer.into(),
            it.key.into(),
            it.revision.into(),
            it.action.into(),
            it.before.into(),
            it.before_format.into(),
            it.after.into(),
            it.after_format.into(),
        ]
    });
    script.insert("change", columns, rows).await
}

fn delete_settings(
    script: &mut Script<'_, DatabaseTransaction>,
    backend: DbBackend,
    deleted: &[Effect<'_>],
) {
    const CHUNK_ROWS: usize = 1000;
    for one_layer in deleted.chunk_by(|a, b| (a.namespace, a.layer) == (b.namespace, b.layer)) {
        for chunk in one_layer.chunks(CHUNK_ROWS) {
            let delete = setting::Entity::delete_many()
                .filter(setting::Column::Namespace.eq(chunk[0].namespace))
                .filter(setting::Column::Layer.eq(chunk[0].layer))
                .filter(setting::Column::Key.is_in(chunk.iter().map(|it| it.key.as_str())));
            script.push(delete.build(backend));
        }
    }
}

/// The live values are what the log says last: they are copied from there.
fn settings_written(backend: DbBackend, [first, last]: [i64; 2]) -> Statement {
    let value_type = type_of(backend, "c.after");
    let is_last = match first == last {
        true => "",
        false => {
            "AND NOT EXISTS (SELECT 1 FROM change n WHERE n.namespace = c.namespace
             AND n.layer = c.layer AND n.key = c.key AND n.revision > c.revision)"
        }
    };
    let [one, other] = match backend {
        DbBackend::Postgres => ["$1", "$2"],
        _ => ["?", "?"],
    };
    let sql = format!(
        "INSERT INTO setting (namespace, layer, key, value, value_type, format, revision,
                              created_at, updated_at, updated_by)
         SELECT c.namespace, c.layer, c.key, c.after, {value_type}, c.after_format, c.revision,
                r.at, r.at, r.actor
         FROM change c JOIN revision r ON r.id = c.revision
         WHERE c.revision >= {one} AND c.revision <= {other} AND c.after IS NOT NULL {is_last}
         ON CONFLICT (namespace, layer, key) DO UPDATE
         SET value = excluded.value, value_type = excluded.value_type, format = excluded.format,
             revision = excluded.revision, updated_at = excluded.updated_at,
             updated_by = excluded.updated_by"
    );
    Statement::from_sql_and_values(backend, sql, [first.into(), last.into()])
}
