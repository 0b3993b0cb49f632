use setpoint_ops::Error;
use setpoint_ops::edit::{self, Edits};
use setpoint_ops::secret::Rules;

use super::{Context, Exit, How, InLayer, key};

/// Take a setting away from its layer
#[derive(clap::Args)]
pub(super) struct Args {
    /// The key, as `setpoint list` shows it
    key: String,

    /// Everything below the key too
    #[arg(long, short)]
    recursive: bool,

    #[command(flatten)]
    into: InLayer,

    #[command(flatten)]
    pub(super) how: How,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let key = key(&args.key)?;
    let (namespace, layer) = (context.namespace(), context.layer(&args.into.layer)?);

    let make = async |db: &sea_orm::DatabaseTransaction| {
        let below = edit::everything_below(db, namespace, &layer, &key).await?;
        let is_map = below.keys().any(|it| *it != key);
        let edits = match args.recursive {
            true => below,
            false => Edits::from([(key.clone(), None)]),
        };
        let author = context.author(args.how.reason.clone());
        let plan = edit::plan(db, namespace, &layer, edits, &Rules::default(), author).await?;
        if plan.changes.is_empty() {
            let help = match is_map {
                true => {
                    "`setpoint list --prefix` shows what is below it; --recursive takes that away"
                }
                false => "`setpoint list` shows every key",
            };
            return Err(Error::UnknownKey {
                namespace: namespace.to_owned(),
                key: key.to_string(),
                help: help.to_owned(),
            });
        }
        Ok(plan)
    };
    context.edit(&args.how, make).await
}
