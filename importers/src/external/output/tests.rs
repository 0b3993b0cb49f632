use std::path::Path;

use insta::assert_snapshot;

use super::*;
use crate::ImportError;
use crate::testing::drawn;

const FILE: &str = "[a]\nb = 1\nc = 2\n";

#[test]
fn lines_become_settings_and_notes() {
    let printed = concat!(
        "{\"key\": \"a.b\", \"value\": 1.0, \"line\": 2, \"column\": 5}\r\n\n",
        "{\"key\": \"a.c\", \"value\": \"2026-05-01\", \"format\": \"date\"}\n",
        "{\"key\": \"d\", \"value\": {}}\n",
        "{\"note\": \"an old section\", \"line\": 1, \"column\": 1}\n",
    );
    let reading = reading(printed.as_bytes(), FILE, &Limits::default());

    assert_eq!(reading.faults, []);
    assert_snapshot!(format!("{:#?}", (reading.entries, reading.notes)), @r#"
    (
        [
            Entry {
                key: Key(
                    "a.b",
                ),
                value: TypedValue {
                    json: Number(1.0),
                    format: None,
                },
                place: Place {
                    line: 2,
                    column: 5,
                },
                span: Span {
                    start: 0,
                    end: 0,
                },
            },
            Entry {
                key: Key(
                    "a.c",
                ),
                value: TypedValue {
                    json: String("2026-05-01"),
                    format: Some(
                        Date,
                    ),
                },
                place: Place {
                    line: 1,
                    column: 1,
                },
                span: Span {
                    start: 0,
                    end: 0,
                },
            },
            Entry {
                key: Key(
                    "d",
                ),
                value: TypedValue {
                    json: Object {},
                    format: None,
                },
                place: Place {
                    line: 1,
                    column: 1,
                },
                span: Span {
                    start: 0,
                    end: 0,
                },
            },
        ],
        [
            Note {
                message: "an old section",
                place: Place {
                    line: 1,
                    column: 1,
                },
            },
        ],
    )
    "#);
}

#[test]
fn everything_that_cannot_be_taken_is_a_fault() {
    let printed = concat!(
        "{\"fault\": \"no such section\", \"line\": 1, \"column\": 2}\n",
        "not json\n",
        "[1]\n",
        "{\"value\": 1}\n",
        "{\"key\": \"a\"}\n",
        "{\"key\": \"a\", \"value\": 1, \"line\": 0}\n",
        "{\"key\": \"a..b\", \"value\": 1, \"line\": 2, \"column\": 1}\n",
        "{\"key\": \"m\", \"value\": {\"x\": 1}, \"line\": 2, \"column\": 2}\n",
        "{\"key\": \"n\", \"value\": 18446744073709551616, \"line\": 2, \"column\": 3}\n",
        "{\"key\": \"o\", \"value\": 1, \"format\": \"date\", \"line\": 2, \"column\": 4}\n",
        "{\"key\": \"p\", \"value\": \"x\", \"format\": \"day\", \"line\": 2, \"column\": 5}\n",
        "{\"key\": \"q\", \"value\": 1, \"line\": 3, \"column\": 1}\n",
        "{\"key\": \"q\", \"value\": 1, \"line\": 3, \"column\": 2}\n",
        "{\"key\": \"q.r\", \"value\": 1, \"line\": 3, \"column\": 3}\n",
        "\u{1}{}\n",
    );
    let reading = reading(printed.as_bytes(), FILE, &Limits::default());

    assert_snapshot!(drawn(&ImportError::faulty(Path::new("a.ini"), FILE, reading.faults)), @r#"
    import::faulty

      × `a.ini` has 14 faults
       ╭─[a.ini:1:1]
     1 │ [a]
       · ▲▲▲▲▲▲▲
       · ││││││╰── no such section
       · │││││╰── line 15 that the importer printed: no JSON value; text needs double quotes
       · ││││╰── line 6 that the importer printed: `line` is no line or column
       · │││╰── line 5 that the importer printed: a `key` without a `value`
       · ││╰── line 4 that the importer printed: no text called `key`, `fault` or `note`
       · │╰── line 3 that the importer printed: not a JSON object
       · ╰── line 2 that the importer printed: no JSON value; text needs double quotes
     2 │ b = 1
       · ▲▲▲▲▲
       · ││││╰── the `format` is none of date-time, date and time
       · │││╰── only text has a `format`
       · ││╰── this integer does not fit in 64 bits; quote it to store it as text
       · │╰── a map is no value; print a line for each key in it
       · ╰── segment 2 of `a..b` is empty; write "" if that is its name
     3 │ c = 2
       ·  ▲▲
       ·  │╰── `q.r` lies in `q`, which is a value
       ·  ╰── `q` is already set on line 3
       ╰────
      help: nothing of this file was taken; mend it and import it again
    "#);
}
