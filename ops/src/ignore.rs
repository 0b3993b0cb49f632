//! Drift that somebody chose to leave alone, until it changes or a day comes.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel,
    QueryFilter,
};
use serde::Serialize;
use setpoint_entity::ignored_drift;

use crate::database::Database;
use crate::drift::Drift;
use crate::plan::Author;
use crate::setting::below;
use crate::{Error, Result, time};

/// Who ignores a drift, why, and how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ignored {
    pub author: String,
    pub reason: Option<String>,
    pub at: String,
    pub until: Option<String>,
    /// Whether that day has come.
    #[serde(rename = "expired")]
    pub is_over: bool,
}

/// Marks what of `drift` is ignored. One that has changed since is not.
pub(crate) async fn mark(
    db: &impl ConnectionTrait,
    drift: &mut [Drift],
    now: DateTime<Utc>,
) -> Result<()> {
    if drift.is_empty() {
        return Ok(());
    }
    let rows = ignored_drift::Entity::find().all(db).await?;
    let mut rows: HashMap<_, _> = rows
        .into_iter()
        .map(|row| ((row.namespace.clone(), row.layer.clone(), row.key.clone()), row))
        .collect();
    for one in drift {
        let place = (one.namespace.clone(), one.layer.clone(), one.name().to_owned());
        let row = rows.remove(&place).filter(|it| it.hash == one.hash);
        one.ignored = row.map(|row| Ignored::of(row, now));
    }
    Ok(())
}

impl Ignored {
    fn of(row: ignored_drift::Model, now: DateTime<Utc>) -> Self {
        Self {
            is_over: row.expires_at.as_ref().is_some_and(|it| *it <= time::stamp(now)),
            author: row.author,
            reason: row.reason,
            at: row.created_at,
            until: row.expires_at,
        }
    }
}

/// Ignores `drift` from now on, until it is another or `until` has come.
///
/// # Errors
///
/// [`Error::InThePast`] if `until` has come already; [`Error::NulCharacter`] in its reason;
/// [`Error::Locked`], [`Error::Database`].
pub async fn add(
    db: &Database,
    drift: &[Drift],
    author: &Author,
    until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<()> {
    author.check()?;
    if let Some(until) = until.filter(|it| *it <= now) {
        return Err(Error::InThePast { at: time::stamp(until) });
    }
    let work = async {
        let transaction = db.begin().await?;
        for one in drift {
            let id = (one.namespace.clone(), one.layer.clone(), one.name().to_owned());
            let row = ignored_drift::Model {
                namespace: id.0.clone(),
                layer: id.1.clone(),
                key: id.2.clone(),
                hash: one.hash.clone(),
                author: author.actor.clone(),
                reason: author.reason.clone(),
                created_at: time::stamp(now),
                expires_at: until.map(time::stamp),
            };
            ignored_drift::Entity::delete_by_id(id).exec(&transaction).await?;
            row.into_active_model().insert(&transaction).await?;
        }
        Ok::<_, Error>(transaction.commit().await?)
    };
    work.await.map_err(|error| error.at(db.place()))
}

/// Stops ignoring the drift of these names in a namespace, and of keys below them. Returns how
/// many there were.
///
/// # Errors
///
/// [`Error::Locked`], [`Error::Database`].
pub async fn remove(db: &Database, namespace: &str, names: &[String]) -> Result<usize> {
    let work = async {
        let transaction = db.begin().await?;
        let mut removed = 0;
        for name in names {
            let named = Condition::any()
                .add(ignored_drift::Column::Key.eq(name))
                .add(below(ignored_drift::Column::Key, name));
            let gone = ignored_drift::Entity::delete_many()
                .filter(ignored_drift::Column::Namespace.eq(namespace))
                .filter(named)
                .exec(&transaction)
                .await?;
            removed += gone.rows_affected as usize;
        }
        transaction.commit().await?;
        Ok::<_, Error>(removed)
    };
    work.await.map_err(|error| error.at(db.place()))
}
