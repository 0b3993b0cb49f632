//! How TOML writes values and names.

use serde_json::Value;

use crate::Key;
use crate::edit::flow::Notation;

pub(super) struct Toml {
    pub line_break: &'static str,
}

impl Notation for Toml {
    fn colon(&self) -> &'static str {
        " = "
    }

    fn comment_end(&self, text: &str, at: usize) -> Option<usize> {
        let rest = text[at..].strip_prefix('#')?;
        Some(rest.find('\n').map_or(text.len(), |end| at + 1 + end))
    }

    fn name(&self, name: &str) -> String {
        name_of([name])
    }

    fn inline(&self, value: &Value, dates: bool) -> Result<String, String> {
        Ok(match value {
            Value::Null => return Err("TOML has no null; take the key out instead".to_owned()),
            Value::Number(number) if number.is_u64() && !number.is_i64() => {
                return Err("TOML has no integer beyond 9223372036854775807".to_owned());
            }
            Value::String(text) if dates => text.clone(),
            Value::String(text) => basic(text),
            Value::Array(items) => {
                let items: Result<Vec<_>, _> =
                    items.iter().map(|it| self.inline(it, dates)).collect();
                format!("[{}]", items?.join(", "))
            }
            Value::Object(map) => {
                let member = |(name, value): (&String, &Value)| {
                    Ok(format!("{} = {}", self.name(name), self.inline(value, false)?))
                };
                let members: Result<Vec<_>, String> = map.iter().map(member).collect();
                format!("{{{}}}", members?.join(", "))
            }
            other => other.to_string(),
        })
    }

    fn restyled(&self, old: &str, value: &Value, dates: bool) -> Result<String, String> {
        let Value::String(text) = value else { return self.inline(value, dates) };
        if dates || text.contains('\r') {
            return self.inline(value, dates);
        }
        let control = |c: char| c.is_control() && !matches!(c, '\t' | '\n');
        let lines = |text: &str| text.replace('\n', self.line_break);
        let first_break =
            ["\n", "\r\n"].iter().any(|it| old.get(3..).is_some_and(|old| old.starts_with(it)));
        let start = if first_break || text.starts_with('\n') { self.line_break } else { "" };
        Ok(if old.starts_with("'''") {
            if text.contains(control) || text.contains("'''") || text.ends_with('\'') {
                return self.inline(value, dates);
            }
            format!("'''{start}{}'''", lines(text))
        } else if old.starts_with("\"\"\"") {
            let escaped: String = text
                .chars()
                .map(|c| match c {
                    '\n' | '\t' => c.to_string(),
                    other => escape(other),
                })
                .collect();
            format!("\"\"\"{start}{}\"\"\"", lines(&escaped))
        } else if old.starts_with('\'') && !text.contains(['\'', '\n']) && !text.contains(control) {
            format!("'{text}'")
        } else {
            basic(text)
        })
    }
}

/// A dotted key.
pub(super) fn name_of<S: AsRef<str>>(segments: impl IntoIterator<Item = S>) -> String {
    let name = |segment: S| match Key::from_segments([segment.as_ref()]) {
        Ok(key) => key.as_str().replace('\u{7f}', "\\u007F"),
        Err(_) => basic(segment.as_ref()),
    };
    segments.into_iter().map(name).collect::<Vec<_>>().join(".")
}

fn basic(text: &str) -> String {
    let escaped: String = text.chars().map(escape).collect();
    format!("\"{escaped}\"")
}

/// The character as a basic string has it.
fn escape(character: char) -> String {
    match character {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        control if control.is_control() => format!("\\u{:04X}", u32::from(control)),
        other => other.to_string(),
    }
}
