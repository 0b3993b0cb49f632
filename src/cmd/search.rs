use setpoint_ops::search::Query;
use setpoint_ops::setting;

use super::{Context, Exit, Which, list};
use crate::console;

/// Find settings by words in their key or value, the best first
///
/// Case, accents, - and _ make no difference. The exact key comes first, then whole words, their
/// beginnings, other parts, and last what letters were left out of: mf finds max_force.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Every one has to be there
    #[arg(required = true)]
    words: Vec<String>,

    /// As many at most
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: u32,

    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let query = Query::parse(&args.words.join(" "))?;
    let scope = context.scope(&args.which)?;
    let limit = args.limit as usize;
    // One more tells whether there are more.
    let read = context.read(async |db| setting::search(db, &scope, &query, limit + 1).await);
    let mut found = read.await?;
    let is_cut = found.len() > limit;
    found.truncate(limit);

    if context.json {
        console::show_json(&found)?;
    } else if found.is_empty() {
        console::tell("nothing found");
    } else {
        console::show(list::table(&found))?;
        if is_cut {
            console::tell(format_args!("only the best {limit}; --limit shows more"));
        }
    }
    Ok(Exit::Done)
}
