//! Changes on their way into the database: those that come at the same time share a transaction,
//! and each is a revision of its own, or an error of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::DbErr;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::news::{Moved, News};
use super::snapshot::{Entry, Snapshot};
use super::{Shared, Written};
use crate::apply::{Applied, Channel, append, lock_head};
use crate::plan::Plan;
use crate::setting::Setting;
use crate::{Error, Result, time};

/// A change that somebody waits for.
pub(super) struct Job {
    /// Plans it on what is live when its turn comes.
    pub make: Make,
    pub channel: Channel,
    pub now: DateTime<Utc>,
    pub reply: oneshot::Sender<Result<Written>>,
}

pub(super) type Make = Box<dyn FnMut(&Snapshot) -> Result<Plan> + Send>;

/// How many share a transaction at most: others may want to write, too.
const MOST: usize = 256;

/// For how long the first of them waits for others: less than it takes to sync.
const GATHER: Duration = Duration::from_millis(2);

/// How many it waits for at most: so many share the cost of a transaction well, and of more some may
/// as well be read and answered while it is synced.
const SHARED: usize = 32;

/// Carries out `jobs` until there are no more.
pub(super) async fn run(shared: Arc<Shared>, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(MOST);
    let mut before = 0;
    while jobs.recv_many(&mut batch, MOST).await > 0 {
        gather(&mut batch, before, &mut jobs).await;
        before = batch.len();
        carry_out(&shared, std::mem::take(&mut batch)).await;
    }
}

/// Waits a moment for those who had their answers together: they ask again together, and whoever
/// is not in this transaction waits for all of it. One who writes alone waits for nobody.
async fn gather(batch: &mut Vec<Job>, before: usize, jobs: &mut mpsc::Receiver<Job>) {
    let until = Instant::now() + GATHER;
    while batch.len() < before.min(SHARED) {
        let room = MOST - batch.len();
        match timeout_at(until, jobs.recv_many(batch, room)).await {
            Ok(1..) => {}
            // Nobody comes any more, or not soon enough.
            Ok(0) | Err(_) => break,
        }
    }
}

async fn carry_out(shared: &Shared, mut batch: Vec<Job>) {
    let error = match within_patience(shared, &mut batch).await {
        Ok(done) => {
            for (job, done) in batch.into_iter().zip(done) {
                // Whoever asked may have gone away.
                drop(job.reply.send(done));
            }
            return;
        }
        Err(error) => error,
    };
    let is_of_one = matches!(&error, Error::Database(_) | Error::NulCharacter { .. })
        && !error.is_of_the_connection()
        && batch.len() > 1;
    for mut job in batch {
        let done = match is_of_one {
            // One of them may be what the database does not take.
            true => within_patience(shared, std::slice::from_mut(&mut job))
                .await
                .and_then(|mut done| done.pop().unwrap_or_else(|| Err(error.shared()))),
            false => Err(error.shared()),
        };
        drop(job.reply.send(done));
    }
}

async fn within_patience(shared: &Shared, jobs: &mut [Job]) -> Result<Vec<Result<Written>>> {
    match tokio::time::timeout(shared.patience(), write(shared, jobs)).await {
        Ok(written) => written,
        Err(_) => Err(Error::Unanswered { place: shared.place() }),
    }
}

/// Writes what `jobs` make, in one transaction, and publishes it.
///
/// # Errors
///
/// What keeps all of them from being written: nothing is, then.
async fn write(shared: &Shared, jobs: &mut [Job]) -> Result<Vec<Result<Written>>> {
    let connections = &shared.connections;
    connections.refuse_gone()?;
    let db = connections.writer.begin().await?;
    let at = |error: Error| error.at(connections.writer.place());
    let head = lock_head(&db).await.map_err(at)?;
    // What is published from here on is published by us: nobody else can commit.
    let _gate = shared.gate.lock().await;
    shared.catch_up_to(&db, &head).await.map_err(at)?;
    shared.has_looked();

    let mut draft = Snapshot::clone(&shared.current());
    let mut plans = Vec::with_capacity(jobs.len());
    let mut done = Vec::with_capacity(jobs.len());
    for job in jobs.iter_mut() {
        // One that fails badly is not to end writing for all.
        let made = catch_unwind(AssertUnwindSafe(|| (job.make)(&draft)));
        let made = made.unwrap_or_else(|_| {
            Err(Error::Database(DbErr::Custom("a plan could not be made".to_owned())))
        });
        done.push(made.map(|plan| {
            let applied = match plan.is_empty() {
                true => Applied::Nothing,
                false => {
                    draft.advance(news(&plan, &draft, job.channel, job.now));
                    plans.push((plan.clone(), job.channel, job.now));
                    Applied::Revision(draft.revision)
                }
            };
            (plan, applied)
        }));
    }
    if !plans.is_empty() {
        append(&db, &head, &plans).await.map_err(at)?;
        let place = connections.writer.place();
        db.commit().await.map_err(|error| Error::of_commit(error, place))?;
        let is_gone = connections.refuse_gone();
        is_gone.map_err(|_| Error::Unanswered { place: place.to_owned() })?;
        shared.publish(draft);
        shared.has_looked();
    }
    let snapshot = shared.current();
    let written = done
        .into_iter()
        .map(|it| it.map(|(plan, applied)| Written { plan, applied, snapshot: snapshot.clone() }));
    Ok(written.collect())
}

/// What `plan` is to those who listen, once it is the revision after `snapshot`.
fn news(plan: &Plan, snapshot: &Snapshot, channel: Channel, now: DateTime<Utc>) -> News {
    let (at, id) = (time::stamp(now), snapshot.revision + 1);
    let actor = &plan.author.actor;
    let moved = plan.effects().into_iter().map(|effect| Moved {
        namespace: effect.namespace.into(),
        layer: effect.layer.into(),
        key: effect.key.clone(),
        after: effect.after.map(|value| {
            let setting = Setting {
                namespace: effect.namespace.to_owned(),
                layer: effect.layer.to_owned(),
                key: effect.key.clone(),
                value_type: value.value_type(),
                value: value.json.clone(),
                format: value.format,
                revision: id,
                updated_at: at.clone(),
                updated_by: actor.clone(),
            };
            Arc::new(Entry::new(setting))
        }),
    });
    News {
        id,
        moved: moved.collect(),
        effective: Vec::new(),
        rendered: OnceLock::new(),
        refused: Vec::new(),
        actor: actor.clone(),
        channel: channel.as_str().to_owned(),
        kind: plan.kind.as_str().to_owned(),
        reason: plan.author.reason.clone(),
        at,
    }
}
