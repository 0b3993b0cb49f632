use std::path::PathBuf;

use chrono::Utc;
use clap::ValueHint;
use miette::miette;
use serde::Serialize;
use setpoint_ops::database::Location;
use setpoint_ops::import::{self, Import};
use setpoint_ops::migrate::{Migrated, migrate};
use setpoint_ops::plan::{Change, Class, SourceStatus, Summary};
use setpoint_ops::source::{Declared, Named, declare, read};
use setpoint_ops::{Error, originals};

use super::{Context, Exit, How, Strategy, key, strategy, view};
use crate::config::BASE;
use crate::console::{self, Progress};

/// Bring files and database together: files that changed go in, edits stay
///
/// Without paths the sources in setpoint.toml are read. The files are copied to the backups
/// folder first; then everything is applied in one transaction and read back.
///
/// Exits with 2 if keys are in conflict: both their file and somebody here have changed them.
/// The live value stays until --strategy says which wins.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Files, or folders of files
    #[arg(value_hint = ValueHint::AnyPath)]
    paths: Vec<PathBuf>,

    /// The layer that files given as paths go into
    #[arg(long, value_name = "NAME", default_value = BASE)]
    layer: String,

    /// The key that everything in files given as paths goes below
    #[arg(long, value_name = "KEY")]
    prefix: Option<String>,

    /// The format of files given as paths: yaml, toml, json, env or one of your own
    #[arg(long, value_name = "NAME")]
    format: Option<String>,

    /// What to do with keys in conflict [default: leave them open]
    #[arg(long, value_name = "WHICH")]
    strategy: Option<Strategy>,

    /// Do not ask before an emptied file deletes its settings
    #[arg(long)]
    yes: bool,

    /// Copy the files to the backups folder and do nothing else
    #[arg(long, conflicts_with_all = ["dry_run", "out"])]
    backup_only: bool,

    #[command(flatten)]
    how: How,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let declared = declared(context, &args)?;
    if args.backup_only {
        return backup_only(context, &declared);
    }

    let import = {
        let _progress = Progress::start(1, 2, "reading the files and planning");
        planned(context, &args, &declared).await?
    };
    for source in &import.sources {
        for note in source.meaning.iter().flat_map(|it| &it.notes) {
            let (path, place) = (&source.declared.path, note.place);
            console::tell(format_args!(
                "note: {path}:{}:{}: {}",
                place.line, place.column, note.message
            ));
        }
    }
    if args.how.dry_run || args.how.out.is_some() {
        return view::planned(context, &args.how, &import.plan);
    }

    for (path, deleted) in import.emptied() {
        let question = format!("{path} is empty now. Delete its settings ({deleted})?");
        console::confirm(&question, args.yes)?;
    }
    let done = {
        let _progress = Progress::start(2, 2, "applying and reading back");
        let (location, settings) = (context.location(), context.loaded.database_settings());
        let backups = context.loaded.backups();
        migrate(&location, settings, &import, &backups, super::Channel::Cli, Utc::now()).await?
    };
    tracing::info!(
        revision = done.applied.revision(),
        changes = import.plan.changes.len(),
        "migrated"
    );
    show(context, &import, &done)
}

/// The plan, from what is there: no database is made for it.
async fn planned(context: &Context, args: &Args, declared: &[Declared]) -> miette::Result<Import> {
    let (root, limits) = (&context.loaded.root, context.loaded.limits());
    let plan = async |db: &sea_orm::DatabaseTransaction| {
        let author = context.author(args.how.reason.clone());
        import::plan(db, declared, root, strategy(args.strategy), &limits, author).await
    };
    let settings = context.loaded.database_settings();
    match super::read(&context.location(), settings, &plan).await {
        Err(Error::NoDatabase { .. } | Error::EmptyDatabase { .. }) => {
            Ok(super::read(&Location::Memory, settings, &plan).await?)
        }
        planned => Ok(planned?),
    }
}

