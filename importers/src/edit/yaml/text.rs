//! How YAML writes values and names.

use serde_json::Value;

use crate::edit::flow::Notation;
use crate::yaml::schema;

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    Block,
    /// Inside of brackets, where more characters have a meaning.
    Flow,
}

pub(super) struct Yaml {
    /// The quote that this file puts around text.
    pub quote: char,
}

impl Notation for Yaml {
    fn colon(&self) -> &'static str {
        ": "
    }

    fn comment_end(&self, text: &str, at: usize) -> Option<usize> {
        let rest = text[at..].strip_prefix('#')?;
        // Without white space before it, this is no comment.
        let starts = text[..at].ends_with([' ', '\t', '\n']) || at == 0;
        starts.then(|| rest.find('\n').map_or(text.len(), |end| at + 1 + end))
    }

    fn name(&self, name: &str) -> String {
        self.text(name, Context::Flow)
    }

    fn inline(&self, value: &Value, _dates: bool) -> Result<String, String> {
        Ok(self.value(value, Context::Flow))
    }
}

impl Yaml {
    /// The value on one line.
    pub fn value(&self, value: &Value, context: Context) -> String {
        match value {
            Value::String(text) => self.text(text, context),
            Value::Number(number) if number.is_f64() => float(&number.to_string()),
            Value::Array(items) => {
                let items = items.iter().map(|it| self.value(it, Context::Flow));
                format!("[{}]", items.collect::<Vec<_>>().join(", "))
            }
            Value::Object(map) => {
                let members = map.iter().map(|(name, value)| {
                    format!("{}: {}", self.name(name), self.value(value, Context::Flow))
                });
                format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
            }
            other => other.to_string(),
        }
    }

    /// The value in the style of the scalar `old`, if it can be said in it.
    pub fn restyled(&self, old: &str, value: &Value, context: Context) -> String {
        match (value, old.chars().next()) {
            (Value::String(text), Some('\'')) if fits_single(text) => single(text),
            (Value::String(text), Some('"' | '\'')) => double(text),
            _ => self.value(value, context),
        }
    }

    /// A name like one that stands beside it.
    pub fn name_like(&self, sibling: &str, name: &str, context: Context) -> String {
        match sibling.chars().next() {
            Some('\'') if fits_single(name) => single(name),
            Some('"' | '\'') => double(name),
            _ => self.text(name, context),
        }
    }

    fn text(&self, text: &str, context: Context) -> String {
        if fits_plain(text, context) {
            text.to_owned()
        } else if self.quote == '\'' && fits_single(text) {
            single(text)
        } else {
            double(text)
        }
    }
}

/// With a point and the exponent's sign, without which YAML 1.1 reads text.
fn float(text: &str) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else { return text.to_owned() };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

/// Whether the text can stand without quotes, for a reader of YAML 1.1 as well.
fn fits_plain(text: &str, context: Context) -> bool {
    let is_date = text.len() >= 8
        && text.as_bytes()[..4].iter().all(u8::is_ascii_digit)
        && text.as_bytes()[4] == b'-';
    let first = text.chars().next().is_some_and(|c| c.is_alphanumeric() || "_/.+".contains(c));
    first
        && !is_date
        && text.trim() == text
        && text.chars().all(is_printable)
        && schema::is_text(text)
        && !text.starts_with("...")
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with(':')
        && (context == Context::Block
            || !text.contains([',', '[', ']', '{', '}']) && !text.contains(":,"))
}

fn fits_single(text: &str) -> bool {
    text.chars().all(is_printable)
}

/// Whether a character stays what it is on one line.
fn is_printable(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn single(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn double(text: &str) -> String {
    let mut out = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            other if is_printable(other) => out.push(other),
            other => match u32::from(other) {
                code @ ..=0xff => out.push_str(&format!("\\x{code:02X}")),
                code => out.push_str(&format!("\\u{code:04X}")),
            },
        }
    }
    out.push('"');
    out
}

/// The lines of a block scalar with this header, if the text can be said in it: the header, and
/// the lines without their indentation.
pub(super) fn block(header: &str, text: &str) -> Option<(String, Vec<String>)> {
    let body = text.trim_end_matches('\n');
    let line_breaks = text.len() - body.len();
    let printable = |c: char| c == '\n' || c == '\t' || is_printable(c);
    if body.is_empty() || body.starts_with([' ', '\t', '\n']) || !body.chars().all(printable) {
        return None;
    }
    let folded = header.starts_with('>');
    let lines: Vec<&str> = body.split('\n').collect();
    if lines.iter().any(|it| !it.is_empty() && it.trim().is_empty())
        || folded && lines.iter().any(|it| it.starts_with([' ', '\t']))
    {
        return None;
    }
    let mut out = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        // The first of the line breaks between two lines is folded into a space.
        if folded && at > 0 && !line.is_empty() {
            out.push(String::new());
        }
        out.push((*line).to_owned());
    }
    let chomping = match line_breaks {
        0 => "-",
        1 => "",
        _ => "+",
    };
    let keeps = header[1..].contains('+');
    let chomping = if keeps && line_breaks == 1 { "+" } else { chomping };
    out.extend((1..line_breaks).map(|_| String::new()));
    let style = &header[..1];
    let digits: String = header[1..].chars().filter(char::is_ascii_digit).collect();
    Some((format!("{style}{digits}{chomping}"), out))
}
