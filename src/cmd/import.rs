use std::io;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use setpoint_ops::edit;

use super::{Context, Exit, How, InLayer, key};
use crate::console;

/// Set everything that a document says, as an edit
///
/// Unlike `migrate` the document is not remembered as a source: these are your values, and no
/// later version of a file overwrites them.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The document; `-` is standard input
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,

    /// yaml, toml, json, env or one of your own [default: by the extension; yaml for `-`]
    #[arg(long, value_name = "NAME")]
    format: Option<String>,

    /// The key that everything goes below
    #[arg(long, value_name = "KEY")]
    prefix: Option<String>,

    /// Unset what the document does not have
    #[arg(long)]
    replace: bool,

    #[command(flatten)]
    into: InLayer,

    #[command(flatten)]
    pub(super) how: How,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let prefix = args.prefix.as_deref().map(key).transpose()?;
    let (namespace, layer) = (context.namespace(), context.layer(&args.into.layer)?);
    let (limits, secrets) = (context.loaded.limits(), context.secrets()?);
    let (prefix, secrets) = (prefix.as_ref(), &secrets);
    let wanted = match args.file == Path::new("-") {
        true => {
            let format = args.format.as_deref().unwrap_or("yaml");
            let name = Path::new("standard input");
            edit::read(name, &mut io::stdin().lock(), Some(format), prefix, secrets, &limits)?
        }
        false => {
            let mut file = edit::open(&args.file)?;
            edit::read(&args.file, &mut file, args.format.as_deref(), prefix, secrets, &limits)?
        }
    };
    for (place, message) in &wanted.notes {
        let file = args.file.display();
        console::tell(format_args!("note: {file}:{}:{}: {message}", place.line, place.column));
    }

    let make = async |db: &sea_orm::DatabaseTransaction| {
        let mut edits = wanted.edits.clone();
        if args.replace {
            edits = edit::replacing(db, namespace, &layer, prefix, edits).await?;
        }
        let author = context.author(args.how.reason.clone());
        edit::plan(db, namespace, &layer, edits, secrets, author).await
    };
    context.edit(&args.how, make).await
}
