use std::io::IsTerminal as _;

use miette::miette;
use setpoint_ops::ValueType;
use setpoint_ops::edit::{self, Edits, parse_value};

use super::{Context, Exit, How, InLayer, key};
use crate::console;

/// Set one value
///
/// The value gets the type that the key has. A new key gets the type the value looks like:
/// true, 5, 0.5, null and [1, 2] are what they are in JSON, anything else is a string.
///
/// The value of a secret is not stored: give a reference, env:NAME or file:PATH.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The key, as `setpoint list` shows it
    key: String,

    /// The value, after `--` if it begins with a dash; without it, standard input
    #[arg(allow_negative_numbers = true)]
    value: Option<String>,

    /// The type, if it is to be another
    #[arg(long = "type", value_name = "TYPE")]
    value_type: Option<Type>,

    #[command(flatten)]
    into: InLayer,

    #[command(flatten)]
    pub(super) how: How,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Type {
    String,
    Integer,
    Float,
    Boolean,
    Json,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let key = key(&args.key)?;
    let layer = context.layer(&args.into.layer)?;
    let scope = context.loaded.scope(context.namespace());
    let text = match args.value {
        Some(text) => text,
        None if std::io::stdin().is_terminal() => {
            return Err(miette!(
                help = "give it as the second argument, or on standard input",
                "`{key}` needs a value"
            ));
        }
        None => {
            let text = console::standard_input()?;
            let line = text.strip_suffix('\n').unwrap_or(&text);
            line.strip_suffix('\r').unwrap_or(line).to_owned()
        }
    };
    let wanted = args.value_type.map(|it| match it {
        Type::String => ValueType::String,
        Type::Integer => ValueType::Integer,
        Type::Float => ValueType::Float,
        Type::Boolean => ValueType::Boolean,
        Type::Json => ValueType::Json,
    });

    let secrets = context.secrets()?;
    // Before its type is looked at: the error would show it.
    secrets.refuse(&key, &serde_json::Value::from(text.as_str()).into())?;

    let make = async |db: &sea_orm::DatabaseTransaction| {
        let example = match wanted {
            None => edit::example(db, &scope, &layer, &key).await?,
            Some(_) => None,
        };
        let value = parse_value(&key, &text, wanted, example.as_ref())?;
        let edits = Edits::from([(key.clone(), Some(value))]);
        let author = context.author(args.how.reason.clone());
        edit::plan(db, context.namespace(), &layer, edits, &secrets, author).await
    };
    context.edit(&args.how, make).await
}
