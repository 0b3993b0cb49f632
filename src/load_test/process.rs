//! What the service needs of the machine.

use std::fs;
use std::time::Duration;

use serde::Serialize;
use setpoint_client::Service;

/// Where it is read.
#[derive(Debug)]
pub(crate) enum Process {
    /// `/proc` of this machine.
    Here(u32),
    /// `/metrics` of the service.
    There(Box<Service>),
}

/// At one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    memory_bytes: u64,
    /// Since the process began.
    cpu_seconds: f64,
}

/// Over the whole test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Usage {
    pub memory_bytes_max: u64,
    /// Of one processor: 150 are one and a half.
    pub cpu_percent: f64,
}

/// What has been seen so far.
#[derive(Debug)]
pub(crate) struct Meter {
    process: Process,
    last: Option<Sample>,
    memory_bytes_max: u64,
    /// Since the first look.
    cpu_seconds: f64,
}

impl Meter {
    pub fn new(process: Process) -> Self {
        Self { process, last: None, memory_bytes_max: 0, cpu_seconds: 0.0 }
    }

    /// Looks once more. What cannot be read is left out.
    pub async fn look(&mut self) {
        let Some(sample) = self.process.sample().await else { return };
        self.add(sample);
    }

    fn add(&mut self, sample: Sample) {
        let before = self.last.replace(sample).unwrap_or(sample);
        // It is less than before if the service was started anew.
        self.cpu_seconds += (sample.cpu_seconds - before.cpu_seconds).max(0.0);
        self.memory_bytes_max = self.memory_bytes_max.max(sample.memory_bytes);
    }

    /// None if nothing could be read.
    pub fn usage(&self, over: Duration) -> Option<Usage> {
        self.last?;
        let cpu_percent = self.cpu_seconds * 100.0 / over.as_secs_f64();
        Some(Usage { memory_bytes_max: self.memory_bytes_max, cpu_percent })
    }
}

impl Process {
    async fn sample(&self) -> Option<Sample> {
        match self {
            Self::Here(id) => {
                let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
                let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
                of_proc(&status, &stat)
            }
            Self::There(service) => of_metrics(&service.text("/metrics").await.ok()?),
        }
    }
}

/// How many of the units in `/proc/PID/stat` make a second, on every Linux.
const TICKS: f64 = 100.0;

fn of_proc(status: &str, stat: &str) -> Option<Sample> {
    let memory = status.lines().find_map(|it| it.strip_prefix("VmRSS:"))?;
    let kib: u64 = memory.trim().trim_end_matches("kB").trim().parse().ok()?;
    // The name in parentheses may hold anything, so the fields count from its end: see proc(5).
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11).map_while(|it| it.parse::<f64>().ok());
    let ticks = times.next()? + times.next()?;
    Some(Sample { memory_bytes: kib * 1024, cpu_seconds: ticks / TICKS })
}

fn of_metrics(text: &str) -> Option<Sample> {
    let value = |name: &str| {
        let line = text.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|it| it.trim().parse::<f64>().ok())
    };
    let memory = value("process_resident_memory_bytes")?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it counts bytes")]
    let memory_bytes = memory as u64;
    Some(Sample { memory_bytes, cpu_seconds: value("process_cpu_seconds_total")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_whose_name_has_spaces_is_read() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4 5 0 0 0 150 50 0 0 20 0";

        let sample = of_proc("Name:\ta\nVmRSS:\t    2048 kB\n", stat);

        assert_eq!(sample, Some(Sample { memory_bytes: 2_097_152, cpu_seconds: 2.0 }));
    }

    #[test]
    fn metrics_are_read() {
        let text = "# TYPE process_resident_memory_bytes gauge\n\
            process_resident_memory_bytes 2.5e7\nprocess_cpu_seconds_total 1.25\n";

        let sample = of_metrics(text);

        assert_eq!(sample, Some(Sample { memory_bytes: 25_000_000, cpu_seconds: 1.25 }));
    }

    #[test]
    fn a_service_that_was_started_anew_has_used_no_less() {
        let mut meter = Meter::new(Process::Here(0));
        for cpu_seconds in [5.0, 6.0, 0.5, 1.5] {
            meter.add(Sample { memory_bytes: 1, cpu_seconds });
        }

        let usage = meter.usage(Duration::from_secs(10)).unwrap();

        assert!((usage.cpu_percent - 20.0).abs() < 0.001, "{usage:?}");
    }

    #[tokio::test]
    async fn this_process_is_measured() {
        let mut meter = Meter::new(Process::Here(std::process::id()));

        meter.look().await;

        assert!(meter.usage(Duration::from_secs(1)).is_some_and(|it| it.memory_bytes_max > 0));
    }
}
