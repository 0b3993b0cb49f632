use chrono::Utc;
use setpoint_ops::amount::counted;
use setpoint_ops::doctor::{self, Check};

use super::{Context, Exit};
use crate::console;

/// Look for what is wrong before it hurts: configuration, database, files, folders
///
/// Exits with 1 if anything is.
#[derive(clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(context: &Context, _: Args) -> miette::Result<Exit> {
    let mut checks = declared(context);
    checks.extend(jobs(context));
    checks.extend(doctor::storage(&context.loaded.storage()).await);
    let (location, settings) = (context.location(), context.loaded.database_settings());
    let layers = |namespace: &str| context.loaded.scope(namespace).layers;
    checks.extend(doctor::database(&location, settings, layers, Utc::now()).await);

    let failed = checks.iter().any(|it| !it.ok);
    if context.json {
        console::show_json(&checks)?;
    } else {
        let rows = checks.into_iter().map(|it| {
            vec![it.check.to_owned(), if it.ok { "ok" } else { "WRONG" }.to_owned(), it.says]
        });
        console::show(console::table(&["check", "state", "says"], &rows.collect::<Vec<_>>()))?;
    }
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// What the configuration and the seeds declare.
fn declared(context: &Context) -> Vec<Check> {
    let sources = &context.loaded.config.sources;
    let says = format!("{} declared", counted(sources.len(), "source"));
    let mut checks = vec![Check::well("configuration", says)];
    if let Some(bundle) = &context.seeds {
        let says = format!("{}, {} files", bundle.name(), bundle.sources.len());
        checks.push(Check::well("seeds", says));
    }
    let paths = sources.iter().map(|it| context.loaded.root.join(&it.path));
    checks.extend(doctor::sources(paths));
    checks
}

fn jobs(context: &Context) -> Vec<Check> {
    match context.loaded.jobs() {
        Ok(jobs) if jobs.is_empty() => Vec::new(),
        Ok(jobs) => {
            let says = format!("{} declared", counted(jobs.len(), "job"));
            vec![Check::well("jobs", says)]
        }
        Err(error) => error.each().iter().map(|it| Check::failed("jobs", it)).collect(),
    }
}
