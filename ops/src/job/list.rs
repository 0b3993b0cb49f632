//! Jobs and their runs, as they are shown.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use setpoint_entity::{job as jobs, job_run as runs};

use super::past::newest;
use super::{Job, State};
use crate::{Error, Result};

/// A declared job, and how it stands.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    pub name: String,
    pub verb: String,
    pub cron: String,
    pub time_zone: String,
    pub enabled: bool,
    pub paused_at: Option<String>,
    pub paused_by: Option<String>,
    /// When it is due next, by the clocks of its zone; nothing while it rests.
    pub next: Vec<String>,
    /// The newest run of a time that has come.
    pub last: Option<Run>,
}

/// A run of a job.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pub job: String,
    pub scheduled_for: String,
    pub trigger: String,
    pub verb: String,
    pub state: String,
    pub attempt: i64,
    /// When one that has failed is tried again.
    pub retry_at: Option<String>,
    pub instance: Option<String>,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    /// How long it took.
    pub duration_ms: Option<i64>,
    pub output: Option<String>,
    pub error: Option<String>,
    pub note: Option<String>,
}

/// How many next times are told.
const NEXT: usize = 3;

/// How each of `jobs` stands, in the order in which they are declared.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn list(
    db: &impl ConnectionTrait,
    jobs: &[Job],
    now: DateTime<Utc>,
) -> Result<Vec<Listed>> {
    let mut listed = Vec::with_capacity(jobs.len());
    for job in jobs {
        let row = jobs::Entity::find_by_id(&job.name).one(db).await?;
        let (paused_at, paused_by) = row.map(|it| (it.paused_at, it.paused_by)).unwrap_or_default();
        let rests = !job.enabled || paused_at.is_some();
        let times = std::iter::successors(job.schedule.after(now), |it| job.schedule.after(*it));
        let next = times.take(if rests { 0 } else { NEXT });
        listed.push(Listed {
            name: job.name.clone(),
            verb: job.verb.to_string(),
            cron: job.schedule.text().to_owned(),
            time_zone: job.schedule.zone().to_owned(),
            enabled: job.enabled,
            paused_at,
            paused_by,
            next: next.map(|it| job.schedule.in_zone(it)).collect(),
            last: newest(db, &job.name, None, now).await?.map(Run::of),
        });
    }
    Ok(listed)
}

/// The newest runs, of one job or of all, also of those that are not declared any more.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn history(db: &impl ConnectionTrait, job: Option<&str>, limit: u64) -> Result<Vec<Run>> {
    runs_before(db, job, None, limit).await
}

/// The newest runs of a job that were scheduled for times before this one.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn older(
    db: &impl ConnectionTrait,
    job: &str,
    before: Option<&str>,
    limit: u64,
) -> Result<Vec<Run>> {
    runs_before(db, Some(job), before, limit).await
}

async fn runs_before(
    db: &impl ConnectionTrait,
    job: Option<&str>,
    before: Option<&str>,
    limit: u64,
) -> Result<Vec<Run>> {
    let mut found = runs::Entity::find();
    if let Some(job) = job {
        found = found.filter(runs::Column::Job.eq(job));
    }
    if let Some(before) = before {
        found = found.filter(runs::Column::ScheduledFor.lt(before));
    }
    let found = found
        .order_by_desc(runs::Column::ScheduledFor)
        .order_by_asc(runs::Column::Job)
        .limit(limit)
        .all(db)
        .await?;
    Ok(found.into_iter().map(Run::of).collect())
}

/// That of `jobs` which has this name.
///
/// # Errors
///
/// [`Error::UnknownJob`].
pub fn named<'a>(jobs: &'a [Job], name: &str) -> Result<&'a Job> {
    jobs.iter().find(|it| it.name == name).ok_or_else(|| {
        let known = jobs.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ");
        let help = match known.is_empty() {
            true => "none is declared: write a [[job]] in setpoint.toml".to_owned(),
            false => format!("declared are: {known}"),
        };
        Error::UnknownJob { job: name.to_owned(), help }
    })
}

impl Run {
    pub(super) fn of(row: runs::Model) -> Self {
        let read = |it: &Option<String>| crate::time::read(it.as_deref()?).ok();
        // One that was given back was begun once less, and waits for nothing but an instance.
        let is_again = row.state == State::Queued.as_str() && row.finished_at.is_some();
        let took = read(&row.started_at).zip(read(&row.finished_at)).map(|(from, to)| to - from);
        Self {
            retry_at: is_again.then_some(row.not_before),
            duration_ms: took.map(|it| it.num_milliseconds().max(0)),
            job: row.job,
            scheduled_for: row.scheduled_for,
            trigger: row.trigger,
            verb: row.verb,
            state: row.state,
            attempt: row.attempt,
            instance: row.instance,
            started_at: row.started_at,
            finished_at: row.finished_at,
            output: row.output,
            error: row.error,
            note: row.note,
        }
    }
}
