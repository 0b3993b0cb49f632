//! What is the matter with a job, as far as the database tells.

use chrono::{DateTime, Duration, Utc};
use sea_orm::{ConnectionTrait, EntityTrait};
use setpoint_entity::{job as jobs, job_run as runs};

use super::Job;
use super::past::{COUNTED, failures};
use crate::clock::Clocks;
use crate::{Result, time};

/// Something that whoever declared a job may not know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Paused {
        by: String,
        at: String,
        failing: Option<Failing>,
    },
    Failing(Failing),
    /// It was due, and no instance has noticed.
    Unattended {
        due: DateTime<Utc>,
    },
}

/// The newest run that has ended has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failing {
    /// How many have since one succeeded.
    pub count: usize,
    /// Whether there may be more of them.
    pub or_more: bool,
    /// The time of the first of them.
    pub since: String,
    /// Of the newest.
    pub error: String,
}

/// Instances look every second. One that is restarted, or has its machine restarted, is back within
/// this.
const AWAY: Duration = Duration::hours(1);

/// What is the matter with `job`. Of one that is paused no time is missed, and of one that rests as
/// it is declared nothing is told.
///
/// # Errors
///
/// [`crate::Error::Database`].
pub(crate) async fn troubles(
    db: &impl ConnectionTrait,
    job: &Job,
    now: DateTime<Utc>,
) -> Result<Vec<Trouble>> {
    // Of one that has no row nobody knows since when it is declared.
    let Some(row) = jobs::Entity::find_by_id(&job.name).one(db).await? else {
        return Ok(Vec::new());
    };
    if !job.enabled {
        return Ok(Vec::new());
    }
    let Clocks { now, .. } = Clocks::read(db, now).await?;
    let failing = failing(db, &job.name, now).await?;
    if let Some(at) = row.paused_at {
        return Ok(vec![Trouble::Paused { by: row.paused_by.unwrap_or_default(), at, failing }]);
    }
    let mut troubles: Vec<Trouble> = failing.into_iter().map(Trouble::Failing).collect();
    let considered = time::read(&row.considered_until)?;
    let due = job.schedule.after(considered).filter(|it| job.due_at(*it) + AWAY < now);
    troubles.extend(due.map(|due| Trouble::Unattended { due }));
    Ok(troubles)
}

async fn failing(
    db: &impl ConnectionTrait,
    job: &str,
    now: DateTime<Utc>,
) -> Result<Option<Failing>> {
    let failed = failures(db, job, now).await?;
    let [newest, ..] = failed.as_slice() else { return Ok(None) };
    let run = runs::Entity::find_by_id((job.to_owned(), newest.clone())).one(db).await?;
    Ok(Some(Failing {
        count: failed.len(),
        or_more: failed.len() as u64 >= COUNTED,
        since: failed.last().unwrap_or(newest).clone(),
        error: run.and_then(|it| it.error).unwrap_or_default(),
    }))
}
