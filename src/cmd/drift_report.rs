use chrono::Utc;
use clap::Subcommand;
use sea_orm::DatabaseTransaction;
use setpoint_ops::amount::counted;
use setpoint_ops::report::{self, html, markdown};
use setpoint_ops::time;

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
    let only = context.only.as_deref();
    let show = async |db: &DatabaseTransaction| report::show(db, &ground, only, fresh, now).await;
    let found = context.read(show).await?;
    let days = usize::try_from(found.days_old(now)).unwrap_or_default();
    if days > 0 {
        let (at, old) = (time::minute(&found.at), counted(days, "day"));
        console::tell(format_args!(
            "this report was made {old} ago, at {at} UTC; --fresh compares everything now"
        ));
    }
    match format {
        _ if context.json => console::show_json(&found)?,
        Format::Json => console::show_json(&found)?,
        Format::Md => console::show(shown(&markdown(&found)))?,
        Format::Html => console::show(html(&found))?,
    }
    Ok(Exit::Done)
}

/// The rows of its tables cut to the width of a terminal, where there is one.
fn shown(markdown: &str) -> String {
    let line = |it: &str| match it.starts_with("| ") {
        true => console::fitted(it) + "\n",
        false => it.to_owned() + "\n",
    };
    markdown.lines().map(line).collect()
}
