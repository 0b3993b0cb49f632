//! The way from a setting back to its file.

use std::fmt::Write;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{drawn, key, mapper};
use crate::{Limits, ValueType, testing};

#[test]
fn a_new_setting_finds_its_key_in_the_file() {
    let mapper = mapper(
        r#"
        prefix = "desk"
        drop = ["debug.**"]
        rename = { forceManualApproval = "approval.force_manual", "in.*.apiKey" = "out.*.api_key" }
        move = { old = "new" }
        case = "snake"
        split = { presets = "name" }
        "#,
    );
    let raw = |text: &str| mapper.unmap(&key(text)).map(String::from);

    assert_eq!(raw("desk.approval.force_manual").unwrap(), "forceManualApproval");
    assert_eq!(raw("desk.out.github.api_key").unwrap(), "in.github.apiKey");
    assert_eq!(raw("desk.new.anyName").unwrap(), "old.anyName");
    assert_eq!(raw("desk.ui.dark_mode").unwrap(), "ui.darkMode");
    assert_eq!(raw("other.ui"), None, "it lies outside of the prefix");
    assert_eq!(raw("desk.debug.x"), None, "it would be dropped");
    assert_eq!(raw("desk.presets.low.fps"), None, "it lies in a list that is split");
    assert_eq!(raw("desk.presets"), None, "it would be split");
    assert_eq!(raw("desk.a_b_c"), None, "aBC would become a_bc");
    assert_eq!(raw("desk.darkMode"), None, "no key becomes camel case");
}

#[test]
fn a_new_setting_with_two_keys_in_the_file_has_none() {
    let mapper = mapper(r#"rename = { a = "c", b = "c" }"#);

    assert_eq!(mapper.unmap(&key("c")), None);
    assert_eq!(mapper.unmap(&key("d")), Some(key("d")));
}

#[test]
fn kebab_is_taken_back_only_where_there_is_nothing_to_take_back() {
    let mapper = mapper("case = 'kebab'");

    assert_eq!(mapper.unmap(&key("ui.theme")), Some(key("ui.theme")));
    assert_eq!(mapper.unmap(&key("ui.dark-mode")), None);
}

#[test]
fn a_value_goes_back_or_says_why_not() {
    let mapper = mapper(
        r#"
        convert = { timeout = { to = "float", unit = "ms -> s" } }
        split = { presets = "name" }
        "#,
    );
    let back = |raw: &str, value: Value, written| {
        mapper.unvalue(&key(raw), &value.into(), written).map(|it| it.json)
    };
    let integer = Some(ValueType::Integer);

    assert_eq!(back("timeout", json!(2.5), integer), Ok(json!(2500)));
    assert_eq!(back("other", json!(2.5), integer), Ok(json!(2.5)));
    let faults = [
        back("timeout", json!(0.0001), integer).unwrap_err(),
        back("presets.low.fps", json!(1), None).unwrap_err(),
    ];
    assert_snapshot!(drawn(&faults), @r"
    mapping::one_way: a float cannot be written back to `timeout`, which is an integer there: the number is not whole
      change it in the file, or set a value that `convert` of this key can reach
    mapping::split_setting: `presets.low.fps` is part of a list that was split, and cannot be written back by its key
      change the list in the file
    ");
}

#[test]
fn the_legacy_files_of_the_desk_are_mapped_and_found_again() {
    let declared = r#"
        prefix = "desk"
        rename = { "approval.forceManualApproval" = "approval.manual", "integrations.*.poll_seconds" = "integrations.*.poll_ms" }
        move = { theme = "ui.theme" }
        case = "snake"
        convert = { "**.poll_seconds" = { unit = "s -> ms" }, "**.timeout_seconds" = "string" }
    "#;
    let mapper = mapper(declared);
    let mut lines = String::new();
    for path in testing::files(&testing::folder("fixtures/desk/legacy")) {
        let bytes = std::fs::read(&path).unwrap();
        let document = crate::read(&path, &bytes, None, &Limits::default()).unwrap();
        let values: Vec<_> = document.entries.iter().map(|it| it.value.clone()).collect();
        let mapped = mapper.apply(document.entries).unwrap();

        for (mapped, value) in mapped.iter().zip(values) {
            let entry = &mapped.entry;
            writeln!(lines, "{} = {}", entry.key, entry.value.text()).unwrap();
            let written = Some(value.value_type());
            assert_eq!(mapper.unvalue(&mapped.raw, &entry.value, written), Ok(value));
            let found = mapper.unmap(&entry.key).unwrap();
            assert_eq!(mapper.key(&found), Ok(Some(entry.key.clone())));
        }
    }

    assert_snapshot!(lines, @r##"
    desk.approval.manual = true
    desk.approval.dry_run = false
    desk.approval.min_confidence = 0.85
    desk.approval.roles = ["lead","analyst"]
    desk.integrations.enabled = ["mail","sandbox"]
    desk.integrations.mail.host = "mail.example.org"
    desk.integrations.mail.port = 993
    desk.integrations.mail.tls = true
    desk.integrations.mail.poll_ms = 30000
    desk.integrations.sandbox.url = "https://sandbox.example.org/api"
    desk.integrations.sandbox.timeout_seconds = "12.5"
    desk.integrations.sandbox.headers = {}
    desk.ui.theme.name = "night"
    desk.ui.theme.accent = "#ff8800"
    desk.ui.theme.density = null
    "##);
}
