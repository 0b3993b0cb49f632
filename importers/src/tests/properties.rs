//! What holds for any file.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{Document, Key, Limits, Place, looks_secret, masked, read};

const NAMES: [&str; 4] = ["a.yaml", "a.toml", "a.json", "a.env"];

/// Text that looks enough like configuration to get past the first character.
fn almost_a_file() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "b: ",
        "- ",
        "\n",
        "\n  ",
        "    ",
        "<<: ",
        "*x",
        "&x ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "\"",
        "'",
        "# ",
        "= ",
        "A=",
        ".",
        "1",
        "1e999",
        "\t",
        "\r\n",
        "---",
        "...",
        "|",
        ">",
        "!!int ",
        "? ",
        ": ",
        "//",
        "/*",
        "*/",
        "\\",
        "\\u",
        "d800",
        "é",
        "\u{feff}",
        "%TAG",
        "inf",
        "0x",
        "2026-05-01",
        "[[a]]\n",
        "export ",
        "$X",
        "true",
        "null",
        "\u{0}",
        "\u{85}",
        "\u{2028}",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..60)
        .prop_map(|pieces| pieces.concat())
}

fn check(bytes: &[u8]) {
    let shallow = Limits { depth: 6, alias_nodes: 50, ..Limits::default() };
    for name in NAMES {
        for limits in [&Limits::default(), &shallow] {
            match read(Path::new(name), bytes, None, limits) {
                Ok(document) => {
                    let mut keys: Vec<_> = document.entries.iter().map(|it| &it.key).collect();
                    keys.sort();
                    keys.dedup();
                    assert_eq!(keys.len(), document.entries.len(), "a key is there twice");
                }
                Err(error) => {
                    let faults = error.faults();
                    assert!(!faults.is_empty(), "no fault");
                    assert!(faults.iter().all(|(place, _)| *place >= Place::START));
                    crate::testing::drawn(&error);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_make_an_importer_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes);
    }

    #[test]
    fn no_text_makes_an_importer_panic(text in any::<String>()) {
        check(text.as_bytes());
    }

    #[test]
    fn nothing_like_a_file_makes_an_importer_panic(text in almost_a_file()) {
        check(text.as_bytes());
    }

    #[test]
    fn json_that_we_print_is_read_back_equal(tree in map(true)) {
        let text = serde_json::to_string_pretty(&tree).unwrap();
        prop_assert_eq!(nested(&read_as("a.json", &text)), tree);
    }

    #[test]
    fn yaml_that_we_print_is_read_back_equal(tree in map(true)) {
        let text = yaml(&tree, 0);
        prop_assert_eq!(nested(&read_as("a.yaml", &text)), tree);
    }

    #[test]
    fn toml_that_we_print_is_read_back_equal(tree in map(false)) {
        let text = toml(&tree);
        prop_assert_eq!(nested(&read_as("a.toml", &text)), tree);
    }

    #[test]
    fn a_secret_is_nowhere_in_a_masked_file(
        tree in map(false),
        secret in "Zq7[ -~éß\u{1F600}]{0,9}[a-z]",
        name in prop::sample::select(vec!["password", "apiKey", "db_token", "SECRET"]),
        many in any::<bool>(),
    ) {
        let tree = with_secret(tree, name, &secret, many);
        let json = serde_json::to_string_pretty(&tree).unwrap();
        check_masked("a.json", &format!("// {secret}\n{json}"), &secret);
        check_masked("a.yaml", &format!("# {secret}{}", yaml(&tree, 0)), &secret);
        check_masked("a.toml", &format!("# {secret}\n{}", toml(&tree)), &secret);
    }

    #[test]
    fn masking_never_panics_and_hides_all_that_is_secret(text in almost_a_file()) {
        for name in NAMES {
            let path = Path::new(name);
            let Ok(document) = read(path, text.as_bytes(), None, &Limits::default()) else { continue };
            let everything = masked(text.as_bytes(), &Limits::default(), &document, &|_, _| true);
            let keys: Vec<&Key> = document.entries.iter().map(|it| &it.key).collect();

            prop_assert_eq!(everything.hidden.iter().collect::<Vec<_>>(), keys);
        }
    }
}

/// A tree that has a secret of that name, and its text again in other places.
fn with_secret(mut tree: Value, name: &str, secret: &str, many: bool) -> Value {
    let map = tree.as_object_mut().unwrap();
    let other = json!({"list": [1, format!("a {secret} b")], "users": [{name: secret}]});
    map.insert("other".to_owned(), other);
    let value = if many { json!([secret, "x"]) } else { json!(secret) };
    map.insert(name.to_owned(), value);
    tree
}

fn check_masked(name: &str, text: &str, secret: &str) {
    let document = read_as(name, text);
    let masked = masked(text.as_bytes(), &Limits::default(), &document, &looks_secret);
    let shown = String::from_utf8(masked.bytes).unwrap();
    let escaped = Value::from(secret).to_string();
    let keys = |document: &Document| -> Vec<Key> {
        document.entries.iter().map(|it| it.key.clone()).collect()
    };

    assert!(!shown.is_empty(), "{text}");
    assert!(!shown.contains(secret), "{text}\n{shown}");
    assert!(!shown.contains(escaped.trim_matches('"')), "{text}\n{shown}");
    assert_eq!(keys(&read_as(name, &shown)), keys(&document), "{text}\n{shown}");
}

#[test]
fn deep_nesting_of_any_kind_is_a_fault_and_not_a_crash() {
    for piece in
        ["[", "{a: ", "- ", "? ", "{\"a\":", "a.", "[[a]]\n", "a = {", "a = [", "{[", "!x "]
    {
        check(piece.repeat(20_000).as_bytes());
        check(format!("a: {}", piece.repeat(3_000)).as_bytes());
        check(format!("a = {}", piece.repeat(3_000)).as_bytes());
    }
    let steps: String = (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    check(steps.as_bytes());
}

pub(crate) fn scalar(null: bool) -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<String>(),
        "[ -~]{0,8}",
        prop::sample::select(vec!["no", "1", "~", "", "1.0", "0x1F", ".inf", "- a", "a: b", "#"])
            .prop_map(str::to_owned),
    ];
    prop_oneof![
        Just(if null { Value::Null } else { json!(true) }),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |it| it.is_finite()).prop_map(Value::from),
        text.prop_map(Value::from),
    ]
}

