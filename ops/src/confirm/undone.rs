//! Taking back what was not confirmed.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::fmt;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::Serialize;
use setpoint_entity::{change, head, unconfirmed};

use super::{SETPOINT, UNDONE, Unconfirmed, clock, settle, waiting};
use crate::apply::{self, Channel, apply_within, lock_head};
use crate::database::Database;
use crate::history::removed::is_any_between;
use crate::history::{Difference, diff};
use crate::import::Strategy;
use crate::plan::{Author, Base, Class, Kind, Plan};
use crate::revert::{Clash, take_back};
use crate::{Error, Result, rows};

/// What became of a revision that nobody has confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Undone {
    pub revision: i64,
    /// The revision that took it back; none if nothing was left of it.
    pub undone_as: Option<i64>,
    /// Why, and which keys stay as they are because somebody has edited them since.
    pub reason: String,
}

/// Undoes what is due, the newest first, each as a revision of its own by `setpoint`. A key that
/// somebody has edited since stays as it is. Of several who do this at the same time one does it.
///
/// # Errors
///
/// [`Error::Locked`], [`Error::DiskFull`], [`Error::Database`]: nothing has changed then.
pub async fn undo(db: &Database, now: DateTime<Utc>) -> Result<Vec<Undone>> {
    let work = async {
        let transaction = db.begin().await?;
        lock_head(&transaction).await?;
        let moment = clock(&transaction, now).await?;
        let mut undone = Vec::new();
        for one in waiting(&transaction).await?.iter().filter(|it| it.is_over(moment)) {
            undone.push(undo_one(&transaction, one, now).await?);
        }
        transaction.commit().await.map_err(|error| Error::of_commit(error, db.place()))?;
        Ok(undone)
    };
    work.await.map_err(|error: Error| error.at(db.place()))
}

async fn undo_one(
    db: &DatabaseTransaction,
    one: &Unconfirmed,
    now: DateTime<Utc>,
) -> Result<Undone> {
    let head = apply::head(db).await?;
    let plan = plan(db, &head, one).await?;
    let applied = apply_within(db, &plan, &[], Channel::Job, now).await?;
    let (revision, undone_as) = (one.revision, applied.revision());
    let row = unconfirmed::Entity::find_by_id((head.epoch, revision)).one(db).await?;
    if let Some(row) = row {
        settle(db, row, UNDONE, SETPOINT, undone_as, now).await?;
    }
    Ok(Undone { revision, undone_as, reason: plan.author.reason.unwrap_or_default() })
}

/// Has those of which a revert among `plans`, the revisions after `head`, has left nothing wait no
/// longer: whoever has taken one back has nothing to confirm. That of a revert which is on trial
/// itself may come back, and waits on.
///
/// # Errors
///
/// [`Error::Database`].
pub(crate) async fn end_taken_back(
    db: &DatabaseTransaction,
    head: &head::Model,
    plans: &[(impl Borrow<Plan>, Channel, DateTime<Utc>)],
) -> Result<()> {
    for ((plan, channel, now), revision) in plans.iter().zip(head.revision + 1..) {
        let revert: &Plan = plan.borrow();
        // What is undone here is settled by whoever undoes it.
        let is_meant = revert.kind == Kind::Revert && *channel != Channel::Job;
        if !is_meant || revert.trial.is_some() {
            continue;
        }
        let now = clock(db, *now).await?;
        let touched: HashSet<_> = revert
            .effects()
            .into_iter()
            .map(|it| (it.namespace.to_owned(), it.layer.to_owned(), it.key.clone()))
            .collect();
        let waiting = waiting(db).await?;
        let newest = waiting.first().map(|it| it.revision);
        // Those below first: what was there before the next one depends on them.
        for one in waiting.iter().rev() {
            let done = diff(db, one.revision - 1, one.revision).await?;
            let place = |it: Difference| (it.namespace, it.layer, it.key);
            if !done.into_iter().map(place).any(|it| touched.contains(&it)) {
                continue;
            }
            let left = self::plan(db, &apply::head(db).await?, one).await?;
            // What lies above one that waits may go away, and what is below come back.
            let is_gone =
                left.changes.is_empty() || newest == Some(one.revision) && left.is_empty();
            let id = (head.epoch.clone(), one.revision);
            let row = unconfirmed::Entity::find_by_id(id).one(db).await?;
            if let Some(row) = row.filter(|_| is_gone) {
                let actor = &revert.author.actor;
                settle(db, row, UNDONE, actor, Some(revision), now).await?;
            }
        }
    }
    Ok(())
}

