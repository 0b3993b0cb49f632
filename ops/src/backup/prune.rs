//! Removing backups that no rule keeps.

use chrono::{DateTime, Utc};

use super::list::reached;
use super::remove::take_away;
use super::{BackupError, Kind, Listed, Storage};
use crate::database::{Location, Settings};
use crate::retention::{Backup, Decision, Policy, decide};
use crate::{Error, Result, time};

/// Decides on every backup in `storage`, the newest first, and removes those that nothing keeps,
/// unless it `is_dry`. An archive that is damaged where it says what it is, and one that is not in
/// the record of this database, are left: they may be another's.
///
/// # Errors
///
/// [`Error::KeepsNothing`], [`Error::Unreadable`], [`Error::Unwritable`], as [`super::Bucket`] has
/// them, as [`crate::database::open`] if there is a database: nothing was removed then.
/// [`BackupError::PartlyPruned`]: those that it names were.
pub async fn prune(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    policy: &Policy,
    is_dry: bool,
    now: DateTime<Utc>,
) -> Result<Vec<Decision>> {
    let listed = reached(location, settings, storage).await?;
    let backups: Vec<Backup> = listed.iter().filter_map(as_backup).collect();
    let decisions = decide(&backups, policy, now)?;
    if is_dry {
        return Ok(decisions);
    }
    let mut removed = Vec::new();
    // The oldest first: whatever comes between, the newest ones are there.
    for one in decisions.iter().rev().filter(|it| !it.is_kept()) {
        match take_away(location, settings, storage, &one.name, "retention").await {
            Ok(()) => removed.push(one.name.as_str()),
            // Somebody else has removed it.
            Err(Error::Backup(BackupError::Unknown { .. })) => {}
            Err(error) if removed.is_empty() => return Err(error),
            Err(error) => {
                let (removed, name) = (removed.join(", "), one.name.clone());
                let reason = error.in_a_line();
                return Err(BackupError::PartlyPruned { removed, name, reason }.into());
            }
        }
    }
    Ok(decisions)
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
