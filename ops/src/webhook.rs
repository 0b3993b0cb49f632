//! Telling somebody else over HTTP: a POST of JSON to a host that is allowed, which is not
//! followed anywhere else. An URL of this kind is a secret as a whole, so no error names it.

use std::path::Path;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde_json::Value;
use setpoint_importers::is_reference;

use crate::time;

/// Where to, as it is declared: an URL, or a reference to one, `env:NAME` or `file:PATH`.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook(String);

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Webhook(****)")
    }
}

impl Webhook {
    /// Reads where to. What a reference leads to is looked at when it is used.
    ///
    /// # Errors
    ///
    /// Why it is none, or not allowed, for people.
    pub fn parse(text: &str, hosts: &[String]) -> Result<Self, String> {
        if !is_reference(text) {
            url(text, hosts)?;
        }
        Ok(Self(text.to_owned()))
    }

    /// Looks whether it leads somewhere that is allowed, and sends nothing; paths of references are
    /// relative to `root`.
    ///
    /// # Errors
    ///
    /// Why it does not, for people.
    pub fn check(&self, hosts: &[String], root: &Path) -> Result<(), String> {
        self.url(hosts, root).map(drop)
    }

    /// Sends `body`; paths of references are relative to `root`.
    ///
    /// # Errors
    ///
    /// Why it did not arrive, for people.
    pub async fn send(&self, body: &Value, hosts: &[String], root: &Path) -> Result<(), String> {
        let url = self.url(hosts, root)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        // Another part of the program may have chosen one.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder().redirect(Policy::none()).timeout(PATIENCE).build();
        let client = client.map_err(|_| "no request can be sent from here".to_owned())?;
        let request = client.post(url).header("Content-Type", "application/json");
        match request.body(body.to_string()).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("{host} answered {}", answer.status().as_u16())),
            Err(error) if error.is_timeout() => {
                Err(format!("{host} did not answer within {}", time::told(PATIENCE)))
            }
            Err(error) if error.is_connect() => Err(format!("{host} cannot be reached")),
            Err(_) => Err(format!("{host} broke off")),
        }
    }

    fn url(&self, hosts: &[String], root: &Path) -> Result<Url, String> {
        url(&self.resolved(root)?, hosts)
    }

    fn resolved(&self, root: &Path) -> Result<String, String> {
        if let Some(name) = self.0.strip_prefix("env:") {
            return std::env::var(name).map_err(|_| format!("there is no variable {name}"));
        }
        if let Some(path) = self.0.strip_prefix("file:") {
            let read = std::fs::read_to_string(root.join(path));
            return read.map(|it| it.trim().to_owned()).map_err(|_| format!("cannot read {path}"));
        }
        Ok(self.0.clone())
    }
}

/// The URL that `text` is, if it leads to one of `hosts`.
fn url(text: &str, hosts: &[String]) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "it is no URL".to_owned())?;
    let host = url.host_str().unwrap_or_default();
    if !hosts.iter().any(|it| it.eq_ignore_ascii_case(host)) {
        return Err(format!("`{host}` is not among jobs.webhook_hosts"));
    }
    let is_here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    match url.scheme() {
        "https" => {}
        "http" if is_here => {}
        _ => return Err(format!("what is sent to `{host}` would be readable on the way")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user or a password".to_owned());
    }
    Ok(url)
}
