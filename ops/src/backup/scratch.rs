//! An archive made a database again, beside the one that is live: the proof that it restores, and
//! the place that a restore copies from.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::spawn_blocking;

use super::archive::Archive;
use super::content::{Counts, digest, panicked};
use super::encryption::Keys;
use super::manifest::{CONTENT, Engine, IMAGE, Member};
use super::tables::{Fate, Shape, TABLES};
use super::work::Work;
use super::{BackupError, Storage, lines};
use crate::database::{self, Access, Database, Location, Settings};
use crate::verify::history;
use crate::{Error, Result, apply};

/// The file of the scratch database.
const SCRATCH: &str = "scratch.db";

/// What the longest line may be: a file of 256 MiB, in hexadecimal, fits.
const LINE_BYTES: u64 = 1 << 29;

/// How much is handed over at a time.
const PIECE_BYTES: usize = 1 << 18;

/// It may come from anywhere: what its schema calls is not to be trusted.
const DISTRUST: &str = "PRAGMA trusted_schema = OFF";

/// What is read once, from its beginning to its end, need not be kept.
pub(super) const LEAN: &str = "PRAGMA cache_size = -4096";

/// Nobody else opens it.
const SETTINGS: Settings =
    Settings { lock_timeout: Duration::from_secs(5), connect_timeout: Duration::from_secs(5) };

/// Makes a database of `archive`, with the steps that it was made with, and compares everything
/// in it with the manifest.
///
/// # Errors
///
/// [`BackupError::Damaged`], [`BackupError::Newer`], [`BackupError::NoRoom`],
/// [`BackupError::NoKey`], [`BackupError::WrongKey`], [`BackupError::BadKeyFile`];
/// [`Error::Unreadable`], [`Error::Unwritable`], [`Error::Database`].
pub(super) async fn extract(storage: &Storage, work: &Work, archive: &Archive) -> Result<Location> {
    refuse_newer(archive)?;
    let keys = Keys::of(storage.encryption(), &archive.manifest, &archive.name)?;
    let unpacked = archive.manifest.members.iter().map(|it| it.size_bytes);
    // With the indexes a database is not much larger than its lines; of an image it is the size.
    storage.refuse_without_room(unpacked.max().unwrap_or_default())?;
    let location = Location::Sqlite(work.path(SCRATCH));
    match archive.manifest.engine {
        Engine::Sqlite => unpack_image(work, archive, &keys).await?,
        Engine::Postgres => load(&location, archive, &keys).await?,
    }
    compare(&location, archive).await?;
    Ok(location)
}

/// Opens what [`extract`] made, to be written, and brings it to the steps of this version.
///
/// # Errors
///
/// [`Error::Database`].
pub(super) async fn open(location: &Location) -> Result<Database> {
    let db = database::connect(location, Access::Write, SETTINGS).await?;
    db.connection.execute_unprepared(DISTRUST).await?;
    database::up(&db).await?;
    // Its triggers, which may be anybody's, are not to change what was compared.
    let ask = "SELECT name FROM sqlite_schema WHERE type = 'trigger'";
    let found = Statement::from_string(DbBackend::Sqlite, ask);
    for row in db.connection.query_all_raw(found).await? {
        let name: String = row.try_get_by_index(0)?;
        let drop = format!("DROP TRIGGER \"{}\"", name.replace('"', "\"\""));
        db.connection.execute_unprepared(&drop).await?;
    }
    Ok(db)
}

/// Where the history and the settings in what [`extract`] made do not hold together, in words.
///
/// # Errors
///
/// [`Error::Database`].
pub(super) async fn problems(location: &Location) -> Result<Vec<String>> {
    let scratch = open(location).await?;
    let problems = history(&scratch.connection).await;
    scratch.close().await?;
    problems
}

/// Refuses an archive of steps that this version does not know.
fn refuse_newer(archive: &Archive) -> Result<()> {
    let steps = &archive.manifest.steps;
    let known = database::steps();
    if let Some(step) = steps.iter().find(|it| !known.contains(it)) {
        let (name, what) = (archive.name.clone(), format!("the step {step}"));
        return Err(BackupError::Newer { name, what }.into());
    }
    match known.starts_with(steps) {
        true => Ok(()),
        false => Err(archive.damaged("its steps are not in order")),
    }
}

