//! Taking a backup: written under another name, read back, and only then given its own.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::archive::Archive;
use super::content::{Counts, given, panicked};
use super::encryption::Recipient;
use super::manifest::{
    CONTENT, ENCRYPTED, Encrypted, Engine, FORMAT, IMAGE, Manifest, Member, NOTE_BYTES,
};
use super::storage::unreadable;
use super::work::Work;
use super::{BackupError, Encryption, Storage, Verified, Wish, record, scratch, write};
use crate::background::in_background;
use crate::database::{self, Access, Database, Location, Settings};
use crate::plan::Author;
use crate::{Error, Result, apply, time};

/// The archive that is being written.
const ARCHIVE: &str = "archive.tar";
/// The copy of an SQLite database, as it is and packed.
const COPY: &str = "database.sqlite";
const PACKED: &str = "database.sqlite.zst";

/// The copy is gone again before anybody relies on it, and whoever commits would wait for its way
/// to the disk.
const UNSYNCED: &str = "PRAGMA synchronous = OFF";

/// What little things need.
const MARGIN_BYTES: u64 = 1 << 20;

/// Takes a backup of the database at `location`, of this version or an older one, and reads it
/// back. Nobody who writes waits for it.
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
) -> Result<Verified> {
    refuse(storage, &wish).await?;
    let making = {
        let (location, storage, author) = (location.clone(), storage.clone(), author.clone());
        move || async move { make(&location, settings, &storage, wish, &author, now).await }
    };
    let made = in_background(making).await.map_err(Error::unwritable(storage.folder()))??;
    let verified = made.keep(storage).await?;
    record::keep(location, settings, &verified).await;
    Ok(verified)
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
) -> Result<Verified> {
    refuse(storage, &wish).await?;
    make(location, settings, storage, wish, author, now).await?.keep(storage).await
}

/// An archive that was read back, and is not kept yet.
struct Made {
    verified: Verified,
    work: Work,
}

