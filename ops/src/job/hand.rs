//! A run that somebody asks for, and what all runs have in common: they are carried out while
//! their lease is kept, and no longer than their deadline.

use sea_orm::EntityTrait;
use setpoint_entity::job_run as runs;

use super::claim::{begin_by_hand, finish, release, renew};
use super::work::carry_out;
use super::{Claim, Clock, Ended, Ground, Holder, Job, Recorded, Run, Store, meters};
use crate::database::Database;
use crate::{Error, Result};

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
    let (db, from) = (store.writer()?, clock());
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
            Some(deadline) => tokio::time::sleep(deadline).await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        ended = work => ended,
        () = deadline => {
            let seconds = job.deadline.unwrap_or_default().as_secs();
            Ended::failed(format!("it was stopped after its deadline of {seconds} s"))
        }
        () = keep(db, claim, holder, clock) => return Ok(None),
        () = stopped => {
            release(db, claim).await?;
            return Ok(None);
        }
    };
    // What was done is not to be lost because others write for long.
    for _ in 0..TRIES {
        match finish(db, claim, job, &ended, clock()).await {
            Err(Error::Locked { .. }) => {}
            finished => return finished,
        }
    }
    finish(db, claim, job, &ended, clock()).await
}

const TRIES: usize = 3;

/// Renews the lease, until it is lost.
async fn keep(db: &Database, claim: &Claim, holder: &Holder, clock: Clock) {
    loop {
        tokio::time::sleep(holder.lease / 3).await;
        match renew(db, claim, holder, clock()).await {
            Ok(true) => {}
            Ok(false) => return,
            // It may be well again before the lease is over; if not, the end will tell.
            Err(error) => tracing::debug!(%error, job = claim.job, "cannot renew the lease"),
        }
    }
}
