//! What the database knows of its backups. An archive is as good without it, so that it cannot be
//! read or written is told in the log, and is no error.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::NotSet, ColumnTrait as _, ConnectionTrait,
    DatabaseTransaction, EntityTrait, IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use setpoint_entity::backup;

use super::{BackupError, Checked, Verified};
use crate::clock::latest;
use crate::database::{self, Access, Database, Location, Settings};
use crate::{Error, Result, apply, time};

/// What is known of the backup `name`; nothing if there is no database that could tell.
pub(super) async fn one(
    location: &Location,
    settings: Settings,
    name: &str,
) -> Option<backup::Model> {
    let read =
        async |db: &DatabaseTransaction| Ok(backup::Entity::find_by_id(name).one(db).await?);
    match database::reading(location, settings, read).await {
        Err(Error::NoDatabase { .. } | Error::EmptyDatabase { .. }) => None,
        read => read.unwrap_or_else(|error| {
            let error = error.in_a_line();
            tracing::warn!(error, "what the database knows of its backups cannot be read");
            None
        }),
    }
}

/// Every backup that is known, for who must not go on if there is a database that cannot be read.
///
/// # Errors
///
/// As [`database::open`].
pub(super) async fn read(location: &Location, settings: Settings) -> Result<Vec<backup::Model>> {
    match rows(location, settings).await {
        Err(Error::NoDatabase { .. } | Error::EmptyDatabase { .. }) => Ok(Vec::new()),
        read => read,
    }
}

/// As [`read`], for who tells that there is no database.
///
/// # Errors
///
/// As [`database::open`].
pub(super) async fn rows(location: &Location, settings: Settings) -> Result<Vec<backup::Model>> {
    let read = async |db: &DatabaseTransaction| Ok(backup::Entity::find().all(db).await?);
    database::reading(location, settings, read).await
}

/// # Errors
///
/// [`BackupError::Unknown`] if the database has no record of it.
pub(super) async fn refuse_unknown(
    location: &Location,
    settings: Settings,
    name: &str,
) -> Result<()> {
    match one(location, settings, name).await {
        Some(_) => Ok(()),
        None => Err(BackupError::Unknown { name: name.to_owned() }.into()),
    }
}

/// Refuses an archive of that hash if the database knows another one by its name.
///
/// # Errors
///
/// [`BackupError::Damaged`].
pub(super) async fn refuse_other(
    location: &Location,
    settings: Settings,
    name: &str,
    sha256: &str,
) -> Result<()> {
    match one(location, settings, name).await.is_some_and(|it| it.sha256 != sha256) {
        false => Ok(()),
        true => {
            let reason = "it is not the archive that was written".to_owned();
            Err(BackupError::Damaged { name: name.to_owned(), reason }.into())
        }
    }
}

/// What the database knows of how old its backups are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// When the newest was taken.
    pub taken_at: Option<DateTime<Utc>>,
    /// Of that archive.
    pub size_bytes: u64,
    /// When one was last read back whole, with a sound history.
    pub verified_at: Option<DateTime<Utc>>,
}

/// How old the backups are, by the record that the database has of them. Of those that it dates
/// later than now that is not known, and they are left out.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn freshness(db: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<Freshness> {
    let latest = latest(now);
    let newest = backup::Entity::find()
        .filter(backup::Column::CreatedAt.lte(latest.as_str()))
        .order_by_desc(backup::Column::CreatedAt)
        .one(db)
        .await?;
    let Some(newest) = newest else { return Ok(Freshness::default()) };
    let verified = backup::Entity::find()
        .filter(backup::Column::VerifiedAt.lte(latest))
        // Of a damaged history a backup is no proof.
        .filter(backup::Column::DoubtedAt.is_null())
        .order_by_desc(backup::Column::VerifiedAt)
        .one(db)
        .await?
        .and_then(|it| it.verified_at);
    Ok(Freshness {
        taken_at: Some(time::read(&newest.created_at)?),
        size_bytes: u64::try_from(newest.size_bytes).unwrap_or_default(),
        verified_at: verified.map(|it| time::read(&it)).transpose()?,
    })
}

/// Where a backup that was read back comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It was taken here.
    Taken,
    /// It lay in its place, and may be another's.
    Found,
}

