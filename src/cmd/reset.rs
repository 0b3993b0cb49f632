use chrono::Utc;
use setpoint_ops::reset::{Target, before, keep, plan};

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
    pub(super) how: How,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let target = Target {
        namespace: context.namespace().to_owned(),
        layer: args.layer.as_deref().map(|it| context.layer(it)).transpose()?,
        keys: args.key.as_deref().map(key).transpose()?.into_iter().collect(),
        purge: args.purge,
    };
    let make = async |db: &sea_orm::DatabaseTransaction| {
        plan(db, &target, context.author(args.how.reason.clone())).await
    };
    let reset = context.read(make).await?;
    if args.how.is_dry() || reset.is_empty() {
        return view::planned(context, &args.how, &reset);
    }

    if !args.yes {
        console::tell(view::text(&reset).trim_end());
    }
    let what = target.keys.first().map_or("everything".to_owned(), ToString::to_string);
    console::confirm(&format!("Put {what} of {} back?", target.namespace), args.yes)?;
    let kept = async |db: &sea_orm::DatabaseTransaction| before(db, &reset).await;
    let folder = keep(&context.read(kept).await?, &context.loaded.backups(), Utc::now())?;
    console::tell(format_args!("the settings as they were are in {}", folder.display()));
    // What was shown is done, and nothing else: it is stale if a key has moved meanwhile.
    context.edit(&args.how, async |_| Ok(reset.clone())).await
}
