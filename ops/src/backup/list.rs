//! The backups there are.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use setpoint_entity::backup;

use super::storage::refuse_bad_name;
use super::{BackupError, Manifest, Storage, archive, record};
use crate::audit::BackupEnd;
use crate::database::{Location, Settings};
use crate::retention::Trust;
use crate::{Error, Result, time};

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
    /// What this database knows of it; shown as when it was last read back whole, whether its
    /// history did not hold together then, and whether it was put in the place of another.
    #[serde(flatten)]
    pub trust: Trust,
    /// Whether it is not to be removed; the manifest says the same.
    #[serde(skip)]
    pub pinned: bool,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Listed {
    /// The archive `name` of which no more is said than stands in its record.
    fn of(name: &str, known: Option<&backup::Model>) -> Self {
        Self {
            name: name.to_owned(),
            manifest: None,
            size_bytes: 0,
            trust: Trust::Unknown,
            pinned: known.is_some_and(|it| it.pinned_at.is_some()),
            problem: None,
        }
    }

    fn unreadable(self, error: &Error) -> Self {
        let problem = error.damage().map_or_else(|| error.in_a_line(), str::to_owned);
        Self { problem: Some(problem), ..self }
    }
}

/// The archives that there are, and what the database knows of them.
#[derive(Debug)]
pub struct Listing {
    /// The oldest first, after those that cannot be read.
    pub backups: Vec<Listed>,
    /// The names of those that are in the record, and not there.
    pub missing: Vec<String>,
    /// Why the record cannot be read, or that there is no database: nothing is known of any of them
    /// then.
    pub unknown: Option<Error>,
}

/// Every archive in `storage`, with what the database knows of it if there is one.
///
/// # Errors
///
/// [`Error::Unreadable`] if the folder cannot be; as [`super::Bucket`] has them.
pub async fn list(location: &Location, settings: Settings, storage: &Storage) -> Result<Listing> {
    let names = storage.names().await?;
    let (known, unknown) = match record::rows(location, settings).await {
        Ok(known) => (known, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let backups = looked(storage, names, &known, Reached::OrTold).await?;
    let there: HashSet<&str> = backups.iter().map(|it| it.name.as_str()).collect();
    let missing = known.into_iter().map(|it| it.name).filter(|it| !there.contains(it.as_str()));
    let missing = missing.collect();
    Ok(Listing { backups, missing, unknown })
}

/// As [`list`], for who goes by what is there: one that cannot be reached may be the newest.
///
/// # Errors
///
/// As [`list`], of any archive; as [`crate::database::open`] if there is a database.
pub(super) async fn reached(
    location: &Location,
    settings: Settings,
    storage: &Storage,
) -> Result<Vec<Listed>> {
    // Without what is known none would count as verified.
    let known = record::read(location, settings).await?;
    looked(storage, storage.names().await?, &known, Reached::OrFailed).await
}

/// What becomes of an archive that cannot be reached, whatever is in it.
#[derive(Clone, Copy)]
enum Reached {
    /// It is among the others, with what is wrong.
    OrTold,
    /// It is an error.
    OrFailed,
}

async fn looked(
    storage: &Storage,
    names: Vec<String>,
    known: &[backup::Model],
    reached: Reached,
) -> Result<Vec<Listed>> {
    let known: HashMap<_, _> = known.iter().map(|it| (it.name.as_str(), it)).collect();
    let mut listed = Vec::new();
    let looks = names.iter().map(|it| look(storage, it, known.get(it.as_str()).copied(), reached));
    let mut looks = stream::iter(looks).buffered(AT_ONCE);
    while let Some(one) = looks.next().await {
        match one {
            Err(error) if error.is_no_backup() => {}
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
/// As [`list`], of any archive; as [`crate::database::open`] if there is a database.
pub async fn ends(
    location: &Location,
    settings: Settings,
    storage: &Storage,
) -> Result<Vec<BackupEnd>> {
    let listed = reached(location, settings, storage).await?;
    let end = |it: Listed| {
        let Manifest { epoch, revision, head_hash, .. } = it.manifest?;
        Some(BackupEnd { name: it.name, epoch, revision, head_hash })
    };
    Ok(listed.into_iter().filter(|it| it.trust.is_verified()).filter_map(end).collect())
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
    let known = record::one(location, settings, name).await;
    look(storage, name, known.as_ref(), Reached::OrTold).await
}

async fn look(
    storage: &Storage,
    name: &str,
    known: Option<&backup::Model>,
    reached: Reached,
) -> Result<Listed> {
    let one = Listed::of(name, known);
    let (mut manifest, size_bytes) = match archive::head(storage, name).await {
        Ok(head) => head,
        Err(error) if error.is_no_backup() => return Err(error),
        Err(error) => {
            let is_newer = matches!(error, Error::Backup(BackupError::Newer { .. }));
            let is_reached = is_newer || error.damage().is_some();
            return match reached {
                Reached::OrFailed if !is_reached => Err(error),
                Reached::OrTold | Reached::OrFailed => Ok(one.unreadable(&error)),
            };
        }
    };
    // Another archive by that name has nothing of what is known of the first.
    let own = known.filter(|it| is_of(it, &manifest, size_bytes));
    let pinned = own.map_or(manifest.pinned, |it| it.pinned_at.is_some());
    manifest.pinned = pinned;
    let trust = match (known, own) {
        (None, _) => Trust::Unknown,
        (Some(_), None) => Trust::Replaced,
        (Some(_), Some(own)) => trust(own),
    };
    let manifest = Some(manifest);
    Ok(Listed { manifest, size_bytes, trust, pinned, ..one })
}

/// Whether `known` is of the archive of that manifest, as far as can be told without all of it.
fn is_of(known: &backup::Model, manifest: &Manifest, size_bytes: u64) -> bool {
    u64::try_from(known.size_bytes) == Ok(size_bytes)
        && (&known.created_at, &known.epoch) == (&manifest.created_at, &manifest.epoch)
        && (known.revision, &known.head_hash) == (manifest.revision, &manifest.head_hash)
}

/// What was written by hand and is no time tells nothing.
fn trust(known: &backup::Model) -> Trust {
    let at = |text: &Option<String>| time::read(text.as_deref()?).ok();
    match (at(&known.verified_at), at(&known.doubted_at)) {
        (Some(at), None) => Trust::Verified(at),
        (Some(at), Some(_)) => Trust::Tampered(at),
        (None, Some(at)) => Trust::Doubted(at),
        (None, None) => Trust::Unknown,
    }
}
