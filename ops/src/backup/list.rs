//! The backups there are.

use std::collections::HashMap;

use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use setpoint_entity::backup;

use super::storage::refuse_bad_name;
use super::{BackupError, Manifest, Storage, archive, record};
use crate::audit::BackupEnd;
use crate::database::{Location, Settings};
use crate::{Error, Result};

/// How many archives are looked at together, where each has to be asked for.
const AT_ONCE: usize = 8;

/// An archive as it lies in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    pub name: String,
    /// None if the archive cannot be read.
    #[serde(flatten)]
    pub manifest: Option<Manifest>,
    /// Of the archive.
    pub size_bytes: u64,
    /// When it was last read back whole, if this database knows.
    pub verified_at: Option<String>,
    /// Whether it is not to be removed; the manifest says the same.
    #[serde(skip)]
    pub pinned: bool,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Every archive in `storage`, the oldest first, with what the database knows of it. Those that
/// cannot be read come first.
///
/// # Errors
///
/// [`Error::Unreadable`] if the folder cannot be; as [`super::Bucket`] has them.
pub async fn list(
    location: &Location,
    settings: Settings,
    storage: &Storage,
) -> Result<Vec<Listed>> {
    let names = storage.names().await?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    listed(storage, names, &record::all(location, settings).await).await
}

/// The archives of these names, with what is known of them, in the order of [`list`].
pub(super) async fn listed(
    storage: &Storage,
    names: Vec<String>,
    known: &[backup::Model],
) -> Result<Vec<Listed>> {
    let known: HashMap<_, _> = known.iter().map(|it| (it.name.as_str(), it)).collect();
    let mut listed = Vec::new();
    let looks = names.iter().map(|it| look(storage, it, known.get(it.as_str()).copied()));
    let mut looks = stream::iter(looks).buffered(AT_ONCE);
    while let Some(one) = looks.next().await {
        match one {
            Err(Error::Backup(BackupError::Unknown { .. })) => {}
            one => listed.push(one?),
        }
    }
    drop(looks);
    let age = |it: &Listed| it.manifest.as_ref().map(|it| it.created_at.clone());
    listed.sort_by_key(|it| (age(it), it.name.clone()));
    Ok(listed)
}

/// Where each verified backup in `storage` ends, the oldest first.
///
/// # Errors
///
/// As [`list`].
pub async fn ends(
    location: &Location,
    settings: Settings,
    storage: &Storage,
) -> Result<Vec<BackupEnd>> {
    let listed = list(location, settings, storage).await?;
    let end = |it: Listed| {
        let Manifest { epoch, revision, head_hash, .. } = it.manifest?;
        it.verified_at?;
        Some(BackupEnd { name: it.name, epoch, revision, head_hash })
    };
    Ok(listed.into_iter().filter_map(end).collect())
}

/// The archive `name`, with what the database knows of it.
///
/// # Errors
///
/// [`BackupError::BadName`], [`BackupError::Unknown`].
pub async fn find(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    name: &str,
) -> Result<Listed> {
    refuse_bad_name(name)?;
    let known = record::all(location, settings).await;
    look(storage, name, known.iter().find(|it| it.name == name)).await
}

async fn look(storage: &Storage, name: &str, known: Option<&backup::Model>) -> Result<Listed> {
    let mut one = Listed {
        name: name.to_owned(),
        manifest: None,
        size_bytes: 0,
        verified_at: known.and_then(|it| it.verified_at.clone()),
        pinned: known.is_some_and(|it| it.pinned_at.is_some()),
        problem: None,
    };
    match archive::head(storage, name).await {
        Ok((mut manifest, size_bytes)) => {
            one.pinned |= known.is_none() && manifest.pinned;
            manifest.pinned = one.pinned;
            one.size_bytes = size_bytes;
            one.manifest = Some(manifest);
        }
        Err(error @ Error::Backup(BackupError::Unknown { .. })) => return Err(error),
        Err(error) => {
            one.verified_at = None;
            one.problem = Some(match error {
                Error::Backup(BackupError::Damaged { reason, .. }) => reason,
                other => other.in_a_line(),
            });
        }
    }
    Ok(one)
}
