use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::Utc;
use clap::ValueHint;
use miette::miette;
use serde::Serialize;
use setpoint_ops::amount::counted;
use setpoint_ops::database::{self, Access, Database, Location};
use setpoint_ops::import::{self, Choices, Import, Options, Resolve};
use setpoint_ops::migrate::{Migrated, migrate};
use setpoint_ops::plan::{Change, Class, FoundSecret, SourceStatus, Summary};
use setpoint_ops::skip::skip;
use setpoint_ops::source::{Declared, read};
use setpoint_ops::{Error, Key, originals};

use super::{
    Context, Exit, How, Strategy, confirm, pick, sources, strategy, suggest, view, write_back,
};
use crate::console::{self, Progress};
use crate::seeds::Bundle;

/// Bring files and database together: files that changed go in, edits stay
///
/// Without paths the sources in setpoint.toml are read. The files are copied to the backups
/// folder first; then everything is applied in one transaction and read back.
///
/// Exits with 2 if keys are in conflict: both their file and somebody here have changed them.
/// The live value stays until it is chosen which wins: by --strategy, by --resolve, or on a
/// terminal when asked.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    given: sources::Given,

    #[command(flatten)]
    pub(super) bring: Bring,

    /// Copy the files to the backups folder and do nothing else
    #[arg(long, conflicts_with_all = ["dry_run", "out"])]
    backup_only: bool,

    /// Propose renames for keys that seem to have another name in the files now, and do nothing
    #[arg(long, conflicts_with_all = ["dry_run", "out", "backup_only"])]
    suggest_renames: bool,
}

/// How an import is carried out.
#[derive(clap::Args)]
pub(super) struct Bring {
    /// What to do with keys in conflict [default: ask on a terminal, else leave them open]
    #[arg(long, value_name = "WHICH")]
    strategy: Option<Strategy>,

    /// What to do with one key in conflict: ours, theirs, or a value (a text that is one of the
    /// two words in quotes)
    #[arg(long, value_name = "KEY=WHICH")]
    resolve: Vec<String>,

    /// Do not take what the files say now, until they say something else
    #[arg(long, conflicts_with_all = ["strategy", "resolve", "dry_run", "out", "secrets_to"])]
    skip: bool,

    /// Move the values of secrets into this file of environment variables, and leave references
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "out")]
    secrets_to: Option<PathBuf>,

    /// Do not ask: neither about conflicts nor before an emptied file deletes its settings
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    pub(super) how: How,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let declared = sources::chosen(context, &args.given, "migrate")?;
    if args.backup_only {
        return backup_only(context, &declared);
    }
    if args.suggest_renames {
        return suggest::run(context, &declared).await;
    }
    bring(context, declared, false, args.bring).await
}

/// Imports `declared`, with versions that were skipped if `take_skipped`.
pub(super) async fn bring(
    context: &Context,
    declared: Vec<Declared>,
    take_skipped: bool,
    bring: Bring,
) -> miette::Result<Exit> {
    if bring.skip {
        return skip_version(context, &declared).await;
    }
    let mut options = Options {
        choices: Choices {
            strategy: strategy(bring.strategy),
            by_key: choices(&bring.resolve)?,
            ..Choices::default()
        },
        take_skipped,
        secrets_to: bring.secrets_to.clone(),
    };
    let trial = bring.how.trial.wished()?;
    let mut reason = bring.how.reason.clone();
    let mut import = {
        let _progress = Progress::start(1, 2, "reading the files and planning");
        planned(context, &declared, &options, reason.as_deref()).await?
    };
    if reason.is_none() && import.sources.iter().any(|it| !it.is_file() && it.status.is_merged()) {
        reason = context.seeds.as_ref().map(Bundle::name);
        import = planned(context, &declared, &options, reason.as_deref()).await?;
    }
    tell_notes(&import);
    if options.secrets_to.is_some() {
        for secret in import.plan.secrets.iter().filter(|it| it.reference.is_none()) {
            console::tell(format_args!(
                "note: {} stays in {}: other text there repeats it, or an alias holds it",
                secret.key, secret.origin.file
            ));
        }
    }
    if bring.how.is_dry() {
        return view::planned(context, &bring.how, &import.plan);
    }

    let is_asked = import.plan.summary.conflict > 0 && bring.strategy.is_none() && !bring.yes;
    if is_asked && !context.json && console::is_attended() {
        let picked = pick::pick(&import.plan)?;
        if picked.quit {
            return Err(miette!(code = "confirm::refused", "nothing was changed"));
        }
        let (skipped, kept): (Vec<_>, Vec<_>) =
            declared.into_iter().partition(|it| picked.skipped.contains(&it.path));
        options.choices.by_place.extend(picked.by_place);
        let shown = import;
        import = planned(context, &kept, &options, reason.as_deref()).await?;
        refuse_edited(&shown, &import)?;
        if !skipped.is_empty() {
            skip_version(context, &skipped).await?;
        }
    }
    for (path, deleted) in import.emptied() {
        let question = format!("{path} is empty now. Delete its settings ({deleted})?");
        console::confirm(&question, bring.yes)?;
    }
    import.plan.trial = trial;
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
    let exit = show(context, &import, &done)?;
    confirm::tell(&import.plan, done.applied);
    write_back::after(context).await;
    Ok(exit)
}

