use clap::Subcommand;
use serde_json::Value;
use setpoint_ops::{audit, history};

use super::{Context, Exit};
use crate::console;

/// Who changed what, and whether the history was tampered with
#[derive(Subcommand)]
pub(super) enum Command {
    /// List every change, the newest first
    Log {
        /// As many at most
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        limit: u32,
    },
    /// Compute the chain of hashes again; exits with 1 and names the first bad revision
    Verify,
}

pub(super) async fn run(context: &Context, command: Command) -> miette::Result<Exit> {
    match command {
        Command::Log { limit } => log(context, limit).await,
        Command::Verify => verify(context).await,
    }
}

async fn log(context: &Context, limit: u32) -> miette::Result<Exit> {
    let wanted = history::Wanted::default();
    let found = context.read(async |db| history::events(db, &wanted, None, limit).await).await?;

    if context.json {
        console::show_json(&found)?;
        return Ok(Exit::Done);
    }
    let value =
        |it: Option<Value>| it.map_or("(none)".to_owned(), |it| console::cut(&it.to_string(), 30));
    let rows = found.into_iter().map(|it| {
        let (key, reason) =
            (format!("{}/{} {}", it.namespace, it.layer, it.key), it.reason.unwrap_or_default());
        vec![
            it.revision.to_string(),
            it.at,
            it.actor,
            key,
            value(it.before),
            value(it.after),
            reason,
        ]
    });
    let head = ["revision", "at", "actor", "key", "before", "after", "reason"];
    console::show(console::table(&head, &rows.collect::<Vec<_>>()))?;
    Ok(Exit::Done)
}

async fn verify(context: &Context) -> miette::Result<Exit> {
    let verdict = context.read(async |db| audit::verify(db).await).await?;

    if context.json {
        console::show_json(&verdict)?;
    } else {
        match &verdict.first_bad {
            Some(bad) => {
                console::show(format_args!("revision {}: {}\n", bad.revision, bad.reason))?;
            }
            None => console::show(format_args!(
                "{} revisions hold together, {} of them edits in SQL that are not sealed yet\n{}\n",
                verdict.revisions, verdict.unsealed, verdict.head_hash
            ))?,
        }
    }
    Ok(if verdict.first_bad.is_none() { Exit::Done } else { Exit::Failed })
}
