//! `/health`, `/ready` and `/metrics`: for those who run the service.

use std::sync::Arc;

use metrics::gauge;
use poem::http::StatusCode;
use poem::{Endpoint, IntoResponse, Request, Response};
use serde::Serialize;
use setpoint_client::types::{Readiness, ReadyPart};
use setpoint_ops::live::Delivery;

use crate::access::Caller;
use crate::service::Service;

/// Whether the process answers. Nothing is asked of the database: whoever restarts what is not
/// healthy would not mend that.
pub(crate) struct Health;

/// Whether it is of use: the database answers, and news come in.
pub(crate) struct Ready(pub Arc<Service>);

/// For Prometheus.
pub(crate) struct Metrics(pub Arc<Service>);

impl Endpoint for Health {
    type Output = Response;

    async fn call(&self, _: Request) -> poem::Result<Response> {
        Ok(answer(StatusCode::OK, &serde_json::json!({ "status": "ok" })))
    }
}

impl Endpoint for Ready {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let service = &self.0;
        let (snapshot, status) = (service.live.snapshot(), service.live.status());
        let setup = service.setup.load();
        let age = status.checked.elapsed();
        let is_followed = status.delivery != Delivery::Off;
        let is_fresh = !is_followed || age <= setup.stale_after;
        let is_stopping = service.stopping.is_cancelled();
        // The words of a database name its host and path, which strangers are not told.
        let is_known = request.extensions().get::<Caller>().is_some();
        let part = |ok: bool, detail: Option<String>| ReadyPart {
            ok,
            detail: detail.filter(|_| is_known),
        };
        let said = match (is_stopping, is_fresh && status.failure.is_none()) {
            (true, _) => "stopping",
            (false, true) => Readiness::READY,
            (false, false) => "not ready",
        };
        let readiness = Readiness {
            status: said.to_owned(),
            database: part(status.failure.is_none(), status.failure.clone()),
            snapshot: part(
                is_fresh,
                is_followed.then(|| format!("compared {} ms ago", age.as_millis())),
            ),
            news: part(
                status.delivery != Delivery::Poll,
                Some(
                    match status.delivery {
                        Delivery::Off => "other writers are not followed",
                        Delivery::FileEvents => "by file events",
                        Delivery::Listen => "by LISTEN",
                        Delivery::Poll => "by asking from time to time",
                    }
                    .to_owned(),
                ),
            ),
            epoch: snapshot.history.to_string(),
            revision: snapshot.revision,
        };
        let status = match readiness.is_ready() {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        Ok(answer(status, &readiness))
    }
}

fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    let text = serde_json::to_vec(body).expect("an answer is texts and numbers");
    Response::builder().status(status).content_type("application/json").body(text)
}

impl Endpoint for Metrics {
    type Output = Response;

    async fn call(&self, _: Request) -> poem::Result<Response> {
        let service = &self.0;
        let (snapshot, status) = (service.live.snapshot(), service.live.status());
        #[expect(clippy::cast_precision_loss, reason = "a metric is a float")]
        {
            gauge!("settings_revision").set(snapshot.revision as f64);
            gauge!("settings_kept_out").set(snapshot.refused().len() as f64);
            for name in snapshot.namespaces() {
                let count = snapshot.space(name).map_or(0, |it| it.len());
                gauge!("settings_live", "namespace" => name.to_owned()).set(count as f64);
            }
        }
        gauge!("snapshot_age_seconds").set(status.checked.elapsed().as_secs_f64());
        gauge!("database_up").set(if status.failure.is_none() { 1.0 } else { 0.0 });
        process();
        let text = service.meters.render();
        Ok(text.with_content_type("text/plain; version=0.0.4").into_response())
    }
}

/// What /proc tells of this process, see proc_pid_stat(5).
fn process() {
    let ticks = rustix::param::clock_ticks_per_second();
    let page_bytes = rustix::param::page_size();
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return };
    // The name may hold anything, so the fields are counted from behind it.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map_or("", |it| it.1).split_whitespace().collect();
    let field = |at: usize| fields.get(at - 3).and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
    let (user, system, resident_pages) = (field(14), field(15), field(24));
    #[expect(clippy::cast_precision_loss, reason = "a metric is a float")]
    {
        // A counter has whole numbers only.
        gauge!("process_cpu_seconds_total").set((user + system) as f64 / ticks as f64);
        gauge!("process_resident_memory_bytes").set((resident_pages * page_bytes as u64) as f64);
    }
}