/// The plan, from what is there: no database is made for it.
pub(super) async fn planned(
    context: &Context,
    declared: &[Declared],
    options: &Options,
    reason: Option<&str>,
) -> miette::Result<Import> {
    let (root, limits) = (&context.loaded.root, context.loaded.limits());
    let plan = async |db: &sea_orm::DatabaseTransaction| {
        let author = context.author(reason.map(str::to_owned));
        import::plan(db, declared, root, options, &limits, author).await
    };
    let settings = context.loaded.database_settings();
    match database::reading(&context.location(), settings, &plan).await {
        Err(Error::NoDatabase { .. } | Error::EmptyDatabase { .. }) => {
            Ok(database::reading(&Location::Memory, settings, &plan).await?)
        }
        planned => Ok(planned?),
    }
}

/// Refuses files that say something else than when a person was asked about them.
fn refuse_edited(shown: &Import, now: &Import) -> Result<(), Error> {
    for source in &now.sources {
        let before = shown.sources.iter().find(|it| it.declared.is_same(&source.declared));
        if before.is_some_and(|it| it.raw_hash != source.raw_hash) {
            let reason = format!("{} has changed while you were asked", source.declared.path);
            return Err(Error::Stale { reason });
        }
    }
    Ok(())
}

/// What `KEY=ours`, `KEY=theirs` and `KEY=VALUE` choose.
fn choices(resolve: &[String]) -> miette::Result<BTreeMap<Key, Resolve>> {
    let mut choices = BTreeMap::new();
    for text in resolve {
        let Some((key, choice)) = split_at_equals(text) else {
            return Err(miette!(
                code = "resolve::no_choice",
                help = "as in --resolve http.port=ours, =theirs or =8080",
                "`{text}` does not say what to choose"
            ));
        };
        let choice = match choice {
            "ours" => Resolve::Ours,
            "theirs" => Resolve::Theirs,
            "\"ours\"" | "\"theirs\"" => Resolve::Value(choice.trim_matches('"').to_owned()),
            value => Resolve::Value(value.to_owned()),
        };
        let key = super::key(key)?;
        if choices.get(&key).is_some_and(|it| *it != choice) {
            return Err(miette!(
                code = "resolve::twice",
                help = "nothing was changed; keep one of the two",
                "`{key}` is resolved in two ways"
            ));
        }
        choices.insert(key, choice);
    }
    Ok(choices)
}

/// Splits at the first `=` that stands in no quotes.
fn split_at_equals(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let (at, _) = text.char_indices().find(|(_, it)| {
        match (quote, it) {
            (None, '"' | '\'') => quote = Some(*it),
            (Some(open), it) if open == *it => quote = None,
            _ => {}
        }
        quote.is_none() && *it == '='
    })?;
    Some((&text[..at], &text[at + 1..]))
}

async fn skip_version(context: &Context, declared: &[Declared]) -> miette::Result<Exit> {
    let (limits, actor) = (context.loaded.limits(), context.author(None).actor);
    let work = async |db: &Database| skip(db, declared, &limits, &actor, Utc::now()).await;
    let settings = context.loaded.database_settings();
    let skipped = database::using(&context.location(), Access::Write, settings, work).await?;
    if context.json {
        console::show_json(&serde_json::json!({ "skipped": skipped }))?;
        return Ok(Exit::Done);
    }
    if skipped.is_empty() {
        console::show("no file says anything new\n")?;
    }
    for path in &skipped {
        console::show(format_args!("{path}: skipped until it says something else\n"))?;
        console::tell(format_args!("`setpoint reseed {path}` takes it after all"));
    }
    Ok(Exit::Done)
}

/// What is worth saying of the files before anything is done.
fn tell_notes(import: &Import) {
    for source in &import.sources {
        for note in source.meaning.iter().flat_map(|it| &it.notes) {
            let (path, place) = (&source.declared.path, note.place);
            console::tell(format_args!(
                "note: {path}:{}:{}: {}",
                place.line, place.column, note.message
            ));
        }
        for secret in import.plan.secrets.iter().filter(|it| it.is_live) {
            if secret.origin.file == source.declared.path {
                let key = &secret.key;
                console::tell(format_args!(
                    "warning: {key} is a secret, and the database has a value of it:\n  `setpoint \
                     set {key} env:NAME` or `unset {key}` takes it out; the history keeps it"
                ));
            }
        }
        if source.status == SourceStatus::Skipped {
            console::tell(format_args!(
                "note: {} says something new, which is skipped",
                source.declared.path
            ));
        }
    }
}

fn backup_only(context: &Context, declared: &[Declared]) -> miette::Result<Exit> {
    let sources = read(declared, &[], &context.loaded.limits())?;
    let backups = context.loaded.backups();
    let folder = originals::copy(&backups, "pre_migration", &sources, &[], Utc::now())?;
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
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        secrets: &'a [FoundSecret],
    }
    let plan = &import.plan;
    let exit = if plan.summary.conflict > 0 { Exit::Differs } else { Exit::Done };
    if context.json {
        let conflicts = plan.changes.iter().filter(|it| it.class == Class::Conflict).collect();
        console::show_json(&Done {
            done,
            hash: &plan.hash,
            summary: &plan.summary,
            conflicts,
            secrets: &plan.secrets,
        })?;
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
    console::show(view::secrets(plan))?;
    console::show(view::summary(plan) + "\n")?;
    if let Some(folder) = &done.originals {
        console::tell(format_args!("originals are in {}", folder.display()));
    }
    if let Some(revision) = done.applied.revision() {
        console::tell(format_args!(
            "revision {revision}, {} read back; `setpoint revert {revision}` undoes it",
            counted(done.verified, "value")
        ));
    }
    if exit == Exit::Differs {
        console::tell(
            "the live values stay; settle with --strategy ours or theirs, or key by key with \
             --resolve KEY=ours",
        );
    }
    Ok(exit)
}
