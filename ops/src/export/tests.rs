use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A value that every format can hold: TOML has no null and no integer beyond 63 bits.
fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |it| it.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        tricky_text().prop_map(Value::from),
    ]
}

/// Texts that some reader takes for something else.
fn tricky_text() -> impl Strategy<Value = String> {
    let texts = [
        "no",
        "on",
        "Yes",
        "null",
        "~",
        "",
        " ",
        "017",
        "0o17",
        "0x1F",
        "1_000",
        "1e3",
        ".5",
        "+1",
        "12:30:45",
        "2026-01-01",
        ".inf",
        "nan",
        "<<",
        "=",
        "- a",
        "a: b",
        "a #b",
        "'",
        "\"",
        "%a",
        "!a",
        "&a",
        "*a",
        "@a",
        "`a",
        "{",
        "[",
        "\u{feff}a",
        "a\r\nb",
        "a\u{85}b",
        "\u{0}",
        "$A",
    ];
    prop::sample::select(texts.to_vec()).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => scalar(),
        1 => prop::collection::vec(scalar(), 0..4).prop_map(Value::from),
        1 => Just(json!({})),
    ]
}

fn key() -> impl Strategy<Value = Key> {
    let segment = prop_oneof![4 => "[a-c]{1,2}", 1 => any::<String>(), 1 => tricky_text()];
    prop::collection::vec(segment, 1..4)
        .prop_filter_map("short enough", |it| Key::from_segments(it).ok())
}

/// Settings that are a tree.
fn settings() -> impl Strategy<Value = Vec<(Key, TypedValue)>> {
    prop::collection::btree_map(key(), value(), 0..12).prop_map(|map| {
        let keys: Vec<Key> = map.keys().cloned().collect();
        let is_below = |key: &Key| key.ancestors().any(|it| keys.iter().any(|k| k.as_str() == it));
        let tree = map.into_iter().filter(|(key, _)| !is_below(key));
        tree.map(|(key, json)| (key, json.into())).collect()
    })
}

/// What a document of `format` says when it is read again.
fn read(text: &str, format: ExportFormat) -> Vec<(Key, TypedValue)> {
    let limits = Limits::default();
    let name = Path::new("export");
    let document =
        setpoint_importers::read(name, text.as_bytes(), Some(format.as_str()), &limits).unwrap();
    let mut read: Vec<_> = document.entries.into_iter().map(|it| (it.key, it.value)).collect();
    read.sort_by(|a, b| a.0.cmp(&b.0));
    read
}

proptest! {
    #[test]
    fn what_is_exported_comes_back_the_same(settings in settings()) {
        for format in [ExportFormat::Yaml, ExportFormat::Toml, ExportFormat::Json] {
            let text = write(&settings, format);

            let text = text.map_err(|error| TestCaseError::fail(format!("{format:?}: {error}")))?;
            prop_assert_eq!(read(&text, format), settings.clone(), "{}", text);
        }
    }

    #[test]
    fn any_text_survives_env(texts in prop::collection::btree_map("[A-Z_][A-Z0-9_]{0,5}", any::<String>(), 0..5)) {
        let settings: Vec<_> = texts
            .into_iter()
            .map(|(name, text)| (Key::parse(&name).unwrap(), Value::from(text).into()))
            .collect();

        let text = write(&settings, ExportFormat::Env).unwrap();

        prop_assert_eq!(read(&text, ExportFormat::Env), settings);
    }

    #[test]
    fn a_tree_hash_is_that_of_the_meaning(settings in settings(), format in 0..3_usize) {
        let format = ExportFormat::ALL[format];
        let text = write(&settings, format).unwrap();
        let mut backwards = settings.clone();
        backwards.reverse();
        let other = write(&backwards, ExportFormat::Json).unwrap();

        prop_assert_eq!(hash(&text, format), hash(&other, ExportFormat::Json));
    }
}

fn hash(text: &str, format: ExportFormat) -> String {
    let name = Path::new("export");
    let limits = Limits::default();
    let document =
        setpoint_importers::read(name, text.as_bytes(), Some(format.as_str()), &limits).unwrap();
    crate::source::tree_hash(&document.entries)
}

#[test]
fn a_null_cannot_be_written_as_toml() {
    let settings = [(Key::parse("a.b").unwrap(), Value::Null.into())];

    let refused = write(&settings, ExportFormat::Toml).unwrap_err();

    assert_eq!(refused.to_string(), "`a.b`, which is null, cannot be written as toml");
}
