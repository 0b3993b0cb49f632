use insta::assert_snapshot;
use serde_json::Value;

use crate::world::{World, fixture};

on_both![
    a_dry_run_prints_the_plan,
    a_dry_run_before_there_is_a_database_creates_no_file,
    a_dry_run_leaves_an_existing_database_as_it_is,
    a_dry_run_as_json_has_the_promised_shape,
    a_dry_run_is_the_plan_that_is_applied,
    a_dry_run_exits_with_2_for_differences_if_asked_to,
];

fn a_dry_run_prints_the_plan(world: &World) {
    world.migrate("http: {port: 80, host: a.org}\nlog: info\n");
    world.ok(&["set", "http.host", "b.org"]);
    world.ok(&["set", "own", "1"]);
    world.write("settings.yaml", "http: {port: 8080, host: c.org}\nlimits: {}\n");

    assert_snapshot!(world.run(&["migrate", "settings.yaml", "--dry-run"]), @r#"
    status 0
    -- stdout
    namespace default, layer base
      ! http.host
          ours   "b.org"  (revision 2 by ann)
          theirs "c.org"  (settings.yaml:1:26)
          base   "a.org"  (was settings.yaml:1:24)
      ~ http.port = 80 -> 8080
      + limits = {}
      - log = "info"
      = own = 1 (kept)
    1 added, 1 updated, 1 deleted, 1 kept, 1 conflict
    "#);
}

fn a_dry_run_before_there_is_a_database_creates_no_file(world: &World) {
    world.write("settings.yaml", "a: 1\n");
    let before = world.files();

    let ran = world.run(&["migrate", "settings.yaml", "--dry-run"]);

    assert_eq!((ran.status, world.files()), (0, before), "{ran}");
}

fn a_dry_run_leaves_an_existing_database_as_it_is(world: &World) {
    world.migrate("a: 1\n");
    world.write("settings.yaml", "a: 2\n");
    let before = state(world);

    world.ok(&["migrate", "settings.yaml", "--dry-run"]);

    assert_eq!(state(world), before);
}

/// Bytes and times of all files, and all rows.
fn state(world: &World) -> (Vec<(String, Vec<u8>, std::time::SystemTime)>, String) {
    let files = world.files().into_iter().map(|(name, bytes)| {
        let modified = std::fs::metadata(world.path(&name)).unwrap().modified().unwrap();
        (name, bytes, modified)
    });
    let rows = match world.is_postgres() {
        true => world.sql("SELECT * FROM setting; SELECT * FROM head; SELECT * FROM source"),
        false => String::new(),
    };
    (files.collect(), rows)
}

fn a_dry_run_as_json_has_the_promised_shape(world: &World) {
    world.migrate("a: 1\nb: x\n");
    world.write("settings.yaml", "a: 1.5\nb: x\nc: [1]\n");

    let plan = world.json(&["migrate", "settings.yaml", "--dry-run"]);

    assert_snapshot!(shape(&plan), @r"
    .kind: text
    .hash: text
    .base.epoch: text
    .base.revision: number
    .actor: text
    .summary.add: number
    .summary.update: number
    .summary.delete: number
    .summary.keep: number
    .summary.converge: number
    .summary.conflict: number
    .sources[].namespace: text
    .sources[].layer: text
    .sources[].path: text
    .sources[].status: text
    .sources[].raw_hash: text
    .changes[].namespace: text
    .changes[].layer: text
    .changes[].key: text
    .changes[].class: text
    .changes[].before: number
    .changes[].after: number
    .changes[].origin.file: text
    .changes[].origin.line: number
    .changes[].origin.column: number
    .changes[].before_type: text
    .changes[].after_type: text
    .changes[].before: null
    .changes[].after[]: number
    ");
}

/// A line for each member, with the type of its value.
fn shape(value: &Value) -> String {
    fn walk(path: &str, value: &Value, lines: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    walk(&format!("{path}.{name}"), value, lines);
                }
            }
            Value::Array(items) => {
                for item in items {
                    walk(&format!("{path}[]"), item, lines);
                }
            }
            Value::String(_) => lines.push(format!("{path}: text")),
            Value::Number(_) => lines.push(format!("{path}: number")),
            other => lines.push(format!("{path}: {other}")),
        }
    }
    let mut lines = Vec::new();
    walk("", value, &mut lines);
    let mut seen = std::collections::HashSet::new();
    lines.retain(|it| seen.insert(it.clone()));
    lines.join("\n")
}

fn a_dry_run_is_the_plan_that_is_applied(world: &World) {
    let settings = fixture("visualiser/settings.yaml");
    let settings = settings.to_str().unwrap();
    let planned = world.json(&["migrate", settings, "--dry-run"]);

    let done = world.json(&["migrate", settings]);

    assert_eq!((&done["hash"], &done["summary"]), (&planned["hash"], &planned["summary"]));
}

fn a_dry_run_exits_with_2_for_differences_if_asked_to(world: &World) {
    world.write("settings.yaml", "a: 1\n");
    let dry_run = ["migrate", "settings.yaml", "--dry-run", "--exit-code"];
    let first = world.run(&dry_run).status;
    world.ok(&["migrate", "settings.yaml"]);

    assert_eq!((first, world.run(&dry_run).status), (2, 0));
}
