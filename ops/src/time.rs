//! The one form in which times are stored: UTC, milliseconds, comparable as text.

use chrono::{DateTime, Utc};

/// Such as `2026-05-01T12:00:00.000Z`.
pub fn stamp(now: DateTime<Utc>) -> String {
    now.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The same moment as part of a file name, such as `20260501T120000.000Z`.
pub fn file_stamp(now: DateTime<Utc>) -> String {
    now.format("%Y%m%dT%H%M%S%.3fZ").to_string()
}
