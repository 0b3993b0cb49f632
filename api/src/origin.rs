//! Web pages of other origins: which may use the service, and what their browsers are told.

use poem::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use poem::http::{HeaderMap, HeaderValue, Method, StatusCode};
use poem::{Request, Response};

use crate::problem::{ApiError, ApiResult};
use crate::service::Setup;

/// Refuses what a web page of another origin makes a browser send.
pub(crate) fn check(headers: &HeaderMap, host: &str, setup: &Setup) -> ApiResult<()> {
    let text = |name: &str| headers.get(name).map(|it| it.to_str().unwrap_or("?").to_owned());
    let origin = text(ORIGIN.as_str());
    let is_same = |origin: &str| {
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        rest.is_some_and(|it| it.eq_ignore_ascii_case(host))
    };
    let is_fine = match &origin {
        Some(origin) => is_same(origin) || setup.origins.contains(origin),
        // Not a browser, or an old one; newer ones say so themselves.
        None => !text("sec-fetch-site").is_some_and(|it| it == "cross-site" || it == "same-site"),
    };
    if is_fine {
        return Ok(());
    }
    Err(refused())
}

fn refused() -> ApiError {
    let detail = "web pages of that origin may not do this";
    ApiError::new(StatusCode::FORBIDDEN, "access::origin", detail)
        .help("add it to `origins` of [server] in setpoint.toml if they may")
}

/// Whether a browser asks what a web page may do, before it does it.
pub(crate) fn is_preflight(request: &Request) -> bool {
    let has = |name| request.headers().contains_key(name);
    *request.method() == Method::OPTIONS && has(ORIGIN) && has(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to that. It has no token with it.
pub(crate) fn preflight(headers: &HeaderMap, setup: &Setup) -> ApiResult<Response> {
    if listed(headers.get(ORIGIN), setup).is_none() {
        return Err(refused());
    }
    let known = "authorization, content-type, if-match, if-none-match, last-event-id";
    Ok(Response::builder()
        .status(StatusCode::NO_CONTENT)
        .header(ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PUT, DELETE")
        .header(ACCESS_CONTROL_ALLOW_HEADERS, known)
        .header(ACCESS_CONTROL_MAX_AGE, "600")
        .finish())
}

/// Lets web pages of the origin see an answer, if it is one of those that may.
pub(crate) fn share(answer: &mut HeaderMap, origin: Option<&HeaderValue>, setup: &Setup) {
    if setup.origins.is_empty() {
        return;
    }
    answer.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = listed(origin, setup) {
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let exposed = HeaderValue::from_static("etag, retry-after");
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

fn listed<'a>(origin: Option<&'a HeaderValue>, setup: &Setup) -> Option<&'a HeaderValue> {
    origin.filter(|it| setup.origins.iter().any(|listed| it.as_bytes() == listed.as_bytes()))
}
