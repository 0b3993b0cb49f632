//! Why a revision is kept.

use std::fmt;

use serde::{Serialize, Serializer};

use super::super::Span;

/// It reads as a text, in JSON too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    Newest,
    /// As many of the newest are kept.
    Last,
    /// So little older than the newest one.
    Within(Span),
    /// It says what was removed.
    Retention,
    /// Nobody has sealed it yet, or one before it.
    NotSealed,
    /// It waits to be confirmed, or one before it does.
    Unconfirmed,
    /// No verified backup of this history holds it.
    NotBackedUp,
    /// Live settings have their value from it.
    Live,
    /// What was live at the horizon had its value from it.
    Horizon,
    /// It deleted what a kept revision set.
    Deletion,
    /// The newest change of a namespace.
    NewestOfNamespace,
    /// A file was imported with it.
    Source,
    /// A conflict was settled with it.
    Resolution,
    /// It holds what programs do not get, or the last value that they got instead.
    KeptOut,
    /// A backup ends with it.
    EndOfBackup,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Within(span) => return write!(f, "within {span}"),
            Self::Newest => "newest revision",
            Self::Last => "last revision",
            Self::Retention => "says what was removed",
            Self::NotSealed => "not sealed, or newer than one that is not",
            Self::Unconfirmed => "not confirmed, or newer than one that is not",
            Self::NotBackedUp => "in no verified backup of this history",
            Self::Live => "live settings come from it",
            Self::Horizon => "earlier moments are told by it",
            Self::Deletion => "deleted what another set",
            Self::NewestOfNamespace => "newest change of a namespace",
            Self::Source => "a file was imported with it",
            Self::Resolution => "a conflict was settled with it",
            Self::KeptOut => "about a value that programs do not get",
            Self::EndOfBackup => "a backup ends with it",
        })
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
