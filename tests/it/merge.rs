//! The three-way merge, driven as people drive it: files, `set` and `unset` between versions.

use std::fmt::Write as _;

use insta::assert_snapshot;

use crate::world::World;

on_both![
    every_row_of_the_table_holds,
    a_conflict_stays_open_until_someone_chooses,
    ours_settles_conflicts_for_the_live_value,
    theirs_settles_conflicts_for_the_file,
    fail_applies_nothing_if_there_is_a_conflict,
    a_map_over_an_edited_scalar_is_one_conflict,
    a_scalar_over_a_map_with_an_edit_is_one_conflict,
    theirs_over_a_map_that_was_kept_leaves_a_tree,
    theirs_over_a_scalar_that_was_put_over_a_map_leaves_a_tree,
    a_conflict_over_a_key_with_a_seed_below_stays_one,
    a_scalar_that_nobody_edited_becomes_a_map,
    a_map_that_nobody_edited_becomes_a_scalar,
    a_value_and_the_same_value_of_another_type_differ,
    a_plan_has_the_same_hash_each_time,
    a_layer_has_seeds_of_its_own,
];

/// Base, ours and theirs of a key; `.` is absent.
const TABLE: [&str; 14] = [
    "..T", ".O.", ".XX", ".OT", "BBB", "BBT", "BOB", "BXX", "BOT", "BB.", "B.B", "B.T", "BO.",
    "B..",
];

