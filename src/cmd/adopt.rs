use chrono::Utc;
use setpoint_ops::adopt::{Adoption, Left, Wanted, plan};
use setpoint_ops::file::Rewrite;
use setpoint_ops::import::Import;
use setpoint_ops::migrate::migrate;

use super::{Context, Exit, How, confirm, key, sources, view, write_back};
use crate::console;

/// Write what is live into the files it came from
///
/// In place: comments, order, quoting and anchors stay. The files are copied to the backups
/// folder first. A key that a file cannot be made to say exactly is refused, with the reason.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Keys that are out of line, and those below them
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    keys: Vec<String>,

    /// Everything that was edited here and is not ignored
    #[arg(long)]
    all: bool,

    /// Show what would change in the files, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,

    /// With --dry-run: exit with 2 if there is something to change
    #[arg(long)]
    exit_code: bool,

    /// Why, for the history
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let keys = args.keys.iter().map(|it| key(it)).collect::<Result<Vec<_>, _>>()?;
    let wanted = if args.all { Wanted::All } else { Wanted::Keys(keys) };
    let configured = sources::configured(context)?;
    let (root, limits) = (&context.loaded.root, context.loaded.limits());
    let make = async |db: &sea_orm::DatabaseTransaction| {
        let author = context.author(args.reason.clone());
        let namespace = context.namespace();
        plan(db, &configured, root, namespace, &wanted, &limits, author, Utc::now()).await
    };
    let Adoption { import, left } = context.read(make).await?;
    for Left { key, reason } in left {
        console::tell(format_args!("note: {key} is left out: {reason}"));
    }
    let count = import.plan.changes.len();
    let adopted = match args.dry_run {
        true => format!("{count} to adopt\n"),
        false => format!("{count} adopted\n"),
    };
    if args.dry_run {
        if !context.json {
            console::show(differences(&import) + &adopted)?;
            let differs = args.exit_code && !import.plan.is_empty();
            return Ok(if differs { Exit::Differs } else { Exit::Done });
        }
        let trial = confirm::Wanted::default();
        let how = How { dry_run: true, out: None, exit_code: args.exit_code, reason: None, trial };
        return view::planned(context, &how, &import.plan);
    }

    let (location, settings) = (context.location(), context.loaded.database_settings());
    let backups = context.loaded.backups();
    let done =
        migrate(&location, settings, &import, &backups, super::Channel::Cli, Utc::now()).await?;
    let mut exit = Exit::Done;
    if context.json {
        exit = view::applied(context, &import.plan, done.applied)?;
    } else {
        console::show(differences(&import) + &adopted)?;
        if let Some(folder) = &done.originals {
            console::tell(format_args!("originals are in {}", folder.display()));
        }
        if let Some(revision) = done.applied.revision() {
            console::tell(format_args!("revision {revision}"));
        }
    }
    write_back::after(context).await;
    Ok(exit)
}

/// What changes in the files, as `diff -u` shows it.
fn differences(import: &Import) -> String {
    let text = |it: &Rewrite| {
        let shown = it.shown.as_ref()?;
        let before = String::from_utf8_lossy(&shown.before);
        let after = String::from_utf8_lossy(&shown.after);
        let diff = similar::TextDiff::from_lines(before.as_ref(), after.as_ref());
        Some(diff.unified_diff().context_radius(1).header(&it.name, &it.name).to_string())
    };
    import.rewrites.iter().filter_map(text).collect()
}
