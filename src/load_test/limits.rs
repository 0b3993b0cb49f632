//! What is good enough.

use super::measure::{Kind, Measures};

/// The longest times in milliseconds, and how much may fail.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Thresholds: exit with 1 if one is missed")]
pub(crate) struct Limits {
    /// 95 % of reads
    #[arg(long, value_name = "MS", default_value_t = 50.0)]
    read_ms: f64,

    /// 95 % of writes
    #[arg(long, value_name = "MS", default_value_t = 100.0)]
    write_ms: f64,

    /// 95 % of searches
    #[arg(long, value_name = "MS", default_value_t = 100.0)]
    search_ms: f64,

    /// 95 % of times from an UPDATE in SQL until a client hears of it
    #[arg(long, value_name = "MS", default_value_t = 1_000.0)]
    hot_reload_ms: f64,

    /// 99 % of times from a write until a client hears of it
    #[arg(long, value_name = "MS", default_value_t = 100.0)]
    delivery_ms: f64,

    /// Of a hundred, how many may fail
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    errors: f64,
}

impl Limits {
    /// The percentile that counts for `kind`, and what it may be in milliseconds.
    pub fn of(&self, kind: Kind) -> (f64, f64) {
        match kind {
            Kind::Read => (95.0, self.read_ms),
            Kind::Write => (95.0, self.write_ms),
            Kind::Search => (95.0, self.search_ms),
            Kind::HotReload => (95.0, self.hot_reload_ms),
            Kind::Delivery => (99.0, self.delivery_ms),
        }
    }

    /// What was missed, a line each. What was to be measured and never was, is.
    pub fn missed(&self, measures: &Measures) -> Vec<String> {
        let mut missed = Vec::new();
        for kind in Kind::ALL {
            let Some(measured) = measures.get(kind) else { continue };
            let name = kind.name();
            let (percent, limit) = self.of(kind);
            let time = measured.percentile_ms(percent);
            if measured.is_empty() {
                missed.push(format!("{name}: nothing was measured"));
            } else if time > limit {
                missed.push(format!("{name}: p{percent} is {time:.1} ms, more than {limit} ms"));
            }
            let failed = measured.error_percent();
            if failed > self.errors {
                let most = self.errors;
                missed.push(format!("{name}: {failed:.2} % failed, more than {most} %"));
            }
        }
        missed
    }
}
