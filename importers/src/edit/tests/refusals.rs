use std::path::Path;

use insta::assert_snapshot;
use serde_json::json;

use super::{Edit, EditError, apply, edit, edits, refused, without};
use crate::Limits;

#[test]
fn what_an_alias_stands_for_is_not_changed_through_it() {
    let text = "m: &map {b: 1}\na: *map\nx: &x 5\ny: *x\nc:\n  <<: *map\n  z: 1\n";

    assert_snapshot!(refused("a.yaml", text, &edits(json!({"a.b": 2, "x": 6}))), @r"
    `a.yaml` cannot be changed as asked
    a.yaml:2:4: `a.b`: `a` is an alias of &map, line 1: changing it here would change it there too
    ");
    assert_snapshot!(refused("a.yaml", text, &edits(json!({"x": 6}))), @r"
    `a.yaml` cannot be changed as asked
    a.yaml:3:7: `x`: the alias on line 4 uses what would change here
    ");
    assert_snapshot!(refused("a.yaml", text, &without(&["x"])), @r"
    `a.yaml` cannot be changed as asked
    a.yaml:3:7: `x`: the alias on line 4 uses what would change here
    ");
    assert_snapshot!(refused("a.yaml", text, &without(&["c.b"])), @r"
    `a.yaml` cannot be changed as asked
    a.yaml:6:3: `c.b`: the merge key on line 6 brings it; take it out of the map there
    ");
    assert_snapshot!(
        refused("a.yaml", "a: &a {x: 1}\nb:\n  <<: *a\n  x: 2\n  y: 1\n", &without(&["b.x"])),
        @r"
    `a.yaml` cannot be changed as asked
    a.yaml:4:1: `b.x`: a merge key brings it as well, so it would not be gone
    "
    );
    assert_snapshot!(refused("a.yaml", text, &edits(json!({"m.b": 2}))), @r"
    `a.yaml` cannot be changed as asked
    a.yaml:1:9: `m.b`: the alias on line 2 uses what would change here
    ");
}

#[test]
fn edits_that_make_no_tree_are_refused_together() {
    let mut asked = edits(json!({"a": 1, "a.b": 2, "c.d": 3, "e": {"f": 1}, "g": 1}));
    asked.extend(edits(json!({"g": 2})));

    assert_snapshot!(refused("a.yaml", "c: 1\ne.x: 1\ng: 0\n", &asked), @r"
    `a.yaml` cannot be changed as asked
    a.yaml:1:1: `a`: keys stand below it, so it cannot be a value; take them out as well
    a.yaml:1:1: `a.b`: `a` is a value, so nothing can stand below it
    a.yaml:1:1: `e`: a map with keys is no value; set each of its keys
    a.yaml:1:4: `c.d`: `c` is a value, so nothing can stand below it
    a.yaml:3:4: `g`: two edits give this key different values
    ");
}

#[test]
fn what_a_format_does_not_have_is_refused() {
    let asked = edits(json!({"a": null, "b": [1, null], "c": 18446744073709551615_u64}));
    assert_snapshot!(refused("a.toml", "a = 1\nb = []\n", &asked), @r"
    `a.toml` cannot be changed as asked
    a.toml:1:1: `c`: TOML has no integer beyond 9223372036854775807
    a.toml:1:5: `a`: TOML has no null; take the key out instead
    a.toml:2:5: `b`: TOML has no null; take the key out instead
    ");

    let asked = edits(json!({"A": null, "B": [1], "C.D": 1, "\"x y\"": 1}));
    assert_snapshot!(refused("a.env", "A=1\n", &asked), @r#"
    `a.env` cannot be changed as asked
    a.env:1:1: `"x y"`: no name of a variable; it is a letter or `_`, then letters, digits and `_.-`
    a.env:1:1: `A`: a variable cannot be null; take it out, or set it to a text
    a.env:1:1: `B`: a variable is one text, and no list or map
    a.env:1:1: `C.D`: a variable's name is one segment of a key, with no dots outside quotes
    "#);
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let error = apply("a.yaml", "a: [", &edits(json!({"a": 1}))).unwrap_err();

    assert!(matches!(error, EditError::Unreadable(_)), "{error}");
}

#[test]
fn a_format_of_others_cannot_be_written() {
    let asked: &[Edit] = &[];
    let error = edit(Path::new("a.ini"), b"", Some("ini"), &Limits::default(), asked).unwrap_err();

    assert_snapshot!(error.to_string(), @"`a.ini` is read by `setpoint-import-ini`, which cannot write");
}

#[test]
fn a_refusal_has_a_code_and_a_help() {
    let error = apply("a.toml", "a = 1\n", &edits(json!({"a": null}))).unwrap_err();
    let code = miette::Diagnostic::code(&error).map(|it| it.to_string());

    assert_eq!(code.as_deref(), Some("edit::refused"));
    assert_eq!(error.refusals().len(), 1);
}

#[test]
fn explicit_keys_are_left_alone() {
    assert_snapshot!(refused("a.yaml", "? a\n: 1\nb: 2\n", &without(&["a"])), @r"
    `a.yaml` cannot be changed as asked
    a.yaml:1:3: `a`: it is an explicit key (`? key`) or shares its line; take it out by hand
    ");
}
