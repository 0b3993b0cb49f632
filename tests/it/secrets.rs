//! Secrets stay out: of the database, the logs, the plans and everything that is printed.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use serde_json::Value;

use crate::world::{World, text};

mod canaries;
mod moving;

on_both![
    a_secret_is_left_out_and_told,
    what_was_left_out_stays_out_when_the_file_changes,
    references_are_taken_as_they_are,
    a_reference_that_is_set_here_is_kept_while_the_file_holds_the_value,
];

const SETTINGS: &str = "\
port: 80
db:
  host: a.org
  password: swordfish # keep
  url: postgres://bob:trustno1@a.org/db
api_keys: [abc123, def456]
";

fn a_secret_is_left_out_and_told(world: &World) {
    let ran = world.migrate_with(SETTINGS, &[]);
    let listed = world.ok(&["list"]);

    assert_snapshot!(format!("{}\n{listed}", ran.stdout), @r#"
      * db.password: a secret, left out  (settings.yaml:4:13)
      * db.url: a secret, left out  (settings.yaml:5:8)
      * api_keys: a secret, left out  (settings.yaml:6:11)
    2 added

    KEY      VALUE    TYPE     LAYER  REVISION
    db.host  "a.org"  string   base   1
    port     80       integer  base   1
    "#);
}

#[test]
fn what_is_left_out_is_in_the_json_of_a_plan_and_of_an_import() {
    let world = World::sqlite();
    world.write("settings.yaml", SETTINGS);

    let planned = world.json(&["migrate", "settings.yaml", "--dry-run"]);
    let done = world.json(&["migrate", "settings.yaml"]);

    let told = |it: &Value| -> Vec<String> {
        let secrets = it["secrets"].as_array().unwrap().iter();
        secrets.map(|it| format!("{} {}", text(&it["key"]), it["origin"]["line"])).collect()
    };
    let expected = ["db.password 4", "db.url 5", "api_keys 6"];
    assert_eq!((told(&planned), told(&done)), (expected.map(str::to_owned).into(), told(&planned)));
}

fn what_was_left_out_stays_out_when_the_file_changes(world: &World) {
    world.migrate(SETTINGS);
    let changed =
        SETTINGS.replace("80", "81").replace("swordfish", "hunter2").replace("def", "ghi");

    let unchanged = [world.ok(&["drift"]), world.ok(&["migrate", "settings.yaml"])].concat();
    world.write("settings.yaml", &changed);
    let drift = world.run(&["drift"]);
    world.ok(&["migrate", "settings.yaml"]);
    world.write("settings.yaml", changed.replace("hunter2", "hunter3"));
    let only_secrets = [world.run(&["drift"]).stdout, world.ok(&["reseed", "--check"])].concat();
    let gone = changed.lines().take(3).collect::<Vec<_>>().join("\n");
    let last = world.migrate_with(&gone, &[]);

    assert_snapshot!([unchanged, drift.stdout, only_secrets, last.stdout].join("\n"), @r"
    no drift in 1 file
    nothing to change

    namespace default, layer base
      ~ port: update available
          file 81  (settings.yaml:1:7)
          live 80
    1 update available

    no drift in 1 file
    SOURCE         NAMESPACE  LAYER  STATE
    settings.yaml  default    base   up to date

    nothing to change
    ");
    let keys: Vec<Value> =
        world.json(&["list"]).as_array().unwrap().iter().map(|it| it["key"].clone()).collect();
    assert_eq!(keys, ["db.host", "port"]);
    assert_eq!((world.get("port"), world.run(&["verify"]).status), ("81".to_owned(), 0));
}

fn references_are_taken_as_they_are(world: &World) {
    world.migrate(
        "password: env:DB_PASSWORD\ntoken: 'file:/run/secrets/token'\napi_key: ${API_KEY}\n\
         api_keys: ['env:A', 'env:B']\nsecret: ''\npin_code: ~\nclient_secret: false\n",
    );

    assert_snapshot!(world.ok(&["export", "--format", "json"]), @r#"
    {
      "password": "env:DB_PASSWORD",
      "token": "file:/run/secrets/token",
      "api_key": "${API_KEY}",
      "api_keys": [
        "env:A",
        "env:B"
      ],
      "secret": "",
      "pin_code": null,
      "client_secret": false
    }
    "#);
    assert_eq!(world.ok(&["drift"]), "no drift in 1 file\n");
}

fn a_reference_that_is_set_here_is_kept_while_the_file_holds_the_value(world: &World) {
    world.migrate(SETTINGS);
    world.ok(&["set", "db.password", "env:DB_PASSWORD"]);
    world.migrate(&SETTINGS.replace("80", "81").replace("swordfish", "hunter2"));

    assert_eq!(
        (world.get("db.password"), world.get("port")),
        ("env:DB_PASSWORD".into(), "81".into())
    );
}

#[test]
fn a_key_that_is_said_to_be_public_is_none() {
    let world = World::sqlite();
    world.write(
        "setpoint.toml",
        "[namespaces.default]\npublic = [\"page.token\", \"api_keys\"]\n[[source]]\n\
         path = \"settings.yaml\"\npublic = [\"docs.*\"]\n",
    );
    world.migrate("page: {token: a1}\napi_keys: [b2]\ndocs: {password: c3}\nother: {token: d4}\n");
    world.ok(&["set", "page.token", "a2"]);

    assert_snapshot!(world.ok(&["list"]), @r#"
    KEY            VALUE   TYPE    LAYER  REVISION
    api_keys       ["b2"]  json    base   1
    docs.password  "c3"    string  base   1
    page.token     "a2"    string  base   2
    "#);
}

#[test]
fn what_is_said_to_be_a_secret_wins_over_what_is_said_to_be_public() {
    let world = World::sqlite();
    world.write("setpoint.toml", "[namespaces.default]\npublic = [\"a.**\"]\nsecret = [\"a.b\"]\n");
    world.migrate("a: {b: 1, password: 2}\n");

    assert_eq!((world.get("a.b"), world.get("a.password")), ("(none)".into(), "2".into()));
}

#[test]
fn the_value_of_a_secret_cannot_be_set() {
    let world = World::sqlite();
    world.migrate("port: 1\n");
    let mut refused = BTreeMap::new();
    for arguments in [
        &["set", "db.password", "swordfish"][..],
        &["set", "url", "postgres://u:trustno1@h/d"],
        &["set", "api_keys", "[\"swordfish\"]"],
        &["set", "pin_code", "1234", "--type", "integer"],
        &["set", "password", "swordfish", "--type", "boolean"],
        &["set", "password", "swordfish", "--dry-run"],
        &["set", "password", "swordfish", "--out", "plan.json"],
    ] {
        let ran = world.run(arguments);
        let said = ran.to_string();
        assert!(!said.contains("swordfish") && !said.contains("trustno1"), "{said}");
        *refused.entry((ran.status, said.lines().nth(2).unwrap().to_owned())).or_insert(0) += 1;
    }

    let said =
        refused.into_iter().map(|((status, said), count)| format!("{count} x {status} {said}"));
    assert_snapshot!(said.collect::<Vec<_>>().join("\n"), @"7 x 1 secret::value");
    assert_eq!((world.revision(), world.path("plan.json").exists()), (1, false));
}

#[test]
fn a_document_with_a_secret_is_not_set() {
    let world = World::sqlite();
    world.migrate("port: 1\n");

    let ran = world.run_with(&["import", "-"], "port: 2\ndb: {password: swordfish}\n");

    assert_snapshot!(ran, @r#"
    status 1
    -- stderr
    secret::value

      × `db.password` is a secret, whose value is not stored
      help: nothing was changed; set a reference, env:NAME or file:PATH, or say
            that it is none: [namespaces.NAME] public = ["db.password"] in
            setpoint.toml
    "#);
    assert_eq!(world.get("port"), "1");
}

#[test]
fn a_conflict_is_not_settled_with_a_secret() {
    let world = World::sqlite();
    world.migrate("url: http://a\n");
    world.ok(&["set", "url", "http://b"]);

    let ran = world.migrate_with("url: http://c\n", &["--resolve", "url=http://u:trustno1@d"]);

    let said = ran.to_string();
    assert_eq!((ran.status, world.get("url").as_str()), (1, "http://b"), "{ran}");
    assert!(said.contains("secret::value") && !said.contains("trustno1"), "{said}");
}

#[test]
fn a_setting_that_becomes_a_secret_is_told_to_be_live() {
    let world = World::sqlite();
    world.migrate("alpha: swordfish\nport: 1\n");
    world.write("setpoint.toml", "[namespaces.default]\nsecret = [\"alpha\"]\n");

    let ran = world.run(&["migrate", "settings.yaml"]);

    assert!(ran.stderr.contains("alpha"), "{ran}");
}

#[test]
fn a_value_from_before_its_key_was_a_secret_is_not_shown_in_plans() {
    let world = World::sqlite();
    world.migrate("alpha: swordfish\nport: 1\n");
    world.write("setpoint.toml", "[namespaces.default]\nsecret = [\"alpha\"]\n");

    let set = ["set", "alpha", "env:ALPHA"];
    let planned = [&set[..], &["--dry-run"]].concat();
    let shown = [
        world.run(&planned).to_string(),
        world.run(&[&planned[..], &["--json"]].concat()).to_string(),
        world.run(&set).to_string(),
        world.refusal(&["revert", "2"]),
    ];

    assert!(shown[2].contains("~ alpha = \"****\" -> \"env:ALPHA\""), "{}", shown[2]);
    assert!(shown[3].starts_with("1 secret::value; "), "{}", shown[3]);
    assert!(!shown.iter().any(|it| it.contains("swordfish")), "{shown:?}");
}

#[test]
fn a_secret_that_becomes_public_is_taken() {
    let world = World::sqlite();
    world.migrate("token: a1\nport: 1\n");
    world.write("setpoint.toml", "[namespaces.default]\npublic = [\"token\"]\n");

    world.ok(&["migrate", "settings.yaml"]);

    assert_eq!(world.get("token"), "a1");
}

#[test]
fn a_secret_in_a_file_that_follows_is_not_written_over() {
    let world = World::sqlite();
    world.write("setpoint.toml", "[[source]]\npath = \"settings.yaml\"\nwrite_back = true\n");
    world.migrate(SETTINGS);

    let ran = world.run(&["set", "db.password", "env:DB_PASSWORD"]);
    world.ok(&["set", "port", "81"]);

    assert!(
        ran.stderr.contains("does not follow `db.password`: the file holds a secret there"),
        "{ran}"
    );
    assert_eq!(world.read("settings.yaml"), SETTINGS.replace("80", "81"));
}

#[test]
fn a_secret_in_the_file_is_not_adopted_over() {
    let world = World::sqlite();
    world.migrate(SETTINGS);
    world.ok(&["set", "db.password", "env:DB_PASSWORD"]);
    world.ok(&["set", "port", "81"]);

    let refused = world.run(&["adopt", "db.password"]);
    let all = world.run(&["adopt", "--all"]);

    assert_eq!(refused.status, 1, "{refused}");
    assert_eq!(world.read("settings.yaml"), SETTINGS.replace("80", "81"), "{all}");
}

#[test]
fn a_reference_in_a_file_that_follows_is_written() {
    let world = World::sqlite();
    world.write("setpoint.toml", "[[source]]\npath = \"settings.yaml\"\nwrite_back = true\n");
    world.migrate("password: \"env:OLD\" # from the vault\n");

    world.ok(&["set", "password", "env:NEW"]);

    assert_eq!(world.read("settings.yaml"), "password: \"env:NEW\" # from the vault\n");
}

#[test]
fn a_bad_pattern_or_schema_is_named() {
    let world = World::sqlite();
    world.write("settings.yaml", "a: 1\n");
    let mut said = Vec::new();
    for (configuration, schema) in [
        ("secret = [\"a..b\"]", ""),
        ("secret = [1]", ""),
        ("schema = \"schema.json\"", "{"),
        ("schema = \"schema.json\"", "[1]"),
    ] {
        world.write("setpoint.toml", format!("[namespaces.default]\n{configuration}\n"));
        world.write("schema.json", schema);
        said.push(world.refusal(&["migrate", "settings.yaml"]));
    }

    assert_snapshot!(said.join("\n"), @r#"
    1 config::invalid; `namespaces.default.secret.0` in setpoint.toml: segment 2 of `a..b` is empty; write "" if that is its name; mend it there; nothing was done
    1 config::invalid; `namespaces.default.secret.0` in setpoint.toml: is a number, and not a text; give a text in quotes; nothing was done
    1 config::invalid; `namespaces.default.schema` in setpoint.toml: ./schema.json: is no JSON: EOF while parsing an object at line 1 column 1; give a JSON Schema; nothing was done
    1 config::invalid; `namespaces.default.schema` in setpoint.toml: ./schema.json: is no JSON Schema: it is no map; give a JSON Schema; nothing was done
    "#);
}

#[test]
fn a_schema_that_is_not_there_is_named() {
    let world = World::sqlite();
    world.write("setpoint.toml", "[namespaces.default]\nschema = \"none.json\"\n");
    world.write("settings.yaml", "a: 1\n");

    let said = world.refusal(&["migrate", "settings.yaml"]);

    assert!(said.contains("none.json") && said.contains("namespaces.default.schema"), "{said}");
}
