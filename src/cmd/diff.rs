use owo_colors::Style;
use serde_json::{Value, json};
use setpoint_ops::TypedValue;
use setpoint_ops::apply::head;
use setpoint_ops::history::{Difference, diff};

use super::{Context, Exit, view};
use crate::console;

/// Show what differs between two revisions
///
/// Exits with 2 if anything does. Revision 0 is the empty database.
#[derive(clap::Args)]
pub(super) struct Args {
    from: i64,

    /// [default: the newest]
    to: Option<i64>,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let read = async |db: &sea_orm::DatabaseTransaction| {
        let newest = head(db).await?.revision;
        diff(db, args.from, args.to.unwrap_or(newest)).await
    };
    let differences = context.read(read).await?;

    if context.json {
        console::show_json(&differences.iter().map(as_json).collect::<Vec<_>>())?;
    } else {
        for one in &differences {
            console::show(line(one))?;
        }
    }
    Ok(if differences.is_empty() { Exit::Done } else { Exit::Differs })
}

fn as_json(one: &Difference) -> Value {
    json!({
        "namespace": one.namespace,
        "layer": one.layer,
        "key": one.key,
        "before": one.before.as_ref().map(|it| &it.json),
        "before_type": one.before.as_ref().map(TypedValue::value_type),
        "after": one.after.as_ref().map(|it| &it.json),
        "after_type": one.after.as_ref().map(TypedValue::value_type),
    })
}

fn line(one: &Difference) -> String {
    let (before, after) = (view::value(one.before.as_ref()), view::value(one.after.as_ref()));
    let Difference { namespace, layer, key, .. } = one;
    let (text, style) = match (&one.before, &one.after) {
        (None, _) => (format!("+ {key} = {after}"), Style::new().green()),
        (_, None) => (format!("- {key} = {before}"), Style::new().red()),
        _ => (format!("~ {key} = {before} -> {after}"), Style::new().yellow()),
    };
    console::paint(&format!("{namespace}/{layer} {text}"), style) + "\n"
}
