//! Tables: a line a row where there is no terminal. On one nothing of a row is lost: what is too
//! long for it goes on below.

use std::ops::Range;

use owo_colors::Style;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::{cut, paint, width};

/// What is between columns.
const GAP: usize = 2;

/// A text in less room than this is no pleasure to read.
const ROOM: usize = 24;

/// How far in stands what goes on below.
const INDENT: usize = 4;

/// A table with a head, whose last column may be long.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    table_with_text(head.len().saturating_sub(1), head, rows)
}

/// A table with a head, whose column `text` may be long.
pub(crate) fn table_with_text(text: usize, head: &[&str], rows: &[Vec<String>]) -> String {
    Table::new(head, rows, text, width().map(usize::from)).shown(None)
}

/// A table with a head, and as much of each row as fits in one line of a terminal.
pub(crate) fn table_of_lines(head: &[&str], rows: &[Vec<String>]) -> String {
    Table::new(head, rows, 0, None).shown(width().map(usize::from))
}

/// A table, laid out.
struct Table<'a> {
    head: Vec<String>,
    rows: &'a [Vec<String>],
    widths: Vec<usize>,
    /// The columns that share a line.
    lines: Vec<Range<usize>>,
}

impl<'a> Table<'a> {
    /// For so many columns of a terminal, if it is for one.
    fn new(head: &[&str], rows: &'a [Vec<String>], text: usize, columns: Option<usize>) -> Self {
        let head: Vec<String> = head.iter().map(|it| it.to_uppercase()).collect();
        let widest = |at: usize| {
            let cells = rows.iter().map(|row| row[at].width());
            cells.chain([head[at].width()]).max().unwrap_or_default()
        };
        let mut widths: Vec<usize> = (0..head.len()).map(widest).collect();
        let whole = 0..widths.len();
        let lines = match columns {
            Some(columns) => arranged(&mut widths, text, columns),
            None => vec![whole],
        };
        Self { head, rows, widths, lines }
    }

    /// Its text, with lines of so many columns at most.
    fn shown(&self, most: Option<usize>) -> String {
        let mut shown = String::new();
        let fitted = |it: String| most.map_or_else(|| it.clone(), |most| cut(&it, most));
        for line in self.row(&self.head) {
            shown.push_str(&paint(&fitted(line), Style::new().bold()));
            shown.push('\n');
        }
        for line in self.rows.iter().flat_map(|it| self.row(it)) {
            shown.push_str(&fitted(line));
            shown.push('\n');
        }
        shown
    }

    /// The lines of a row.
    fn row(&self, cells: &[String]) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, columns) in self.lines.iter().enumerate() {
            let widths = &self.widths[columns.clone()];
            let cells = cells[columns.clone()].iter().zip(widths);
            let parts: Vec<_> = cells.map(|(cell, width)| wrapped(cell, *width)).collect();
            let height = parts.iter().map(Vec::len).max().unwrap_or_default();
            let indent = if number == 0 { 0 } else { INDENT };
            for at in 0..height {
                let padded = parts.iter().zip(widths).map(|(parts, width)| {
                    let part = parts.get(at).copied().unwrap_or_default();
                    let padding = width.saturating_sub(part.width());
                    format!("{part}{:padding$}", "")
                });
                let line = padded.collect::<Vec<_>>().join(&" ".repeat(GAP));
                lines.push(format!("{:indent$}{line}", "").trim_end().to_owned());
            }
        }
        // Of a row there is a line, whatever is in it.
        let first = lines.remove(0);
        lines.retain(|it| !it.is_empty());
        lines.insert(0, first);
        lines
    }
}

/// Which columns of these widths share a line. The one of texts becomes narrower, if that is enough
/// and it can still be read; else as many as fit share one.
fn arranged(widths: &mut [usize], text: usize, columns: usize) -> Vec<Range<usize>> {
    let others = widths.iter().map(|it| it + GAP).sum::<usize>() - widths[text] - GAP;
    if columns >= others + widths[text].min(ROOM) {
        widths[text] = widths[text].min(columns - others);
        let whole = 0..widths.len();
        return vec![whole];
    }
    let (mut lines, mut start, mut taken) = (Vec::new(), 0, 0);
    for (at, width) in widths.iter_mut().enumerate() {
        let is_first = at == start;
        let room = columns.saturating_sub(if is_first { taken } else { taken + GAP });
        let is_readable = at == text && room >= ROOM;
        if !is_first && *width > room && !is_readable {
            lines.push(start..at);
            (start, taken) = (at, INDENT);
        }
        let begin = if at == start { taken } else { taken + GAP };
        *width = (*width).min(columns.saturating_sub(begin)).max(1);
        taken = begin + *width;
    }
    lines.push(start..widths.len());
    lines
}

