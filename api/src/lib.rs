//! The HTTP service: `/api` for programs, and news for whoever listens.
//!
//! A door to `ops`: it parses, calls and shows.

use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::{EndpointExt, Route, get};
use poem_openapi::OpenApiService;

mod accept;
mod access;
mod allow;
mod audit;
mod backups;
mod body;
mod carry_out;
mod clients;
mod confirm;
mod document;
mod drift;
mod drift_report;
mod etag;
mod events;
mod feed;
mod front;
mod health;
mod history;
mod jobs;
mod listen;
mod meters;
mod openapi;
mod origin;
mod page;
mod payload;
mod plan_shape;
mod plans;
mod problem;
mod rate;
mod revisions;
mod schema;
mod search;
mod section;
mod server;
mod service;
mod settings;
mod socket;
mod sources;
mod tickets;
mod tls;
mod tokens;
mod update;
mod written;

#[cfg(test)]
mod tests;

pub use feed::{Feed, Message, Wants};
pub use server::{Bound, Running, ServeError, bind};
pub use service::Setup;
pub use tls::Tls;

use allow::Allowing;
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
    /// What is done at night: backups, and jobs.
    Operation,
    /// Who may do what, and who listens.
    Access,
}

/// Everything that is in the document, in the order of the document. More than 16 do not go into
/// one tuple.
type Resources = (
    settings::Settings,
    history::KeyHistory,
    update::Update,
    search::Search,
    schema::Schemas,
    section::Sections,
    plans::PlanApi,
    revisions::Revisions,
    confirm::Confirm,
    audit::Audit,
    sources::Sources,
    drift::DriftApi,
    (drift_report::DriftReports, backups::Backups, jobs::Jobs),
    tokens::Tokens,
    tickets::TicketApi,
    clients::ClientApi,
);

/// The service as its document describes it.
fn api(service: &Arc<Service>) -> OpenApiService<Resources, ()> {
    let it = || service.clone();
    let resources = (
        settings::Settings(it()),
        history::KeyHistory(it()),
        update::Update(it()),
        search::Search(it()),
        schema::Schemas(it()),
        section::Sections(it()),
        plans::PlanApi(it()),
        revisions::Revisions(it()),
        confirm::Confirm(it()),
        audit::Audit(it()),
        sources::Sources(it()),
        drift::DriftApi(it()),
        (drift_report::DriftReports(it()), backups::Backups(it()), jobs::Jobs(it())),
        tokens::Tokens(it()),
        tickets::TicketApi(it()),
        clients::ClientApi(it()),
    );
    OpenApiService::new(resources, "Setpoint", env!("CARGO_PKG_VERSION"))
        .description(DESCRIPTION)
        .url_prefix("/api")
}

const DESCRIPTION: &str = "\
Settings of applications, live everywhere as soon as they change.

Errors are problem documents (RFC 9457) with a stable `code`. An ETag is the revision of what it
comes with. Every change of settings takes `dry_run=true`, which answers with the plan and changes
nothing, and a `reason` for the history, which names the token. A plan is a dry run itself: it is
carried out by `apply`. With `confirm_within=10m` a change of settings is undone again unless
`POST /api/revisions/{id}/confirm` comes in time; `reject_limit` says how many clients may reject
it before it is undone at once. Parameters that an operation does not have are refused, so none is
overlooked.

The `epoch` is another one when a backup was restored, or when other layers, secrets or schemas
are declared: what was read before may be another value at the same revision.

Lists come in pages: `next` of one is the `cursor` of the one after it.

## News

The messages are the schemas `ClientFrame` and `ServerFrame`.

`GET /api/settings/ws` is a WebSocket with the subprotocol `setpoint.v1`. The client says hello,
`{\"type\": \"Hello\", \"patterns\": [\"http.**\"]}`, with `epoch` and `revision` if it has been
told something before. It is told `SettingsReloaded` with everything, or what came since; then
`SettingChanged`, `SettingsBatchChanged` or `PresetApplied` for each revision, and a `Ping`, which
it answers with `{\"type\": \"Pong\"}`. It may say `Applied` or `Rejected` of a revision, which
`GET /api/clients` shows; what waits to be confirmed and is rejected by too many is undone.

`GET /api/settings/events` tells the same as server-sent events: `?ns=`, `?pattern=` with
commas between several, `?user=`. `Last-Event-ID` goes on where a connection ended.

A browser, which can send no token with these, gets a ticket for `?ticket=` first:
`POST /api/tickets`.";

/// Everything the service answers.
fn routes(service: &Arc<Service>) -> BoxEndpoint<'static> {
    let routes = Route::new()
        .at("/health", get(health::Health))
        .at("/ready", get(health::Ready(service.clone())))
        .at("/metrics", get(health::Metrics(service.clone())))
        .at("/api/openapi.json", get(openapi::document()))
        .at("/api/settings/ws", get(socket::Socket(service.clone())))
        .at("/api/settings/events", get(events::Events(service.clone())))
        .nest("/api", api(service))
        .at("/docs", get(openapi::docs()));
    let front = Front::new(service.clone(), Allowing::new(routes, openapi::DOCUMENT));
    front.boxed()
}
