//! Removing revisions that no rule keeps, and sealing into the chain what was removed.
//!
//! Each piece of the work is a transaction under the lock of the head, and a revision of its own:
//! whatever comes between two of them, the history holds together. The oldest go first, so what
//! is needed to tell the rest is there at every moment.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use serde::Serialize;
use setpoint_entity::{change, head, pruned, revision};

use super::gaps::hash_of;
use super::needs::needs;
use crate::amount::counted;
use crate::apply::{self, Channel, append, lock_head};
use crate::database::Database;
use crate::live::Policy as Declared;
use crate::plan::{Author, Base, Kind, Plan};
use crate::retention::revisions::{self, Bounds, Policy, Range};
use crate::{Error, Result, bulk, confirm, time, verify};

/// Where a verified backup ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupEnd {
    pub name: String,
    pub epoch: String,
    pub revision: i64,
    pub head_hash: String,
}

/// What would be removed, and why the rest stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pruning {
    /// The newest verified backup of this history, if there is one: what it does not hold stays.
    pub backup: Option<BackupEnd>,
    /// What was live at earlier moments can be told from here on.
    pub horizon: i64,
    /// The oldest first.
    pub ranges: Vec<Range>,
    /// The history that it is of.
    #[serde(skip)]
    epoch: String,
    /// What may go, each with how many settings it changed.
    #[serde(skip)]
    goes: Vec<(i64, i64)>,
}

impl Pruning {
    /// How many revisions may go.
    pub fn count(&self) -> usize {
        self.goes.len()
    }

    /// The backup that has to hold what goes, if something does.
    pub fn relies_on(&self) -> Option<&str> {
        self.backup.as_ref().filter(|_| self.count() > 0).map(|it| it.name.as_str())
    }

    /// What has come of it once it is carried out, such as `12 revisions kept, 900 removed`.
    pub fn carried_out(&self) -> String {
        let kept: i64 = self.ranges.iter().filter(|it| it.is_kept()).map(Range::revisions).sum();
        let kept = counted(kept, "revision");
        match (self.count(), &self.backup) {
            (0, None) => format!("{kept}, all kept: no verified backup holds them"),
            (0, Some(_)) => format!("{kept}, all kept"),
            (count, _) => format!("{kept} kept, {count} removed"),
        }
    }
}

/// How many rows a piece removes, unless one revision has more: others wait for it.
const PIECE_ROWS: i64 = 1_000;

/// How many revisions are read at a time.
const PAGE: i64 = 20_000;

/// Decides on every revision, for a service that goes by what is `declared`. Changes nothing.
///
/// # Errors
///
/// [`Error::KeepsNoRevision`], [`Error::Tampered`], [`Error::Database`].
pub async fn plan_pruning(
    db: &impl ConnectionTrait,
    backups: &[BackupEnd],
    policy: &Policy,
    declared: &Declared,
    now: DateTime<Utc>,
) -> Result<Pruning> {
    let head = apply::head(db).await?;
    let ends = ends(db, backups).await?;
    let (backed_up, backup) = ends.last_key_value().unzip();
    let unconfirmed = confirm::oldest_needed(db, &head).await?;
    let bounds = Bounds { backed_up: backed_up.copied(), unconfirmed };
    let revisions = all(db).await?;
    let ruled = revisions::ruled(&revisions, policy, bounds, now)?;
    let horizon = ruled.horizon;
    let of_backups: Vec<i64> = ends.keys().copied().collect();
    let needs = match horizon {
        0 => revisions::Needs::default(),
        _ => needs(db, horizon, &of_backups, declared).await?,
    };
    let ranges = revisions::decide(&revisions, &ruled, &needs);
    let mut going = ranges.iter().filter(|it| !it.is_kept()).peekable();
    let mut goes = Vec::new();
    for one in &revisions {
        while going.next_if(|it| it.last < one.id).is_some() {}
        if going.peek().is_some_and(|it| it.first <= one.id) {
            goes.push((one.id, one.changes));
        }
    }
    if !goes.is_empty()
        && let Some(reason) = verify::history(db).await?.into_iter().next()
    {
        // The rows that stand for what is gone would hold together.
        return Err(Error::Tampered { reason });
    }
    Ok(Pruning { backup: backup.map(|it| (*it).clone()), horizon, ranges, epoch: head.epoch, goes })
}

