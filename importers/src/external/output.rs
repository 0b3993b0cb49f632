//! What an external importer prints: one JSON object a line.
//!
//! - `{"key": "a.b", "value": 1, "line": 3, "column": 5}` is a setting; `"format": "date-time"`,
//!   `"date"` or `"time"` says that its text is one. A value is no map, unless it is empty.
//! - `{"fault": "why", "line": 3, "column": 5}` is a fault in the file.
//! - `{"note": "what", "line": 3, "column": 5}` is worth saying.
//!
//! Lines and columns count from 1, and may be left out. Other members are ignored.

use std::collections::HashMap;

use serde_json::Value;

use crate::fault::Fault;
use crate::json;
use crate::key::Key;
use crate::place::{Lines, Place, Span};
use crate::resolve;
use crate::tree::{Content, Member, NodeId, Scalar, Tree};
use crate::value::{Format, TypedValue};
use crate::{Entry, Limits, Note, Reading};

/// Reads what was printed about the file `text`.
pub(super) fn reading(printed: &[u8], text: &str, limits: &Limits) -> Reading {
    let lines = Lines::new(text);
    let mut reading = Reading::default();
    for (index, line) in printed.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let malformed = |why: &str| {
            let message = format!("line {} that the importer printed: {why}", index + 1);
            Fault::new(0..0, message)
        };
        let Ok(line) = std::str::from_utf8(line) else {
            reading.faults.push(malformed("not UTF-8"));
            continue;
        };
        match Line::parse(line, limits) {
            Ok(line) => line.add_to(&mut reading, &lines),
            Err(why) => reading.faults.push(malformed(&why)),
        }
    }
    find_clashes(&mut reading, &lines);
    reading
}

/// One line that could be read.
struct Line {
    place: Place,
    says: Says,
}

enum Says {
    Setting { key: String, value: Result<TypedValue, String> },
    Fault(String),
    Note(String),
}

impl Line {
    fn parse(text: &str, limits: &Limits) -> Result<Self, String> {
        let (tree, faults) = json::line(text, limits).map_err(|fault| fault.message)?;
        let members = match tree.root.map(|root| &tree.get(root).content) {
            Some(Content::Map(members)) => members,
            _ => return Err("not a JSON object".to_owned()),
        };
        let find = |name: &str| members.iter().find(|member| member.name == name);
        let text_of = |name: &str| find(name).and_then(|member| as_text(&tree, member.value));
        let number = |name: &str| match find(name) {
            Some(member) => as_u32(&tree, member).ok_or(format!("`{name}` is no line or column")),
            None => Ok(1),
        };
        let place = Place { line: number("line")?, column: number("column")? };
        let says = if let Some(message) = text_of("fault") {
            Says::Fault(message)
        } else if let Some(message) = text_of("note") {
            Says::Note(message)
        } else {
            let key = text_of("key").ok_or("no text called `key`, `fault` or `note`")?;
            let value = find("value").ok_or("a `key` without a `value`")?;
            let format = find("format").map(|_| text_of("format").unwrap_or_default());
            let value = match faults.into_iter().next() {
                Some(fault) => Err(fault.message),
                None => typed(&tree, value.value, format, limits),
            };
            Says::Setting { key, value }
        };
        Ok(Self { place, says })
    }

    fn add_to(self, reading: &mut Reading, lines: &Lines) {
        let place = self.place;
        let fault = |message: String| Fault::new(span(lines, place), message);
        match self.says {
            Says::Fault(message) => reading.faults.push(fault(message)),
            Says::Note(message) => reading.notes.push(Note { message, place }),
            Says::Setting { key, value } => match (Key::parse(&key), value) {
                (Ok(key), Ok(value)) => {
                    reading.entries.push(Entry { key, value, place, span: Span::default() });
                }
                (key, value) => {
                    reading.faults.extend(value.err().map(fault));
                    reading.faults.extend(key.err().map(|error| fault(error.to_string())));
                }
            },
        }
    }
}

fn as_text(tree: &Tree, id: NodeId) -> Option<String> {
    match &tree.get(id).content {
        Content::Scalar(Scalar::Text(text)) => Some(text.clone().into_owned()),
        _ => None,
    }
}

fn as_u32(tree: &Tree, member: &Member) -> Option<u32> {
    match &tree.get(member.value).content {
        Content::Scalar(Scalar::Number(number)) => u32::try_from(number.as_u64()?).ok(),
        _ => None,
    }
    .filter(|number| *number > 0)
}

fn typed(
    tree: &Tree,
    id: NodeId,
    format: Option<String>,
    limits: &Limits,
) -> Result<TypedValue, String> {
    if matches!(&tree.get(id).content, Content::Map(members) if !members.is_empty()) {
        return Err("a map is no value; print a line for each key in it".to_owned());
    }
    let json = resolve::value(tree, limits, id)?;
    let is_text = match &json {
        Value::Array(items) => !items.is_empty() && items.iter().all(Value::is_string),
        other => other.is_string(),
    };
    let format = match format {
        None => None,
        Some(_) if !is_text => return Err("only text has a `format`".to_owned()),
        Some(name) => {
            Some(Format::named(&name).ok_or("the `format` is none of date-time, date and time")?)
        }
    };
    Ok(TypedValue { json, format })
}

/// Keys that are set twice, or that hold a value as well as other keys.
fn find_clashes(reading: &mut Reading, lines: &Lines) {
    let mut places: HashMap<&str, Place> = HashMap::new();
    for entry in &reading.entries {
        if let Some(first) = places.get(entry.key.as_str()) {
            let message = format!("`{}` is already set on line {}", entry.key, first.line);
            reading.faults.push(Fault::new(span(lines, entry.place), message));
            continue;
        }
        places.insert(entry.key.as_str(), entry.place);
    }
    for entry in &reading.entries {
        if let Some(above) = entry.key.ancestors().find(|above| places.contains_key(above)) {
            let message = format!("`{}` lies in `{above}`, which is a value", entry.key);
            reading.faults.push(Fault::new(span(lines, entry.place), message));
        }
    }
}

fn span(lines: &Lines, place: Place) -> Span {
    let at = lines.offset(place);
    Span::new(at, at)
}

#[cfg(test)]
mod tests;
