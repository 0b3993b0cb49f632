//! `migrate --suggest-renames`

use serde::Serialize;
use setpoint_ops::amount::counted;
use setpoint_ops::source::Declared;
use setpoint_ops::suggest::suggestions;

use super::{Context, Exit};
use crate::console;

pub(super) async fn run(context: &Context, declared: &[Declared]) -> miette::Result<Exit> {
    #[derive(Serialize)]
    struct Shown {
        source: String,
        /// A line of setpoint.toml.
        line: String,
        pairs: Vec<Pair>,
    }
    #[derive(Serialize)]
    struct Pair {
        from: String,
        to: String,
        because: String,
    }
    let limits = context.loaded.limits();
    let found = async |db: &sea_orm::DatabaseTransaction| suggestions(db, declared, &limits).await;
    let proposed = context.read(found).await?;
    if context.json {
        let shown = proposed.iter().flat_map(|one| {
            one.suggestions.iter().map(|it| Shown {
                source: one.path.clone(),
                line: it.to_string(),
                pairs: it
                    .pairs
                    .iter()
                    .map(|it| Pair {
                        from: it.from.to_string(),
                        to: it.to.to_string(),
                        because: it.because.to_string(),
                    })
                    .collect(),
            })
        });
        console::show_json(&shown.collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    let mut count = 0;
    for one in proposed.iter().filter(|it| !it.suggestions.is_empty()) {
        console::show(format_args!("# the [[source]] of {}\n", one.path))?;
        for suggestion in &one.suggestions {
            count += suggestion.pairs.len();
            console::show(format_args!("{suggestion}\n"))?;
        }
    }
    match count {
        0 => console::tell("no key seems to have another name"),
        count => console::tell(format_args!(
            "{} may have another name: put the lines that are right into\nsetpoint.toml, then \
             `setpoint migrate --dry-run`",
            counted(count, "key")
        )),
    }
    Ok(Exit::Done)
}
