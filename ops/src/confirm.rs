//! Revisions that are taken back unless somebody confirms them in time, or when clients reject
//! them.
//!
//! Whether one is, is decided under the lock of the head, in the transaction that takes it back:
//! of several services exactly one does.

use chrono::{DateTime, Duration, Utc};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction,
    EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, Select,
};
use serde::Serialize;
use setpoint_entity::{change, head, rejection, revision, unconfirmed};

use crate::apply::{self, Channel, lock_head};
use crate::clock::shared as clock;
use crate::database::Database;
use crate::plan::Plan;
use crate::{Error, Result, time};

mod undone;

pub(crate) use undone::end_taken_back;
pub use undone::{Undone, undo};

/// A revision that waits to be confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unconfirmed {
    pub revision: i64,
    /// From then on it is undone.
    pub until: String,
    /// Who applied it.
    pub asked_by: String,
    /// It is undone when more clients than these reject it.
    pub reject_limit: i64,
    /// How many do.
    pub rejections: u64,
}

/// What is to be undone, and when to look again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Those whose time is over, or that too many reject; the newest first.
    pub revisions: Vec<i64>,
    /// How long the next one waits, if another does.
    pub next: Option<Duration>,
}

/// A client that will not run with a revision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rejection {
    pub revision: i64,
    /// The same for the same client, also after it has connected again.
    pub client: String,
    /// Whose settings it has: a revision of others is none of its business.
    pub namespace: String,
}

const WAITING: &str = "waiting";
const CONFIRMED: &str = "confirmed";
const UNDONE: &str = "undone";

/// Who undoes what nobody has confirmed.
const SETPOINT: &str = "setpoint";

/// Has those of `plans` that are on trial wait from now on, which are the revisions after `head`.
pub(crate) async fn wait(
    db: &DatabaseTransaction,
    head: &head::Model,
    plans: &[(impl std::borrow::Borrow<Plan>, Channel, DateTime<Utc>)],
) -> Result<()> {
    for ((plan, _, now), revision) in plans.iter().zip(head.revision + 1..) {
        let plan: &Plan = plan.borrow();
        let Some(trial) = plan.trial else { continue };
        let row = unconfirmed::Model {
            epoch: head.epoch.clone(),
            revision,
            until: time::stamp(clock(db, *now).await? + trial.within),
            asked_by: plan.author.actor.clone(),
            reject_limit: trial.reject_limit.into(),
            state: WAITING.to_owned(),
            settled_at: None,
            settled_by: None,
            undone_as: None,
        };
        let insert = unconfirmed::Entity::insert(row.into_active_model());
        insert.exec_without_returning(db).await?;
    }
    Ok(())
}

/// What somebody has confirmed in the history `epoch`.
///
/// # Errors
///
/// [`Error::Database`].
pub(crate) async fn confirmed(
    db: &impl ConnectionTrait,
    epoch: &str,
) -> Result<Vec<unconfirmed::Model>> {
    let rows = of_history(epoch, i64::MAX).filter(unconfirmed::Column::State.eq(CONFIRMED));
    Ok(rows.all(db).await?)
}

/// Has the history of `head` know of changes on trial what that of `from` does up to its revision,
/// which is the same by another name. What waited waits on, as long from now on as it was given at
/// first; what was `confirmed` since stays so. Gives the revisions that wait.
///
/// # Errors
///
/// [`Error::Database`].
pub(crate) async fn carry_on(
    db: &DatabaseTransaction,
    from: &str,
    confirmed: &[unconfirmed::Model],
    head: &head::Model,
    now: DateTime<Utc>,
) -> Result<Vec<i64>> {
    let now = clock(db, now).await?;
    let mut waiting = Vec::new();
    for row in of_history(from, head.revision).all(db).await? {
        let known = confirmed.iter().find(|it| it.revision == row.revision);
        let mut row = known.cloned().unwrap_or(row);
        if row.state == WAITING {
            let made = revision::Entity::find_by_id(row.revision).one(db).await?;
            // It may have been carried on before, from when it waited first.
            let each = unconfirmed::Entity::find();
            let each = each.filter(unconfirmed::Column::Revision.eq(row.revision)).all(db).await?;
            let first = each.iter().map(|it| moment(&it.until)).min().unwrap_or_default();
            let given = made.map_or(Duration::zero(), |it| first - moment(&it.at));
            row.until = time::stamp(now + given.max(Duration::zero()));
            waiting.push(row.revision);
        }
        let row = unconfirmed::Model { epoch: head.epoch.clone(), ..row };
        let insert = unconfirmed::Entity::insert(row.into_active_model());
        insert.exec_without_returning(db).await?;
    }
    Ok(waiting)
}

