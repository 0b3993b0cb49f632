//! What has long expired: ignored drift that is told again, and tokens that are refused anyway.
//!
//! Tokens are never removed; they are revoked, so that a clock that is set back opens nothing.

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde::Serialize;
use setpoint_entity::{ignored_drift, token};

use crate::{Result, time};

/// How much there was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Expired {
    pub ignored_drift: u64,
    pub tokens: u64,
}

/// Whoever looks can see for so long that it was there.
const LONG: Duration = Duration::days(30);
/// Who revokes, as the list of tokens names it.
const ACTOR: &str = "expiry";

/// What there is.
///
/// # Errors
///
/// [`crate::Error::Database`].
pub async fn find(db: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<Expired> {
    let ignored = ignored_drift::Entity::find().filter(ignored(now)).count(db).await?;
    let tokens = token::Entity::find().filter(tokens(now)).count(db).await?;
    Ok(Expired { ignored_drift: ignored, tokens })
}

/// Removes ignored drift, and revokes tokens, whose time was over long ago.
///
/// # Errors
///
/// [`crate::Error::Locked`], [`crate::Error::Database`].
pub async fn expire(db: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<Expired> {
    let ignored = ignored_drift::Entity::delete_many().filter(ignored(now)).exec(db).await?;
    let revoked = token::Entity::update_many()
        .col_expr(token::Column::RevokedAt, Expr::value(time::stamp(now)))
        .col_expr(token::Column::RevokedBy, Expr::value(ACTOR))
        .filter(tokens(now))
        .exec(db)
        .await?;
    Ok(Expired { ignored_drift: ignored.rows_affected, tokens: revoked.rows_affected })
}

fn ignored(now: DateTime<Utc>) -> Condition {
    Condition::all().add(ignored_drift::Column::ExpiresAt.lt(time::stamp(now - LONG)))
}

fn tokens(now: DateTime<Utc>) -> Condition {
    Condition::all()
        .add(token::Column::ExpiresAt.lt(time::stamp(now - LONG)))
        .add(token::Column::RevokedAt.is_null())
}

impl fmt::Display for Expired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ignored drifts removed, {} tokens revoked, all over for {} days",
            self.ignored_drift,
            self.tokens,
            LONG.num_days()
        )
    }
}
