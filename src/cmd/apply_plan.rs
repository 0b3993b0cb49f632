use std::fs;
use std::path::{Path, PathBuf};

use chrono::Utc;
use clap::ValueHint;
use setpoint_ops::Error;
use setpoint_ops::apply::Channel;
use setpoint_ops::import::Import;
use setpoint_ops::migrate::migrate;
use setpoint_ops::plan::{Kind, Plan};
use setpoint_ops::reset::{before, keep};
use setpoint_ops::source::read_again;

use super::{Context, Exit, confirm, view, write_back};
use crate::console;

/// Carry out a plan that --out has written
///
/// Refused if a key or file that it is about has changed since. Applying it twice is harmless.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The plan; `-` is standard input
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,

    #[command(flatten)]
    trial: confirm::Wanted,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let plan = Plan { trial: args.trial.wished()?, ..read_plan(&args.file)? };
    let loaded = &context.loaded;
    let seeds = context.seeds.as_ref().map_or(&[][..], |it| it.sources.as_slice());
    let sources = read_again(&plan.sources, seeds, &loaded.root, &loaded.limits())?;

    if plan.kind == Kind::Reset && !plan.is_empty() {
        keep_before(context, &plan).await?;
    }
    let import = Import { plan, sources, rewrites: Vec::new() };
    let (location, settings, backups) =
        (context.location(), loaded.database_settings(), loaded.backups());
    let done = migrate(&location, settings, &import, &backups, Channel::Cli, Utc::now()).await?;
    let exit = view::applied(context, &import.plan, done.applied)?;
    confirm::tell(&import.plan, done.applied);
    write_back::after(context).await;
    Ok(exit)
}

/// Keeps the settings that a reset is about, as they are.
async fn keep_before(context: &Context, plan: &Plan) -> miette::Result<()> {
    let kept = context.read(async |db| before(db, plan).await).await?;
    let folder = keep(&kept, &context.loaded.backups(), Utc::now())?;
    console::tell(format_args!("the settings as they were are in {}", folder.display()));
    Ok(())
}

pub(super) fn read_plan(file: &Path) -> miette::Result<Plan> {
    let text = match file == Path::new("-") {
        true => console::standard_input()?,
        false => fs::read_to_string(file).map_err(|source| Error::Unreadable {
            path: file.to_owned(),
            help: "give a plan that --out has written".to_owned(),
            source,
        })?,
    };
    Ok(Plan::from_json(&text)?)
}
