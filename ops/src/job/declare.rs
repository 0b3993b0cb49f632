//! Jobs as they are declared: texts, read with all their faults at once.

use std::collections::HashSet;
use std::time::Duration;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{Job, Missed, Overlap, Schedule, Verb};
use crate::nearest::nearest;
use crate::time;
use crate::webhook::Webhook;

/// A `[[job]]` of the configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    pub name: String,
    /// Minute, hour, day of the month, month, day of the week; or `@daily` and the like.
    pub cron: String,
    /// Such as `Europe/Berlin`; `UTC` if there is none.
    pub time_zone: Option<String>,
    pub verb: String,
    /// `skip`, `once` or `all`; `once` if it is not said.
    pub missed: Option<String>,
    /// `forbid` or `queue`; `forbid` if it is not said.
    pub overlap: Option<String>,
    /// Such as `10m`: how long a run may take.
    pub deadline: Option<String>,
    /// Such as `30s`: up to how much later each run begins.
    pub jitter: Option<String>,
    /// How often a run that failed is tried again; never if it is not said.
    pub retries: Option<u32>,
    pub enabled: Option<bool>,
    /// Of `drift`: whom to tell of what is new, an `https` URL or a reference to one.
    pub webhook: Option<String>,
}

/// Why something declared is no job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which of [`Declared`], counted from 0.
    pub at: usize,
    /// Which field of it.
    pub field: &'static str,
    pub reason: String,
    pub help: String,
}

/// More would be tried for days.
const MOST_RETRIES: u32 = 20;

/// Reads what is declared; `webhook_hosts` are those that may be told, and `has_rules` says whether
/// some rules tell what `retention` may remove. With a fault there is no job.
///
/// # Errors
///
/// Every fault of every one.
pub fn read(
    declared: &[Declared],
    webhook_hosts: &[String],
    has_rules: bool,
) -> Result<Vec<Job>, Vec<Fault>> {
    let (mut jobs, mut faults, mut names) = (Vec::new(), Vec::new(), HashSet::new());
    for (at, one) in declared.iter().enumerate() {
        let mut reading = Reading { at, webhook_hosts, has_rules, faults: &mut faults };
        if !names.insert(&one.name) {
            let reason = format!("there are two jobs `{}`", one.name);
            reading.fault("name", reason, "give one of them another name");
        }
        jobs.extend(reading.job(one));
    }
    if faults.is_empty() { Ok(jobs) } else { Err(faults) }
}

struct Reading<'a> {
    at: usize,
    webhook_hosts: &'a [String],
    has_rules: bool,
    faults: &'a mut Vec<Fault>,
}

