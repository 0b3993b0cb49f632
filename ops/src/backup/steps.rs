//! The steps of the schema, with a backup before them: the way back from a version that is new.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::create::take;
use super::record::Origin;
use super::{Kind, Storage, Wish, record};
use crate::database::{self, Access, Location, Settings};
use crate::plan::Author;
use crate::{Error, Result, time};

/// What came of running steps.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Stepped {
    /// How many were run, or taken back.
    pub steps: usize,
    /// The backup of what was there before, if there was something and it was wanted.
    pub backup: Option<String>,
}

/// Makes the database if there is none, and runs the steps that are missing. What is there before
/// is backed up into `storage`, if one is given.
///
/// # Errors
///
/// As [`super::create`]: no step has run then. [`Error::NewerDatabase`]; as [`database::up`].
pub async fn up(
    location: &Location,
    settings: Settings,
    storage: Option<&Storage>,
    author: &Author,
    now: DateTime<Utc>,
) -> Result<Stepped> {
    database::refuse_missing_folder(location)?;
    let db = database::connect(location, Access::Create, settings).await?;
    let stepped = async {
        let schema = database::schema(&db).await?;
        if let Some(step) = schema.unknown.into_iter().next() {
            return Err(Error::NewerDatabase { place: db.place().to_owned(), step });
        }
        let is_upgrade = !schema.applied.is_empty() && !schema.pending.is_empty();
        let safe = match storage.filter(|_| is_upgrade) {
            Some(storage) => {
                let wish = wish("before the steps of a newer version", now);
                Some(take(location, settings, storage, wish, author, now).await?)
            }
            None => None,
        };
        Ok((database::up(&db).await?, safe))
    };
    let stepped = stepped.await;
    let closed = db.close().await;
    let (steps, safe) = stepped?;
    closed?;
    if let Some(safe) = &safe {
        // Only now is there a table for it.
        record::keep(location, settings, safe, Origin::Taken).await;
    }
    Ok(Stepped { steps, backup: safe.map(|it| it.verified.name) })
}

/// Takes the newest `steps` steps back, with the data that lies in their tables, after a backup
/// into `storage`, if one is given.
///
/// # Errors
///
/// As [`database::down`], without a backup then; as [`super::create`]: nothing has changed then.
pub async fn down(
    location: &Location,
    settings: Settings,
    storage: Option<&Storage>,
    steps: u32,
    author: &Author,
    now: DateTime<Utc>,
) -> Result<Stepped> {
    let db = database::connect(location, Access::Read, settings).await?;
    let refused = database::refuse_down(&db.connection, db.place(), steps).await;
    db.close().await?;
    refused?;
    let safe = match storage {
        Some(storage) => {
            let wish = wish("before steps were taken back", now);
            let safe = take(location, settings, storage, wish, author, now).await?;
            record::keep(location, settings, &safe, Origin::Taken).await;
            Some(safe)
        }
        None => None,
    };
    let db = database::connect(location, Access::Write, settings).await?;
    let done = database::down(&db, steps).await;
    let closed = db.close().await;
    let steps = done?;
    closed?;
    Ok(Stepped { steps, backup: safe.map(|it| it.verified.name) })
}

fn wish(note: &str, now: DateTime<Utc>) -> Wish {
    let name = format!("pre-migration-{}", time::file_stamp(now));
    let note = Some(note.to_owned());
    Wish { name: Some(name), kind: Kind::PreMigration, note, pin: false }
}
