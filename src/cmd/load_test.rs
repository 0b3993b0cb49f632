use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ValueEnum, ValueHint};
use miette::{IntoDiagnostic as _, WrapErr as _};
use setpoint_client::Service;

use super::{Context, Exit};
use crate::console;
use crate::load_test::{Limits, Load, OfDatabase, OwnService, Process, Report, Test};

/// Load a service with reads, writes, searches and listeners, and measure it
///
/// Without --url it starts a service of its own on a database of its own. With it, it writes only
/// keys below `load_test`, and removes them.
///
/// Exits with 1 if a threshold is missed.
#[derive(clap::Args)]
pub(super) struct Args {
    /// How long, with how many users, with how many requests a second
    #[arg(default_value = "quick")]
    profile: Profile,

    /// Where the service is, as in http://127.0.0.1:8080
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// What the service knows you by
    #[arg(long, env = "SETPOINT_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,

    /// The process of the service, if it runs on this machine
    #[arg(long, value_name = "PID", requires = "url")]
    pid: Option<u32>,

    /// Another duration, such as 10s or 5m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,

    /// Another number of users, each with two connections
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    users: Option<u16>,

    /// Another number of requests a second, of all users together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rps: Option<u32>,

    /// Where summary.md is written
    #[arg(long, value_name = "FOLDER", default_value = ".", value_hint = ValueHint::DirPath)]
    out: PathBuf,

    #[command(flatten)]
    limits: Limits,
}

#[derive(Clone, Copy, ValueEnum)]
enum Profile {
    /// A minute, 10 users, 100 requests a second
    Quick,
    /// 5 minutes, 50 users, 500 requests a second
    Medium,
    /// 15 minutes, 100 users, 1000 requests a second
    Full,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Medium => "medium",
            Self::Full => "full",
        }
    }

    fn load(self) -> Load {
        let (seconds, users, rps) = match self {
            Self::Quick => (60, 10, 100.0),
            Self::Medium => (300, 50, 500.0),
            Self::Full => (900, 100, 1_000.0),
        };
        Load { duration: Duration::from_secs(seconds), users, rps }
    }
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let mut load = args.profile.load();
    load.duration = args.duration.unwrap_or(load.duration);
    load.users = args.users.map_or(load.users, usize::from);
    load.rps = args.rps.map_or(load.rps, f64::from);
    // Not after a quarter of an hour.
    fs::create_dir_all(&args.out).into_diagnostic().wrap_err_with(|| cannot_write(&args.out))?;

    let (service, database, process, own) = match args.url {
        Some(url) => {
            let service = Service::new(&url, args.token)?;
            let location = context.location();
            let database = if context.loaded.is_from_here("database") {
                OfDatabase::Is(location)
            } else {
                OfDatabase::MayBe(location)
            };
            let process = match args.pid {
                Some(id) => Process::Here(id),
                None => Process::There(Box::new(service.clone())),
            };
            (service, database, process, None)
        }
        None => {
            let own = OwnService::start().await?;
            let database = OfDatabase::Is(own.location.clone());
            (Service::new(&own.url, None)?, database, Process::Here(own.id()), Some(own))
        }
    };
    let url = service.url().to_owned();
    let namespace = context.only.clone().filter(|_| own.is_none());
    let test = Test { service, namespace, load, database, process };
    let outcome = test.run(tokio::signal::ctrl_c()).await?;

    let report = Report::new(args.profile.name(), &url, load, &args.limits, outcome);
    let path = args.out.join("summary.md");
    fs::write(&path, report.markdown()).into_diagnostic().wrap_err_with(|| cannot_write(&path))?;
    if context.json {
        console::show_json(&report)?;
    } else {
        console::show(report.text())?;
    }
    Ok(if report.missed.is_empty() { Exit::Done } else { Exit::Failed })
}

fn cannot_write(path: &std::path::Path) -> String {
    format!("cannot write {}", path.display())
}

/// `500ms`, `10s`, `5m`
fn duration(text: &str) -> Result<Duration, String> {
    let end = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("write it as in 500ms, 10s or 5m".to_owned()),
    };
    let ms = number.parse::<u64>().ok().and_then(|it| it.checked_mul(unit_ms));
    match ms {
        Some(ms @ 1..=86_400_000) => Ok(Duration::from_millis(ms)),
        _ => Err("it is to be between 1ms and 24h".to_owned()),
    }
}
