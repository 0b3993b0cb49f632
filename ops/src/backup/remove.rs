//! Removing one backup that somebody names.

use super::list::reached;
use super::{BackupError, Listed, Storage, record};
use crate::database::{Location, Settings};
use crate::retention::Trust;
use crate::{Error, Result};

/// Removes the backup `name`, and what is known of it, for `by`; of one that is gone what is known.
/// Unless it is forced, one that is pinned stays, the newest of those that were read back whole (of
/// those with a sound history, if there is one), and one that is not in the record, which might tell
/// that; not one that cannot be read. With `is_dry` it is only looked whether it may go.
///
/// # Errors
///
/// [`BackupError::BadName`], [`BackupError::Unknown`], [`BackupError::Pinned`],
/// [`BackupError::LastVerified`], [`BackupError::NotOurs`], [`BackupError::Replaced`],
/// [`BackupError::NotRemoved`], [`Error::Unreadable`], [`Error::Unwritable`]; as [`super::Bucket`]
/// has them, and as [`crate::database::open`] if there is a database: nothing was removed then.
pub async fn remove(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    name: &str,
    is_forced: bool,
    is_dry: bool,
    by: &str,
) -> Result<()> {
    if !is_forced {
        refuse_needed(&reached(location, settings, storage).await?, name)?;
    }
    if is_dry {
        return match storage.refuse_unknown(name).await {
            Err(error) if error.is_no_backup() => {
                record::refuse_unknown(location, settings, name).await
            }
            looked => looked,
        };
    }
    take_away(location, settings, storage, name, by).await
}

/// Removes it, which `by` wants, and tells so in the log.
///
/// # Errors
///
/// As [`remove`] that is forced.
pub(super) async fn take_away(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    name: &str,
    by: &str,
) -> Result<()> {
    match storage.remove(name).await {
        Ok(()) => tracing::info!(backup = name, by, "removed a backup"),
        // Somebody has taken it away, and the record still has it.
        Err(error) if error.is_no_backup() => {
            record::refuse_unknown(location, settings, name).await?;
            tracing::info!(backup = name, by, "struck out a backup that is gone");
        }
        Err(error) => return Err(error),
    }
    record::forget(location, settings, name).await;
    Ok(())
}

/// `listed` are all of them, the oldest first.
fn refuse_needed(listed: &[Listed], name: &str) -> Result<()> {
    let Some(one) = listed.iter().find(|it| it.name == name) else { return Ok(()) };
    let newest = |is: fn(Trust) -> bool| listed.iter().rev().find(|it| is(it.trust));
    let newest = newest(Trust::is_verified).or_else(|| newest(Trust::is_tampered));
    let name = name.to_owned();
    let refused: Option<Error> = match newest {
        _ if one.pinned => Some(BackupError::Pinned { name }.into()),
        Some(newest) if newest.name == name => Some(BackupError::LastVerified { name }.into()),
        _ if one.trust == Trust::Replaced => Some(BackupError::Replaced { name }.into()),
        // What cannot be read is of no use to anybody.
        _ if one.trust == Trust::Unknown && one.problem.is_none() => {
            Some(BackupError::NotOurs { name }.into())
        }
        _ => None,
    };
    refused.map_or(Ok(()), Err)
}
