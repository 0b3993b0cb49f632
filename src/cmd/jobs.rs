use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use clap::Subcommand;
use miette::miette;
use setpoint_ops::database::{self, Access, Database};
use setpoint_ops::job::{
    self, Ground, Holder, Job, Listed, Run, Scheduler, Setup, State, Store, named,
};
use setpoint_ops::live::Live;
use setpoint_ops::time;

use super::{Context, Exit, serve, sources, write_back};
use crate::console;

/// What the service does by itself, as [[job]] in setpoint.toml declares it
#[derive(Subcommand)]
pub(super) enum Command {
    /// List the jobs: when each runs next, by the clocks of its zone, and how it last ended
    List,
    /// Run a job now, in this process; exits with 1 if it fails
    Run {
        /// The job
        name: String,
    },
    /// List the runs that there were, the newest first
    History {
        /// Of this job only; it need not be declared any more
        name: Option<String>,

        /// As many at most
        #[arg(long, value_name = "COUNT", default_value_t = 20)]
        limit: u64,
    },
    /// Have a job not be run by any instance until it is resumed
    ///
    /// Times that pass meanwhile are not made up for. A run that goes on is not stopped.
    Pause {
        /// The job
        name: String,
    },
    /// Have a job be run again, from its next time on
    Resume {
        /// The job
        name: String,
    },
}

pub(super) async fn run(context: &Context, command: Command) -> miette::Result<Exit> {
    match command {
        Command::List => list(context).await,
        Command::Run { name } => run_one(context, &name).await,
        Command::History { name, limit } => history(context, name.as_deref(), limit).await,
        Command::Pause { name } => rest(context, &name, true).await,
        Command::Resume { name } => rest(context, &name, false).await,
    }
}

/// Has the service run the jobs.
pub(super) fn start(live: &Live, setup: Arc<Setup>) -> Scheduler {
    job::start(live.clone(), setup, Utc::now)
}

/// What the service runs.
pub(super) fn setup(context: &Context) -> miette::Result<Arc<Setup>> {
    Ok(Arc::new(Setup {
        jobs: context.loaded.jobs()?,
        ground: ground(context)?,
        holder: holder(context),
        grace: Duration::from_millis(context.loaded.config.server.client_timeout_ms),
    }))
}

pub(super) fn ground(context: &Context) -> miette::Result<Ground> {
    let mut rules = HashMap::new();
    for namespace in context.loaded.config.namespaces.keys() {
        rules.insert(namespace.clone(), context.loaded.secrets(namespace)?);
    }
    Ok(Ground {
        location: context.location(),
        settings: context.loaded.database_settings(),
        backups: context.loaded.storage(),
        retention: context.loaded.config.backups.retention.clone(),
        revisions: context.loaded.config.revisions,
        declared: Arc::new(serve::policy(&context.loaded)?),
        sources: sources::configured(context)?,
        root: context.loaded.root.clone(),
        limits: context.loaded.limits(),
        rules,
        webhook_hosts: context.loaded.config.jobs.webhook_hosts.clone(),
    })
}

/// This process, by a name that no other has.
fn holder(context: &Context) -> Holder {
    let host = whoami::hostname().unwrap_or_else(|_| "unknown".to_owned());
    Holder {
        instance: format!("{host}/{}", std::process::id()),
        lease: Duration::from_millis(context.loaded.config.jobs.lease_ms),
    }
}

async fn list(context: &Context) -> miette::Result<Exit> {
    let (jobs, now) = (context.loaded.jobs()?, Utc::now());
    let listed = context.read(async |db| job::list(db, &jobs, now).await).await?;

    if context.json {
        console::show_json(&listed)?;
        return Ok(Exit::Done);
    }
    if listed.is_empty() {
        console::tell("no job is declared: write a [[job]] in setpoint.toml");
    }
    let rows = listed.into_iter().map(|it| {
        let next = next(&it);
        let last = it.last.as_ref();
        let at = last.map_or("never".to_owned(), |it| time::minute(&it.scheduled_for));
        let state = last.map(state).unwrap_or_default();
        vec![it.name, it.verb, next, at, state]
    });
    let head = ["name", "verb", "next", "last (UTC)", "state"];
    console::show(console::table(&head, &rows.collect::<Vec<_>>()))?;
    Ok(Exit::Done)
}

