use std::path::PathBuf;

use clap::ValueHint;
use setpoint_ops::apply::{head, refuse_stale};
use setpoint_ops::plan::Plan;

use super::{Context, Exit, apply_plan, view};
use crate::console;

/// Show a plan that --out has written, and whether it can still be applied
///
/// Exits with 2 if it is stale.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The plan; `-` is standard input
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let plan: Plan = apply_plan::read_plan(&args.file)?;
    if context.json {
        console::show_json(&plan)?;
    } else {
        console::show(view::text(&plan))?;
    }

    let fresh = async |db: &sea_orm::DatabaseTransaction| {
        let head = head(db).await?;
        Ok(refuse_stale(db, &plan, &head).await)
    };
    match context.read(fresh).await? {
        Ok(()) => Ok(Exit::Done),
        Err(stale) => {
            console::tell(stale);
            Ok(Exit::Differs)
        }
    }
}