async fn unpack_image(work: &Work, archive: &Archive, keys: &Keys) -> Result<()> {
    let (image, content) = (archive.member(IMAGE, keys)?, archive.member(CONTENT, keys)?);
    let path = work.path(SCRATCH);
    let file = work.create(SCRATCH)?;
    let image = spawn_blocking(move || copy(image, file));
    // The lines have to be whole too: of the image it is known once it is a database.
    let content = spawn_blocking(move || io::copy(&mut { content }, &mut io::sink()));
    let (image, content) = tokio::join!(image, content);
    match image.unwrap_or_else(|error| Err(Copying::Reading(panicked(error)))) {
        Err(Copying::Reading(error)) => return Err(archive.failed(error)),
        Err(Copying::Writing(error)) => return Err(Error::unwritable(path)(error)),
        Ok(()) => {}
    }
    let content = content.unwrap_or_else(|error| Err(panicked(error)));
    content.map(drop).map_err(|error| archive.failed(error))
}

/// Which side failed.
enum Copying {
    Reading(io::Error),
    Writing(io::Error),
}

fn copy(mut from: impl Read, mut to: File) -> Result<(), Copying> {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        match from.read(&mut buffer).map_err(Copying::Reading)? {
            0 => return Ok(()),
            count => to.write_all(&buffer[..count]).map_err(Copying::Writing)?,
        }
    }
}

/// Makes a database by our own steps and fills it with the lines.
async fn load(location: &Location, archive: &Archive, keys: &Keys) -> Result<()> {
    let content = archive.member(CONTENT, keys)?;
    let db = database::connect(location, Access::Create, SETTINGS).await?;
    database::up_to(&db, archive.manifest.steps.len()).await?;
    let (sender, parts) = mpsc::channel(2);
    let reading = spawn_blocking(move || read(BufReader::new(content), &sender));
    let (filled, read) = tokio::join!(fill(&db, archive, parts), reading);
    db.close().await?;
    let read = read.unwrap_or_else(|error| Err(panicked(error)));
    match (filled, read) {
        // Rows that do not fit are no fault of the scratch database.
        (Err(Error::Database(error)), _) if Error::from(error.clone()).is_of_data() => {
            Err(archive.damaged("its content does not fit its tables"))
        }
        (Err(error), _) => Err(error.at(&location.name())),
        (Ok(()), Err(error)) => Err(archive.failed(error)),
        (Ok(()), Ok(())) => Ok(()),
    }
}

/// Takes no more once it has failed: whoever reads the lines ends then.
async fn fill(db: &Database, archive: &Archive, mut parts: Receiver<Part>) -> Result<()> {
    let transaction = db.begin().await?;
    silence(&transaction).await?;
    let mut shape = None;
    while let Some(part) = parts.recv().await {
        match (part, &shape) {
            (Part::Table(next), _) => {
                if next.table.fate == Fate::Head {
                    transaction.execute_unprepared("DELETE FROM head").await?;
                }
                shape = Some(next);
            }
            (Part::Rows(rows), Some(shape)) => lines::insert(&transaction, shape, &rows).await?,
            (Part::Rows(_), None) => return Err(archive.damaged("its content has no tables")),
        }
    }
    Ok(transaction.commit().await?)
}

/// A part of the lines.
enum Part {
    Table(Shape),
    Rows(String),
}

/// Cuts the lines into parts.
fn read(mut lines: impl io::BufRead, sender: &Sender<Part>) -> io::Result<()> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Heading {
        table: String,
        columns: Vec<String>,
    }
    let bad = |what: &str| io::Error::other(format!("{CONTENT}: {what}"));
    let mut rows = String::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        lines.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line)?;
        let is_heading = line.first() == Some(&b'{');
        let is_whole = is_heading || line.is_empty() || rows.len() > PIECE_BYTES;
        if is_whole
            && !rows.is_empty()
            && sender.blocking_send(Part::Rows(std::mem::take(&mut rows))).is_err()
        {
            // Whoever takes no more has failed, and says why.
            return Ok(());
        }
        if line.is_empty() {
            return Ok(());
        }
        if line.pop() != Some(b'\n') {
            return Err(bad("a line has no end"));
        }
        let text = str::from_utf8(&line).map_err(|_| bad("a line is no text"))?;
        if !is_heading {
            if !rows.is_empty() {
                rows.push('\n');
            }
            rows.push_str(text);
            continue;
        }
        let Heading { table, columns } =
            serde_json::from_str(text).map_err(|_| bad("a line is no row and names no table"))?;
        let shape = Shape::named(&table, &columns);
        let shape = shape.ok_or_else(|| bad("it has a table that is not known"))?;
        if sender.blocking_send(Part::Table(shape)).is_err() {
            return Ok(());
        }
    }
}