/// Writes down that a backup was read back whole: one that was found only if it is of a history
/// that this database has had. Gives whether it is; none, and tells why, if that failed.
pub(super) async fn keep(
    location: &Location,
    settings: Settings,
    checked: &Checked,
    origin: Origin,
) -> Option<bool> {
    let verified = &checked.verified;
    let write = async |db: &Database| {
        let transaction = db.begin().await?;
        if origin == Origin::Found && !is_own(&transaction, &verified.manifest.epoch).await? {
            tracing::info!(backup = verified.name, "whole, and of another history: not recorded");
            transaction.rollback().await?;
            return Ok(false);
        }
        write(&transaction, checked).await?;
        transaction.commit().await?;
        Ok(true)
    };
    let written = match origin {
        // Before steps are taken back, and of a version that they were taken back to.
        Origin::Taken => database::using_any(location, Access::Write, settings, write).await,
        Origin::Found => database::using(location, Access::Write, settings, write).await,
    };
    tell(&verified.name, written)
}

/// Whether this database has had the history `epoch`: it is the one that it has, or that of a
/// backup in the record. What is taken is recorded, what is found only if this holds of it, and a
/// restore leaves the record alone: so the histories from before a restore stay known, and that of
/// another database never is, whether its archives lie in the same place or one was restored here.
async fn is_own(db: &impl ConnectionTrait, epoch: &str) -> Result<bool> {
    if apply::head(db).await?.epoch == epoch {
        return Ok(true);
    }
    let recorded = backup::Entity::find().filter(backup::Column::Epoch.eq(epoch));
    Ok(recorded.one(db).await?.is_some())
}

async fn write(db: &impl ConnectionTrait, checked: &Checked) -> Result<()> {
    let Verified { name, size_bytes, sha256, verified_at, manifest } = &checked.verified;
    // An older version has fewer columns.
    let known = backup::Entity::find_by_id(name)
        .select_only()
        .columns([backup::Column::Sha256, backup::Column::PinnedAt])
        .into_tuple::<(String, Option<String>)>();
    let known = known.one(db).await?;
    let pinned_at = match &known {
        Some((hash, pinned_at)) if hash == sha256 => pinned_at.clone(),
        // What was known is of an archive that is gone.
        _ => manifest.pinned.then(|| manifest.created_at.clone()),
    };
    let row = backup::Model {
        name: name.clone(),
        kind: manifest.kind.as_str().to_owned(),
        note: manifest.note.clone(),
        created_at: manifest.created_at.clone(),
        created_by: manifest.created_by.clone(),
        verified_at: Some(verified_at.clone()),
        // Both times together: it is whole, and what it is of was damaged.
        doubted_at: checked.is_tampered().then(|| verified_at.clone()),
        pinned_at,
        epoch: manifest.epoch.clone(),
        revision: manifest.revision,
        head_hash: manifest.head_hash.clone(),
        size_bytes: i64::try_from(*size_bytes).unwrap_or(i64::MAX),
        sha256: sha256.clone(),
    };
    let mut row = row.into_active_model().reset_all();
    match known {
        Some(_) => drop(backup::Entity::update(row).exec(db).await?),
        None => {
            if !checked.is_tampered() {
                row.doubted_at = NotSet;
            }
            backup::Entity::insert(row).exec_without_returning(db).await?;
        }
    }
    Ok(())
}

/// Writes down that a backup was found damaged at `now`, if it was not before.
pub(super) async fn doubt(location: &Location, settings: Settings, name: &str, now: DateTime<Utc>) {
    let write = async |db: &Database| {
        let none = Expr::value(None::<String>);
        let was_whole = Expr::col(backup::Column::VerifiedAt).is_not_null();
        let before = Expr::col(backup::Column::DoubtedAt).if_null(time::stamp(now));
        let since = Expr::case(was_whole, time::stamp(now)).finally(before);
        let found = backup::Entity::update_many()
            .col_expr(backup::Column::VerifiedAt, none)
            .col_expr(backup::Column::DoubtedAt, since.into())
            .filter(backup::Column::Name.eq(name));
        found.exec(&db.connection).await?;
        Ok(())
    };
    tell(name, database::using(location, Access::Write, settings, write).await);
}

/// Strikes out a backup that is gone.
pub(super) async fn forget(location: &Location, settings: Settings, name: &str) {
    let write = async |db: &Database| {
        backup::Entity::delete_by_id(name).exec(&db.connection).await?;
        Ok(())
    };
    tell(name, database::using(location, Access::Write, settings, write).await);
}

fn tell<T>(name: &str, written: Result<T>) -> Option<T> {
    written
        .inspect_err(|error| {
            let error = error.in_a_line();
            tracing::warn!(backup = name, error, "a backup could not be recorded in the database");
        })
        .ok()
}
