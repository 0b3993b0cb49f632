//! A length of time as people count back: by the calendar.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Such as `2y5m7d3h`: years, months, days and hours. `m` is no minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span {
    years: u32,
    months: u32,
    days: u32,
    hours: u32,
}

impl Span {
    pub(super) const fn days(days: u32) -> Self {
        Self { years: 0, months: 0, days, hours: 0 }
    }

    pub(super) fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// The moment so long before `moment`, at the same time of day by the clocks of `zone`.
    ///
    /// As Go's `AddDate`, which restic uses, see <https://pkg.go.dev/time#Time.AddDate>: a month
    /// before 31 March is 31 February, that is 3 March. What no calendar has is the oldest time.
    pub(super) fn before(self, moment: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
        self.checked_before(moment, zone).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    fn checked_before(self, moment: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let shown = shown(moment, zone);
        let months = i64::from(shown.year()) * 12 + i64::from(shown.month0())
            - i64::from(self.years) * 12
            - i64::from(self.months);
        let year = i32::try_from(months.div_euclid(12)).ok()?;
        let month = u32::try_from(months.rem_euclid(12) + 1).ok()?;
        let days = Duration::try_days(i64::from(shown.day0()) - i64::from(self.days))?;
        let date = NaiveDate::from_ymd_opt(year, month, 1)?.checked_add_signed(days)?;
        let hours = Duration::try_hours(i64::from(self.hours))?;
        moment_of(date.and_time(shown.time()), zone)?.checked_sub_signed(hours)
    }
}

/// What the clocks of `zone` show at `moment`. Where that is out of all calendars, UTC.
pub(super) fn shown(moment: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    let utc = moment.naive_utc();
    utc.checked_add_signed(offset(&utc, zone)).unwrap_or(utc)
}

/// When the clocks of `zone` show `shown`. Where they never do, or twice, it is what Go's `Date`
/// takes, see <https://pkg.go.dev/time#Date>.
fn moment_of(shown: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    let guess = shown.checked_sub_signed(offset(&shown, zone))?;
    Some(shown.checked_sub_signed(offset(&guess, zone))?.and_utc())
}

/// How much later than `utc` the clocks of `zone` show it.
fn offset(utc: &NaiveDateTime, zone: Tz) -> Duration {
    Duration::seconds(zone.offset_from_utc_datetime(utc).fix().local_minus_utc().into())
}

impl FromStr for Span {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).ok_or_else(|| Error::BadRetention {
            reason: format!(
                "`{text}` is no length of time: give years, months, days and hours, as in 7d or \
                 2y5m7d3h"
            ),
        })
    }
}

fn parse(text: &str) -> Option<Span> {
    let [mut years, mut months, mut days, mut hours] = [None; 4];
    for part in text.split_inclusive(|it: char| !it.is_ascii_digit()) {
        let unit = part.chars().next_back()?;
        let place = match unit {
            'y' => &mut years,
            'm' => &mut months,
            'd' => &mut days,
            'h' => &mut hours,
            _ => return None,
        };
        let count: u32 = part.strip_suffix(unit)?.parse().ok()?;
        if place.replace(count).is_some() {
            return None;
        }
    }
    years.or(months).or(days).or(hours)?;
    let [years, months, days, hours] = [years, months, days, hours].map(Option::unwrap_or_default);
    Some(Span { years, months, days, hours })
}

impl TryFrom<String> for Span {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0d");
        }
        let Self { years, months, days, hours } = *self;
        for (count, unit) in [(years, 'y'), (months, 'm'), (days, 'd'), (hours, 'h')] {
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}
