//! Files of environment variables, as <https://github.com/bkeepers/dotenv#usage> started them.
//!
//! There is no standard, so this is ours: `NAME=value` on a line, `export` before it if you
//! like, and every value is text.
//! - A name is `[A-Za-z_][A-Za-z0-9_.-]*`, and one segment of a key.
//! - `#` starts a comment at the start of a line, and after a value if white space is before it.
//! - Without quotes a value ends with its line, and white space around it does not count.
//! - `'single quotes'` keep everything; `"double quotes"` know `\n \t \r \" \\ \$`, and keep any
//!   other backslash. Both may go over several lines.
//! - Variables are not interpolated: `$HOME` stays `$HOME`.

use std::borrow::Cow;
use std::ops::Range;

use crate::fault::Fault;
use crate::place::Lines;
use crate::recover;
use crate::resolve;
use crate::tree::{Content, Member, Scalar, Tree};
use crate::{Importer, Limits, Note, Reading};

pub(crate) struct Dotenv;

impl Importer for Dotenv {
    fn name(&self) -> &'static str {
        "env"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["env"]
    }

    fn claims(&self, file_name: &str) -> bool {
        let example = ["defaults", "dist", "example", "local", "sample", "template"];
        file_name == ".env"
            || file_name.starts_with(".env.")
            || file_name.strip_prefix("env.").is_some_and(|rest| example.contains(&rest))
    }

    fn read(&self, text: &str, limits: &Limits) -> Reading {
        let lines = Lines::new(text);
        let Build { mut tree, members, faults, variable, .. } = parse(text);
        tree.root = Some(tree.add(0..text.len(), Content::Map(members)));
        let mut reading = Reading { faults, ..Reading::default() };
        resolve::into(&mut reading, &tree, &lines, limits);
        reading.notes.extend(variable.map(|at| Note {
            message: "variables such as this are not replaced; the text is kept".to_owned(),
            place: lines.place(at),
        }));
        reading
    }
}

/// The tree of a text that has no faults.
pub(crate) fn tree(text: &str) -> Tree<'_> {
    let Build { mut tree, members, .. } = parse(text);
    tree.root = Some(tree.add(0..text.len(), Content::Map(members)));
    tree
}

fn parse(text: &str) -> Build<'_> {
    let mut build = Build {
        text,
        tree: Tree::default(),
        members: Vec::new(),
        faults: Vec::new(),
        variable: None,
    };
    let mut at = 0;
    while at < text.len() {
        at = build.line(at);
    }
    build
}

struct Build<'a> {
    text: &'a str,
    tree: Tree<'a>,
    members: Vec<Member<'a>>,
    faults: Vec<Fault>,
    /// The first `$` that another reader might replace.
    variable: Option<usize>,
}

impl<'a> Build<'a> {
    /// Reads the line that starts at `start`; returns where the next one starts.
    fn line(&mut self, start: usize) -> usize {
        let line = recover::line_around(self.text, start);
        let text = self.trimmed(line.clone());
        if text.is_empty() || self.text[text.clone()].starts_with('#') {
            return line.end;
        }
        let text = self.without_export(text);
        let Some(equals) = self.text[text.clone()].find('=') else {
            self.faults.push(Fault::new(text, "no `=`; a line is NAME=value"));
            return line.end;
        };
        let name_span = self.trimmed(text.start..text.start + equals);
        let name = &self.text[name_span.clone()];
        if !is_name(name) {
            let message = "no name; it starts with a letter or `_`, then letters, digits and `_.-`";
            let span = if name.is_empty() { text.start..text.start + 1 } else { name_span.clone() };
            self.faults.push(Fault::new(span, message));
        }
        let after = text.start + equals + 1;
        let (value, span, next) = match self.text[after..text.end].trim_start().chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let open = after + self.text[after..].find(quote).unwrap_or_default();
                match self.quoted(open, quote) {
                    Some(read) => read,
                    None => {
                        self.faults.push(Fault::new(open..text.end, "this quote does not close"));
                        return line.end;
                    }
                }
            }
            _ => {
                let span = self.unquoted(after..text.end);
                self.note_variable(span.clone());
                (Cow::Borrowed(&self.text[span.clone()]), span, line.end)
            }
        };
        let value = self.tree.add(span, Content::Scalar(Scalar::Text(value)));
        let name_span = name_span.into();
        self.members.push(Member { name: Cow::Borrowed(name), name_span, value, merge: false });
        next
    }

    fn without_export(&self, text: Range<usize>) -> Range<usize> {
        let line = &self.text[text.clone()];
        match line.strip_prefix("export") {
            Some(rest) if rest.starts_with([' ', '\t']) => {
                text.end - rest.trim_start().len()..text.end
            }
            _ => text,
        }
    }

    /// The value up to a comment.
    fn unquoted(&self, range: Range<usize>) -> Range<usize> {
        let value = &self.text[range.clone()];
        let comment = value
            .char_indices()
            .find(|(at, c)| *c == '#' && value[..*at].ends_with([' ', '\t']))
            .map_or(value.len(), |(at, _)| at);
        self.trimmed(range.start..range.start + comment)
    }

    /// A quoted value, its span, and where the line after it starts.
    fn quoted(&mut self, open: usize, quote: char) -> Option<(Cow<'a, str>, Range<usize>, usize)> {
        let escapes = quote == '"';
        let mut escaped = false;
        let close = self.text[open + 1..].find(|c| {
            let closes = c == quote && !escaped;
            escaped = escapes && c == '\\' && !escaped;
            closes
        });
        let close = open + 1 + close?;
        let span = open..close + 1;
        let rest = recover::line_around(self.text, close);
        let after = self.trimmed(close + 1..rest.end);
        if !after.is_empty() && !self.text[after.clone()].starts_with('#') {
            self.faults.push(Fault::new(after, "text after the closing quote"));
        }
        let value = &self.text[open + 1..close];
        if escapes {
            self.note_variable(open + 1..close);
        }
        Some((unescape(value, escapes), span, rest.end))
    }

    fn note_variable(&mut self, range: Range<usize>) {
        if self.variable.is_some() {
            return;
        }
        let text = &self.text[range.clone()];
        let names_one = |at: usize| {
            let rest = &text[at + 1..];
            !text[..at].ends_with('\\')
                && rest.starts_with(|c: char| c.is_ascii_alphabetic() || "_{(".contains(c))
        };
        let found = text.match_indices('$').find(|(at, _)| names_one(*at));
        self.variable = found.map(|(at, _)| range.start + at);
    }

    /// The range without white space around it.
    fn trimmed(&self, range: Range<usize>) -> Range<usize> {
        let text = &self.text[range.clone()];
        let start = range.start + (text.len() - text.trim_start().len());
        start..start + text.trim().len()
    }
}

pub(crate) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

fn unescape(text: &str, escapes: bool) -> Cow<'_, str> {
    if !text.contains(['\\', '\r']) {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\r\n", "\n");
    if !escapes {
        return Cow::Owned(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some(same @ ('"' | '\\' | '$')) => plain.push(same),
            other => plain.extend(std::iter::once('\\').chain(other)),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests;
