//! Single-use tickets: for browsers, which cannot send a token when they open a WebSocket.

use std::collections::{HashMap, VecDeque};
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

/// How many a caller has at most: one more takes the place of the oldest.
const MOST: usize = 100;

/// Tickets that were not used yet, of each caller, the oldest first. They are of this run of the
/// service.
#[derive(Default)]
pub(crate) struct Tickets(Mutex<HashMap<Arc<str>, VecDeque<Kept>>>);

struct Kept {
    text: String,
    caller: Caller,
    until: DateTime<Utc>,
}

impl Tickets {
    /// A ticket for `caller`, and until when it is good.
    pub(crate) fn issue(&self, caller: Caller, now: DateTime<Utc>) -> (String, DateTime<Utc>) {
        let ticket = format!("{}{}", random_name(), random_name());
        let until = now + TimeDelta::seconds(LASTS_SECONDS);
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.retain(|_, own| own.back().is_some_and(|it| it.until > now));
        let own = tickets.entry(caller.name.clone()).or_default();
        while own.len() >= MOST || own.front().is_some_and(|it| it.until <= now) {
            own.pop_front();
        }
        own.push_back(Kept { text: ticket.clone(), caller, until });
        (ticket, until)
    }

    /// Whose ticket it is, once.
    pub(crate) fn redeem(&self, ticket: &str, now: DateTime<Utc>) -> Option<Caller> {
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = tickets.values_mut().find_map(|own| {
            let at = own.iter().position(|it| it.text == ticket)?;
            own.remove(at)
        })?;
        (kept.until > now).then_some(kept.caller)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_has_so_many_tickets_and_no_more() {
        let (tickets, now) = (Tickets::default(), now());
        let caller =
            |name: &str| Caller { name: name.into(), role: Role::Viewer, namespaces: None };
        let (other, _) = tickets.issue(caller("other"), now);

        let issued: Vec<String> = (0..=MOST).map(|_| tickets.issue(caller("one"), now).0).collect();

        assert!(tickets.redeem(&issued[0], now).is_none());
        assert!(tickets.redeem(&issued[1], now).is_some());
        assert!(tickets.redeem(&other, now).is_some());
        assert!(tickets.redeem(&issued[2], now + TimeDelta::seconds(LASTS_SECONDS)).is_none());
    }
}