/// The revisions that verified backups of this history end with. Which backups are this database's
/// is known by its record of them; that one holds this history, and not another from before a
/// restore, by the hash of its end, which covers all before it.
async fn ends<'a>(
    db: &impl ConnectionTrait,
    backups: &'a [BackupEnd],
) -> Result<BTreeMap<i64, &'a BackupEnd>> {
    const CHUNK: usize = 500;
    let mut ends = BTreeMap::new();
    for chunk in backups.chunks(CHUNK) {
        let found = revision::Entity::find()
            .select_only()
            .columns([revision::Column::Hash, revision::Column::Id])
            .filter(revision::Column::Hash.is_in(chunk.iter().map(|it| it.head_hash.as_str())));
        let found: Vec<(String, i64)> = found.into_tuple().all(db).await?;
        let found: HashMap<String, i64> = found.into_iter().collect();
        for end in chunk {
            let id = found.get(&end.head_hash).filter(|it| **it <= end.revision);
            ends.extend(id.map(|it| (*it, end)));
        }
    }
    Ok(ends)
}

/// Every revision, as far as it matters, in order.
async fn all(db: &impl ConnectionTrait) -> Result<Vec<revisions::Revision>> {
    let mut revisions = Vec::new();
    let mut after = 0;
    loop {
        let table = format!(
            "(SELECT r.id, r.at, CASE WHEN r.hash IS NULL THEN 0 ELSE 1 END AS sealed,
                     CASE WHEN r.kind = '{}' THEN 1 ELSE 0 END AS retention,
                     (SELECT count(*) FROM change c WHERE c.revision = r.id) AS changes
              FROM revision r WHERE r.id > {after} ORDER BY r.id LIMIT {PAGE}) AS page",
            Kind::Retention.as_str()
        );
        let columns = ["id", "at", "sealed", "retention", "changes"];
        let mut page: Vec<(i64, String, i64, i64, i64)> =
            bulk::select(db, &columns, &table, "1 = 1", []).await?;
        page.sort_by_key(|it| it.0);
        let Some(last) = page.last() else { return Ok(revisions) };
        after = last.0;
        revisions.extend(page.into_iter().map(|(id, at, sealed, retention, changes)| {
            revisions::Revision {
                id,
                // What was written by hand and is no time is not old.
                at: time::read(&at).unwrap_or(DateTime::<Utc>::MAX_UTC),
                changes,
                is_sealed: sealed == 1,
                is_retention: retention == 1,
            }
        }));
    }
}

/// Removes what `pruning` found that may go, the oldest first, a piece at a time. Returns the
/// revisions that say so.
///
/// # Errors
///
/// [`Error::Stale`] if another history was restored meanwhile; [`Error::Locked`],
/// [`Error::DiskFull`], [`Error::Database`], [`Error::Unanswered`]. What came before in the work is
/// done then.
pub async fn prune(
    db: &Database,
    pruning: &Pruning,
    author: &Author,
    channel: Channel,
    now: DateTime<Utc>,
) -> Result<Vec<i64>> {
    author.check()?;
    let mut done = Vec::new();
    let mut left = pruning.goes.as_slice();
    while !left.is_empty() {
        let begun = Instant::now();
        let (piece, rest) = left.split_at(piece_of(left));
        let removed = remove(db, pruning, piece, author, channel, now).await;
        done.extend(removed.map_err(|error| error.at(db.place()))?);
        left = rest;
        if !left.is_empty() {
            // Whoever wants to write gets as long as this has taken.
            tokio::time::sleep(begun.elapsed()).await;
        }
    }
    Ok(done)
}

/// How many of `left` make a piece.
fn piece_of(left: &[(i64, i64)]) -> usize {
    let mut rows = 0;
    let fits = left.iter().take_while(|(_, changes)| {
        rows += 1 + changes;
        rows <= PIECE_ROWS
    });
    fits.count().max(1)
}

