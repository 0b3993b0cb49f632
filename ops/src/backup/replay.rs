//! Back to an earlier moment inside a backup: the change log and the settings as they were then.
//!
//! It works on a scratch database. Of what files said there is no log: a source that was imported
//! later is forgotten, so that its next import asks instead of overwriting.

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use sea_orm::{ConnectionTrait, DbBackend, QueryOrder as _, QuerySelect as _, Statement};
use setpoint_entity::revision;
use setpoint_migration::type_of;

use super::{BackupError, Manifest, scratch};
use crate::database::Database;
use crate::history::removed::{around, is_any_between};
use crate::plan::Kind;
use crate::{Result, audit, hash, time};

/// How much of a stored time is its day.
const DAY: usize = "2026-05-01".len();

/// The moment that somebody wants back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    Revision(i64),
    /// The newest revision at this time, as times are stored.
    Time(String),
    /// The newest revision at the end of a day, which is this time. If the backup was made on that
    /// day, the newest that it has.
    Day(String),
}

impl Moment {
    /// A revision, a time as RFC 3339 writes it, a day, all of which counts, or so long ago
    /// (`12h`).
    ///
    /// # Errors
    ///
    /// [`crate::Error::BadTime`].
    pub fn parse(text: &str, now: DateTime<Utc>) -> Result<Self> {
        if let Ok(revision) = text.parse() {
            return Ok(Self::Revision(revision));
        }
        let (_, last) = time::between(None, Some(text), now)?;
        let last = last.unwrap_or_default();
        Ok(match text.parse::<NaiveDate>() {
            Ok(_) => Self::Day(last),
            Err(_) => Self::Time(last),
        })
    }

    /// The revision that this is in a backup.
    ///
    /// # Errors
    ///
    /// [`BackupError::NoSuchMoment`].
    pub(super) async fn revision(
        &self,
        db: &impl ConnectionTrait,
        name: &str,
        manifest: &Manifest,
    ) -> Result<i64> {
        let newest = manifest.revision;
        let (wanted, found) = match self {
            Self::Revision(wanted) => {
                (format!("revision {wanted}"), Some(*wanted).filter(|it| (0..=newest).contains(it)))
            }
            Self::Time(at) | Self::Day(at) => {
                let made_at = &manifest.created_at;
                let is_its_day =
                    matches!(self, Self::Day(_)) && at.get(..DAY) == made_at.get(..DAY);
                let last = revision::Entity::find()
                    .select_only()
                    .column(revision::Column::Id)
                    .filter(revision::Column::At.lte(at))
                    .order_by_desc(revision::Column::Id)
                    .limit(1);
                let last = last.into_tuple::<i64>().one(db).await?;
                (at.clone(), last.filter(|_| is_its_day || at <= made_at))
            }
        };
        let holds = format!(
            "it holds revisions 0, which is empty, to {newest}, and was made at {}",
            manifest.created_at
        );
        let (found, holds) = match found {
            None => (None, holds),
            Some(id) => match self.around(db, id).await? {
                (before, after) if before == after => (found, holds),
                (before, after) => {
                    let zero = if before == 0 { ", which is empty," } else { "" };
                    let nearest = format!("revisions {before}{zero} and {after}");
                    (
                        None,
                        format!("retention had removed it before, and the nearest are {nearest}"),
                    )
                }
            },
        };
        let error = BackupError::NoSuchMoment { name: name.to_owned(), wanted, holds };
        found.ok_or_else(|| error.into())
    }

    /// As [`around`], of what was live at the revision `id`, or after it where retention has removed
    /// the one that may have been the newest at the time.
    async fn around(&self, db: &impl ConnectionTrait, id: i64) -> Result<(i64, i64)> {
        let next = match self {
            Self::Revision(_) => 0,
            Self::Time(_) | Self::Day(_) => i64::from(is_any_between(db, id, id + 1).await?),
        };
        around(db, id + next).await
    }
}

