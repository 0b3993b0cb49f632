//! Files that follow the database: `write_back = true`.

use std::process::Command;

use insta::assert_snapshot;
use serde_json::Value;

use crate::world::{Ran, World, fed, text};

mod data;
pub mod faults;
mod file;
mod meanwhile;
mod restored;

on_both![
    a_file_follows_every_kind_of_revision,
    two_edits_at_once_are_both_in_the_file,
    the_edits_made_before_a_source_follows_are_written_by_the_next_command,
    a_file_follows_its_own_layer,
];

/// Writes `text` as `name` and imports it as a source that follows, with more lines of
/// configuration.
#[track_caller]
fn following(world: &World, name: &str, text: &str, more: &str) {
    world.write(name, text);
    let source = format!("[[source]]\npath = \"{name}\"\nwrite_back = true\n{more}");
    world.write("setpoint.toml", source);
    world.ok(&["migrate"]);
}

/// Sets everything that the YAML `document` says.
#[track_caller]
fn import(world: &World, document: &str) -> Ran {
    let ran = world.run_with(&["import", "-"], document);
    assert_eq!(ran.status, 0, "{ran}");
    ran
}

/// What `diff` says has changed in `name` since it was `before`.
fn diff(world: &World, before: &str, name: &str) -> String {
    // diff exits with 1 when there are differences.
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"diff - "$1" || [ $? -eq 1 ]"#, "sh"]).arg(world.path(name));
    fed(&mut shell, before).unwrap()
}

/// What a run says of the files that follow.
fn told(ran: &Ran) -> String {
    let lines = ran.stderr.lines().filter(|it| !it.starts_with("revision "));
    lines.collect::<Vec<_>>().join("\n")
}

/// What the database remembers of each file that follows.
fn outbox(world: &World) -> String {
    world.sql("SELECT path, revision, attempts, failure FROM outbox ORDER BY path")
}

/// What is out of line, one a line.
fn drift(world: &World) -> Vec<String> {
    let report = world.json(&["drift"]);
    let one = |it: &Value| {
        let name = it["key"].as_str().or(it["source"].as_str()).unwrap();
        let kind = text(&it["kind"]);
        match it["key"].is_null() {
            true => format!("{name}: {kind}"),
            false => {
                format!(
                    "{name}: {kind}, file {}, seed {}, live {}",
                    it["file"], it["seed"], it["live"]
                )
            }
        }
    };
    report["drift"].as_array().unwrap().iter().map(one).collect()
}

