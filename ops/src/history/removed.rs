//! What retention has removed of the history, for whoever reads it: an error, and never an answer
//! that is silently short.

use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::Serialize;
use setpoint_entity::{pruned, revision};

use crate::{Error, Result};

/// What was removed, all together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removed {
    pub revisions: i64,
    /// The newest of them.
    pub last: i64,
    /// The newest revision of kind `retention`: its reason says what it has removed.
    pub removed_by: i64,
    /// When that was; none if it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<String>,
}

/// What was removed; none if the history is whole.
///
/// # Errors
///
/// [`Error::Database`].
pub async fn removed(db: &impl ConnectionTrait) -> Result<Option<Removed>> {
    let rows = pruned::Entity::find().order_by_asc(pruned::Column::First).all(db).await?;
    let revisions = rows.iter().map(|it| it.last - it.first + 1).sum();
    let Some(last) = rows.last().map(|it| it.last) else { return Ok(None) };
    let removed_by = rows.iter().map(|it| it.revision).max().unwrap_or_default();
    let by = revision::Entity::find_by_id(removed_by).one(db).await?;
    Ok(Some(Removed { revisions, last, removed_by, removed_at: by.map(|it| it.at) }))
}

/// Refuses a revision that was removed.
///
/// # Errors
///
/// [`Error::Pruned`], [`Error::Database`].
pub(super) async fn refuse_removed(db: &impl ConnectionTrait, id: i64) -> Result<()> {
    let holds =
        Condition::all().add(pruned::Column::First.lte(id)).add(pruned::Column::Last.gte(id));
    let row = first(db, holds).await?;
    refuse(db, row, || format!("revision {id}")).await
}

/// Refuses to tell what the revisions after `low` up to `high` did, if one of them was removed.
///
/// # Errors
///
/// [`Error::Pruned`], [`Error::Database`].
pub(super) async fn refuse_between(db: &impl ConnectionTrait, low: i64, high: i64) -> Result<()> {
    if low >= high {
        return Ok(());
    }
    let row = first(db, between(low, high)).await?;
    let what = || match high - low {
        1 => format!("revision {high}"),
        _ => format!("part of what happened between revisions {low} and {high}"),
    };
    refuse(db, row, what).await
}

/// Refuses to tell what was live at `revision`, if that can be told no more.
///
/// # Errors
///
/// [`Error::Pruned`], [`Error::Database`].
pub(crate) async fn refuse_moment(db: &impl ConnectionTrait, revision: i64) -> Result<()> {
    let row = first(db, lacking_at(revision)).await?;
    refuse(db, row, || format!("part of what was live at revision {revision}")).await
}

/// The nearest revisions up to `revision` and from it on at which all that was live can be told:
/// `revision` itself, twice, if it is one. Revision 0, which is empty, always is.
///
/// # Errors
///
/// [`Error::Database`].
pub(crate) async fn around(db: &impl ConnectionTrait, revision: i64) -> Result<(i64, i64)> {
    let rows = pruned::Entity::find().all(db).await?;
    // Which revision is the first that can be told after those that cannot.
    let next = |it: &pruned::Model| it.horizon.max(it.last + 1);
    let lacking = |at: i64| rows.iter().find(|it| it.first <= at && at < next(it));
    let (mut before, mut after) = (revision, revision);
    while let Some(row) = lacking(before) {
        before = row.first - 1;
    }
    while let Some(row) = lacking(after) {
        after = next(row);
    }
    Ok((before, after))
}

/// Whether a revision after `low`, up to `high`, was removed.
///
/// # Errors
///
/// [`Error::Database`].
pub(crate) async fn is_any_between(db: &impl ConnectionTrait, low: i64, high: i64) -> Result<bool> {
    Ok(low < high && first(db, between(low, high)).await?.is_some())
}

fn between(low: i64, high: i64) -> Condition {
    Condition::all().add(pruned::Column::First.lte(high)).add(pruned::Column::Last.gt(low))
}

/// What was removed before a moment is not needed if the moment is not before the horizon: what was
/// live there is kept.
fn lacking_at(revision: i64) -> Condition {
    Condition::all()
        .add(pruned::Column::First.lte(revision))
        .add(pruned::Column::Horizon.gt(revision))
}

async fn first(db: &impl ConnectionTrait, which: Condition) -> Result<Option<pruned::Model>> {
    let found = pruned::Entity::find().filter(which).order_by_asc(pruned::Column::First);
    Ok(found.one(db).await?)
}

async fn refuse(
    db: &impl ConnectionTrait,
    row: Option<pruned::Model>,
    what: impl FnOnce() -> String,
) -> Result<()> {
    let Some(row) = row else { return Ok(()) };
    let by = revision::Entity::find_by_id(row.revision).one(db).await?;
    Err(Error::Pruned { what: what(), at: by.map_or("an unknown day".to_owned(), |it| it.at) })
}
