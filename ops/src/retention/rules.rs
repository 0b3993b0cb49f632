//! What the rules of a policy keep.

use chrono::{DateTime, Datelike, NaiveDateTime, Timelike, Utc};

use super::span::shown;
use super::{Count, Period, Policy, Reason};

/// Why each of `verified`, the newest first, is kept; nothing where no rule wants it.
///
/// Each rule goes from the newest to the oldest and takes the first of each period that has one,
/// until it has taken as many as it may. One that has some to spare takes the oldest of all too,
/// so that what is kept reaches back as far as it can.
pub(super) fn reasons(verified: &[DateTime<Utc>], policy: &Policy) -> Vec<Vec<Reason>> {
    let within = policy.keep_within.filter(|it| !it.is_zero());
    let within = within.map(|span| {
        let start = verified.first().map(|it| span.before(*it, policy.time_zone));
        (span, start.unwrap_or(DateTime::<Utc>::MIN_UTC))
    });

    let mut rules = policy.counts().map(|(period, left)| Rule { period, left, last: None });
    let mut reasons = Vec::with_capacity(verified.len());
    for (at, moment) in verified.iter().enumerate() {
        let shown = shown(*moment, policy.time_zone);
        let is_oldest = at + 1 == verified.len();
        let within = within.filter(|(_, start)| moment > start);
        let within = within.map(|(span, _)| Reason::Within(span));
        let of_rules = rules.iter_mut().filter_map(|it| it.ask(shown, at, is_oldest));
        reasons.push(within.into_iter().chain(of_rules).collect());
    }
    reasons
}

struct Rule {
    period: Period,
    left: Count,
    /// The period of the one it took last.
    last: Option<i64>,
}

impl Rule {
    /// Whether it takes the backup of the time that clocks `shown`, which is number `at`.
    fn ask(&mut self, shown: NaiveDateTime, at: usize, is_oldest: bool) -> Option<Reason> {
        if self.left.is_zero() {
            return None;
        }
        let number = self.period.number(shown, at);
        let is_of_another = self.last != Some(number);
        if !is_of_another && !is_oldest {
            return None;
        }
        self.last = Some(number);
        self.left.take();
        Some(match is_of_another {
            true => Reason::NewestOf(self.period),
            false => Reason::OldestOf(self.period),
        })
    }
}

impl Period {
    /// The same for all times of one period, and for no other.
    fn number(self, shown: NaiveDateTime, at: usize) -> i64 {
        let date = shown.date();
        let day = i64::from(date.num_days_from_ce());
        match self {
            Self::Last => i64::try_from(at).unwrap_or(i64::MAX),
            Self::Hour => day * 24 + i64::from(shown.hour()),
            Self::Day => day,
            Self::Week => {
                i64::from(date.iso_week().year()) * 100 + i64::from(date.iso_week().week())
            }
            Self::Month => i64::from(date.year()) * 12 + i64::from(date.month0()),
            Self::Year => i64::from(date.year()),
        }
    }
}
