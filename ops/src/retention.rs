//! Which backups stay and which may go, each with its reasons. It decides and removes nothing: it
//! knows no database, no clock and no archives.
//!
//! The rules are those of restic's `forget`, see
//! <https://restic.readthedocs.io/en/stable/060_forget.html>; tests ask restic the same. What is
//! different here:
//!
//! - Only verified backups count for the rules. Whatever the rules say, the newest verified backup,
//!   the newest of all, and pinned ones stay; those from before a migration and those that were
//!   found damaged have a time of their own. So there is always one left.
//! - Backups whose history was damaged when they were taken are counted apart by the rules: they
//!   take nobody's place but one another's.
//! - Of what is not known nothing is decided: it stays, and takes nobody's place. Nor does one that
//!   is dated later than now, by a clock that was ahead; restic lets it push out all others.
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
    pub trust: Trust,
    /// Whether somebody said that it is not to be removed.
    pub is_pinned: bool,
    /// Whether it was made before a migration, to take that back.
    pub is_before_migration: bool,
}

/// What is known of whether a backup restores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It was last read back whole then, and nothing has happened to it since.
    Verified(DateTime<Utc>),
    /// As [`Trust::Verified`], but its history did not hold together when it was taken: it restores
    /// what was live, and not who did it.
    Tampered(DateTime<Utc>),
    /// It was first found damaged then, whatever was known before.
    Doubted(DateTime<Utc>),
    /// Nothing: it may be anybody's.
    Unknown,
    /// Nothing: what is known by its name is of another archive, in whose place somebody has put it.
    Replaced,
}

impl Trust {
    pub fn is_verified(self) -> bool {
        matches!(self, Self::Verified(_))
    }

    pub fn is_tampered(self) -> bool {
        matches!(self, Self::Tampered(_))
    }

    fn is_known(self) -> bool {
        !matches!(self, Self::Unknown | Self::Replaced)
    }
}

/// When it was last read back whole, or null, and what is to be said against it.
impl Serialize for Trust {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown {
            verified_at: Option<String>,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            history_damaged: bool,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            replaced: bool,
        }
        let verified_at = match self {
            Self::Verified(at) | Self::Tampered(at) => Some(time::stamp(*at)),
            Self::Doubted(_) | Self::Unknown | Self::Replaced => None,
        };
        let (history_damaged, replaced) = (self.is_tampered(), *self == Self::Replaced);
        Shown { verified_at, history_damaged, replaced }.serialize(serializer)
    }
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
    let is_known = |it: &Backup| it.at <= now && it.trust.is_known();
    let is_verified = |it: &Backup| it.at <= now && it.trust.is_verified();
    let is_tampered = |it: &Backup| it.at <= now && it.trust.is_tampered();
    let newest = newest_first.iter().position(|it| is_known(it));
    let by_rules = |is_counted: &dyn Fn(&Backup) -> bool| {
        let counted = newest_first.iter().filter(|it| is_counted(it));
        let counted: Vec<DateTime<Utc>> = counted.map(|it| it.at).collect();
        rules::reasons(&counted, policy).into_iter()
    };
    let mut of_verified = by_rules(&is_verified);
    let mut of_tampered = by_rules(&is_tampered);

    let mut has_newer_verified = false;
    let mut decisions = Vec::new();
    for (at, backup) in newest_first.into_iter().enumerate() {
        let mut reasons = Vec::new();
        if is_verified(backup) {
            reasons.extend(of_verified.next().into_iter().flatten());
        }
        if is_tampered(backup) {
            reasons.extend(of_tampered.next().into_iter().flatten());
        }
        reasons.extend(protection(backup, policy, now, newest == Some(at), has_newer_verified));
        has_newer_verified |= is_verified(backup);
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
    let is_younger = |at: DateTime<Utc>, limit: Span| at > limit.before(now, policy.time_zone);
    let (for_migration, for_unverified) = (policy.pre_migration_for, policy.unverified_for);
    let is_verified = backup.trust.is_verified();
    let doubted_at = match backup.trust {
        Trust::Doubted(at) => Some(at),
        Trust::Verified(_) | Trust::Tampered(_) | Trust::Unknown | Trust::Replaced => None,
    };
    let protections = [
        (is_newest, Reason::Newest),
        (is_verified && backup.at <= now && !has_newer_verified, Reason::NewestVerified),
        (backup.is_pinned, Reason::Pinned),
        (
            backup.is_before_migration && is_younger(backup.at, for_migration),
            Reason::BeforeMigration(for_migration),
        ),
        (doubted_at.is_some() && !has_newer_verified, Reason::NoneVerifiedSince),
        (
            // Whoever finds it damaged has that long to look at it, however old it is.
            doubted_at.is_some_and(|it| is_younger(it.max(backup.at), for_unverified)),
            Reason::NotVerified(for_unverified),
        ),
        (backup.trust == Trust::Unknown, Reason::Unknown),
        (backup.trust == Trust::Replaced, Reason::Replaced),
        (backup.at > now, Reason::Ahead),
    ];
    protections.into_iter().filter_map(|(holds, reason)| holds.then_some(reason))
}

fn stamp<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time::stamp(*at))
}
