//! Taking a backup: written under another name, read back, and only then given its own.

use std::fs::File;

use chrono::{DateTime, Utc};
use sea_orm::DatabaseTransaction;
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::archive::Archive;
use super::content::panicked;
use super::manifest::{ENCRYPTED, Encrypted, Engine, FORMAT, Manifest, NOTE_CHARACTERS};
use super::record::Origin;
use super::storage::unreadable;
use super::taken::{self, Taken};
use super::work::Work;
use super::{BackupError, CHECKED_ROWS, Checked, Encryption, Storage, Verified, Wish};
use super::{record, scratch, write};
use crate::background::in_background;
use crate::database::{self, Location, Settings};
use crate::plan::Author;
use crate::{Error, Result, apply, time};

/// The archive that is being written.
pub(super) const ARCHIVE: &str = "archive.tar";

/// Takes a backup of the database at `location`, of this version or an older one, and reads it
/// back. Nobody who writes waits for it. That its history is damaged is told, and no error.
///
/// # Errors
///
/// [`BackupError::BadName`], [`BackupError::Exists`], [`BackupError::BadNote`],
/// [`BackupError::NoRoom`], [`BackupError::NotVerified`]; [`Error::Unwritable`]; as
/// [`super::Bucket`], [`super::Encryption::refuse_without_key`] and [`database::open`] have them.
/// There is no new backup then.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn create(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    wish: Wish,
    author: &Author,
    now: DateTime<Utc>,
) -> Result<Checked> {
    refuse(storage, &wish).await?;
    let making = {
        let (location, storage, author) = (location.clone(), storage.clone(), author.clone());
        move || async move { make(&location, settings, &storage, wish, &author, now).await }
    };
    let made = in_background(making).await.map_err(Error::unwritable(storage.folder()))??;
    let mut checked = made.keep(storage).await?;
    checked.recorded = record::keep(location, settings, &checked, Origin::Taken).await;
    Ok(checked)
}

/// As [`create`], at once and not when nobody else wants to run, and writes nothing to the
/// database.
pub(super) async fn take(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    wish: Wish,
    author: &Author,
    now: DateTime<Utc>,
) -> Result<Checked> {
    refuse(storage, &wish).await?;
    make(location, settings, storage, wish, author, now).await?.keep(storage).await
}

/// An archive that was read back, and is not kept yet.
struct Made {
    checked: Checked,
    work: Work,
}

impl Made {
    async fn keep(self, storage: &Storage) -> Result<Checked> {
        let Self { checked, work } = self;
        let Verified { name, sha256, .. } = &checked.verified;
        storage.keep(name, &work.path(ARCHIVE), sha256).await?;
        Ok(checked)
    }
}

async fn make(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    wish: Wish,
    author: &Author,
    now: DateTime<Utc>,
) -> Result<Made> {
    let work = storage.work()?;
    let taken = Taken::of(location, settings, storage, &work).await?;
    let Taken { mut file, head, steps, counts, members } = taken;
    let engine = match location {
        Location::Sqlite(_) => Engine::Sqlite,
        _ => Engine::Postgres,
    };
    let name = name_of(&wish, head.revision, now);
    let encryption = storage.encryption();
    let manifest = Manifest {
        format: if encryption.is_some() { ENCRYPTED } else { FORMAT },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kind: wish.kind,
        created_at: time::stamp(now),
        created_by: author.actor.clone(),
        note: wish.note,
        pinned: wish.pin,
        engine,
        steps,
        encryption: encryption.map(|it| Encrypted { recipients: it.recipients.clone() }),
        epoch: head.epoch,
        revision: head.revision,
        head_hash: head.hash,
        counts,
        members,
    };
    let path = work.path(ARCHIVE);
    let written = spawn_blocking(move || write::finish(&mut file, &manifest));
    let written = written.await.unwrap_or_else(|error| Err(panicked(error)));
    let (size_bytes, sha256) = written.map_err(Error::unwritable(&path))?;

    let archive = Archive::of(File::open(&path).map_err(unreadable(&path))?, &name)?;
    let scratch = scratch::extract(storage, &work, &archive).await.map_err(not_verified)?;
    let rows = ["change", "setting"].map(|it| archive.manifest.counts.get(it).unwrap_or(&0));
    let problems = match rows.into_iter().sum::<u64>() <= CHECKED_ROWS {
        // What cannot be read there is no reason to have no backup.
        true => Some(scratch::problems(&scratch).await.unwrap_or_else(|it| vec![it.in_a_line()])),
        false => None,
    };
    let (verified_at, manifest) = (time::stamp(now), archive.manifest);
    let verified = Verified { name, size_bytes, sha256, verified_at, manifest };
    Ok(Made { checked: Checked { verified, problems, recorded: None }, work })
}

/// What [`create`] would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Foreseen {
    /// What the backup would be called.
    pub name: String,
    /// The revision that it would hold.
    pub revision: i64,
    /// The room it needs while it is made, and what there is; none if that cannot be told.
    pub needed_bytes: u64,
    pub free_bytes: Option<u64>,
}

/// What [`create`] would do, and whether there is room for it. Writes nothing.
///
/// # Errors
///
/// [`BackupError::BadName`], [`BackupError::Exists`], [`BackupError::BadNote`],
/// [`BackupError::NoRoom`]; as [`super::Encryption::refuse_without_key`] and [`database::open`].
pub async fn foresee(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    wish: &Wish,
    now: DateTime<Utc>,
) -> Result<Foreseen> {
    refuse(storage, wish).await?;
    let look = async |db: &DatabaseTransaction| {
        Ok((apply::head(db).await?.revision, taken::room_for(location, db).await?))
    };
    let (revision, needed_bytes) = database::reading(location, settings, look).await?;
    storage.refuse_without_room(needed_bytes)?;
    let (name, free_bytes) = (name_of(wish, revision, now), storage.free_bytes());
    Ok(Foreseen { name, revision, needed_bytes, free_bytes })
}

/// Refuses what can be refused before there is work.
async fn refuse(storage: &Storage, wish: &Wish) -> Result<()> {
    storage.encryption().map_or(Ok(()), Encryption::refuse_without_key)?;
    match &wish.name {
        Some(name) => storage.refuse_taken(name).await?,
        None => storage.reach().await?,
    }
    let note = wish.note.as_deref().unwrap_or_default();
    if note.contains('\0') {
        return Err(Error::NulCharacter { what: "the note" });
    }
    match Some(note.chars().count()).filter(|it| *it > NOTE_CHARACTERS) {
        Some(length) => Err(BackupError::BadNote { length, limit: NOTE_CHARACTERS }.into()),
        None => Ok(()),
    }
}

fn name_of(wish: &Wish, revision: i64, now: DateTime<Utc>) -> String {
    let made = || format!("{}-r{revision}", time::file_stamp(now));
    wish.name.clone().unwrap_or_else(made)
}

/// What is damaged is not to be kept, whatever it is to be called.
fn not_verified(error: Error) -> Error {
    match error.damage().map(str::to_owned) {
        Some(reason) => BackupError::NotVerified { reason }.into(),
        None => error,
    }
}
