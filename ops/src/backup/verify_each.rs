//! Reading many backups back, one after the other.

use chrono::{DateTime, Utc};

use super::{BackupError, Checked, Storage, list, verify};
use crate::database::{Location, Settings};
use crate::{Error, Result};

/// Reads the backups of these names back, or all there are, the oldest first, as [`verify`] does;
/// `told` is given what came of each. Gives how many there were.
///
/// # Errors
///
/// [`BackupError::None`] if there are none at all; as [`list`], and what `told` fails with.
pub async fn verify_each<E: From<Error>>(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    names: Option<Vec<String>>,
    now: impl Fn() -> DateTime<Utc>,
    mut told: impl FnMut(&str, Result<Checked>) -> Result<(), E>,
) -> Result<usize, E> {
    let is_all = names.is_none();
    let names = match names {
        Some(names) => names,
        None => {
            let listed = list(location, settings, storage).await?;
            if listed.backups.is_empty() {
                return Err(Error::from(BackupError::None { place: storage.place() }).into());
            }
            listed.backups.into_iter().map(|it| it.name).collect()
        }
    };
    for name in &names {
        match verify(location, settings, storage, name, now()).await {
            // Somebody has removed it meanwhile.
            Err(error) if is_all && error.is_no_backup() => {}
            checked => told(name, checked)?,
        }
    }
    Ok(names.len())
}