/// The revisions that [`carry_on`] would have wait, of the history of `head` as it is in `db`.
///
/// # Errors
///
/// [`Error::Database`].
pub(crate) async fn foresee(
    db: &impl ConnectionTrait,
    confirmed: &[unconfirmed::Model],
    head: &head::Model,
) -> Result<Vec<i64>> {
    let rows = of_history(&head.epoch, head.revision)
        .filter(unconfirmed::Column::State.eq(WAITING))
        .all(db)
        .await?;
    let is_open = |id: &i64| confirmed.iter().all(|it| it.revision != *id);
    Ok(rows.into_iter().map(|it| it.revision).filter(is_open).collect())
}

/// What is known of changes on trial in the history `epoch` up to the revision `newest`, the oldest
/// first.
fn of_history(epoch: &str, newest: i64) -> Select<unconfirmed::Entity> {
    unconfirmed::Entity::find()
        .filter(unconfirmed::Column::Epoch.eq(epoch))
        .filter(unconfirmed::Column::Revision.lte(newest))
        .order_by_asc(unconfirmed::Column::Revision)
}

/// The oldest revision that it takes to undo what waits, if something does: what nobody has confirmed
/// may stand on others that nobody has.
///
/// # Errors
///
/// [`Error::Database`].
pub(crate) async fn oldest_needed(
    db: &impl ConnectionTrait,
    head: &head::Model,
) -> Result<Option<i64>> {
    let open = of_history(&head.epoch, i64::MAX)
        .filter(unconfirmed::Column::State.is_in([WAITING, UNDONE]))
        .all(db)
        .await?;
    let waits = open.iter().any(|it| it.state == WAITING);
    Ok(open.first().filter(|_| waits).map(|it| it.revision))
}

/// What waits to be confirmed, the newest first.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn waiting(db: &impl ConnectionTrait) -> Result<Vec<Unconfirmed>> {
    let mut waiting = Vec::new();
    let rows = unconfirmed::Entity::find()
        .filter(unconfirmed::Column::State.eq(WAITING))
        .order_by_desc(unconfirmed::Column::Revision)
        .all(db)
        .await?;
    if rows.is_empty() {
        return Ok(waiting);
    }
    let epoch = apply::head(db).await?.epoch;
    // What waited in another history waits on in the one that was restored from it, or is gone.
    for row in rows.into_iter().filter(|it| it.epoch == epoch) {
        waiting.push(Unconfirmed {
            revision: row.revision,
            rejections: rejections(db, &row).await?,
            until: row.until,
            asked_by: row.asked_by,
            reject_limit: row.reject_limit,
        });
    }
    Ok(waiting)
}

/// What is to be undone by now. `now` is what counts on SQLite; PostgreSQL has a clock of its own,
/// which is the same for everybody.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn due(db: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<Due> {
    let waiting = waiting(db).await?;
    if waiting.is_empty() {
        return Ok(Due::default());
    }
    let now = clock(db, now).await?;
    let (over, left): (Vec<_>, Vec<_>) = waiting.iter().partition(|it| it.is_over(now));
    let next = left.iter().map(|it| moment(&it.until) - now).min();
    Ok(Due { revisions: over.iter().map(|it| it.revision).collect(), next })
}

