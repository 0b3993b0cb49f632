use std::path::PathBuf;

use chrono::Utc;
use clap::ValueHint;
use owo_colors::Style;
use serde::Serialize;
use setpoint_ops::amount::counted;
use setpoint_ops::drift::{Drift, Kind, counts, report};

use super::{Context, Exit, drift_report, sources, view};
use crate::console;

/// Tell where files, their last import and the database disagree
///
/// Compared is what they mean: order, comments and formatting never count. Each can be adopted
/// (`setpoint adopt`), put back (`setpoint reset`), taken (`setpoint migrate`) or left alone
/// (`setpoint ignore`).
///
/// Exits with 2 if anything disagrees that is not ignored.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    report: Option<drift_report::Command>,

    /// Only these sources, by their path
    #[arg(value_name = "SOURCE", value_hint = ValueHint::FilePath)]
    sources: Vec<PathBuf>,

    /// List what is ignored too
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    #[derive(Serialize)]
    struct Shown<'a> {
        files: usize,
        ignored: usize,
        drift: Vec<&'a Drift>,
    }
    if let Some(command) = args.report {
        return drift_report::run(context, command).await;
    }
    let configured = sources::configured(context)?;
    let only = match args.sources.is_empty() {
        true => Vec::new(),
        false => {
            let named = sources::named(context, &args.sources).await?;
            named.into_iter().map(|it| it.path).collect()
        }
    };
    let (root, limits) = (&context.loaded.root, context.loaded.limits());
    let found = async |db: &sea_orm::DatabaseTransaction| {
        report(db, &configured, root, &only, &limits, Utc::now()).await
    };
    let mut report = context.read(found).await?;
    if let Some(only) = &context.only {
        report.keep_only(only)?;
    }

    let (files, open) = (report.file_count(), report.open().count());
    let ignored = report.drift.len() - open;
    let shown: Vec<&Drift> = match args.all {
        true => report.drift.iter().collect(),
        false => report.open().collect(),
    };
    if context.json {
        console::show_json(&Shown { files, ignored, drift: shown })?;
    } else {
        console::show(text(&shown))?;
        let mut said: Vec<String> =
            counts(report.open()).into_iter().map(|(kind, count)| of_kind(kind, count)).collect();
        if said.is_empty() {
            said.push(format!("no drift in {}", counted(files, "file")));
        }
        if ignored > 0 {
            said.push(format!("{ignored} ignored"));
        }
        console::show(format_args!("{}\n", said.join(", ")))?;
        if open > 0 {
            console::tell(hint(report.open()));
            let elsewhere = report.open().find(|it| it.namespace != context.namespace());
            if let Some(other) = elsewhere {
                console::tell(format_args!(
                    "each with its namespace, as in `-n {}`",
                    other.namespace
                ));
            }
        }
    }
    Ok(if open > 0 { Exit::Differs } else { Exit::Done })
}

fn of_kind(kind: Kind, count: usize) -> String {
    match kind {
        Kind::FileMissing => counted(count, "file") + " missing",
        Kind::FileUnreadable => counted(count, "file") + " unreadable",
        Kind::ImportUnknown => counted(count, "file") + " never imported",
        Kind::EditedHere => format!("{count} edited here"),
        Kind::UpdateAvailable => counted(count, "update") + " available",
        Kind::KeyRemoved => counted(count, "key") + " removed",
        Kind::Both => format!("{count} changed on both sides"),
        Kind::UnknownKey => counted(count, "unknown key"),
    }
}

/// What can be done about it.
fn hint<'a>(drift: impl Iterator<Item = &'a Drift>) -> String {
    let kinds = counts(drift);
    let has = |wanted: &[Kind]| kinds.iter().any(|(kind, _)| wanted.contains(kind));
    let mut ways = Vec::new();
    if has(&[Kind::UpdateAvailable, Kind::KeyRemoved, Kind::Both, Kind::ImportUnknown]) {
        ways.push("`setpoint migrate` takes what files say");
    }
    if has(&[Kind::EditedHere, Kind::Both, Kind::UnknownKey]) {
        ways.push("`setpoint adopt KEY` writes what is live into the file");
        ways.push("`setpoint reset KEY` puts it back");
    }
    ways.push("`setpoint ignore KEY` leaves it alone");
    ways.join("\n")
}

fn text(drift: &[&Drift]) -> String {
    let mut text = String::new();
    let mut place = None;
    for one in drift {
        let here = (&one.namespace, &one.layer);
        if place != Some(here) {
            place = Some(here);
            let title = format!("namespace {}, layer {}", here.0, here.1);
            text.push_str(&console::paint(&title, Style::new().bold()));
            text.push('\n');
        }
        let (sign, style) = match one.kind {
            Kind::FileMissing | Kind::FileUnreadable | Kind::ImportUnknown | Kind::Both => {
                ("!", Style::new().bold().red())
            }
            Kind::EditedHere | Kind::UpdateAvailable => ("~", Style::new().yellow()),
            Kind::KeyRemoved => ("-", Style::new().red()),
            Kind::UnknownKey => ("+", Style::new().green()),
        };
        let style = if one.is_ignored() { Style::new().dimmed() } else { style };
        let head = format!("  {sign} {}: {}", one.name(), said(one));
        text.push_str(&console::paint(&console::fitted(&head), style));
        text.push('\n');
        for line in details(one) {
            text.push_str(&console::fitted(&format!("      {line}")));
            text.push('\n');
        }
    }
    text
}

fn said(drift: &Drift) -> &'static str {
    match (drift.kind, &drift.live, &drift.seed) {
        (Kind::EditedHere, None, _) => "deleted here",
        (Kind::UpdateAvailable, _, None) => "new in the file",
        (Kind::UnknownKey, ..) => "in no file",
        (kind, ..) => kind.as_str(),
    }
}

/// The sides that differ, and where they come from.
fn details(drift: &Drift) -> Vec<String> {
    let mut lines = Vec::new();
    if drift.key.is_some() {
        let place = drift.origin.as_ref().map(|it| format!("  ({it})")).unwrap_or_default();
        let file = view::value(drift.file.as_ref());
        let (seed, live) = (view::value(drift.seed.as_ref()), view::value(drift.live.as_ref()));
        match drift.kind {
            Kind::EditedHere if drift.file.is_none() => lines.push(format!("seed {seed}")),
            Kind::EditedHere | Kind::UpdateAvailable | Kind::KeyRemoved => {
                lines.push(format!("file {file}{place}"));
            }
            Kind::Both => {
                lines.push(format!("file {file}{place}"));
                lines.push(format!("seed {seed}"));
            }
            _ => {}
        }
        lines.push(format!("live {live}"));
    }
    lines.extend(drift.reason.clone());
    if let Some(ignored) = &drift.ignored {
        let reason = ignored.reason.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
        let until = match (&ignored.until, ignored.is_over) {
            (Some(until), true) => format!(" until {until}, which is over"),
            (Some(until), false) => format!(" until {until}"),
            (None, _) => String::new(),
        };
        lines.push(format!("ignored by {}{until}{reason}", ignored.author));
    }
    lines
}
