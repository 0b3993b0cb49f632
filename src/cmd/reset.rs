use chrono::Utc;
use setpoint_ops::reset::{Target, keep, plan};

use super::{Context, Exit, How, key, view};
use crate::console;

/// Put settings back to what their files said at the last import
///
/// Keys that no file has are listed, and stay; --purge removes them too. Every setting of the
/// namespace is written to the backups folder first, and `setpoint revert` takes the reset back.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A key, and everything below it
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    key: Option<String>,

    /// The whole namespace: the factory reset
    #[arg(long)]
    all: bool,

    /// Remove keys that no file has, too
    #[arg(long)]
    purge: bool,

    /// Only this layer
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,

    /// Do not ask
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    how: How,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let target = Target {
        namespace: context.namespace().to_owned(),
        layer: args.layer.as_deref().map(|it| context.layer(it)).transpose()?,
        prefix: args.key.as_deref().map(key).transpose()?,
        purge: args.purge,
    };
    let make = async |db: &sea_orm::DatabaseTransaction| {
        plan(db, &target, context.author(args.how.reason.clone())).await
    };
    let reset = context.read(make).await?;
    if args.how.dry_run || args.how.out.is_some() || reset.is_empty() {
        return view::planned(context, &args.how, &reset);
    }

    if !args.yes {
        console::tell(view::text(&reset).trim_end());
    }
    let what = target.prefix.as_ref().map_or("everything".to_owned(), ToString::to_string);
    console::confirm(&format!("Put {what} of {} back?", target.namespace), args.yes)?;
    let backups = context.loaded.backups();
    let kept = async |db: &sea_orm::DatabaseTransaction| {
        keep(db, &target.namespace, &backups, Utc::now()).await
    };
    let folder = context.read(kept).await?;
    console::tell(format_args!("the settings as they were are in {}", folder.display()));
    context.edit(&args.how, make).await
}
