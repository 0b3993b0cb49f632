use std::fmt::Write as _;

use serde_json::Value;
use setpoint_ops::explain::{Explanation, State, explain};

use super::{Context, Exit, Which, key};
use crate::console;

/// Tell why a setting has the value it has
///
/// Shows each layer, what the file says and where, and who changed it last, as the database has
/// it: that nobody has edited that behind its back is what `setpoint audit verify` proves.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The key, as `setpoint list` shows it
    key: String,

    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let key = key(&args.key)?;
    let scope = context.scope(&args.which)?;
    let explanation = context.read(async |db| explain(db, &scope, &key).await).await?;

    if context.json {
        console::show_json(&explanation)?;
    } else {
        console::show(text(&explanation))?;
    }
    Ok(Exit::Done)
}

fn text(explanation: &Explanation) -> String {
    let mut text = String::new();
    let value = |it: &Option<Value>| it.as_ref().map_or("(none)".to_owned(), Value::to_string);
    let mut line = |line: String| writeln!(text, "{line}").expect("a string takes every text");
    match &explanation.effective {
        Some(it) => {
            line(format!("{} = {}  ({}, layer {})", it.key, it.value, it.value_type, it.layer));
        }
        None => line(format!("{} is unset", explanation.key)),
    }
    for layer in &explanation.layers {
        let state = match layer.state {
            State::AsInTheFile => "as in the file",
            State::EditedHere => "edited here",
            State::DeletedHere => "deleted here",
            State::OwnKey => "in no file",
        };
        line(format!("\nlayer {}: {state}", layer.layer));
        line(format!("  live  {}", value(&layer.live)));
        if let Some(origin) = &layer.origin {
            line(format!("  file  {}  ({origin})", value(&layer.seed)));
        }
    }
    for path in &explanation.conflicts_in {
        line(format!("\nconflicts are open in {path}: see `setpoint migrate --dry-run`"));
    }
    if !explanation.history.is_empty() {
        line("\nhistory".to_owned());
    }
    for event in &explanation.history {
        let reason = event.reason.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
        line(format!(
            "  {} {} by {} ({} {}){reason}",
            event.revision, event.at, event.actor, event.channel, event.kind
        ));
        line(format!("      {} -> {}", value(&event.before), value(&event.after)));
    }
    if let Some(it) = &explanation.removed {
        line(format!(
            "\nretention has removed revisions up to {} of the history, see revision {}: earlier changes \
             may be missing here",
            it.last, it.removed_by
        ));
    }
    text
}
