//! TOML, as <https://toml.io/en/v1.1.0> defines it.

use std::borrow::Cow;
use std::cell::LazyCell;

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};
use ::toml::value::Datetime;

use crate::fault::Fault;
use crate::number;
use crate::place::{Lines, Span};
use crate::resolve;
use crate::tree::{Content, Member, NodeId, Scalar, Tree};
use crate::value::Format;
use crate::{Importer, Limits, Reading};

pub(crate) struct Toml;

impl Importer for Toml {
    fn name(&self) -> &'static str {
        "toml"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["toml"]
    }

    fn read(&self, text: &str, limits: &Limits) -> Reading {
        on_large_stack(|| read(text, limits)).unwrap_or_else(|| {
            let fault = Fault::new(0..0, "this file could not be read; is it TOML?");
            Reading { faults: vec![fault], ..Reading::default() }
        })
    }
}

/// The tree of a text that has no faults.
pub(crate) fn tree<'a>(text: &'a str, limits: &Limits) -> Tree<'a> {
    on_large_stack(|| {
        let (document, _) = DeTable::parse_recoverable(text);
        let mut build = Build { text, limits, tree: Tree::default(), reading: Reading::default() };
        build.tree.root = Some(build.table(document.get_ref(), Span::default(), 1));
        build.tree
    })
    .unwrap_or_default()
}

/// What `work` gives; none if it panicked or no thread could be had.
///
/// Dotted keys inside of inline tables nest 80 * 80 deep before the parser stops them, and its
/// tables are dropped recursively.
fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        thread.ok().and_then(|thread| thread.join().ok())
    })
}

const STACK_BYTES: usize = 64 << 20;

fn read(text: &str, limits: &Limits) -> Reading {
    let lines = Lines::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut build = Build { text, limits, tree: Tree::default(), reading: Reading::default() };
    build.tree.root = Some(build.table(document.get_ref(), Span::default(), 1));
    let Build { tree, mut reading, .. } = build;
    resolve::into(&mut reading, &tree, &lines, limits);
    // The keys of a table may stand anywhere in the file.
    reading.entries.sort_by_key(|entry| entry.place);
    if !errors.is_empty() {
        reading.entries.clear();
        reading.faults.retain(|fault| !fault.relative);
        let longest_key = LazyCell::new(|| longest_key(text));
        reading.faults.extend(errors.iter().map(|error| syntax(error, &longest_key, limits)));
    }
    reading
}

fn syntax(
    error: &::toml::de::Error,
    longest_key: &LazyCell<usize, impl FnOnce() -> usize>,
    limits: &Limits,
) -> Fault {
    let message = error.message();
    if message.contains("recursi") {
        let at = error.span().map_or_else(|| **longest_key, |span| span.start);
        return Fault::new(at..at, resolve::too_deep(limits));
    }
    let message = match message {
        "duplicate key" => "this key is already set above; keep one of the two",
        other => other,
    };
    Fault::new(error.span().unwrap_or_default(), message)
}

/// Where the line with the most dots starts: the parser does not say which key is too long.
fn longest_key(text: &str) -> usize {
    let dots = |line: &str| line.bytes().filter(|byte| *byte == b'.').count();
    let longest = text.lines().max_by_key(|line| dots(line)).unwrap_or(text);
    longest.as_ptr() as usize - text.as_ptr() as usize
}

struct Build<'a, 'l> {
    text: &'a str,
    limits: &'l Limits,
    tree: Tree<'a>,
    reading: Reading,
}

impl<'a> Build<'a, '_> {
    fn table(&mut self, table: &DeTable<'a>, span: Span, depth: usize) -> NodeId {
        if depth > self.limits.depth {
            return self.too_deep(span);
        }
        let mut members: Vec<Member> = table
            .iter()
            .map(|(name, value)| Member {
                name: name.get_ref().clone(),
                name_span: name.span().into(),
                value: self.value(value, depth),
                merge: false,
            })
            .collect();
        // The parser sorts them by name.
        members.sort_by_key(|member| member.name_span.start);
        self.tree.add(span, Content::Map(members))
    }

    fn value(&mut self, value: &Spanned<DeValue<'a>>, depth: usize) -> NodeId {
        let span = Span::from(value.span());
        let scalar = match value.get_ref() {
            DeValue::Table(table) => return self.table(table, span, depth + 1),
            DeValue::Array(_) if depth >= self.limits.depth => return self.too_deep(span),
            DeValue::Array(items) => {
                let items = items.iter().map(|item| self.value(item, depth + 1)).collect();
                return self.tree.add(span, Content::List(items));
            }
            DeValue::String(text) => Ok(Scalar::Text(self.with_lf(text, span))),
            DeValue::Boolean(flag) => Ok(Scalar::Boolean(*flag)),
            DeValue::Integer(digits) => {
                number::integer(digits.as_str(), digits.radix()).map(Scalar::Number)
            }
            DeValue::Float(digits) => number::float(digits.as_str()).map(Scalar::Number),
            DeValue::Datetime(date) => Ok(Scalar::Date(date.to_string(), format_of(date))),
        };
        match scalar {
            Ok(scalar) => self.tree.add(span, Content::Scalar(scalar)),
            Err(message) => self.nothing(span, message),
        }
    }

    /// The text as it is in a file with LF line breaks, which escapes do not change.
    fn with_lf(&self, text: &Cow<'a, str>, span: Span) -> Cow<'a, str> {
        let source = self.text.get(span.start..span.end).unwrap_or_default();
        if source.contains("\r\n")
            && let Ok(value) = DeValue::parse(&source.replace("\r\n", "\n"))
            && let DeValue::String(text) = value.get_ref()
        {
            return Cow::Owned(text.to_string());
        }
        text.clone()
    }

    fn too_deep(&mut self, span: Span) -> NodeId {
        self.nothing(span, resolve::too_deep(self.limits))
    }

    fn nothing(&mut self, span: Span, message: impl Into<String>) -> NodeId {
        self.reading.faults.push(Fault::new(span, message));
        self.tree.add(span, Content::Nothing)
    }
}

fn format_of(date: &Datetime) -> Format {
    match (date.date, date.time) {
        (Some(_), Some(_)) => Format::DateTime,
        (Some(_), None) => Format::Date,
        (None, _) => Format::Time,
    }
}

#[cfg(test)]
mod tests;
