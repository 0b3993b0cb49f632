//! What every request passes before it is routed, and every answer on its way out.
//!
//! One endpoint instead of a stack of them: each layer costs every request.

use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use metrics::{Counter, counter};
use miette::Diagnostic;
use poem::http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use poem::http::{HeaderMap, HeaderValue, Method, StatusCode};
use poem::{Body, Endpoint, IntoResponse, Request, Response};
use setpoint_client::types::BEARER_SUBPROTOCOL;
use setpoint_ops::token::Role;
use tokio::time::timeout;

use crate::access::{Caller, still_good};
use crate::body::is_json;
use crate::origin;
use crate::problem::{self, ApiError, ApiResult};
use crate::service::{Service, Setup, now};

/// The endpoint in front of all others.
pub(crate) struct Front<E> {
    service: Arc<Service>,
    inner: E,
    answers: [Counter; 6],
}

/// What needs no token: an orchestrator has none, nor has a browser that is to show the document.
const PUBLIC: [&str; 4] = ["/health", "/ready", DOCS, "/api/openapi.json"];

const DOCS: &str = "/docs";

/// Where plans are carried out that may come as the body.
const PLANS: &str = "/api/plans/";

/// Where whoever may read gets leave to listen.
const TICKETS: &str = "/api/tickets";

const TOKENS: &str = "/api/tokens";

/// How long nothing of a body may come.
const SILENCE: Duration = Duration::from_secs(30);

/// The same of one that is refused already.
const MOMENT: Duration = Duration::from_millis(300);

/// How much of a body is read behind its limit, in bytes, so that its sender hears the answer.
const DRAINED: usize = 4 * 1024 * 1024;

impl<E> Front<E> {
    pub(crate) fn new(service: Arc<Service>, inner: E) -> Self {
        let class = |it: usize| counter!("http_requests_total", "status" => format!("{it}xx"));
        let answers = std::array::from_fn(class);
        Self { service, inner, answers }
    }

    /// Everything that can be said of a request without looking where it goes; an answer, if
    /// that is all.
    async fn admit(&self, request: &mut Request, setup: &Setup) -> ApiResult<Option<Response>> {
        let host = check_host(request, setup)?;
        if origin::is_preflight(request) {
            return origin::preflight(request.headers(), setup).map(Some);
        }
        let is_upgrade = is_websocket(request);
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        if !is_read || is_upgrade {
            origin::check(request.headers(), &host, setup)?;
        }
        if PUBLIC.contains(&request.uri().path()) {
            // Whoever has a token is told more.
            if let Ok(caller) = self.authenticate(request, setup) {
                request.extensions_mut().insert(caller);
            }
            return Ok(None);
        }
        let caller = self.authenticate(request, setup)?;
        refuse_nul(request)?;
        if let Some(rate) = setup.rate {
            let from = address(request).map(|it| it.ip());
            self.service.rates.check(&caller, from, rate)?;
        }
        let is_listening = request.uri().path() == TICKETS;
        if !is_read && !is_listening {
            caller.may_change()?;
        }
        request.extensions_mut().insert(caller);
        if !is_read {
            read_body(request, setup).await?;
        }
        Ok(None)
    }

    fn authenticate(&self, request: &Request, setup: &Setup) -> ApiResult<Caller> {
        let keys = self.service.live.keys();
        let refused =
            |code: &str, detail: String| ApiError::new(StatusCode::UNAUTHORIZED, code, detail);
        if let Some(ticket) = ticket_of(request) {
            let caller = self.service.tickets.redeem(ticket, now()).ok_or_else(|| {
                refused("ticket::unknown", "this ticket is unknown, or was used".to_owned())
                    .help("POST /api/tickets makes one; it is good once, for 30 seconds")
            })?;
            // The token that it was got with may have been revoked since.
            still_good(&keys, &caller, now())?;
            return Ok(caller);
        }
        let Some(text) = token_of(request.headers())? else {
            if setup.open && keys.is_empty() {
                return Ok(Caller { name: "local".into(), role: Role::Admin, namespaces: None });
            }
            return Err(refused("token::missing", "there is no token with the request".to_owned())
                .help("send `Authorization: Bearer sp_…`; `setpoint token create` makes one"));
        };
        match keys.authenticate(text, now()) {
            Ok(token) => Ok(Caller {
                name: token.name.as_str().into(),
                role: token.role,
                namespaces: token.namespaces.clone().map(Into::into),
            }),
            Err(error) => {
                let code = error.code().map(|it| it.to_string()).unwrap_or_default();
                let help = error.help().map(|it| it.to_string()).unwrap_or_default();
                Err(refused(&code, error.to_string()).help(help))
            }
        }
    }
}

