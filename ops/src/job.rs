//! Jobs: what is done by itself, and when.
//!
//! Any number of instances look after the same jobs. The database decides which of them runs
//! what: each time of a job is one row, claimed under a lease. Whoever loses the lease records
//! nothing.
//!
//! What is promised of clocks: on PostgreSQL an instance whose clock is ahead of the server's by
//! more than a minute goes by the server's, so that nothing is run before its time, and a time that
//! has a row is not run again whatever the clocks of instances say. SQLite has no other clock than
//! that of the machine, and where that goes back by more than a minute the later word is believed:
//! what lies ahead of it was recorded by a clock that was ahead, and those times are run when they
//! come.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::webhook::Webhook;

mod ahead;
mod claim;
mod cron;
mod declare;
mod drift;
mod due;
mod end;
mod hand;
mod list;
mod meters;
mod note;
mod open;
mod past;
mod pause;
mod run;
mod runner;
mod trouble;
mod work;

pub use claim::{Claim, Holder, consider, tick};
pub use cron::Schedule;
pub use declare::{Declared, Fault, read};
pub use end::{Ended, Recorded, finish, release, renew};
pub use hand::{Ran, run_now};
pub use list::{Listed, Run, history, list, named, older};
pub use pause::{pause, resume};
pub use runner::{Clock, Scheduler, Setup, start};
pub(crate) use trouble::{Failing, Trouble, troubles};
pub use work::{Effect, Ground, Store};

/// A declared job.
#[derive(Clone, Debug)]
pub struct Job {
    pub name: String,
    pub schedule: Schedule,
    pub verb: Verb,
    pub missed: Missed,
    pub overlap: Overlap,
    /// How long a run may take.
    pub deadline: Option<Duration>,
    /// Each run begins up to so much later, the same on every instance.
    pub jitter: Duration,
    /// How often a run that failed is tried again.
    pub retries: u32,
    pub enabled: bool,
}

/// What a job does. [`work`] is the place where it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Computes the chain of hashes of the history again.
    AuditVerify,
    /// Takes a backup and reads it back.
    Backup,
    /// Compares every source with its last import and what is live, and tells of what is new.
    Drift { webhook: Option<Webhook> },
    /// Takes away what is over, and takes back what nobody has confirmed in time.
    Expire,
    /// Removes the backups that no rule keeps.
    Retention,
    /// Tells whether files, or the seeds in the program, have something new.
    ReseedCheck,
    /// Has the database tidy up and measure itself.
    Vacuum,
    /// Reads every backup back.
    VerifyBackups,
}

/// What becomes of times at which nobody was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// They are let go.
    Skip,
    /// One run makes up for them all.
    Once,
    /// Each is made up for, the newest [`MOST_MISSED`] of them.
    All,
}

/// What becomes of a time at which the run before it still goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// It is let go.
    Forbid,
    /// It waits.
    Queue,
}

/// What a run was begun by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    Cron,
    Manual,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is due, and waits for an instance, or to be tried again.
    Queued,
    Running,
    Succeeded,
    Failed,
    /// It was let go: missed, or the one before it still went on.
    Skipped,
    /// Whoever had it died, as often as that may happen.
    Abandoned,
}

/// Of missed runs no more than these are made up for.
pub const MOST_MISSED: usize = 100;

impl Job {
    /// When the run of `instant` is to begin.
    pub fn due_at(&self, instant: DateTime<Utc>) -> DateTime<Utc> {
        instant + due::jitter(&self.name, instant, self.jitter)
    }
}

impl Verb {
    pub const NAMES: [&str; 8] = [
        "audit-verify",
        "backup",
        "drift",
        "expire",
        "reseed-check",
        "retention",
        "vacuum",
        "verify-backups",
    ];

    pub fn as_str(&self) -> &'static str {
        match self {
            Self::AuditVerify => "audit-verify",
            Self::Backup => "backup",
            Self::Drift { .. } => "drift",
            Self::Expire => "expire",
            Self::ReseedCheck => "reseed-check",
            Self::Retention => "retention",
            Self::Vacuum => "vacuum",
            Self::VerifyBackups => "verify-backups",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Trigger {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cron => "cron",
            Self::Manual => "manual",
        }
    }
}

impl State {
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Skipped,
        Self::Abandoned,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Abandoned => "abandoned",
        }
    }

    /// Whether nothing becomes of it any more.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}
