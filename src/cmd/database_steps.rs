use clap::Subcommand;
use serde::Serialize;
use setpoint_ops::Error;
use setpoint_ops::database::{self, Access};

use super::{Context, Exit};
use crate::console;

/// Make the database, bring it up to date, or take that back
#[derive(Subcommand)]
pub(super) enum Command {
    /// Tell which steps of the schema the database has
    Status,
    /// Make the database if there is none and run the steps that are missing
    Up,
    /// Take the newest steps back, with the data in their tables
    Down {
        /// How many
        #[arg(long, value_name = "COUNT", default_value_t = 1)]
        steps: u32,

        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(context: &Context, command: Command) -> miette::Result<Exit> {
    match command {
        Command::Status => status(context).await,
        Command::Up => up(context).await,
        Command::Down { steps, yes } => down(context, steps, yes).await,
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

async fn up(context: &Context) -> miette::Result<Exit> {
    let location = context.location();
    database::refuse_missing_folder(&location)?;
    let db =
        database::connect(&location, Access::Create, context.loaded.database_settings()).await?;
    if let Some(step) = database::schema(&db).await?.unknown.into_iter().next() {
        return Err(Error::NewerDatabase { place: db.place().to_owned(), step }.into());
    }
    let place = db.place().to_owned();
    let steps = database::up(&db).await;
    let closed = db.close().await;
    let steps = steps?;
    closed?;
    if context.json {
        console::show_json(&serde_json::json!({ "database": place, "steps": steps }))?;
    } else {
        console::tell(format_args!("{place}: {steps} steps run"));
    }
    Ok(Exit::Done)
}

async fn down(context: &Context, steps: u32, yes: bool) -> miette::Result<Exit> {
    let (location, settings) = (context.location(), context.loaded.database_settings());
    let db = database::connect(&location, Access::Write, settings).await?;
    let question = format!("Take {steps} steps of {} back, with their data?", db.place());
    console::confirm(&question, yes)?;
    let done = database::down(&db, steps).await;
    let closed = db.close().await;
    done.and(closed)?;
    Ok(Exit::Done)
}
