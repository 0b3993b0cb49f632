//! ETags: the revision that something is of, in which history; of a setting also in which layer.

use std::fmt::Write as _;
use std::sync::Arc;

use poem::http::StatusCode;
use setpoint_ops::Error;
use setpoint_ops::live::{Entry, Snapshot};

use crate::problem::{ApiError, ApiResult};
use crate::settings::not_met;

/// That of a setting, `"EPOCH-LAYER-REVISION"`: one revision may have changed a key in two layers.
pub(crate) fn of(snapshot: &Snapshot, entry: &Entry) -> String {
    let mut layer = String::new();
    for byte in entry.setting.layer.bytes() {
        match byte {
            b'-' | b'.' | b':' | b'_' => layer.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => layer.push(char::from(byte)),
            _ => write!(layer, "%{byte:02X}").expect("a string takes every character"),
        }
    }
    format!("\"{}-{layer}-{}\"", snapshot.history, entry.setting.revision)
}

/// That of a namespace, `"EPOCH-REVISION"`: the last revision that changed something in it.
pub(crate) fn of_space(snapshot: &Snapshot, namespace: &str) -> String {
    let revision = snapshot.space(namespace).map_or(0, |it| it.revision);
    format!("\"{}-{revision}\"", snapshot.history)
}

/// Whether an `If-None-Match` lists `etag`. It compares weakly, see RFC 9110, 13.1.2.
pub(crate) fn lists(header: &str, etag: &str) -> bool {
    let mut listed = header.split(',').map(str::trim);
    listed.any(|it| it == "*" || it.strip_prefix("W/").unwrap_or(it) == etag)
}

/// What an `If-Match` asks for.
pub(crate) enum Condition {
    /// That the setting is there.
    Exists,
    /// That it is one of these.
    OneOf(Vec<String>),
}

/// Reads an `If-Match`, see RFC 9110, 13.1.1.
pub(crate) fn condition(header: &str) -> ApiResult<Condition> {
    if header.trim() == "*" {
        return Ok(Condition::Exists);
    }
    let tags = header.split(',').map(str::trim).map(|tag| {
        let inner = tag.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        let is_ours = inner
            .and_then(|it| it.rsplit_once('-'))
            .is_some_and(|(epoch, revision)| !epoch.is_empty() && revision.parse::<i64>().is_ok());
        is_ours.then(|| tag.to_owned()).ok_or_else(|| {
            ApiError::new(
                StatusCode::BAD_REQUEST,
                "request::if_match",
                "the If-Match is no ETag of this service",
            )
            .help(
                "nothing was changed; give the ETag of an answer as it came, with its quotes, or *",
            )
        })
    });
    Ok(Condition::OneOf(tags.collect::<ApiResult<_>>()?))
}

/// Reads the `If-None-Match` of a write, see RFC 9110, 13.1.2: only that there is nothing yet.
pub(crate) fn is_to_be_new(header: &str) -> ApiResult<()> {
    match header.trim() {
        "*" => Ok(()),
        _ => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "request::if_none_match",
            "the If-None-Match of a write is not *",
        )
        .help("nothing was changed; give * for what is to be new, or If-Match with an ETag")),
    }
}

impl Condition {
    /// Refuses a change of what is not what the condition says.
    pub(crate) fn check(
        &self,
        snapshot: &Snapshot,
        key: &str,
        live: Option<&Arc<Entry>>,
    ) -> Result<(), Error> {
        let is_met = match (self, live) {
            (_, None) => false,
            (Self::Exists, Some(_)) => true,
            (Self::OneOf(tags), Some(entry)) => tags.contains(&of(snapshot, entry)),
        };
        if is_met { Ok(()) } else { Err(not_met(key, live)) }
    }

    /// Refuses a change of a namespace that is not what the condition says.
    pub(crate) fn check_space(&self, snapshot: &Snapshot, namespace: &str) -> Result<(), Error> {
        let is_met = match self {
            Self::Exists => snapshot.space(namespace).is_some(),
            Self::OneOf(tags) => tags.contains(&of_space(snapshot, namespace)),
        };
        if is_met {
            return Ok(());
        }
        let revision = snapshot.space(namespace).map_or(0, |it| it.revision);
        Err(Error::Stale { reason: format!("`{namespace}` is of revision {revision} by now") })
    }
}
