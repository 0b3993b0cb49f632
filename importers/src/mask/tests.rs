use std::path::Path;

use insta::assert_snapshot;

use super::*;
use crate::{looks_secret, read};

fn mask(name: &str, text: &str) -> (Document, Masked) {
    let limits = Limits::default();
    let document = read(Path::new(name), text.as_bytes(), None, &limits).unwrap();
    let masked = masked(text.as_bytes(), &limits, &document, &looks_secret);
    (document, masked)
}

/// The masked file, after all that must hold of it was checked.
fn checked(name: &str, text: &str) -> String {
    let (document, masked) = mask(name, text);
    let limits = Limits::default();
    let again = read(Path::new(name), &masked.bytes, None, &limits).unwrap();
    let shown = String::from_utf8(masked.bytes).unwrap();
    assert!(!shown.is_empty(), "{text}");
    assert!(!shown.contains("hunter"), "{text}\n{shown}");
    assert_eq!(shown.matches('\n').count(), text.matches('\n').count(), "{text}\n{shown}");
    assert_eq!(shown.matches('\r').count(), text.matches('\r').count(), "{text}\n{shown}");
    assert_eq!(again.entries.len(), document.entries.len(), "{text}\n{shown}");
    for (now, before) in again.entries.iter().zip(&document.entries) {
        assert_eq!(now.key, before.key);
        let is_hidden = masked.hidden.contains(&now.key);
        assert!(is_hidden || now.value == before.value, "{text}\n{shown}");
        assert!(is_hidden || !now.value.text().contains("hunter"), "{text}\n{shown}");
    }
    shown
}

const FILES: &[(&str, &str)] = &[
    ("a.yaml", "password: hunter2\nb: 1\n"),
    ("a.yaml", "password: 'hunter2' # why\nb: 1\n"),
    ("a.yaml", "password: \"hunter\\x32\"\nother: hunter2\n"),
    ("a.yaml", "password: |\n  hunter2\n\n    hunter2 x\nb: 1\n"),
    ("a.yaml", "password: >-  # why\n  hunter2\n  hunter2\n\n# b\nb: 1\n"),
    ("a.yaml", "password: |2+\n   hunter2\n  x\n\nb: 1\n"),
    ("a.yaml", "password: |\n  \"hunter2\"\nb: 1\n"),
    ("a.yaml", "password: \"hunter2\n  x\n\n  hunter2\"\nb: 1\n"),
    ("a.yaml", "password: 'hunter2\n  x'\nb: 1\n"),
    ("a.yaml", "password: hunter2\n  x hunter2\n\n  y\nb: 1\n"),
    ("a.yaml", "a: {password: &p hunter2}\nother: *p\n"),
    ("a.yaml", "a: {password: &hunter2 hunter2}\nother: *hunter2\n"),
    ("a.yaml", "a: &a\n  password: hunter2\n  b: 1\nb:\n  <<: *a\n  c: 2\n"),
    (
        "a.yaml",
        "users:\n  - name: x # c\n    password: hunter2\n  - {name: y, password: hunter2}\n# end\nb: 1\n",
    ),
    ("a.yaml", "users: [{name: x,\n  password: hunter2}] # c\nb: 1\n"),
    ("a.yaml", "users:\n- &u {password: hunter2}\n- *u\nlast: *u\n"),
    ("a.yaml", "x: &p hunter2\nusers:\n- password: *p\n"),
    ("a.yaml", "list: [&p hunter2, 1, x]\npassword: *p\n"),
    ("a.yaml", "password: !!int 123456\nb: 'hunter 123456'\n"),
    ("a.yaml", "password: &a !!int 123456\nb: \"hunter 123456\"\n"),
    ("a.yaml", "# hunter2 here\npassword: hunter2 # hunter2\nb: [1, # hunter2\n 2]\n"),
    ("a.yaml", "# ANTHROPIC_API_KEY=\"hunter2\"\n#password: hunter2\na: 1 # token: hunter2\n"),
    ("a.yaml", "# api_keys: [\n#   hunter2,\n# ]\na: 1\n"),
    ("a.yaml", "# private_key: |\n#   hunter2\n#   hunter2\n# b: 1\na: 1\n"),
    ("a.yaml", "url: postgres://u:hunter2@h/d\nb: hunter2\n"),
    ("a.yaml", "b: \"the \\\"hunter2\\\" one\"\npassword: \"\\\"hunter2\\\"\"\n"),
    ("a.yaml", "\u{feff}password: hunter2\r\nb: |\r\n  hunter2\r\n  y\r\n"),
    ("a.yaml", "key: |\n  -----BEGIN PRIVATE KEY-----\n  hunter2\n  -----END PRIVATE KEY-----\n"),
    ("a.yaml", "? password\n: hunter2\n? &k b\n: 1\n"),
    ("a.toml", "password = \"hunter2\" # why\nb = 1\n"),
    ("a.toml", "password = 'hunter2'\nb = \"\\u0068unter2\"\n"),
    ("a.toml", "password = \"\"\"\nhunter2\n  \"x\" hunter2 \\\n  y\"\"\"\nb = 1\n"),
    ("a.toml", "password = '''hunter2\nhunter2'''\nb = 1\n"),
    ("a.toml", "api_keys = [\n  \"hunter2\", # one hunter2\n  'hunter2',\n]\nb = 1\n"),
    (
        "a.toml",
        "[secrets]\na = \"hunter2\"\n[secrets.b]\nc = 123456\nd = 2026-05-01\ne = [2026-05-01]\n",
    ),
    ("a.toml", "a = { password = \"hunter2\", b = 1 }\n[[users]]\npassword = \"hunter2\"\n"),
    ("a.toml", "password = \"database hunter\"\n[database.a]\nx = 1\n[database.b]\nx = 2\n"),
    ("a.toml", "# password = \"\"\"\n# hunter2\n# \"\"\"\n\"a # password: x\" = 1\n"),
    (
        "a.json",
        "{\n  \"password\": \"hunter\\u0032\",\n  \"b\": \"hunter2\", \"c\": \"\\u0068unter2\"\n}\n",
    ),
    ("a.json", "{\"users\": [\n  {\"name\": \"x\", \"password\": \"hunter2\"}\n], \"b\": 1}\n"),
    ("a.json", "{\"passwords\": [123456, 1.5, \"hunter2\"], \"hunt\": \"x 123456 hunter\"}\n"),
    (
        "a.json",
        "{ // password: hunter2\n\"a\": 1, /* token: hunter2 */ \"b\": 2, /* x\n hunter2/x */\n \"password\": \"hunter2\"}\n",
    ),
    ("a.json", "{\"password\": \"a\\\\hunter2\\n\\\"b\", \"b\": \"a\\\\hunter2\\n\\\"b\"}\n"),
    ("a.env", "# PASSWORD=hunter2\nexport PASSWORD=hunter2 # hunter2\nB=1\n"),
    ("a.env", "PASSWORD=\"hunter2\nx\n\nhunter2\" # c\nB='hunter2'\n"),
    ("a.env", "PASSWORD='hunter2\r\nx'\r\nB=1\r\n"),
    (
        "a.env",
        "\u{feff}DATABASE_URL=postgres://u:hunter2@h/d\n#DATABASE_URL=postgres://u:hunter2@h/d\n",
    ),
];

