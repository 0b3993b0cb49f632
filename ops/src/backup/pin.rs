//! Pins: which backups stay whatever the rules say.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set, EntityTrait as _, IntoActiveModel as _};
use setpoint_entity::backup;

use super::{BackupError, Listed, Storage, find};
use crate::database::{self, Access, Database, Location, Settings};
use crate::retention::Trust;
use crate::{Error, Result, time};

/// Pins the backup `name`, or takes its pin away. Gives it as it is then. Of one that the database
/// does not know the archive alone says whether it is pinned.
///
/// # Errors
///
/// [`BackupError::BadName`], [`BackupError::Unknown`], [`BackupError::NotRecorded`],
/// [`BackupError::Replaced`]; as [`database::open`]; [`Error::Locked`], [`Error::Database`]: nothing
/// has changed then.
pub async fn pin(
    location: &Location,
    settings: Settings,
    storage: &Storage,
    name: &str,
    is_pinned: bool,
    now: DateTime<Utc>,
) -> Result<Listed> {
    if find(location, settings, storage, name).await?.trust == Trust::Replaced {
        return Err(BackupError::Replaced { name: name.to_owned() }.into());
    }
    let write = async |db: &Database| {
        let transaction = db.begin().await?;
        let Some(known) = backup::Entity::find_by_id(name).one(&transaction).await? else {
            return Err(BackupError::NotRecorded { name: name.to_owned() }.into());
        };
        if known.pinned_at.is_some() != is_pinned {
            let mut row = known.into_active_model();
            row.pinned_at = Set(is_pinned.then(|| time::stamp(now)));
            row.update(&transaction).await?;
        }
        transaction.commit().await?;
        Ok::<_, Error>(())
    };
    database::using(location, Access::Write, settings, write).await?;
    find(location, settings, storage, name).await
}
