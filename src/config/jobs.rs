//! `[jobs]` and `[[job]]`: what the service does by itself.

use serde::{Deserialize, Serialize};
use setpoint_ops::job::{self, Declared, Job};
use validator::Validate;

use super::lists::no_section;
use super::wrong::called;
use super::{ConfigError, Loaded, explained};

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

/// The jobs that are declared.
///
/// # Errors
///
/// What is wrong with them, every fault.
pub(super) fn declared(loaded: &Loaded) -> Result<Vec<Job>, Vec<ConfigError>> {
    let config = &loaded.config;
    let (mut declared, mut places, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for (at, one) in config.job.iter().enumerate() {
        let read = match one.as_array() {
            Some(_) => Err(no_section()),
            None => one.deserialize::<Declared>(),
        };
        match read {
            Ok(one) => {
                declared.push(one);
                places.push(at);
            }
            Err(error) => wrong.extend(explained(&loaded.figment, error, &format!("job.{at}"))),
        }
    }
    let has_rules = config.backups.retention.is_some() || config.revisions.is_some();
    let read = job::read(&declared, &config.jobs.webhook_hosts, has_rules);
    let jobs = read.unwrap_or_else(|faults| {
        wrong.extend(faults.into_iter().map(|it| ConfigError::Invalid {
            key: called(&loaded.figment, &format!("job.{}.{}", places[it.at], it.field)),
            place: loaded.place("job"),
            reason: it.reason,
            help: format!("{}; nothing was done", it.help),
        }));
        Vec::new()
    });
    if wrong.is_empty() { Ok(jobs) } else { Err(wrong) }
}
