use insta::assert_snapshot;

use crate::testing::{drawn, faults, read, settings};

#[test]
fn the_core_schema_of_yaml_1_2_decides_the_types() {
    let text = "a: [~, null, True, 1, +12, 0o17, 0x1F, 1.0, 1e3, .5, -0.0, 18446744073709551615]\n\
                b: [no, 'true', \"1\", 1.2.3, 0x, 1e, e3, 0b2]\n\
                c:\n";

    assert_snapshot!(settings("a.yaml", text), @r#"
    1:4 a = [null,null,true,1,12,15,31,1.0,1000.0,0.5,-0.0,18446744073709551615]
    2:4 b = ["no","true","1","1.2.3","0x","1e","e3","0b2"]
    3:2 c = null
    2:5 note: `no` is text in YAML 1.2; write true or false for a boolean
    "#);
}

#[test]
fn what_yaml_1_1_reads_differently_is_noted() {
    let text = "a: no\nb: 017\nc: 1_000\nd: 12:30:45\ne: 0b11\nf: 'no'\non: 1\ng: [Off]\n";

    assert_snapshot!(settings("a.yaml", text), @r#"
    1:4 a = "no"
    2:4 b = 17
    3:4 c = "1_000"
    4:4 d = "12:30:45"
    5:4 e = "0b11"
    6:4 f = "no"
    7:5 on = 1
    8:4 g = ["Off"]
    1:4 note: `no` is text in YAML 1.2; write true or false for a boolean
    2:4 note: in YAML 1.2 this is a decimal integer, not octal; quote it to keep its zeros
    3:4 note: this is text in YAML 1.2; remove `_` for a number
    4:4 note: this is text in YAML 1.2, and no number to base 60
    5:4 note: this is text in YAML 1.2, which has no binary numbers
    8:5 note: `Off` is text in YAML 1.2; write true or false for a boolean
    "#);
}

#[test]
fn tags_of_the_core_schema_convert() {
    let text = "a: !!str 1\nb: !!float 1\nc: !!int '7'\nd: ! 12\ne: !!seq [1]\nf: !!map {}\n";

    assert_snapshot!(settings("a.yaml", text), @r#"
    1:10 a = "1"
    2:12 b = 1.0
    3:10 c = 7
    4:6 d = "12"
    5:10 e = [1]
    6:10 f = {}
    "#);
}

#[test]
fn own_keys_win_over_merged_ones_and_earlier_maps_over_later() {
    let text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\n\
                one: {c: 3, <<: [*x, *y]}\ntwo: {<<: {a: 5}}\nquoted: {'<<': 1}\n";

    assert_snapshot!(settings("a.yaml", text), @r#"
    1:11 x.a = 1
    1:17 x.b = 1
    2:11 y.b = 2
    2:17 y.c = 2
    3:10 one.c = 3
    1:11 one.a = 1
    1:17 one.b = 1
    4:15 two.a = 5
    5:16 quoted."<<" = 1
    "#);
}

#[test]
fn keys_that_are_no_text_become_their_text() {
    let text = "1: a\n1.0: b\ntrue: c\n~: d\n0x1F: e\n? &k f\n: g\n'a.b': {c: 1}\nr: {*k : h}\n";

    assert_snapshot!(settings("a.yaml", text), @r#"
    1:4 1 = "a"
    2:6 "1.0" = "b"
    3:7 true = "c"
    4:4 "~" = "d"
    5:7 0x1F = "e"
    7:3 f = "g"
    8:12 "a.b".c = 1
    9:10 r.f = "h"
    "#);
}

#[test]
fn a_crlf_file_gives_the_same_text_as_an_lf_file() {
    let text = "a: |\n  one\n  two\nb: \"x\n  y\"\nc: >\n  p\n  q\n";

    assert_eq!(settings("a.yaml", text), settings("a.yaml", &text.replace('\n', "\r\n")));
}

#[test]
fn a_file_without_content_has_no_settings() {
    for text in ["", "# only this\n", "---\n", "---\n...\n", "{}\n", "\u{feff}"] {
        assert_eq!(read("a.yaml", text).unwrap().entries, [], "{text:?}");
    }
}

#[test]
fn every_syntax_fault_is_told_and_none_that_only_follows() {
    let text = "a: &a\n  b: 1\n    c: 2\nd: *a\ne: [1, }\nf: .inf\n";

    assert_snapshot!(drawn(&read("a.yaml", text).unwrap_err()), @r"
    import::faulty

      × `a.yaml` has 3 faults
       ╭─[a.yaml:3:6]
     2 │   b: 1
     3 │     c: 2
       ·      ┬
       ·      ╰── no `key: value` can stand here; is it indented too far?
     4 │ d: *a
     5 │ e: [1, }
       ·    ┬
       ·    ╰── mismatched bracket '[' closed by '}'
     6 │ f: .inf
       ·    ──┬─
       ·      ╰── this is not a finite number; write a finite one, or null
       ╰────
      help: nothing of this file was taken; mend it and import it again
    ");
}

#[test]
fn an_alias_whose_anchor_could_not_be_read_is_no_fault() {
    assert_snapshot!(faults("a.yaml", "a: &a {b: }}\nc: *a\nd: {<<: *a}\n"), @"1:12 misplaced bracket");
}

#[test]
fn a_chain_of_merges_has_an_end() {
    let mut text = "m0: &m0 {a: 1}\n".to_owned();
    for index in 1..2000 {
        text += &format!("m{index}: &m{index} {{<<: *m{}}}\n", index - 1);
    }

    assert_snapshot!(faults("a.yaml", &text).lines().take(3).collect::<Vec<_>>().join("\n"), @r"
    2:10 nested deeper than 64 levels
    3:10 nested deeper than 64 levels
    4:10 nested deeper than 64 levels
    ");
}

#[test]
fn many_copies_of_a_long_text_are_a_bomb() {
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a,".repeat(1000));

    assert_snapshot!(faults("a.yaml", &text), @"2:482 aliases and merge keys make more than 250000 values");
}

#[test]
fn a_second_merge_key_is_a_fault() {
    assert_snapshot!(faults("a.yaml", "a: &a {}\nb: {<<: *a, <<: *a}\n"), @"2:13 a second merge key, after line 2; give one merge key a list");
}

#[test]
fn the_place_of_a_missing_value_is_behind_its_key() {
    assert_snapshot!(settings("a.yaml", "a:\n\nb: 1\n"), @r"
    1:2 a = null
    3:4 b = 1
    ");
}

#[test]
fn merges_of_merges_of_nothing_are_a_bomb_too() {
    let mut text = "m0: &m0 {}\n".to_owned();
    for index in 1..30 {
        let sources = format!("*m{},", index - 1).repeat(10);
        text += &format!("m{index}: &m{index} {{<<: [{sources}]}}\n");
    }

    assert_snapshot!(faults("a.yaml", &text), @"7:10 aliases and merge keys make more than 250000 values");
}

#[test]
fn a_file_that_says_it_is_yaml_1_1_is_noted() {
    assert_snapshot!(settings("a.yaml", "%YAML 1.1\n---\na: 1\n"), @r"
    3:4 a = 1
    1:1 note: read as YAML 1.2, not 1.1
    ");
}
