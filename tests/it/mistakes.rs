//! Slips of the hand that must not reach the data.

use serde_json::Value;

use crate::world::World;

on_both![
    a_number_beyond_64_bits_is_refused_in_sql,
    an_unknown_layer_or_namespace_is_refused_in_sql,
    an_emptied_file_deletes_only_when_it_is_meant,
    one_file_can_be_two_sources,
    a_null_and_nothing_differ_in_a_diff,
];

fn a_number_beyond_64_bits_is_refused_in_sql(world: &World) {
    world.migrate("float: 1.5\ninteger: 1\n");

    for (key, value) in [("float", "1e400"), ("integer", "99999999999999999999")] {
        let refused =
            world.try_sql(&format!("UPDATE setting SET value = '{value}' WHERE key = '{key}'"));
        assert!(refused.is_err(), "{value}");
    }
    assert_eq!(world.revision(), 1);
}

fn an_unknown_layer_or_namespace_is_refused_in_sql(world: &World) {
    world.migrate("a: 1\n");

    for place in ["'bad ns', 'base'", "'default', 'bad layer'", "'', 'base'"] {
        let sql = format!(
            "INSERT INTO setting (namespace, layer, key, value, value_type) \
             VALUES ({place}, 'z', '7', 'integer')"
        );
        assert!(world.try_sql(&sql).is_err(), "{place}");
    }
    assert_eq!(world.revision(), 1);
}

fn an_emptied_file_deletes_only_when_it_is_meant(world: &World) {
    world.migrate("a: 1\nb: 2\n");

    let refused = world.migrate_with("", &["--json"]);
    assert_eq!(refused.problem()["code"], "confirm::nobody");
    assert_eq!((world.get("a"), world.revision()), ("1".to_owned(), 1));

    world.migrate_with("", &["--yes"]);
    assert_eq!(world.ok(&["list", "--json"]).trim(), "[]");
}

fn one_file_can_be_two_sources(world: &World) {
    world.write("f.yaml", "a: 1\n");
    world.write(
        "setpoint.toml",
        "[[source]]\npath = \"f.yaml\"\nprefix = \"x\"\n\
         [[source]]\npath = \"f.yaml\"\nnamespace = \"other\"\n",
    );

    world.ok(&["migrate"]);

    assert_eq!(world.get("x.a"), "1");
    assert_eq!(world.ok(&["get", "a", "--namespace", "other"]).trim(), "1");
    world.ok(&["migrate"]);
    assert_eq!(world.revision(), 1);
}

fn a_null_and_nothing_differ_in_a_diff(world: &World) {
    world.migrate("a: 1\n");
    world.ok(&["set", "n", "null"]);

    let diff: Value = world.run(&["diff", "1", "--json"]).json();

    assert_eq!((&diff[0]["before_type"], &diff[0]["after_type"]), (&Value::Null, &"json".into()));
}

#[test]
fn a_mistyped_flag_is_no_value() {
    let world = World::sqlite();
    world.migrate("a: 1\n");

    world.run(&["set", "a", "--dry-rn"]);
    assert_eq!(world.revision(), 1);

    world.ok(&["set", "a", "-5"]);
    assert_eq!(world.get("a"), "-5");
}

#[test]
fn an_integer_beyond_64_bits_is_no_float() {
    let world = World::sqlite();
    world.migrate("a: 1\n");

    let refused = world.run(&["set", "z", "99999999999999999999", "--json"]);

    assert_eq!(refused.problem()["code"], "setting::wrong_type");
}

#[test]
fn a_database_of_a_kind_we_do_not_know_makes_no_file() {
    let world = World::sqlite();
    world.write("f.yaml", "a: 1\n");
    let before = world.files();

    for place in ["mysql://host/x", "missing/folder/x.db"] {
        let refused = world.run(&["migrate", "f.yaml", "--database", place]);
        assert_eq!(refused.status, 1, "{refused}");
    }
    assert!(world.files() == before);
}

#[test]
fn a_pipe_in_the_place_of_a_file_does_not_wait() {
    let world = World::sqlite();
    let made = std::process::Command::new("mkfifo").arg(world.path("f.yaml")).status().unwrap();
    assert!(made.success());

    let refused = world.run(&["migrate", "--dry-run", "f.yaml", "--json"]);

    assert_eq!(refused.problem()["code"], "file::unreadable");
}

#[test]
fn a_line_too_long_to_draw_is_told_by_its_place() {
    let world = World::sqlite();
    let long = format!("{{\"a\": \"{}\", \"b\": 1e999}}", "x".repeat(100_000));
    world.write("f.json", long);

    let refused = world.run(&["migrate", "f.json"]).to_string();

    assert!(refused.contains("1:100016") && refused.len() < 1_000, "{refused}");
}
