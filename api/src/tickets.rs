//! Single-use tickets: for browsers, which cannot send a token when they open a WebSocket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;
use setpoint_ops::time::stamp;
use setpoint_ops::token::Role;

use crate::Tags;
use crate::access::Caller;
use crate::payload::Rendered;
use crate::problem::ApiResult;
use crate::service::{Service, now, random_name};

/// For how long a ticket is good, in seconds.
pub(crate) const LASTS_SECONDS: i64 = 30;

/// Tickets that were not used yet. They are of this run of the service.
#[derive(Default)]
pub(crate) struct Tickets(Mutex<HashMap<String, (Caller, DateTime<Utc>)>>);

impl Tickets {
    /// A ticket for `caller`, and until when it is good.
    pub(crate) fn issue(&self, caller: Caller, now: DateTime<Utc>) -> (String, DateTime<Utc>) {
        let ticket = format!("{}{}", random_name(), random_name());
        let until = now + TimeDelta::seconds(LASTS_SECONDS);
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.retain(|_, it| it.1 > now);
        tickets.insert(ticket.clone(), (caller, until));
        (ticket, until)
    }

    /// Whose ticket it is, once.
    pub(crate) fn redeem(&self, ticket: &str, now: DateTime<Utc>) -> Option<Caller> {
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (caller, until) = tickets.remove(ticket)?;
        (until > now).then_some(caller)
    }
}

pub(crate) struct TicketApi(pub Arc<Service>);

/// What lets a browser in once, in place of a token.
#[derive(Object, Serialize)]
struct Ticket {
    /// Give it as `?ticket=` to `/api/settings/ws` or `/api/settings/events`.
    ticket: String,
    /// Until when it is good.
    expires_at: String,
    lasts_seconds: i64,
}

#[derive(ApiResponse)]
enum Issued {
    /// It is good once.
    #[oai(status = 201)]
    Created(Rendered<Ticket>),
}

#[OpenApi(prefix_path = "/tickets", tag = "Tags::Access")]
impl TicketApi {
    /// Get a ticket for a WebSocket
    ///
    /// Browsers cannot send a token when they open one. A ticket is good once, for 30 seconds,
    /// and for what the token is that it was got with.
    #[oai(path = "/", method = "post", operation_id = "create_ticket")]
    async fn issue(&self, caller: Caller) -> ApiResult<Issued> {
        caller.may(Role::Viewer)?;
        let (ticket, until) = self.0.tickets.issue(caller, now());
        let ticket = Ticket { ticket, expires_at: stamp(until), lasts_seconds: LASTS_SECONDS };
        Ok(Issued::Created(Rendered::of(&ticket)))
    }
}
