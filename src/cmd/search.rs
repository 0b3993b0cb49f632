use setpoint_ops::setting;

use super::{Context, Exit, Which, list};
use crate::console;

/// Find settings by words in their key or value
#[derive(clap::Args)]
pub(super) struct Args {
    /// Every one has to be there, in any case
    #[arg(required = true)]
    words: Vec<String>,

    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let scope = context.scope(&args.which)?;
    let found = context.read(async |db| setting::search(db, &scope, &args.words).await).await?;

    if context.json {
        console::show_json(&found)?;
    } else if found.is_empty() {
        console::tell("nothing found");
    } else {
        console::show(list::table(&found))?;
    }
    Ok(Exit::Done)
}
