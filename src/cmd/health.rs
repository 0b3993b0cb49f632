use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use setpoint_client::types::{Problem, Readiness, ReadyPart};
use setpoint_client::{ClientError, Service};

use super::{Context, Exit};
use crate::config::Config;
use crate::console;

/// Ask a running service whether it is well; exits with 1 if it is not, or nothing answers
///
/// It asks /health and /ready, and no database: for containers and scripts that have no other
/// program to ask with. A token that is refused is told on stderr; whether the service is well does
/// not depend on it.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Where the service is, as in http://127.0.0.1:8080 [default: where `serve` would listen]
    #[arg(long, env = "SETPOINT_URL", value_name = "URL")]
    url: Option<String>,

    /// What the service knows you by: with it, it tells why it is not well
    #[arg(long, env = "SETPOINT_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
}

/// Whoever asks for health has no time: a service that is well answers at once.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let url = args.url.unwrap_or_else(|| own(&context.loaded.config));
    let has_token = args.token.is_some();
    let service = Service::new(&url, args.token)?.with_timeout(PATIENCE);
    let _: Value = service.get("/health").await?;
    let readiness = service.ready().await?;
    // It tells more to whom it knows.
    if has_token && readiness.news.detail.is_none() {
        tell_refused(&service).await;
    }

    if context.json {
        #[derive(Serialize)]
        struct Asked<'a> {
            url: &'a str,
            #[serde(flatten)]
            readiness: &'a Readiness,
        }
        console::show_json(&Asked { url: service.url(), readiness: &readiness })?;
    } else {
        console::show(text(service.url(), &readiness))?;
    }
    Ok(if readiness.is_ready() { Exit::Done } else { Exit::Failed })
}

/// Says why the token is refused: what answers everybody does not.
async fn tell_refused(service: &Service) {
    let asked = service.get::<Value>("/api/revisions?limit=1").await;
    if let Err(ClientError::Refused { problem, help }) = asked
        && problem.status == 401
    {
        let Problem { detail, code, .. } = *problem;
        let help = help.map(|it| format!("; {it}")).unwrap_or_default();
        console::tell(format_args!("the token was refused: {detail} ({code}){help}"));
    }
}

fn text(url: &str, readiness: &Readiness) -> String {
    let Readiness { status, database, snapshot, news, revision, .. } = readiness;
    let line = |name: &str, part: &ReadyPart| {
        let state = if part.ok { "ok" } else { "not ok" };
        let detail = part.detail.as_ref().map(|it| format!(", {it}")).unwrap_or_default();
        format!("{name}: {state}{detail}\n")
    };
    let parts = [("database", database), ("snapshot", snapshot), ("news", news)];
    let parts: String = parts.into_iter().map(|(name, part)| line(name, part)).collect();
    format!("{url}: {status}, revision {revision}\n{parts}")
}

/// Where a service of this configuration is asked from this machine.
fn own(config: &Config) -> String {
    let server = &config.server;
    let address = match server.listen.parse::<SocketAddr>() {
        Ok(mut address) if address.ip().is_unspecified() => {
            address.set_ip(match address {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
            address.to_string()
        }
        _ => server.listen.clone(),
    };
    let scheme = if server.tls_cert.is_some() { "https" } else { "http" };
    format!("{scheme}://{address}")
}
