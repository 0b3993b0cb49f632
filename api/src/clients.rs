//! Who listens, and which revision runs there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use poem_openapi::{Enum, Object, OpenApi};
use serde::Serialize;
use setpoint_ops::confirm;
use setpoint_ops::token::Role;

use crate::Tags;
use crate::access::Caller;
use crate::payload::Rendered;
use crate::problem::ApiResult;
use crate::service::Service;

/// Everybody who listens now.
#[derive(Default)]
pub(crate) struct Clients(Arc<Mutex<BTreeMap<String, Client>>>);

/// Somebody who listens.
#[derive(Clone, Debug, Serialize, Object)]
pub(crate) struct Client {
    pub id: String,
    /// What it calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub name: Option<String>,
    /// The name of its token.
    pub actor: String,
    pub address: String,
    pub transport: Transport,
    pub namespace: String,
    pub patterns: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub user: Option<String>,
    pub connected_at: String,
    /// The revision up to which it has been told everything.
    pub revision: i64,
    /// The revision that it says it runs with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub applied: Option<i64>,
    /// What it says it will not run with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub rejected: Option<Rejection>,
}

/// A revision that a client will not run with.
#[derive(Clone, Debug, Serialize, Object)]
pub(crate) struct Rejection {
    pub revision: i64,
    pub reason: String,
    pub at: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "lowercase")]
#[oai(rename_all = "lowercase")]
pub(crate) enum Transport {
    WebSocket,
    Sse,
}

/// One who is listed as long as this is held.
pub(crate) struct Listed {
    id: String,
    all: Arc<Mutex<BTreeMap<String, Client>>>,
}

impl Client {
    /// That it will not run with `revision`. One that has a name is the same when it has connected
    /// again, as the same token from the same machine.
    pub(crate) fn rejects(&self, revision: i64) -> confirm::Rejection {
        let host = self.address.rsplit_once(':').map_or("", |(host, _)| host);
        let client = match &self.name {
            Some(name) => format!("{}/{host}/{name}", self.actor),
            None => self.id.clone(),
        };
        confirm::Rejection { revision, client, namespace: self.namespace.clone() }
    }
}

impl Clients {
    pub(crate) fn add(&self, client: Client) -> Listed {
        let listed = Listed { id: client.id.clone(), all: self.0.clone() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(client.id.clone(), client);
        listed
    }

    pub(crate) fn all(&self) -> Vec<Client> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Listed {
    pub(crate) fn update(&self, change: impl FnOnce(&mut Client)) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.get_mut(&self.id).map(change);
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

pub(crate) struct ClientApi(pub Arc<Service>);

#[OpenApi(prefix_path = "/clients", tag = "Tags::Access")]
impl ClientApi {
    /// Who listens, and which revision runs there
    ///
    /// Those of the namespaces that the token is for.
    #[oai(path = "/", method = "get", operation_id = "list_clients")]
    async fn list(&self, caller: Caller) -> ApiResult<Rendered<Vec<Client>>> {
        caller.may(Role::Viewer)?;
        let mut clients = self.0.clients.all();
        clients.retain(|it| caller.sees(&it.namespace));
        Ok(Rendered::of(&clients))
    }
}
