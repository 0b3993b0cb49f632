//! Public data of real applications, which lies beside the workspace and is no part of it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::PathBuf;

use insta::assert_snapshot;

use crate::testing::{files, folder};
use crate::{Because, Document, ImportError, Limits, is_secret_name, looks_secret, suggest_renames};

/// The folder, if it is there.
fn data() -> Option<PathBuf> {
    let data = folder("../shared/data");
    if data.is_dir() {
        return Some(data);
    }
    eprintln!("skipped: there is no {}", data.display());
    None
}

fn read(data: &std::path::Path, name: &str) -> Result<Document, ImportError> {
    let path = data.join(name);
    crate::read(&path, &std::fs::read(&path).unwrap(), None, &Limits::default())
}

fn types(document: &Document) -> BTreeMap<&'static str, usize> {
    let mut types = BTreeMap::new();
    for entry in &document.entries {
        *types.entry(entry.value.value_type().as_str()).or_insert(0) += 1;
    }
    types
}

#[test]
fn every_setting_of_the_visualiser_is_counted_by_type() {
    let Some(data) = data() else { return };

    let yaml = read(&data, "visionflow/settings.yaml").unwrap();
    let toml = read(&data, "visionflow/dev_config.toml").unwrap();

    assert_snapshot!(
        format!("{:?}", types(&yaml)),
        @r#"{"boolean": 78, "float": 226, "integer": 73, "json": 4, "string": 54}"#
    );
    assert_eq!((yaml.entries.len(), toml.entries.len()), (435, 106));
}

#[test]
fn comments_do_not_change_the_settings_of_the_coach() {
    let Some(data) = data() else { return };

    let plain = read(&data, "coachiq/rvc.json").unwrap();
    let commented = read(&data, "coachiq/rvc-with-comments.json").unwrap();

    assert_eq!((plain.entries.len(), plain.notes.len()), (614, 0));
    assert_eq!(commented.notes.len(), 1);
}

#[test]
fn the_mapping_of_the_coach_has_its_merges_resolved() {
    let Some(data) = data() else { return };

    let mapping = read(&data, "coachiq/2021_Entegra_Aspire_44R.yml").unwrap();

    assert_eq!(mapping.entries.len(), 300);
    assert!(!mapping.entries.iter().any(|entry| entry.value.text().contains("\"<<\":")));
}

#[test]
fn every_version_and_every_map_can_be_read() {
    let Some(data) = data() else { return };

    for path in files(&data) {
        let name = path.strip_prefix(&data).unwrap().to_string_lossy();
        let is_list = ["ui_ranges.json", "integration_fields.json"];
        if name.ends_with(".md") || name.contains("invalid") {
            continue;
        }
        let read = read(&data, &name);
        assert_eq!(read.is_err(), is_list.iter().any(|it| name.ends_with(it)), "{name}");
    }
}

#[test]
fn files_that_were_committed_broken_are_refused_at_every_fault() {
    let Some(data) = data() else { return };

    let places = |name: &str| -> Vec<String> {
        let faults = read(&data, name).unwrap_err().faults();
        faults.iter().map(|(place, _)| format!("{}:{}", place.line, place.column)).collect()
    };

    assert_snapshot!(places("visionflow/invalid/bad-indent.yaml").join(" "), @"112:31 113:31 114:34 115:34 116:29 117:29 119:11 120:11 121:11 224:31 225:31 226:34 227:34 228:29 229:29 231:11 232:11 233:11");
    assert_snapshot!(places("visionflow/invalid/settings@32c9208c0.toml").join(" "), @"163:23");
}

#[test]
use crate::{Because, Document, ImportError, Limits, is_secret_name, looks_secret, suggest_renames};
            }
        }
    }

use crate::{Because, Document, ImportError, Limits, is_secret_name, looks_secret, suggest_renames};
