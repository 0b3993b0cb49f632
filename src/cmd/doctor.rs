use chrono::Utc;
use setpoint_ops::amount::counted;
use setpoint_ops::doctor::{self, Check};
use setpoint_ops::job::Job;

use super::{Context, Exit};
use crate::console;

/// Look for what is wrong before it hurts: configuration, database, jobs, files, folders
///
/// Exits with 1 if anything is. An SQLite database is read as a whole, which takes as long as its
/// file is large. A bucket of backups is tried out with a tiny object, which is removed at once, and
/// of each backup is read who can decrypt it.
#[derive(clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(context: &Context, _: Args) -> miette::Result<Exit> {
    let mut checks = declared(context);
    let (jobs, found) = jobs(context);
    checks.extend(found);
    let (location, settings) = (context.location(), context.loaded.database_settings());
    let (storage, now) = (context.loaded.storage(), Utc::now());
    checks.extend(doctor::storage(&location, settings, &storage, now).await);
    let layers = |namespace: &str| context.loaded.scope(namespace).layers;
    checks.extend(doctor::database(&location, settings, layers, &jobs, now).await);

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
        let says = format!("{}, {}", bundle.name(), counted(bundle.sources.len(), "file"));
        checks.push(Check::well("seeds", says));
    }
    let paths = sources.iter().map(|it| context.loaded.root.join(&it.path));
    checks.extend(doctor::sources(paths));
    checks
}

/// The jobs, and what is to be said of how they are declared.
fn jobs(context: &Context) -> (Vec<Job>, Vec<Check>) {
    match context.loaded.jobs() {
        Ok(jobs) if jobs.is_empty() => (jobs, Vec::new()),
        Ok(jobs) => {
            let says = format!("{} declared", counted(jobs.len(), "job"));
            let mut checks = vec![Check::well("jobs", says)];
            let hosts = &context.loaded.config.jobs.webhook_hosts;
            checks.extend(doctor::webhooks(&jobs, hosts, &context.loaded.root));
            (jobs, checks)
        }
        Err(error) => {
            let wrong = error.each().iter().map(|it| Check::failed("jobs", it));
            (Vec::new(), wrong.collect())
        }
    }
}
