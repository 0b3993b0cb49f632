//! Carrying out an import: originals copied first, then one transaction, then read back.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction};
use serde::Serialize;

use crate::apply::{self, Applied, Channel, apply_and_rewrite, head, refuse_stale};
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
/// As [`carry_out`], and what [`database::open`] says: nothing has changed then.
pub async fn migrate(
    location: &Location,
    settings: Settings,
    import: &Import,
    backups: &Path,
    channel: Channel,
    now: DateTime<Utc>,
) -> Result<Migrated> {
    if says_nothing(import) {
        return Ok(Migrated::nothing(Applied::Nothing));
    }
    // A plan that is stale is refused before a database is made for it.
    let ask = async |db: &DatabaseTransaction| applied_before(db, &import.plan).await;
    match database::reading(location, settings, ask).await {
        Err(Error::NoDatabase { .. } | Error::EmptyDatabase { .. }) => {}
        found => {
            if let Some(id) = found? {
                return Ok(Migrated::nothing(Applied::Before(id)));
            }
        }
    }
    database::refuse_missing_folder(location)?;
    // Before anything is made or held: whatever happens to the database now is noticed.
    let originals = copied(import, backups, now)?;
    let work = async |db: &Database| applied(db, import, channel, now).await;
    let done = database::using(location, Access::Create, settings, work).await;
    finished(done, originals, import)
}

/// Carries out `import`: the originals are copied, everything is applied in one transaction and
/// read back.
///
/// # Errors
///
/// [`Error::Unwritable`] if the originals cannot be copied to `backups`, [`Error::Stale`]:
/// nothing has changed then. What a file that is to be rewritten fails with:
/// [`Error::ReadOnly`], [`Error::EditedMeanwhile`]; the database has not changed then.
/// [`Error::NotVerified`] and [`Error::NotReadBack`]: it has.
pub async fn carry_out(
    db: &Database,
    import: &Import,
    backups: &Path,
    channel: Channel,
    now: DateTime<Utc>,
) -> Result<Migrated> {
    if says_nothing(import) {
        return Ok(Migrated::nothing(Applied::Nothing));
    }
    if let Some(id) = applied_before(&db.connection, &import.plan).await? {
        return Ok(Migrated::nothing(Applied::Before(id)));
    }
    let originals = copied(import, backups, now)?;
    finished(applied(db, import, channel, now).await, originals, import)
}

/// Copies the originals, if there are any to be kept.
fn copied(import: &Import, backups: &Path, now: DateTime<Utc>) -> Result<Option<PathBuf>> {
    let Import { plan, sources, rewrites } = import;
    let is_copied = !plan.is_empty() && sources.iter().any(ReadSource::is_file);
    match is_copied || !rewrites.is_empty() {
        false => Ok(None),
        true => originals::copy(backups, name_of(plan.kind), sources, rewrites, now).map(Some),
    }
}

/// Applies `import` and reads it back: what became of it, and how many values it was.
async fn applied(
    db: &Database,
    import: &Import,
    channel: Channel,
    now: DateTime<Utc>,
) -> Result<(Applied, usize)> {
    let Import { plan, sources, rewrites } = import;
    let applied = apply_and_rewrite(db, plan, sources, rewrites, channel, now).await?;
    let Applied::Revision(id) = applied else { return Ok((applied, 0)) };
    let verified = verify::imported(&db.connection, plan, sources, id).await;
    let verified = verified.map_err(|error| match error.at(db.place()) {
        differs @ Error::NotVerified { .. } => differs,
        source => Error::NotReadBack { revision: id, source: Box::new(source) },
    })?;
    Ok((applied, verified))
}

/// What is told in the end.
fn finished(
    done: Result<(Applied, usize)>,
    originals: Option<PathBuf>,
    import: &Import,
) -> Result<Migrated> {
    let (applied, verified) = done.inspect_err(|error| {
        let is_refused = matches!(
            error,
            Error::Stale { .. } | Error::ReadOnly { .. } | Error::EditedMeanwhile { .. }
        );
        // Nothing was changed, so nothing needs a copy; if it stays, it does no harm.
        let is_useless = is_refused && import.rewrites.len() < 2;
        if let Some(folder) = originals.as_ref().filter(|_| is_useless) {
            drop(fs::remove_dir_all(folder));
        }
    })?;
    Ok(Migrated { applied, originals, verified })
}

impl Migrated {
    fn nothing(applied: Applied) -> Self {
        Self { applied, originals: None, verified: 0 }
    }
}

/// Whether no file says anything new, not even in other words.
fn says_nothing(import: &Import) -> bool {
    import.plan.is_empty() && import.sources.iter().all(|it| it.meaning.is_none())
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
async fn applied_before(db: &impl ConnectionTrait, plan: &Plan) -> Result<Option<i64>> {
    let before = apply::applied_before(db, plan).await?;
    if before.is_none() {
        refuse_stale(db, plan, &head(db).await?).await?;
    }
    Ok(before)
}
