//! What is over: ignored drift that is told again, and revisions that nobody has confirmed in time.
//!
//! Nothing becomes of tokens: they are refused once their time is over, by whoever is asked. To
//! revoke them would be for good, and a clock that is far ahead for a moment would lock everybody
//! out. A clock that is set back lets those in whom it would have let in then; what is never to be
//! good again is revoked by somebody.

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde::Serialize;
use setpoint_entity::{ignored_drift, token};

use crate::{Result, time};

/// How much there was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Expired {
    /// Which is told again.
    pub ignored_drift: u64,
    /// Which are refused, and not revoked.
    pub tokens: u64,
}

/// Whoever looks can see for so long that it was there.
const LONG: Duration = Duration::days(30);

/// What there is.
///
/// # Errors
///
/// [`crate::Error::Database`].
pub async fn find(db: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<Expired> {
    let ignored = ignored_drift::Entity::find().filter(ignored(now)).count(db).await?;
    let tokens = token::Entity::find()
        .filter(token::Column::ExpiresAt.lte(time::stamp(now)))
        .filter(token::Column::RevokedAt.is_null())
        .count(db)
        .await?;
    Ok(Expired { ignored_drift: ignored, tokens })
}

/// Removes ignored drift whose time was over long ago. Returns how much.
///
/// # Errors
///
/// [`crate::Error::Locked`], [`crate::Error::Database`].
pub async fn expire(db: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<u64> {
    let removed = ignored_drift::Entity::delete_many().filter(ignored(now)).exec(db).await?;
    Ok(removed.rows_affected)
}

fn ignored(now: DateTime<Utc>) -> Condition {
    Condition::all().add(ignored_drift::Column::ExpiresAt.lt(time::stamp(now - LONG)))
}

impl fmt::Display for Expired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ignored, tokens, days) = (self.ignored_drift, self.tokens, LONG.num_days());
        write!(
            f,
            "{ignored} ignored drifts removed, over for {days} days; {tokens} tokens have expired \
             and are refused"
        )
    }
}
