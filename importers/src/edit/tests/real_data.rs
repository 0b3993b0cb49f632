//! Every scalar of real files, one by one.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{lines_changed, set};
use crate::testing::{folder, read};

/// The text of a file, if the data is there.
fn data(name: &str) -> Option<String> {
    let path: PathBuf = folder("../shared/data").join(name);
    if !path.is_file() {
        eprintln!("skipped: there is no {}", path.display());
        return None;
    }
    Some(std::fs::read_to_string(path).unwrap())
}

/// Another value of the same type.
fn other(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(format!("x{text}")),
        Value::Bool(flag) => json!(!flag),
        Value::Number(number) if number.is_f64() => json!(number.as_f64().unwrap() + 1.0),
        Value::Number(number) => json!(number.as_i64().unwrap() + 1),
        other => other.clone(),
    }
}

#[test]
fn changing_any_scalar_of_the_visualiser_changes_one_line() {
    for name in ["visionflow/settings.yaml", "visionflow/dev_config.toml"] {
        let Some(text) = data(name) else { return };
        for entry in read(name, &text).unwrap().entries {
            if entry.value.json.is_array() || entry.value.json.is_object() {
                continue;
            }

            let edited = set(name, &text, json!({entry.key.as_str(): other(&entry.value.json)}));

            let changed = usize::from(!entry.value.json.is_null());
            assert_eq!(lines_changed(&text, &edited), changed, "{}", entry.key);
        }
    }
}

#[test]
fn changing_any_scalar_of_the_coach_changes_or_adds_one_line() {
    let name = "coachiq/2021_Entegra_Aspire_44R.yml";
    let Some(text) = data(name) else { return };
    let (mut changed, mut added, mut refused) = (0, 0, 0);
    for entry in read(name, &text).unwrap().entries {
        if entry.value.json.is_array() || entry.value.json.is_object() {
            continue;
        }
        let edits = super::edits(json!({entry.key.as_str(): other(&entry.value.json)}));

        let Ok(edited) = super::apply(name, &text, &edits) else {
            refused += 1;
            continue;
        };

        if edited.lines().count() > text.lines().count() {
            let kept = edited.lines().filter(|line| text.lines().any(|it| it == *line)).count();
            assert!(kept >= text.lines().count(), "{}", entry.key);
            added += 1;
        } else {
            assert_eq!(lines_changed(&text, &edited), 1, "{}", entry.key);
            changed += 1;
        }
    }
    assert_eq!((changed, added, refused), (91, 28, 98));
}
