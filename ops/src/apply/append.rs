//! Revisions appended to the log, and the live values copied from it.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction,
    EntityTrait, QueryFilter, Statement,
};
use setpoint_entity::{change, head, revision, setting};
use setpoint_importers::TypedValue;
use setpoint_migration::type_of;

use super::Channel;
use crate::audit::{self, ChainedChange};
use crate::plan::{Effect, Plan};
use crate::{Result, bulk, confirm, time};

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
    let Some(newest) = revisions.last() else { return Ok(()) };

    silence_triggers(db, newest.id).await?;
    write_revisions(db, &revisions).await?;
    write_changes(db, changes).await?;
    confirm::wait(db, head, plans).await?;
    if plans.len() > 1 {
        // What each key is in the end.
        let last: BTreeMap<_, _> = done.into_iter().map(|it| (it.place(), it)).collect();
        done = last.into_values().collect();
    }
    done.retain(|it| it.after.is_none());
    delete_settings(db, done).await?;
    write_settings(db, head.revision + 1, newest.id).await?;
    let next = head::ActiveModel {
        id: Set(head.id),
        revision: Set(newest.id),
        hash: Set(hash),
        applying: Set(None),
        ..Default::default()
    };
    next.update(db).await?;
    Ok(())
}

async fn silence_triggers(db: &DatabaseTransaction, revision: i64) -> Result<()> {
    let applying =
        head::Entity::update_many().col_expr(head::Column::Applying, Expr::value(revision));
    applying.exec(db).await?;
    Ok(())
}

async fn write_revisions(db: &DatabaseTransaction, revisions: &[revision::Model]) -> Result<()> {
    let columns =
        ["id", "at", "actor", "channel", "kind", "reason", "plan_hash", "previous_hash", "hash"];
    let rows = revisions.iter().cloned().map(|it| {
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
    bulk::insert(db, "revision", columns, "", rows).await
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

#[tracing::instrument(level = "debug", skip_all)]
async fn write_changes(db: &DatabaseTransaction, changes: Vec<change::Model>) -> Result<()> {
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
    bulk::insert(db, "change", columns, "", rows).await
}

#[tracing::instrument(level = "debug", skip_all)]
async fn delete_settings(db: &DatabaseTransaction, deleted: Vec<Effect<'_>>) -> Result<()> {
    const CHUNK_ROWS: usize = 1000;
    for one_layer in deleted.chunk_by(|a, b| (a.namespace, a.layer) == (b.namespace, b.layer)) {
        for chunk in one_layer.chunks(CHUNK_ROWS) {
            setting::Entity::delete_many()
                .filter(setting::Column::Namespace.eq(chunk[0].namespace))
                .filter(setting::Column::Layer.eq(chunk[0].layer))
                .filter(setting::Column::Key.is_in(chunk.iter().map(|it| it.key.as_str())))
                .exec(db)
                .await?;
        }
    }
    Ok(())
}

/// The live values are what the log says last: they are copied from there.
#[tracing::instrument(level = "debug", skip_all)]
async fn write_settings(db: &DatabaseTransaction, first: i64, last: i64) -> Result<()> {
    let backend = db.get_database_backend();
    let value_type = type_of(backend, "c.after");
    let is_last = match first == last {
        true => "",
        false => {
            "AND NOT EXISTS (SELECT 1 FROM change n WHERE n.namespace = c.namespace
             AND n.layer = c.layer AND n.key = c.key AND n.revision > c.revision)"
        }
    };
    let sql = format!(
        "INSERT INTO setting (namespace, layer, key, value, value_type, format, revision,
                              created_at, updated_at, updated_by)
         SELECT c.namespace, c.layer, c.key, c.after, {value_type}, c.after_format, c.revision,
                r.at, r.at, r.actor
         FROM change c JOIN revision r ON r.id = c.revision
         WHERE c.revision >= $1 AND c.revision <= $2 AND c.after IS NOT NULL {is_last}
         ON CONFLICT (namespace, layer, key) DO UPDATE
         SET value = excluded.value, value_type = excluded.value_type, format = excluded.format,
             revision = excluded.revision, updated_at = excluded.updated_at,
             updated_by = excluded.updated_by"
    );
    let range = [first.into(), last.into()];
    db.execute_raw(Statement::from_sql_and_values(backend, sql, range)).await?;
    Ok(())
}