impl Made {
    async fn keep(self, storage: &Storage) -> Result<Verified> {
        let Self { verified, work } = self;
        storage.keep(&verified.name, &work.path(ARCHIVE), &verified.sha256).await?;
        Ok(verified)
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
    let taken = match location {
        Location::Sqlite(_) => of_sqlite(location, settings, storage, &work).await?,
        _ => of_postgres(location, settings, storage, &work).await?,
    };
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
    scratch::extract(storage, &work, &archive).await.map_err(not_verified)?;
    let (verified_at, manifest) = (time::stamp(now), archive.manifest);
    let verified = Verified { name, size_bytes, sha256, verified_at, manifest };
    Ok(Made { verified, work })
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
    let look = async |db: &Database| {
        let snapshot = db.snapshot().await?;
        let needed_bytes = match location {
            Location::Sqlite(path) => room_for(path),
            _ => room_for_rows(&snapshot).await?,
        };
        Ok((apply::head(&snapshot).await?.revision, needed_bytes))
    };
    let looked = database::using(location, Access::Read, settings, look).await;
    let (revision, needed_bytes) = looked?;
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
    match Some(note.len()).filter(|it| *it > NOTE_BYTES) {
        Some(length) => Err(BackupError::BadNote { length, limit: NOTE_BYTES }.into()),
        None => Ok(()),
    }
}

fn name_of(wish: &Wish, revision: i64, now: DateTime<Utc>) -> String {
    let made = || format!("{}-r{revision}", time::file_stamp(now));
    wish.name.clone().unwrap_or_else(made)
}

/// What is damaged is not to be kept, whatever it is to be called.
fn not_verified(error: Error) -> Error {
    match error {
        Error::Backup(BackupError::Damaged { reason, .. }) => {
            BackupError::NotVerified { reason }.into()
        }
        other => other,
    }
}

/// What is in the archive so far.
struct Taken {
    file: File,
    head: setpoint_entity::head::Model,
    steps: Vec<String>,
    counts: Counts,
    members: Vec<Member>,
}

/// Copies the database, and reads the copy: it is of one moment, and the live one is left alone.
async fn of_sqlite(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    work: &Work,
) -> Result<Taken> {
    let Location::Sqlite(path) = location else { unreachable!("who calls has looked") };
    storage.refuse_without_room(room_for(path))?;
    copy(location, settings, work).await?;
    let copied = Location::Sqlite(work.path(COPY));
    let db = database::connect(&copied, Access::Read, settings).await?;
    db.connection.execute_unprepared(scratch::LEAN).await?;
    let steps = known_steps(&db, location).await?;
    let head = apply::head(&db.connection).await?;

    let (file, packed) = (archive(work)?, work.create(PACKED)?);
    let image = File::open(work.path(COPY)).map_err(unreadable(&work.path(COPY)))?;
    let to = recipients(storage);
    let packing = spawn_blocking(move || write::pack(image, packed, IMAGE, &to));
    let to = recipients(storage);
    let pack = move |pieces| write::content(file, CONTENT, &to, pieces);
    let content = given(&db.connection, pack);
    let (content, packed) = tokio::join!(content, packing);
    db.close().await?;
    let failed = || Error::unwritable(work.path(ARCHIVE));
    let (counts, content) = content?;
    let (mut file, content) = content.map_err(failed())?;
    let image = packed.unwrap_or_else(|error| Err(panicked(error))).map_err(failed())?;
    work.remove(COPY);
    let append = |mut packed: File| write::append(&mut file, &image.name, &mut packed);
    File::open(work.path(PACKED)).and_then(append).map_err(failed())?;
    work.remove(PACKED);
    Ok(Taken { file, head, steps, counts, members: vec![content, image] })
}

/// Who can read new archives; nobody is named if anybody can.
fn recipients(storage: &Storage) -> Vec<Recipient> {
    storage.encryption().map(|it| it.recipients.clone()).unwrap_or_default()
}

/// A new archive, with room for what is written last.
fn archive(work: &Work) -> Result<File> {
    let mut file = work.create(ARCHIVE)?;
    write::begin(&mut file).map_err(Error::unwritable(work.path(ARCHIVE)))?;
    Ok(file)
}

/// A connection of its own reads and writes to a new file: other writers go on.
async fn copy(location: &Location, settings: Settings, work: &Work) -> Result<()> {
    let path = work.path(COPY);
    drop(work.create(COPY)?);
    let text = path.to_str().ok_or_else(|| {
        let invalid = io::Error::new(io::ErrorKind::InvalidInput, "the path is no UTF-8");
        Error::unwritable(&path)(invalid)
    })?;
    let db = database::connect(location, Access::Write, settings).await?;
    let copied = async {
        refuse_unknown(&db, location).await?;
        db.connection.execute_unprepared(scratch::LEAN).await?;
        db.connection.execute_unprepared(UNSYNCED).await?;
        let vacuum =
            Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO $1", [text.into()]);
        db.connection.execute_raw(vacuum).await?;
        Ok::<_, Error>(())
    };
    let copied = copied.await.map_err(|error| error.at(db.place()));
    db.close().await?;
    copied
}

async fn of_postgres(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    work: &Work,
) -> Result<Taken> {
    let db = database::connect(location, Access::Read, settings).await?;
    let taken = async {
        let steps = known_steps(&db, location).await?;
        let snapshot = db.snapshot().await?;
        storage.refuse_without_room(room_for_rows(&snapshot).await?)?;
        let head = apply::head(&snapshot).await?;
        let file = archive(work)?;
        let to = recipients(storage);
        let pack = move |pieces| write::content(file, CONTENT, &to, pieces);
        let content = given(&snapshot, pack);
        let (counts, content) = content.await?;
        let (file, content) = content.map_err(Error::unwritable(work.path(ARCHIVE)))?;
        Ok::<_, Error>(Taken { file, head, steps, counts, members: vec![content] })
    };
    let taken = taken.await.map_err(|error| error.at(db.place()));
    db.close().await?;
    taken
}

/// What the file at `path` needs: its copy, and the archive beside it, which is smaller.
fn room_for(path: &Path) -> u64 {
    let size_bytes = fs::metadata(path).map_or(0, |it| it.len());
    size_bytes + size_bytes / 2 + MARGIN_BYTES
}

/// What the tables take up, with their indexes: about what an archive and its scratch database do.
async fn room_for_rows(db: &impl ConnectionTrait) -> Result<u64> {
    let sql = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class \
               WHERE oid IN (to_regclass('setting'), to_regclass('change'), \
               to_regclass('revision'), to_regclass('seed'), to_regclass('source'))";
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    let size: i64 = match row {
        Some(row) => row.try_get_by_index(0)?,
        None => 0,
    };
    Ok(u64::try_from(size).unwrap_or_default() + MARGIN_BYTES)
}

/// The steps that the database has.
async fn known_steps(db: &Database, location: &Location) -> Result<Vec<String>> {
    refuse_unknown(db, location).await?;
    Ok(database::schema(db).await?.applied)
}

/// Refuses a database without tables, or of a newer version.
async fn refuse_unknown(db: &Database, location: &Location) -> Result<()> {
    let schema = database::schema(db).await?;
    let place = location.name();
    if let Some(step) = schema.unknown.into_iter().next() {
        return Err(Error::NewerDatabase { place, step });
    }
    match schema.applied.is_empty() {
        true => Err(Error::EmptyDatabase { place }),
        false => Ok(()),
    }
}
