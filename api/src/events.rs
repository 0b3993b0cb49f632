//! `/api/settings/events`: the same news as server-sent events, for whoever only listens.
//!
//! Each event is a frame of the WebSocket; its id is where it leads to, so a browser that connects
//! again goes on from there.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream;
use poem::http::{HeaderValue, StatusCode};
use poem::web::sse::{Event, SSE};
use poem::{Endpoint, IntoResponse, Request, Response};
use serde::Deserialize;
use serde::de::IgnoredAny;
use setpoint_client::types::{Position, ServerFrame};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::access::Caller;
use crate::clients::{Listed, Transport};
use crate::feed::{self, Feed, Sending};
use crate::front::address;
use crate::listen::{client, refused, wants, welcome};
use crate::problem::{ApiError, ApiResult};
use crate::service::Service;

pub(crate) struct Events(pub Arc<Service>);

/// What the query says; patterns are divided by commas.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    ns: Option<String>,
    pattern: Option<String>,
    user: Option<String>,
    client: Option<String>,
    after: Option<String>,
    /// Redeemed by now.
    #[serde(rename = "ticket")]
    _ticket: Option<IgnoredAny>,
}

impl Endpoint for Events {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        match open(&self.0, &request) {
            Ok(response) => Ok(response),
            Err(error) => Ok(error.into_response()),
        }
    }
}

/// One who listens.
struct Listener {
    service: Arc<Service>,
    /// Ends when the token is good no more.
    refused: Pin<Box<dyn Future<Output = ApiError> + Send>>,
    feed: Feed,
    heartbeat: Interval,
    listed: Listed,
    /// Sent before anything else.
    welcome: Option<Event>,
    /// Of the message that was told last.
    sending: Option<Sending>,
    _counted: Counted,
}

/// Counts an open stream, for as long as it is held.
struct Counted(metrics::Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

fn open(service: &Arc<Service>, request: &Request) -> ApiResult<Response> {
    let caller = request.extensions().get::<Caller>();
    let caller = caller.expect("the front puts it there").clone();
    let asked: Asked = request.params().map_err(|error| {
        ApiError::new(StatusCode::BAD_REQUEST, "request::invalid", error.to_string())
            .help("the query takes ns, pattern, user, client and after")
    })?;
    let patterns = asked.pattern.as_deref().map(|it| it.split(',').map(str::to_owned).collect());
    let patterns: Vec<String> = patterns.unwrap_or_default();
    let wants = wants(service, &caller, asked.ns, &patterns, asked.user)?;
    let last = request.headers().get("last-event-id").and_then(|it| it.to_str().ok());
    let position = last.or(asked.after.as_deref()).and_then(position);
    let setup = service.setup.load();
    let client = client(&caller, asked.client, address(request), Transport::Sse, &wants);
    let welcome = welcome(service, &client);
    let mut heartbeat = interval_at(Instant::now() + setup.heartbeat, setup.heartbeat);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    service.meters.event_streams.increment(1.0);
    let listener = Listener {
        service: service.clone(),
        refused: Box::pin(refused(service.clone(), caller)),
        feed: Feed::new(service.live.clone(), wants, position, service.big.clone()),
        heartbeat,
        listed: service.clients.add(client),
        welcome: Some(Event::message(welcome)),
        sending: None,
        _counted: Counted(service.meters.event_streams.clone()),
    };
    let events = stream::unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((event, listener))
    });
    let mut response = SSE::new(events).into_response();
    // A proxy is to pass each event on at once.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

impl Listener {
    /// The next event; none when it is over.
    async fn next(&mut self) -> Option<Event> {
        // Whoever asks for more has taken what was sent before.
        self.sending = None;
        if let Some(welcome) = self.welcome.take() {
            return Some(welcome);
        }
        tokio::select! {
            () = self.service.stopping.cancelled() => None,
            _ = &mut self.refused => None,
            message = self.feed.next() => {
                self.service.meters.sent.increment(1);
                let id = id(&message.position);
                let (revision, text, sending) = message.into_parts();
                self.sending = sending;
                self.listed.update(|it| it.revision = revision);
                Some(Event::message(text).id(id))
            }
            _ = self.heartbeat.tick() => {
                let position = self.feed.position();
                let revision = position.revision;
                self.listed.update(|it| it.revision = revision);
                let ping = feed::text(&ServerFrame::Ping { revision });
                Some(Event::message(ping).id(id(&position)))
            }
        }
    }
}

fn id(position: &Position) -> String {
    format!("{}-{}", position.epoch, position.revision)
}

/// Where an id leads to; one that was not made here leads nowhere.
fn position(id: &str) -> Option<Position> {
    let (epoch, revision) = id.rsplit_once('-')?;
    Some(Position { epoch: epoch.to_owned(), revision: revision.parse().ok()? })
}
