//! What the two ways to listen have in common.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use poem::http::StatusCode;
use setpoint_client::types::{Position, ServerFrame, Welcome};
use setpoint_ops::Pattern;
use setpoint_ops::live::Snapshot;
use setpoint_ops::time::stamp;
use setpoint_ops::token::Role;
use tokio::time::timeout;

use crate::access::{Caller, still_good};
use crate::clients::{Client, Transport};
use crate::feed::{self, Wants};
use crate::problem::{ApiError, ApiResult};
use crate::service::{Service, now, random_name};

/// The moment that `snapshot` is.
fn listening(snapshot: &Snapshot) -> Position {
    Position { epoch: snapshot.history.to_string(), revision: snapshot.revision }
}

/// Somebody who listens from now on.
pub(crate) fn client(
    caller: &Caller,
    name: Option<String>,
    from: Option<SocketAddr>,
    transport: Transport,
    wants: &Wants,
) -> Client {
    Client {
        id: random_name(),
        name,
        actor: caller.name.to_string(),
        address: from.map(|it| it.to_string()).unwrap_or_default(),
        transport,
        namespace: wants.namespace.clone(),
        patterns: wants.patterns.iter().map(ToString::to_string).collect(),
        user: wants.user.clone(),
        connected_at: stamp(now()),
        revision: 0,
        applied: None,
        rejected: None,
    }
}

/// What `client` is told before anything else.
pub(crate) fn welcome(service: &Service, client: &Client) -> String {
    let setup = service.setup.load();
    let millis = |it: Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
    feed::text(&ServerFrame::Welcome(Welcome {
        instance: service.instance.clone(),
        client_id: client.id.clone(),
        position: listening(&service.live.snapshot()),
        namespace: client.namespace.clone(),
        heartbeat_ms: millis(setup.heartbeat),
        timeout_ms: millis(setup.client_timeout),
    }))
}

/// Waits until `caller` may not listen any more: its token was revoked, or has expired.
pub(crate) async fn refused(service: Arc<Service>, caller: Caller) -> ApiError {
    let mut news = service.live.key_news();
    loop {
        news.mark_unchanged();
        let keys = service.live.keys();
        if let Err(error) = still_good(&keys, &caller, now()) {
            return error;
        }
        let left = keys.expiry(&caller.name).map(|it| (it - now()).to_std().unwrap_or_default());
        drop(keys);
        match left {
            // The sender lives as long as `live`.
            None => drop(news.changed().await),
            // Not all at once: a long time may be more than a timer takes.
            Some(left) => drop(timeout(left.min(DAY), news.changed()).await),
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What somebody who may hear it wants to hear of.
pub(crate) fn wants(
    service: &Service,
    caller: &Caller,
    namespace: Option<String>,
    patterns: &[String],
    user: Option<String>,
) -> ApiResult<Wants> {
    const MOST: usize = 100;
    let namespace = service.namespace(&service.live.snapshot(), caller, Role::Viewer, namespace)?;
    let bad = |detail: String| {
        ApiError::new(StatusCode::BAD_REQUEST, "pattern::invalid", detail)
            .help("a pattern is a key with * for one segment and ** for any number of them")
    };
    if patterns.len() > MOST {
        return Err(bad(format!("there are more than {MOST} patterns")));
    }
    let patterns = patterns.iter().map(|it| Pattern::parse(it).map_err(|e| bad(e.to_string())));
    Ok(Wants { namespace, patterns: patterns.collect::<ApiResult<_>>()?, user })
}
