//! What Setpoint says of itself, on stderr. Never a setting's value.

use std::env;
use std::io::{self, IsTerminal as _};

use miette::miette;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::{Log, LogFormat};

/// Starts logging: `RUST_LOG` if it is set, else the configured filter, else `usual`.
///
/// At `debug` every step tells how long it took.
///
/// # Errors
///
/// If the one that is used is no filter.
pub(crate) fn start(config: &Log, usual: &str) -> miette::Result<()> {
    let (place, filter) = match env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => ("RUST_LOG", filter),
        _ => ("log.filter", config.filter.clone().unwrap_or_else(|| usual.to_owned())),
    };
    let filter = EnvFilter::try_new(&filter).map_err(|error| {
        miette!(
            code = "config::invalid",
            help = "write it as in `RUST_LOG=setpoint_ops=debug`",
            "`{filter}` in {place} is no filter: {error}"
        )
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_span_events(FmtSpan::CLOSE);
    match config.format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
