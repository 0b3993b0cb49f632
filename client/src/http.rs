//! Requests to the service, over connections that are kept.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Cause, ClientError, Result, causes, is_tls, of_tls, root};
use crate::types::{Problem, Readiness};

/// What an answer may be at most.
pub(crate) const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// How long an answer may take, unless [`Service::with_timeout`] says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What the service says of a path that it does not have.
const NO_SUCH_PATH: &str = "request::no_such_path";

/// How long a connection is kept that nothing is asked over.
const IDLE: Duration = Duration::from_secs(60);

/// A service, and the connections to it. Clones share them.
#[derive(Clone)]
pub struct Service {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Without a slash at its end.
    url: Arc<str>,
    authorization: Option<HeaderValue>,
    tls: Arc<ClientConfig>,
    timeout: Duration,
}

impl Service {
    /// The service at `url`. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ClientError::Address`], [`ClientError::Token`]; [`ClientError::Tls`] for an `https://`
    /// address where this machine trusts no certificates.
    pub fn new(url: &str, token: Option<String>) -> Result<Self> {
        let uri = address(url)?;
        let url: Arc<str> = Arc::from(uri.to_string().trim_end_matches('/'));
        let authorization = token.map(|it| authorization(&it)).transpose()?;
        let is_secure = uri.scheme_str() == Some("https");
        let tls =
            Arc::new(tls(is_secure).map_err(|error| ClientError::Tls {
                url: url.to_string(),
                reason: root(&*error),
            })?);
        Ok(Self { client: client(&tls), url, authorization, tls, timeout: TIMEOUT })
    }

    /// The same, where an answer may take `timeout`.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The same service over connections of its own.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self { client: client(&self.tls), ..self.clone() }
    }

    /// Where it is, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Reads `path`, which begins with a slash and is encoded ([`encoded`]).
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] with what the service said; the others if it said nothing.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.json(Method::GET, path, None).await
    }

    /// # Errors
    ///
    /// As [`Service::get`].
    pub async fn put<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        self.json(Method::PUT, path, Some(body)).await
    }

    /// # Errors
    ///
    /// As [`Service::get`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        self.json(Method::POST, path, Some(body)).await
    }

    /// # Errors
    ///
    /// As [`Service::get`].
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.json(Method::DELETE, path, None).await
    }

    /// Reads what is no JSON, such as `/metrics`.
    ///
    /// # Errors
    ///
    /// As [`Service::get`].
    pub async fn text(&self, path: &str) -> Result<String> {
        let body = self.send(Method::GET, path, None).await?;
        String::from_utf8(body.into()).map_err(|_| self.other("its answer is not UTF-8"))
    }

    /// Whether it is of use, and what is missing if it is not.
    ///
    /// # Errors
    ///
    /// As [`Service::get`], if it does not say.
    pub async fn ready(&self) -> Result<Readiness> {
        let (status, body) = self.answer(Method::GET, "/ready", None).await?;
        serde_json::from_slice(&body).map_err(|_| self.refusal(status, &body))
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T> {
        let answer = self.send(method, path, body).await?;
        let answer = if answer.is_empty() { b"null" } else { &answer[..] };
        serde_json::from_slice(answer).map_err(|error| {
            self.other(&format!("its answer to {} cannot be read: {error}", without_query(path)))
        })
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Bytes> {
        let (status, body) = self.answer(method, path, body).await?;
        if status.is_success() { Ok(body) } else { Err(self.refusal(status, &body)) }
    }

    async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Bytes)> {
        let exchange = self.exchange(self.request(method, path, body)?);
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(answered) => answered,
            Err(_) => Err(ClientError::Timeout { url: self.url.to_string(), after: self.timeout }),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes)> {
        let answer = match self.client.request(request).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.failed(&error, error.is_connect())),
        };
        let status = answer.status();
        match Limited::new(answer.into_body(), ANSWER_BYTES).collect().await {
            Ok(body) => Ok((status, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => {
                let url = self.url.to_string();
                Err(ClientError::TooLarge { url, limit_bytes: ANSWER_BYTES })
            }
            Err(error) => Err(self.failed(&*error, false)),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder().method(method).uri(self.uri(path)?);
        request = request.header(ACCEPT, "application/json, application/problem+json");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let body = match body {
            None => Full::default(),
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Full::from(body.to_string())
            }
        };
        Ok(request.body(body).expect("the address was parsed and the headers are constant"))
    }

    /// The address of `path`.
    pub(crate) fn uri(&self, path: &str) -> Result<Uri> {
        let text = format!("{}{path}", self.url);
        text.parse().map_err(|_| ClientError::Address {
            reason: "its path has characters that have to be encoded".to_owned(),
            url: text,
        })
    }

    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    pub(crate) fn tls(&self) -> Arc<ClientConfig> {
        self.tls.clone()
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The error for an answer that is none of Setpoint's.
    pub(crate) fn other(&self, reason: &str) -> ClientError {
        ClientError::NotSetpoint { url: self.url.to_string(), reason: reason.to_owned() }
    }

    /// The error for an answer with `status`.
    pub(crate) fn refusal(&self, status: StatusCode, body: &[u8]) -> ClientError {
        let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
            return self.other(&format!("it answers {status} without saying why"));
        };
        match self.below().filter(|_| problem.code == NO_SUCH_PATH) {
            Some(below) => {
                let reason = format!("there is nothing of it below `{below}`; leave that out");
                ClientError::Address { url: self.url.to_string(), reason }
            }
            None => ClientError::refused(problem),
        }
    }

    /// The path of its address, if it has one: a proxy may have it there.
    fn below(&self) -> Option<&str> {
        let (_, host) = self.url.split_once("://")?;
        host.find('/').map(|at| &host[at..])
    }

    fn failed(&self, error: &Cause, connecting: bool) -> ClientError {
        let (url, reason) = (self.url.to_string(), root(error));
        if is_tls(error) {
            of_tls(url, error)
        } else if connecting {
            ClientError::Unreachable { url, reason }
        } else if is_garbage(error) {
            self.other("it does not speak HTTP")
        } else {
            ClientError::Lost { url, reason }
        }
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("url", &self.url).finish_non_exhaustive()
    }
}

