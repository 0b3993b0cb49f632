//! What is backed up: everything that a database holds, as of one moment, in an archive that is not
//! finished yet.

use std::fs::{self, File};
use std::io;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use setpoint_entity::head;
use tokio::task::spawn_blocking;

use super::content::{Counts, given, panicked};
use super::create::ARCHIVE;
use super::encryption::Recipient;
use super::manifest::{CONTENT, IMAGE, Member};
use super::storage::unreadable;
use super::work::Work;
use super::{Storage, scratch, write};
use crate::database::{self, Access, Database, Location, PATIENT, Settings};
use crate::{Error, Result, apply};

/// The copy of an SQLite database, as it is and packed.
const COPY: &str = "database.sqlite";
const PACKED: &str = "database.sqlite.zst";

/// What little things need.
const MARGIN_BYTES: u64 = 1 << 20;

/// What is in the archive so far.
pub(super) struct Taken {
    pub file: File,
    pub head: head::Model,
    pub steps: Vec<String>,
    pub counts: Counts,
    pub members: Vec<Member>,
}

impl Taken {
    /// Of the database at `location`.
    ///
    /// # Errors
    ///
    /// As [`super::create`].
    pub(super) async fn of(
        location: &Location,
        settings: Settings,
        storage: &Storage,
        work: &Work,
    ) -> Result<Self> {
        match location {
            Location::Sqlite(_) => of_sqlite(location, settings, storage, work).await,
            _ => of_postgres(location, settings, storage, work).await,
        }
    }
}

/// Copies the database, and reads the copy: it is of one moment, and the live one is left alone.
async fn of_sqlite(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    work: &Work,
) -> Result<Taken> {
    storage.refuse_without_room(room_for_file(location))?;
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

/// A connection of its own reads and writes to a new file: other writers go on. The copy is gone
/// again before anybody relies on it, and whoever commits would wait for its way to the disk, so it
/// is not synced. What is copied must be: a connection that reads never moves pages of the `-wal`.
async fn copy(location: &Location, settings: Settings, work: &Work) -> Result<()> {
    let path = work.path(COPY);
    drop(work.create(COPY)?);
    let text = path.to_str().ok_or_else(|| {
        let invalid = io::Error::new(io::ErrorKind::InvalidInput, "the path is no UTF-8");
        Error::unwritable(&path)(invalid)
    })?;
    let db = database::connect(location, Access::Follow, settings).await?;
    let copied = async {
        refuse_unknown(&db, location).await?;
        let vacuum = format!("{}; PRAGMA synchronous = OFF; VACUUM INTO ?", scratch::LEAN);
        let vacuum = Statement::from_sql_and_values(DbBackend::Sqlite, vacuum, [text.into()]);
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
        // Who gives way to others may be silent for longer than a connection that is lost.
        snapshot.execute_unprepared(PATIENT).await?;
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

/// What a backup of the database at `location`, which is `db`, needs while it is made, bytes.
///
/// # Errors
///
/// [`Error::Database`].
pub(super) async fn room_for(location: &Location, db: &impl ConnectionTrait) -> Result<u64> {
    match location {
        Location::Sqlite(_) => Ok(room_for_file(location)),
        _ => room_for_rows(db).await,
    }
}

/// Its copy, and the archive beside it, which is smaller.
fn room_for_file(location: &Location) -> u64 {
    let Location::Sqlite(path) = location else { return MARGIN_BYTES };
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;

    const SETTINGS: Settings =
        Settings { lock_timeout: Duration::from_secs(5), connect_timeout: Duration::from_secs(5) };

    fn bytes(path: &Path) -> (Vec<u8>, Vec<u8>) {
        (fs::read(path).unwrap(), fs::read(path.with_extension("db-wal")).unwrap())
    }

    #[tokio::test]
    async fn what_a_killed_program_has_left_to_be_moved_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let [live, left] = ["live.db", "left.db"].map(|it| folder.path().join(it));
        let writer = Location::Sqlite(live.clone());
        let writer = database::connect(&writer, Access::Create, SETTINGS).await.unwrap();
        database::up(&writer).await.unwrap();
        let (database, log) = bytes(&live);
        fs::write(&left, &database).unwrap();
        fs::write(left.with_extension("db-wal"), &log).unwrap();
        let work = Work::new(&folder.path().join("backups")).unwrap();

        copy(&Location::Sqlite(left.clone()), SETTINGS, &work).await.unwrap();

        assert_eq!(bytes(&left), (database, log));
        let copied = Location::Sqlite(work.path(COPY));
        let copied = database::connect(&copied, Access::Read, SETTINGS).await.unwrap();
        assert!(database::schema(&copied).await.unwrap().pending.is_empty());
        writer.close().await.unwrap();
    }
}
