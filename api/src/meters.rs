//! What an operator looks at, as Prometheus reads it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use setpoint_ops::backup::{Freshness, freshness};

use crate::service::{Service, now};

/// The counters of requests, found once.
pub(crate) struct Meters {
    handle: PrometheusHandle,
    pub read: Counter,
    pub write: Counter,
    pub write_failed: Counter,
    pub write_duration: Histogram,
    pub search_duration: Histogram,
    pub websockets: Gauge,
    pub event_streams: Gauge,
    pub reloads: Counter,
    pub reloads_failed: Counter,
    pub connections_refused: Counter,
    pub sent: Counter,
    pub resyncs: Counter,
    pub dropped: Counter,
    pub rejected: Counter,
    pub refused: Counter,
    /// Whether it was ever told how old the backups are: then it goes on to be.
    has_backups: AtomicBool,
}

/// Upper bounds of buckets, in seconds.
const BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

const BACKUP_TAKEN: &str = "setpoint_backup_last_success_timestamp_seconds";
const BACKUP_VERIFIED: &str = "setpoint_backup_last_verified_timestamp_seconds";
const BACKUP_SIZE: &str = "setpoint_backup_size_bytes";

impl Meters {
    /// # Errors
    ///
    /// If a recorder was installed before, by another service in this process.
    pub(crate) fn install() -> Result<Self, BuildError> {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_duration".to_owned()), &BUCKETS)?;
        Ok(Self::of(builder.install_recorder()?))
    }

    /// Meters that nobody reads, of which there can be several.
    #[cfg(test)]
    pub(crate) fn apart() -> Self {
        Self::of(PrometheusBuilder::new().build_recorder().handle())
    }

    fn of(handle: PrometheusHandle) -> Self {
        describe_counter!("settings_read_total", "Settings that were read over HTTP");
        describe_counter!("settings_write_total", "Changes that were written over HTTP");
        describe_counter!("settings_write_failed_total", "Changes that were refused or failed");
        describe_histogram!(
            "settings_write_duration",
            "Seconds until what was changed was on the disk"
        );
        describe_histogram!("settings_search_duration", "Seconds that a search took");
        describe_gauge!("websocket_connections_active", "WebSockets that are open");
        describe_gauge!("sse_connections_active", "Event streams that are open");
        describe_counter!("hotreload_events_total", "Revisions that became live, by their channel");
        describe_counter!("hotreload_failed_total", "Configurations that could not be taken");
        describe_counter!("news_sent_total", "Messages about changes that were sent to clients");
        describe_counter!("news_resync_total", "Times that a client had to be sent everything");
        describe_counter!("clients_dropped_total", "Clients that were dropped for their silence");
        describe_counter!("clients_rejected_total", "Revisions that a client would not run with");
        describe_counter!("requests_refused_total", "Requests refused before they were routed");
        describe_counter!("connections_refused_total", "Connections refused: there were too many");
        describe_counter!("http_requests_total", "Answers, by class of status");
        describe_gauge!("settings_revision", "The newest revision that is live");
        describe_gauge!("settings_live", "Settings that are live, by namespace");
        describe_gauge!("settings_kept_out", "Changes made by SQL that are kept out");
        describe_gauge!("snapshot_age_seconds", "Since when the database was last compared");
        describe_gauge!("database_up", "1 if the database could be asked the last time");
        describe_gauge!(
            BACKUP_TAKEN,
            "When the newest backup was taken, in Unix time; 0 if it is gone"
        );
        describe_gauge!(BACKUP_VERIFIED, "When a backup was last read back whole, in Unix time");
        describe_gauge!(BACKUP_SIZE, "The size of the newest backup");
        describe_gauge!("process_resident_memory_bytes", "Memory of this process");
        describe_gauge!("process_start_time_seconds", "When this process started, in Unix time");
        describe_gauge!("process_cpu_seconds_total", "CPU time of this process");
        gauge!("process_start_time_seconds").set(since_1970().as_secs_f64());
        Self {
            handle,
            read: counter!("settings_read_total"),
            write: counter!("settings_write_total"),
            write_failed: counter!("settings_write_failed_total"),
            write_duration: histogram!("settings_write_duration"),
            search_duration: histogram!("settings_search_duration"),
            websockets: gauge!("websocket_connections_active"),
            event_streams: gauge!("sse_connections_active"),
            reloads: counter!("hotreload_events_total", "channel" => "config"),
            reloads_failed: counter!("hotreload_failed_total", "channel" => "config"),
            connections_refused: counter!("connections_refused_total"),
            sent: counter!("news_sent_total"),
            resyncs: counter!("news_resync_total"),
            dropped: counter!("clients_dropped_total"),
            rejected: counter!("clients_rejected_total"),
            refused: counter!("requests_refused_total"),
            has_backups: AtomicBool::new(false),
        }
    }

    /// Everything, as text for Prometheus.
    pub(crate) fn render(&self) -> String {
        self.handle.render()
    }

    fn backups(&self, it: &Freshness) {
        let is_told = it.taken_at.is_some() || self.has_backups.load(Ordering::Relaxed);
        if !is_told {
            return;
        }
        self.has_backups.store(true, Ordering::Relaxed);
        let moment = |it: Option<DateTime<Utc>>| it.map_or(0, |it| it.timestamp());
        #[expect(clippy::cast_precision_loss, reason = "a metric is a float")]
        {
            gauge!(BACKUP_TAKEN).set(moment(it.taken_at) as f64);
            gauge!(BACKUP_VERIFIED).set(moment(it.verified_at) as f64);
            gauge!(BACKUP_SIZE).set(it.size_bytes as f64);
        }
    }

    /// Tidies up, from time to time.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

/// Measures how old the backups are, by the record in the database. What cannot be asked stays as
/// it was: whether the database answers is another metric.
pub(crate) async fn of_backups(service: &Service) {
    let measured = async { freshness(&service.live.reader().await?, now()).await };
    match measured.await {
        Ok(freshness) => service.meters.backups(&freshness),
        Err(error) => tracing::debug!(%error, "cannot tell how old the backups are"),
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
