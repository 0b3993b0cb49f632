//! How many backups are kept, as it is declared.

use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Period, Span};
use crate::{Error, Result};

/// `[backups.retention]`. A backup that any rule keeps is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The newest ones.
    #[serde(skip_serializing_if = "Count::is_zero")]
    pub keep_last: Count,
    /// The newest of each hour, for so many hours that have one; the others likewise.
    #[serde(skip_serializing_if = "Count::is_zero")]
    pub keep_hourly: Count,
    #[serde(skip_serializing_if = "Count::is_zero")]
    pub keep_daily: Count,
    /// Weeks begin on Monday.
    #[serde(skip_serializing_if = "Count::is_zero")]
    pub keep_weekly: Count,
    #[serde(skip_serializing_if = "Count::is_zero")]
    pub keep_monthly: Count,
    #[serde(skip_serializing_if = "Count::is_zero")]
    pub keep_yearly: Count,
    /// All that are so little older than the newest verified one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_within: Option<Span>,
    /// How long those from before a migration are kept at least.
    pub pre_migration_for: Span,
    /// How long those that are not verified are kept at least.
    pub unverified_for: Span,
    /// Whose days, weeks, months and years count.
    #[serde(serialize_with = "name_of", deserialize_with = "zone")]
    pub time_zone: Tz,
}

impl Default for Policy {
    /// Without a rule: it is refused until there is one.
    fn default() -> Self {
        let none = Count::default();
        Self {
            keep_last: none,
            keep_hourly: none,
            keep_daily: none,
            keep_weekly: none,
            keep_monthly: none,
            keep_yearly: none,
            keep_within: None,
            pre_migration_for: Span::days(30),
            unverified_for: Span::days(7),
            time_zone: Tz::UTC,
        }
    }
}

impl Policy {
    /// # Errors
    ///
    /// [`Error::KeepsNothing`].
    pub fn check(&self) -> Result<()> {
        let is_within = self.keep_within.is_some_and(|it| !it.is_zero());
        match is_within || self.counts().iter().any(|(_, count)| !count.is_zero()) {
            true => Ok(()),
            false => Err(Error::KeepsNothing),
        }
    }

    pub(super) fn counts(&self) -> [(Period, Count); 6] {
        [
            (Period::Last, self.keep_last),
            (Period::Hour, self.keep_hourly),
            (Period::Day, self.keep_daily),
            (Period::Week, self.keep_weekly),
            (Period::Month, self.keep_monthly),
            (Period::Year, self.keep_yearly),
        ]
    }
}

/// How many a rule keeps: a number, or `-1` for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub enum Count {
    All,
    UpTo(u32),
}

impl Count {
    pub(super) fn is_zero(&self) -> bool {
        *self == Self::UpTo(0)
    }

    /// One less is left to keep.
    pub(super) fn take(&mut self) {
        if let Self::UpTo(left) = self {
            *left = left.saturating_sub(1);
        }
    }
}

impl Default for Count {
    fn default() -> Self {
        Self::UpTo(0)
    }
}

impl TryFrom<i64> for Count {
    type Error = Error;

    fn try_from(count: i64) -> Result<Self> {
        match (count, u32::try_from(count)) {
            (-1, _) => Ok(Self::All),
            (_, Ok(count)) => Ok(Self::UpTo(count)),
            _ => Err(Error::BadRetention {
                reason: format!(
                    "{count} is no number of what is kept: give 0, 1, 2 and so on, or -1 for all"
                ),
            }),
        }
    }
}

impl From<Count> for i64 {
    fn from(count: Count) -> Self {
        match count {
            Count::All => -1,
            Count::UpTo(count) => count.into(),
        }
    }
}

fn name_of<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(zone.name())
}

fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse().map_err(|_| {
        let reason = format!("there is no time zone `{name}`: give one such as Europe/Berlin");
        serde::de::Error::custom(Error::BadRetention { reason })
    })
}