/// Removes one piece. Gives the revision that says so; none if somebody else has removed it all.
async fn remove(
    db: &Database,
    pruning: &Pruning,
    piece: &[(i64, i64)],
    author: &Author,
    channel: Channel,
    now: DateTime<Utc>,
) -> Result<Option<i64>> {
    let transaction = db.begin().await?;
    let head = lock_head(&transaction).await?;
    if head.epoch != pruning.epoch {
        let reason = "another history was restored meanwhile".to_owned();
        return Err(Error::Stale { reason });
    }
    let ids: Vec<i64> = piece.iter().map(|it| it.0).collect();
    let rows = rows_of(&transaction, &ids, pruning.horizon).await?;
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(None) };
    let count: i64 = rows.iter().map(|it| it.last - it.first + 1).sum();
    let changes: i64 = rows.iter().map(|it| it.changes).sum();
    let reason = format!(
        "revisions removed: {count}, from {} to {}, with {changes} changes",
        first.first, last.last
    );
    let author = Author { reason: Some(reason), ..author.clone() };
    let by = say(&transaction, &head, rows, author, channel, now).await?;
    let theirs = change::Column::Revision.is_in(ids.iter().copied());
    change::Entity::delete_many().filter(theirs).exec(&transaction).await?;
    let themselves = revision::Column::Id.is_in(ids);
    revision::Entity::delete_many().filter(themselves).exec(&transaction).await?;
    transaction.commit().await.map_err(|error| Error::of_commit(error, db.place()))?;
    Ok(Some(by))
}

/// The rows that stand for those of `ids` that are there: one for those in a row.
async fn rows_of(
    db: &DatabaseTransaction,
    ids: &[i64],
    horizon: i64,
) -> Result<Vec<pruned::Model>> {
    let found = revision::Entity::find()
        .select_only()
        .columns([revision::Column::Id, revision::Column::PreviousHash, revision::Column::Hash])
        .filter(revision::Column::Id.is_in(ids.iter().copied()))
        .order_by_asc(revision::Column::Id);
    let found: Vec<(i64, Option<String>, Option<String>)> = found.into_tuple().all(db).await?;
    let counted = change::Entity::find()
        .select_only()
        .column(change::Column::Revision)
        .column_as(change::Column::Key.count(), "changes")
        .filter(change::Column::Revision.is_in(ids.iter().copied()))
        .group_by(change::Column::Revision);
    let counted: Vec<(i64, i64)> = counted.into_tuple().all(db).await?;
    let counted: HashMap<i64, i64> = counted.into_iter().collect();
    let mut rows: Vec<pruned::Model> = Vec::new();
    for (id, previous_hash, hash) in found {
        let changes = counted.get(&id).copied().unwrap_or_default();
        let hash = hash.unwrap_or_default();
        match rows.last_mut() {
            Some(row) if row.last + 1 == id => {
                row.last = id;
                row.hash = hash;
                row.changes += changes;
            }
            _ => rows.push(pruned::Model {
                first: id,
                last: id,
                previous_hash: previous_hash.unwrap_or_default(),
                hash,
                changes,
                horizon,
                revision: 0,
            }),
        }
    }
    Ok(rows)
}

/// Appends the revision that says that `rows` were removed, and writes them down. Gives its number.
async fn say(
    db: &DatabaseTransaction,
    head: &head::Model,
    mut rows: Vec<pruned::Model>,
    author: Author,
    channel: Channel,
    now: DateTime<Utc>,
) -> Result<i64> {
    let plan = Plan::new(Kind::Retention, Base::of(head), author, Vec::new(), Vec::new());
    // Its hash is what makes the chain cover the rows.
    let plan = Plan { hash: hash_of(&rows), ..plan };
    append(db, head, &[(plan, channel, now)]).await?;
    let by = head.revision + 1;
    for row in &mut rows {
        row.revision = by;
    }
    let columns = ["first", "last", "previous_hash", "hash", "changes", "horizon", "revision"];
    let values = rows.into_iter().map(|it| {
        [
            it.first.into(),
            it.last.into(),
            it.previous_hash.into(),
            it.hash.into(),
            it.changes.into(),
            it.horizon.into(),
            it.revision.into(),
        ]
    });
    bulk::insert(db, "pruned", columns, "", values).await?;
    Ok(by)
}

/// Says once more what was removed by revisions that are there no more: the history was taken back
/// to before them, and its gaps are left.
///
/// # Errors
///
/// [`Error::Database`].
pub(crate) async fn carry_over(db: &DatabaseTransaction, by: &revision::Model) -> Result<()> {
    let head = apply::head(db).await?;
    let later = pruned::Column::Revision.gt(head.revision);
    let rows = pruned::Entity::find().filter(later.clone()).order_by_asc(pruned::Column::First);
    let rows = rows.all(db).await?;
    if rows.is_empty() {
        return Ok(());
    }
    pruned::Entity::delete_many().filter(later).exec(db).await?;
    let reason = format!("removed before the backup was taken, by revision {}", by.id);
    let author = Author { actor: by.actor.clone(), reason: Some(reason) };
    let now = time::read(&by.at).unwrap_or_default();
    say(db, &head, rows, author, Channel::Job, now).await?;
    Ok(())
}
