//! What is said of a test: a table, JSON, and a page.

use std::fmt::Write as _;

use serde::Serialize;

use setpoint_ops::amount::counted;

use super::limits::Limits;
use super::measure::Kind;
use super::process::Usage;
use super::{Load, Outcome};
use crate::console;

/// What came of a test, held against its thresholds.
#[derive(Serialize)]
pub(crate) struct Report {
    profile: String,
    url: String,
    users: usize,
    /// Requests in a second: wanted, and answered.
    rps_wanted: f64,
    rps: f64,
    seconds: f64,
    measured: Vec<Row>,
    server: Option<Usage>,
    /// The test itself.
    client: Option<Usage>,
    errors: Vec<Failure>,
    pub missed: Vec<String>,
    notes: Vec<String>,
}

/// One kind of work.
#[derive(Serialize)]
struct Row {
    what: &'static str,
    count: u64,
    errors: u64,
    /// None if there was no answer.
    p50_ms: Option<f64>,
    p90_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    max_ms: Option<f64>,
    limit_percentile: f64,
    limit_ms: f64,
}

#[derive(Serialize)]
struct Failure {
    what: &'static str,
    count: u64,
    message: String,
}

const HEAD: [&str; 9] = ["what", "count", "errors", "p50", "p90", "p95", "p99", "max", "limit"];

impl Report {
    pub fn new(profile: &str, url: &str, load: Load, limits: &Limits, outcome: Outcome) -> Self {
        let (mut measured, mut errors) = (Vec::new(), Vec::new());
        for kind in Kind::ALL {
            let Some(it) = outcome.measures.get(kind) else { continue };
            let (limit_percentile, limit_ms) = limits.of(kind);
            let percentile_ms = |percent| (!it.is_empty()).then(|| it.percentile_ms(percent));
            measured.push(Row {
                what: kind.name(),
                count: it.count(),
                errors: it.error_count(),
                p50_ms: percentile_ms(50.0),
                p90_ms: percentile_ms(90.0),
                p95_ms: percentile_ms(95.0),
                p99_ms: percentile_ms(99.0),
                max_ms: percentile_ms(100.0),
                limit_percentile,
                limit_ms,
            });
            errors.extend(it.errors.iter().map(|(message, &count)| Failure {
                what: kind.name(),
                count,
                message: message.clone(),
            }));
        }
        Self {
            profile: profile.to_owned(),
            url: url.to_owned(),
            users: load.users,
            rps_wanted: load.rps,
            rps: outcome.rps,
            seconds: outcome.took.as_secs_f64(),
            measured,
            server: outcome.usage,
            client: outcome.own_usage,
            errors,
            missed: limits.missed(&outcome.measures),
            notes: outcome.notes,
        }
    }

    /// For a terminal of 80 columns.
    pub fn text(&self) -> String {
        let rows: Vec<Vec<String>> = self.measured.iter().map(Row::cells).collect();
        let mut text = console::table(&HEAD, &rows);
        text.push_str("times in milliseconds\n\n");
        for line in self.lines() {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    /// The page that is kept.
    pub fn markdown(&self) -> String {
        let mut text = format!("# Load test: {}\n\n", self.verdict());
        push_row(&mut text, HEAD.map(str::to_owned));
        push_row(&mut text, HEAD.map(|it| if it == "what" { "---" } else { "---:" }.to_owned()));
        for row in &self.measured {
            push_row(&mut text, row.cells());
        }
        text.push_str("\nTimes in milliseconds, from when a request was due to its answer.\n\n");
        for line in self.lines() {
            // The writer of a text fails never.
            let _ = writeln!(text, "- {line}");
        }
        text
    }

    fn verdict(&self) -> String {
        match self.missed.len() {
            0 => "passed".to_owned(),
            count => format!("{} missed", counted(count, "threshold")),
        }
    }

    fn lines(&self) -> Vec<String> {
        let Self { profile, url, users, rps_wanted, rps, seconds, .. } = self;
        let mut lines = vec![format!(
            "{profile}, {url}: {users} users, {rps:.1} of {rps_wanted} requests/s, {seconds:.1} s"
        )];
        for (who, usage) in [("server", self.server), ("this test", self.client)] {
            let Some(Usage { memory_bytes_max, cpu_percent }) = usage else { continue };
            let mib = memory_bytes_max as f64 / 1_048_576.0;
            lines.push(format!("{who}: {mib:.1} MiB at most, {cpu_percent:.1} % of a processor"));
        }
        lines.extend(self.notes.iter().map(|it| format!("note: {it}")));
        let failure =
            |it: &Failure| format!("failed: {}, {} times: {}", it.what, it.count, it.message);
        lines.extend(self.errors.iter().map(failure));
        lines.extend(self.missed.iter().map(|it| format!("missed: {it}")));
        lines.push(self.verdict());
        lines
    }
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let limit = format!("p{} {}", self.limit_percentile, self.limit_ms);
        let times = [self.p50_ms, self.p90_ms, self.p95_ms, self.p99_ms, self.max_ms].map(short);
        let counts = [self.count, self.errors].map(|it| it.to_string());
        [self.what.to_owned()].into_iter().chain(counts).chain(times).chain([limit]).collect()
    }
}

/// Three digits that matter.
fn short(ms: Option<f64>) -> String {
    match ms {
        None => "-".to_owned(),
        Some(ms) if ms < 10.0 => format!("{ms:.2}"),
        Some(ms) if ms < 100.0 => format!("{ms:.1}"),
        Some(ms) if ms < 100_000.0 => format!("{ms:.0}"),
        Some(ms) => format!("{:.0}s", ms / 1_000.0),
    }
}

fn push_row(text: &mut String, cells: impl IntoIterator<Item = String>) {
    for cell in cells {
        text.push_str("| ");
        text.push_str(&cell);
        text.push(' ');
    }
    text.push_str("|\n");
}