/// The files to read: those given, as setpoint.toml declares them if it does; else all it
/// declares.
fn declared(context: &Context, args: &Args) -> miette::Result<Vec<Declared>> {
    let (config, root) = (&context.loaded.config, &context.loaded.root);
    let mut configured = Vec::new();
    for source in &config.sources {
        configured.push(Named {
            path: root.join(&source.path),
            namespace: source.namespace.clone().unwrap_or_else(|| config.namespace.clone()),
            layer: source.layer.clone().unwrap_or_else(|| BASE.to_owned()),
            format: source.format.clone(),
            prefix: source.prefix.as_deref().map(key).transpose()?,
        });
    }
    if args.paths.is_empty() {
        if configured.is_empty() {
            return Err(miette!(
                code = "migrate::nothing",
                help = "name files, as in `setpoint migrate config/*.yaml`, or declare them in \
                        setpoint.toml:\n\n[[source]]\npath = \"config/settings.yaml\"",
                "there is nothing to migrate"
            ));
        }
        return shown(declare(&configured, root)?);
    }

    let layer = context.layer(&args.layer)?;
    let mut given = Vec::new();
    for path in &args.paths {
        given.push(Named {
            path: path.clone(),
            namespace: context.namespace().to_owned(),
            layer: layer.clone(),
            format: args.format.clone(),
            prefix: args.prefix.as_deref().map(key).transpose()?,
        });
    }
    let mut given = shown(declare(&given, root)?)?;
    for one in &mut given {
        let known = configured.iter().filter_map(|it| declare(std::slice::from_ref(it), root).ok());
        let known = known.flat_map(|(declared, _)| declared).find(|it| it.path == one.path);
        if let Some(known) = known {
            *one = known;
        }
    }
    Ok(given)
}

fn shown((declared, skipped): (Vec<Declared>, Vec<PathBuf>)) -> miette::Result<Vec<Declared>> {
    for path in skipped {
        console::tell(format_args!("note: {} is left out: no importer reads it", path.display()));
    }
    Ok(declared)
}

fn backup_only(context: &Context, declared: &[Declared]) -> miette::Result<Exit> {
    let sources = read(declared, &[], &context.loaded.limits())?;
    let folder = originals::copy(&context.loaded.backups(), &sources, Utc::now())?;
    if context.json {
        console::show_json(&serde_json::json!({ "originals": folder }))?;
    } else {
        console::show(format_args!("{}\n", folder.display()))?;
    }
    Ok(Exit::Done)
}

fn show(context: &Context, import: &Import, done: &Migrated) -> miette::Result<Exit> {
    #[derive(Serialize)]
    struct Done<'a> {
        #[serde(flatten)]
        done: &'a Migrated,
        hash: &'a str,
        summary: &'a Summary,
        conflicts: Vec<&'a Change>,
    }
    let plan = &import.plan;
    let exit = if plan.summary.conflict > 0 { Exit::Differs } else { Exit::Done };
    if context.json {
        let conflicts = plan.changes.iter().filter(|it| it.class == Class::Conflict).collect();
        console::show_json(&Done { done, hash: &plan.hash, summary: &plan.summary, conflicts })?;
        return Ok(exit);
    }
    let unchanged = |it: &&setpoint_ops::source::ReadSource| {
        matches!(it.status, SourceStatus::Unchanged | SourceStatus::SameMeaning)
    };
    let unchanged = import.sources.iter().filter(unchanged).count();
    if unchanged > 0 {
        console::tell(format_args!(
            "{unchanged} of {} files say nothing new",
            import.sources.len()
        ));
    }
    console::show(view::conflicts(plan))?;
    console::show(format_args!("{}\n", plan.summary))?;
    if let Some(folder) = &done.originals {
        console::tell(format_args!("originals are in {}", folder.display()));
    }
    if let Some(revision) = done.applied.revision() {
        console::tell(format_args!(
            "revision {revision}, {} values read back; `setpoint revert {revision}` undoes it",
            done.verified
        ));
    }
    if exit == Exit::Differs {
        console::tell(
            "the live values stay; settle with `setpoint migrate --strategy ours` or `theirs`",
        );
    }
    Ok(exit)
}
