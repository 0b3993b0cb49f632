//! `/drift/report`: what a job last found out of line, for people and for programs.

use std::collections::BTreeMap;
use std::sync::Arc;

use poem_openapi::param::Query;
use poem_openapi::payload::{Html, PlainText};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi, ResponseContent};
use setpoint_ops::report::{self, html, markdown};

use crate::Tags;
use crate::access::Caller;
use crate::payload::Rendered;
use crate::problem::ApiResult;
use crate::service::{Service, aside, now};

pub(crate) struct DriftReports(pub Arc<Service>);

/// What was out of line at a time, and nobody ignored.
#[derive(Object)]
#[oai(rename = "StoredDriftReport")]
struct ReportShape {
    /// The job that made it; null if it is of now.
    #[oai(nullable)]
    job: Option<String>,
    at: String,
    epoch: String,
    revision: i64,
    /// How many files were compared.
    files: u64,
    /// How many are left alone on purpose.
    ignored: u64,
    /// The same of each namespace that a source is of; none in a report of an older version.
    namespaces: BTreeMap<String, LookedShape>,
    /// In order of namespace, layer and key.
    drift: Vec<ItemShape>,
}

/// What was looked at in a namespace.
#[derive(Object)]
#[oai(rename = "LookedAt")]
struct LookedShape {
    files: u64,
    ignored: u64,
}

/// One key, or one file, that was out of line.
#[derive(Object)]
#[oai(rename = "StoredDrift")]
struct ItemShape {
    namespace: String,
    layer: String,
    /// Its key, or its file where it is that as a whole.
    name: String,
    kind: String,
    #[oai(nullable)]
    source: Option<String>,
    /// What the file said, as JSON text; null if it did not.
    #[oai(nullable)]
    file: Option<String>,
    /// What it said when it was last imported.
    #[oai(nullable)]
    seed: Option<String>,
    #[oai(nullable)]
    live: Option<String>,
    /// Where the file says it.
    #[oai(nullable)]
    origin: Option<String>,
    /// Why the file cannot be read.
    #[oai(nullable)]
    reason: Option<String>,
    hash: String,
    /// Whether it was not in the report before.
    new: bool,
}

#[derive(Clone, Copy, Default, Enum)]
#[oai(rename = "ReportFormat", rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    /// Markdown.
    Md,
    /// One page that needs nothing else.
    Html,
}

#[derive(ApiResponse)]
enum Told {
    #[oai(status = 200)]
    Ok(Text),
}

#[derive(ResponseContent)]
enum Text {
    Json(Rendered<ReportShape>),
    #[oai(content_type = "text/markdown; charset=utf-8")]
    Markdown(PlainText<String>),
    Html(Html<String>),
}

#[OpenApi(prefix_path = "/drift", tag = "Tags::Sources")]
impl DriftReports {
    /// The newest report of drift
    ///
    /// As a job of the verb `drift` has stored it; one of now if there is none.
    #[oai(path = "/report", method = "get", operation_id = "get_drift_report")]
    async fn report(
        &self,
        caller: Caller,
        /// Only in this namespace.
        ns: Query<Option<String>>,
        /// Compare everything now; nothing is stored, and nobody told.
        fresh: Query<Option<bool>>,
        /// How it is written.
        format: Query<Option<Format>>,
    ) -> ApiResult<Told> {
        let visible = self.0.visible(&caller, ns.0)?;
        let is_fresh = fresh.unwrap_or_default();
        let work = move |service: Arc<Service>| async move {
            let setup = service.setup.load().jobs.clone();
            let db = service.reader().await?;
            service.answer(report::show(&db, &setup.ground, None, is_fresh, now()).await)
        };
        let mut report = aside(&self.0, work).await?;
        report.keep(|it| visible.as_ref().is_none_or(|all| all.iter().any(|one| one == it)));
        Ok(Told::Ok(match format.unwrap_or_default() {
            Format::Json => Text::Json(Rendered::of(&report)),
            Format::Md => Text::Markdown(PlainText(markdown(&report))),
            Format::Html => Text::Html(Html(html(&report))),
        }))
    }
}
