//! The only thing that changes a setting: applying a plan, whole or not at all.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect,
};
use serde::{Serialize, Serializer};
use setpoint_entity::{head, revision, source};

use crate::database::Database;
use crate::file::Rewrite;
use crate::history::removed::is_any_between;
use crate::plan::{Class, Effect, Plan};
use crate::setting::layer as setting_layer;
use crate::source::{Imported, ReadSource};
use crate::{Error, Result};

mod append;
pub(crate) mod remember;

pub(crate) use append::append;

/// The door through which a revision came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Cli,
    Api,
    Panel,
    Job,
}

/// What came of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is this revision now.
    Revision(i64),
    /// It had been applied before, as this revision.
    Before(i64),
    /// It had nothing to do, so there is no revision.
    Nothing,
}

impl Applied {
    /// The revision that the plan is now, if it had anything to do.
    pub fn revision(self) -> Option<i64> {
        match self {
            Self::Revision(id) | Self::Before(id) => Some(id),
            Self::Nothing => None,
        }
    }
}

impl Serialize for Applied {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.revision().serialize(serializer)
    }
}

/// Applies `plan` in one transaction that makes one revision.
///
/// `sources` are the files an import was computed from, as they were read.
///
/// # Errors
///
/// [`Error::Stale`] if a key that it touches has moved; [`Error::NulCharacter`] in its reason;
/// [`Error::Locked`], [`Error::DiskFull`], [`Error::Database`]. Nothing has changed then.
pub async fn apply(
    db: &Database,
    plan: &Plan,
    sources: &[ReadSource],
    channel: Channel,
    now: DateTime<Utc>,
) -> Result<Applied> {
    apply_and_rewrite(db, plan, sources, &[], channel, now).await
}

/// Applies the plan that `make` makes. If somebody else changes the same keys in between, it is
/// made again.
///
/// # Errors
///
/// Those of `make`, and as [`apply`].
pub async fn apply_newest(
    db: &Database,
    make: impl AsyncFn(&DatabaseTransaction) -> Result<Plan>,
    channel: Channel,
    now: DateTime<Utc>,
) -> Result<(Plan, Applied)> {
    const TRIES: usize = 5;
    let mut tries = 0;
    loop {
        let snapshot = db.snapshot().await?;
        let plan = make(&snapshot).await;
        drop(snapshot);
        let plan = plan?;
        match apply(db, &plan, &[], channel, now).await {
            Err(Error::Stale { .. }) if tries < TRIES => tries += 1,
            applied => return Ok((plan, applied?)),
        }
    }
}

/// As [`apply`]; files are written last, while every other writer waits.
///
/// # Errors
///
/// As [`apply`], and those of [`Rewrite::carry_out`]: the database has not changed then. Files
/// that were written by then say what they were to say, which the next import finds to be so.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn apply_and_rewrite(
    db: &Database,
    plan: &Plan,
    sources: &[ReadSource],
    rewrites: &[Rewrite],
    channel: Channel,
    now: DateTime<Utc>,
) -> Result<Applied> {
    plan.author.check()?;
    let transaction = db.begin().await?;
    let applied = apply_within(&transaction, plan, sources, channel, now).await;
    let applied = applied.map_err(|error| error.at(db.place()))?;
    if !matches!(applied, Applied::Before(_)) {
        rewrites.iter().try_for_each(Rewrite::carry_out)?;
    }
    let committed = transaction.commit().await;
    committed.map_err(|error| Error::from(error).at(db.place()))?;
    Ok(applied)
}

pub(crate) async fn apply_within(
    db: &DatabaseTransaction,
    plan: &Plan,
    sources: &[ReadSource],
    channel: Channel,
    now: DateTime<Utc>,
) -> Result<Applied> {
    let head = lock_head(db).await?;
    if let Some(id) = applied_before(db, plan).await? {
        return Ok(Applied::Before(id));
    }
    if plan.is_empty() {
        let revision = head.revision;
        remember::sources(db, plan, sources, revision, now).await?;
        return Ok(Applied::Nothing);
    }
    refuse_stale(db, plan, &head).await?;
    append(db, &head, &[(plan, channel, now)]).await?;
    let id = head.revision + 1;
    remember::moves(db, plan).await?;
    remember::seeds(db, plan, sources).await?;
    remember::resolutions(db, plan, id).await?;
    remember::sources(db, plan, sources, id, now).await?;
    remember::forget_moved(db, sources).await?;
    Ok(Applied::Revision(id))
}

/// The revision that `plan` has become, if it has been applied. It looks at what came after the
/// revision that the plan was computed at, which is nothing for a plan that was just made.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn applied_before(db: &impl ConnectionTrait, plan: &Plan) -> Result<Option<i64>> {
    with_plan(db, &plan.hash, plan.base.revision).await
}