#[test]
fn every_way_to_write_a_secret_is_masked() {
    for (name, text) in FILES {
        checked(name, text);
    }
}

#[test]
fn the_rest_of_a_file_stays() {
    let text = "# the desk\ndb:\n  user: app   # who\n  password: &p 'hunter2' # rotate\n\
                copies: [*p, x]\nmail: {token: hunter2, port: 25}\nnote: hunter2 was here\n\
                # old: hunter2\n# OLD_API_KEY=\"sk-1\"\nmax_tokens: 5\npin: \"42\"\nkey: env:KEY\n";
    let (_, masked) = mask("a.yaml", text);
    let hidden: Vec<&str> = masked.hidden.iter().map(Key::as_str).collect();

    assert_snapshot!(String::from_utf8(masked.bytes).unwrap(), @r#"
    # the desk
    db:
      user: app   # who
      password: &p 'masked' # xxxxxx
    copies: [*p, masked]
    mail: {token: masked, port: 25}
    note: masked
    # old: xxxxxxx
    # OLD_API_KEY="xxxx"
    max_tokens: 5
    pin: "masked"
    key: env:KEY
    "#);
    assert_eq!(hidden.join(" "), "db.password copies mail.token note pin");
}

#[test]
fn keys_that_are_spelled_like_a_secret_stay() {
    let (_, masked) = mask("a.yaml", "password: data8base\ndata8base: {a: 1}\nb: a data8base\n");

    assert_eq!(
        String::from_utf8(masked.bytes).unwrap(),
        "password: masked\ndata8base: {a: 1}\nb: masked\n"
    );
}

#[test]
fn a_file_that_cannot_be_masked_is_empty() {
    let (_, masked) = mask("a.yaml", "password: &p hunter2\n*p : 1\n");

    assert_eq!(masked.bytes, b"");
    assert_eq!(masked.hidden, [Key::parse("password").unwrap()]);
}

#[test]
fn what_an_external_importer_read_has_no_original() {
    let text = "password: hunter2\nb: hunter2\nc: 1\n";
    let document = read(Path::new("a.yaml"), text.as_bytes(), None, &Limits::default()).unwrap();
    let entries = document.entries.into_iter().map(|it| Entry { span: Span::default(), ..it });
    let document =
        Document { format: "ini".to_owned(), entries: entries.collect(), notes: Vec::new() };

    let masked = masked(text.as_bytes(), &Limits::default(), &document, &looks_secret);

    assert_eq!(masked.bytes, b"");
    assert_eq!(masked.hidden, ["password", "b"].map(|key| Key::parse(key).unwrap()));
}

#[test]
fn a_file_without_secrets_stays_as_it_is() {
    for (name, text) in [
        ("a.yaml", "a: 1 # b\nb: {c: [1, 2]}\n"),
        ("a.toml", "a = 1 # b\n"),
        ("a.json", "{\"a\": 1 /* b */}"),
        ("a.env", "A=1 # b\n"),
        ("a.yaml", ""),
    ] {
        let (_, masked) = mask(name, text);

        assert_eq!(masked, Masked { bytes: text.into(), hidden: Vec::new() });
    }
}

#[test]
fn a_common_word_that_is_a_password_hides_nothing_else() {
    let text = "user: postgres\npassword: postgres\ndriver: postgresql\nenv: production\n\
                api_key: prod\nrole: &r admin\npin: {password: admin, again: *r}\n";
    let (_, masked) = mask("a.yaml", text);
    let hidden: Vec<&str> = masked.hidden.iter().map(Key::as_str).collect();

    assert_eq!(hidden.join(" "), "password api_key pin.password");
}