fn a_file_follows_every_kind_of_revision(world: &World) {
    world.write("other.yaml", "b: 1\n");
    let other = "[[source]]\npath = \"other.yaml\"\nprefix = \"other\"\n";
    following(world, "settings.yaml", "a: 1 # one\nm:\n  x: 1\n", other);
    let mut said = Vec::new();
    let mut then = |name: &str, arguments: &[&str]| {
        if !arguments.is_empty() {
            world.ok(arguments);
        }
        said.push(format!(
            "{name}: {}",
            world.read("settings.yaml").trim_end().replace('\n', " | ")
        ));
    };

    then("set", &["set", "a", "2"]);
    then("unset", &["unset", "m.x"]);
    import(world, "m: {v: 1, w: true}");
    then("import", &[]);
    world.ok(&["set", "a", "3", "--out", "plan.json"]);
    then("a plan", &[]);
    then("apply", &["apply", "plan.json"]);
    then("revert", &["revert", "5"]);
    world.sql("UPDATE setting SET value = '4' WHERE key = 'a'");
    then("sql", &[]);
    then("write-back", &["write-back"]);
    world.sql("UPDATE setting SET value = '5' WHERE key = 'a'");
    then("reset", &["reset", "a", "--yes"]);
    world.sql("UPDATE setting SET value = '6' WHERE key = 'a'");
    world.write("other.yaml", "b: 2\n");
    then("migrate", &["migrate", "other.yaml"]);
    then("a dry run", &["set", "a", "7", "--dry-run"]);
    then("another namespace", &["set", "a", "7", "-n", "another"]);
    said.push(world.ok(&["drift"]));

    assert_snapshot!(said.join("\n"), @r"
    set: a: 2 # one | m: |   x: 1
    unset: a: 2 # one
    import: a: 2 # one | m: |   v: 1 |   w: true
    a plan: a: 2 # one | m: |   v: 1 |   w: true
    apply: a: 3 # one | m: |   v: 1 |   w: true
    revert: a: 2 # one | m: |   v: 1 |   w: true
    sql: a: 2 # one | m: |   v: 1 |   w: true
    write-back: a: 4 # one | m: |   v: 1 |   w: true
    reset: a: 4 # one | m: |   v: 1 |   w: true
    migrate: a: 6 # one | m: |   v: 1 |   w: true
    a dry run: a: 6 # one | m: |   v: 1 |   w: true
    another namespace: a: 6 # one | m: |   v: 1 |   w: true
    no drift in 2 files
    ");
}

fn two_edits_at_once_are_both_in_the_file(world: &World) {
    let keys: Vec<String> = (0..6).map(|it| format!("key{it}")).collect();
    let text: String = keys.iter().map(|it| format!("{it}: 0\n")).collect();
    following(world, "settings.yaml", &text, "");

    let started: Vec<_> = keys.iter().map(|it| world.start(&["set", it, "1"])).collect();
    for child in started {
        let ran = world.end(child);
        assert_eq!(ran.status, 0, "{ran}");
    }

    assert_eq!(world.read("settings.yaml"), text.replace(": 0", ": 1"));
}

fn the_edits_made_before_a_source_follows_are_written_by_the_next_command(world: &World) {
    world.migrate("a: 1 # one\nb: 1\n");
    world.ok(&["set", "a", "2"]);
    world.write("setpoint.toml", "[[source]]\npath = \"settings.yaml\"\nwrite_back = true\n");

    world.ok(&["set", "b", "2"]);

    assert_eq!(world.read("settings.yaml"), "a: 2 # one\nb: 2\n");
}

fn a_file_follows_its_own_layer(world: &World) {
    world.write("production.toml", "port = 1 # one\n");
    let layers = "[[source]]\npath = \"production.toml\"\nlayer = \"production\"\n\
                  write_back = true\n[namespaces.default]\nlayers = [\"production\"]\n";
    following(world, "settings.yaml", "port: 2\n", layers);

    world.ok(&["set", "port", "3", "--layer", "production"]);
    world.ok(&["set", "host", "a", "--layer", "production"]);

    let files = [world.read("settings.yaml"), world.read("production.toml")];
    assert_eq!(files, ["port: 2\n", "port = 3 # one\nhost = \"a\"\n"]);
}

#[test]
fn yaml_keeps_its_comments_order_quotes_and_anchors() {
    let world = World::sqlite();
    let before = "\
# head
name: 'It''s'   # single
title: \"say\"    # double
plain: word
text: |
  one
  two
folded: >-
  a
  b
list: # items
  - 1   # first
  - 2
flow: {a: 1, b: [x, z]} # flow
base: &base {timeout: 5}
other:
  <<: *base
  own: 1 # own
# tail
";
    following(&world, "settings.yaml", before, "");

    import(
        &world,
        r#"{"name": "that's", "title": "a \"b\"", "plain": "yes: no", "text": "three\nfour\n",
            "folded": "c d", "list": [1, 3, 4], "flow": {"a": 2, "b": ["x"]},
            "other": {"timeout": 6, "own": 2, "more": null}, "new": {"deep": [{"k": 1}]}}"#,
    );

    assert_snapshot!(world.read("settings.yaml"), @r#"
    # head
    name: 'that''s'   # single
    title: "a \"b\""    # double
    plain: 'yes: no'
    text: |
      three
      four
    folded: >-
      c d
    list: # items
      - 1   # first
      - 3
      - 4
    flow: {a: 2, b: [x]} # flow
    base: &base {timeout: 5}
    other:
      <<: *base
      own: 2 # own
      more: null
      timeout: 6
    new:
      deep: [{k: 1}]
    # tail
    "#);
}

#[test]
fn toml_keeps_its_comments_order_and_quotes() {
    let world = World::sqlite();
    let before = "\
# head
title = 'literal' # t
port = 8_080      # grouped
rate = 1.50
when = 2024-01-01T00:00:00Z
list = [
  1, # first
  2,
]
inline = { a = 1, b = \"x\" } # inline

[db]      # section
host = \"h\"
text = \"\"\"
one
two
\"\"\"

[db.pool]
size = 5
";
    following(&world, "settings.toml", before, "");

    import(
        &world,
        r#"{"title": "it's", "port": 9090, "rate": 2.5, "list": [1, 2, 3],
            "inline": {"a": 2, "c": true}, "db": {"host": "i", "text": "three\n",
            "pool": {"size": 6, "max": 7}, "new": {"x": "y"}}}"#,
    );

    assert_snapshot!(world.read("settings.toml"), @r#"
    # head
    title = "it's" # t
    port = 9090      # grouped
    rate = 2.5
    when = 2024-01-01T00:00:00Z
    list = [
      1, # first
      2,
      3,
    ]
    inline = { a = 2, b = "x", c = true } # inline

    [db]      # section
    host = "i"
    text = """
    three
    """

    [db.pool]
    size = 6
    max = 7

    [db.new]
    x = "y"
    "#);
}

#[test]
fn json_keeps_its_comments_and_indents() {
    let world = World::sqlite();
    let before = "\
// head
{
\t\"a\": 1, // one
\t\"b\": {\"c\": \"x\", \"d\": [1, 2]}, /* b */
\t\"e\": 1.50,
\t// tail
\t\"f\": null,
}
";
    following(&world, "settings.json", before, "");

    import(
        &world,
        r#"{"a": 2, "b": {"c": "y", "d": [2], "n": {"m": 1}}, "e": 2.5, "f": "x", "g": true}"#,
    );

    assert_snapshot!(world.read("settings.json").replace('\t', "    "), @r#"
    // head
    {
        "a": 2, // one
        "b": {"c": "y", "d": [2], "n": {"m": 1}}, /* b */
        "e": 2.5,
        // tail
        "f": "x",
        "g": true,
    }
    "#);
}

#[test]
fn an_environment_file_keeps_its_comments_and_quotes() {
    let world = World::sqlite();
    let before = "\
# head
PLAIN=word # plain
SINGLE='a b'
export DOUBLE=\"a b\" # double

EMPTY=
# tail
";
    following(&world, ".env", before, "");

    import(
        &world,
        r#"{"PLAIN": "two words", "SINGLE": "it's", "DOUBLE": "$x \"q\"", "EMPTY": "1",
            "NEW": "n # m"}"#,
    );

    assert_snapshot!(world.read(".env"), @r##"
    # head
    PLAIN='two words' # plain
    SINGLE="it's"
    export DOUBLE="\$x \"q\"" # double

    EMPTY=1
    NEW='n # m'
    # tail
    "##);
}

#[test]
fn byte_order_marks_and_line_ends_stay() {
    let world = World::sqlite();
    following(&world, "settings.toml", "\u{feff}a = 1\r\nb = 'x'\r\n", "");

    import(&world, "{a: 2, c: 3}");

    assert_eq!(world.read("settings.toml"), "\u{feff}a = 2\r\nb = 'x'\r\nc = 3\r\n");
}

/// The mapping of most tests below.
const MAPPING: &str = r#"
prefix = "app"
case = "snake"
[source.rename]
fontSize = "font"
[source.move]
"net.old" = "network"
[source.convert]
timeoutMs = { to = "float", unit = "ms -> s" }
port = "integer"
[source.split]
servers = "name"
"#;

const MAPPED: &str = "\
fontSize: 3 # size
timeoutMs: 1500 # ms
port: \"80\"
net:
  old:
    hostName: a
servers:
  - name: a
    hostName: x # x
  - name: b
    hostName: z
";

#[test]
fn a_mapping_is_gone_back_through() {
    let world = World::sqlite();
    following(&world, "settings.yaml", MAPPED, MAPPING);

    import(
        &world,
        "app: {font: 4, timeout_ms: 2.5, port: 81, network: {hostName: b}, new_key: true}",
    );

    assert_snapshot!(diff(&world, MAPPED, "settings.yaml"), @r#"
    1,3c1,3
    < fontSize: 3 # size
    < timeoutMs: 1500 # ms
    < port: "80"
    ---
    > fontSize: 4 # size
    > timeoutMs: 2500 # ms
    > port: "81"
    6c6
    <     hostName: a
    ---
    >     hostName: b
    11a12
    > newKey: true
    "#);
}

#[test]
fn what_has_no_way_back_through_the_mapping_is_left_with_the_reason() {
    let world = World::sqlite();
    following(&world, "settings.yaml", MAPPED, MAPPING);

    let ran = import(&world, "app: {timeout_ms: 0.0001, font: 4, servers: {b: {host_name: q}}}");

    assert_snapshot!(told(&ran), @r"
    settings.yaml follows: 1 written
    settings.yaml does not follow `app.servers.b.host_name`: `servers.b.hostName` is part of a list that was split, and cannot be written back by its key
    settings.yaml does not follow `app.timeout_ms`: a float cannot be written back to `timeoutMs`, which is an integer there: the number is not whole
    ");
    assert_eq!(world.read("settings.yaml"), MAPPED.replace("fontSize: 3", "fontSize: 4"));
}

#[test]
fn a_removed_key_that_the_file_never_had_is_not_worth_a_word() {
    let world = World::sqlite();
    following(&world, "settings.yaml", MAPPED, MAPPING);
    world.ok(&["set", "app.servers.c.host_name", "q"]);

    let ran = world.run(&["unset", "app.servers.c.host_name"]);

    assert_eq!(told(&ran), "", "{ran}");
}

#[test]
fn a_removed_part_of_a_split_list_is_left_with_the_reason() {
    let world = World::sqlite();
    following(&world, "settings.yaml", MAPPED, MAPPING);

    let ran = world.run(&["unset", "app.servers.b.host_name"]);

    assert!(told(&ran).contains("part of a list that was split"), "{ran}");
    assert_eq!(world.read("settings.yaml"), MAPPED);
}

#[test]
fn a_new_key_goes_to_the_file_that_has_its_neighbours() {
    let world = World::sqlite();
    world.write("b.toml", "[b]\nx = 1\n");
    let other = "[[source]]\npath = \"b.toml\"\nwrite_back = true\n";
    following(&world, "a.yaml", "a:\n  x: 1\n", other);

    world.ok(&["set", "a.w", "2"]);
    world.ok(&["set", "b.y", "2"]);

    let files = [world.read("a.yaml"), world.read("b.toml")];
    assert_eq!(files, ["a:\n  x: 1\n  w: 2\n", "[b]\nx = 1\ny = 2\n"]);
}

#[test]
fn a_removed_key_that_comes_back_goes_into_the_file_it_was_in() {
    let world = World::sqlite();
    world.write("b.toml", "b = 1\n");
    let other = "[[source]]\npath = \"b.toml\"\nwrite_back = true\n";
    following(&world, "a.yaml", "a: 1\nc: 1\n", other);
    world.ok(&["unset", "a"]);

    world.ok(&["revert", "2"]);

    assert_eq!(
        (world.read("a.yaml"), world.read("b.toml")),
        ("c: 1\na: 1\n".into(), "b = 1\n".into())
    );
}

#[test]
fn a_file_that_loses_its_last_key_is_empty_and_can_be_filled_again() {
    let world = World::sqlite();
    following(&world, "settings.json", "{\"a\": {\"b\": 1}}\n", "");

    world.ok(&["unset", "a.b"]);
    let empty = world.read("settings.json");
    world.ok(&["revert", "2"]);

    assert_eq!(
        (empty.as_str(), world.read("settings.json").as_str()),
        ("{}\n", "{\"a\": {\"b\": 1}}\n")
    );
}

#[test]
fn a_key_that_becomes_a_map_becomes_one_in_the_file() {
    let world = World::sqlite();
    following(&world, "settings.yaml", "# head\na: 1 # one\nb: 2\n", "");

    world.ok(&["unset", "a"]);
    import(&world, "a: {v: 1, w: 2}");

    assert_eq!(world.read("settings.yaml"), "# head\nb: 2\na:\n  v: 1\n  w: 2\n");
}

#[test]
fn a_key_inside_an_alias_is_left_with_the_reason_and_becomes_drift() {
    let world = World::sqlite();
    let before = "m: &m {x: 1, y: 1}\nn: *m\nlast: 1\n";
    following(&world, "settings.yaml", before, "");

    let ran = import(&world, "{n: {x: 2}, last: 2}");

    assert_snapshot!(told(&ran), @r"
    settings.yaml follows: 1 written
    settings.yaml does not follow `n.x`: `n` is an alias of &m, line 1: changing it here would change it there too
    ");
    assert_eq!(world.read("settings.yaml"), before.replace("last: 1", "last: 2"));
    assert_eq!(drift(&world), ["n.x: edited-here, file 1, seed 1, live 2"]);
}

#[test]
fn an_anchored_value_is_written_only_if_nothing_else_would_change_with_it() {
    let world = World::sqlite();
    let before = "m: &m {x: 1}\nn:\n  <<: *m\nfree: &free 5\n";
    following(&world, "settings.yaml", before, "");

    let ran = import(&world, "{m: {x: 2}, free: 6}");

    assert!(told(&ran).contains("does not follow `m.x`"), "{ran}");
    assert_eq!(world.read("settings.yaml"), before.replace("free 5", "free 6"));
}

#[test]
fn a_value_that_the_format_cannot_say_is_left_with_the_reason() {
    let world = World::sqlite();
    world.write("settings.toml", "t = 1\n");
    let other = "prefix = \"env\"\n[[source]]\npath = \"settings.toml\"\nwrite_back = true\n\
                 prefix = \"toml\"\n";
    following(&world, ".env", "E=1\n", other);

    let ran = import(&world, "{env: {E: 2}, toml: {t: null}}");

    assert_snapshot!(told(&ran), @r"
    .env does not follow `env.E`: .env would not say what `env.E` is: it would come back with another type
    settings.toml does not follow `toml.t`: TOML has no null; take the key out instead
    ");
    assert_eq!(
        (world.read(".env"), world.read("settings.toml")),
        ("E=1\n".into(), "t = 1\n".into())
    );
}

#[test]
fn the_namespace_of_a_command_is_not_that_of_the_sources() {
    let world = World::sqlite();
    let other = "[[source]]\npath = \"a.yaml\"\nnamespace = \"second\"\nprefix = \"x\"\n\
                 write_back = true\n";
    following(&world, "a.yaml", "a: 1\n", other);

    let ran = world.run(&["set", "x.a", "2", "-n", "second"]);

    assert_eq!((world.read("a.yaml").as_str(), ran.status), ("a: 2\n", 0), "{ran}");
    assert_eq!(world.get("a"), "1");
}

#[test]
fn what_was_written_is_told_and_counted() {
    let world = World::sqlite();
    following(&world, "settings.yaml", "a: 1\nb: 1\n", "");
    world.sql("UPDATE setting SET value = '2'");

    assert_snapshot!(world.run(&["write-back"]), @r"
    status 0
    -- stdout
    2 settings written
    -- stderr
    settings.yaml follows: 2 written
    ");
    assert_eq!(outbox(&world), "settings.yaml|3|0|");
}

#[test]
fn what_was_written_is_told_as_json() {
    let world = World::sqlite();
    following(&world, "settings.yaml", "m: &m {x: 1}\nn: *m\n", "");
    world.sql("UPDATE setting SET value = '2' WHERE key = 'n.x'");

    assert_snapshot!(world.ok(&["write-back", "--json"]), @r#"
    [
      {
        "namespace": "default",
        "path": "settings.yaml",
        "written": [],
        "left": [
          {
            "key": "n.x",
            "reason": "`n` is an alias of &m, line 1: changing it here would change it there too"
          }
        ],
        "failure": null
      }
    ]
    "#);
}

#[test]
fn without_a_source_that_follows_nothing_is_written() {
    let world = World::sqlite();
    world.migrate("a: 1\n");
    world.ok(&["set", "a", "2"]);

    assert_eq!(world.ok(&["write-back"]), "0 settings written\n");
    assert_eq!(world.read("settings.yaml"), "a: 1\n");
}

#[test]
fn a_source_that_was_never_imported_is_left_alone() {
    let world = World::sqlite();
    following(&world, "a.yaml", "a: {x: 1}\n", "");
    world.write("b.yaml", "a: {x: 1}\n");
    let other = "[[source]]\npath = \"b.yaml\"\nnamespace = \"b\"\nwrite_back = true\n";
    world.write("setpoint.toml", world.read("setpoint.toml") + other);

    world.ok(&["set", "a.x", "2", "-n", "b"]);

    assert_eq!(world.read("b.yaml"), "a: {x: 1}\n");
}
