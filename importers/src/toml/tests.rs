use insta::assert_snapshot;

use crate::testing::{drawn, faults, read, settings};

#[test]
fn settings_come_in_the_order_of_the_file() {
    let text = "z = 1\n[b]\ny = 1\nx = 2\n[a]\nw.v = 3\n[b.c]\nu = {}\n";

    assert_snapshot!(settings("a.toml", text), @r"
    1:5 z = 1
    3:5 b.y = 1
    4:5 b.x = 2
    6:7 a.w.v = 3
    8:5 b.c.u = {}
    ");
}

#[test]
fn integers_of_every_base_and_floats_keep_their_type() {
    let text =
        "a = [0x1F, 0o17, 0b11, 1_000, +5, -1]\nb = 1.0\nc = 1e3\nd = 18446744073709551615\n";

    assert_snapshot!(settings("a.toml", text), @r"
    1:5 a = [31,15,3,1000,5,-1]
    2:5 b = 1.0
    3:5 c = 1000.0
    4:5 d = 18446744073709551615
    ");
}

#[test]
fn dates_are_text_with_a_format() {
    let text = "a = 2026-05-01T12:00:00Z\nb = 2026-05-01\nc = 07:32:00.5\n\
                d = [2026-05-01, 2026-06-01]\ne = 2026-05-01 12:00:00\n";

    assert_snapshot!(settings("a.toml", text), @r#"
    1:5 a = "2026-05-01T12:00:00Z" (date-time)
    2:5 b = "2026-05-01" (date)
    3:5 c = "07:32:00.5" (time)
    4:5 d = ["2026-05-01","2026-06-01"] (date)
    5:5 e = "2026-05-01T12:00:00" (date-time)
    "#);
}

#[test]
fn quoted_and_dotted_names_are_one_kind_of_key() {
    let text = "a.b = 1\n\"a.b\" = 2\n'c d'.e = 3\n";

    assert_snapshot!(settings("a.toml", text), @r#"
    1:7 a.b = 1
    2:9 "a.b" = 2
    3:11 "c d".e = 3
    "#);
}

#[test]
fn every_fault_of_a_file_is_drawn() {
    let text = "port = 08\nport = 1\nlimit = inf\nwhen = [2026-05-01, 1]\n[port]\n";

    assert_snapshot!(drawn(&read("a.toml", text).unwrap_err()), @r"
    import::faulty

      × `a.toml` has 5 faults
       ╭─[a.toml:1:8]
     1 │ port = 08
       ·        ┬
       ·        ╰── unexpected leading zero, expected nothing
     2 │ port = 1
       · ──┬─
       ·   ╰── this key is already set above; keep one of the two
     3 │ limit = inf
       ·         ─┬─
       ·          ╰── this is not a finite number; write a finite one, or null
     4 │ when = [2026-05-01, 1]
       ·         ─────┬────
       ·              ╰── a date among other values, or inside a map or list in an array; quote it to store it as text
     5 │ [port]
       ·  ──┬─
       ·    ╰── this key is already set above; keep one of the two
       ╰────
      help: nothing of this file was taken; mend it and import it again
    ");
}

#[test]
fn tables_that_nest_by_dots_inside_of_braces_do_not_overflow_the_stack() {
    let path = vec!["b"; 79].join(".");
    let text = format!("a = {}1{}\n", format!("{{{path} = ").repeat(78), "}".repeat(78));

    assert_snapshot!(faults("a.toml", &text), @"1:130 nested deeper than 64 levels");
}

#[test]
fn a_name_of_too_many_parts_is_found() {
    let text = format!("a = 1\n{} = 1\n", vec!["b"; 200].join("."));

    assert_snapshot!(faults("a.toml", &text), @"2:1 nested deeper than 64 levels");
}

#[test]
fn a_crlf_file_gives_the_same_text_as_an_lf_file() {
    let text = "a = \"\"\"\nx\ny\\r\\n\"\"\"\nb = '''\np\nq'''\n";

    assert_eq!(settings("a.toml", text), settings("a.toml", &text.replace('\n', "\r\n")));
}
