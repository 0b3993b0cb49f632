//! Editing: set and unset.

use insta::assert_snapshot;

use crate::world::World;

on_both![
    set_takes_the_type_that_is_there,
    set_refuses_a_value_of_another_type,
    set_changes_the_type_if_told_to,
    set_of_a_new_key_takes_the_type_the_value_looks_like,
    set_of_a_deleted_key_takes_the_type_of_the_file,
    set_reads_the_value_from_standard_input,
    set_of_the_same_value_makes_no_revision,
    set_says_what_it_did_and_why_in_the_history,
    set_refuses_what_would_be_no_tree,
    set_refuses_a_map_and_a_key_that_is_none,
    set_shows_what_it_would_do,
    unset_takes_a_key_away,
    unset_recursive_takes_all_below_a_key_away,
    unset_of_an_unknown_key_fails,
];

const FILE: &str = "\
integer: 1
float: 1.0
string: x
boolean: true
list: [1]
nothing: null
";

fn typed(world: &World, key: &str) -> String {
    let setting = world.json(&["get", key]);
    format!("{} {}", setting["type"].as_str().unwrap_or("(none)"), setting["value"])
}

fn set_takes_the_type_that_is_there(world: &World) {
    world.migrate(FILE);
    let edits = [
        ("integer", "-5"),
        ("float", "2"),
        ("string", "007"),
        ("boolean", "false"),
        ("list", "[1.0, {\"a\": null}]"),
        ("nothing", "{}"),
    ];

    let typed = edits.map(|(key, value)| {
        world.ok(&["set", key, value]);
        typed(world, key)
    });

    assert_snapshot!(typed.join("\n"), @r#"
    integer -5
    float 2.0
    string "007"
    boolean false
    json [1.0,{"a":null}]
    json {}
    "#);
}

fn set_refuses_a_value_of_another_type(world: &World) {
    world.migrate(FILE);
    let refused = [
        ("integer", "1.5"),
        ("integer", "many"),
        ("integer", "18446744073709551616"),
        ("float", "inf"),
        ("boolean", "yes"),
        ("list", "[1"),
    ];

    let codes = refused.map(|(key, value)| {
        let ran = world.run(&["set", key, value, "--json"]);
        format!("{} {} {}", ran.status, ran.problem()["code"], ran.problem()["message"])
    });

    assert_snapshot!(format!("{}\nat {}", codes.join("\n"), world.revision()), @r#"
    1 "setting::wrong_type" "`1.5` is no integer within 64 bits, which `integer` holds"
    1 "setting::wrong_type" "`many` is no integer within 64 bits, which `integer` holds"
    1 "setting::wrong_type" "`18446744073709551616` is no integer within 64 bits, which `integer` holds"
    1 "setting::wrong_type" "`inf` is no finite float, which `float` holds"
    1 "setting::wrong_type" "`yes` is no boolean (true or false), which `boolean` holds"
    1 "setting::wrong_type" "`[1` is no JSON, which `list` holds"
    at 1
    "#);
}

fn set_changes_the_type_if_told_to(world: &World) {
    world.migrate(FILE);
    let edits = [
        ("integer", "1", "float"),
        ("string", "1", "integer"),
        ("float", "1", "string"),
        ("boolean", "null", "json"),
        ("list", "true", "boolean"),
    ];

    let typed = edits.map(|(key, value, value_type)| {
        world.ok(&["set", key, value, "--type", value_type]);
        typed(world, key)
    });

    assert_snapshot!(typed.join("\n"), @r#"
    float 1.0
    integer 1
    string "1"
    json null
    boolean true
    "#);
}

fn set_of_a_new_key_takes_the_type_the_value_looks_like(world: &World) {
    world.migrate("a: 1\n");
    let values = ["true", "5", "0.5", "1e3", "null", "[1, 2]", "{}", "\"5\"", "plain", "", "01"];

    let typed = values.map(|value| {
        world.ok(&["set", "new", value]);
        let typed = typed(world, "new");
        world.ok(&["unset", "new"]);
        typed
    });

    assert_snapshot!(typed.join("\n"), @r#"
    boolean true
    integer 5
    float 0.5
    float 1000.0
    json null
    json [1,2]
    json {}
    string "\"5\""
    string "plain"
    string ""
    string "01"
    "#);
}

fn set_of_a_deleted_key_takes_the_type_of_the_file(world: &World) {
    world.migrate(FILE);
    world.ok(&["unset", "float"]);
    world.ok(&["set", "float", "3"]);

    assert_eq!(typed(world, "float"), "float 3.0");
}

fn set_reads_the_value_from_standard_input(world: &World) {
    world.migrate(FILE);
    let ran = world.run_with(&["set", "string"], "two\nlines\n");

    assert_eq!((ran.status, world.get("string").as_str()), (0, "two\nlines"), "{ran}");
}

fn set_of_the_same_value_makes_no_revision(world: &World) {
    world.migrate(FILE);
    world.ok(&["set", "integer", "1"]);

    assert_eq!(world.revision(), 1);
}

fn set_says_what_it_did_and_why_in_the_history(world: &World) {
    world.migrate(FILE);
    let ran = world.run(&["set", "integer", "2", "-m", "more room"]);

    assert_snapshot!(format!("{ran}\n{}", world.run(&["history", "integer"])), @r"
    status 0
    -- stdout
    namespace default, layer base
      ~ integer = 1 -> 2
    1 updated
    -- stderr
    revision 2
    status 0
    -- stdout
    REVISION  AT                        ACTOR  KEY      BEFORE  AFTER
    2         2026-05-01T12:00:00.000Z  ann    integer  1       2
    1         2026-05-01T12:00:00.000Z  ann    integer  (none)  1
    ");
}

fn set_refuses_what_would_be_no_tree(world: &World) {
    world.migrate("a: {b: 1}\n");

    let codes = ["a", "a.b.c"].map(|key| {
        let ran = world.run(&["set", key, "1", "--json"]);
        format!("{} {} {}", ran.status, ran.problem()["code"], ran.problem()["message"])
    });

    assert_snapshot!(codes.join("\n"), @r#"
    1 "setting::not_a_tree" "`a` and `a.b` cannot both be settings of layer `base`: a layer is a tree"
    1 "setting::not_a_tree" "`a.b` and `a.b.c` cannot both be settings of layer `base`: a layer is a tree"
    "#);
}

fn set_refuses_a_map_and_a_key_that_is_none(world: &World) {
    world.migrate(FILE);

    let codes =
        [("list", "{\"a\": 1}"), ("a..b", "1"), ("a b", "1"), ("", "1")].map(|(key, value)| {
            let ran = world.run(&["set", key, value, "--json"]);
            format!("{} {} {}", ran.status, ran.problem()["code"], ran.problem()["message"])
        });

    assert_snapshot!(codes.join("\n"), @r#"
    1 "setting::map" "a map cannot be the value of `list`"
    1 "setting::bad_key" "`a..b` is no key: segment 2 of `a..b` is empty; write \"\" if that is its name"
    1 "setting::bad_key" "`a b` is no key: segment 1 of `a b` has ' '; put the segment in double quotes"
    1 "setting::bad_key" "`` is no key: a key needs at least one segment"
    "#);
}

fn set_shows_what_it_would_do(world: &World) {
    world.migrate(FILE);

    let ran = world.run(&["set", "integer", "2", "--dry-run", "--exit-code"]);

    assert_snapshot!(format!("{ran}\nat {}", world.revision()), @r"
    status 2
    -- stdout
    namespace default, layer base
      ~ integer = 1 -> 2
    1 updated
    at 1
    ");
}

fn unset_takes_a_key_away(world: &World) {
    world.migrate(FILE);
    world.ok(&["unset", "integer"]);

    assert_eq!((world.get("integer").as_str(), world.revision()), ("(none)", 2));
}

fn unset_recursive_takes_all_below_a_key_away(world: &World) {
    world.migrate("a: {b: 1, c: {d: 2}}\nab: 3\n");
    let alone = world.run(&["unset", "a"]).status;
    world.ok(&["unset", "a", "--recursive"]);

    let left = world.json(&["list"]).as_array().unwrap().len();
    assert_eq!((alone, left, world.get("ab").as_str(), world.revision()), (1, 1, "3", 2));
}

fn unset_of_an_unknown_key_fails(world: &World) {
    world.migrate("a: {b: 1}\n");

    let ran = ["none", "a"].map(|key| world.run(&["unset", key]).to_string());

    assert_snapshot!(ran.join("\n"), @r"
    status 1
    -- stderr
    setting::unknown

      × there is no setting `none` in namespace `default`
      help: `setpoint list` shows every key
    status 1
    -- stderr
    setting::unknown

      × there is no setting `a` in namespace `default`
      help: `setpoint list --prefix` shows what is below it; --recursive takes
            that away
    ");
}
