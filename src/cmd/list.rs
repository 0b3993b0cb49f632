use clap::ValueEnum;
use miette::IntoDiagnostic;
use setpoint_ops::Key;
use setpoint_ops::setting::{Setting, list, namespaces};

use super::{Context, Exit, Which, kept_out, key, view};
use crate::console;

/// List settings, each with its value
#[derive(clap::Args)]
pub(super) struct Args {
    /// Only those whose first segment is this
    #[arg(long, value_name = "NAME")]
    category: Option<String>,

    /// Only this key and those below it
    #[arg(long, value_name = "KEY")]
    prefix: Option<String>,

    /// As they were at this revision
    #[arg(long, value_name = "REVISION")]
    at: Option<i64>,

    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,

    #[command(flatten)]
    which: Which,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Yaml,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let prefix = args.prefix.as_deref().map(key).transpose()?;
    let scope = context.scope(&args.which)?;
    let policy = context.policy(args.at)?;
    let read = async |db: &sea_orm::DatabaseTransaction| {
        let settings = list(db, &scope, prefix.as_ref(), args.at).await?;
        let others = if settings.is_empty() { namespaces(db).await? } else { Vec::new() };
        let kept_out = kept_out(db, &scope, prefix.as_ref(), policy.as_ref()).await?;
        Ok((settings, others, kept_out))
    };
    let (mut settings, others, mut kept_out) = context.read(read).await?;
    if let Some(category) = &args.category {
        let is_in = |key: &Key| key.segments().next().is_some_and(|it| it == category.as_str());
        settings.retain(|it| is_in(&it.key));
        kept_out.retain(|it| is_in(&it.key));
    }
    view::kept_out(&kept_out);

    match args.format {
        Format::Json => console::show_json(&settings)?,
        Format::Table if context.json => console::show_json(&settings)?,
        Format::Yaml => console::show(serde_yaml::to_string(&settings).into_diagnostic()?)?,
        Format::Table => console::show(table(&settings))?,
    }
    if !others.is_empty() && !context.json {
        console::tell(format_args!(
            "namespace `{}` has no such settings; there are: {}",
            scope.namespace,
            others.join(", ")
        ));
    }
    Ok(Exit::Done)
}

/// The settings as a table of key, value, type and what else fits.
pub(super) fn table(settings: &[Setting]) -> String {
    let width = console::width().map(usize::from);
    let room = width.map(|width| {
        let widest = settings.iter().map(|it| it.key.as_str().len()).max().unwrap_or_default();
        width.saturating_sub(widest + 12).max(20)
    });
    let rows = settings.iter().map(|it| {
        let value = it.value.to_string();
        let value = room.map_or_else(|| value.clone(), |room| console::cut(&value, room));
        vec![
            it.key.to_string(),
            value,
            it.value_type.to_string(),
            it.layer.clone(),
            it.revision.to_string(),
        ]
    });
    console::table_of_lines(
        &["key", "value", "type", "layer", "revision"],
        &rows.collect::<Vec<_>>(),
    )
}