pub(crate) fn map(null: bool) -> impl Strategy<Value = Value> {
    let tree = scalar(null).prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            entries(inner),
        ]
    });
    entries(tree)
}

fn entries(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let name = prop_oneof!["[a-z0-9_]{1,5}", any::<String>(), Just("<<".to_owned())];
    prop::collection::hash_map(name.prop_filter("short", |it| it.len() < 100), value, 0..5)
        .prop_map(|entries| Value::Object(entries.into_iter().collect()))
}

fn read_as(name: &str, text: &str) -> Document {
    read(Path::new(name), text.as_bytes(), None, &Limits::default())
        .unwrap_or_else(|error| panic!("{text}\n{}", crate::testing::drawn(&error)))
}

/// The document that the entries make, by their keys.
pub(crate) fn nested(document: &Document) -> Value {
    let mut root = Map::new();
    for entry in &document.entries {
        let mut segments: Vec<String> = entry.key.segments().map(|it| it.into_owned()).collect();
        let last = segments.pop().unwrap();
        let mut map = &mut root;
        for segment in segments {
            let inner = map.entry(segment).or_insert_with(|| json!({}));
            map = inner.as_object_mut().unwrap();
        }
        map.insert(last, entry.value.json.clone());
    }
    Value::Object(root)
}

/// Block style, with every text and key in double quotes.
pub(crate) fn yaml(tree: &Value, indent: usize) -> String {
    let pad = " ".repeat(indent);
    match tree {
        Value::Object(map) if !map.is_empty() => {
            map.iter().fold(String::new(), |out, (name, it)| {
                format!("{out}\n{pad}{}: {}", yaml_text(name), yaml(it, indent + 2))
            })
        }
        Value::Array(items) if !items.is_empty() => items
            .iter()
            .fold(String::new(), |out, it| format!("{out}\n{pad}- {}", yaml(it, indent + 2))),
        Value::String(text) => yaml_text(text),
        other => other.to_string(),
    }
}

/// JSON's escapes are YAML's, but for characters that YAML does not let stand as they are.
fn yaml_text(text: &str) -> String {
    let json = Value::from(text).to_string();
    let escape = |c: char| match u32::from(c) {
        0x20..0x7f => c.to_string(),
        code => format!("\\U{code:08x}"),
    };
    json.chars().map(escape).collect()
}

pub(crate) fn toml(tree: &Value) -> String {
    match tree {
        Value::Object(map) => {
            let line = |(name, value): (&String, &Value)| {
                format!("{} = {}\n", quoted(name), inline(value))
            };
            map.iter().map(line).collect()
        }
        other => inline(other),
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let members: Vec<String> = map
                .iter()
                .map(|(name, value)| format!("{} = {}", quoted(name), inline(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}

/// A basic string: JSON's escapes are TOML's, but for the delete character.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
