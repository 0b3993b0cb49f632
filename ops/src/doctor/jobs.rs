//! Whether jobs do what they are declared for.

use std::path::Path;

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;

use super::Check;
use crate::job::{Failing, Job, Trouble, Verb, troubles};
use crate::{Result, time};

/// How much of an error is told, in characters: the history has all of it.
const TOLD: usize = 300;

/// The jobs that could tell nobody, if the service finds what this process finds.
pub fn webhooks(jobs: &[Job], webhook_hosts: &[String], root: &Path) -> Vec<Check> {
    let unsent = jobs.iter().filter(|it| it.enabled).filter_map(|job| {
        let Verb::Drift { webhook: Some(webhook) } = &job.verb else { return None };
        let reason = webhook.check(webhook_hosts, root).err()?;
        let says = format!(
            "`{}` has nobody to tell: {reason}; mend its webhook or what that refers to, for this \
             command and for the service",
            job.name
        );
        Some(Check::wrong("job", says))
    });
    unsent.collect()
}

/// What is the matter with `jobs`, as their runs tell.
pub(super) async fn runs(
    db: &impl ConnectionTrait,
    jobs: &[Job],
    now: DateTime<Utc>,
) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    for job in jobs {
        let troubles = troubles(db, job, now).await?;
        checks.extend(troubles.into_iter().map(|it| told(&job.name, it)));
    }
    Ok(checks)
}

fn told(name: &str, trouble: Trouble) -> Check {
    match trouble {
        Trouble::Paused { by, at, failing: None } => {
            let at = time::minute(&at);
            Check::well("job", format!("`{name}` is paused by {by} since {at} UTC"))
        }
        Trouble::Paused { by, at, failing: Some(failing) } => {
            let (at, failed) = (time::minute(&at), failed(name, &failing));
            let says = format!(
                "`{name}` is paused by {by} since {at} UTC, and {failed}; once that is mended \
                 `setpoint jobs resume {name}`"
            );
            Check::wrong("job", says)
        }
        Trouble::Failing(failing) => {
            Check::wrong("job", format!("`{name}` {}", failed(name, &failing)))
        }
        Trouble::Unattended { due } => {
            let due = time::minute(&time::stamp(due));
            let says = format!(
                "`{name}` was due at {due} UTC, and no service has noticed: start `setpoint \
                 serve`, or look why it runs no jobs"
            );
            Check::wrong("job", says)
        }
    }
}

/// How a job has failed, and where all of that is.
fn failed(name: &str, failing: &Failing) -> String {
    let (since, error) = (time::minute(&failing.since), beginning(&failing.error));
    let failed = match failing.count {
        1 => format!("failed at {since} UTC"),
        count if failing.or_more => {
            format!("has failed {count} times or more, {since} UTC one of them")
        }
        count => format!("has failed {count} times since {since} UTC"),
    };
    format!("{failed}: {error}; see `setpoint jobs history {name}`")
}

/// The first line of an error, or as much of it as is told.
fn beginning(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    match line.char_indices().nth(TOLD) {
        None => line.to_owned(),
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}