impl Reading<'_> {
    fn fault(&mut self, field: &'static str, reason: String, help: impl Into<String>) {
        self.faults.push(Fault { at: self.at, field, reason, help: help.into() });
    }

    fn job(&mut self, declared: &Declared) -> Option<Job> {
        self.name(&declared.name);
        let schedule = self.schedule(declared);
        let verb = self.verb(declared);
        let missed = [("skip", Missed::Skip), ("once", Missed::Once), ("all", Missed::All)];
        let missed = self.one_of("missed", declared.missed.as_deref(), "once", &missed);
        let overlap = [("forbid", Overlap::Forbid), ("queue", Overlap::Queue)];
        let overlap = self.one_of("overlap", declared.overlap.as_deref(), "forbid", &overlap);
        let deadline = self.length("deadline", declared.deadline.as_deref());
        let jitter = self.length("jitter", declared.jitter.as_deref()).unwrap_or_default();
        let retries = declared.retries.unwrap_or_default();
        if retries > MOST_RETRIES {
            let reason = format!("{retries} retries are more than {MOST_RETRIES}");
            self.fault("retries", reason, "give fewer; the next run comes anyway");
        }
        let (schedule, verb, missed, overlap) = (schedule?, verb?, missed?, overlap?);
        self.jitter(&schedule, jitter);
        Some(Job {
            name: declared.name.clone(),
            schedule,
            verb,
            missed,
            overlap,
            deadline,
            jitter,
            retries,
            enabled: declared.enabled.unwrap_or(true),
        })
    }

    fn name(&mut self, name: &str) {
        let known = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.');
        if name.is_empty() || name.len() > 100 || !name.chars().all(known) {
            let reason = format!("`{name}` is no name");
            self.fault("name", reason, "give 1 to 100 of A-Z a-z 0-9 . _ -");
        }
    }

    fn schedule(&mut self, declared: &Declared) -> Option<Schedule> {
        let name = declared.time_zone.as_deref().unwrap_or("UTC");
        let zone = name.parse::<Tz>().ok();
        if zone.is_none() {
            let cities = chrono_tz::TZ_VARIANTS.iter().map(|it| it.name());
            let help = match nearest(name, cities) {
                Some(known) => format!("did you mean `{known}`?"),
                None => "give a name such as Europe/Berlin, or UTC".to_owned(),
            };
            self.fault("time_zone", format!("there is no time zone `{name}`"), help);
        }
        match Schedule::parse(&declared.cron, zone.unwrap_or(Tz::UTC)) {
            Ok(schedule) => zone.map(|_| schedule),
            Err(reason) => {
                self.fault("cron", reason, "write it as in cron = \"30 3 * * *\", or \"@daily\"");
                None
            }
        }
    }

    fn verb(&mut self, declared: &Declared) -> Option<Verb> {
        let verb = match declared.verb.as_str() {
            "audit-verify" => Verb::AuditVerify,
            "backup" => Verb::Backup,
            "drift" => Verb::Drift { webhook: self.webhook(declared) },
            "expire" => Verb::Expire,
            "reseed-check" => Verb::ReseedCheck,
            "retention" => Verb::Retention,
            "vacuum" => Verb::Vacuum,
            "verify-backups" => Verb::VerifyBackups,
            other => {
                let known = Verb::NAMES.join(", ");
                let help = match nearest(other, Verb::NAMES) {
                    Some(verb) => format!("did you mean `{verb}`? There are {known}"),
                    None => format!("there are {known}"),
                };
                self.fault("verb", format!("`{other}` is nothing that a job can do"), help);
                return None;
            }
        };
        if matches!(verb, Verb::Retention) && !self.has_rules {
            let reason = "`retention` has no rules, and would remove nothing".to_owned();
            self.fault("verb", reason, "say what stays, in [backups.retention] or [revisions]");
        }
        if declared.webhook.is_some() && !matches!(verb, Verb::Drift { .. }) {
            let reason = format!("`{verb}` tells nobody");
            self.fault("webhook", reason, "leave it out, or choose the verb drift");
        }
        Some(verb)
    }

    fn webhook(&mut self, declared: &Declared) -> Option<Webhook> {
        match Webhook::parse(declared.webhook.as_deref()?, self.webhook_hosts) {
            Ok(webhook) => Some(webhook),
            Err(reason) => {
                let help = "give an https URL of a host in [jobs] webhook_hosts, or env:NAME";
                self.fault("webhook", reason, help);
                None
            }
        }
    }

    fn one_of<T: Copy>(
        &mut self,
        field: &'static str,
        said: Option<&str>,
        usual: &str,
        known: &[(&str, T)],
    ) -> Option<T> {
        let said = said.unwrap_or(usual);
        let found = known.iter().find(|(name, _)| *name == said).map(|(_, it)| *it);
        if found.is_none() {
            let names = known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            self.fault(
                field,
                format!("`{said}` is none of {names}"),
                format!("give one of {names}"),
            );
        }
        found
    }

    fn length(&mut self, field: &'static str, said: Option<&str>) -> Option<Duration> {
        let said = said?;
        let length = time::length(said).ok().and_then(|it| it.to_std().ok());
        if length.is_none() {
            self.fault(field, format!("`{said}` is no length of time"), "give 30s, 10m, 12h or 1d");
        }
        length
    }

    /// Longer than the time between two runs, it would have one overtake the other.
    fn jitter(&mut self, schedule: &Schedule, jitter: Duration) {
        if jitter.is_zero() {
            return;
        }
        let mut times = Vec::new();
        let mut moment = chrono::DateTime::UNIX_EPOCH;
        while let Some(next) = schedule.after(moment).filter(|_| times.len() < 50) {
            times.push(next);
            moment = next;
        }
        let gaps = times.windows(2).filter_map(|it| (it[1] - it[0]).to_std().ok());
        let Some(shortest) = gaps.min().filter(|it| jitter > *it) else { return };
        let reason = format!(
            "a jitter of {} is longer than the {} between two runs",
            time::told(jitter),
            time::told(shortest)
        );
        self.fault("jitter", reason, "give a shorter one");
    }
}

#[cfg(test)]
mod tests;
