//! Who runs what: runs are claimed, each in one transaction that holds the row of the job.
//!
//! A claim is a lease with a token that grows: whoever was frozen while another took over finds
//! its token outdated and records nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel,
};
use setpoint_entity::job_run as runs;

use super::ahead::make_room;
use super::note::{insert, note_due};
use super::open::{is_held, locked, may_begin, open};
use super::{Job, State, Trigger};
use crate::clock::Clocks;
use crate::database::Database;
use crate::{Error, Result, time};

/// An instance that runs jobs.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Which no other one is called.
    pub instance: String,
    /// After what silence it counts as dead.
    pub lease: Duration,
}

/// A run that an instance has for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub job: String,
    pub scheduled_for: String,
    pub token: i64,
    /// 1 the first time.
    pub attempt: i64,
}

/// A job whose instance dies is begun as often as this, however few retries it has.
const BEGINNINGS: i64 = 3;

/// Writes down which runs of `job` are due by now, and claims the oldest that is to be run, if no
/// other one goes on.
///
/// # Errors
///
/// [`Error::Locked`], [`Error::Database`].
pub async fn tick(
    db: &Database,
    job: &Job,
    holder: &Holder,
    now: DateTime<Utc>,
) -> Result<Option<Claim>> {
    look(db, job, Some(holder), now).await
}

/// Only writes down which runs of `job` are due: by whoever is running it.
///
/// # Errors
///
/// As [`tick`].
pub async fn consider(db: &Database, job: &Job, now: DateTime<Utc>) -> Result<()> {
    look(db, job, None, now).await.map(drop)
}

async fn look(
    db: &Database,
    job: &Job,
    holder: Option<&Holder>,
    now: DateTime<Utc>,
) -> Result<Option<Claim>> {
    let work = async {
        let transaction = db.begin().await?;
        let row = locked(&transaction, job, now).await?;
        // Whoever had the row may have been waited for.
        let clocks = Clocks::read(&transaction, now).await?;
        let rests = row.paused_at.is_some() || !job.enabled;
        note_due(&transaction, job, row, rests, &clocks).await?;
        let claim = match holder.filter(|_| !rests) {
            Some(holder) => next(&transaction, job, holder, &clocks).await?,
            None => None,
        };
        transaction.commit().await?;
        Ok::<_, Error>(claim)
    };
    work.await.map_err(|error| error.at(db.place()))
}

/// Claims a run of `job` that somebody asks for, now.
///
/// # Errors
///
/// [`Error::JobRunning`]; [`Error::Locked`], [`Error::Database`].
pub(super) async fn begin_by_hand(
    db: &Database,
    job: &Job,
    holder: &Holder,
    now: DateTime<Utc>,
) -> Result<Claim> {
    let work = async {
        let transaction = db.begin().await?;
        locked(&transaction, job, now).await?;
        let clocks = Clocks::read(&transaction, now).await?;
        make_room(&transaction, &job.name, &clocks).await?;
        let open = open(&transaction, &job.name).await?;
        if let Some(run) = open.iter().find(|it| is_held(it, clocks.shared)) {
            return Err(Error::JobRunning {
                job: run.job.clone(),
                since: run.started_at.clone().unwrap_or_default(),
                instance: run.instance.clone().unwrap_or_default(),
            });
        }
        for run in open {
            if is_lost(&run, job) {
                abandon(&transaction, run, clocks.now).await?;
            }
        }
        let mut instant = clocks.now;
        while insert(&transaction, job, instant, State::Queued, Trigger::Manual, None).await? == 0 {
            instant += chrono::Duration::milliseconds(1);
        }
        let id = (job.name.clone(), time::stamp(instant));
        let queued = runs::Entity::find_by_id(id).one(&transaction).await?;
        let queued = queued.ok_or_else(|| DbErr::RecordNotInserted)?;
        let claim = claimed(&transaction, queued, holder, &clocks).await?;
        transaction.commit().await?;
        Ok(claim)
    };
    work.await.map_err(|error: Error| error.at(db.place()))
}

/// Claims the oldest run that is to be run now. Those whose instances died go first, being older.
async fn next(
    db: &DatabaseTransaction,
    job: &Job,
    holder: &Holder,
    clocks: &Clocks,
) -> Result<Option<Claim>> {
    let open = open(db, &job.name).await?;
    if open.iter().any(|it| is_held(it, clocks.shared)) {
        return Ok(None);
    }
    for run in open {
        if is_lost(&run, job) {
            abandon(db, run, clocks.now).await?;
        } else if run.state == State::Running.as_str() || may_begin(&run, clocks.now) {
            return claimed(db, run, holder, clocks).await.map(Some);
        }
    }
    Ok(None)
}

/// Whether a run that nobody has any more is not to be begun again: somebody asked for it and
/// would have to ask again, or it was begun as often as that may be.
fn is_lost(run: &runs::Model, job: &Job) -> bool {
    let most = BEGINNINGS.max(i64::from(job.retries) + 1);
    let is_by_hand = run.trigger == Trigger::Manual.as_str();
    run.state == State::Running.as_str() && (is_by_hand || run.attempt >= most)
}

async fn abandon(db: &DatabaseTransaction, run: runs::Model, now: DateTime<Utc>) -> Result<()> {
    let instance = run.instance.clone().unwrap_or_default();
    let mut run = run.into_active_model();
    run.state = Set(State::Abandoned.as_str().to_owned());
    run.finished_at = Set(Some(time::stamp(now)));
    run.lease_until = Set(None);
    run.error = Set(Some(format!("{instance} had it, and was not heard of any more")));
    run.update(db).await?;
    Ok(())
}

/// Has `run` be the holder's.
async fn claimed(
    db: &DatabaseTransaction,
    run: runs::Model,
    holder: &Holder,
    clocks: &Clocks,
) -> Result<Claim> {
    let claim = Claim {
        job: run.job.clone(),
        scheduled_for: run.scheduled_for.clone(),
        token: run.token + 1,
        attempt: run.attempt + 1,
    };
    let died = run.instance.clone().filter(|_| run.state == State::Running.as_str());
    let mut row = run.into_active_model();
    row.state = Set(State::Running.as_str().to_owned());
    row.token = Set(claim.token);
    row.attempt = Set(claim.attempt);
    row.lease_until = Set(Some(time::stamp(clocks.shared + holder.lease)));
    row.started_at = Set(Some(time::stamp(clocks.now)));
    row.finished_at = Set(None);
    row.instance = Set(Some(holder.instance.clone()));
    if let Some(instance) = died {
        row.note =
            Set(Some(format!("taken over from {instance}, which was not heard of any more")));
    }
    row.update(db).await?;
    Ok(claim)
}
