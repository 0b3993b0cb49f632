use serde_json::json;

use super::{apply, set, unset, without};

/// Sets or takes out keys, and shows the file.
fn after(text: &str, asked: serde_json::Value) -> String {
    set("a.yaml", text, asked)
}

#[test]
fn a_text_keeps_its_quotes_while_it_can() {
    let text = "a: 'x' # c\nb: \"x\"\nc: x\nd: 'x'\ne: x\nf: x\n";
    let asked = json!({
        "a": "it's", "b": "tab\t\"q\"", "c": "yes", "d": "line\nbreak", "e": "http://x/ y", "f": "a: b"
    });

    assert_eq!(
        after(text, asked),
        "a: 'it''s' # c\nb: \"tab\\t\\\"q\\\"\"\nc: 'yes'\nd: \"line\\nbreak\"\ne: http://x/ y\nf: 'a: b'\n"
    );
}

#[test]
fn a_value_may_change_its_type() {
    let text = "a: 'x' # c\nb: 1\nc: 1.5\nd:\ne: # c\nf: !!str 5\ng: [1]\n";
    let asked =
        json!({"a": 1, "b": [1, "a, b"], "c": 2.0, "d": 1e-9, "e": true, "f": 6, "g": null});

    assert_eq!(
        after(text, asked),
        "a: 1 # c\nb: [1, 'a, b']\nc: 2.0\nd: 1.0e-9\ne: true # c\nf: 6\ng: null\n"
    );
}

#[test]
fn a_value_below_its_key_stays_there() {
    let text = "a: # c\n  5\nb:\n  # c\n  'x'\n";

    assert_eq!(after(text, json!({"a": 6, "b": "y"})), "a: # c\n  6\nb:\n  # c\n  'y'\n");
}

#[test]
fn block_scalars_keep_their_style_and_indentation() {
    let text = "a: |  # c\n   one\n   two\n\nb: >-\n  one\n  two\nc: |+\n  x\n\nd: 1\n";

    assert_eq!(
        after(text, json!({"a": "one\n\n  2\n", "b": "three\nfour", "c": "y\n\n", "d": 2})),
        "a: |  # c\n   one\n\n     2\n\nb: >-\n  three\n\n  four\nc: |+\n  y\n\nd: 2\n"
    );
    assert_eq!(
        after(text, json!({"a": "x", "b": " y"})),
        "a: |-  # c\n   x\n\nb: ' y'\nc: |+\n  x\n\nd: 1\n"
    );
    assert_eq!(
        after(text, json!({"a": 1})),
        "a: 1  # c\n\nb: >-\n  one\n  two\nc: |+\n  x\n\nd: 1\n"
    );
}

#[test]
fn lists_change_only_the_items_that_differ() {
    let text = "a:\n- 1 # one\n# two:\n- 2\n- x: 1 # c\n  y: 'z'\nb: [1, 'x', # c\n  3]\n";

    assert_eq!(
        after(text, json!({"a": [1, 3, {"x": 1, "y": "w"}], "b": [1, "y", 4]})),
        "a:\n- 1 # one\n# two:\n- 3\n- x: 1 # c\n  y: 'w'\nb: [1, 'y', # c\n  4]\n"
    );
    assert_eq!(
        after(text, json!({"a": [1, {"x": 1, "y": "z"}, 9, "v"], "b": [3]})),
        "a:\n- 1 # one\n# two:\n- x: 1 # c\n  y: 'z'\n- 9\n- v\nb: [ # c\n  3]\n"
    );
    assert_eq!(after(text, json!({"a": [], "b": []})), "a: []\nb: []\n");
    assert_eq!(after("a:\n  - 1\nb: 2\n", json!({"a": 5})), "a: 5\nb: 2\n");
}

