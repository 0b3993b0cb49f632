use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::ImportError;
use crate::testing::{drawn, read};

fn concealed(text: &str) -> String {
    Concealed::new(text, &none).text
}

/// Broken files in which the value of a secret stands near the fault.
const BROKEN: &[(&str, &str)] = &[
    ("a.yaml", "a: 1\n  b: 2\npassword: hunter2\n"),
    ("a.yaml", "password: hunter2\n  b: 2\nc: 3\n"),
    ("a.yaml", "password: hunter2: x\n"),
    ("a.yaml", "password: [hunter2\nb: 1\n"),
    ("a.yaml", "password: \"hunter2\nb: 1\n"),
    ("a.yaml", "password: \"x\" hunter2\n"),
    ("a.yaml", "password: !hunter2\n"),
    ("a.yaml", "password: !hunter2 x\n"),
    ("a.yaml", "password: *hunter2\n"),
    ("a.yaml", "password: &a |\n  hunter2\nb: .inf\n"),
    ("a.yaml", "password: |\nhunter2\nb: .inf\n"),
    ("a.yaml", "password: >-\n  x\n\n  # hunter2\n  hunter2\nb: .inf\n"),
    ("a.yaml", "password:\n  hunter2\nb: .inf\n"),
    ("a.yaml", "password: x\n  hunter2\nb: .inf\n"),
    ("a.yaml", "passwords:\n- hunter2\n- x\nb: .inf\n"),
    ("a.yaml", "credentials:\n- user: hunter2\n  x: hunter2\nb: .inf\n"),
    ("a.yaml", "secrets:\n  a:\n    b: hunter2\nb: .inf\n"),
    ("a.yaml", "api:\n  url: x\n  key: hunter2\n  b: .inf\n"),
    ("a.yaml", "a: {b: 1, password: hunter2, c: .inf}\n"),
    ("a.yaml", "a: {b: 1, password: x\nhunter2, c: .inf}\n"),
    ("a.yaml", "? password\n: hunter2\nb: .inf\n"),
    ("a.yaml", "password hunter2\nb: .inf\n"),
    ("a.yaml", "- password: hunter2\n- b: .inf\n"),
    ("a.yaml", "env:\n- name: DB_PASSWORD\n  value: hunter2\nb: .inf\n"),
    ("a.yaml", "url: postgres://user:hunter2@host/db\nb: .inf\n"),
    ("a.yaml", "b: .inf # old password: hunter2\n"),
    ("a.yaml", "# API_KEY=\"hunter2\"\nb: .inf\n"),
    ("a.yaml", "# private_key: |\n#   hunter2\nb: .inf\n"),
    (
        "a.yaml",
        "a: |\n  -----BEGIN PRIVATE KEY-----\n  hunter2\n  -----END PRIVATE KEY-----\nb: .inf\n",
    ),
    ("a.yaml", "password:\n  # old_password: x\n  hunter2\nb: .inf\n"),
    ("a.yaml", "\"pass\\u0077ord\": hunter2\nb: .inf\n"),
    ("a.yaml", "password: hunter2\u{0}\nb: .inf\n"),
    ("a.toml", "password = hunter2\n"),
    ("a.toml", "password = \"hunter2\nb = 1\n"),
    ("a.toml", "password = \"\"\"\nx\nhunter2\"\"\"\nb = inf\n"),
    ("a.toml", "password = '''\nhunter2\n'''\nb = inf\n"),
    ("a.toml", "password = \"\"\"x\nhunter2\nb = inf\n"),
    ("a.toml", "b = inf\npassword = \"hunter2\"\n"),
    ("a.toml", "a = { password = \"hunter2\", b = inf }\n"),
    ("a.toml", "api_keys = [\n\"x\",\n\"hunter2\",\n]\nb = inf\n"),
    ("a.toml", "[secrets]\na = \"hunter2\"\nb = inf\n"),
    ("a.toml", "[api]\nkey = \"hunter2\"\nb = inf\n"),
    ("a.toml", "secrets.a = \"hunter2\"\nb = inf\n"),
    ("a.toml", "password \"hunter2\"\n"),
    ("a.toml", "password = 1 hunter2\n"),
    ("a.json", "{\"password\": \"hunter2\", \"b\": x}"),
    ("a.json", "{\"password\": \"\", \"token\": \"hunter2\", \"b\": x}"),
    ("a.json", "{\"b\": x, \"password\": 'hunter2'}"),
    ("a.json", "{\"password\": \"hunter2}\n"),
    ("a.json", "{\"password\": \"a\\\"hunter2\", \"b\": x}"),
    ("a.json", "{\"password\": \"a\"hunter2\", \"b\": x}"),
    ("a.json", "{\n\"password\":\n\"hunter2\",\n\"b\": x}"),
    ("a.json", "{\n\"password\"\n: \"hunter2\", \"b\": x}"),
    ("a.json", "{\"api_keys\": [\n\"hunter2\",\n\"x\"\n],\n\"b\": x}"),
    ("a.json", "{\"api\": {\"key\": \"hunter2\"}, \"b\": x}"),
    ("a.json", "{\n\"password\": \"x\" \"hunter2\",\n\"b\": 1}"),
    ("a.json", "{\"password\" \"hunter2\"}"),
    ("a.json", "{\"a\": \"{\\\"password\\\": \\\"hunter2\\\"}\", \"b\": x}"),
    ("a.json", "{\"password\": hunter2}"),
    ("a.json", "{\"b\": x, // password: hunter2\n\"c\": 1}"),
    ("a.env", "PASSWORD hunter2\n"),
    ("a.env", "export PASSWORD hunter2\n"),
    ("a.env", "PASSWORD=\"hunter2\nB=1\n"),
    ("a.env", "PASSWORD=\"x\ny\nhunter2\"\nB\n"),
    ("a.env", "PASSWORD='x' hunter2\n"),
    ("a.env", "PASSWORD=hunter2\nB\n"),
    ("a.env", "B\nPASSWORD=hunter2\n"),
    ("a.env", "PASSWORD=x\nhunter2\n"),
    ("a.env", "B\n#PASSWORD=hunter2\n"),
    ("a.env", "1PASSWORD=hunter2\n"),
    ("a.env", "B\r\nPASSWORD=hunter2\r\nC\r\n"),
    ("a.env", "\u{feff}PASSWORD=hunter2\nC\n"),
];

