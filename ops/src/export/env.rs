//! dotenv: `NAME="value"`, one setting a line.

use std::fmt::Write as _;

use serde_json::Value;
use setpoint_importers::{Key, TypedValue};

use crate::{Error, Result};

pub(super) fn write(settings: &[(Key, TypedValue)]) -> Result<String> {
    let mut text = String::new();
    for (key, value) in settings {
        if !is_name(key.as_str()) {
            return Err(Error::NotInFormat {
                what: format!("the key `{key}`"),
                format: "env",
                help:
                    "a name there is A-Z a-z 0-9 _ and no digit first; export yaml, toml or json, \
                       or a part with --prefix"
                        .to_owned(),
            });
        }
        let value = match &value.json {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        writeln!(text, "{key}={}", quoted(&value)).expect("a string takes every text");
    }
    Ok(text)
}

fn is_name(key: &str) -> bool {
    let starts = key.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_');
    starts && key.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
}

fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '$' => text.push_str("\\$"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            other => text.push(other),
        }
    }
    text.push('"');
    text
}