#[test]
fn new_keys_go_after_the_last_of_their_map() {
    let text = "a:\n    b: 1 # c\n    # end\nc: {d: 1}\n";

    assert_eq!(
        after(text, json!({"a.x": 1, "a.m.z": "s", "a.m.\"w.v\"": [], "c.e": 2, "c.f.g": 3})),
        "a:\n    b: 1 # c\n    x: 1\n    m:\n        z: s\n        w.v: []\n    # end\nc: {d: 1, e: 2, f: {g: 3}}\n"
    );
    assert_eq!(after("a:\r\n  b: 1", json!({"a.c": 1, "d": 2})), "a:\r\n  b: 1\r\n  c: 1\r\nd: 2");
    assert_eq!(after("# c\n", json!({"a.b": 1})), "# c\na:\n  b: 1\n");
    assert_eq!(after("---\na: 1\n...\n", json!({"b": 1})), "---\na: 1\nb: 1\n...\n");
    assert_eq!(after("\"1\": a\n", json!({"2": "b"})), "\"1\": a\n\"2\": b\n");
}

#[test]
fn removed_keys_take_their_lines_and_emptied_maps() {
    let text = "a:\n  b:\n    c: 1\n    # c\n    d: [1,\n      2]\ne: {f: 1, g: 2}\nh: {i: {j: 1}}";

    assert_eq!(
        unset("a.yaml", text, &["a.b.c", "e.g"]),
        "a:\n  b:\n    # c\n    d: [1,\n      2]\ne: {f: 1}\nh: {i: {j: 1}}"
    );
    assert_eq!(unset("a.yaml", text, &["a.b.c", "a.b.d", "h.i.j"]), "e: {f: 1, g: 2}");
    assert_eq!(unset("a.yaml", "a: 1\n", &["a"]), "");
}

#[test]
fn maps_become_values_and_values_become_maps() {
    let mut edits = without(&["a.b", "d"]);
    edits.extend(super::edits(json!({"a": 1, "d.e": 2})));

    assert_eq!(
        apply("a.yaml", "a: # c\n  b: 1\nd: 5 # c\nf: 1\n", &edits).unwrap(),
        "a: 1 # c\nd: # c\n  e: 2\nf: 1\n"
    );
}

#[test]
fn a_merged_key_and_an_alias_get_values_of_their_own() {
    let text = "a: &a\n  x: 1\n  y: 2\nb:\n  <<: *a\n  y: 3\nc: &c 5\nd: *c # d\n";

    assert_eq!(
        after(text, json!({"b.x": 9, "d": 6})),
        "a: &a\n  x: 1\n  y: 2\nb:\n  <<: *a\n  y: 3\n  x: 9\nc: &c 5\nd: 6 # d\n"
    );
    assert_eq!(after(text, json!({"a.y": 9})), text.replace("y: 2", "y: 9"));
    assert_eq!(
        after(text, json!({"c": 6, "d": 6})),
        text.replace("&c 5", "&c 6").replace("*c", "6")
    );
}

#[test]
fn nasty_keys_are_found() {
    let text = "? a\n: 1\n\"b.c\": 2\n'd': 3\n{e: f}: 4\n".replace("{e: f}: 4\n", "é ü: 4\n");

    assert_eq!(
        after(&text, json!({"\"b.c\"": 3, "d": 4, "\"é ü\"": 5})),
        "? a\n: 1\n\"b.c\": 3\n'd': 4\né ü: 5\n"
    );
    assert_eq!(
        after("a: {b, c: , d}\n", json!({"a.b": 1, "a.c": 2, "a.d": 3})),
        "a: {b: 1, c: 2 , d: 3}\n"
    );
}

#[test]
fn explicit_keys_and_marks_stay() {
    assert_eq!(
        after("---\n? a\n: 1\n...\n", json!({"b.c": 2})),
        "---\n? a\n: 1\nb:\n  c: 2\n...\n"
    );
    assert_eq!(
        after("a: |\r\n  x\r\n  y\r\nb:\t1\r\n", json!({"a": "x\nz\n", "b": 2})),
        "a: |\r\n  x\r\n  z\r\nb:\t2\r\n"
    );
    assert_eq!(
        after("\u{feff}{\"a\":1,\"b\":[1,2]}", json!({"c": 1, "b": [1]})),
        "\u{feff}{\"a\":1,\"b\":[1],\"c\":1}"
    );
}
