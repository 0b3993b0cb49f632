//! Carrying out an import: originals copied first, then one transaction, then read back.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::apply::{Applied, Channel, applied_as, apply_and_rewrite, head, refuse_stale};
use crate::database::{self, Access, Database, Location, Settings};
use crate::import::Import;
use crate::plan::{Kind, Plan};
use crate::source::ReadSource;
use crate::{Error, Result, originals, verify};

/// What an import has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Migrated {
    #[serde(rename = "revision")]
    pub applied: Applied,
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
/// what [`database::open`] says: nothing has changed then. What a file that is to be rewritten
/// fails with: [`Error::ReadOnly`], [`Error::EditedMeanwhile`]; the database has not changed
/// then. [`Error::NotVerified`] and [`Error::NotReadBack`]: it has.
pub async fn migrate(
    location: &Location,
    settings: Settings,
    import: &Import,
    backups: &Path,
    channel: Channel,
    now: DateTime<Utc>,
) -> Result<Migrated> {
    let Import { plan, sources, rewrites } = import;
    let nothing = |applied| Migrated { applied, originals: None, verified: 0 };
    if plan.is_empty() && sources.iter().all(|it| it.meaning.is_none()) {
        return Ok(nothing(Applied::Nothing));
    }
    if let Some(id) = applied_before(location, settings, plan).await? {
        return Ok(nothing(Applied::Before(id)));
    }
    database::refuse_missing_folder(location)?;
    let is_copied = !plan.is_empty() && sources.iter().any(ReadSource::is_file);
    let originals = match is_copied || !rewrites.is_empty() {
        false => None,
        true => Some(originals::copy(backups, name_of(plan.kind), sources, rewrites, now)?),
    };
    let work = async |db: &Database| {
        let applied = apply_and_rewrite(db, plan, sources, rewrites, channel, now).await?;
        let Applied::Revision(id) = applied else { return Ok((applied, 0)) };
        let verified = verify::imported(&db.connection, plan, sources, id).await;
        let verified = verified.map_err(|error| match error.at(db.place()) {
            differs @ Error::NotVerified { .. } => differs,
            source => Error::NotReadBack { revision: id, source: Box::new(source) },
        })?;
        Ok((applied, verified))
    };
    let done = database::using(location, Access::Create, settings, work).await;
    let (applied, verified) = done.inspect_err(|error| {
        let is_refused = matches!(
            error,
            Error::Stale { .. } | Error::ReadOnly { .. } | Error::EditedMeanwhile { .. }
        );
        // Nothing was changed, so nothing needs a copy; if it stays, it does no harm.
        if let Some(folder) = originals.as_ref().filter(|_| is_refused && rewrites.len() < 2) {
            drop(fs::remove_dir_all(folder));
        }
    })?;
    Ok(Migrated { applied, originals, verified })
}

/// What the copies of the originals are called.
fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Adopt => "pre_adopt",
        _ => "pre_migration",
    }
}

/// The revision that the plan has become already. A plan that is stale is refused here, before
/// anything is copied for it.
async fn applied_before(
    location: &Location,
    settings: Settings,
    plan: &Plan,
) -> Result<Option<i64>> {
    let work = async |db: &Database| {
        let db = &db.connection;
        let before = applied_as(db, &plan.hash).await?;
        if before.is_none() {
            refuse_stale(db, plan, &head(db).await?).await?;
        }
        Ok(before)
    };
    match database::using(location, Access::Read, settings, work).await {
        Err(Error::NoDatabase { .. } | Error::EmptyDatabase { .. }) => Ok(None),
        found => found,
    }
}