/// `text` as a segment of a path or a value of a query.
#[must_use]
pub fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn client(tls: &ClientConfig) -> Client<HttpsConnector<HttpConnector>, Full<Bytes>> {
    let mut plain = HttpConnector::new();
    plain.set_nodelay(true);
    plain.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls.clone())
        .https_or_http()
        .enable_http1()
        .wrap_connector(plain);
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).build(connector)
}

/// Trusts what this machine trusts. Nothing is asked of it where no connection is secure.
fn tls(is_secure: bool) -> std::result::Result<ClientConfig, Box<dyn std::error::Error>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = if is_secure {
        config.with_native_roots()?
    } else {
        config.with_root_certificates(RootCertStore::empty())
    };
    Ok(config.with_no_client_auth())
}

fn address(url: &str) -> Result<Uri> {
    let wrong = |url: &str, reason: &str| ClientError::Address {
        url: url.to_owned(),
        reason: reason.to_owned(),
    };
    // A password in it must not come to be in a message.
    if let Some((_, host)) = url.rsplit_once('@') {
        return Err(wrong(host, "it holds a user or a password; give the token apart from it"));
    }
    let uri: Uri = url.parse().map_err(|_| wrong(url, "it is no URL"))?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        _ => return Err(wrong(url, "it begins with neither http:// nor https://")),
    }
    if uri.query().is_some() {
        return Err(wrong(url, "it has a query"));
    }
    Ok(uri)
}

fn authorization(token: &str) -> Result<HeaderValue> {
    let mut value =
        HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ClientError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// Whether what came is no HTTP.
fn is_garbage(error: &Cause) -> bool {
    causes(error).any(|it| it.downcast_ref().is_some_and(hyper::Error::is_parse))
}
