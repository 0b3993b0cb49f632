//! The job that reports drift, and raises the alarm over what is new.
//!
//! Whoever could not be told is told with the next report: an alarm may come twice, and is never
//! lost.

use chrono::{DateTime, Utc};
use metrics::{counter, describe_counter, describe_gauge, gauge};
use serde_json::{Value, json};

use super::{Effect, Ended, Ground, Store};
use crate::Result;
use crate::drift::Kind;
use crate::report::{self, Report};
use crate::webhook::Webhook;

const OPEN: &str = "setpoint_drift_open";
const NEW: &str = "setpoint_drift_new_total";

/// Of more than this somebody is told the number alone.
const TOLD: usize = 100;

pub(super) fn describe() {
    describe_gauge!(OPEN, "What the last report found out of line and nobody ignores");
    describe_counter!(NEW, "What was found out of line that was not so in the report before");
}

pub(super) async fn drift(
    store: Store<'_>,
    ground: &Ground,
    job: &str,
    webhook: Option<&Webhook>,
    now: DateTime<Utc>,
) -> Result<Ended> {
    let db = store.reader().await?;
    let report = report::make(&db, ground, Some(job), now).await?;
    // Nobody is to wait for it while others are told.
    drop(db);
    measure(&report, ground);
    let new = report.new_ones().count();
    let mut result = Ok(report.summary());
    if new > 0 {
        let names: Vec<&str> = report.new_ones().map(|it| it.name.as_str()).take(10).collect();
        tracing::warn!(job, new, names = names.join(", "), "there is new drift");
        if let Some(webhook) = webhook {
            let sent = webhook.send(&alarm(&report), &ground.webhook_hosts, &ground.root).await;
            if let Err(reason) = sent {
                result = Err(format!("{}; nobody was told: {reason}", report.summary()));
            }
        }
    }
    let told = result.is_ok();
    if told {
        // What nobody could be told of is new again the next time.
        counter!(NEW).increment(new as u64);
    }
    let effect = Effect::Report { report: Box::new(report), told };
    Ok(Ended { result, effect, is_final: false })
}

fn measure(report: &Report, ground: &Ground) {
    let counts = report.counts();
    let mut namespaces: Vec<&str> = ground.sources.iter().map(|it| it.namespace.as_str()).collect();
    namespaces.extend(report.drift.iter().map(|it| it.namespace.as_str()));
    namespaces.sort_unstable();
    namespaces.dedup();
    for namespace in namespaces {
        for kind in Kind::ALL.map(Kind::name) {
            let count = counts.get(&(namespace, kind)).copied().unwrap_or_default();
            gauge!(OPEN, "namespace" => namespace.to_owned(), "kind" => kind).set(count as f64);
        }
    }
}

/// What others are told: names, and no value.
fn alarm(report: &Report) -> Value {
    let one = |it: &report::Item| {
        json!({"namespace": it.namespace, "layer": it.layer, "name": it.name, "kind": it.kind,
               "source": it.source})
    };
    json!({
        "event": "drift",
        "text": format!("Setpoint: {}", report.summary()),
        "job": report.job,
        "at": report.at,
        "revision": report.revision,
        "open": report.drift.len(),
        "new": report.new_ones().count(),
        "drift": report.new_ones().take(TOLD).map(one).collect::<Vec<_>>(),
    })
}
