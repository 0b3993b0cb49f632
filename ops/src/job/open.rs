//! Runs that are not over, and the row of their job.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect, Select,
};
use setpoint_entity::{job as jobs, job_run as runs};

use super::{Job, State};
use crate::{Result, time};

/// No lease is longer, see `jobs.lease_ms`.
const LONGEST: chrono::Duration = chrono::Duration::hours(1);
/// No run waits for longer: jitter and the longest [`backoff`] are shorter.
const LONGEST_WAIT: chrono::Duration = chrono::Duration::days(2);

/// Those runs of all jobs, or of one, that are not over, the oldest first.
pub(super) async fn all_open(
    db: &impl ConnectionTrait,
    job: Option<&str>,
) -> Result<Vec<runs::Model>> {
    Ok(open_runs(job).all(db).await?)
}

fn open_runs(job: Option<&str>) -> Select<runs::Entity> {
    let states = [State::Queued.as_str(), State::Running.as_str()];
    let found = runs::Entity::find().filter(runs::Column::State.is_in(states));
    let found = match job {
        Some(job) => found.filter(runs::Column::Job.eq(job)),
        None => found,
    };
    found.order_by_asc(runs::Column::ScheduledFor)
}

/// The runs of `job` that are not over. Whoever has ended one meanwhile is waited for.
pub(super) async fn open(db: &DatabaseTransaction, job: &str) -> Result<Vec<runs::Model>> {
    Ok(open_runs(Some(job)).lock_exclusive().all(db).await?)
}

/// Whether somebody has the run who is not dead. A lease that is longer than any was given by a
/// clock that was wrong.
pub(super) fn is_held(run: &runs::Model, lease_clock: DateTime<Utc>) -> bool {
    let (now, most) = (time::stamp(lease_clock), time::stamp(lease_clock + LONGEST));
    let is_running = run.state == State::Running.as_str();
    is_running && run.lease_until.as_ref().is_some_and(|it| *it > now && *it <= most)
}

/// Whether the run may begin by now. What is further ahead than any wait was put there by a clock
/// that was wrong.
pub(super) fn may_begin(run: &runs::Model, now: DateTime<Utc>) -> bool {
    run.not_before <= time::stamp(now) || run.not_before > time::stamp(now + LONGEST_WAIT)
}

/// The row of `job`, which nobody else has while the transaction lasts.
pub(super) async fn locked(
    db: &DatabaseTransaction,
    job: &Job,
    now: DateTime<Utc>,
) -> Result<jobs::Model> {
    let new = jobs::Model {
        name: job.name.clone(),
        schedule: job.schedule.to_string(),
        considered_until: time::stamp(now),
        paused_at: None,
        paused_by: None,
    };
    let known = OnConflict::column(jobs::Column::Name).do_nothing().to_owned();
    let insert = jobs::Entity::insert(new.into_active_model()).on_conflict(known);
    insert.exec_without_returning(db).await?;
    let row = jobs::Entity::find_by_id(&job.name).lock_exclusive().one(db).await?;
    Ok(row.ok_or_else(|| DbErr::RecordNotFound(format!("job `{}`", job.name)))?)
}
