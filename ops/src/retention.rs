//! Which backups stay and which may go, each with its reasons. It decides and removes nothing: it
//! knows no database, no clock and no archives.
//!
//! The rules are those of restic's `forget`, see
//! <https://restic.readthedocs.io/en/stable/060_forget.html>; tests ask restic the same. What is
//! different here:
//!
//! - Only verified backups count for the rules. Whatever the rules say, the newest verified backup,
//!   the newest of all, and pinned ones stay; those from before a migration and those that are not
//!   verified have a time of their own. So there is always one left.
//! - A policy that keeps nothing is refused; restic keeps everything then, or with `--keep-last 0`
//!   nothing.
//! - Periods are those of the policy's time zone, restic's those of the zone a snapshot was made in.
//! - `-1` is for all of them, which is `unlimited` in restic since 0.16; 0.14 takes it for 0.
//! - A rule with backups to spare keeps the oldest as well, as in restic since 0.16; 0.14 does not.
//! - There is one list, not one for each host and path. Of the same moment, the name decides.

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use crate::{Result, time};

mod policy;
mod reason;
pub mod revisions;
mod rules;
mod span;
#[cfg(test)]
mod tests;

pub use policy::{Count, Policy};
pub use reason::{Period, Reason};
pub use span::Span;

/// A backup, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    pub name: String,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// Whether it was read back.
    pub is_verified: bool,
    /// Whether somebody said that it is not to be removed.
    pub is_pinned: bool,
    /// Whether it was made before a migration, to take that back.
    pub is_before_migration: bool,
}

/// What becomes of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    pub name: String,
    #[serde(serialize_with = "stamp")]
    pub at: DateTime<Utc>,
    /// Why it is kept, all that there is. Without one it may be removed.
    pub reasons: Vec<Reason>,
}

impl Decision {
    pub fn is_kept(&self) -> bool {
        !self.reasons.is_empty()
    }
}

/// Decides on each of `backups`, the newest first.
///
/// # Errors
///
/// [`crate::Error::KeepsNothing`].
pub fn decide(backups: &[Backup], policy: &Policy, now: DateTime<Utc>) -> Result<Vec<Decision>> {
    policy.check()?;
    let mut newest_first: Vec<&Backup> = backups.iter().collect();
    newest_first.sort_by(|a, b| (b.at, &b.name).cmp(&(a.at, &a.name)));
    let verified = newest_first.iter().filter(|it| it.is_verified);
    let verified: Vec<DateTime<Utc>> = verified.map(|it| it.at).collect();

    let mut of_rules = rules::reasons(&verified, policy, now).into_iter();
    let mut has_newer_verified = false;
    let mut decisions = Vec::new();
    for (at, backup) in newest_first.into_iter().enumerate() {
        let mut reasons = Vec::new();
        if backup.is_verified {
            reasons.extend(of_rules.next().into_iter().flatten());
        }
        reasons.extend(protection(backup, policy, now, at == 0, has_newer_verified));
        has_newer_verified |= backup.is_verified;
        decisions.push(Decision { name: backup.name.clone(), at: backup.at, reasons });
    }
    Ok(decisions)
}

/// Why a backup stays whatever the rules say.
fn protection(
    backup: &Backup,
    policy: &Policy,
    now: DateTime<Utc>,
    is_newest: bool,
    has_newer_verified: bool,
) -> impl Iterator<Item = Reason> {
    let is_younger = |limit: Span| backup.at > limit.before(now, policy.time_zone);
    let (for_migration, for_unverified) = (policy.pre_migration_for, policy.unverified_for);
    let is_unverified = !backup.is_verified;
    let protections = [
        (is_newest, Reason::Newest),
        (backup.is_verified && !has_newer_verified, Reason::NewestVerified),
        (backup.is_pinned, Reason::Pinned),
        (
            backup.is_before_migration && is_younger(for_migration),
            Reason::BeforeMigration(for_migration),
        ),
        (is_unverified && !has_newer_verified, Reason::NoneVerifiedSince),
        (is_unverified && is_younger(for_unverified), Reason::NotVerified(for_unverified)),
    ];
    protections.into_iter().filter_map(|(holds, reason)| holds.then_some(reason))
}

fn stamp<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time::stamp(*at))
}
