//! A run that somebody asks for, and what all runs have in common: they are carried out while
//! their lease is kept, and no longer than their deadline.

use std::time::Duration;

use sea_orm::EntityTrait;
use setpoint_entity::job_run as runs;
use tokio::time::{Instant, sleep};

use super::claim::begin_by_hand;
use super::end::{finish, recorded, release, renew};
use super::work::carry_out;
use super::{Claim, Clock, Ended, Ground, Holder, Job, Recorded, Run, Store, meters};
use crate::database::{self, Access, Database};
use crate::{Error, Result, time};

/// What has become of a run by hand.
pub struct Ran {
    pub run: Run,
    pub recorded: Recorded,
}

/// Runs `job` now, in this process, whether or not it is paused or disabled.
///
/// # Errors
///
/// [`Error::JobRunning`] if it runs already, [`Error::JobLost`] if another took it over;
/// [`Error::Gone`], [`Error::Locked`], [`Error::Database`]. What the job itself finds wrong is in the run.
pub async fn run_now(
    store: Store<'_>,
    job: &Job,
    holder: &Holder,
    ground: &Ground,
    clock: Clock,
) -> Result<Ran> {
    match store {
        Store::Live(live) => run(live.writer()?, store, job, holder, ground, clock).await,
        // On SQLite it has one connection, and whoever keeps the lease is not to wait for the work.
        Store::Plain(_) => {
            let (location, settings) = (&ground.location, ground.settings);
            let run = async |db: &Database| run(db, store, job, holder, ground, clock).await;
            database::using(location, Access::Write, settings, run).await
        }
    }
}

/// Keeps the lease and records the end in `db`, while the work is done in `store`.
async fn run(
    db: &Database,
    store: Store<'_>,
    job: &Job,
    holder: &Holder,
    ground: &Ground,
    clock: Clock,
) -> Result<Ran> {
    let from = clock();
    let claim = begin_by_hand(db, job, holder, from).await?;
    let work = carry_out(store, ground, job, from);
    let recorded = held(db, job, &claim, holder, clock, work, std::future::pending()).await?;
    meters::ended(&job.name, recorded.as_ref(), from, clock());
    let id = (claim.job.clone(), claim.scheduled_for.clone());
    let row = runs::Entity::find_by_id(id).one(&db.connection).await?;
    match (recorded, row) {
        (Some(recorded), Some(row)) => Ok(Ran { run: Run::of(row), recorded }),
        _ => Err(Error::JobLost { job: claim.job }),
    }
}

/// Waits for `work` while the lease of `claim` is kept, and records how it ends: nothing if the
/// lease was lost, or `stopped` came first.
pub(super) async fn held(
    db: &Database,
    job: &Job,
    claim: &Claim,
    holder: &Holder,
    clock: Clock,
    work: impl Future<Output = Ended>,
    stopped: impl Future<Output = ()>,
) -> Result<Option<Recorded>> {
    let deadline = async {
        match job.deadline {
            Some(deadline) => sleep(deadline).await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        ended = work => ended,
        () = deadline => {
            let deadline = time::told(job.deadline.unwrap_or_default());
            Ended::failed(format!("it was stopped after its deadline of {deadline}"))
        }
        () = keep(db, claim, holder, clock) => return Ok(None),
        () = stopped => {
            release(db, claim).await?;
            return Ok(None);
        }
    };
    end(db, job, claim, holder, clock, &ended).await
}

/// After a failure it is tried again so soon.
const SOON: Duration = Duration::from_millis(100);

/// Records how a run ended. What was done is not to be lost because others write for long, or the
/// database is away for a moment: it is tried for as long as a lease, and told if it was in vain.
async fn end(
    db: &Database,
    job: &Job,
    claim: &Claim,
    holder: &Holder,
    clock: Clock,
    ended: &Ended,
) -> Result<Option<Recorded>> {
    let Claim { job: name, scheduled_for, .. } = claim;
    let until = Instant::now() + holder.lease;
    let mut has_failed = false;
    loop {
        let error = match finish(db, claim, job, ended, clock()).await {
            // The answer to an earlier try may have been lost.
            Ok(None) if has_failed => match recorded(db, claim, clock()).await {
                Ok(recorded) => return Ok(recorded),
                Err(error) => error,
            },
            Ok(recorded) => return Ok(recorded),
            Err(error) => error,
        };
        let reason = error.in_a_line();
        if Instant::now() >= until {
            let has_succeeded = ended.result.is_ok();
            tracing::error!(
                job = name,
                scheduled_for,
                has_succeeded,
                reason,
                "the end of a run is lost"
            );
            return Err(error);
        }
        if !std::mem::replace(&mut has_failed, true) {
            tracing::warn!(
                job = name,
                scheduled_for,
                reason,
                "the end of a run is not recorded yet"
            );
        }
        sleep(SOON).await;
    }
}

/// Renews the lease, until it is lost.
async fn keep(db: &Database, claim: &Claim, holder: &Holder, clock: Clock) {
    let often = holder.lease / 3;
    let mut wait = often;
    loop {
        sleep(wait).await;
        wait = match renew(db, claim, holder, clock()).await {
            Ok(true) => often,
            Ok(false) => return,
            // It may be well again before the lease is over; if not, the end will tell. On SQLite
            // nobody else can take the run over while somebody, such as VACUUM, keeps all out.
            Err(error) => {
                tracing::debug!(%error, job = claim.job, "cannot renew the lease");
                often.min(SOON)
            }
        };
    }
}