/// Every statement takes the revision to go back to as `?1`. The order counts.
const STEPS: [&str; 18] = [
    "DELETE FROM seed WHERE (namespace, source) IN
         (SELECT namespace, path FROM source WHERE revision > ?1)",
    "DELETE FROM removed_key WHERE (namespace, source) IN
         (SELECT namespace, path FROM source WHERE revision > ?1)",
    "DELETE FROM outbox WHERE (namespace, path) IN
         (SELECT namespace, path FROM source WHERE revision > ?1)",
    "DELETE FROM source WHERE revision > ?1",
    "UPDATE outbox SET revision = ?1 WHERE revision > ?1",
    "DELETE FROM resolution WHERE revision > ?1",
    "DELETE FROM invalid_change WHERE revision > ?1",
    "DELETE FROM rejection WHERE revision > ?1",
    "DELETE FROM unconfirmed WHERE revision > ?1",
    "UPDATE unconfirmed SET state = 'waiting', settled_at = NULL, settled_by = NULL, undone_as = NULL
         WHERE state = 'undone' AND (undone_as > ?1 OR undone_as IS NULL
             AND settled_at > (SELECT at FROM revision WHERE id = ?1))",
    "DELETE FROM ignored_drift WHERE created_at >
         coalesce((SELECT at FROM revision WHERE id = ?1), '')",
    "CREATE TEMP TABLE moved AS
         SELECT DISTINCT c.namespace, c.layer, c.key, CASE WHEN NOT EXISTS (
             SELECT 1 FROM change a WHERE a.namespace = c.namespace AND a.layer = c.layer
             AND a.key = c.key AND a.action = 'add' AND a.revision > ?1) THEN s.created_at END AS at
         FROM change c LEFT JOIN setting s ON s.namespace = c.namespace AND s.layer = c.layer
             AND s.key = c.key
         WHERE c.revision > ?1",
    "DELETE FROM setting WHERE (namespace, layer, key) IN
         (SELECT namespace, layer, key FROM temp.moved)",
    "DELETE FROM pruned WHERE first > ?1",
    "DELETE FROM change WHERE revision > ?1",
    "DELETE FROM revision WHERE id > ?1",
    "INSERT INTO setting (namespace, layer, key, value, value_type, format, revision,
                          created_at, updated_at, updated_by)
     SELECT c.namespace, c.layer, c.key, c.after, {value_type}, c.after_format, c.revision,
            coalesce(m.at, (SELECT first.at FROM change a JOIN revision first ON first.id = a.revision
                      WHERE a.namespace = c.namespace AND a.layer = c.layer AND a.key = c.key
                      AND a.action = 'add' ORDER BY a.revision DESC LIMIT 1), r.at), r.at, r.actor
     FROM temp.moved m
     JOIN change c ON c.namespace = m.namespace AND c.layer = m.layer AND c.key = m.key
     JOIN revision r ON r.id = c.revision
     WHERE c.after IS NOT NULL AND c.revision <= ?1 AND NOT EXISTS (
         SELECT 1 FROM change n WHERE n.namespace = c.namespace AND n.layer = c.layer
         AND n.key = c.key AND n.revision > c.revision)",
    "DROP TABLE temp.moved",
];

/// Where the history ends then; `?2` is what the first revision chains to.
const HEAD: &str = "UPDATE head SET applying = NULL, revision = ?1, hash = coalesce(
    (SELECT hash FROM revision WHERE hash IS NOT NULL ORDER BY id DESC LIMIT 1), ?2)";

/// Takes the scratch database back to `revision`.
///
/// # Errors
///
/// [`crate::Error::Database`].
pub(super) async fn back_to(db: &Database, revision: i64) -> Result<()> {
    let transaction = db.begin().await?;
    scratch::silence(&transaction).await?;
    let retention = revision::Entity::find()
        .filter(revision::Column::Kind.eq(Kind::Retention.as_str()))
        .order_by_desc(revision::Column::Id);
    let retention = retention.one(&transaction).await?;
    let value_type = type_of(DbBackend::Sqlite, "c.after");
    for step in STEPS {
        let sql = step.replace("{value_type}", &value_type);
        let binds = step.contains("?1").then(|| revision.into());
        let step = Statement::from_sql_and_values(DbBackend::Sqlite, sql, binds);
        transaction.execute_raw(step).await?;
    }
    let binds = [revision.into(), hash::NO_HASH.into()];
    let head = Statement::from_sql_and_values(DbBackend::Sqlite, HEAD, binds);
    transaction.execute_raw(head).await?;
    if let Some(retention) = retention {
        audit::carry_over(&transaction, &retention).await?;
    }
    transaction.commit().await?;
    Ok(())
}