/// The revision that the plan of this hash has become lately: among the newest 10,000.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn applied_lately(db: &impl ConnectionTrait, plan_hash: &str) -> Result<Option<i64>> {
    const LATELY: i64 = 10_000;
    let newest = head(db).await?.revision;
    with_plan(db, plan_hash, newest - LATELY).await
}

/// There is no index for this: every revision would pay for it with a page of its own.
async fn with_plan(db: &impl ConnectionTrait, plan_hash: &str, after: i64) -> Result<Option<i64>> {
    let found = revision::Entity::find()
        .select_only()
        .column(revision::Column::Id)
        .filter(revision::Column::Id.gt(after))
        .filter(revision::Column::PlanHash.eq(plan_hash));
    Ok(found.into_tuple().one(db).await?)
}

/// The newest revision, and the history it belongs to.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn head(db: &impl ConnectionTrait) -> Result<head::Model> {
    the_head(head::Entity::find().one(db).await?)
}

/// As [`head`]; on PostgreSQL every other writer waits from here on, on SQLite it does already.
pub(crate) async fn lock_head(db: &DatabaseTransaction) -> Result<head::Model> {
    the_head(head::Entity::find().lock_exclusive().one(db).await?)
}

fn the_head(found: Option<head::Model>) -> Result<head::Model> {
    found.ok_or_else(|| DbErr::RecordNotFound("the table `head` is empty".into()).into())
}

/// Refuses a plan whose keys have moved since it was computed.
///
/// # Errors
///
/// [`Error::Stale`], [`Error::Database`].
pub async fn refuse_stale(
    db: &impl ConnectionTrait,
    plan: &Plan,
    head: &head::Model,
) -> Result<()> {
    let stale = |reason: String| Err(Error::Stale { reason });
    if plan.base.epoch.as_ref().is_some_and(|it| *it != head.epoch) {
        return stale("it was computed in another history of this database".to_owned());
    }
    if plan.base.revision == head.revision {
        return Ok(());
    }
    if plan.base.revision > head.revision {
        return stale(format!("it was computed at revision {}", plan.base.revision));
    }
    if is_any_between(db, plan.base.revision, head.revision).await? {
        // It may be one of those that are gone: nobody knows whether it was applied before.
        return stale(format!("revisions since {} were removed by retention", plan.base.revision));
    }

    let mut moved = Vec::new();
    let mut layers = HashMap::<_, Vec<Effect<'_>>>::new();
    let converges = plan.changes.iter().filter(|it| it.class == Class::Converge);
    let converges = converges.map(|it| Effect {
        namespace: &it.namespace,
        layer: &it.layer,
        key: &it.key,
        before: it.before.as_ref(),
        after: it.after.as_ref(),
    });
    // A key that moves is not there yet.
    let is_moved: HashSet<_> =
        plan.moves.iter().map(|it| (&*it.namespace, &*it.layer, &it.to)).collect();
    let converges = converges.filter(|it| !is_moved.contains(&(it.namespace, it.layer, it.key)));
    for effect in plan.effects().into_iter().chain(converges) {
        layers.entry((effect.namespace, effect.layer)).or_default().push(effect);
    }
    for ((namespace, layer), effects) in layers {
        let live = setting_layer(db, namespace, layer).await?;
        let keys = |which: fn(&&Effect<'_>) -> bool| -> HashSet<&str> {
            effects.iter().filter(which).map(|it| it.key.as_str()).collect()
        };
        let added = keys(|it| it.before.is_none() && it.after.is_some());
        let deleted = keys(|it| it.after.is_none());
        for effect in &effects {
            let key = effect.key;
            let stays = |it: &str| live.contains_key(it) && !deleted.contains(it);
            let clash = added.contains(key.as_str()) && key.ancestors().any(stays);
            if clash || live.get(key) != effect.before {
                moved.push(key.to_string());
            }
        }
        for key in live.keys().filter(|it| !deleted.contains(it.as_str())) {
            moved.extend(key.ancestors().filter(|it| added.contains(it)).map(str::to_owned));
        }
    }
    for planned in &plan.sources {
        let found = source::Entity::find_by_id((planned.namespace.clone(), planned.path.clone()));
        let found = found.into_partial_model::<Imported>().one(db).await?;
        if found.is_some_and(|it| it.revision > plan.base.revision) {
            return stale(format!("{} has been imported since", planned.path));
        }
    }
    if moved.is_empty() {
        return Ok(());
    }
    moved.sort();
    moved.dedup();
    let others = moved.len().saturating_sub(5);
    moved.truncate(5);
    let more = if others > 0 { format!(" and {others} more") } else { String::new() };
    stale(format!("{}{more} changed since revision {}", moved.join(", "), plan.base.revision))
}

impl Channel {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Api => "api",
            Self::Panel => "panel",
            Self::Job => "job",
        }
    }
}
