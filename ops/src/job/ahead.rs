//! What a clock that was ahead has left behind: runs of times that have not come yet.

use chrono::{DateTime, Duration, Utc};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
};
use setpoint_entity::job_run as runs;

use super::State;
use super::open::is_held;
use crate::clock::Clocks;
use crate::{Result, time};

/// Has the runs of `job` for times that have not come make room for those that will be run when
/// they do. What was never begun goes; what was done stays on record, right before now, with the
/// time that it was recorded for in its note. What is being done is left alone until it has ended.
///
/// # Errors
///
/// [`crate::Error::Database`].
pub(super) async fn make_room(db: &DatabaseTransaction, job: &str, clocks: &Clocks) -> Result<()> {
    let ahead = runs::Entity::find()
        .filter(runs::Column::Job.eq(job))
        .filter(runs::Column::ScheduledFor.gt(clocks.latest()))
        .order_by_desc(runs::Column::ScheduledFor)
        .all(db)
        .await?;
    let mut free = clocks.now;
    for run in ahead.into_iter().filter(|it| !is_held(it, clocks.shared)) {
        let id = (run.job.clone(), run.scheduled_for.clone());
        runs::Entity::delete_by_id(id).exec(db).await?;
        if run.attempt == 0 {
            continue;
        }
        loop {
            free = before(free);
            let known = OnConflict::columns([runs::Column::Job, runs::Column::ScheduledFor])
                .do_nothing()
                .to_owned();
            let moved = moved(run.clone(), free).into_active_model();
            let insert = runs::Entity::insert(moved).on_conflict(known);
            if insert.exec_without_returning(db).await? > 0 {
                break;
            }
        }
    }
    Ok(())
}

/// The millisecond before, unless it is a whole second: those are times of jobs.
fn before(time: DateTime<Utc>) -> DateTime<Utc> {
    let before = time - Duration::milliseconds(1);
    match before.timestamp_subsec_millis() {
        0 => before - Duration::milliseconds(1),
        _ => before,
    }
}

/// The run as one of `at`, which took as long as it did.
fn moved(run: runs::Model, at: DateTime<Utc>) -> runs::Model {
    let read = |it: &Option<String>| time::read(it.as_deref()?).ok();
    let took = read(&run.started_at).zip(read(&run.finished_at)).map(|(from, to)| to - from);
    let ahead = format!("was recorded for {}, by a clock that was ahead", run.scheduled_for);
    let note = match &run.note {
        Some(note) => format!("{note}; {ahead}"),
        None => ahead,
    };
    let is_waiting = run.state == State::Queued.as_str();
    runs::Model {
        scheduled_for: time::stamp(at),
        not_before: if is_waiting { time::stamp(at) } else { run.not_before },
        started_at: run.started_at.map(|_| time::stamp(at - took.unwrap_or_default())),
        finished_at: run.finished_at.map(|_| time::stamp(at)),
        note: Some(note),
        ..run
    }
}
