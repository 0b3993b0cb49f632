//! One run of a job of a service, from its claim to its end.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;

use super::end::finish;
use super::hand::held;
use super::work::carry_out;
use super::{Claim, Clock, Ended, Job, Recorded, Setup, State, Store, meters};
use crate::live::Live;

/// What is said of a run that panicked.
const PANICKED: &str = "it panicked, which is a mistake in Setpoint";

/// One run of a job.
pub(super) struct Run {
    pub live: Live,
    pub setup: Arc<Setup>,
    pub job: Job,
    pub claim: Claim,
    pub clock: Clock,
}

impl Run {
    /// Gives the name of the job when the run is over, whatever has become of it.
    pub(super) async fn carry_out(self, cancel: watch::Receiver<bool>) -> String {
        let trying = AssertUnwindSafe(self.end(cancel)).catch_unwind().await;
        if trying.is_err() {
            self.fail().await;
        }
        self.job.name
    }

    async fn end(&self, mut cancel: watch::Receiver<bool>) {
        let from = (self.clock)();
        let cancelled = cancel.clone();
        let stopped = async move {
            // Without a sender nobody waits for it any more.
            drop(cancel.wait_for(|it| *it).await);
        };
        let name = &self.job.name;
        let recorded = match self.live.writer() {
            Ok(db) => {
                let (claim, holder) = (&self.claim, &self.setup.holder);
                held(db, &self.job, claim, holder, self.clock, self.work(from), stopped).await
            }
            Err(error) => Err(error),
        };
        let to = (self.clock)();
        match recorded {
            Ok(None) if *cancelled.borrow() => {
                tracing::info!(job = name, "gives back a run, which ends with this program");
            }
            Ok(recorded) => {
                meters::ended(name, recorded.as_ref(), from, to);
                tell(&self.claim, recorded);
            }
            // Its lease runs out, and it is begun again.
            Err(error) => {
                let error = error.in_a_line();
                tracing::error!(job = name, error, "cannot record how a run ended");
            }
        }
    }

    /// Records that what goes on around the work has panicked, unless an end was recorded before.
    /// Nobody would know until its lease is over.
    async fn fail(&self) {
        let (name, now) = (&self.job.name, (self.clock)());
        let recorded = match self.live.writer() {
            Ok(db) => finish(db, &self.claim, &self.job, &Ended::failed(PANICKED), now).await,
            Err(error) => Err(error),
        };
        match recorded {
            Ok(None) => tracing::error!(job = name, "a run panicked once its end was recorded"),
            Ok(recorded) => {
                meters::ended(name, recorded.as_ref(), now, now);
                tell(&self.claim, recorded);
            }
            Err(error) => {
                let error = error.in_a_line();
                tracing::error!(job = name, error, "cannot record that a run panicked");
            }
        }
    }

    /// The work, on a thread where it holds nobody up, and whose panics end with it. It stops when
    /// this is dropped.
    async fn work(&self, now: DateTime<Utc>) -> Ended {
        let (wanted, unwanted) = oneshot::channel::<()>();
        let (live, setup, job) = (self.live.clone(), self.setup.clone(), self.job.clone());
        let runtime = Handle::current();
        let working = spawn_blocking(move || {
            runtime.block_on(async {
                tokio::select! {
                    ended = carry_out(Store::Live(&live), &setup.ground, &job, now) => ended,
                    _ = unwanted => Ended::failed("nobody waits for it"),
                }
            })
        });
        let ended = working.await;
        drop(wanted);
        ended.unwrap_or_else(|_| Ended::failed(PANICKED))
    }
}

fn tell(claim: &Claim, recorded: Option<Recorded>) {
    let Claim { job, scheduled_for, .. } = claim;
    match recorded {
        Some(Recorded { state: State::Succeeded, .. }) => {
            tracing::info!(job, scheduled_for, "a job succeeded");
        }
        Some(Recorded { state, failing, reason }) => {
            let state = state.as_str();
            tracing::error!(job, scheduled_for, state, failing, reason, "a job failed");
        }
        None => tracing::warn!(job, scheduled_for, "a run is not this instance's any more"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use chrono::TimeZone as _;
    use sea_orm::EntityTrait as _;
    use setpoint_entity::job_run as runs;
    use setpoint_importers::Limits;

    use super::*;
    use crate::backup::Storage;
    use crate::database::{Access, Location, Settings};
    use crate::job::{Declared, Ground, Holder, consider, read, start};
    use crate::live::{Following, Policy};

    fn at(second: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 5, 1, 12, second / 60, second % 60).unwrap()
    }

    /// It is asked when the jobs are begun, when it is looked for what is due, and then by the run,
    /// outside its work.
    fn clock() -> DateTime<Utc> {
        static ASKED: AtomicUsize = AtomicUsize::new(1);
        match ASKED.fetch_add(1, Ordering::Relaxed) {
            3 => panic!("the clock has stopped"),
            _ => at(90),
        }
    }

    #[tokio::test]
    async fn a_run_that_panics_outside_its_work_has_failed() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("setpoint.db"));
        let wait = Duration::from_secs(30);
        let settings = Settings { lock_timeout: wait, connect_timeout: wait };
        let policy = || Policy::new(HashMap::new());
        let following = Following { enabled: false, poll: Duration::from_secs(60) };
        let opened = Live::open(&location, Access::Create, settings, policy(), following).await;
        let (live, _closing) = opened.unwrap();
        let declared = Declared {
            name: "minute".to_owned(),
            cron: "* * * * *".to_owned(),
            verb: "audit-verify".to_owned(),
            ..Declared::default()
        };
        let jobs = read(&[declared], &[], true).unwrap();
        consider(live.writer().unwrap(), &jobs[0], at(0)).await.unwrap();
        let ground = Ground {
            location,
            settings,
            backups: Storage::new(folder.path().join("backups"), None),
            retention: None,
            revisions: None,
            declared: Arc::new(policy()),
            sources: Vec::new(),
            root: folder.path().to_owned(),
            limits: Limits::default(),
            rules: HashMap::new(),
            webhook_hosts: Vec::new(),
        };
        let holder = Holder { instance: "one".to_owned(), lease: Duration::from_secs(3600) };
        let setup = Setup { jobs, ground, holder, grace: Duration::from_secs(60) };

        start(live.clone(), Arc::new(setup), clock).stop().await;

        let db = &live.writer().unwrap().connection;
        let run = runs::Entity::find().one(db).await.unwrap().unwrap();
        assert_eq!(run.state, State::Failed.as_str());
        assert_eq!(run.error.as_deref(), Some(PANICKED));
    }
}