/// `text` in lines that are no wider. They end at spaces; within a word that is wider itself behind a
/// comma or a slash, or anywhere.
fn wrapped(text: &str, width: usize) -> Vec<&str> {
    let (mut lines, mut rest) = (Vec::new(), text);
    while rest.width() > width {
        let most = fitting(rest, width);
        let is_end = rest[most..].starts_with(char::is_whitespace);
        let space = rest[..most].rfind(char::is_whitespace);
        let space = space.filter(|it| !rest[..*it].trim().is_empty());
        let mark = rest[..most].rfind([',', '/']).filter(|it| *it > 0).map(|it| it + 1);
        let end = if is_end { most } else { space.or(mark).unwrap_or(most) };
        lines.push(rest[..end].trim_end());
        rest = rest[end..].trim_start();
    }
    if !rest.is_empty() || lines.is_empty() {
        lines.push(rest);
    }
    lines
}

/// How many bytes of `text` are no wider: at least a character.
fn fitting(text: &str, width: usize) -> usize {
    let mut taken = 0;
    for (at, character) in text.char_indices() {
        taken += character.width().unwrap_or_default();
        if at > 0 && taken > width {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn shown(text: usize, columns: Option<usize>, rows: &[&[&str]]) -> String {
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|it| (*it).to_owned()).collect()).collect();
        let (head, rows) = rows.split_first().unwrap();
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        Table::new(&head, rows, text, columns).shown(None)
    }

    const CHECKS: [&[&str]; 3] = [
        &["check", "state", "says"],
        &["configuration", "ok", "1 source declared"],
        &["backups", "WRONG", "/var/lib/setpoint/backups/of/the/night cannot be written to: no"],
    ];

    #[test]
    fn a_text_that_is_too_long_goes_on_below_in_its_column() {
        assert_snapshot!(shown(2, Some(50), &CHECKS), @r"
        CHECK          STATE  SAYS
        configuration  ok     1 source declared
        backups        WRONG  /var/lib/setpoint/backups/
                              of/the/night cannot be
                              written to: no
        ");
    }

    #[test]
    fn without_a_terminal_each_row_is_a_line() {
        assert_snapshot!(shown(2, None, &CHECKS), @r"
        CHECK          STATE  SAYS
        configuration  ok     1 source declared
        backups        WRONG  /var/lib/setpoint/backups/of/the/night cannot be written to: no
        ");
    }

    #[test]
    fn columns_that_are_too_many_for_a_line_share_several() {
        let rows: [&[&str]; 3] = [
            &["revision", "at", "actor", "kind", "reason"],
            &["2", "2026-05-01T12:00:00.000Z", "ann", "edit", "the port was taken by another"],
            &["1", "2026-05-01T12:00:00.000Z", "ann", "import", ""],
        ];

        assert_snapshot!(shown(4, Some(60), &rows), @r"
        REVISION  AT                        ACTOR  KIND
            REASON
        2         2026-05-01T12:00:00.000Z  ann    edit
            the port was taken by another
        1         2026-05-01T12:00:00.000Z  ann    import
        ");
        assert_snapshot!(shown(4, Some(20), &rows), @r"
        REVISION
            AT
            ACTOR  KIND
            REASON
        2
            2026-05-01T12:00
            :00.000Z
            ann    edit
            the port was
            taken by another
        1
            2026-05-01T12:00
            :00.000Z
            ann    import
        ");
    }

    #[test]
    fn nothing_is_lost_in_any_width() {
        let rows: [&[&str]; 2] = [&["a", "b", "c"], &["日本語 の長い文", " x  y ", "ünïcödé-word"]];
        let bare = |text: &str| text.replace(char::is_whitespace, "");
        let all = bare(&rows[1].concat());

        for columns in 1..40 {
            let shown = shown(2, Some(columns), &rows);
            let mut letters: Vec<char> = bare(&shown).chars().collect();
            let mut wanted: Vec<char> = format!("ABC{all}").chars().collect();
            letters.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(letters, wanted, "{columns}:\n{shown}");
            let widest = shown.lines().map(|it| it.width()).max().unwrap();
            assert!(widest <= columns.max(INDENT + 2), "{columns}:\n{shown}");
        }
    }
}
