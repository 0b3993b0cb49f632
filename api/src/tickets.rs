//! Single-use tickets: for browsers, which cannot send a token when they open a WebSocket.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::access::Caller;
use crate::service::random_name;

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
