use super::{Context, Exit, Which, kept_out, key, view};
use crate::console;

/// Print one value
///
/// A string comes without quotes, anything else as JSON; --json prints the whole setting.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The key, as `setpoint list` shows it
    key: String,

    /// As it was at this revision, by the history as it is: `setpoint audit verify` proves it
    #[arg(long, value_name = "REVISION")]
    at: Option<i64>,

    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let key = key(&args.key)?;
    let scope = context.scope(&args.which)?;
    let policy = context.policy(args.at)?;
    let read = async |db: &sea_orm::DatabaseTransaction| {
        let setting = setpoint_ops::setting::get(db, &scope, &key, args.at).await?;
        Ok((setting, kept_out(db, &scope, Some(&key), policy.as_ref()).await?))
    };
    let (setting, kept_out) = context.read(read).await?;
    view::kept_out(&kept_out);

    match &setting.value {
        _ if context.json => console::show_json(&setting)?,
        serde_json::Value::String(text) => console::show(format_args!("{text}\n"))?,
        other => console::show(format_args!("{other}\n"))?,
    }
    Ok(Exit::Done)
}
