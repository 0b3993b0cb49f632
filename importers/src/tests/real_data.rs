//! Public data of real applications, which lies beside the workspace and is no part of it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::PathBuf;

use insta::assert_snapshot;

use crate::testing::{files, folder};
use crate::{
    Because, Document, ImportError, Limits, is_secret_name, looks_secret, masked, suggest_renames,
};

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
fn the_keys_that_the_visualiser_renamed_are_suggested() {
    let Some(data) = data() else { return };
    let versions = files(&data.join("visionflow/history"));
    let settings: Vec<Vec<_>> = versions
        .iter()
        .map(|path| {
            let name = path.strip_prefix(&data).unwrap().to_string_lossy();
            let entries = read(&data, &name).unwrap().entries.into_iter();
            entries.map(|entry| (entry.key, entry.value)).collect()
        })
        .collect();

    let mut lines = String::new();
    for (neighbours, path) in settings.windows(2).zip(&versions[1..]) {
        let suggestions = suggest_renames(&neighbours[0], &neighbours[1]);
        let before: HashMap<_, _> = neighbours[0].iter().cloned().collect();
        let now: HashMap<_, _> = neighbours[1].iter().cloned().collect();
        for suggestion in suggestions {
            let name = path.file_stem().unwrap().to_string_lossy();
            writeln!(lines, "{} {suggestion}", &name[..2]).unwrap();
            for pair in suggestion.pairs {
                let same = before[&pair.from] == now[&pair.to];
                assert_eq!(same, pair.because != Because::OtherValue, "{pair:?}");
            }
        }
    }

    // Compared by hand: the four sections and all keys in snake case have their counterpart, and
    // what was `time_step` is `dt`, the time step of the solver.
    assert_snapshot!(lines, @r#"
    03 move."visualisation.nodes" = "visualisation.graphs.logseq.nodes"  # 2 keys: same value, same last segment
    03 move."visualisation.edges" = "visualisation.graphs.logseq.edges"  # 5 keys: same value, same last segment
    03 move."visualisation.physics" = "visualisation.graphs.logseq.physics"  # 5 keys: same value, same last segment
    03 move."visualisation.labels" = "visualisation.graphs.logseq.labels"  # 5 keys: same value, same last segment
    05 case = "camel"  # 138 keys: same value, same name but for case; 53 keys: same name but for case, another value
    05 rename."visualisation.graphs.visionflow.physics.time_step" = "visualisation.graphs.visionflow.physics.dt"  # same value in the same map
    "#);
}

#[test]
fn names_tell_secrets_of_integrations_this_well() {
    let Some(data) = data() else { return };

    // What is called a false positive here is typed as plain text, and a secret in truth.
    let text = std::fs::read_to_string(data.join("deeptempo/integration_fields.json")).unwrap();
    let integrations: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for integration in &integrations {
        let id = integration["id"].as_str().unwrap();
        for field in integration["fields"].as_array().unwrap() {
            let name = field["name"].as_str().unwrap();
            let outcome = match (field["type"] == "password", is_secret_name(&[id, name])) {
                (true, true) => "true positive",
                (false, true) => "false positive",
                (true, false) => "false negative",
                (false, false) => "true negative",
            };
            *counts.entry(outcome).or_default() += 1;
            if outcome.starts_with("false") {
                wrong.push(format!("{outcome}: {id}.{name}"));
            }
        }
    }

    assert_snapshot!(format!("{counts:?}\n{}", wrong.join("\n")), @r#"
    {"false negative": 1, "false positive": 3, "true negative": 196, "true positive": 89}
    false positive: prisma-cloud.access_key
    false positive: lacework.api_key
    false negative: pagerduty.integration_key
    false positive: webhook.webhook_url
    "#);
}

#[test]
fn the_secrets_of_the_applications_are_these() {
    let Some(data) = data() else { return };

    let mut secrets = Vec::new();
    for path in files(&data) {
        let name = path.strip_prefix(&data).unwrap().to_string_lossy();
        let Ok(document) = read(&data, &name) else { continue };
        let found = document.entries.iter().filter(|it| looks_secret(&it.key, &it.value));
        secrets.extend(found.map(|entry| format!("{name} {}", entry.key)));
    }

    assert_snapshot!(secrets.join("\n"), @r"
    deeptempo/env.example CLAUDE_API_KEY
    deeptempo/env.example AWS_SECRET_ACCESS_KEY
    deeptempo/env.example TIMESKETCH_PASSWORD
    deeptempo/env.example SPLUNK_PASSWORD
    deeptempo/env.example CRIBL_PASSWORD
    deeptempo/env.example GITHUB_TOKEN
    deeptempo/env.example POSTGRESQL_CONNECTION_STRING
    deeptempo/legacy/integrations_config.json integrations.virustotal.api_key
    deeptempo/legacy/integrations_config.json integrations.misp.api_key
    ");
}

#[test]
fn every_file_can_be_masked_whatever_of_it_is_secret() {
    let Some(data) = data() else { return };

    for path in files(&data) {
        let name = path.strip_prefix(&data).unwrap().to_string_lossy();
        let Ok(document) = read(&data, &name) else { continue };
        let bytes = std::fs::read(&path).unwrap();
        let limits = Limits::default();
        let by_looks = masked(&bytes, &limits, &document, &looks_secret);
        let all = masked(&bytes, &limits, &document, &|_, _| true);

        assert!(!by_looks.bytes.is_empty(), "{name}");
        assert!(!all.bytes.is_empty(), "{name}");
        assert_eq!(all.hidden.len(), document.entries.len(), "{name}");
    }
}
