use chrono::Utc;
use setpoint_ops::amount::counted;
use setpoint_ops::database::{self, Access, Database};
use setpoint_ops::write_back::{Followed, follow};

use super::{Context, Exit, sources};
use crate::console;

/// Write what has changed into the files that follow the database
///
/// Every command that changes something does so by itself, for sources with `write_back = true`
/// in setpoint.toml. This is for what could not be written then, and for edits made in SQL.
///
/// Exits with 1 if a file still cannot be written.
#[derive(clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(context: &Context, _: Args) -> miette::Result<Exit> {
    let followed = written(context).await?;
    if context.json {
        console::show_json(&followed)?;
    } else {
        tell(&followed);
        let written: usize = followed.iter().map(|it| it.written.len()).sum();
        console::show(format_args!("{} written\n", counted(written, "setting")))?;
    }
    let failed = followed.iter().any(|it| it.failure.is_some());
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// The same after a change. That has been made, so what fails here is told and no more.
pub(super) async fn after(context: &Context) {
    match written(context).await {
        Ok(followed) => tell(&followed),
        Err(error) => console::tell(format_args!(
            "the files that follow are not written yet: {error}; `setpoint write-back` tries again"
        )),
    }
}

async fn written(context: &Context) -> miette::Result<Vec<Followed>> {
    if !context.loaded.config.sources.iter().any(|it| it.write_back) {
        return Ok(Vec::new());
    }
    let declared = sources::configured(context)?;
    let (limits, author) = (context.loaded.limits(), context.author(None));
    let work = async |db: &Database| follow(db, &declared, &limits, &author, Utc::now()).await;
    let settings = context.loaded.database_settings();
    Ok(database::using(&context.location(), Access::Write, settings, work).await?)
}

pub(super) fn tell(followed: &[Followed]) {
    for one in followed {
        let path = &one.path;
        if let Some(failure) = &one.failure {
            console::tell(format_args!(
                "{path} is not written yet: {failure}; `setpoint write-back` tries again"
            ));
        }
        if !one.written.is_empty() {
            console::tell(format_args!("{path} follows: {} written", one.written.len()));
        }
        for left in &one.left {
            console::tell(format_args!("{path} does not follow `{}`: {}", left.key, left.reason));
        }
    }
}
