//! Versions of a file that somebody chose not to take.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveModelTrait, ActiveValue::Set};
use setpoint_entity::source;
use setpoint_importers::Limits;

use crate::apply::lock_head;
use crate::database::Database;
use crate::plan::SourceStatus;
use crate::source::{Declared, imported, read};
use crate::{Error, Result, time};

/// Leaves out what `declared` files say now, until they say something else. Returns the paths of
/// those that had something new to say.
///
/// # Errors
///
/// [`Error::NeverImported`] for a file that no version was taken of; those of reading the
/// files; [`Error::Locked`], [`Error::Database`].
pub async fn skip(
    db: &Database,
    declared: &[Declared],
    limits: &Limits,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Vec<String>> {
    let work = async {
        let transaction = db.begin().await?;
        // An import that goes on at the same time would take it back.
        lock_head(&transaction).await?;
        let mut skipped = Vec::new();
        for read in read(declared, &imported(&transaction).await?, limits)? {
            let path = read.declared.path.clone();
            let meaning = match (read.status, &read.meaning) {
                (SourceStatus::New, _) => return Err(Error::NeverImported { path }),
                (SourceStatus::Changed | SourceStatus::Open, Some(meaning)) => meaning,
                _ => continue,
            };
            let row = source::ActiveModel {
                namespace: Set(read.declared.namespace.clone()),
                path: Set(path.clone()),
                skipped_hash: Set(Some(meaning.tree_hash.clone())),
                skipped_at: Set(Some(time::stamp(now))),
                skipped_by: Set(Some(actor.to_owned())),
                ..Default::default()
            };
            row.update(&transaction).await?;
            skipped.push(path);
        }
        transaction.commit().await?;
        Ok(skipped)
    };
    work.await.map_err(|error: Error| error.at(db.place()))
}
