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
    },
    /// The newest of its runs that has ended has failed.
    Failing {
        /// How many have since one succeeded.
        count: usize,
        /// Whether there may be more of them.
        or_more: bool,
        /// The time of the first of them.
        since: String,
        /// Of the newest.
        error: String,
    },
    /// It was due, and no instance has noticed.
    Unattended {
        due: DateTime<Utc>,
    },
}

/// Instances look every second. One that is restarted, or has its machine restarted, is back within
/// this.
const AWAY: Duration = Duration::hours(1);

/// What is the matter with `job`. Of one that rests only that is told, and of one that rests as it
/// is declared nothing.
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
    if let Some(at) = row.paused_at {
        return Ok(vec![Trouble::Paused { by: row.paused_by.unwrap_or_default(), at }]);
    }
    if !job.enabled {
        return Ok(Vec::new());
    }
    let Clocks { now, .. } = Clocks::read(db, now).await?;
    let mut troubles = Vec::new();
    let failed = failures(db, &job.name, now).await?;
    if let [newest, ..] = failed.as_slice() {
        let run = runs::Entity::find_by_id((job.name.clone(), newest.clone())).one(db).await?;
        troubles.push(Trouble::Failing {
            count: failed.len(),
            or_more: failed.len() as u64 >= COUNTED,
            since: failed.last().unwrap_or(newest).clone(),
            error: run.and_then(|it| it.error).unwrap_or_default(),
        });
    }
    let considered = time::read(&row.considered_until)?;
    let due = job.schedule.after(considered).filter(|it| job.due_at(*it) + AWAY < now);
    troubles.extend(due.map(|due| Trouble::Unattended { due }));
    Ok(troubles)
}
