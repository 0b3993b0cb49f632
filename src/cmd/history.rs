use serde_json::Value;
use setpoint_ops::history::{Wanted, events_of, revisions};

use super::audit::tell_removed;
use super::{Context, Exit, key};
use crate::console;

/// List revisions, or what happened to one key and those below it; the newest first
///
/// As the database has it: that nobody has edited it is what `setpoint audit verify` proves.
#[derive(clap::Args)]
pub(super) struct Args {
    key: Option<String>,

    /// As many at most
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: u32,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    match args.key.as_deref() {
        None => all(context, args.limit).await,
        Some(text) => of_key(context, text, args.limit).await,
    }
}

async fn all(context: &Context, limit: u32) -> miette::Result<Exit> {
    let wanted = Wanted::default();
    let found = context.read(async |db| revisions(db, &wanted, limit).await).await?;

    if context.json {
        console::show_json(&found)?;
        return Ok(Exit::Done);
    }
    let rows = found.into_iter().map(|it| {
        let (changes, mut reason) = (it.changes.to_string(), it.reason.unwrap_or_default());
        if let Some(unconfirmed) = it.unconfirmed {
            let gap = if reason.is_empty() { "" } else { " " };
            reason.push_str(&format!("{gap}(to be confirmed until {})", unconfirmed.until));
        }
        vec![it.id.to_string(), it.at, it.actor, it.channel, it.kind, changes, reason]
    });
    let head = ["revision", "at", "actor", "channel", "kind", "changes", "reason"];
    console::show(console::table(&head, &rows.collect::<Vec<_>>()))?;
    tell_removed(context).await?;
    Ok(Exit::Done)
}

async fn of_key(context: &Context, text: &str, limit: u32) -> miette::Result<Exit> {
    let key = key(text)?;
    let namespace = context.namespace();
    let found = context.read(async |db| events_of(db, namespace, &key, limit).await).await?;

    if context.json {
        console::show_json(&found)?;
        return Ok(Exit::Done);
    }
    let value =
        |it: Option<Value>| it.map_or("(none)".to_owned(), |it| console::cut(&it.to_string(), 40));
    let rows = found.into_iter().map(|it| {
        let key = it.key.to_string();
        vec![it.revision.to_string(), it.at, it.actor, key, value(it.before), value(it.after)]
    });
    console::show(console::table(
        &["revision", "at", "actor", "key", "before", "after"],
        &rows.collect::<Vec<_>>(),
    ))?;
    tell_removed(context).await?;
    Ok(Exit::Done)
}
