//! JSON, as <https://www.rfc-editor.org/rfc/rfc8259> defines it.
//!
//! Comments and trailing commas are accepted and noted; nothing else of JSON5 is.

use std::ops::Range;

use jsonc_parser::ast::Value;
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::ParseErrorKind;
use jsonc_parser::{CollectOptions, ParseOptions, ParseStringErrorKind, parse_to_ast};

use self::survey::Survey;
use crate::fault::Fault;
use crate::number;
use crate::place::Lines;
use crate::recover::{self, Attempt};
use crate::resolve;
use crate::tree::{Content, Member, NodeId, Scalar, Tree};
use crate::{Importer, Limits, Note, Reading};

mod member;
mod survey;

pub(crate) struct Json;

impl Importer for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["json", "jsonc"]
    }

    fn read(&self, text: &str, limits: &Limits) -> Reading {
        recover::read(text, broken_part, |text| attempt(text, limits))
    }
}

/// What to leave out to find the next fault: the member, else the line.
fn broken_part(text: &str, offset: usize) -> Option<Range<usize>> {
    let member = member::around(text, offset);
    member.filter(|it| !text[it.clone()].trim().is_empty()).or_else(|| balanced_line(text, offset))
}

/// The line, unless it opens or closes what another line closes or opens.
fn balanced_line(text: &str, offset: usize) -> Option<Range<usize>> {
    let line = recover::line_around(text, offset);
    let mut depth = 0_i32;
    for byte in text[line.clone()].bytes() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    (depth == 0).then_some(line)
}

fn attempt(text: &str, limits: &Limits) -> Attempt {
    let lines = Lines::new(text);
    let mut reading = Reading::default();
    let survey = Survey::of(text, limits);
    reading.faults.extend(
        survey
            .too_deep
            .iter()
            .map(|range| Fault::new(range.start..range.start + 1, resolve::too_deep(limits))),
    );
    let text = survey.shallow(text);
    let parsed = parse(&text);
    let faults = [parsed.as_ref().err(), survey.syntax.as_ref()].into_iter().flatten();
    let syntax = faults.min_by_key(|fault| fault.span.start).cloned();
    if let Ok(Build { tree, faults }) = parsed {
        reading.faults.extend(faults);
        if syntax.is_none() {
            resolve::into(&mut reading, &tree, &lines, limits);
            // A member that was left out makes no other a duplicate.
            reading.faults.iter_mut().for_each(|it| it.relative = false);
        }
    }
    let notes = survey.notes().into_iter();
    reading.notes.extend(notes.map(|(at, message)| Note { message, place: lines.place(at) }));
    Attempt { reading, syntax }
}

/// The tree of a text that has no faults.
pub(crate) fn tree(text: &str) -> Tree<'_> {
    parse(text).map(|build| build.tree).unwrap_or_default()
}

/// The tree of one line of JSON, and the faults of its values.
///
/// # Errors
///
/// The fault that ended it.
pub(crate) fn line<'a>(text: &'a str, limits: &Limits) -> Result<(Tree<'a>, Vec<Fault>), Fault> {
    let survey = Survey::of(text, limits);
    if let Some(range) = survey.too_deep.first() {
        return Err(Fault::new(range.clone(), resolve::too_deep(limits)));
    }
    if let Some(fault) = survey.syntax {
        return Err(fault);
    }
    let Build { tree, faults } = parse(text)?;
    Ok((tree, faults))
}

fn parse(text: &str) -> Result<Build<'_>, Fault> {
    let mut build = Build { tree: Tree::default(), faults: Vec::new() };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &STRICT).map_err(|error| {
        Fault::new(error.range().start..error.range().end, message(error.kind()))
    })?;
    build.tree.root = parsed.value.map(|value| build.value(value));
    Ok(build)
}

const STRICT: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// The parser's message as we write ours.
fn message(kind: &ParseErrorKind) -> String {
    use ParseErrorKind as Kind;
    let own = match kind {
        Kind::ExpectedComma => "a comma is missing here",
        Kind::ExpectedStringObjectProperty => "a key needs double quotes",
        Kind::HexadecimalNumbersNotAllowed => {
            "JSON has no hexadecimal numbers; write it in decimal"
        }
        Kind::NonFiniteNumbersNotAllowed => "this is not a finite number; write one, or null",
        Kind::SingleQuotedStringsNotAllowed => "text needs double quotes",
        Kind::String(ParseStringErrorKind::InvalidUnicodeEscapeSequence(_)) => {
            "half of a surrogate pair; write both halves, or the character itself"
        }
        Kind::UnexpectedToken | Kind::UnexpectedWord => "no JSON value; text needs double quotes",
        Kind::UnterminatedArray => "this list does not close",
        Kind::UnterminatedObject => "this map does not close",
        other => return recover::lower_case(&other.to_string()),
    };
    own.to_owned()
}

struct Build<'a> {
    tree: Tree<'a>,
    faults: Vec<Fault>,
}

impl<'a> Build<'a> {
    fn value(&mut self, value: Value<'a>) -> NodeId {
        let span = value.start()..value.end();
        let content = match value {
            Value::NullKeyword(_) => Content::Scalar(Scalar::Null),
            Value::BooleanLit(flag) => Content::Scalar(Scalar::Boolean(flag.value)),
            Value::StringLit(text) => Content::Scalar(Scalar::Text(text.value)),
            Value::NumberLit(digits) => {
                let number = if number::is_integer(digits.value) {
                    number::integer(digits.value, 10)
                } else {
                    number::float(digits.value)
                };
                match number {
                    Ok(number) => Content::Scalar(Scalar::Number(number)),
                    Err(message) => {
                        self.faults.push(Fault::new(span.clone(), message));
                        Content::Nothing
                    }
                }
            }
            Value::Array(array) => {
                Content::List(array.elements.into_iter().map(|item| self.value(item)).collect())
            }
            Value::Object(object) => Content::Map(
                object.properties.into_iter().map(|property| self.member(property)).collect(),
            ),
        };
        self.tree.add(span, content)
    }

    fn member(&mut self, property: jsonc_parser::ast::ObjectProp<'a>) -> Member<'a> {
        let name_span = (property.name.start()..property.name.end()).into();
        Member {
            name: match property.name {
                jsonc_parser::ast::ObjectPropName::String(text) => text.value,
                jsonc_parser::ast::ObjectPropName::Word(word) => word.value.into(),
            },
            name_span,
            value: self.value(property.value),
            merge: false,
        }
    }
}

#[cfg(test)]
mod tests;
