//! What time it is where several instances have to agree: on PostgreSQL its clock, which they all
//! share; on SQLite that of the machine, which is all there is.

use chrono::{DateTime, Duration, Utc};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use crate::{Result, time};

/// Clocks of instances differ by less, or one of them is wrong.
pub(crate) const APART: Duration = Duration::seconds(60);

/// The time of an instance, and the one that all share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    /// What the instance goes by: its own clock, unless that is ahead of the shared one by more
    /// than [`APART`]. Then nothing is due yet, whatever it says.
    pub(crate) now: DateTime<Utc>,
    pub(crate) shared: DateTime<Utc>,
}

impl Clocks {
    /// # Errors
    ///
    /// [`crate::Error::Database`].
    pub(crate) async fn read(db: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<Self> {
        let shared = shared(db, now).await?;
        let now = if now > shared + APART { shared } else { now };
        Ok(Self { now, shared })
    }

    /// What was written for a later time than this, no clock that is right can have written.
    pub(crate) fn latest(&self) -> String {
        latest(self.now.max(self.shared))
    }
}

/// The latest time that may stand in the database at `now`: a later one was written by a clock
/// that was ahead.
pub(crate) fn latest(now: DateTime<Utc>) -> String {
    time::stamp(now + APART)
}

/// The clock that all share, where `now` is that of this instance.
///
/// # Errors
///
/// [`crate::Error::Database`].
pub(crate) async fn shared(db: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    const ASK: &str = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', \
                       'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')";
    if db.get_database_backend() != DbBackend::Postgres {
        return Ok(now);
    }
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, ASK)).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("the server has no time".to_owned()))?;
    Ok(time::read(&row.try_get_by_index::<String>(0)?)?)
}