impl<E: Endpoint> Endpoint for Front<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let setup = self.service.setup.load_full();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let origin = request.headers().get(ORIGIN).cloned();
        let answer = match self.admit(&mut request, &setup).await {
            Err(error) => {
                self.service.meters.refused.increment(1);
                error.into_response()
            }
            Ok(Some(answer)) => answer,
            Ok(None) => {
                let answered = AssertUnwindSafe(self.inner.call(request)).catch_unwind().await;
                match answered {
                    Ok(Ok(answer)) => answer.into_response(),
                    Ok(Err(error)) => {
                        let detail = error.to_string();
                        tidied(error.into_response(), Some(detail), &method, &path)
                    }
                    Err(_) => problem::of_status(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "the service failed; its log says how".to_owned(),
                    )
                    .into_response(),
                }
            }
        };
        let mut answer = tidied(answer, None, &method, &path);
        let class = usize::from(answer.status().as_u16() / 100);
        if let Some(counter) = self.answers.get(class) {
            counter.increment(1);
        }
        let headers = answer.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if path == DOCS {
            headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        }
        // Asked again each time, and answered with 304 where there is an ETag.
        let holds_secrets = path.starts_with(TOKENS) || path == TICKETS;
        let cached = if holds_secrets { "no-store" } else { "no-cache" };
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static(cached));
        origin::share(headers, origin.as_ref(), &setup);
        Ok(answer)
    }
}

/// An answer of a library's own as a problem document like all others.
fn tidied(answer: Response, detail: Option<String>, method: &Method, path: &str) -> Response {
    let status = answer.status();
    if !(status.is_client_error() || status.is_server_error()) || problem::is_told(answer.headers())
    {
        return answer;
    }
    let said = detail.filter(|it| !it.is_empty());
    let said = said.unwrap_or_else(|| status.canonical_reason().unwrap_or("error").to_lowercase());
    let allow = answer.headers().get(ALLOW).cloned();
    let error = match status {
        StatusCode::NOT_FOUND => problem::of_status(status, "there is nothing here".to_owned())
            .help("/docs lists what there is"),
        StatusCode::METHOD_NOT_ALLOWED => {
            problem::of_status(status, format!("{method} is not for this path"))
                .help(quoted(path).unwrap_or_else(|| "/docs lists what there is".to_owned()))
        }
        _ => problem::of_status(status, said).help("nothing was changed; /docs says what fits"),
    };
    let mut tidied = error.into_response();
    if let Some(allow) = allow {
        tidied.headers_mut().insert(ALLOW, allow);
    }
    tidied
}

/// How a setting is reached whose key is the name of something else.
fn quoted(path: &str) -> Option<String> {
    const TAKEN: [&str; 5] = ["search", "schema", "update", "ws", "events"];
    let name = path.strip_prefix("/api/settings/").filter(|it| TAKEN.contains(it))?;
    Some(format!(
        "the setting `{name}` is at /api/settings/%22{name}%22; /docs lists what there is"
    ))
}

/// Refuses a NUL character in path and query: none of what they name may have one.
fn refuse_nul(request: &Request) -> ApiResult<()> {
    let uri = request.uri();
    let has_nul = |text: &str| text.contains("%00");
    if !has_nul(uri.path()) && !uri.query().is_some_and(has_nul) {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::BAD_REQUEST,
        "request::nul",
        "the address of the request has a NUL character (%00)",
    )
    .help("nothing was changed; leave it out"))
}

/// The host that the request is for. Web pages can make a browser ask any address by a name of
/// theirs: only names that are known to be ours are answered.
fn check_host(request: &Request, setup: &Setup) -> ApiResult<String> {
    let said = request.headers().get(HOST).and_then(|it| it.to_str().ok());
    let host = match (said, request.uri().authority()) {
        (Some(host), _) => host.to_owned(),
        (None, Some(authority)) => authority.to_string(),
        (None, None) => String::new(),
    };
    let name = host_name(&host);
    let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    let is_ours = setup.hosts.iter().any(|it| it.eq_ignore_ascii_case(name));
    if is_address || name.eq_ignore_ascii_case("localhost") || is_ours {
        return Ok(host);
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "access::host",
        match host.is_empty() {
            true => "the request has no Host".to_owned(),
            false => format!("`{}` is no name of this service", name.escape_default()),
        },
    )
    .help("add it to `hosts` of [server] in setpoint.toml if it is"))
}

fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) && !name.is_empty() => {
            name
        }
        _ => host,
    }
}

/// The token of a request: of its header, or where a browser can put one for a WebSocket.
fn token_of(headers: &HeaderMap) -> ApiResult<Option<&str>> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let text = value.to_str().ok();
        let bearer = text
            .and_then(|it| it.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        return match bearer {
            Some((_, token)) => Ok(Some(token.trim())),
            None => Err(ApiError::new(
                StatusCode::UNAUTHORIZED,
                "token::malformed",
                "the Authorization of the request is no bearer token",
            )
            .help("send `Authorization: Bearer sp_…`")),
        };
    }
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered = offered.filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(','));
    Ok(offered.find_map(|it| it.trim().strip_prefix(BEARER_SUBPROTOCOL)))
}

/// The ticket of a request for news.
fn ticket_of(request: &Request) -> Option<&str> {
    let is_news = matches!(request.uri().path(), "/api/settings/ws" | "/api/settings/events");
    let query = request.uri().query().filter(|_| is_news)?;
    query.split('&').find_map(|it| it.strip_prefix("ticket="))
}

pub(crate) fn is_websocket(request: &Request) -> bool {
    request
        .headers()
        .get("upgrade")
        .is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

pub(crate) fn address(request: &Request) -> Option<SocketAddr> {
    request.remote_addr().as_socket_addr().copied()
}

/// Reads the body within its limits, so that nothing behind this needs to know them.
async fn read_body(request: &mut Request, setup: &Setup) -> ApiResult<()> {
    let limit = match request.uri().path() {
        "/api/sources/import" => setup.upload_bytes,
        // A plan of an import is as large as its files.
        path if path.starts_with(PLANS) => setup.upload_bytes,
        _ => setup.body_bytes,
    };
    let too_large = || {
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request::too_large",
            format!("the body is larger than {limit} bytes"),
        )
        .help("nothing was changed; send less at once")
    };
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|it| it.to_str().ok()).and_then(|it| it.parse::<usize>().ok());
    if length.is_some_and(|it| it > limit.saturating_add(DRAINED)) {
        return Err(too_large());
    }
    let cut_off = |status, detail: &str| {
        ApiError::new(status, "request::cut_off", detail).help("nothing was changed; send it again")
    };
    let mut body = request.take_body().into_bytes_stream();
    let mut bytes = Vec::with_capacity(length.unwrap_or_default().min(limit));
    let mut is_too_large = length.is_some_and(|it| it > limit);
    let mut beyond = 0;
    while beyond <= DRAINED {
        let silence = if is_too_large { MOMENT } else { SILENCE };
        let chunk = match timeout(silence, body.next()).await {
            Ok(Some(Err(_))) | Err(_) if is_too_large => break,
            Ok(None) => break,
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(_))) => {
                return Err(cut_off(StatusCode::BAD_REQUEST, "the body did not come whole"));
            }
            Err(_) => {
                return Err(cut_off(StatusCode::REQUEST_TIMEOUT, "the body came too slowly"));
            }
        };
        is_too_large |= bytes.len() + chunk.len() > limit;
        match is_too_large {
            // Whoever still sends would not hear the answer.
            true => beyond += chunk.len(),
            false => bytes.extend_from_slice(&chunk),
        }
    }
    if is_too_large {
        return Err(too_large());
    }
    if request.content_type().is_some_and(is_json) && depth(&bytes) > setup.depth {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "request::too_deep",
            format!("the body has more than {} maps and arrays in one another", setup.depth),
        )
        .help("nothing was changed; send what is inside on its own"));
    }
    request.set_body(Body::from_vec(bytes));
    Ok(())
}

/// How many maps and arrays are open at once, in JSON or what claims to be.
fn depth(bytes: &[u8]) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                open += 1;
                most = most.max(open);
            }
            b'}' | b']' if !quoted => open = open.saturating_sub(1),
            _ => {}
        }
    }
    most
}
