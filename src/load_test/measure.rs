//! What is counted of each kind of work.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// `GET /api/settings/{key}`
    Read,
    /// `PUT /api/settings/{key}`, until it is answered.
    Write,
    /// `GET /api/settings/search`
    Search,
    /// From an `UPDATE` in SQL until a client hears of it.
    HotReload,
    /// From a `PUT` until a client hears of it.
    Delivery,
}

impl Kind {
    pub const ALL: [Self; 5] =
        [Self::Read, Self::Write, Self::Search, Self::HotReload, Self::Delivery];

    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Search => "search",
            Self::HotReload => "hot reload",
            Self::Delivery => "delivery",
        }
    }
}

/// The times of one kind of work, and what failed of it.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// In microseconds.
    times: Histogram<u64>,
    answered: u64,
    /// How often each thing has gone wrong.
    pub errors: BTreeMap<String, u64>,
}

/// An hour, in microseconds.
const LONGEST: u64 = 3_600_000_000;

impl Default for Measured {
    fn default() -> Self {
        let times = Histogram::new_with_bounds(1, LONGEST, 3);
        let times = times.expect("the bounds are constants that a histogram can have");
        Self { times, answered: 0, errors: BTreeMap::new() }
    }
}

impl Measured {
    pub fn took(&mut self, time: Duration) {
        self.answered += 1;
        self.record(time);
    }

    /// It took at least so long, and then nobody waited any more.
    pub fn gave_up(&mut self, time: Duration, why: impl Into<String>) {
        self.record(time);
        self.failed(why);
    }

    pub fn failed(&mut self, why: impl Into<String>) {
        self.failed_often(why, 1);
    }

    pub fn failed_often(&mut self, why: impl Into<String>, count: u64) {
        if count > 0 {
            *self.errors.entry(why.into()).or_default() += count;
        }
    }

    /// How many were tried.
    pub fn count(&self) -> u64 {
        self.answered + self.error_count()
    }

    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// Whether there is any time.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }

    /// How many of a hundred failed.
    pub fn error_percent(&self) -> f64 {
        self.error_count() as f64 * 100.0 / self.count().max(1) as f64
    }

    /// The time, in milliseconds, that `percent` of a hundred did not exceed.
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        self.times.value_at_percentile(percent) as f64 / 1_000.0
    }

    fn record(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(LONGEST);
        self.times.saturating_record(micros.clamp(1, LONGEST));
    }
}

/// Every kind that was tried.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measures(BTreeMap<Kind, Measured>);

impl Measures {
    pub fn of(&mut self, kind: Kind) -> &mut Measured {
        self.0.entry(kind).or_default()
    }

    pub fn get(&self, kind: Kind) -> Option<&Measured> {
        self.0.get(&kind)
    }
}
