use chrono::Utc;
use clap::Subcommand;
use serde_json::{Value, json};
use setpoint_ops::amount::counted;
use setpoint_ops::apply::Channel;
use setpoint_ops::audit::Pruning;
use setpoint_ops::backup;
use setpoint_ops::database::{self, Access, Database};
use setpoint_ops::{Error, audit, history};

use super::{Context, Exit, serve};
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
    /// Remove the revisions that no rule of [revisions] keeps, and say why the others stay
    ///
    /// Only what a verified backup holds is removed. What tells where live settings come from stays
    /// whatever the rules say, and the chain of hashes goes on over what was removed.
    Prune {
        /// Say what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,

        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

impl Command {
    /// Whether it only shows what it would do.
    pub(super) fn is_dry(&self) -> bool {
        matches!(self, Self::Prune { dry_run: true, .. })
    }
}

pub(super) async fn run(context: &Context, command: Command) -> miette::Result<Exit> {
    match command {
        Command::Log { limit } => log(context, limit).await,
        Command::Verify => verify(context).await,
        Command::Prune { dry_run, yes } => prune(context, dry_run, yes).await,
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
    tell_removed(context).await?;
    Ok(Exit::Done)
}

/// Says that the history is not all that there was, if it is not.
pub(super) async fn tell_removed(context: &Context) -> miette::Result<()> {
    if let Some(removed) = context.read(async |db| history::removed(db).await).await? {
        console::tell(format_args!(
            "retention has removed {}, the newest of them {}",
            counted(removed.revisions, "revision"),
            removed.last
        ));
    }
    Ok(())
}

async fn verify(context: &Context) -> miette::Result<Exit> {
    let verdict = context.read(async |db| audit::verify(db).await).await?;

    if context.json {
        console::show_json(&verdict)?;
    } else {
        console::show(format_args!("{verdict}\n"))?;
        if verdict.first_bad.is_none() {
            console::show(format_args!("{}\n", verdict.head_hash))?;
        }
    }
    Ok(if verdict.first_bad.is_none() { Exit::Done } else { Exit::Failed })
}

async fn prune(context: &Context, is_dry: bool, yes: bool) -> miette::Result<Exit> {
    let (location, settings) = (context.location(), context.loaded.database_settings());
    let (storage, now) = (context.loaded.storage(), Utc::now());
    let policy = context.loaded.config.revisions.ok_or(Error::NoRevisionRetention)?;
    let declared = serve::policy(&context.loaded)?;
    let ends = backup::ends(&location, settings, &storage).await?;
    let plan = async |db: &sea_orm::DatabaseTransaction| {
        audit::plan_pruning(db, &ends, &policy, &declared, now).await
    };
    let planned = context.read(plan).await?;
    if let Some(name) = planned.relies_on() {
        backup::prove(&location, settings, &storage, name, now).await?;
    }
    let is_last = is_dry || planned.count() == 0;
    match (context.json, is_last) {
        (true, true) => console::show_json(&planned)?,
        (true, false) => {}
        (false, _) => console::show(shown(&planned))?,
    }
    if is_last {
        if planned.backup.is_none() && !context.json {
            console::tell("no verified backup of this history holds any of them: nothing may go");
        }
        return Ok(Exit::Done);
    }
    let question = format!("Remove {}?", counted(planned.count(), "revision"));
    console::confirm(&question, yes)?;
    let author = context.author(None);
    let work =
        async |db: &Database| audit::prune(db, &planned, &author, Channel::Cli, Utc::now()).await;
    let by = database::using(&location, Access::Write, settings, work).await?;
    tracing::info!(removed = planned.count(), "removed revisions");
    if context.json {
        let mut told = serde_json::to_value(&planned).unwrap_or_default();
        told["removed_by"] = json!(by);
        console::show_json(&told)?;
    } else {
        let count = counted(planned.count(), "revision");
        match by.as_slice() {
            [first, .., last] => {
                console::tell(format_args!("{count} removed; revisions {first} to {last} say so"));
            }
            [one] => console::tell(format_args!("{count} removed; revision {one} says so")),
            [] => console::tell("somebody else has removed them"),
        }
    }
    Ok(Exit::Done)
}

fn shown(planned: &Pruning) -> String {
    let rows = planned.ranges.iter().map(|it| {
        let range = match it.revisions() {
            1 => it.first.to_string(),
            _ => format!("{}-{}", it.first, it.last),
        };
        let reasons: Vec<_> = it.reasons.iter().map(ToString::to_string).collect();
        let fate = if it.is_kept() { "stays" } else { "goes" };
        vec![range, it.changes.to_string(), fate.to_owned(), reasons.join(", ")]
    });
    console::table(&["revisions", "changes", "", "because"], &rows.collect::<Vec<_>>())
}
