//! Who runs what: rows for what is due, claims on them, and their ends, each in one transaction
//! that holds the row of the job.
//!
//! A claim is a lease with a token that grows: whoever was frozen while another took over finds
//! its token outdated and records nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr,
    EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Select,
};
use setpoint_entity::{job as jobs, job_run as runs};

use super::ahead::make_room;
use super::due::{due, jitter};
use super::past::{failing, forget};
use super::work::Effect;
use super::{Job, MOST_MISSED, Overlap, State, Trigger};
use crate::clock::{APART, Clocks, shared};
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

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// What it tells, or why it failed.
    pub result: Result<String, String>,
    /// What is written with its end.
    pub effect: Effect,
}

/// What has become of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// [`State::Queued`] if it is to be tried again.
    pub state: State,
    /// How many runs have failed since one succeeded.
    pub failing: u64,
    /// Why, if it has failed.
    pub reason: Option<String>,
}

/// A job whose instance dies is begun as often as this, however few retries it has.
const BEGINNINGS: i64 = 3;
/// What a run tells is cut to so many characters.
const TELLS: usize = 4000;
/// No lease is longer, see `jobs.lease_ms`.
const LONGEST: chrono::Duration = chrono::Duration::hours(1);
/// No run waits for longer: jitter and the longest [`backoff`] are shorter.
const LONGEST_WAIT: chrono::Duration = chrono::Duration::days(2);
/// Of so many times one is taken to forget what is too old: to look for it takes a while.
const SELDOM: Duration = Duration::from_millis(100);

impl Ended {
    pub fn failed(reason: impl Into<String>) -> Self {
        Self { result: Err(reason.into()), effect: Effect::Nothing }
    }
}

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

/// Tells that the holder lives. False if the run is not its any more.
///
/// # Errors
///
/// [`Error::Locked`], [`Error::Database`].
pub async fn renew(
    db: &Database,
    claim: &Claim,
    holder: &Holder,
    now: DateTime<Utc>,
) -> Result<bool> {
    let work = async {
        let transaction = db.begin().await?;
        let until = shared(&transaction, now).await? + holder.lease;
        let renewed = runs::Entity::update_many()
            .col_expr(runs::Column::LeaseUntil, Expr::value(time::stamp(until)))
            .filter(runs::Column::Job.eq(&claim.job))
            .filter(runs::Column::ScheduledFor.eq(&claim.scheduled_for))
            .filter(runs::Column::State.eq(State::Running.as_str()))
            .filter(runs::Column::Token.eq(claim.token))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok::<_, Error>(renewed.rows_affected > 0)
    };
    work.await.map_err(|error| error.at(db.place()))
}

/// Records how a run ended, with what it leaves behind, unless it is not the holder's any more:
/// then nothing is written, and nothing returned.
///
/// # Errors
///
/// [`Error::Locked`], [`Error::Database`].
pub async fn finish(
    db: &Database,
    claim: &Claim,
    job: &Job,
    ended: &Ended,
    now: DateTime<Utc>,
) -> Result<Option<Recorded>> {
    let work = async {
        let transaction = db.begin().await?;
        let Some(run) = held(&transaction, claim).await? else { return Ok(None) };
        let Clocks { now, .. } = Clocks::read(&transaction, now).await?;
        ended.effect.write(&transaction, claim, now).await?;
        let is_by_cron = run.trigger == Trigger::Cron.as_str();
        let is_again = is_by_cron && claim.attempt <= i64::from(job.retries);
        let (state, output, error) = match &ended.result {
            Ok(output) => (State::Succeeded, Some(cut(output)), None),
            Err(error) if is_again => (State::Queued, None, Some(cut(error))),
            Err(error) => (State::Failed, None, Some(cut(error))),
        };
        let mut run = run.into_active_model();
        run.state = Set(state.as_str().to_owned());
        run.output = Set(output);
        run.error = Set(error);
        run.lease_until = Set(None);
        run.finished_at = Set(Some(time::stamp(now)));
        if state == State::Queued {
            run.not_before = Set(time::stamp(now + backoff(claim.attempt)));
        }
        run.update(&transaction).await?;
        let failing = failing(&transaction, &claim.job, now).await?;
        transaction.commit().await?;
        let failing = failing + u64::from(state == State::Queued);
        Ok(Some(Recorded { state, failing, reason: ended.result.as_ref().err().cloned() }))
    };
    work.await.map_err(|error: Error| error.at(db.place()))
}

/// What was recorded of a run by whoever has `claim`, if it was: for one who was not answered.
///
/// # Errors
///
/// [`Error::Database`].
pub(super) async fn recorded(
    db: &Database,
    claim: &Claim,
    now: DateTime<Utc>,
) -> Result<Option<Recorded>> {
    let id = (claim.job.clone(), claim.scheduled_for.clone());
    let run = runs::Entity::find_by_id(id).one(&db.connection).await?;
    let Some(run) = run.filter(|it| it.token == claim.token) else { return Ok(None) };
    let state = State::ALL.into_iter().find(|it| it.as_str() == run.state);
    let Some(state) = state.filter(|it| *it != State::Running) else { return Ok(None) };
    let failing = failing(&db.connection, &claim.job, now).await?;
    let failing = failing + u64::from(state == State::Queued);
    Ok(Some(Recorded { state, failing, reason: run.error }))
}

/// Gives a run back that was not ended, as if it had not been begun.
///
/// # Errors
///
/// [`Error::Locked`], [`Error::Database`].
pub async fn release(db: &Database, claim: &Claim) -> Result<()> {
    let work = async {
        let transaction = db.begin().await?;
        let Some(run) = held(&transaction, claim).await? else { return Ok(()) };
        let is_by_cron = run.trigger == Trigger::Cron.as_str();
        let state = if is_by_cron { State::Queued } else { State::Abandoned };
        let mut run = run.into_active_model();
        run.state = Set(state.as_str().to_owned());
        run.attempt = Set(claim.attempt - 1);
        run.lease_until = Set(None);
        run.error = Set(Some("it was stopped with the program that ran it".to_owned()));
        run.update(&transaction).await?;
        Ok::<_, Error>(transaction.commit().await?)
    };
    work.await.map_err(|error| error.at(db.place()))
}

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
async fn open(db: &DatabaseTransaction, job: &str) -> Result<Vec<runs::Model>> {
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

/// Makes the rows of what became due since the job was last considered.
async fn note_due(
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
                    let still = format!("the run of {} still went on", run.scheduled_for);
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
async fn insert(
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

/// The run of `claim`, if it is still that of whoever claimed it.
async fn held(db: &DatabaseTransaction, claim: &Claim) -> Result<Option<runs::Model>> {
    let id = (claim.job.clone(), claim.scheduled_for.clone());
    let run = runs::Entity::find_by_id(id).lock_exclusive().one(db).await?;
    Ok(run.filter(|it| it.token == claim.token && it.state == State::Running.as_str()))
}

/// How long after its `attempt` a run is tried again.
fn backoff(attempt: i64) -> chrono::Duration {
    let doubled = u32::try_from(attempt - 1).unwrap_or_default().min(7);
    chrono::Duration::seconds(30 * (1 << doubled))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TELLS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
