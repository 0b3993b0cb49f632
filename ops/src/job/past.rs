//! What jobs have done so far. Times that have not come yet were written by a clock that was
//! ahead: they are not the newest of anything.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
};
use setpoint_entity::job_run as runs;

use super::State;
use crate::Result;
use crate::clock::latest;

/// More failures than these are not counted.
pub(super) const COUNTED: u64 = 1000;
/// Runs of a job that are remembered.
const REMEMBERED: u64 = 5000;

/// The newest run of `job`, or the newest that ended as `state`.
///
/// # Errors
///
/// [`crate::Error::Database`].
pub(super) async fn newest(
    db: &impl ConnectionTrait,
    job: &str,
    state: Option<State>,
    now: DateTime<Utc>,
) -> Result<Option<runs::Model>> {
    let mut found = of(job).filter(runs::Column::ScheduledFor.lte(latest(now)));
    if let Some(state) = state {
        found = found.filter(runs::Column::State.eq(state.as_str()));
    }
    Ok(found.order_by_desc(runs::Column::ScheduledFor).one(db).await?)
}

/// How many runs of `job` have failed since one succeeded, [`COUNTED`] at most.
///
/// # Errors
///
/// [`crate::Error::Database`].
pub(super) async fn failing(
    db: &impl ConnectionTrait,
    job: &str,
    now: DateTime<Utc>,
) -> Result<u64> {
    Ok(failures(db, job, now).await?.len() as u64)
}

/// The times of the runs of `job` that have failed since one succeeded, the newest first: of
/// [`COUNTED`] at most.
///
/// # Errors
///
/// [`crate::Error::Database`].
pub(super) async fn failures(
    db: &impl ConnectionTrait,
    job: &str,
    now: DateTime<Utc>,
) -> Result<Vec<String>> {
    // Both read the end of the primary key, however many runs there are before it.
    let success = newest(db, job, Some(State::Succeeded), now).await?;
    let mut failed = of(job).filter(runs::Column::ScheduledFor.lte(latest(now)));
    if let Some(success) = success {
        failed = failed.filter(runs::Column::ScheduledFor.gt(success.scheduled_for));
    }
    let failed = failed
        .select_only()
        .column(runs::Column::ScheduledFor)
        .filter(runs::Column::State.is_in([State::Failed, State::Abandoned].map(State::as_str)))
        .order_by_desc(runs::Column::ScheduledFor)
        .limit(COUNTED)
        .into_tuple()
        .all(db)
        .await?;
    Ok(failed)
}

/// Takes away what is too old to be remembered. It reads as much as is remembered.
///
/// # Errors
///
/// [`crate::Error::Database`].
pub(super) async fn forget(db: &DatabaseTransaction, job: &str) -> Result<()> {
    let last: Option<String> = of(job)
        .select_only()
        .column(runs::Column::ScheduledFor)
        .order_by_desc(runs::Column::ScheduledFor)
        .offset(REMEMBERED)
        .limit(1)
        .into_tuple()
        .one(db)
        .await?;
    let Some(last) = last else { return Ok(()) };
    runs::Entity::delete_many()
        .filter(runs::Column::Job.eq(job))
        .filter(runs::Column::ScheduledFor.lte(last))
        .filter(runs::Column::State.is_not_in([State::Queued, State::Running].map(State::as_str)))
        .exec(db)
        .await?;
    Ok(())
}

fn of(job: &str) -> Select<runs::Entity> {
    runs::Entity::find().filter(runs::Column::Job.eq(job))
}
