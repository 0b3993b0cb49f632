//! Carrying out an import: originals copied first, then one transaction, then read back.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::apply::{Applied, Channel, applied_as, apply};
use crate::database::{self, Access, Location, Settings};
use crate::import::Import;
use crate::{Error, Result, originals, verify};

/// What an import has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Migrated {
    /// None if there was nothing to do.
    pub revision: Option<i64>,
    /// Where the files were copied to.
    pub originals: Option<PathBuf>,
    /// How many values were read back and compared.
    pub verified: usize,
}

/// Carries out `import` on the database at `location`, which is made if there is none.
///
/// # Errors
///
/// [`Error::Unwritable`] if the originals cannot be copied to `backups`, [`Error::Stale`] and
/// what [`database::open`] says: nothing has changed then. [`Error::NotVerified`].
pub async fn migrate(
    location: &Location,
    settings: Settings,
    import: &Import,
    backups: &Path,
    channel: Channel,
    now: DateTime<Utc>,
) -> Result<Migrated> {
    let Import { plan, sources } = import;
    if plan.is_empty() && sources.iter().all(|it| it.meaning.is_none()) {
        return Ok(Migrated { revision: None, originals: None, verified: 0 });
    }
    if let Some(revision) = applied_before(location, settings, &plan.hash).await? {
        return Ok(Migrated { revision: Some(revision), originals: None, verified: 0 });
    }
    let originals = match plan.is_empty() || sources.is_empty() {
        true => None,
        false => Some(originals::copy(backups, sources, now)?),
    };
    if let Location::Sqlite(path) = location {
        database::make_folder_of(path).map_err(Error::unwritable(path))?;
    }
    let db = database::open(location, Access::Create, settings).await?;
    let applied = apply(&db, plan, sources, channel, now).await?;
    let (revision, verified) = match applied {
        Applied::Revision(id) => {
            let verified = verify::imported(&db.connection, plan, sources, id).await?;
            (Some(id), verified)
        }
        Applied::Before(id) => (Some(id), 0),
        Applied::Nothing => (None, 0),
    };
    db.close().await?;
    Ok(Migrated { revision, originals, verified })
}

/// The revision that the plan of this hash has become already.
async fn applied_before(
    location: &Location,
    settings: Settings,
    plan_hash: &str,
) -> Result<Option<i64>> {
    match database::open(location, Access::Read, settings).await {
        Ok(db) => applied_as(&db.connection, plan_hash).await.map_err(|error| error.at(db.place())),
        Err(Error::NoDatabase { .. } | Error::EmptyDatabase { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
