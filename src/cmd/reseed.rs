use std::path::PathBuf;

use clap::ValueHint;
use serde::Serialize;
use setpoint_ops::import;
use setpoint_ops::plan::{PlannedSource, SourceStatus};

use super::{Context, Exit, migrate, sources};
use crate::console;

/// Import sources again on purpose, versions that were skipped too
///
/// As `migrate`, for the sources named: edits stay, and conflicts are left open or settled.
/// Sources are named as in setpoint.toml, or by their path; without a name it is all of them.
///
/// With --check it only tells whether an update is available, and exits with 2 if one is.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The sources, by their path
    #[arg(value_name = "SOURCE", value_hint = ValueHint::FilePath)]
    sources: Vec<PathBuf>,

    /// Only tell whether an update is available
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    pub(super) bring: migrate::Bring,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let declared = sources::named(context, &args.sources).await?;
    if !args.check {
        return migrate::bring(context, declared, true, args.bring).await;
    }

    let options = import::Options::default();
    let import = migrate::planned(context, &declared, &options, None).await?;
    check(context, &import.plan.sources)
}

fn check(context: &Context, sources: &[PlannedSource]) -> miette::Result<Exit> {
    #[derive(Serialize)]
    struct Checked<'a> {
        update_available: bool,
        sources: Vec<&'a PlannedSource>,
    }
    let is_update =
        |it: &PlannedSource| matches!(it.status, SourceStatus::New | SourceStatus::Changed);
    let update_available = sources.iter().any(is_update);
    if context.json {
        let sources = sources.iter().collect();
        console::show_json(&Checked { update_available, sources })?;
    } else {
        let rows = sources.iter().map(|it| {
            let says = match it.status {
                SourceStatus::New => "never imported",
                SourceStatus::Changed => "update available",
                SourceStatus::Skipped => "update skipped",
                SourceStatus::Open => "up to date, conflicts open",
                SourceStatus::SameMeaning | SourceStatus::Unchanged => "up to date",
            };
            vec![it.path.clone(), it.namespace.clone(), it.layer.clone(), says.to_owned()]
        });
        let rows: Vec<_> = rows.collect();
        console::show(console::table(&["source", "namespace", "layer", "state"], &rows))?;
    }
    Ok(if update_available { Exit::Differs } else { Exit::Done })
}