/// Keeps `revision`; without one, the only one that waits. To confirm it twice is harmless.
///
/// # Errors
///
/// [`Error::NothingUnconfirmed`], [`Error::SeveralUnconfirmed`], [`Error::UnknownRevision`],
/// [`Error::NotUnconfirmed`], [`Error::TakenBack`]; [`Error::ConfirmedTooLate`] and
/// [`Error::ConfirmedRejected`], also while nobody has undone it yet; [`Error::Locked`],
/// [`Error::Database`].
pub async fn confirm(
    db: &Database,
    revision: Option<i64>,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<i64> {
    let work = async {
        let transaction = db.begin().await?;
        let head = lock_head(&transaction).await?;
        let revision = match revision {
            Some(revision) => revision,
            None => the_only(&waiting(&transaction).await?)?,
        };
        confirm_within(&transaction, &head, revision, actor, now).await?;
        transaction.commit().await.map_err(|error| Error::of_commit(error, db.place()))?;
        Ok(revision)
    };
    work.await.map_err(|error: Error| error.at(db.place()))
}

async fn confirm_within(
    db: &DatabaseTransaction,
    head: &head::Model,
    revision: i64,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    if !(1..=head.revision).contains(&revision) {
        return Err(Error::UnknownRevision { id: revision, newest: head.revision });
    }
    let place = (head.epoch.clone(), revision);
    let Some(row) = unconfirmed::Entity::find_by_id(place).one(db).await? else {
        return Err(Error::NotUnconfirmed { id: revision });
    };
    let now = clock(db, now).await?;
    let is_rejected = rejections(db, &row).await? > row.reject_limit.unsigned_abs();
    match row.state.as_str() {
        CONFIRMED => return Ok(()),
        _ if is_rejected => return Err(Error::ConfirmedRejected { id: revision }),
        WAITING if now < moment(&row.until) => {}
        // Before its time, and not rejected: somebody has.
        UNDONE if row.settled_at.as_deref().is_some_and(|it| moment(it) < moment(&row.until)) => {
            let by = row.settled_by.unwrap_or_default();
            return Err(Error::TakenBack { id: revision, by });
        }
        _ => return Err(Error::ConfirmedTooLate { id: revision, until: row.until }),
    }
    settle(db, row, CONFIRMED, actor, None, now).await
}

/// Writes down that clients reject revisions: those that wait, and have changed something that is
/// theirs.
///
/// # Errors
///
/// [`Error::Locked`], [`Error::Database`].
pub async fn reject(
    db: &Database,
    rejections: impl IntoIterator<Item = &Rejection>,
    now: DateTime<Utc>,
) -> Result<()> {
    let work = async {
        let transaction = db.begin().await?;
        let head = lock_head(&transaction).await?;
        for rejection in rejections {
            write_down(&transaction, &head.epoch, rejection, now).await?;
        }
        transaction.commit().await?;
        Ok(())
    };
    work.await.map_err(|error: Error| error.at(db.place()))
}

async fn write_down(
    db: &DatabaseTransaction,
    epoch: &str,
    rejection: &Rejection,
    now: DateTime<Utc>,
) -> Result<()> {
    let Rejection { revision, client, namespace } = rejection;
    let row = unconfirmed::Entity::find_by_id((epoch.to_owned(), *revision)).one(db).await?;
    if row.is_none_or(|it| it.state != WAITING) {
        return Ok(());
    }
    let theirs = change::Entity::find()
        .filter(change::Column::Revision.eq(*revision))
        .filter(change::Column::Namespace.eq(namespace.as_str()));
    if theirs.one(db).await?.is_none() {
        return Ok(());
    }
    let row = rejection::Model {
        epoch: epoch.to_owned(),
        revision: *revision,
        client: client.replace('\0', ""),
        at: time::stamp(clock(db, now).await?),
    };
    let again = OnConflict::new().do_nothing().to_owned();
    let insert = rejection::Entity::insert(row.into_active_model()).on_conflict(again);
    insert.exec_without_returning(db).await?;
    Ok(())
}

/// How many clients reject the revision of `row`.
async fn rejections(db: &impl ConnectionTrait, row: &unconfirmed::Model) -> Result<u64> {
    let found = rejection::Entity::find()
        .filter(rejection::Column::Epoch.eq(row.epoch.as_str()))
        .filter(rejection::Column::Revision.eq(row.revision));
    Ok(found.count(db).await?)
}

/// Writes down what became of one that waited.
async fn settle(
    db: &DatabaseTransaction,
    row: unconfirmed::Model,
    state: &str,
    actor: &str,
    undone_as: Option<i64>,
    now: DateTime<Utc>,
) -> Result<()> {
    let mut row = row.into_active_model();
    row.state = Set(state.to_owned());
    row.settled_at = Set(Some(time::stamp(now)));
    row.settled_by = Set(Some(actor.to_owned()));
    row.undone_as = Set(undone_as);
    row.update(db).await?;
    Ok(())
}

/// A moment as it is stored. What was written by hand and is no time has come already.
fn moment(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).map_or(DateTime::UNIX_EPOCH, |it| it.to_utc())
}

fn the_only(waiting: &[Unconfirmed]) -> Result<i64> {
    match waiting {
        [] => Err(Error::NothingUnconfirmed),
        [one] => Ok(one.revision),
        several => {
            let revisions: Vec<_> = several.iter().map(|it| it.revision.to_string()).collect();
            Err(Error::SeveralUnconfirmed { revisions: revisions.join(", ") })
        }
    }
}

impl Unconfirmed {
    /// Whether it is to be undone.
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.is_rejected() || moment(&self.until) <= now
    }

    fn is_rejected(&self) -> bool {
        self.rejections > self.reject_limit.unsigned_abs()
    }
}
