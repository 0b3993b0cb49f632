use clap::Subcommand;
use serde::Serialize;

use super::{Context, Exit};
use crate::console;

/// The configuration of Setpoint itself
#[derive(Subcommand)]
pub(super) enum Command {
    /// List every value and where it comes from
    Show,
}

#[derive(Serialize)]
struct Shown {
    key: String,
    value: serde_json::Value,
    from: String,
}

pub(super) fn run(context: &Context, command: Command) -> miette::Result<Exit> {
    let Command::Show = command;
    // Others do without them: it is said here.
    context.loaded.jobs()?;
    let values = context.loaded.values().into_iter();
    let values: Vec<Shown> = values.map(|(key, value, from)| Shown { key, value, from }).collect();

    if context.json {
        console::show_json(&values)?;
        return Ok(Exit::Done);
    }
    let rows = values.into_iter().map(|it| vec![it.key, it.value.to_string(), it.from]);
    let rows: Vec<_> = rows.collect();
    console::show(console::table_with_text(1, &["key", "value", "from"], &rows))?;
    Ok(Exit::Done)
}