/// Has the triggers on `setting` stay silent until `head` is written.
pub(super) async fn silence(db: &DatabaseTransaction) -> Result<()> {
    db.execute_unprepared("UPDATE head SET applying = 1").await?;
    Ok(())
}

/// Compares the database at `location` with what the manifest says: its structure, every row,
/// and the end of the chain.
async fn compare(location: &Location, archive: &Archive) -> Result<()> {
    let open = async || match database::connect(location, Access::Read, SETTINGS).await {
        Err(Error::NotADatabase { .. }) => Err(archive.damaged("its image is no database")),
        opened => opened,
    };
    let not_read = |error: Error| match error.is_of_what_is_read() {
        true => archive.damaged("its database cannot be read"),
        false => error.at(&location.name()),
    };
    let (one, other) = (open().await?, open().await?);
    for db in [&one, &other] {
        db.connection.execute_unprepared(DISTRUST).await?;
        db.connection.execute_unprepared(LEAN).await?;
    }
    if let Some(name) = not_a_table(&one).await.map_err(not_read)? {
        return Err(archive.damaged(format!("its {name} is no table")));
    }
    // Each has a thread of its own.
    let (structure, content) = tokio::join!(structure(&one), content(&other));
    let closed = [one.close().await, other.close().await];
    if let Some(problem) = structure.map_err(not_read)? {
        return Err(archive.damaged(problem));
    }
    let (counts, member, epoch, revision, hash) = content.map_err(not_read)?;
    closed.into_iter().collect::<Result<Vec<_>>>()?;
    let manifest = &archive.manifest;
    let said = (manifest.epoch.as_str(), manifest.revision, manifest.head_hash.as_str());
    if (epoch.as_str(), revision, hash.as_str()) != said {
        return Err(archive.damaged("its history ends elsewhere than the manifest says"));
    }
    let is_same = |it: &Member| (it.size_bytes, &it.sha256) == (member.size_bytes, &member.sha256);
    match manifest.member(CONTENT).is_some_and(is_same) && counts == manifest.counts {
        true => Ok(()),
        false => Err(archive.damaged("its database holds other rows than the manifest says")),
    }
}

/// A view in the place of one of our tables: to read it could take for ever.
async fn not_a_table(db: &Database) -> Result<Option<String>> {
    let ask = "SELECT name FROM sqlite_schema WHERE type <> 'table'";
    let rows = db.connection.query_all_raw(Statement::from_string(DbBackend::Sqlite, ask)).await?;
    for row in rows {
        let name: String = row.try_get_by_index(0)?;
        if TABLES.iter().any(|it| it.name.eq_ignore_ascii_case(&name)) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// What is wrong with the file, in words.
async fn structure(db: &Database) -> Result<Option<String>> {
    let ask = |sql: &str| Statement::from_string(DbBackend::Sqlite, sql);
    let checked = db.connection.query_all_raw(ask("PRAGMA integrity_check(1)")).await?;
    for row in checked {
        let line: String = row.try_get_by_index(0)?;
        if line != "ok" {
            return Ok(Some(format!("its database is damaged: {line}")));
        }
    }
    let dangling = db.connection.query_all_raw(ask("PRAGMA foreign_key_check")).await?;
    Ok((!dangling.is_empty()).then(|| "a row points to a row that is not there".to_owned()))
}

async fn content(db: &Database) -> Result<(Counts, Member, String, i64, String)> {
    let (counts, member) = digest(&db.connection).await?;
    let head = apply::head(&db.connection).await?;
    Ok((counts, member, head.epoch, head.revision, head.hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_image_is_doubted_for_what_is_in_it_and_not_for_a_disk_without_room() {
        let asked = async |sql: &str| {
            let ask = async |db: &Database| Ok(db.connection.execute_unprepared(sql).await?);
            let failed = database::using(&Location::Memory, Access::Create, SETTINGS, ask).await;
            failed.unwrap_err().is_of_what_is_read()
        };
        let full = "CREATE TABLE t (x); PRAGMA max_page_count = 1; \
                    INSERT INTO t SELECT randomblob(100000)";

        assert!(asked("SELECT * FROM nothing").await);
        assert!(asked("SELECT abs('x', 'y')").await);
        assert!(!asked(full).await);
        assert!(!Error::NotWritable { place: "scratch.db".to_owned() }.is_of_what_is_read());
        assert!(Error::NotADatabase { place: "scratch.db".to_owned() }.is_of_what_is_read());
    }
}
