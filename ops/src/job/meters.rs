//! Jobs, as Prometheus sees them.

use chrono::{DateTime, Utc};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use sea_orm::ConnectionTrait;

use super::past::{failing, newest};
use super::{Job, Recorded, State};
use crate::{Result, time};

const RUNS: &str = "setpoint_job_runs_total";
const LAST_SUCCESS: &str = "setpoint_job_last_success_timestamp_seconds";
const DURATION: &str = "setpoint_job_duration_seconds";
const FAILING: &str = "setpoint_job_failing";

pub(super) fn describe() {
    describe_counter!(RUNS, "Runs of jobs that ended here, by how they ended");
    describe_gauge!(LAST_SUCCESS, "When a job last succeeded, in Unix time");
    describe_histogram!(DURATION, "Seconds that a run took");
    describe_gauge!(FAILING, "Runs of a job that failed since one succeeded");
    super::drift::describe();
}

/// Takes up what was before this program was started.
pub(super) async fn begin(
    db: &impl ConnectionTrait,
    jobs: &[Job],
    now: DateTime<Utc>,
) -> Result<()> {
    for job in jobs {
        let label = job.name.clone();
        gauge!(FAILING, "name" => label.clone()).set(failing(db, &job.name, now).await? as f64);
        let last = newest(db, &job.name, Some(State::Succeeded), now).await?;
        if let Some(at) = last.and_then(|it| time::read(&it.finished_at?).ok()) {
            gauge!(LAST_SUCCESS, "name" => label).set(at.timestamp() as f64);
        }
    }
    Ok(())
}

pub(super) fn ended(
    job: &str,
    recorded: Option<&Recorded>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) {
    let outcome = match recorded.map(|it| it.state) {
        Some(State::Queued) => "retried",
        Some(state) => state.as_str(),
        None => "lost",
    };
    counter!(RUNS, "name" => job.to_owned(), "outcome" => outcome).increment(1);
    let took = (to - from).to_std().unwrap_or_default();
    histogram!(DURATION, "name" => job.to_owned()).record(took.as_secs_f64());
    let Some(recorded) = recorded else { return };
    gauge!(FAILING, "name" => job.to_owned()).set(recorded.failing as f64);
    if recorded.state == State::Succeeded {
        gauge!(LAST_SUCCESS, "name" => job.to_owned()).set(to.timestamp() as f64);
    }
}
