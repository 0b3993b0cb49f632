//! Removing one backup that somebody names.

use chrono::{DateTime, Utc};

use super::list::reached;
use super::{BackupError, Listed, Storage, record};
use crate::database::{Location, Settings};
use crate::{Error, Result, time};

/// Removes the backup `name`, and what is known of it. Unless it is forced, one that is pinned
/// stays, and the newest of those that were read back whole.
///
/// # Errors
///
/// [`BackupError::BadName`], [`BackupError::Unknown`], [`BackupError::Pinned`],
/// [`BackupError::LastVerified`], [`Error::Unreadable`], [`Error::Unwritable`]; as
/// [`super::Bucket`] has them, and as
/// [`crate::database::open`] if there is a database: nothing was removed then.
pub async fn remove(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    name: &str,
    is_forced: bool,
    now: DateTime<Utc>,
) -> Result<()> {
    if !is_forced {
        refuse_needed(&reached(location, settings, storage).await?, name, &time::stamp(now))?;
    }
    take_away(location, settings, storage, name).await
}

/// # Errors
///
/// As [`remove`] that is forced.
pub(super) async fn take_away(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    name: &str,
) -> Result<()> {
    storage.remove(name).await?;
    record::forget(location, settings, name).await;
    Ok(())
}

/// `listed` are all of them, the oldest first.
fn refuse_needed(listed: &[Listed], name: &str, now: &str) -> Result<()> {
    let Some(one) = listed.iter().find(|it| it.name == name) else { return Ok(()) };
    let is_ahead = |it: &&Listed| it.manifest.as_ref().is_some_and(|it| *it.created_at > *now);
    let verified = || listed.iter().rev().filter(|it| it.trust.is_verified());
    // One of a clock that was ahead is the newest only where there is no other.
    let newest = verified().find(|it| !is_ahead(it)).or_else(|| verified().next());
    let name = name.to_owned();
    let refused: Option<Error> = match newest {
        _ if one.pinned => Some(BackupError::Pinned { name }.into()),
        Some(newest) if newest.name == name => Some(BackupError::LastVerified { name }.into()),
        _ => None,
    };
    refused.map_or(Ok(()), Err)
}
