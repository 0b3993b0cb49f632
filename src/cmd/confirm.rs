use chrono::Utc;
use setpoint_ops::apply::Applied;
use setpoint_ops::confirm::{Unconfirmed, confirm, due, undo, waiting};
use setpoint_ops::database::{self, Access, Database};
use setpoint_ops::plan::{Plan, Trial};
use setpoint_ops::{Error, time};

use super::{Context, Exit, write_back};
use crate::console;

/// Keep a change that was made with --confirm-within
///
/// What nobody confirms in time is undone by the running service, as a revision of its own by
/// `setpoint`; where none runs, by the next command that changes something. Keys that somebody
/// has edited since stay as they are.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Which one; the only one that waits, if there is one
    revision: Option<i64>,

    /// List what waits to be confirmed, and do nothing
    #[arg(long, conflicts_with = "revision")]
    pub(super) list: bool,
}

/// On what condition a change stays.
#[derive(clap::Args, Default)]
pub(super) struct Wanted {
    /// Undo it after this time, such as 10m, unless `setpoint confirm` comes before
    #[arg(long, value_name = "TIME")]
    confirm_within: Option<String>,

    /// With --confirm-within: undo it at once if more clients than this reject it [default: 1]
    #[arg(long, value_name = "COUNT", requires = "confirm_within")]
    reject_limit: Option<u32>,
}

impl Wanted {
    pub(super) fn wished(&self) -> Result<Option<Trial>, Error> {
        Trial::wished(self.confirm_within.as_deref(), self.reject_limit)
    }
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    if args.list {
        return list(context).await;
    }
    let actor = context.author(None).actor;
    let work = async |db: &Database| confirm(db, args.revision, &actor, Utc::now()).await;
    let settings = context.loaded.database_settings();
    let revision = database::using(&context.location(), Access::Write, settings, work).await?;
    match context.json {
        true => console::show_json(&serde_json::json!({ "revision": revision }))?,
        false => console::show(format_args!("revision {revision} is confirmed\n"))?,
    }
    Ok(Exit::Done)
}

async fn list(context: &Context) -> miette::Result<Exit> {
    let found = context.read(async |db| waiting(db).await).await?;
    if context.json {
        console::show_json(&found)?;
        return Ok(Exit::Done);
    }
    let rows = found.into_iter().map(|it| {
        let rejected = format!("{} of {}", it.rejections, it.reject_limit);
        vec![it.revision.to_string(), it.until, it.asked_by, rejected]
    });
    let head = ["revision", "until", "by", "rejected"];
    console::show(console::table(&head, &rows.collect::<Vec<_>>()))?;
    Ok(Exit::Done)
}

/// Says of a plan on trial what is to be done to keep it.
pub(super) fn tell(plan: &Plan, applied: Applied) {
    if let (Some(trial), Applied::Revision(id)) = (plan.trial, applied) {
        let within = time::told(trial.within.to_std().unwrap_or_default());
        console::tell(format_args!(
            "it is undone in {within} unless `setpoint confirm {id}` comes before:\n\
             by `setpoint serve`, or else by the next command that changes something"
        ));
    }
}

/// Says after a change that found nothing to do that what is there may not stay.
pub(super) async fn tell_waiting(context: &Context) -> miette::Result<()> {
    for it in context.read(async |db| waiting(db).await).await? {
        let Unconfirmed { revision, until, .. } = it;
        console::tell(format_args!(
            "revision {revision} is undone at {until} unless `setpoint confirm {revision}` comes \
             before"
        ));
    }
    Ok(())
}

/// Undoes what was not confirmed in time, where no service has. If that fails it is told, and
/// tried again by the next command. Returns what has changed, a line a revision.
pub(super) async fn undo_due(context: &Context) -> Vec<String> {
    // What is wrong with the database is told by the command itself.
    let Ok(found) = context.read(async |db| due(db, Utc::now()).await).await else {
        return Vec::new();
    };
    if found.revisions.is_empty() {
        return Vec::new();
    }
    let settings = context.loaded.database_settings();
    let work = async |db: &Database| undo(db, Utc::now()).await;
    match database::using(&context.location(), Access::Write, settings, work).await {
        Err(error) => {
            console::tell(format_args!("what was not confirmed is not undone: {error}"));
            Vec::new()
        }
        Ok(undone) => {
            undone.iter().for_each(console::tell);
            write_back::after(context).await;
            let changed = undone.iter().filter(|it| it.undone_as.is_some());
            changed.map(ToString::to_string).collect()
        }
    }
}
