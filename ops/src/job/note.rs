//! Rows for what is due.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, DatabaseTransaction, EntityTrait, IntoActiveModel,
};
use setpoint_entity::{job as jobs, job_run as runs};

use super::ahead::make_room;
use super::due::{due, jitter};
use super::open::open;
use super::past::forget;
use super::{Job, MOST_MISSED, Overlap, State, Trigger};
use crate::clock::{APART, Clocks};
use crate::{Result, time};

/// Of so many times one is taken to forget what is too old: to look for it takes a while.
const SELDOM: Duration = Duration::from_millis(100);

/// Makes the rows of what became due since the job was last considered.
pub(super) async fn note_due(
    db: &DatabaseTransaction,
    job: &Job,
    row: jobs::Model,
    rests: bool,
    clocks: &Clocks,
) -> Result<()> {
    let now = clocks.now;
    let considered = time::read(&row.considered_until)?;
    let (schedule, is_back) = (job.schedule.to_string(), considered > now + APART);
    let is_other = row.schedule != schedule;
    let since = match (is_back, is_other) {
        // What was run has a row, so it is not run again when its time comes again, unless that
        // lies ahead of every clock.
        (true, _) => now,
        // While instances are restarted with other times they take turns here.
        (false, true) => considered.max(now - APART),
        (false, false) => considered,
    };
    let due = due(job, since, now);
    let is_due = !due.run.is_empty() || due.skipped.is_some();
    if !is_due && !is_back && !is_other {
        return Ok(());
    }

    make_room(db, &job.name, clocks).await?;
    if is_due && !rests {
        let mut open = open(db, &job.name).await?;
        let before = match job.overlap {
            Overlap::Queue if open.len() < MOST_MISSED => None,
            _ if open.is_empty() => None,
            _ => Some(open.swap_remove(0)),
        };
        if let Some(instant) = due.skipped {
            let note = due.note.clone();
            insert(db, job, instant, State::Skipped, Trigger::Cron, note).await?;
        }
        for (at, instant) in due.run.iter().enumerate() {
            let is_last = at + 1 == due.run.len();
            let note = due.note.clone().filter(|_| is_last && due.skipped.is_none());
            let (state, note) = match &before {
                Some(run) => {
                    let doing = match run.state == State::Running.as_str() {
                        true => "still went on",
                        false => "had not been done yet",
                    };
                    let still = format!("the run of {} {doing}", run.scheduled_for);
                    (State::Skipped, Some(still))
                }
                None => (State::Queued, note),
            };
            insert(db, job, *instant, state, Trigger::Cron, note).await?;
        }
        if due.run.iter().any(|it| jitter(&job.name, *it, SELDOM).is_zero()) {
            forget(db, &job.name).await?;
        }
    }
    let mut row = row.into_active_model();
    row.schedule = Set(schedule);
    row.considered_until = Set(time::stamp(due.considered.max(since)));
    row.update(db).await?;
    Ok(())
}

/// Makes a row unless there is one. Returns how many were made.
pub(super) async fn insert(
    db: &DatabaseTransaction,
    job: &Job,
    instant: DateTime<Utc>,
    state: State,
    trigger: Trigger,
    note: Option<String>,
) -> Result<u64> {
    let not_before = match trigger {
        Trigger::Cron => job.due_at(instant),
        Trigger::Manual => instant,
    };
    let row = runs::Model {
        job: job.name.clone(),
        scheduled_for: time::stamp(instant),
        trigger: trigger.as_str().to_owned(),
        verb: job.verb.to_string(),
        state: state.as_str().to_owned(),
        attempt: 0,
        token: 0,
        not_before: time::stamp(not_before),
        instance: None,
        lease_until: None,
        started_at: None,
        finished_at: None,
        output: None,
        error: None,
        note,
    };
    let known = OnConflict::columns([runs::Column::Job, runs::Column::ScheduledFor])
        .do_nothing()
        .to_owned();
    let insert = runs::Entity::insert(row.into_active_model()).on_conflict(known);
    Ok(insert.exec_without_returning(db).await?)
}
