use setpoint_ops::revert::{Part, Target, plan};

use super::{Context, Exit, How, Strategy, key, strategy};

/// Take back what a revision did, or everything since one; as a new revision
///
/// Exits with 2 if a key has changed since: the live value stays until --strategy says.
#[derive(clap::Args)]
pub(super) struct Args {
    /// What this revision did
    #[arg(required_unless_present = "to", conflicts_with = "to")]
    revision: Option<i64>,

    /// Everything that happened after this revision
    #[arg(long, value_name = "REVISION")]
    to: Option<i64>,

    /// Only this key and those below it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// What to do with keys that changed since: `theirs` is the earlier value
    #[arg(long, value_name = "WHICH")]
    strategy: Option<Strategy>,

    #[command(flatten)]
    pub(super) how: How,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let target = match (args.revision, args.to) {
        (Some(revision), _) => Target::Revision(revision),
        (None, to) => Target::To(to.unwrap_or_default()),
    };
    let part = Part {
        namespace: context.only.clone(),
        layer: None,
        keys: args.key.as_deref().map(key).transpose()?.into_iter().collect(),
    };

    let make = async |db: &sea_orm::DatabaseTransaction| {
        let author = context.author(args.how.reason.clone());
        plan(db, target, &part, strategy(args.strategy), author).await
    };
    context.edit(&args.how, make).await
}
