//! What becomes of runs that are claimed: leases are renewed, ends recorded, runs given back; only
//! by whoever has the claim.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DatabaseTransaction, EntityTrait,
    IntoActiveModel, QueryFilter, QuerySelect,
};
use setpoint_entity::job_run as runs;

use super::past::failing;
use super::work::Effect;
use super::{Claim, Holder, Job, State, Trigger};
use crate::clock::{Clocks, shared};
use crate::database::Database;
use crate::{Error, Result, time};

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// What it tells, or why it failed.
    pub result: Result<String, String>,
    /// What is written with its end.
    pub effect: Effect,
    /// Whether it would end like this again: it has done its work, and found something wrong.
    pub is_final: bool,
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

/// What a run tells is cut to so many characters.
const TELLS: usize = 4000;

impl Ended {
    /// It has done what it was to do, and tells `output`.
    pub fn done(output: impl Into<String>) -> Self {
        Self { result: Ok(output.into()), effect: Effect::Nothing, is_final: true }
    }

    pub fn failed(reason: impl Into<String>) -> Self {
        Self { result: Err(reason.into()), effect: Effect::Nothing, is_final: false }
    }

    /// It has found something wrong, which another try would only find again.
    pub fn found(reason: impl Into<String>) -> Self {
        Self { is_final: true, ..Self::failed(reason) }
    }
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
        let is_again = is_by_cron && !ended.is_final && claim.attempt <= i64::from(job.retries);
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
