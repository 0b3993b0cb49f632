use setpoint_ops::amount::counted;
use setpoint_ops::verify::everything;

use super::{Context, Exit};
use crate::console::{self, Progress};

/// Check the whole database
///
/// Its structure, that the history adds up to the live values, the chain of hashes, and that
/// the seeds are what the originals say. Exits with 1 if anything is wrong.
#[derive(clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(context: &Context, _: Args) -> miette::Result<Exit> {
    let report = {
        let _progress = Progress::start(1, 1, "checking");
        let limits = context.loaded.limits();
        context.read(async |db| everything(db, &limits).await).await?
    };

    if context.json {
        console::show_json(&report)?;
    } else {
        for problem in &report.problems {
            console::show(format_args!("{problem}\n"))?;
        }
        let verdict = match report.problems.len() {
            0 => "all right".to_owned(),
            count => counted(count, "problem"),
        };
        let settings = counted(report.settings, "setting");
        let revisions = counted(report.revisions, "revision");
        let sources = counted(report.sources, "source");
        console::show(format_args!("{settings}, {revisions}, {sources}: {verdict}\n"))?;
    }
    Ok(if report.problems.is_empty() { Exit::Done } else { Exit::Failed })
}
