//! What the two ways to listen have in common.

use setpoint_client::types::Position;
use setpoint_ops::Pattern;
use setpoint_ops::live::Snapshot;
use setpoint_ops::token::Role;

use poem::http::StatusCode;

use crate::access::Caller;
use crate::feed::Wants;
use crate::problem::{ApiError, ApiResult};
use crate::service::Service;

/// The moment that `snapshot` is.
pub(crate) fn listening(snapshot: &Snapshot) -> Position {
    Position { epoch: snapshot.history.to_string(), revision: snapshot.revision }
}

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
