use chrono::Utc;
use clap::Subcommand;
use miette::{Diagnostic as _, miette};
use serde::Serialize;
use setpoint_ops::Error;
use setpoint_ops::amount::counted;
use setpoint_ops::backup::{self, BackupError, Stepped};
use setpoint_ops::database::{self, Access};

use super::{Context, Exit};
use crate::console;

/// Make the database, bring it up to date, or take that back
#[derive(Subcommand)]
pub(super) enum Command {
    /// Tell which steps of the schema the database has
    Status,
    /// Make the database if there is none and run the steps that are missing
    ///
    /// What is there before is backed up first: `setpoint backup restore` with the program of
    /// before is the way back.
    Up {
        /// Take no backup first
        #[arg(long)]
        no_backup: bool,
    },
    /// Take the newest steps back, with the data in their tables, after a backup
    Down {
        /// How many
        #[arg(long, value_name = "COUNT", default_value_t = 1)]
        steps: u32,

        /// Take no backup first
        #[arg(long)]
        no_backup: bool,

        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(context: &Context, command: Command) -> miette::Result<Exit> {
    match command {
        Command::Status => status(context).await,
        Command::Up { no_backup } => up(context, no_backup).await,
        Command::Down { steps, no_backup, yes } => down(context, steps, no_backup, yes).await,
    }
}

async fn status(context: &Context) -> miette::Result<Exit> {
    #[derive(Serialize)]
    struct Status {
        database: String,
        applied: Vec<String>,
        pending: Vec<String>,
        unknown: Vec<String>,
    }
    let (location, settings) = (context.location(), context.loaded.database_settings());
    let db = database::connect(&location, Access::Read, settings).await?;
    let schema = database::schema(&db).await?;

    if context.json {
        let database = db.place().to_owned();
        let database::Schema { applied, pending, unknown } = schema;
        console::show_json(&Status { database, applied, pending, unknown })?;
        return Ok(Exit::Done);
    }
    let states =
        [("applied", schema.applied), ("missing", schema.pending), ("unknown", schema.unknown)];
    let rows = states
        .into_iter()
        .flat_map(|(state, steps)| steps.into_iter().map(move |step| vec![step, state.to_owned()]));
    console::show(console::table(&["step", "state"], &rows.collect::<Vec<_>>()))?;
    Ok(Exit::Done)
}

async fn up(context: &Context, no_backup: bool) -> miette::Result<Exit> {
    let (location, settings) = (context.location(), context.loaded.database_settings());
    let storage = (!no_backup).then(|| context.loaded.storage());
    let author = context.author(None);
    let done = backup::up(&location, settings, storage.as_ref(), &author, Utc::now()).await;
    show_steps(context, location.name(), done.map_err(without_a_backup)?, "run")
}

fn show_steps(
    context: &Context,
    database: String,
    stepped: Stepped,
    what: &str,
) -> miette::Result<Exit> {
    #[derive(Serialize)]
    struct Steps {
        database: String,
        #[serde(flatten)]
        stepped: Stepped,
    }
    if context.json {
        console::show_json(&Steps { database, stepped })?;
        return Ok(Exit::Done);
    }
    if let Some(name) = &stepped.backup {
        console::tell(format_args!("what was there before is in backup {name}"));
    }
    let steps = counted(stepped.steps, "step");
    console::tell(format_args!("{database}: {steps} {what}"));
    Ok(Exit::Done)
}

/// Where only the backup is in the way, there is a way without.
fn without_a_backup(error: Error) -> miette::Report {
    match &error {
        Error::Backup(BackupError::NoCredentials { .. }) => {
            let help = error.help().map_or_else(String::new, |it| it.to_string());
            miette!(
                code = "backup::no_credentials",
                help = format!("{help}; or take no backup first: --no-backup"),
                "{error}"
            )
        }
        _ => error.into(),
    }
}

async fn down(context: &Context, steps: u32, no_backup: bool, yes: bool) -> miette::Result<Exit> {
    let (location, settings) = (context.location(), context.loaded.database_settings());
    let (place, count) = (location.name(), counted(steps as usize, "step"));
    let question = format!("Take {count} of {place} back, with the data in their tables?");
    console::confirm(&question, yes)?;
    let storage = (!no_backup).then(|| context.loaded.storage());
    let (author, now) = (context.author(None), Utc::now());
    let done = backup::down(&location, settings, storage.as_ref(), steps, &author, now).await;
    let done = done.map_err(without_a_backup)?;
    show_steps(context, place, done, "taken back")
}
