use chrono::Utc;
use clap::Subcommand;
use setpoint_ops::report::{self, html, markdown};

use super::{Context, Exit, jobs};
use crate::console;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Print the newest report of a drift job; a fresh one if there is none
    Report {
        /// How it is written
        #[arg(long, value_name = "FORMAT", default_value = "md")]
        format: Format,

        /// Compare everything now; nothing is stored, and nobody told
        #[arg(long)]
        fresh: bool,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Markdown
    Md,
    Json,
    /// One page that needs nothing else
    Html,
}

pub(super) async fn run(context: &Context, command: Command) -> miette::Result<Exit> {
    let Command::Report { format, fresh } = command;
    let (ground, now) = (jobs::ground(context)?, Utc::now());
    let found = context.read(async |db| report::show(db, &ground, fresh, now).await).await?;
    match format {
        _ if context.json => console::show_json(&found)?,
        Format::Json => console::show_json(&found)?,
        Format::Md => console::show(markdown(&found))?,
        Format::Html => console::show(html(&found))?,
    }
    Ok(Exit::Done)
}
