use chrono::Utc;
use miette::miette;
use setpoint_ops::database::{self, Access, Database};
use setpoint_ops::drift::{Drift, report};
use setpoint_ops::{Error, ignore, time};

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
    if args.stop {
        return stop(context, &args.names).await;
    }
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
        let found: Vec<&Drift> = here.iter().filter(|it| it.is_at(name)).collect();
        if found.is_empty() {
            let namespace = context.namespace().to_owned();
            return Err(Error::NoDrift { namespace, key: name.clone() }.into());
        }
        chosen.extend(found.into_iter().cloned());
    }

    let author = context.author(args.reason);
    let work = async |db: &Database| ignore::add(db, &chosen, &author, until, now).await;
    let settings = context.loaded.database_settings();
    database::using(&context.location(), Access::Write, settings, work).await?;
    let until = until.map(|it| format!(" until {}", time::stamp(it))).unwrap_or_default();
    told(context, &args.names, true, format_args!("{} ignored{until}\n", chosen.len()))
}

async fn stop(context: &Context, names: &[String]) -> miette::Result<Exit> {
    let namespace = context.namespace();
    let work = async |db: &Database| ignore::remove(db, namespace, names).await;
    let settings = context.loaded.database_settings();
    let count = database::using(&context.location(), Access::Write, settings, work).await?;
    if count == 0 {
        return Err(miette!(
            code = "drift::not_ignored",
            help = "nothing was changed; `setpoint drift --all` lists what is",
            "{} is not ignored in namespace `{namespace}`",
            names.join(", ")
        ));
    }
    told(context, names, false, format_args!("{count} told again\n"))
}

fn told(
    context: &Context,
    names: &[String],
    ignored: bool,
    text: std::fmt::Arguments<'_>,
) -> miette::Result<Exit> {
    match context.json {
        true => console::show_json(&serde_json::json!({ "ignored": ignored, "names": names }))?,
        false => console::show(text)?,
    }
    Ok(Exit::Done)
}
