//! Removing backups that no rule keeps.

use chrono::{DateTime, Utc};

use super::list::reached;
use super::prove::unchanged;
use super::remove::take_away;
use super::{BackupError, Kind, Listed, Storage};
use crate::database::{Location, Settings};
use crate::retention::{Backup, Decision, Policy, Trust, decide};
use crate::{Error, Result, time};

/// Decides on every backup in `storage`, the newest first. An archive that is damaged where it says
/// what it is, and one that is not in the record of this database, are left: they may be another's.
/// If something may go, the newest that counts as verified is read once more; one that is damaged by
/// now counts no longer, and that is recorded.
///
/// # Errors
///
/// [`Error::KeepsNothing`], [`Error::Unreadable`], as [`super::Bucket`] has them, as
/// [`crate::database::open`] if there is a database.
pub async fn plan_prune(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<Vec<Decision>> {
    let listed = reached(location, settings, storage).await?;
    let mut backups: Vec<Backup> = listed.iter().filter_map(as_backup).collect();
    loop {
        let decided = decide(&backups, policy, now)?;
        let newest = backups.iter_mut().rev().find(|it| it.at <= now && it.trust.is_verified());
        let Some(newest) = newest.filter(|_| decided.iter().any(|it| !it.is_kept())) else {
            return Ok(decided);
        };
        match unchanged(location, settings, storage, &newest.name, now).await {
            Ok(()) => return Ok(decided),
            Err(error) if error.damage().is_some() => newest.trust = Trust::Doubted(now),
            // Somebody has removed it meanwhile.
            Err(error) if error.is_no_backup() => newest.trust = Trust::Unknown,
            Err(error) => return Err(error),
        }
    }
}

/// Removes the backups that nothing keeps, and no other, of what [`plan_prune`] has decided at
/// `now`, unless one of them is to stay by now.
///
/// # Errors
///
/// [`BackupError::Stays`]; as [`plan_prune`], [`super::remove`]: nothing was removed then.
/// [`BackupError::PartlyPruned`]: those that it names were.
pub async fn prune_planned(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    policy: &Policy,
    planned: &[Decision],
    now: DateTime<Utc>,
) -> Result<()> {
    let decided = plan_prune(location, settings, storage, policy, now).await?;
    let is_gone = |name: &str| planned.iter().any(|it| it.name == name && !it.is_kept());
    if let Some(stays) = decided.iter().find(|it| it.is_kept() && is_gone(&it.name)) {
        let reasons: Vec<_> = stays.reasons.iter().map(ToString::to_string).collect();
        let (name, reasons) = (stays.name.clone(), reasons.join(", "));
        return Err(BackupError::Stays { name, reasons }.into());
    }
    // One that cannot be told any more is left.
    let goes: Vec<_> = decided.into_iter().filter(|it| is_gone(&it.name)).collect();
    carry_out(location, settings, storage, &goes).await
}

/// Decides and removes at once. Gives what was decided.
///
/// # Errors
///
/// As [`prune_planned`].
pub async fn prune(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<Vec<Decision>> {
    let decisions = plan_prune(location, settings, storage, policy, now).await?;
    carry_out(location, settings, storage, &decisions).await?;
    Ok(decisions)
}

async fn carry_out(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    decisions: &[Decision],
) -> Result<()> {
    let (mut removed, mut stayed, mut failed) = (Vec::new(), Vec::new(), None);
    // The oldest first: whatever comes between, the newest ones are there.
    for one in decisions.iter().rev().filter(|it| !it.is_kept()) {
        match take_away(location, settings, storage, &one.name, "retention").await {
            Ok(()) => removed.push(one.name.clone()),
            // Somebody else has removed it.
            Err(error) if error.is_no_backup() => {}
            Err(error) => {
                // It does not hold up the others, unless none of them can be reached.
                let is_over = matches!(error, Error::Backup(BackupError::StoreUnreachable { .. }));
                stayed.push(one.name.clone());
                failed.get_or_insert(error);
                if is_over {
                    break;
                }
            }
        }
    }
    match failed {
        None => Ok(()),
        Some(error) if removed.is_empty() => Err(error),
        Some(error) => {
            let reason = error.in_a_line();
            Err(BackupError::PartlyPruned { removed, stayed, reason }.into())
        }
    }
}

fn as_backup(listed: &Listed) -> Option<Backup> {
    let manifest = listed.manifest.as_ref()?;
    Some(Backup {
        name: listed.name.clone(),
        at: time::read(&manifest.created_at).ok()?,
        trust: listed.trust,
        is_pinned: listed.pinned,
        is_before_migration: manifest.kind == Kind::PreMigration,
    })
}
