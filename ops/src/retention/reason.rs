//! Why a backup is kept.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Span;

/// It reads as a text, in JSON too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// So little older than the newest verified one.
    Within(Span),
    /// The newest of a period.
    NewestOf(Period),
    /// The rule of that period had one to spare.
    OldestOf(Period),
    Newest,
    NewestVerified,
    Pinned,
    BeforeMigration(Span),
    /// Not verified, and nor is any newer one.
    NoneVerifiedSince,
    /// Found damaged, and not long enough ago to be given up.
    NotVerified(Span),
    /// Not in the record of this database: it may be another's. Reading it back puts it there if it
    /// is of this history.
    Unknown,
    /// Not the archive that the record of this database is of: somebody has put it in its place.
    Replaced,
    /// Dated later than now: the clock was ahead, or is behind.
    Ahead,
}

/// What a rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Each backup.
    Last,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Within(span) => write!(f, "within {span}"),
            Self::NewestOf(period) => write!(f, "{period} backup"),
            Self::OldestOf(period) => write!(f, "oldest {period} backup"),
            Self::Newest => f.write_str("newest backup"),
            Self::NewestVerified => f.write_str("newest verified backup"),
            Self::Pinned => f.write_str("pinned"),
            Self::BeforeMigration(span) => write!(f, "before a migration, kept for {span}"),
            Self::NoneVerifiedSince => f.write_str("not verified, and no newer one is"),
            Self::NotVerified(span) => write!(f, "not verified, kept for {span}"),
            Self::Unknown => f.write_str("unknown to this database"),
            Self::Replaced => f.write_str("not the archive that this database knows by its name"),
            Self::Ahead => f.write_str("dated later than now"),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Last => "last",
            Self::Hour => "hourly",
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
            Self::Year => "yearly",
        })
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
