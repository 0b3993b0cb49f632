//! A report as Markdown.

use std::fmt::Write as _;

use super::{Item, Report};

/// The report as a Markdown document.
pub fn markdown(report: &Report) -> String {
    let mut text = String::new();
    let Report { at, revision, .. } = report;
    writeln!(text, "# Drift at {at}\n\n{}; revision {revision}", report.summary())
        .expect("a string takes every text");
    let mut place = None;
    for item in &report.drift {
        let here = (&item.namespace, &item.layer);
        if place != Some(here) {
            place = Some(here);
            let (namespace, layer) = here;
            text.push_str(&format!("\n## {namespace}, layer {layer}\n\n"));
            text.push_str(
                "| | what | is | file | last import | live |\n|---|---|---|---|---|---|\n",
            );
        }
        text.push_str(&row(item));
    }
    text
}

fn row(item: &Item) -> String {
    let new = if item.new { "new" } else { "" };
    let [file, seed, live] = item.sides().map(|(_, value)| cell(value));
    let place = item.origin.as_ref().or(item.reason.as_ref());
    let place = place.map(|it| format!(" {}", plain(it))).unwrap_or_default();
    format!("| {new} | {}{place} | {} | {file} | {seed} | {live} |\n", cell(&item.name), item.kind)
}

/// `text` as code in a cell of a table, where nothing of it is markup.
fn cell(text: &str) -> String {
    let text = one_line(text);
    let longest = text.split(|it| it != '`').map(str::len).max().unwrap_or_default();
    let ticks = "`".repeat(longest + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{ticks}{space}{}{space}{ticks}", text.replace('|', "\\|"))
}

/// `text` in a cell, with what would be markup made harmless.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for it in one_line(text).chars() {
        if matches!(it, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '&' | '!') {
            plain.push('\\');
        }
        plain.push(it);
    }
    plain
}

fn one_line(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect()
}
