//! The one form in which times are stored: UTC, milliseconds, comparable as text.

use chrono::{DateTime, Duration, NaiveDate, Utc};
use sea_orm::DbErr;

use crate::{Error, Result};

/// Such as `2026-05-01T12:00:00.000Z`.
pub fn stamp(now: DateTime<Utc>) -> String {
    now.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The same moment as part of a file name, such as `20260501T120000.000Z`.
pub fn file_stamp(now: DateTime<Utc>) -> String {
    now.format("%Y%m%dT%H%M%S%.3fZ").to_string()
}

/// A stored time for tables, to the minute, in UTC: `2026-05-01 12:00`. What is none stays as it is.
pub fn minute(stored: &str) -> String {
    match DateTime::parse_from_rfc3339(stored) {
        Ok(time) => time.to_utc().format("%Y-%m-%d %H:%M").to_string(),
        Err(_) => stored.to_owned(),
    }
}

/// As [`minute`], in the zone that it is written in: `2026-05-01 14:00 +02:00`.
pub fn zoned_minute(written: &str) -> String {
    match DateTime::parse_from_rfc3339(written) {
        Ok(time) => time.format("%Y-%m-%d %H:%M %:z").to_string(),
        Err(_) => written.to_owned(),
    }
}

/// The first and the last moment that a person means, as they are stored: so long ago (`12h`),
/// a day, all of which counts, or a time as RFC 3339 writes it.
///
/// # Errors
///
/// [`Error::BadTime`].
pub fn between(
    from: Option<&str>,
    to: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(Option<String>, Option<String>)> {
    let moment = |text: &str| match relative(text) {
        Some(length) => now.checked_sub_signed(length).ok_or_else(|| bad(text)),
        None => until(text, now),
    };
    let last = |text: &str| {
        let is_day = text.parse::<NaiveDate>().is_ok();
        let rest =
            if is_day { Duration::days(1) - Duration::milliseconds(1) } else { Duration::zero() };
        moment(text)?.checked_add_signed(rest).ok_or_else(|| bad(text))
    };
    Ok((from.map(moment).transpose()?.map(stamp), to.map(last).transpose()?.map(stamp)))
}

/// The moment that a stored text is.
///
/// # Errors
///
/// If it is none: it was written by hand.
pub(crate) fn read(text: &str) -> Result<DateTime<Utc>, DbErr> {
    let read = DateTime::parse_from_rfc3339(text);
    read.map(|it| it.to_utc()).map_err(|_| DbErr::Type(format!("a stored time is none: {text}")))
}

/// The moment that a person means: so long from `now` (`12h`, `30d`, `8w`), the start of a day
/// (`2030-01-31`), or a time as RFC 3339 writes it.
///
/// # Errors
///
/// [`Error::BadTime`].
pub fn until(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    if let Ok(day) = text.parse::<NaiveDate>() {
        let midnight = day.and_hms_opt(0, 0, 0).ok_or_else(|| bad(text))?;
        return Ok(midnight.and_utc());
    }
    let length = relative(text).ok_or_else(|| bad(text))?;
    now.checked_add_signed(length).ok_or_else(|| bad(text))
}

/// How long `90s`, `10m`, `12h`, `30d` and `8w` are: something, and 365 days at most.
///
/// # Errors
///
/// [`Error::BadLength`].
pub fn length(text: &str) -> Result<Duration> {
    let fits = |it: &Duration| (1..=365 * 24 * 60 * 60).contains(&it.num_seconds());
    relative(text).filter(fits).ok_or_else(|| Error::BadLength { text: text.to_owned() })
}

/// A length to the second as people tell it: `10m`, `1h 30m`, `365d`.
pub fn told(length: std::time::Duration) -> String {
    let mut left = length.as_secs();
    let mut parts = Vec::new();
    for (unit, seconds) in [('d', 24 * 60 * 60), ('h', 60 * 60), ('m', 60), ('s', 1)] {
        let count = left / seconds;
        left %= seconds;
        if count > 0 {
            parts.push(format!("{count}{unit}"));
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// What `90s`, `10m`, `12h`, `30d` and `8w` mean.
fn relative(text: &str) -> Option<Duration> {
    const HOUR: i64 = 60 * 60;
    let units = [('s', 1), ('m', 60), ('h', HOUR), ('d', 24 * HOUR), ('w', 7 * 24 * HOUR)];
    let (count, seconds) =
        units.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
    let count: i64 = count.parse().ok()?;
    Duration::try_seconds(count.checked_mul(seconds)?)
}

fn bad(text: &str) -> Error {
    Error::BadTime { text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_times_to_the_minute_in_utc() {
        let stored = ["2026-05-01T12:00:59.999Z", "2026-05-01T01:30:00+02:00", "never"];

        assert_eq!(stored.map(minute), ["2026-05-01 12:00", "2026-04-30 23:30", "never"]);
    }

    #[test]
    fn a_length_is_a_number_with_its_unit_and_neither_nothing_nor_for_ever() {
        let seconds = |text: &str| length(text).ok().map(|it| it.num_seconds());

        assert_eq!(["90s", "10m", "2h", "1d"].map(seconds), [90, 600, 7200, 86_400].map(Some));
        assert_eq!(["365d", "52w"].map(seconds), [31_536_000, 31_449_600].map(Some));
        assert_eq!(["", "10", "m", "0s", "-5m", "1.5h", "366d", "9e9d"].map(seconds), [None; 8]);
    }

    #[test]
    fn a_length_is_told_as_it_was_given() {
        let again = |text: &str| told(length(text).unwrap().to_std().unwrap());

        let lengths = ["45s", "90s", "10m", "90m", "12h", "36h", "365d", "2w"].map(again);

        assert_eq!(lengths, ["45s", "1m 30s", "10m", "1h 30m", "12h", "1d 12h", "365d", "14d"]);
        assert_eq!(told(std::time::Duration::from_millis(900)), "0s");
    }
}
