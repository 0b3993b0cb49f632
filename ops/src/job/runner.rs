//! The jobs of a service: it looks what is due, and runs what it can claim.
//!
//! When something is due is computed of the clock each time, so that a clock that jumps neither
//! repeats a run nor leaves one out.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::open::{all_open, is_held, may_begin};
use super::run::Run;
use super::{Claim, Ground, Holder, Job, State, consider, meters, tick};
use crate::Result;
use crate::clock::Clocks;
use crate::live::Live;

/// What tells the time. Tests set it.
pub type Clock = fn() -> DateTime<Utc>;

/// What a service runs.
pub struct Setup {
    pub jobs: Vec<Job>,
    pub ground: Ground,
    /// Who this service is.
    pub holder: Holder,
    /// How long runs may still take when it is to stop.
    pub grace: Duration,
}

/// The jobs of a service that is running.
pub struct Scheduler {
    setup: watch::Sender<Arc<Setup>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// It is looked at least as often, for what others were to do and did not.
const OFTEN: Duration = Duration::from_secs(2);

/// Begins to run jobs.
pub fn start(live: Live, setup: Arc<Setup>, clock: Clock) -> Scheduler {
    meters::describe();
    let (setup, current) = watch::channel(setup);
    let (stop, stopped) = watch::channel(false);
    let looking = Looking {
        live,
        clock,
        looked: HashMap::new(),
        running: HashSet::new(),
        tasks: JoinSet::new(),
        cancel: watch::Sender::new(false),
        is_failing: false,
    };
    let task = tokio::spawn(looking.run(current, stopped));
    Scheduler { setup, stop, task }
}

impl Scheduler {
    /// Goes on with other jobs. Those that run are not stopped.
    pub fn reconfigure(&self, setup: Arc<Setup>) {
        self.setup.send_replace(setup);
    }

    /// Begins no more, waits for what runs as long as the grace, and gives back what runs then.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the jobs had ended before");
        }
    }
}

struct Looking {
    live: Live,
    clock: Clock,
    /// When it was last looked whether a job is due.
    looked: HashMap<String, DateTime<Utc>>,
    /// The jobs that run here.
    running: HashSet<String>,
    /// Their runs; each gives the name of its job.
    tasks: JoinSet<String>,
    /// True once runs are to be given back.
    cancel: watch::Sender<bool>,
    is_failing: bool,
}

impl Looking {
    async fn run(
        mut self,
        mut setup: watch::Receiver<Arc<Setup>>,
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut is_new = true;
        loop {
            let current = setup.borrow_and_update().clone();
            if is_new && let Err(error) = self.begin(&current).await {
                tracing::warn!(%error, "cannot tell how jobs ended before");
            }
            is_new = false;
            let wait = self.round(&current).await;
            tokio::select! {
                _ = stopped.changed() => break self.drain(current.grace).await,
                _ = setup.changed() => {
                    is_new = true;
                    self.looked.clear();
                }
                Some(ended) = self.tasks.join_next() => {
                    if let Ok(job) = ended {
                        self.running.remove(&job);
                    }
                }
                () = sleep(wait) => {}
            }
        }
    }

    async fn begin(&self, setup: &Setup) -> Result<()> {
        if setup.jobs.is_empty() {
            return Ok(());
        }
        meters::begin(&self.live.reader().await?, &setup.jobs, (self.clock)()).await
    }

    /// Begins what is due. Gives how long nothing will be.
    async fn round(&mut self, setup: &Arc<Setup>) -> Duration {
        if setup.jobs.is_empty() {
            return Duration::from_secs(3600);
        }
        match self.look(setup).await {
            Ok(wait) => {
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("jobs are looked after again");
                }
                wait
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!(
                        error = error.in_a_line(),
                        "no job is begun until this is over"
                    );
                }
                OFTEN
            }
        }
    }

    async fn look(&mut self, setup: &Arc<Setup>) -> Result<Duration> {
        let (clocks, waiting) = self.waiting().await?;
        let now = clocks.now;
        let mut wait = OFTEN;
        for job in &setup.jobs {
            let runs_here = self.running.contains(&job.name);
            let is_waiting = !runs_here && waiting.contains(&job.name);
            if is_waiting || self.is_due(job, now) {
                let db = self.live.writer()?;
                let claim = match runs_here {
                    true => consider(db, job, now).await.map(|()| None),
                    false => tick(db, job, &setup.holder, now).await,
                };
                match claim {
                    Ok(claim) => {
                        self.looked.insert(job.name.clone(), now);
                        claim.into_iter().for_each(|it| self.begin_run(setup, job, it));
                    }
                    // That of one job is not to hold up the others.
                    Err(error) => {
                        let error = error.in_a_line();
                        tracing::warn!(job = job.name, error, "cannot look after a job yet");
                    }
                }
            }
            let next = job.schedule.after(now).map(|it| job.due_at(it) - now);
            wait = next.and_then(|it| it.to_std().ok()).unwrap_or(OFTEN).min(wait);
        }
        Ok(wait.max(Duration::from_millis(10)))
    }

    /// What time it is, and the jobs of which a run could be claimed.
    async fn waiting(&self) -> Result<(Clocks, HashSet<String>)> {
        let db = self.live.reader().await?;
        let clocks = Clocks::read(&db, (self.clock)()).await?;
        let open = all_open(&db, None).await?.into_iter();
        let waiting = open.filter(|it| !is_held(it, clocks.shared));
        let waiting =
            waiting.filter(|it| it.state == State::Running.as_str() || may_begin(it, clocks.now));
        let jobs = waiting.map(|it| it.job).collect();
        Ok((clocks, jobs))
    }

    /// Whether something may have come due since it was last looked.
    fn is_due(&self, job: &Job, now: DateTime<Utc>) -> bool {
        let Some(looked) = self.looked.get(&job.name).filter(|it| **it <= now) else { return true };
        let jitter = chrono::Duration::from_std(job.jitter).unwrap_or_default();
        let next = job.schedule.after(*looked - jitter);
        next.is_some_and(|it| job.due_at(it) <= now)
    }

    fn begin_run(&mut self, setup: &Arc<Setup>, job: &Job, claim: Claim) {
        tracing::info!(job = job.name, scheduled_for = claim.scheduled_for, "runs a job");
        self.running.insert(job.name.clone());
        let run = Run {
            live: self.live.clone(),
            setup: setup.clone(),
            job: job.clone(),
            claim,
            clock: self.clock,
        };
        self.tasks.spawn(run.carry_out(self.cancel.subscribe()));
    }

    /// Waits for what runs, and stops it when the grace is over.
    async fn drain(&mut self, grace: Duration) {
        if timeout(grace, all(&mut self.tasks)).await.is_err() {
            self.cancel.send_replace(true);
            all(&mut self.tasks).await;
        }
    }
}

async fn all(tasks: &mut JoinSet<String>) {
    while tasks.join_next().await.is_some() {}
}
