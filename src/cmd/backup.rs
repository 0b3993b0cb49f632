use chrono::Utc;
use clap::{ArgGroup, Subcommand};
use miette::{Diagnostic as _, miette};
use serde::Serialize;
use setpoint_ops::amount::{counted, size};
use setpoint_ops::apply::Channel;
use setpoint_ops::backup::{
    self, Checked, Kind, Listed, Listing, Manifest, Moment, Restore, Restored, Storage, Verified,
    Wish,
};
use setpoint_ops::retention::Trust;
use setpoint_ops::secret::hidden;
use setpoint_ops::{Error, Pattern, time};

use super::{Context, Exit, How, confirm, view, write_back};
use crate::console;

/// Take backups that are known to restore, and restore them
#[derive(Subcommand)]
pub(super) enum Command {
    /// Take a backup, and read it back before it gets its name
    ///
    /// It is a tar of compressed files that restores into SQLite and PostgreSQL, whichever it came
    /// from. Nobody who writes waits for it.
    Create {
        /// What it is called [default: the time and the revision]
        name: Option<String>,

        /// What it is for
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,

        /// Keep it whatever the retention says
        #[arg(long)]
        pin: bool,
    },
    /// List the backups, the oldest first: those that cannot be read too
    List,
    /// Read backups back into a scratch database, and compare everything
    ///
    /// What comes of it goes into the record of this database, unless a backup is of another's
    /// history.
    #[command(group = ArgGroup::new("which").args(["names", "all"]).required(true))]
    Verify {
        /// Which ones
        #[arg(value_name = "NAME")]
        names: Vec<String>,

        /// All of them
        #[arg(long)]
        all: bool,
    },
    Restore(RestoreArgs),
    /// Remove one backup, for good
    ///
    /// One that is pinned stays, the newest that is known to restore, and one that this database has
    /// no record of, unless it is forced. One that cannot be read goes. Of one that is gone it strikes
    /// out what is known.
    Remove {
        /// Which one
        name: String,

        /// Remove it whatever it is
        #[arg(long)]
        force: bool,

        /// Say whether it may go, and remove nothing
        #[arg(long)]
        dry_run: bool,

        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Keep a backup whatever the retention says
    Pin {
        /// Which one
        name: String,
    },
    /// Let the retention decide on a backup again
    Unpin {
        /// Which one
        name: String,
    },
    /// Remove the backups that no rule of [backups.retention] keeps, and say why the others stay
    ///
    /// Only those that were read back whole count. The newest of all, the newest that was read
    /// back, and pinned ones stay whatever the rules say. Those that cannot be read are left alone:
    /// `setpoint backup list` tells of them.
    Prune {
        /// Say what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,

        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

impl Command {
    /// Whether it only shows what it would do to the settings.
    pub(super) fn is_dry(&self) -> bool {
        matches!(self, Self::Restore(RestoreArgs { dry_run: true, .. }))
    }
}

/// Put a backup back, after a backup of what is there now
///
/// The history is then that of the backup, with the restore on top: a new epoch, which running
/// services follow without a restart. The record of backups stays as it is, and so do tokens and runs
/// of jobs, unless there are none: then those of the backup come, which may have been revoked since.
/// Files of the application stay: `setpoint drift` tells where one says something else.
///
/// A change that waited to be confirmed waits again, unless it was confirmed here since.
///
/// Of a backup whose history was damaged when it was taken it restores that, and exits with 1.
///
/// With --json it prints what HTTP answers: backup, from_revision, is_there, plan, tables, problems,
/// and the revisions that are waiting; once it is done also epoch, revision, safety_backup. With
/// --only it prints what every change of settings does: also without --yes it does not ask then, and
/// `setpoint revert` takes it back.
#[derive(clap::Args)]
pub(super) struct RestoreArgs {
    /// Which one
    name: String,

    /// Not its end but this revision, or the newest at this time: 2026-05-01T12:00:00Z, the
    /// end of 2026-05-01, or 12h for so long ago
    ///
    /// The history and the settings are as they were then. Of a file that was imported later it
    /// is not known what it said then: it counts as never imported, so that its next import asks
    /// about each difference and overwrites nothing.
    #[arg(long, value_name = "REVISION|TIME")]
    at: Option<String>,

    /// Only the values of these keys, or patterns such as http.*, as a revision on top of the
    /// history as it is
    ///
    /// Without --namespace it means these keys in every namespace, and always in every layer. The
    /// namespace that setpoint.toml names is for commands that are about one.
    #[arg(long, value_name = "KEYS", value_delimiter = ',')]
    only: Vec<String>,

    /// Print what would change, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Do not ask
    #[arg(long)]
    yes: bool,

    /// Why, for the history
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) async fn run(context: &Context, command: Command) -> miette::Result<Exit> {
    match command {
        Command::Create { name, note, pin } => create(context, name, note, pin).await,
        Command::List => list(context).await,
        Command::Verify { names, all } => verify(context, names, all).await,
        Command::Restore(args) => restore(context, args).await,
        Command::Remove { name, force, dry_run, yes } => {
            remove(context, &name, force, dry_run, yes).await
        }
        Command::Pin { name } => pin(context, &name, true).await,
        Command::Unpin { name } => pin(context, &name, false).await,
        Command::Prune { dry_run, yes } => prune(context, dry_run, yes).await,
    }
}

fn storage(context: &Context) -> Storage {
    context.loaded.storage()
}

async fn create(
    context: &Context,
    name: Option<String>,
    note: Option<String>,
    pin: bool,
) -> miette::Result<Exit> {
    let wish = Wish { name, kind: Kind::Manual, note, pin };
    let (location, settings) = (context.location(), context.loaded.database_settings());
    let (storage, author) = (storage(context), context.author(None));
    let made = backup::create(&location, settings, &storage, wish, &author, Utc::now()).await?;
    let Verified { name, manifest, size_bytes, .. } = &made.verified;
    let revision = manifest.revision;
    tracing::info!(backup = name, revision, "took a backup");
    if context.json {
        console::show_json(&made)?;
    } else {
        tell_problems(name, made.problems.as_deref().unwrap_or_default());
        console::show(format_args!("{name}\n"))?;
        let (size, place) = (size(*size_bytes), storage.place());
        console::tell(format_args!("revision {revision}, {size} in {place}, read back whole"));
        if made.problems.is_none() {
            console::tell("its history is long, and left to `setpoint backup verify`");
        }
    }
    match made.is_tampered() {
        true => Err(damaged_history(&format!("backup {name} was taken, and the history in it is"))),
        false => Ok(Exit::Done),
    }
}

/// What fails where archives are whole, and what they are of is not.
fn damaged_history(whose: &str) -> miette::Report {
    miette!(
        code = "backup::damaged_history",
        help = "it restores what was there: `setpoint audit verify` tells whether the database is \
                damaged by now, and `setpoint backup verify --all` which backups are sound",
        "{whose} damaged"
    )
}

async fn list(context: &Context) -> miette::Result<Exit> {
    let (location, settings) = (context.location(), context.loaded.database_settings());
    let storage = storage(context);
    let listed = backup::list(&location, settings, &storage).await?;
    let Listing { backups, missing, unknown } = listed;
    if let Some(error) = unknown.filter(|_| !backups.is_empty()) {
        let error = error.in_a_line();
        console::tell(format_args!("what is known of them cannot be told: {error}"));
    }
    let others = backup::passed_over(&storage)?;
    if let Some(first) = others.first() {
        let files = counted(others.len(), "file");
        let place = storage.place();
        console::tell(format_args!(
            "passed over {files} in {place} whose names cannot be those of backups, such as {first:?}"
        ));
    }
    if let Some(first) = missing.first() {
        let (count, place) = (counted(missing.len(), "backup"), storage.place());
        console::tell(format_args!(
            "of {count} in the record nothing is in {place}, such as {first}: \
             `setpoint backup remove {first}` strikes it out"
        ));
    }
    if context.json {
        console::show_json(&backups)?;
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = backups.iter().map(row).collect();
    let head = ["name", "taken (UTC)", "rev", "size", "state", "note"];
    console::show(console::table(&head, &rows))?;
    Ok(Exit::Done)
}

/// What tells backups apart; `--json` has the rest.
fn row(listed: &Listed) -> Vec<String> {
    let Listed { name, manifest, size_bytes, trust, pinned, problem } = listed;
    let Some(Manifest { created_at, revision, note, encryption, .. }) = manifest else {
        let [taken, revision, size] = ["-"; 3].map(str::to_owned);
        let problem = problem.clone().unwrap_or_default();
        return vec![name.clone(), taken, revision, size, "unreadable".to_owned(), problem];
    };
    let state = match trust {
        Trust::Verified(_) => "verified",
        Trust::Tampered(_) => "history damaged",
        Trust::Doubted(_) => "damaged",
        Trust::Unknown => "not verified",
        Trust::Replaced => "replaced",
    };
    let mut state = state.to_owned();
    if encryption.is_some() {
        state.push_str(", encrypted");
    }
    if *pinned {
        state.push_str(", pinned");
    }
    vec![
        name.clone(),
        time::minute(created_at),
        revision.to_string(),
        size(*size_bytes),
        state,
        // It may come from anywhere.
        note.iter().flat_map(|it| it.chars()).filter(|it| !is_hidden(*it)).collect(),
    ]
}

/// Whether a character would do something to a terminal, or turn the direction of its text.
fn is_hidden(it: char) -> bool {
    it.is_control() || matches!(it, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

async fn verify(context: &Context, names: Vec<String>, all: bool) -> miette::Result<Exit> {
    let (location, settings) = (context.location(), context.loaded.database_settings());
    let storage = storage(context);
    let names = if all { None } else { Some(names) };
    let is_one = names.as_ref().is_some_and(|it| it.len() == 1);
    let (mut results, mut bad, mut tampered, mut unchecked) = (Vec::new(), 0, 0, Vec::new());
    let told = |name: &str, checked: Result<Checked, Error>| -> miette::Result<()> {
        match checked {
            Ok(one) => {
                let Verified { manifest, size_bytes, .. } = &one.verified;
                let (revision, size) = (manifest.revision, size(*size_bytes));
                if !context.json {
                    tell_problems(name, one.problems.as_deref().unwrap_or_default());
                    console::show(format_args!("{name}: whole, revision {revision}, {size}\n"))?;
                    if one.recorded == Some(false) {
                        console::tell(format_args!(
                            "{name} is not in the record of this database, as its history is not"
                        ));
                    }
                }
                tampered += usize::from(one.is_tampered());
                results.push(Outcome::Whole(Box::new(one)));
            }
            Err(error) if is_one => return Err(error.into()),
            Err(error) => {
                let (is_damaged, problem) = (error.damage().is_some(), error.in_a_line());
                if !context.json {
                    console::tell(format_args!("{name}: {problem}"));
                }
                let name = name.to_owned();
                results.push(Outcome::Failed { name, problem, damaged: is_damaged });
                match is_damaged {
                    true => bad += 1,
                    false => unchecked.push(error),
                }
            }
        }
        Ok(())
    };
    let verifying = backup::verify_each(&location, settings, &storage, names, Utc::now, told);
    let count = verifying.await?;
    if context.json {
        console::show_json(&results)?;
    }
    let of = counted(count, "backup");
    match (bad, unchecked.first()) {
        (0, None) if tampered > 0 => {
            Err(damaged_history(&format!("the history in {tampered} of {of} is")))
        }
        (0, None) => Ok(Exit::Done),
        (0, Some(first)) => Err(miette!(
            code = "backup::not_checked",
            help = first.help().map_or_else(String::new, |it| it.to_string()),
            "{} of {of} could not be checked: that says nothing of them",
            unchecked.len()
        )),
        (bad, _) => {
            let besides = match unchecked.len() {
                0 => String::new(),
                unchecked => format!(", and {unchecked} could not be checked"),
            };
            Err(miette!(
                code = "backup::not_whole",
                help = "restore from another one, and take a new one: `setpoint backup create`",
                "{bad} of {of} cannot be restored{besides}"
            ))
        }
    }
}

/// What came of reading a backup back.
#[derive(Serialize)]
#[serde(untagged)]
enum Outcome {
    Whole(Box<Checked>),
    Failed {
        name: String,
        problem: String,
        /// Or it could not be looked at.
        damaged: bool,
    },
}

/// What was wrong already when the backup `name` was taken.
fn tell_problems(name: &str, problems: &[String]) {
    const SHOWN: usize = 5;
    if problems.is_empty() {
        return;
    }
    console::tell(format_args!("{name}: its history was damaged already when it was taken:"));
    for problem in problems.iter().take(SHOWN) {
        console::tell(format_args!("  {problem}"));
    }
    if problems.len() > SHOWN {
        console::tell(format_args!("  and {} more", problems.len() - SHOWN));
    }
}

async fn remove(
    context: &Context,
    name: &str,
    is_forced: bool,
    is_dry: bool,
    yes: bool,
) -> miette::Result<Exit> {
    let (location, settings) = (context.location(), context.loaded.database_settings());
    let (storage, by) = (storage(context), context.author(None).actor);
    let remove = async |is_dry| {
        backup::remove(&location, settings, &storage, name, is_forced, is_dry, &by).await
    };
    remove(true).await?;
    if !is_dry {
        let question = format!("Remove backup {name} from {}, for good?", storage.place());
        console::confirm(&question, yes)?;
        remove(false).await?;
    }
    if context.json {
        #[derive(Serialize)]
        struct Removed<'a> {
            name: &'a str,
            removed: bool,
        }
        console::show_json(&Removed { name, removed: !is_dry })?;
        return Ok(Exit::Done);
    }
    let done = if is_dry { "would be removed" } else { "removed" };
    console::tell(format_args!("{name} {done}"));
    Ok(Exit::Done)
}

async fn pin(context: &Context, name: &str, is_pinned: bool) -> miette::Result<Exit> {
    let (location, settings) = (context.location(), context.loaded.database_settings());
    let storage = storage(context);
    let listed = backup::pin(&location, settings, &storage, name, is_pinned, Utc::now()).await?;
    if context.json {
        console::show_json(&listed)?;
        return Ok(Exit::Done);
    }
    let done = if is_pinned { "stays whatever the rules say" } else { "is pinned no more" };
    console::tell(format_args!("{name} {done}"));
    Ok(Exit::Done)
}

async fn prune(context: &Context, is_dry: bool, yes: bool) -> miette::Result<Exit> {
    let (location, settings) = (context.location(), context.loaded.database_settings());
    let (storage, now) = (storage(context), Utc::now());
    let policy = context.loaded.config.backups.retention.as_ref().ok_or(Error::NoRetention)?;
    let planned = backup::plan_prune(&location, settings, &storage, policy, now).await?;
    let goes = planned.iter().filter(|it| !it.is_kept()).count();
    let rows: Vec<_> = planned
        .iter()
        .map(|it| {
            let reasons: Vec<_> = it.reasons.iter().map(ToString::to_string).collect();
            let fate = if it.is_kept() { "stays" } else { "goes" };
            let taken = time::minute(&time::stamp(it.at));
            vec![it.name.clone(), taken, fate.to_owned(), reasons.join(", ")]
        })
        .collect();
    let shown = console::table(&["name", "taken (UTC)", "", "because"], &rows);
    if is_dry || goes == 0 {
        match context.json {
            true => console::show_json(&planned)?,
            false => console::show(shown)?,
        }
        return Ok(Exit::Done);
    }
    if !context.json {
        console::show(shown)?;
    }
    console::confirm(&format!("Remove {}?", counted(goes, "backup")), yes)?;
    backup::prune_planned(&location, settings, &storage, policy, &planned, now).await?;
    tracing::info!(removed = goes, "removed backups");
    if context.json {
        console::show_json(&planned)?;
    } else {
        console::tell(format_args!("{} removed", counted(goes, "backup")));
    }
    Ok(Exit::Done)
}

async fn restore(context: &Context, args: RestoreArgs) -> miette::Result<Exit> {
    let now = Utc::now();
    let at = args.at.as_deref().map(|it| Moment::parse(it, now)).transpose()?;
    let only = args.only.iter().map(|it| pattern(it)).collect::<miette::Result<Vec<_>>>()?;
    let restore = Restore::open(&storage(context), &args.name, at.as_ref()).await?;
    if !context.json {
        tell_problems(&restore.name, &restore.problems);
    }
    let done = match only.is_empty() {
        true => restore_all(context, &restore, &args).await,
        false => restore_values(context, &restore, &only, args).await,
    };
    let closed = restore.close().await;
    let exit = done?;
    closed?;
    Ok(exit)
}

fn pattern(text: &str) -> miette::Result<Pattern> {
    text.parse().map_err(|error| {
        miette!(
            code = "backup::bad_pattern",
            help = "nothing was changed; give keys, or patterns such as http.*",
            "`{text}` names no keys: {error}"
        )
    })
}

async fn restore_values(
    context: &Context,
    restore: &Restore,
    only: &[Pattern],
    args: RestoreArgs,
) -> miette::Result<Exit> {
    let reason = args
        .reason
        .unwrap_or_else(|| format!("from backup {}, revision {}", restore.name, restore.revision));
    let author = context.author(Some(reason.clone()));
    let how = How {
        dry_run: args.dry_run,
        out: None,
        exit_code: false,
        reason: Some(reason),
        trial: confirm::Wanted::default(),
    };
    let (location, settings) = (context.location(), context.loaded.database_settings());
    restore.refuse_other(&location, settings).await?;
    let namespace = context.only.as_deref();
    let make = async |db: &sea_orm::DatabaseTransaction| {
        restore.values(db, only, namespace, author.clone()).await
    };
    context.edit(&how, make).await
}

async fn restore_all(
    context: &Context,
    restore: &Restore,
    args: &RestoreArgs,
) -> miette::Result<Exit> {
    if let Some(namespace) = &context.only {
        return Err(miette!(
            code = "backup::whole",
            help = "nothing was changed; leave it out, or name its keys: --only '**'",
            "a backup is restored whole, not only the namespace {namespace}"
        ));
    }
    let (location, settings) = (context.location(), context.loaded.database_settings());
    let author = context.author(args.reason.clone());
    let mut planned = restore.plan(&location, settings, author).await?;
    if let Some(plan) = hidden(&planned.plan, context.rules()?) {
        planned.plan = plan;
    }
    let is_last = args.dry_run || planned.is_there;
    if context.json && is_last {
        console::show_json(&planned)?;
    }
    let mut text = view::text(&planned.plan);
    for it in planned.tables.iter().filter(|it| it.before != it.after) {
        text.push_str(&format!(
            "table {}: {} -> {}\n",
            it.table,
            counted(it.before, "row"),
            it.after
        ));
    }
    if is_last {
        if !context.json {
            console::show(text)?;
        }
        if planned.is_there {
            console::tell("the database is at that very revision: there is nothing to restore");
        }
        if !context.json {
            tell_waiting(&planned.waiting, "was not confirmed yet, and would wait again");
        }
        return Ok(Exit::Done);
    }
    if !context.json {
        console::tell(text.trim_end());
    }
    let (name, revision, place) = (&restore.name, restore.revision, location.name());
    let question = format!("Replace everything in {place} by backup {name}, revision {revision}?");
    console::confirm(&question, args.yes)?;
    let storage = storage(context);
    let (plan, channel, now) = (&planned.plan, Channel::Cli, Utc::now());
    let done = restore.carry_out(&location, settings, &storage, plan, channel, now).await?;
    tracing::info!(backup = name, revision = done.revision, "restored a backup");
    if context.json {
        console::show_json(&planned.carried_out(done))?;
    } else {
        tell_replaced(&done, plan.base.revision);
        console::tell(format_args!("revision {} of epoch {}", done.revision, done.epoch));
        tell_waiting(&done.waiting, "was not confirmed yet, and waits again (`setpoint confirm`)");
    }
    write_back::after(context).await;
    match restore.problems.is_empty() {
        true => Ok(Exit::Done),
        false => {
            Err(damaged_history(&format!("backup {name} was restored, and the history in it is")))
        }
    }
}

/// Where what was there is, and whether that is what was shown.
fn tell_replaced(done: &Restored, planned: i64) {
    let Some(safe) = &done.safety_backup else { return };
    let Some(replaced) = done.replaced_revision else {
        return console::tell(format_args!("what was there before is in backup {safe}"));
    };
    let instead = match replaced == planned {
        true => "of another history".to_owned(),
        false => format!("not {planned}"),
    };
    console::tell(format_args!(
        "others wrote meanwhile: what was replaced is revision {replaced}, {instead}; it is in \
         backup {safe}"
    ));
}

/// Revisions on trial.
fn tell_waiting(waiting: &[i64], tells: &str) {
    for id in waiting {
        console::tell(format_args!("revision {id} {tells}"));
    }
}
