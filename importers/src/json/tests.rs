use insta::assert_snapshot;

use crate::testing::{drawn, faults, read, settings};

#[test]
fn a_point_or_an_exponent_makes_a_float() {
    let text = r#"{"a": [1, -1, 1.0, 1e3, 18446744073709551615, -0, -0.0], "b": {}, "c": null}"#;

    assert_snapshot!(settings("a.json", text), @r"
    1:7 a = [1,-1,1.0,1000.0,18446744073709551615,0,-0.0]
    1:63 b = {}
    1:72 c = null
    ");
}

#[test]
fn comments_trailing_commas_and_a_byte_order_mark_are_noted_once_each() {
    let text = "\u{feff}{ // one\n \"a\": [1,], /* two\n */ \"b\": \"//,\",\n}\n";

    assert_snapshot!(settings("a.json", text), @r#"
    2:7 a = [1]
    3:10 b = "//,"
    1:1 note: a byte order mark, which was left out
    1:3 note: accepted 2 comments, which JSON does not have
    2:9 note: accepted 2 trailing commas, which JSON does not have
    "#);
}

#[test]
fn what_only_json5_knows_is_a_fault() {
    let text = "{\n\"a\": 'x',\nb: 1,\n\"c\": 0x1F,\n\"d\": +1,\n\"e\": .5,\n\"f\": NaN,\n\
                \"g\": \"\\x41\",\n\"h\": 1 \"i\": 2,\n\"j\": -Infinity,\n\"k\":\u{a0}1,\n\
                \"l\": 01,\n\"m\": \"a\tb\"\n}\n";

    assert_snapshot!(drawn(&read("a.json", text).unwrap_err()), @r#"
    import::faulty

      × `a.json` has 12 faults
        ╭─[a.json:2:6]
      1 │ {
      2 │ "a": 'x',
        ·      ┬
        ·      ╰── text needs double quotes
      3 │ b: 1,
        · ┬
        · ╰── a key needs double quotes
      4 │ "c": 0x1F,
        ·      ┬
        ·      ╰── JSON has no hexadecimal numbers; write it in decimal
      5 │ "d": +1,
        ·      ┬
        ·      ╰── unary plus on numbers is not allowed
      6 │ "e": .5,
        ·      ┬
        ·      ╰── leading or trailing decimal points on numbers are not allowed
      7 │ "f": NaN,
        ·      ─┬─
        ·       ╰── no JSON value; text needs double quotes
      8 │ "g": "\x41",
        ·       ─┬
        ·        ╰── invalid escape
      9 │ "h": 1 "i": 2,
        ·       ▲
        ·       ╰── a comma is missing here
     10 │ "j": -Infinity,
        ·      ────┬────
        ·          ╰── this is not a finite number; write one, or null
     11 │ "k": 1,
        ·     ┬
        ·     ╰── JSON has no such white space; use spaces
     12 │ "l": 01,
        ·       ▲
        ·       ╰── a comma is missing here
     13 │ "m": "a b"
        ·        ┬
        ·        ╰── a control character; write it as an escape
     14 │ }
        ╰────
      help: nothing of this file was taken; mend it and import it again
    "#);
}

#[test]
fn a_fault_between_brackets_hides_no_other() {
    assert_snapshot!(faults("a.json", "{\n\"a\": {tru: [\n1, 2]},\n\"b\": nope\n}\n"), @r"
    2:7 a key needs double quotes
    4:6 no JSON value; text needs double quotes
    ");
}

#[test]
fn every_fault_of_a_single_line_is_told() {
    let text = r#"{"x":1,"x":2,"y":Infinity,"z":[1,2,,3],"w":99999999999999999999}"#;

    assert_snapshot!(faults("a.json", text), @r"
    1:8 this key is already set on line 1; keep one of the two
    1:18 no JSON value; text needs double quotes
    1:36 unexpected comma
    1:44 this integer does not fit in 64 bits; quote it to store it as text
    ");
}

#[test]
fn what_lies_too_deep_does_not_hide_other_faults() {
    let text = format!("{{\"a\": {}{},\n\"b\": 1e999}}", "[".repeat(2000), "]".repeat(2000));

    assert_snapshot!(faults("a.json", &text), @r"
    1:70 nested deeper than 64 levels
    2:6 this is not a finite number; write a finite one, or null
    ");
}

#[test]
fn brackets_that_never_close_are_a_fault() {
    assert_snapshot!(faults("a.json", &format!("{{\"a\": {}", "[".repeat(2000))), @r"
    1:69 this list does not close
    1:70 nested deeper than 64 levels
    ");
}
