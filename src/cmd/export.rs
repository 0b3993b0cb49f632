use setpoint_ops::export::{ExportFormat, document};

use super::{Context, Exit, Which, kept_out, key, view};
use crate::console;

/// Print settings as one document
///
/// Keys come in the order of the files. What is printed has been read again and is the same in
/// type and value, except that in env every value is text.
#[derive(clap::Args)]
pub(super) struct Args {
    /// [default: yaml; json with --json]
    #[arg(long, short, value_name = "FORMAT")]
    format: Option<Format>,

    /// Only this key and those below it
    #[arg(long, value_name = "KEY")]
    prefix: Option<String>,

    /// As they were at this revision
    #[arg(long, value_name = "REVISION")]
    at: Option<i64>,

    #[command(flatten)]
    which: Which,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Yaml,
    Toml,
    Json,
    Env,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let prefix = args.prefix.as_deref().map(key).transpose()?;
    let scope = context.scope(&args.which)?;
    let format = match args.format {
        None if context.json => ExportFormat::Json,
        None | Some(Format::Yaml) => ExportFormat::Yaml,
        Some(Format::Toml) => ExportFormat::Toml,
        Some(Format::Json) => ExportFormat::Json,
        Some(Format::Env) => ExportFormat::Env,
    };
    let policy = context.policy(args.at)?;
    let read = async |db: &sea_orm::DatabaseTransaction| {
        let text = document(db, &scope, prefix.as_ref(), args.at, format).await?;
        Ok((text, kept_out(db, &scope, prefix.as_ref(), policy.as_ref()).await?))
    };
    let (text, kept_out) = context.read(read).await?;
    view::kept_out(&kept_out);
    console::show(text)?;
    Ok(Exit::Done)
}
