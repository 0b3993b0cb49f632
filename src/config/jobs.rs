//! `[jobs]` and `[[job]]`: what the service does by itself.

use serde::{Deserialize, Serialize};
use setpoint_ops::job::{self, Job};
use validator::Validate;

use super::{ConfigError, Loaded};

/// What all jobs have in common.
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Jobs {
    /// After what silence an instance counts as dead, and another takes over what it ran.
    #[validate(range(min = 100, max = 3_600_000, message = "is not within 100 and 3600000"))]
    pub lease_ms: u64,
    /// Hosts that webhooks may lead to.
    pub webhook_hosts: Vec<String>,
}

impl Default for Jobs {
    fn default() -> Self {
        Self { lease_ms: 30_000, webhook_hosts: Vec::new() }
    }
}

/// The jobs that are declared. [`super::load`] has refused what is none.
pub(crate) fn declared(loaded: &Loaded) -> Vec<Job> {
    let config = &loaded.config;
    job::read(&config.job, &config.jobs.webhook_hosts).unwrap_or_default()
}

/// What is wrong with them.
pub(super) fn faults(loaded: &Loaded) -> Vec<ConfigError> {
    let config = &loaded.config;
    let faults = job::read(&config.job, &config.jobs.webhook_hosts).err().unwrap_or_default();
    let faults = faults.into_iter().map(|it| ConfigError::Invalid {
        key: format!("job.{}.{}", it.at, it.field),
        place: loaded.place("job"),
        reason: it.reason,
        help: format!("{}; nothing was done", it.help),
    });
    faults.collect()
}
