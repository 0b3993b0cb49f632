//! The times of a job: five fields, or `@daily` and the like, in a time zone.
//!
//! Clocks that change are as in Debian's cron. Fixed times that fall into the hour that is left
//! out run just after it, and those in the hour that comes twice run once. Where minute or hour
//! begin with `*`, it is what the clock shows that counts.

use std::fmt;

use chrono::{DateTime, Duration, NaiveDateTime, SecondsFormat, TimeZone as _, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::MOST_MISSED;

/// When a job is due.
#[derive(Clone)]
pub struct Schedule {
    cron: Cron,
    zone: Tz,
    /// Whether its minutes and hours are fixed ones.
    is_fixed: bool,
    /// As it was declared.
    text: String,
}

/// What a field may hold, and the longest step in it.
const FIELDS: [(&str, &str, u32); 5] = [
    ("minute", "0 to 59", 59),
    ("hour", "0 to 23", 23),
    ("day of the month", "1 to 31", 31),
    ("month", "1 to 12, or JAN to DEC", 12),
    ("day of the week", "0 to 7, or SUN to SAT", 7),
];

const NICKNAMES: [&str; 7] =
    ["@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"];

impl Schedule {
    /// Reads the times of a job.
    ///
    /// # Errors
    ///
    /// Why they are none, for people.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, String> {
        let text = text.trim();
        if text.starts_with('@') && !NICKNAMES.contains(&text.to_lowercase().as_str()) {
            return Err(format!("`{text}` is none of {}", NICKNAMES.join(", ")));
        }
        // As cron has it: of days and weekdays either will do, unless one of them begins with `*`.
        let days: Vec<&str> = text.split_whitespace().collect();
        let both = [2, 4].iter().any(|it| days.get(*it).is_some_and(|it| it.starts_with('*')));
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .dom_and_dow(both)
            .build();
        refuse_steps(text)?;
        let Ok(cron) = parser.parse(text) else { return Err(reason(&parser, text)) };
        let fields = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_fixed = match text.starts_with('@') {
            true => !text.eq_ignore_ascii_case("@hourly"),
            false => fields.split(' ').take(2).all(|it| !it.starts_with('*')),
        };
        let schedule = Self { cron, zone, is_fixed, text: fields };
        match schedule.after(DateTime::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(format!("`{text}` never comes: no month has such a day")),
        }
    }

    /// The first time after `moment`.
    pub fn after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if !self.is_fixed {
            let found = self.cron.find_next_occurrence(&moment.with_timezone(&self.zone), false);
            return found.ok().map(|it| it.to_utc()).filter(|it| *it > moment);
        }
        // croner takes lists and ranges of hours for what the clock shows; so it is asked about
        // clocks that never change.
        let mut shown = self.shown_before(moment);
        loop {
            let next = self.cron.find_next_occurrence(&shown.and_utc(), false).ok()?.naive_utc();
            let found = self.first_shown(next)?;
            if found > moment {
                return Some(found);
            }
            shown = next;
        }
    }

    /// What the clocks show at `moment`; if they were changed shortly before it, before that.
    fn shown_before(&self, moment: DateTime<Utc>) -> NaiveDateTime {
        let shortly = Duration::hours(3);
        let shown = moment.with_timezone(&self.zone).naive_local();
        let before = (moment - shortly).with_timezone(&self.zone).naive_local();
        if shown - before == shortly { shown } else { before }
    }

    /// When the clocks show `time` first, or what follows it if they never do.
    fn first_shown(&self, time: NaiveDateTime) -> Option<DateTime<Utc>> {
        let minutes = (0..24 * 60).map(|it| time + Duration::minutes(it));
        let mut shown = minutes.filter_map(|it| self.zone.from_local_datetime(&it).earliest());
        shown.next().map(|it| it.to_utc())
    }

    /// The times after one moment up to another, the oldest first. Of more than so many that it
    /// matters to nobody they are the newest, some more than [`MOST_MISSED`].
    pub fn between(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        // One of them may be on time, and one may wait.
        const MOST: usize = MOST_MISSED + 3;
        // Looking back costs as much as there is to be found, not as long as nobody looked.
        let mut window = Duration::hours(1);
        loop {
            let from = until.checked_sub_signed(window).map_or(after, |it| it.max(after));
            let mut found = Vec::new();
            let mut moment = from;
            while let Some(next) = self.after(moment).filter(|it| *it <= until) {
                found.push(next);
                moment = next;
            }
            if from == after || found.len() >= MOST {
                return found.split_off(found.len().saturating_sub(MOST));
            }
            window = window * 2;
        }
    }

    /// `moment` as the clocks of the zone show it, such as `2026-05-01T03:00:00+02:00`.
    pub fn in_zone(&self, moment: DateTime<Utc>) -> String {
        moment.with_timezone(&self.zone).to_rfc3339_opts(SecondsFormat::Secs, false)
    }

    /// The times as they were declared.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn zone(&self) -> &'static str {
        self.zone.name()
    }
}

/// Times and zone: what tells this schedule from another.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.text, self.zone.name())
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({self})")
    }
}

/// Refuses steps that would be taken once, such as `*/70` for minutes: croner takes them for `0`.
fn refuse_steps(text: &str) -> Result<(), String> {
    for (field, (name, _, most)) in text.split_whitespace().zip(FIELDS) {
        let mut steps = field.split(',').filter_map(|it| it.split_once('/'));
        if !steps.all(|(_, step)| step.parse().is_ok_and(|it| (1..=most).contains(&it))) {
            return Err(format!("`{field}` is no {name}: give a step of 1 to {most}"));
        }
    }
    Ok(())
}

/// Why `text` is no time: the first field that is wrong on its own, if one is.
fn reason(parser: &CronParser, text: &str) -> String {
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return format!(
            "`{text}` has {} fields, not 5: minute, hour, day of the month, month, day of the week",
            fields.len()
        );
    }
    for (at, (field, (name, range, _))) in fields.iter().zip(FIELDS).enumerate() {
        let is_one = |it: &str| {
            let mut alone = ["*"; 5];
            alone[at] = it;
            parser.parse(&alone.join(" ")).is_ok()
        };
        if is_one(field) {
            continue;
        }
        let is_number = |it: &str| it.bytes().all(|it| it.is_ascii_digit()) && is_one(it);
        let is_wrong = |(from, to): (&str, &str)| {
            is_number(from) && is_number(to) && !is_one(&format!("{from}-{to}"))
        };
        let mut parts = field.split([',', '/']);
        return match parts.find(|it| it.split_once('-').is_some_and(is_wrong)) {
            Some(part) => format!("`{field}` is no {name}: a range goes up, and {part} does not"),
            None => format!("`{field}` is no {name}: give {range}"),
        };
    }
    format!("`{text}` is no time of a job")
}

#[cfg(test)]
mod tests;