#[test]
fn no_secret_near_a_fault_is_shown() {
    for (name, text) in BROKEN {
        let error = read(name, text).unwrap_err();

        let ImportError::Faulty { file, .. } = &error else { panic!("{error:?}") };
        let faults = format!("{:?}", error.faults());
        for shown in [drawn(&error), format!("{error:?}"), faults, file.inner().clone()] {
            assert!(!shown.contains("hunter"), "{text}\n{shown}");
        }
    }
}

#[test]
fn what_is_no_secret_stays_visible() {
    let text = "a: 1\npassword: \"hunter2\" # why\nmax_tokens: 3\n\
                b: {token: \"hunter2\", c: d}\nsecret: env:NAME\nurl: http://u:hunter2@h/p\n\
                password: |\n  hunter2\nend: 1 # token=hunter2\n";

    assert_snapshot!(concealed(text), @r#"
    a: 1
    password: "*******" # why
    max_tokens: 3
    b: {token: "*******", c: d}
    secret: env:NAME
    url: http://u:*******@h/p
    password: *
      *******
    end: 1 # token=*******
    "#);
}

#[test]
fn messages_repeat_no_secret() {
    let concealed = Concealed::new("password: hunter2\nb: name\n", &none);

    assert_eq!(concealed.message("no name in `hunter2` or `b`"), "no name in `****` or `b`");
    assert_eq!(concealed.foreign("cannot read \"hunter2\""), "cannot read \"****\"");
    assert_eq!(concealed.foreign("line `token = abc` is wrong"), "line `token = ***` is wrong");
    assert_eq!(concealed.foreign("see http://a:b@c"), "see http://a:*@c");
}

#[test]
fn more_names_can_be_told() {
    let error = read("a.yaml", "slack: hunter2\nb: !hunter2 x\n").unwrap_err();
    let error = error.masked(&|name| name == "slack" || name == "b");

    assert_snapshot!(drawn(&error), @r"
    import::faulty

      × `a.yaml` has a fault
       ╭─[a.yaml:2:4]
     1 │ slack: *******
     2 │ b: **********
       ·    ────┬───
       ·        ╰── unknown tag `****`; remove it to store the value as it is written
       ╰────
      help: nothing of this file was taken; mend it and import it again
    ");
    assert!(!format!("{:?}", error.faults()).contains("hunter2"));
}

#[test]
fn bytes_that_are_not_utf8_show_no_secret() {
    let utf16: Vec<u8> =
        "\u{feff}password: hunter2".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let texts: [&[u8]; 3] =
        [b"password: caf\xe9 hunter2\n", b"password: hunter2\nb: \xe9\n", &utf16];
    for bytes in texts {
        let path = std::path::Path::new("a.yaml");
        let error = crate::read(path, bytes, None, &crate::Limits::default()).unwrap_err();
        let shown: String = drawn(&error).split_whitespace().collect();

        assert!(!shown.contains("hunter"), "{shown}");
        assert!(!shown.contains("hunte"), "{shown}");
    }
}

proptest! {
    #[test]
    fn no_other_byte_moves(text in "[a-z:= \"'\\[\\]{}#|\\\\\né,-]{0,80}(password|token)[a-z:= \"'\\[\\]{}#|\\\\\né,-]{0,80}") {
        let masked = concealed(&text);

        prop_assert_eq!(masked.len(), text.len());
        for (now, before) in masked.bytes().zip(text.bytes()) {
            prop_assert!(now == before || now == b'*');
        }
        prop_assert_eq!(masked.lines().count(), text.lines().count());
    }
}