/// What becomes of a row: its class, its live value, its class in a second run, and its class
/// once the file says N.
fn every_row_of_the_table_holds(world: &World) {
    world.migrate(&file(1, |row| &row[0..1]));
    for row in TABLE {
        let (key, base, ours) = (key(row), &row[0..1], &row[1..2]);
        match ours {
            _ if ours == base => {}
            "." => drop(world.ok(&["unset", &key])),
            value => drop(world.ok(&["set", &key, value])),
        }
    }
    world.write("settings.yaml", file(2, |row| &row[2..3]));
    let first = world.classes();
    let status = world.run(&["migrate", "settings.yaml"]).status;
    let live: Vec<String> = TABLE.iter().map(|row| world.get(&key(row))).collect();
    let second = world.classes();
    world.write("settings.yaml", file(3, |_| "N"));
    let next = world.classes();

    let class = |classes: &[String], row: &str| {
        let name = format!("{}: ", key(row));
        let class = classes.iter().find_map(|it| it.strip_prefix(&name)).map(str::to_owned);
        class.unwrap_or("nothing".to_owned())
    };
    let mut table = format!("exit {status}\nB O T   first     live    second    then N\n");
    for (row, live) in TABLE.iter().zip(live) {
        let sides: Vec<&str> = row.split("").filter(|it| !it.is_empty()).collect();
        let (first, second, next) = (class(&first, row), class(&second, row), class(&next, row));
        let sides = sides.join(" ");
        writeln!(table, "{sides}   {first:8}  {live:6}  {second:8}  {next}").unwrap();
    }
    assert_snapshot!(table, @r"
    exit 2
    B O T   first     live    second    then N
    . . T   add       T       nothing   update
    . O .   keep      O       keep      conflict
    . X X   converge  X       nothing   update
    . O T   conflict  O       conflict  conflict
    B B B   nothing   B       nothing   update
    B B T   update    T       nothing   update
    B O B   keep      O       keep      conflict
    B X X   converge  X       nothing   update
    B O T   conflict  O       conflict  conflict
    B B .   delete    (none)  nothing   add
    B . B   keep      (none)  keep      conflict
    B . T   conflict  (none)  conflict  conflict
    B O .   conflict  O       conflict  conflict
    B . .   converge  (none)  nothing   add
    ");
}

/// The key that stands for a row.
fn key(row: &str) -> String {
    format!("row_{}", row.replace('.', "_"))
}

/// A file in which every row has the value that `side` picks.
fn file(version: u32, side: impl Fn(&'static str) -> &'static str) -> String {
    let mut text = format!("version: {version}\n");
    for row in TABLE.iter().filter(|row| side(row) != ".") {
        writeln!(text, "{}: {}", key(row), side(row)).unwrap();
    }
    text
}

/// One key in conflict, and one that is not.
fn in_conflict(world: &World) {
    world.migrate("edited: 1\nplain: 1\n");
    world.ok(&["set", "edited", "2"]);
    world.write("settings.yaml", "edited: 3\nplain: 3\n");
}

fn migrate(world: &World, arguments: &[&str]) -> String {
    let ran = world.run(&[&["migrate", "settings.yaml"], arguments].concat());
    let (edited, plain) = (world.get("edited"), world.get("plain"));
    format!("exit {}, edited {edited}, plain {plain}, at {}", ran.status, world.revision())
}

fn a_conflict_stays_open_until_someone_chooses(world: &World) {
    in_conflict(world);
    let first = migrate(world, &[]);
    let second = migrate(world, &[]);
    let third = migrate(world, &[]);
    let settled = migrate(world, &["--strategy", "theirs"]);
    let after = migrate(world, &[]);

    assert_snapshot!([first, second, third, settled, after].join("\n"), @r"
    exit 2, edited 2, plain 3, at 3
    exit 2, edited 2, plain 3, at 3
    exit 2, edited 2, plain 3, at 3
    exit 0, edited 3, plain 3, at 4
    exit 0, edited 3, plain 3, at 4
    ");
}

fn ours_settles_conflicts_for_the_live_value(world: &World) {
    in_conflict(world);
    let settled = migrate(world, &["--strategy", "ours"]);
    let after = migrate(world, &[]);
    world.write("settings.yaml", "edited: 4\nplain: 3\n");
    let next = migrate(world, &[]);

    assert_snapshot!([settled, after, next].join("\n"), @r"
    exit 0, edited 2, plain 3, at 3
    exit 0, edited 2, plain 3, at 3
    exit 2, edited 2, plain 3, at 4
    ");
}

fn theirs_settles_conflicts_for_the_file(world: &World) {
    in_conflict(world);
    let settled = migrate(world, &["--strategy", "theirs"]);
    world.write("settings.yaml", "edited: 4\nplain: 3\n");
    let next = migrate(world, &[]);

    assert_snapshot!([settled, next].join("\n"), @r"
    exit 0, edited 3, plain 3, at 3
    exit 0, edited 4, plain 3, at 4
    ");
}

fn fail_applies_nothing_if_there_is_a_conflict(world: &World) {
    in_conflict(world);
    let before = (world.revision(), world.file_names());

    let failed = migrate(world, &["--strategy", "fail"]);

    assert_eq!(
        (failed, world.file_names()),
        (format!("exit 1, edited 2, plain 1, at {}", before.0), before.1)
    );
}

fn a_map_over_an_edited_scalar_is_one_conflict(world: &World) {
    world.migrate("a: 1\n");
    world.ok(&["set", "a", "2"]);
    world.write("settings.yaml", "a: {b: 3, c: {d: 4}}\n");
    let shown = world.run(&["migrate", "settings.yaml"]).to_string();
    let settled = world.run(&["migrate", "settings.yaml", "--strategy", "theirs"]).status;

    let live = [world.get("a"), world.get("a.b"), world.get("a.c.d")].join(" ");
    assert_snapshot!(format!("{shown}\ntheirs {settled}: {live}"), @r#"
    status 2
    -- stdout
      ! a
          ours   2  (revision 2 by ann)
          theirs {"b":3,"c":{"d":4}}  (settings.yaml:1:8)
          base   1  (was settings.yaml:1:4)
    1 conflict
    -- stderr
    originals are in backups/pre_migration_20260501T120000.000Z
    revision 3, 0 values read back; `setpoint revert 3` undoes it
    the live values stay; settle with --strategy ours or theirs, or key by key with --resolve KEY=ours
    theirs 0: (none) 3 4
    "#);
}

fn a_scalar_over_a_map_with_an_edit_is_one_conflict(world: &World) {
    world.migrate("a: {b: 1, c: 1}\n");
    world.ok(&["set", "a.b", "2"]);
    world.write("settings.yaml", "a: 5\n");
    let shown = world.run(&["migrate", "settings.yaml"]).to_string();
    let settled = world.run(&["migrate", "settings.yaml", "--strategy", "ours"]).status;
    let after = world.run(&["migrate", "settings.yaml"]).status;

    let live = [world.get("a"), world.get("a.b"), world.get("a.c")].join(" ");
    assert_snapshot!(format!("{shown}\nours {settled}, then {after}: {live}"), @r#"
    status 2
    -- stdout
      ! a
          ours   {"b":2,"c":1}
          theirs 5  (settings.yaml:1:4)
          base   {"b":1,"c":1}
    1 conflict
    -- stderr
    originals are in backups/pre_migration_20260501T120000.000Z
    revision 3, 0 values read back; `setpoint revert 3` undoes it
    the live values stay; settle with --strategy ours or theirs, or key by key with --resolve KEY=ours
    ours 0, then 0: (none) 2 1
    "#);
}

fn theirs_over_a_map_that_was_kept_leaves_a_tree(world: &World) {
    world.migrate("other: 1\n");
    world.ok(&["set", "a.b", "1"]);
    world.migrate_with("other: 1\na: 1\n", &["--strategy", "ours"]);
    let settled = world.migrate_with("other: 1\na: 2\n", &["--strategy", "theirs"]);

    assert_eq!([world.get("a"), world.get("a.b")], ["2", "(none)"], "{settled}");
}

fn theirs_over_a_scalar_that_was_put_over_a_map_leaves_a_tree(world: &World) {
    world.migrate("a: {b: 1}\n");
    world.ok(&["unset", "a.b"]);
    world.ok(&["set", "a", "5"]);
    let settled = world.migrate_with("a: {b: 2}\n", &["--strategy", "theirs"]);

    assert_eq!([world.get("a"), world.get("a.b")], ["(none)", "2"], "{settled}");
}

fn a_conflict_over_a_key_with_a_seed_below_stays_one(world: &World) {
    world.migrate("other: 1\n");
    world.ok(&["set", "a", "1"]);
    world.migrate_with("other: 1\na: {b: 1}\n", &["--strategy", "ours"]);
    world.migrate_with("other: 1\na: 1.0\n", &[]);
    let before = world.revision();

    let again = world.run(&["migrate", "settings.yaml"]);

    assert_eq!((again.status, world.revision()), (2, before), "{again}");
}

fn a_scalar_that_nobody_edited_becomes_a_map(world: &World) {
    world.migrate("a: 1\n");
    world.migrate("a: {b: 2}\n");

    assert_eq!([world.get("a"), world.get("a.b")], ["(none)", "2"]);
}

fn a_map_that_nobody_edited_becomes_a_scalar(world: &World) {
    world.migrate("a: {b: 2, c: {d: 3}}\n");
    world.migrate("a: 1\n");

    assert_eq!([world.get("a"), world.get("a.b"), world.get("a.c.d")], ["1", "(none)", "(none)"]);
}

fn a_value_and_the_same_value_of_another_type_differ(world: &World) {
    world.migrate("a: 1\nb: 1.0\nc: yes\n");
    world.write("settings.yaml", "a: 1.0\nb: 1\nc: \"yes\"\n");

    assert_eq!(world.classes(), ["a: update", "b: update"]);
}

/// The values of a conflict over a subtree have an order, which must not be one of chance.
fn a_plan_has_the_same_hash_each_time(world: &World) {
    world.migrate("a: {b: 1, c: 1, d: 1, e: 1, f: 1}\n");
    world.ok(&["set", "a.b", "2"]);
    world.write("settings.yaml", "a: 5\n");

    let plan = || world.json(&["migrate", "settings.yaml", "--dry-run"]).to_string();

    assert_eq!(plan(), plan());
}

fn a_layer_has_seeds_of_its_own(world: &World) {
    world.write("setpoint.toml", "namespaces.default.layers = [\"site\"]\n");
    world.write("base.yaml", "a: 1\nb: 1\n");
    world.write("site.yaml", "a: 2\n");
    world.ok(&["migrate", "base.yaml"]);
    world.ok(&["migrate", "site.yaml", "--layer", "site"]);
    world.write("base.yaml", "a: 3\nb: 3\n");
    world.ok(&["migrate", "base.yaml"]);

    let base = world.ok(&["get", "a", "--layer", "base"]);
    assert_eq!((world.get("a"), world.get("b"), base.as_str()), ("2".into(), "3".into(), "3\n"));
}
