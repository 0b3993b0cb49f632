//! What is refused before a format is asked, and which format is.

use std::path::Path;

use insta::assert_snapshot;

use crate::testing::{drawn, faults};
use crate::{Limits, format_of, read};

#[test]
fn the_name_of_a_file_says_its_format() {
    let names = ["a.yaml", "a.YML", "a.toml", "a.json", "a.jsonc", ".env", ".env.local"];
    let more = ["env.example", "desk.env", ".env.json", "env.yaml", "a.json5", "env", "env.d"];
    let formats: Vec<_> = names.iter().chain(&more).map(|it| format_of(Path::new(it))).collect();

    assert_snapshot!(format!("{formats:?}"), @r#"[Some("yaml"), Some("yaml"), Some("toml"), Some("json"), Some("json"), Some("env"), Some("env"), Some("env"), Some("env"), Some("json"), Some("yaml"), None, None, None]"#);
}

#[test]
fn an_unknown_format_lists_what_we_read() {
    let error = read(Path::new("a.ini"), b"", None, &Limits::default()).unwrap_err();

    assert_snapshot!(drawn(&error), @r"
    import::unknown_format

      × no importer reads `a.ini`
      help: name its format, one of yaml, toml, json, env; or put an executable
            `setpoint-import-NAME` on PATH
    ");
}

#[test]
fn a_format_that_is_given_wins_over_the_name() {
    let document = read(Path::new("a.txt"), b"a: 1", Some("yaml"), &Limits::default()).unwrap();

    assert_eq!((document.format.as_str(), document.entries.len()), ("yaml", 1));
}

#[test]
fn a_file_over_the_limit_is_not_read() {
    let limits = Limits { size_bytes: 3, ..Limits::default() };

    assert_snapshot!(drawn(&read(Path::new("a.yaml"), b"a: 1", None, &limits).unwrap_err()), @r"
    import::too_large

      × `a.yaml` has 4 bytes; the limit is 3
      help: is this a file of settings? split it if it is, or raise the limit
    ");
}

#[test]
fn bytes_that_are_not_utf8_are_shown() {
    let bytes = b"a: 1\nb: caf\xe9 \x07au lait\nc: 2\n";
    let error = read(Path::new("a.yaml"), bytes, None, &Limits::default()).unwrap_err();

    assert_snapshot!(drawn(&error), @r"
    import::not_utf8

      × `a.yaml` is not UTF-8 text
       ╭─[a.yaml:2:7]
     1 │ a: 1
     2 │ b: caf�  au lait
       ·       ┬
       ·       ╰── byte 0xe9 is not UTF-8 here
       ╰────
      help: save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8` or -f
            LATIN1
    ");
}

#[test]
fn a_file_in_utf16_is_not_utf8() {
    let error = read(Path::new("a.yaml"), b"\xff\xfea\0", None, &Limits::default()).unwrap_err();

    assert_eq!(error.faults()[0].1, "byte 0xff is not UTF-8 here");
}

#[test]
fn only_so_many_faults_are_drawn_and_all_are_listed() {
    let text: String = (0..300).map(|index| format!("a{index}: .inf\n")).collect();
    let error = crate::testing::read("a.yaml", &text).unwrap_err();
    let help = drawn(&error).lines().skip_while(|line| !line.contains("help")).collect::<String>();

    assert_eq!(faults("a.yaml", &text).lines().count(), 300);
    assert_snapshot!(help, @"  help: nothing of this file was taken; mend it and import it again (200 more        are not shown; --json lists them all)");
}
