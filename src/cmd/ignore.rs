use chrono::Utc;
use miette::miette;
use setpoint_ops::database::{self, Access, Database};
use setpoint_ops::drift::{Drift, report};
use setpoint_ops::{ignore, time};

use super::{Context, Exit, sources};
use crate::console;

/// Leave drift alone until it changes
///
/// It is named as `setpoint drift` names it: by its key, or by its file. When one of the values
/// becomes another, or the day of --until has come, it is told again.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Keys, and those below them; or files
    #[arg(required = true, value_name = "KEY")]
    names: Vec<String>,

    /// How long: 12h, 30d, 8w, or a day such as 2030-01-31
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,

    /// Why
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: Option<String>,

    /// Tell of it again
    #[arg(long, conflicts_with = "until")]
    stop: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let now = Utc::now();
    let until = args.until.as_deref().map(|it| time::until(it, now)).transpose()?;
    let configured = sources::configured(context)?;
    let (root, limits) = (&context.loaded.root, context.loaded.limits());
    let found = async |db: &sea_orm::DatabaseTransaction| {
        report(db, &configured, root, &[], &limits, now).await
    };
    let report = context.read(found).await?;
    let here: Vec<Drift> =
        report.drift.into_iter().filter(|it| it.namespace == context.namespace()).collect();
    let mut chosen: Vec<Drift> = Vec::new();
    for name in &args.names {
        let is_it = |it: &&Drift| it.is_at(name) && (!args.stop || it.ignored.is_some());
        let found: Vec<&Drift> = here.iter().filter(is_it).collect();
        if found.is_empty() {
            let what = if args.stop { "ignored" } else { "out of line" };
            return Err(miette!(
                code = "drift::none",
                help = "nothing was changed; `setpoint drift --all` lists what is",
                "`{name}` is not {what} in namespace `{}`",
                context.namespace()
            ));
        }
        chosen.extend(found.into_iter().cloned());
    }

    let author = context.author(args.reason);
    let work = async |db: &Database| match args.stop {
        true => ignore::remove(db, &chosen).await,
        false => ignore::add(db, &chosen, &author, until, now).await.map(|()| chosen.len()),
    };
    let settings = context.loaded.database_settings();
    let count = database::using(&context.location(), Access::Write, settings, work).await?;
    if context.json {
        let names: Vec<&str> = chosen.iter().map(Drift::name).collect();
        console::show_json(&serde_json::json!({ "ignored": !args.stop, "names": names }))?;
        return Ok(Exit::Done);
    }
    let verb = if args.stop { "told again" } else { "ignored" };
    let until = until.map(|it| format!(" until {}", time::stamp(it))).unwrap_or_default();
    console::show(format_args!("{count} {verb}{until}\n"))?;
    Ok(Exit::Done)
}
