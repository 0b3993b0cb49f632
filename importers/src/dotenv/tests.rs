use insta::assert_snapshot;

use crate::testing::{drawn, read, settings};

#[test]
fn values_may_be_bare_single_or_double_quoted() {
    let text = "# top\r\nA=plain text # comment\r\nexport B='as $it \\n is' # x\r\n\
                C=\"tab\\t quote\\\" dollar\\$ other\\q\"\r\n  D = x#y\r\nE=\r\nF=#no\r\nG= # yes\r\n\
                a.b-c=1\r\nexport=2\r\n";

    assert_snapshot!(settings(".env", text), @r##"
    2:3 A = "plain text"
    3:10 B = "as $it \\n is"
    4:3 C = "tab\t quote\" dollar$ other\\q"
    5:7 D = "x#y"
    6:3 E = ""
    7:3 F = "#no"
    8:4 G = ""
    9:7 "a.b-c" = "1"
    10:8 export = "2"
    "##);
}

#[test]
fn a_quoted_value_may_go_over_lines() {
    assert_snapshot!(settings(".env", "A=\"one\r\ntwo\" # c\nB='x\n\ny'\nC=1"), @r#"
    1:3 A = "one\ntwo"
    3:3 B = "x\n\ny"
    6:3 C = "1"
    "#);
}

#[test]
fn variables_are_kept_and_noted_once() {
    assert_snapshot!(settings(".env", "A=$5\nB='$HOME'\nC=\"\\$HOME\"\nD=${X}\nE=$Y\n"), @r#"
    1:3 A = "$5"
    2:3 B = "$HOME"
    3:3 C = "$HOME"
    4:3 D = "${X}"
    5:3 E = "$Y"
    4:3 note: variables such as this are not replaced; the text is kept
    "#);
}

#[test]
fn every_faulty_line_is_told() {
    let text = "A=1\nB\n9=2\n=3\nC=\"x\" y\nA=4\nD='open\nE=5\n";

    assert_snapshot!(drawn(&read("x.env", text).unwrap_err()), @r#"
    import::faulty

      × `x.env` has 6 faults
       ╭─[x.env:2:1]
     1 │ A=1
     2 │ B
       · ┬
       · ╰── no `=`; a line is NAME=value
     3 │ 9=2
       · ┬
       · ╰── no name; it starts with a letter or `_`, then letters, digits and `_.-`
     4 │ =3
       · ┬
       · ╰── no name; it starts with a letter or `_`, then letters, digits and `_.-`
     5 │ C="x" y
       ·       ┬
       ·       ╰── text after the closing quote
     6 │ A=4
       · ┬
       · ╰── this key is already set on line 1; keep one of the two
     7 │ D='open
       ·   ──┬──
       ·     ╰── this quote does not close
     8 │ E=5
       ╰────
      help: nothing of this file was taken; mend it and import it again
    "#);
}