/// Plans to take `one` back, as far as nobody has edited it since.
async fn plan(db: &DatabaseTransaction, head: &head::Model, one: &Unconfirmed) -> Result<Plan> {
    let mut done = diff(db, one.revision - 1, one.revision).await?;
    go_beyond(db, &head.epoch, one.revision, &mut done).await?;
    let why = one.why();
    let planned = async |reason: String| {
        let (base, done) = (Base::of(head), done.clone());
        let author = Author { actor: SETPOINT.to_owned(), reason: Some(reason) };
        take_back(db, base, done, Strategy::Ask, Clash::Leave, author).await
    };
    let plan = planned(why.clone()).await?;
    match staying(&plan) {
        None => Ok(plan),
        Some(staying) => planned(format!("{why}; {staying}")).await,
    }
}

/// Which keys stay as they are, if some do.
fn staying(plan: &Plan) -> Option<String> {
    const MOST: usize = 5;
    let keys = plan.changes.iter().filter(|it| it.class == Class::Conflict);
    let mut keys: Vec<&str> = keys.map(|it| it.key.as_str()).collect();
    let others = keys.len().saturating_sub(MOST);
    let verb = if keys.len() == 1 { "stays" } else { "stay" };
    keys.truncate(MOST);
    let more = if others > 0 { format!(" and {others} more") } else { String::new() };
    let keys = (!keys.is_empty()).then(|| keys.join(", "))?;
    Some(format!("{keys}{more} {verb}, edited since"))
}

/// What was there before a revision may itself not have been confirmed, and have stayed only
/// because this revision lay above it: then it is what was there before that.
async fn go_beyond(
    db: &DatabaseTransaction,
    epoch: &str,
    revision: i64,
    done: &mut [Difference],
) -> Result<()> {
    let undone = unconfirmed::Entity::find()
        .select_only()
        .column(unconfirmed::Column::Revision)
        .filter(unconfirmed::Column::Epoch.eq(epoch))
        .filter(unconfirmed::Column::State.eq(UNDONE))
        .filter(unconfirmed::Column::Revision.lt(revision));
    let undone: Vec<i64> = undone.into_tuple().all(db).await?;
    if undone.is_empty() {
        return Ok(());
    }
    let mut places: HashMap<_, &mut Difference> = HashMap::with_capacity(done.len());
    for one in done.iter_mut() {
        let place = (one.namespace.clone(), one.layer.clone(), one.key.to_string());
        places.insert(place, one);
    }
    let earlier = change::Entity::find()
        .filter(change::Column::Revision.is_in(undone.iter().copied()))
        .order_by_desc(change::Column::Revision);
    let mut reached = HashMap::new();
    for row in earlier.all(db).await? {
        let place = (row.namespace, row.layer, row.key);
        let Some(difference) = places.get_mut(&place) else { continue };
        let above = reached.get(&place).copied().unwrap_or(revision);
        if above < revision && is_any_between(db, row.revision, above).await? {
            // Something else may have changed it in between.
            continue;
        }
        let newest = change::Entity::find()
            .filter(change::Column::Namespace.eq(place.0.as_str()))
            .filter(change::Column::Layer.eq(place.1.as_str()))
            .filter(change::Column::Key.eq(place.2.as_str()))
            .filter(change::Column::Revision.lt(above))
            .order_by_desc(change::Column::Revision);
        if newest.one(db).await?.is_some_and(|it| it.revision == row.revision) {
            difference.before = rows::side(row.before.as_deref(), row.before_format.as_deref())?;
            reached.insert(place, row.revision);
        }
    }
    Ok(())
}

impl Unconfirmed {
    fn why(&self) -> String {
        let Self { revision, until, rejections, .. } = self;
        match self.is_rejected() {
            true if *rejections == 1 => format!("revision {revision} was rejected by a client"),
            true => format!("revision {revision} was rejected by {rejections} clients"),
            false => format!("revision {revision} was not confirmed by {until}"),
        }
    }
}

/// What has happened, in a line.
impl fmt::Display for Undone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.undone_as {
            Some(id) => write!(f, "{}: undone as revision {id}", self.reason),
            None => write!(f, "{}: nothing is left to undo", self.reason),
        }
    }
}
