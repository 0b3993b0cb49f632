//! Which times of a job have come since somebody looked, and what becomes of them.

use chrono::{DateTime, Duration, Utc};
use sha2::{Digest as _, Sha256};

use super::{Job, MOST_MISSED, Missed};
use crate::time;

/// What became due.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// To be run, the oldest first.
    pub run: Vec<DateTime<Utc>>,
    /// The newest of those that are let go.
    pub skipped: Option<DateTime<Utc>>,
    /// What is to be said of those that were missed.
    pub note: Option<String>,
    /// Up to when everything is decided.
    pub considered: DateTime<Utc>,
}

/// A run that begins no later than this is on time.
const LATE: Duration = Duration::seconds(60);

/// What became due after `since`, up to `now`.
pub(super) fn due(job: &Job, since: DateTime<Utc>, now: DateTime<Utc>) -> Due {
    let mut times = job.schedule.between(since, now);
    // Jitter is shorter than the time between two runs, so those that wait are the last ones.
    let waiting = times.iter().position(|it| job.due_at(*it) > now);
    let considered = match waiting {
        Some(at) => times[at] - Duration::milliseconds(1),
        None => now,
    };
    times.truncate(waiting.unwrap_or(times.len()));
    let on_time = times.pop_if(|it| now - job.due_at(*it) <= LATE);
    let mut due = Due { considered, ..Due::default() };
    if times.is_empty() {
        due.run.extend(on_time);
        return due;
    }

    let (many, newest) = (times.len() > MOST_MISSED, times[times.len() - 1]);
    let missed = match (times.len(), many) {
        (1, _) => format!("1 run was missed, that of {}", time::stamp(newest)),
        (count, false) => format!(
            "{count} runs were missed, {} to {}",
            time::stamp(times[0]),
            time::stamp(newest)
        ),
        (_, true) => format!(
            "more than {MOST_MISSED} runs were missed, the last that of {}",
            time::stamp(newest)
        ),
    };
    match job.missed {
        Missed::Skip => {
            due.skipped = Some(newest);
            due.run.extend(on_time);
            due.note = Some(missed);
        }
        Missed::Once => {
            due.run.push(on_time.unwrap_or(newest));
            due.note = Some(format!("{missed}; this run makes up for that"));
        }
        Missed::All => {
            due.run = times.split_off(times.len().saturating_sub(MOST_MISSED));
            due.run.extend(on_time);
            let left = if many { "; older ones are left out" } else { "" };
            due.note = Some(format!("{missed}; each is made up for{left}"));
        }
    }
    due
}

/// So much later a run begins: less than `longest`, by name and instant alone.
pub(super) fn jitter(name: &str, instant: DateTime<Utc>, longest: std::time::Duration) -> Duration {
    let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
    if longest == 0 {
        return Duration::zero();
    }
    let digest = Sha256::digest(format!("{name}\n{}", time::stamp(instant)));
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    let late = u64::from_be_bytes(bytes) % longest;
    Duration::milliseconds(i64::try_from(late).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