fn state(run: &Run) -> String {
    match &run.retry_at {
        Some(at) => format!("failed, due again {}", time::minute(at)),
        None => run.state.clone(),
    }
}

fn next(listed: &Listed) -> String {
    match (&listed.paused_by, listed.next.first()) {
        (Some(by), _) => format!("paused by {by}"),
        (None, Some(next)) => time::zoned_minute(next),
        (None, None) => "disabled".to_owned(),
    }
}

async fn run_one(context: &Context, name: &str) -> miette::Result<Exit> {
    let jobs = context.loaded.jobs()?;
    let (job, ground, holder) = (named(&jobs, name)?, ground(context)?, holder(context));
    let work =
        async |db: &Database| job::run_now(Store::Plain(db), job, &holder, &ground, Utc::now).await;
    let ran = written(context, work).await?;
    // It may have undone something, whatever became of it then.
    write_back::after(context).await;

    if context.json {
        console::show_json(&ran.run)?;
    } else if let Some(output) = &ran.run.output {
        console::show(format_args!("{output}\n"))?;
    }
    if ran.recorded.state == State::Succeeded {
        return Ok(Exit::Done);
    }
    let reason = ran.run.error.unwrap_or_default();
    Err(miette!(
        code = "job::failed",
        help = format!("it is in `setpoint jobs history {name}`"),
        "job `{name}` failed: {reason}"
    ))
}

async fn history(context: &Context, name: Option<&str>, limit: u64) -> miette::Result<Exit> {
    let found = context.read(async |db| job::history(db, name, limit).await).await?;
    if let Some(name) = name.filter(|_| found.is_empty()) {
        named(&context.loaded.jobs()?, name)?;
    }

    if context.json {
        console::show_json(&found)?;
        return Ok(Exit::Done);
    }
    let rows = found.into_iter().map(|it| {
        let took = it.duration_ms.map(|it| format!("{it} ms")).unwrap_or_default();
        let (time, tells) = (time::minute(&it.scheduled_for), tells(&it));
        vec![it.job, time, it.trigger, it.state, took, tells]
    });
    let head = ["job", "for (UTC)", "by", "state", "took", "tells"];
    console::show(console::table(&head, &rows.collect::<Vec<_>>()))?;
    Ok(Exit::Done)
}

fn tells(run: &Run) -> String {
    let attempt = (run.attempt > 1).then(|| format!("attempt {}", run.attempt));
    let said = [&attempt, &run.error, &run.output, &run.note].into_iter().flatten();
    let lines: Vec<&str> = said.filter_map(|it| it.lines().next()).collect();
    lines.join("; ")
}

async fn rest(context: &Context, name: &str, rests: bool) -> miette::Result<Exit> {
    let jobs = context.loaded.jobs()?;
    let job = named(&jobs, name)?;
    let (actor, now) = (&context.loaded.config.actor, Utc::now());
    let work = async |db: &Database| match rests {
        true => job::pause(db, job, actor, now).await,
        false => job::resume(db, job, now).await,
    };
    let changed = written(context, work).await?;

    if context.json {
        let jobs: &[Job] = std::slice::from_ref(job);
        let listed = context.read(async |db| job::list(db, jobs, now).await).await?;
        console::show_json(&listed[0])?;
        return Ok(Exit::Done);
    }
    console::tell(match (rests, changed) {
        (true, true) => format!("job `{name}` is paused, on every instance"),
        (true, false) => format!("job `{name}` was paused before"),
        (false, true) => format!("job `{name}` runs again, from its next time on"),
        (false, false) => format!("job `{name}` was not paused"),
    });
    Ok(Exit::Done)
}

async fn written<T>(
    context: &Context,
    work: impl AsyncFnOnce(&Database) -> setpoint_ops::Result<T>,
) -> miette::Result<T> {
    let settings = context.loaded.database_settings();
    Ok(database::using(&context.location(), Access::Write, settings, work).await?)
}
