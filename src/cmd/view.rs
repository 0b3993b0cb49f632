//! Plans and what came of them, on the screen.

use std::fs;

use miette::Context as _;
use miette::IntoDiagnostic;
use owo_colors::Style;
use serde::Serialize;
use setpoint_ops::TypedValue;
use setpoint_ops::apply::Applied;
use setpoint_ops::live::KeptOut;
use setpoint_ops::plan::{Change, Class, FoundSecret, Plan};
use setpoint_ops::secret::hidden;

use super::{Context, How};
use crate::console::{self, Exit};

/// Says of settings that are shown that the service does not give them to programs.
pub(super) fn kept_out(settings: &[KeptOut]) {
    for KeptOut { layer, key, reason } in settings {
        console::tell(format_args!(
            "warning: `{key}` of layer `{layer}` is kept out by the service, programs have its \
             last valid value: {reason}"
        ));
    }
}

/// Shows a plan that is not carried out, and writes it where it is wanted.
pub(super) fn planned(context: &Context, how: &How, plan: &Plan) -> miette::Result<Exit> {
    let hidden = hidden(plan, context.rules()?);
    let shown = hidden.as_ref().unwrap_or(plan);
    if let Some(path) = &how.out {
        let text = serde_json::to_string_pretty(plan).into_diagnostic()?;
        let written = fs::write(path, text + "\n").into_diagnostic();
        written.wrap_err_with(|| format!("cannot write {}", path.display()))?;
    }
    if context.json {
        console::show_json(shown)?;
    } else {
        console::show(text(shown))?;
        if let Some(path) = &how.out {
            console::tell(format_args!("carry it out with `setpoint apply {}`", path.display()));
        }
    }
    let differs = how.exit_code && (!plan.is_empty() || plan.summary.conflict > 0);
    Ok(if differs { Exit::Differs } else { Exit::Done })
}

/// Shows what came of a plan.
pub(super) fn applied(context: &Context, plan: &Plan, applied: Applied) -> miette::Result<Exit> {
    #[derive(Serialize)]
    struct Done<'a> {
        revision: Option<i64>,
        plan: &'a Plan,
    }
    let revision = applied.revision();
    let hidden = hidden(plan, context.rules()?);
    let plan = hidden.as_ref().unwrap_or(plan);
    if context.json {
        console::show_json(&Done { revision, plan })?;
    } else {
        console::show(text(plan))?;
        match applied {
            Applied::Revision(id) => console::tell(format_args!("revision {id}")),
            Applied::Before(id) => console::tell(format_args!("applied before, as revision {id}")),
            Applied::Nothing => {}
        }
        if plan.summary.conflict > 0 {
            console::tell(
                "keys in conflict stay as they are; --strategy ours or theirs settles them",
            );
        }
    }
    Ok(if plan.summary.conflict > 0 { Exit::Differs } else { Exit::Done })
}

/// A plan as text: a line a key under its namespace and layer, and the counts.
pub(super) fn text(plan: &Plan) -> String {
    let mut text = moves(plan);
    let mut place = None;
    for change in &plan.changes {
        let here = (&change.namespace, &change.layer);
        if place != Some(here) {
            place = Some(here);
            let title = format!("namespace {}, layer {}", here.0, here.1);
            text.push_str(&console::paint(&title, Style::new().bold()));
            text.push('\n');
        }
        push_change(&mut text, change);
    }
    text.push_str(&secrets(plan));
    text.push_str(&summary(plan));
    text.push('\n');
    text
}

/// How many changes there are of each class, and how many keys get another name.
pub(super) fn summary(plan: &Plan) -> String {
    match (plan.moves.len(), plan.changes.is_empty()) {
        (0, _) => plan.summary.to_string(),
        (count, true) => format!("{count} renamed"),
        (count, false) => format!("{count} renamed, {}", plan.summary),
    }
}

/// The keys that get another name.
fn moves(plan: &Plan) -> String {
    let mut text = String::new();
    for one in &plan.moves {
        let edited = if one.live.is_some() { "" } else { " (its seed only)" };
        let line = format!("  > {} is now {}{edited}", one.from, one.to);
        text.push_str(&console::paint(&console::fitted(&line), Style::new().cyan()));
        text.push('\n');
    }
    text
}

/// The secrets that were found in files, and what became of them.
pub(super) fn secrets(plan: &Plan) -> String {
    let mut text = String::new();
    for secret in &plan.secrets {
        let FoundSecret { key, origin, reference, .. } = secret;
        let line = match reference {
            Some(reference) => format!("  * {key}: a secret, now {reference}  ({origin})"),
            None if secret.repeats => {
                format!("  * {key}: repeats a secret, left out  ({origin})")
            }
            None => format!("  * {key}: a secret, left out  ({origin})"),
        };
        text.push_str(&console::paint(&console::fitted(&line), Style::new().magenta()));
        text.push('\n');
    }
    text
}

/// The conflicts of a plan as text.
pub(super) fn conflicts(plan: &Plan) -> String {
    let mut text = String::new();
    for change in plan.changes.iter().filter(|it| it.class == Class::Conflict) {
        push_change(&mut text, change);
    }
    text
}

pub(super) fn push_change(text: &mut String, change: &Change) {
    let key = &change.key;
    let (before, after) = (value(change.before.as_ref()), value(change.after.as_ref()));
    let (sign, style) = match change.class {
        Class::Add => ("+", Style::new().green()),
        Class::Update => ("~", Style::new().yellow()),
        Class::Delete => ("-", Style::new().red()),
        Class::Keep => ("=", Style::new().dimmed()),
        Class::Converge => ("=", Style::new().dimmed()),
        Class::Conflict => ("!", Style::new().bold().red()),
    };
    let line = match change.class {
        Class::Add => format!("  {sign} {key} = {after}"),
        Class::Update => format!("  {sign} {key} = {before} -> {after}"),
        Class::Delete => format!("  {sign} {key} = {before}"),
        Class::Keep if change.before.is_none() => format!("  {sign} {key} (stays deleted)"),
        Class::Keep => format!("  {sign} {key} = {before} (kept)"),
        Class::Converge if change.before.is_none() => {
            format!("  {sign} {key} (gone on both sides)")
        }
        Class::Converge => format!("  {sign} {key} = {before} (same on both sides)"),
        Class::Conflict => format!("  {sign} {key}"),
    };
    text.push_str(&console::paint(&console::fitted(&line), style));
    text.push('\n');
    if change.class == Class::Conflict {
        let origin = change.origin.as_ref().map(|it| format!("  ({it})")).unwrap_or_default();
        let provenance = change.provenance.as_deref();
        let seed = provenance.and_then(|it| it.seed.as_ref());
        let seed = seed.map(|it| format!("  (was {it})")).unwrap_or_default();
        let live = provenance.and_then(|it| it.live.as_ref());
        let live = live.map(|it| format!("  (revision {} by {})", it.revision, it.actor));
        let live = live.unwrap_or_default();
        for line in [
            format!("      ours   {before}{live}"),
            format!("      theirs {after}{origin}"),
            format!("      base   {}{seed}", value(change.seed.as_ref())),
        ] {
            text.push_str(&console::fitted(&line));
            text.push('\n');
        }
    }
}

/// A value as it is shown in a line; `(none)` if there is none.
pub(super) fn value(value: Option<&TypedValue>) -> String {
    value.map_or_else(|| "(none)".to_owned(), TypedValue::text)
}
