//! Small files, what is asked of them, and what comes out; then real files and any files.

use std::path::Path;

use serde_json::{Value, json};

use super::{Edit, EditError, edit};
use crate::{Key, Limits, TypedValue};

mod dotenv;
mod json;
mod properties;
mod real_data;
mod refusals;
mod toml;
mod yaml;

/// The edits that `{"key": value}` asks for.
fn edits(asked: Value) -> Vec<Edit> {
    let asked = asked.as_object().unwrap().clone();
    let set = |(key, value)| Edit { key: Key::parse(key).unwrap(), value: Some(value) };
    asked.iter().map(|(key, json)| set((key, TypedValue::from(json.clone())))).collect()
}

/// The edits that take these keys out.
fn without(keys: &[&str]) -> Vec<Edit> {
    keys.iter().map(|key| Edit { key: Key::parse(key).unwrap(), value: None }).collect()
}

fn apply(name: &str, text: &str, edits: &[Edit]) -> Result<String, EditError> {
    let edited = edit(Path::new(name), text.as_bytes(), None, &Limits::default(), edits)?;
    Ok(String::from_utf8(edited).unwrap())
}

/// The text with these keys set.
fn set(name: &str, text: &str, asked: Value) -> String {
    apply(name, text, &edits(asked)).unwrap_or_else(|error| panic!("{error}"))
}

/// The text without these keys.
fn unset(name: &str, text: &str, keys: &[&str]) -> String {
    apply(name, text, &without(keys)).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(name: &str, text: &str, edits: &[Edit]) -> String {
    apply(name, text, edits).unwrap_err().to_string()
}

/// How many lines of `old` are not in their place in `new`, which has as many lines.
fn lines_changed(old: &str, new: &str) -> usize {
    assert_eq!(old.split('\n').count(), new.split('\n').count(), "{new}");
    old.split('\n').zip(new.split('\n')).filter(|(old, new)| old != new).count()
}

#[test]
fn changing_one_value_changes_one_line_in_every_format() {
    let files = [
        ("a.yaml", "# c\r\na:\r\n  b: 'x' # c\r\n  c: 2\r\n"),
        ("a.toml", "# c\r\n[a]\r\nb = 'x' # c\r\nc = 2"),
        ("a.json", "\u{feff}{\r\n  // c\r\n  \"a\": {\"b\": \"x\", \"c\": 2},\r\n}"),
    ];
    for (name, text) in files {
        let edited = set(name, text, json!({"a.b": "y"}));

        assert_eq!(edited, text.replace('x', "y"));
        assert_eq!(lines_changed(text, &edited), 1);
    }
    assert_eq!(set("a.env", "A=x # c\r\nB=2", json!({"A": "y"})), "A=y # c\r\nB=2");
}

#[test]
fn what_is_set_already_changes_no_byte() {
    let files = [
        ("a.yaml", "a: 0x1F # hex\nb: [ 1,2 ]\nc: ~\n"),
        ("a.toml", "a = 0x1F # hex\nb = [ 1,2 ]\n"),
        ("a.json", "{\"a\":31,\"b\":[ 1,2 ]}"),
    ];
    for (name, text) in files {
        assert_eq!(set(name, text, json!({"a": 31, "b": [1, 2]})), text);
        assert_eq!(unset(name, text, &["z", "y.z"]), text);
    }
}
