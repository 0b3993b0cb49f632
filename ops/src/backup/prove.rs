//! Whether a backup that is relied upon still is the one that was read back.

use chrono::{DateTime, Utc};

use super::encryption::Keys;
use super::{Storage, archive, record};
use crate::Result;
use crate::database::{Location, Settings};

/// As [`unchanged`], and that it can be decrypted here, before something goes for good that only this
/// one holds.
///
/// # Errors
///
/// As [`unchanged`], [`super::Encryption::refuse_without_key`].
pub async fn prove(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    name: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    unchanged(location, settings, storage, name, now).await?;
    let (manifest, _) = archive::head(storage, name).await?;
    Keys::of(storage.encryption(), &manifest, name).map(drop)
}

/// Reads the archive `name` as bytes: that it was read back whole may be long ago. What is wrong with
/// it is recorded.
///
/// # Errors
///
/// [`super::BackupError::Damaged`], [`super::BackupError::Unknown`]; [`crate::Error::Unreadable`], as
/// [`super::Bucket`] has them: nothing is recorded then.
pub(super) async fn unchanged(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    name: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    let read = async {
        let sha256 = storage.sha256(name).await?;
        record::refuse_other(location, settings, name, &sha256).await
    };
    let read = read.await;
    if read.as_ref().is_err_and(|it| it.damage().is_some()) {
        record::doubt(location, settings, name, now).await;
    }
    read
}
