//! The one form in which times are stored: UTC, milliseconds, comparable as text.

use chrono::{DateTime, Duration, NaiveDate, Utc};

use crate::{Error, Result};

/// Such as `2026-05-01T12:00:00.000Z`.
pub fn stamp(now: DateTime<Utc>) -> String {
    now.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The same moment as part of a file name, such as `20260501T120000.000Z`.
pub fn file_stamp(now: DateTime<Utc>) -> String {
    now.format("%Y%m%dT%H%M%S%.3fZ").to_string()
}

/// The moment that a person means: so long from `now` (`12h`, `30d`, `8w`), the start of a day
/// (`2030-01-31`), or a time as RFC 3339 writes it.
///
/// # Errors
///
/// [`Error::BadTime`].
pub fn until(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let bad = || Error::BadTime { text: text.to_owned() };
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    if let Ok(day) = text.parse::<NaiveDate>() {
        let midnight = day.and_hms_opt(0, 0, 0).ok_or_else(bad)?;
        return Ok(midnight.and_utc());
    }
    let (count, hours) = [('h', 1), ('d', 24), ('w', 7 * 24)]
        .into_iter()
        .find_map(|(unit, hours)| Some((text.strip_suffix(unit)?, hours)))
        .ok_or_else(bad)?;
    let count: i64 = count.parse().map_err(|_| bad())?;
    let length = count.checked_mul(hours).and_then(Duration::try_hours).ok_or_else(bad)?;
    now.checked_add_signed(length).ok_or_else(bad)
}
