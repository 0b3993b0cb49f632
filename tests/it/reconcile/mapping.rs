//! Where the keys of a file go, as setpoint.toml declares it.

use insta::assert_snapshot;

use super::{faults, settings};
use crate::world::{World, text};

on_both![
    every_rule_is_carried_out,
    a_pattern_renames_many_keys,
    two_keys_that_are_sent_to_one_are_refused_with_their_places,
    a_key_that_is_sent_below_another_is_refused,
    a_value_that_does_not_convert_is_refused_with_its_place,
    a_value_that_would_be_rounded_is_refused,
    a_list_that_cannot_be_split_is_refused,
    every_fault_of_a_file_is_told_at_once,
    a_mapping_that_does_not_fit_leaves_the_last_import_alone,
    another_unit_is_an_update_of_the_value,
    a_key_that_is_dropped_from_now_on_is_deleted,
    an_edit_of_a_key_that_is_dropped_is_a_conflict,
    the_same_mapping_is_no_news,
];

fn declare(world: &World, rules: &str) {
    world.write("setpoint.toml", format!("[[source]]\npath = \"s.yaml\"\n{rules}"));
}

fn every_rule_is_carried_out(world: &World) {
    declare(
        world,
        r#"
        prefix = "desk"
        case = "snake"
        drop = ["debug.**"]
        rename = { forceManual = "approval.force", "hosts.*.apiUrl" = "urls.*" }
        move = { "old.section" = "new" }
        convert = { port = "integer", timeoutMs = { to = "float", unit = "ms -> s" }, cache = { unit = "MiB -> KiB" }, ok = "boolean", names = "list" }
        split = { presets = "name" }
        "#,
    );
    world.write(
        "s.yaml",
        "forceManual: true\nspringK: 2\nport: \"8080\"\ntimeoutMs: 1500\ncache: 2\nok: \"true\"\n\
         names: ann\ndebug: {level: 1, more: {x: 1}}\nold: {section: {k: 1}, other: 2}\n\
         hosts: {a: {apiUrl: x}, b: {apiUrl: y}}\n\
         presets:\n- {name: lo, maxRate: 1}\n- {name: hi, maxRate: 2}\n",
    );
    world.ok(&["migrate"]);

    assert_snapshot!(settings(world).replace(", ", "\n"), @r#"
    desk.approval.force = true
    desk.cache = 2048
    desk.names = ["ann"]
    desk.new.k = 1
    desk.ok = true
    desk.old.other = 2
    desk.port = 8080
    desk.presets.hi.max_rate = 2
    desk.presets.lo.max_rate = 1
    desk.spring_k = 2
    desk.timeout_ms = 1.5
    desk.urls.a = "x"
    desk.urls.b = "y"
    "#);
}

fn a_pattern_renames_many_keys(world: &World) {
    declare(world, "rename = { \"**.apiKey\" = \"**.key_of_api\", \"a.*\" = \"b.*\" }\n");
    world.write("s.yaml", "apiKey: env:K\na: {x: 1, y: {z: 2}}\nm: {n: {apiKey: env:L}}\n");
    world.ok(&["migrate"]);

    assert_eq!(
        settings(world),
        "a.y.z = 2, b.x = 1, key_of_api = \"env:K\", m.n.key_of_api = \"env:L\""
    );
}

fn two_keys_that_are_sent_to_one_are_refused_with_their_places(world: &World) {
    declare(world, "rename = { a = \"n\", b = \"n\" }\n");
    world.write("s.yaml", "a: 1\nb: 2\n");

    assert_snapshot!(faults(world, &["migrate"]), @r"
    1 source::mapping
    mapping::collision `a` (line 1, column 4) and `b` (line 2, column 4) both become `n`
    ");
}

fn a_key_that_is_sent_below_another_is_refused(world: &World) {
    declare(world, "rename = { b = \"a.b\" }\n");
    world.write("s.yaml", "a: 1\nb: 2\n");

    assert_snapshot!(faults(world, &["migrate"]), @r"
    1 source::mapping
    mapping::overlap `b` (line 2, column 4) becomes `a.b`, which lies below `a`, what `a` (line 1, column 4) becomes
    ");
}

fn a_value_that_does_not_convert_is_refused_with_its_place(world: &World) {
    declare(world, "convert = { port = \"integer\" }\n");
    world.write("s.yaml", "a: 1\nport: http\n");

    assert_snapshot!(faults(world, &["migrate"]), @r"
    1 source::mapping
    mapping::conversion `port` (line 2, column 7) is a string and cannot become an integer: the text is not a number as JSON writes one
    ");
}

fn a_value_that_would_be_rounded_is_refused(world: &World) {
    declare(world, "convert = { t = { to = \"integer\", unit = \"ms -> s\" } }\n");
    world.write("s.yaml", "t: 1500\n");
    let refusal = faults(world, &["migrate"]);

    assert!(refusal.contains("mapping::conversion `t` (line 1, column 4)"), "{refusal}");
}

fn a_list_that_cannot_be_split_is_refused(world: &World) {
    declare(world, "split = { p = \"name\", q = \"name\", r = \"name\" }\n");
    world.write("s.yaml", "p: [{name: a}, {name: a}]\nq: [{rate: 1}]\nr: 1\n");

    assert_snapshot!(faults(world, &["migrate"]), @r"
    1 source::mapping
    mapping::split `p` (line 1, column 4) cannot be split by `name`: items 1 and 2 have the same
    mapping::split `q` (line 2, column 4) cannot be split by `name`: item 1 has no such text or integer
    mapping::split `r` (line 3, column 4) cannot be split by `name`: it is no list
    ");
}

fn every_fault_of_a_file_is_told_at_once(world: &World) {
    declare(world, "rename = { a = \"n\", b = \"n\" }\nconvert = { c = \"integer\" }\n");
    world.write("s.yaml", "a: 1\nb: 2\nc: x\n");
    let told = faults(world, &["migrate"]);

    assert_eq!(told.lines().count(), 3, "{told}");
}

fn a_mapping_that_does_not_fit_leaves_the_last_import_alone(world: &World) {
    declare(world, "");
    world.write("s.yaml", "a: 1\nb: 2\n");
    world.ok(&["migrate"]);
    declare(world, "rename = { a = \"n\", b = \"n\" }\n");
    world.write("s.yaml", "a: 5\nb: 6\n");
    faults(world, &["migrate"]);

    assert_eq!(settings(world), "a = 1, b = 2");
}

fn another_unit_is_an_update_of_the_value(world: &World) {
    declare(world, "");
    world.write("s.yaml", "t: 1500\n");
    world.ok(&["migrate"]);
    declare(world, "convert = { t = { to = \"float\", unit = \"ms -> s\" } }\n");

    assert_snapshot!(world.ok(&["migrate", "--dry-run"]), @r"
    namespace default, layer base
      ~ t = 1500 -> 1.5
    1 updated
    ");
}

fn a_key_that_is_dropped_from_now_on_is_deleted(world: &World) {
    declare(world, "");
    world.write("s.yaml", "a: 1\nb: 2\n");
    world.ok(&["migrate"]);
    declare(world, "drop = [\"b\"]\n");
    world.ok(&["migrate"]);

    assert_eq!(settings(world), "a = 1");
}

fn an_edit_of_a_key_that_is_dropped_is_a_conflict(world: &World) {
    declare(world, "");
    world.write("s.yaml", "a: 1\nb: 2\n");
    world.ok(&["migrate"]);
    world.ok(&["set", "b", "3"]);
    declare(world, "drop = [\"b\"]\n");
    let status = world.run(&["migrate"]).status;

    assert_eq!((status, settings(world).as_str()), (2, "a = 1, b = 3"));
}

fn the_same_mapping_is_no_news(world: &World) {
    declare(world, "case = \"snake\"\nprefix = \"x\"\n");
    world.write("s.yaml", "aB: 1\n");
    world.ok(&["migrate"]);
    declare(world, "prefix = \"x\" # the same\ncase = \"snake\"\n");
    world.ok(&["migrate"]);

    assert_eq!((world.revision(), world.run(&["reseed", "--check"]).status), (1, 0));
}

#[test]
fn every_wrong_rule_is_told_at_once_with_its_place() {
    let world = World::sqlite();
    declare(
        &world,
        r#"
        case = "upper"
        prefix = "a..b"
        drop = ["x*"]
        rename = { "a.*" = "b" }
        move = { "a*" = "b" }
        convert = { a = "number", b = { unit = "ms - s" }, c = { unit = "ms -> KB" }, d = {}, e = { unit = "xx -> s" }, f = { to = "string", unit = "s -> ms" } }
        split = { "l*" = "n" }
        "#,
    );
    world.write("s.yaml", "a: 1\n");

    let problem = world.run(&["migrate", "--json"]).problem();
    let messages = problem["related"].as_array().unwrap().iter().map(|it| text(&it["message"]));
    assert_snapshot!(messages.collect::<Vec<_>>().join("\n"), @r#"
    `source s.yaml` in setpoint.toml: there is no case `upper`
    `source s.yaml` in setpoint.toml: `convert` of `a`: there is no type `number`
    `source s.yaml` in setpoint.toml: `convert` of `b`: `ms - s` is not from one unit to another
    `source s.yaml` in setpoint.toml: `convert` of `c`: `ms -> KB` goes from one quantity to another
    `source s.yaml` in setpoint.toml: `convert` of `d` says neither a type nor a unit
    `source s.yaml` in setpoint.toml: `convert` of `e`: there is no unit `xx`
    `source s.yaml` in setpoint.toml: `convert` of `f` has a unit, and `string` is no number
    `source s.yaml` in setpoint.toml: `drop` has a pattern that cannot be read: segment 1 of `x*` is not all wildcard; `*` and `**` stand for whole segments, and a star in a name needs double quotes
    `source s.yaml` in setpoint.toml: `move` has a key that cannot be read: segment 1 of `a*` has '*'; put the segment in double quotes
    `source s.yaml` in setpoint.toml: `prefix` has a key that cannot be read: segment 2 of `a..b` is empty; write "" if that is its name
    `source s.yaml` in setpoint.toml: `rename` of `a.*` to `b`: the wildcards of one are not those of the other
    `source s.yaml` in setpoint.toml: `split` has a pattern that cannot be read: segment 1 of `l*` is not all wildcard; `*` and `**` stand for whole segments, and a star in a name needs double quotes
    "#);
}

#[test]
fn a_rule_that_there_is_not_is_refused() {
    let world = World::sqlite();
    declare(&world, "renames = { a = \"b\" }\n");
    world.write("s.yaml", "a: 1\n");
    let before = world.files();
    let refusal = world.refusal(&["migrate"]);

    let place = "1 config::invalid; `source s.yaml: renames` in setpoint.toml";
    assert!(refusal.starts_with(place) && world.files() == before, "{refusal}");
}
