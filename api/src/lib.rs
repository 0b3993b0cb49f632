//! The HTTP service: `/api` for programs, and news for whoever listens.
//!
//! A door to `ops`: it parses, calls and shows.

use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::middleware::Cors;
use poem::{EndpointExt, Route, get};
use poem_openapi::OpenApiService;

mod accept;
mod access;
mod clients;
mod etag;
mod events;
mod feed;
mod front;
mod health;
mod listen;
mod meters;
mod page;
mod payload;
mod problem;
mod server;
mod service;
mod settings;
mod socket;
mod tickets;
mod tls;
mod written;

pub use feed::{Feed, Message, Wants};
pub use server::{Bound, Running, ServeError, bind};
pub use service::Setup;
pub use tls::Tls;

use front::Front;
use service::Service;

/// What the operations are about.
#[derive(poem_openapi::Tags)]
pub(crate) enum Tags {
    /// Values, one at a time or many.
    Settings,
    /// What has happened, and undoing it.
    History,
    /// Files: where settings come from.
    Sources,
    /// Who may do what, and who listens.
    Access,
}

/// The service as its document describes it.
fn api(service: &Arc<Service>) -> OpenApiService<settings::Settings, ()> {
    let settings = settings::Settings(service.clone());
    OpenApiService::new(settings, "Setpoint", env!("CARGO_PKG_VERSION"))
        .description(DESCRIPTION)
        .url_prefix("/api")
}

const DESCRIPTION: &str = "\
Settings of applications, live everywhere as soon as they change.

Errors are problem documents (RFC 9457) with a stable `code`. An ETag is the revision of what it
comes with. Every write takes `dry_run=true`, which answers with the plan and changes nothing.

News come over a WebSocket, `GET /api/settings/ws`, or as server-sent events,
`GET /api/settings/events`.";

/// Everything the service answers.
fn routes(service: &Arc<Service>) -> BoxEndpoint<'static> {
    let api = api(service);
    let (document, docs) = (api.spec_endpoint(), api.swagger_ui());
    let routes = Route::new()
        .at("/health", get(health::Health))
        .at("/ready", get(health::Ready(service.clone())))
        .at("/metrics", get(health::Metrics(service.clone())))
        .at("/api/openapi.json", document)
        .at("/api/settings/ws", get(socket::Socket(service.clone())))
        .at("/api/settings/events", get(events::Events(service.clone())))
        .nest("/api", api)
        .nest("/docs", docs);
    let front = Front::new(service.clone(), routes);
    let origins = service.setup.load().origins.clone();
    if origins.is_empty() {
        return front.boxed();
    }
    let cors = Cors::new()
        .allow_origins(origins)
        .allow_headers(["authorization", "content-type", "if-match", "if-none-match"])
        .expose_headers(["etag", "retry-after"]);
    front.with(cors).boxed()
}
