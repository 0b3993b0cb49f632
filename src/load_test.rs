//! A load test: users that read, write, search and listen, on a schedule that does not wait for
//! the service, and what came of it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use miette::{IntoDiagnostic as _, miette};
use setpoint_client::types::{Setting, Welcome};
use setpoint_client::{Follower, Service};
use setpoint_ops::database::Location;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

mod child;
mod ledger;
mod limits;
mod measure;
mod own;
mod process;
mod report;
mod schedule;
mod sql;
#[cfg(test)]
mod tests;
mod users;

pub(crate) use child::OwnService;
pub(crate) use limits::Limits;
pub(crate) use process::Process;
pub(crate) use report::Report;
pub(crate) use schedule::Load;

use own::Own;
use process::Meter;
use sql::Sql;
use users::{PATIENCE, Shared};

/// What is tested, and how.
pub(crate) struct Test {
    pub service: Service,
    /// The service's first if there is none.
    pub namespace: Option<String>,
    pub load: Load,
    pub database: OfDatabase,
    pub process: Process,
}

/// What is known of the service's database.
pub(crate) enum OfDatabase {
    /// It is there, for sure.
    Is(Location),
    /// It may be there.
    MayBe(Location),
}

/// What came of a test.
pub(crate) struct Outcome {
    measures: measure::Measures,
    usage: Option<process::Usage>,
    /// Of the test itself.
    own_usage: Option<process::Usage>,
    /// From the first request to the last answer.
    took: Duration,
    /// Requests in a second that were answered.
    rps: f64,
    notes: Vec<String>,
}

/// How often progress is shown and the process is looked at.
const TICK: Duration = Duration::from_millis(250);

/// The test runs on one processor: with more than so much of it, it is what is measured.
const BUSY_PERCENT: f64 = 80.0;

impl Test {
    /// Carries it out. Whatever comes of it, also if it is stopped, its settings are taken
    /// away again.
    pub async fn run(
        self,
        stopped: impl Future<Output = io::Result<()>>,
    ) -> miette::Result<Outcome> {
        let service = self.service.clone().with_timeout(PATIENCE);
        let run = getrandom::u32().into_diagnostic()?;
        let own = Own::new(service.clone(), self.namespace.clone(), run);
        // Before there is anything to take away.
        let others = own.others().await?;
        let ended = tokio::select! {
            ended = self.carry_out(service, &own, &others) => ended,
            stopped = stopped => {
                stopped.into_diagnostic()?;
                // A write that was broken off may still be on its way.
                tokio::time::sleep(TICK).await;
                Err(miette!(code = "load_test::stopped", "the load test was stopped"))
            }
        };
        match (ended, own.remove().await) {
            (Err(error), Err(_)) => Err(error.wrap_err(format!("{own} is left: remove it"))),
            (Ok(_), Err(error)) => {
                Err(miette::Report::from(error).wrap_err(format!("{own} is left: remove it")))
            }
            (ended, Ok(())) => ended,
        }
    }

    async fn carry_out(
        self,
        service: Service,
        own: &Own,
        others: &[Setting],
    ) -> miette::Result<Outcome> {
        let load = self.load;
        own.make(load.users + 1).await?;
        let mut listeners = Vec::new();
        let mut welcomed = None;
        for user in 0..load.users {
            let namespace = self.namespace.clone();
            let (follower, welcome) = users::listener(&service, own, namespace, user).await?;
            listeners.push(follower);
            welcomed = Some(welcome);
        }
        let welcome = welcomed.ok_or_else(|| miette!("a load test needs a user"))?;
        let mut notes = Vec::new();
        let sql = match self.database.open(&welcome).await? {
            Ok(sql) => Some(sql),
            Err(why) => {
                notes.push(format!("hot reload by SQL was left out: {why}"));
                None
            }
        };
        let shared = Shared::new(own.clone(), service, load, others, sql.is_some());
        let mut meters = [self.process, Process::Here(std::process::id())].map(Meter::new);
        let (measures, took) = drive(Arc::new(shared), listeners, sql, &mut meters).await;
        let [usage, own_usage] = meters.map(|it| it.usage(took));
        if usage.is_none() {
            notes.push("memory and CPU of the service could not be read; see --pid".to_owned());
        }
        if own_usage.is_some_and(|it| it.cpu_percent > BUSY_PERCENT) {
            notes
                .push("the test itself had all it could do: part of these times is its own".into());
        }
        let kinds = [measure::Kind::Read, measure::Kind::Write, measure::Kind::Search];
        let answered: u64 = kinds.iter().filter_map(|it| Some(measures.get(*it)?.answered())).sum();
        let rps = answered as f64 / took.as_secs_f64();
        Ok(Outcome { measures, usage, own_usage, took, rps, notes })
    }
}

/// Has everybody do what they do until all is done.
async fn drive(
    shared: Arc<Shared>,
    listeners: Vec<Follower>,
    sql: Option<Sql>,
    meters: &mut [Meter],
) -> (measure::Measures, Duration) {
    let (mut asking, mut listening) = (JoinSet::new(), JoinSet::new());
    for (user, follower) in listeners.into_iter().enumerate() {
        listening.spawn(users::listen(shared.clone(), follower, user));
    }
    look(meters).await;
    let start = Instant::now();
    for user in 0..shared.load.users {
        asking.spawn(users::ask(shared.clone(), user, start));
    }
    if let Some(sql) = sql {
        asking.spawn(sql::edit(shared.clone(), sql, start));
    }

    let bar = progress_bar(shared.load.duration);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            ended = asking.join_next() => match ended {
                None => break,
                Some(Err(error)) if error.is_panic() => {
                    std::panic::resume_unwind(error.into_panic())
                }
                Some(_) => {}
            },
            _ = ticks.tick() => {
                bar.set_position(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
                look(meters).await;
            }
        }
    }
    let took = start.elapsed();
    look(meters).await;
    shared.settle().await;
    bar.finish_and_clear();
    let measures = shared.state().0.clone();
    (measures, took)
}

async fn look(meters: &mut [Meter]) {
    for meter in meters {
        meter.look().await;
    }
}

impl OfDatabase {
    /// A connection to it, or why there is none.
    async fn open(&self, welcome: &Welcome) -> miette::Result<Result<Sql, String>> {
        let (location, is_sure) = match self {
            Self::Is(location) => (location, true),
            Self::MayBe(location) => (location, false),
        };
        let name = location.name();
        let wrong = if !location.exists() {
            format!("there is no database at {name}")
        } else {
            match Sql::open(location, welcome.namespace.clone()).await {
                Err(error) => format!("{name} cannot be opened: {error}"),
                Ok(sql) => match sql.epoch().await {
                    Ok(epoch) if is_of(&welcome.position.epoch, &epoch) => return Ok(Ok(sql)),
                    Ok(_) => format!("{name} is not the database of the service"),
                    Err(_) => format!("{name} is no database of Setpoint's"),
                },
            }
        };
        if is_sure {
            return Err(miette!(
                code = "load_test::database",
                help = "give the database of the service with --database, or leave it out",
                "{wrong}"
            ));
        }
        Ok(Err(format!("{wrong}; give the service's with --database")))
    }
}

/// Whether a history as clients see it, with a fingerprint of what is declared, is of this epoch.
fn is_of(history: &str, epoch: &str) -> bool {
    history.strip_prefix(epoch).is_some_and(|it| it.is_empty() || it.starts_with('.'))
}

fn progress_bar(duration: Duration) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("{bar:40} {percent} %, {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
