//! Jobs that rest: in the database, so that every instance obeys.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};

use super::Job;
use super::open::locked;
use crate::database::Database;
use crate::{Error, Result, time};

/// Has `job` not be begun until it is resumed. Times that pass meanwhile are not made up for; a
/// run that goes on is not stopped. Returns whether it was not paused before.
///
/// # Errors
///
/// [`Error::Locked`], [`Error::Database`].
pub async fn pause(db: &Database, job: &Job, actor: &str, now: DateTime<Utc>) -> Result<bool> {
    set(db, job, Some(actor), now).await
}

/// Has `job` be begun again, from its next time on. Returns whether it was paused.
///
/// # Errors
///
/// [`Error::Locked`], [`Error::Database`].
pub async fn resume(db: &Database, job: &Job, now: DateTime<Utc>) -> Result<bool> {
    set(db, job, None, now).await
}

async fn set(
    db: &Database,
    job: &Job,
    paused_by: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let work = async {
        let transaction = db.begin().await?;
        let row = locked(&transaction, job, now).await?;
        if row.paused_at.is_some() == paused_by.is_some() {
            return Ok(false);
        }
        let considered = time::read(&row.considered_until)?;
        let mut row = row.into_active_model();
        row.paused_at = Set(paused_by.map(|_| time::stamp(now)));
        row.paused_by = Set(paused_by.map(str::to_owned));
        if paused_by.is_none() {
            // No instance may have been there to see its times pass.
            row.considered_until = Set(time::stamp(considered.max(now)));
        }
        row.update(&transaction).await?;
        transaction.commit().await?;
        Ok::<_, Error>(true)
    };
    work.await.map_err(|error| error.at(db.place()))
}
