use insta::assert_snapshot;
use miette::Diagnostic;

use super::{Mapper, Mapping, MappingFault};
use crate::testing;
use crate::{Entry, Key};

mod back;
mod properties;

fn mapping(text: &str) -> Mapping {
    toml::from_str(text).unwrap()
}

fn mapper(text: &str) -> Mapper {
    mapping(text).check().unwrap()
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

/// Where the mapping sends a key; "" if it drops it.
fn sent(mapper: &Mapper, raw: &str) -> String {
    mapper.key(&key(raw)).unwrap().map(String::from).unwrap_or_default()
}

fn entries(yaml: &str) -> Vec<Entry> {
    testing::read("a.yaml", yaml).unwrap().entries
}

/// The settings of a file after its mapping, or the faults, one a line.
fn applied(declared: &str, yaml: &str) -> String {
    match mapper(declared).apply(entries(yaml)) {
        Ok(mapped) => mapped
            .iter()
            .map(|it| format!("{} -> {} = {}\n", it.raw, it.entry.key, it.entry.value.text()))
            .collect::<String>(),
        Err(faults) => drawn(&faults),
    }
}

fn drawn(faults: &[MappingFault]) -> String {
    let lines = faults.iter().map(|fault| {
        let code = fault.code().unwrap();
        format!("{code}: {fault}\n  {}\n", fault.help().unwrap())
    });
    lines.collect()
}

#[test]
fn the_default_changes_nothing() {
    assert!(mapping("").is_identity());
    assert!(!mapping("case = 'snake'").is_identity());
    assert_snapshot!(applied("", "a: {b: 1, \"c.d\": null}"), @r#"
    a.b -> a.b = 1
    a."c.d" -> a."c.d" = null
    "#);
}

#[test]
fn the_first_rule_that_speaks_of_a_key_decides() {
    let mapper = mapper(
        r#"
        prefix = "desk"
        drop = ["debug.**", "ui.internal"]
        rename = { forceManualApproval = "approval.force_manual", "integrations.*.apiKey" = "integrations.*.api_key", "**.apiKey" = "keys.**", "debug.kept" = "kept" }
        move = { old = "new", "old.section" = "section" }
        case = "snake"
        "#,
    );

    assert_eq!(sent(&mapper, "debug.level"), "");
    assert_eq!(sent(&mapper, "debug.kept"), "");
    assert_eq!(sent(&mapper, "ui.internal"), "");
    assert_eq!(sent(&mapper, "forceManualApproval"), "desk.approval.force_manual");
    assert_eq!(sent(&mapper, "integrations.gitHub.apiKey"), "desk.integrations.gitHub.api_key");
    assert_eq!(sent(&mapper, "other.apiKey"), "desk.keys.other");
    assert_eq!(sent(&mapper, "old.section.someName"), "desk.section.someName");
    assert_eq!(sent(&mapper, "old.someName"), "desk.new.someName");
    assert_eq!(sent(&mapper, "ui.darkMode"), "desk.ui.dark_mode");
}

#[test]
fn the_most_specific_pattern_decides() {
    let mapper = mapper(
        r#"rename = { "**" = "any.**", "a.*" = "one.*", "a.**" = "below.**", "a.b" = "exact", "*.*.z" = "z.*.*" }"#,
    );

    assert_eq!(sent(&mapper, "a.b"), "exact");
    assert_eq!(sent(&mapper, "a.c"), "one.c");
    assert_eq!(sent(&mapper, "a.c.z"), "z.a.c");
    assert_eq!(sent(&mapper, "a.c.d"), "below.c.d");
    assert_eq!(sent(&mapper, "c"), "any.c");
}

#[test]
fn values_are_converted_by_the_key_of_the_file() {
    assert_snapshot!(applied(
        r#"
        case = "snake"
        convert = { port = "integer", "*.timeoutMs" = { to = "float", unit = "ms -> s" } }
        "#,
        "{port: '8080', cache: {timeoutMs: 1500}, other: {timeoutMs: 100}}",
    ), @r"
    port -> port = 8080
    cache.timeoutMs -> cache.timeout_ms = 1.5
    other.timeoutMs -> other.timeout_ms = 0.1
    ");
}

#[test]
fn a_list_of_maps_is_split_by_a_field() {
    assert_snapshot!(applied(
        r#"
        drop = ["presets.*.internal"]
        move = { presets = "quality" }
        split = { presets = "name", "presets.*.passes" = "id", none = "name" }
        "#,
        "
presets:
  - {name: low, fps: 30, lod: {near: 1.5}, internal: x}
  - {name: very high, passes: [{id: 1, on: true}, {id: 2}]}
none: []
",
    ), @r#"
    presets.low.fps -> quality.low.fps = 30
    presets.low.lod.near -> quality.low.lod.near = 1.5
    presets."very high".passes.1.on -> quality."very high".passes.1.on = true
    presets."very high".passes.2 -> quality."very high".passes.2 = {}
    none -> none = {}
    "#);
}

#[test]
fn every_fault_of_a_file_is_told_at_its_place() {
    let yaml = "
port: secret
token: [1]
presets: [{name: a}, {name: a}]
list: 3
levels: [{name: 1.5}]
snakeCase: 1
snake_case: 2
deep: 1
old: {x: 1}
share: 0.5
ratio: 1
";
    let declared = r#"
        case = "snake"
        rename = { "old.x" = "deep.x" }
        convert = { port = "integer", token = "string", share = { unit = "ratio -> percent", to = "integer" }, ratio = { unit = "min -> h" } }
        split = { presets = "name", list = "name", levels = "name" }
    "#;

    assert_snapshot!(applied(declared, yaml), @r"
    mapping::conversion: `port` (line 2, column 7) is a string and cannot become an integer: the text is not a number as JSON writes one
      correct the value in the file, or `convert` of this key in setpoint.toml
    mapping::conversion: `token` (line 3, column 8) is a list, null or an empty map and cannot become a string: there is no conversion between these types
      correct the value in the file, or `convert` of this key in setpoint.toml
    mapping::split: `presets` (line 4, column 10) cannot be split by `name`: items 1 and 2 have the same
      each item must be a map with its own text or integer as `name`; or take this key out of `split`
    mapping::split: `list` (line 5, column 7) cannot be split by `name`: it is no list
      each item must be a map with its own text or integer as `name`; or take this key out of `split`
    mapping::split: `levels` (line 6, column 9) cannot be split by `name`: item 1 has no such text or integer
      each item must be a map with its own text or integer as `name`; or take this key out of `split`
    mapping::collision: `snakeCase` (line 7, column 12) and `snake_case` (line 8, column 13) both become `snake_case`
      rename one of the two, or drop the one that is not used
    mapping::overlap: `old.x` (line 10, column 10) becomes `deep.x`, which lies below `deep`, what `deep` (line 9, column 7) becomes
      a setting cannot be a value and a map at once: rename one of the two, or drop it
    mapping::conversion: `ratio` (line 12, column 8) is an integer and cannot become a number of the same type in another unit: the number has no end of digits in that unit
      correct the value in the file, or `convert` of this key in setpoint.toml
    ");
}

#[test]
fn every_fault_of_a_declaration_is_told_at_once() {
    let declared = r#"
        case = "pascal"
        drop = ["a*", "b..c"]
        prefix = "a b"
        rename = { "a.*" = "b", "c.**" = "d.*", "e.f" = "g", "e.'f'" = "h" }
        move = { "a.*" = "b" }
        split = { "**x" = "name" }
        [convert]
        a = "number"
        b = {}
        c = { unit = "ms" }
        d = { unit = "ms -> kb" }
        e = { unit = "ms -> KiB" }
        f = { to = "boolean", unit = "ms -> s" }
        "#;

    assert_snapshot!(drawn(&mapping(declared).check().unwrap_err()), @r#"
    mapping::unknown_case: there is no case `pascal`
      use one of snake, camel, kebab
    mapping::unknown_type: `convert` of `a`: there is no type `number`
      use one of string, integer, float, boolean, json, list
    mapping::no_conversion: `convert` of `b` says neither a type nor a unit
      write a type, or { to = "float", unit = "ms -> s" }
    mapping::bad_unit: `convert` of `c`: `ms` is not from one unit to another
      write two units with an arrow: `ms -> s`
    mapping::unknown_unit: `convert` of `d`: there is no unit `kb`
      use one of ms, s, min, h, d, B, KiB, MiB, GiB, KB, MB, GB, percent, ratio, deg, rad
    mapping::other_quantity: `convert` of `e`: `ms -> KiB` goes from one quantity to another
      both must be of time, of size, of an angle, or one percent and one ratio
    mapping::unit_without_number: `convert` of `f` has a unit, and `boolean` is no number
      convert to integer or float, or leave out the unit
    mapping::bad_pattern: `drop` has a pattern that cannot be read: segment 1 of `a*` is not all wildcard; `*` and `**` stand for whole segments, and a star in a name needs double quotes
      write it like `physics.**`, `*.api_key` or `hosts."a.b".*`
    mapping::bad_pattern: `drop` has a pattern that cannot be read: segment 2 of `b..c` is empty; write "" if that is its name
      write it like `physics.**`, `*.api_key` or `hosts."a.b".*`
    mapping::bad_key: `move` has a key that cannot be read: segment 2 of `a.*` has '*'; put the segment in double quotes
      `move` takes whole keys, such as `ui.theme`; patterns are for drop, rename, convert and split
    mapping::bad_key: `prefix` has a key that cannot be read: segment 1 of `a b` has ' '; put the segment in double quotes
      `prefix` takes whole keys, such as `ui.theme`; patterns are for drop, rename, convert and split
    mapping::twice: `rename` names `e.f` twice, in different spellings
      keep one of the two
    mapping::wildcards: `rename` of `a.*` to `b`: the wildcards of one are not those of the other
      write as many `*` and as many `**` in both; they are filled in order
    mapping::wildcards: `rename` of `c.**` to `d.*`: the wildcards of one are not those of the other
      write as many `*` and as many `**` in both; they are filled in order
    mapping::bad_pattern: `split` has a pattern that cannot be read: segment 1 of `**x` is not all wildcard; `*` and `**` stand for whole segments, and a star in a name needs double quotes
      write it like `physics.**`, `*.api_key` or `hosts."a.b".*`
    "#);
}

#[test]
fn a_key_that_becomes_too_long_is_a_fault() {
    let mapper = mapper(&format!("prefix = '{}'", "p".repeat(1000)));

    let fault = mapper.key(&key(&"k".repeat(100))).unwrap_err();

    assert!(matches!(fault, MappingFault::Target { .. }));
}

#[test]
fn a_misspelt_rule_is_not_ignored() {
    let refused = |text: &str| toml::from_str::<Mapping>(text).unwrap_err().message().to_owned();

    assert!(refused("renames = {}").contains("unknown field `renames`"));
    assert!(refused("convert = { a = { too = 'float' } }").contains("unknown field `too`"));
    assert!(refused("convert = { a = 1 }").contains("a type such as \"integer\""));
}

#[test]
fn a_declaration_survives_being_written() {
    let declared = mapping(
        r#"
        case = "snake"
        drop = ["a.**"]
        move = { a = "b" }
        convert = { a = "integer", b = { unit = "ms -> s" }, c = { to = "float", unit = "ms -> s" } }
        "#,
    );

    let text = serde_json::to_string(&declared).unwrap();

    assert_snapshot!(text, @r#"{"case":"snake","convert":{"a":"integer","b":{"unit":"ms -> s"},"c":{"to":"float","unit":"ms -> s"}},"drop":["a.**"],"move":{"a":"b"}}"#);
    assert_eq!(serde_json::from_str::<Mapping>(&text).unwrap(), declared);
}
