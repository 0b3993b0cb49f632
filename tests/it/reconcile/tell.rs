//! `drift`: who differs from whom.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{drift, everything, refused};
use crate::world::World;

on_both![
    every_kind_of_drift_of_a_key_is_told,
    the_three_sides_are_told_as_json,
    files_that_cannot_be_compared_are_told_once_each,
    an_unreadable_file_says_why,
    a_declared_file_that_is_not_there_is_missing,
    what_is_in_line_is_no_drift,
    order_comments_and_formatting_never_count,
    a_value_of_another_type_is_drift,
    an_edit_in_sql_is_drift,
    telling_changes_nothing,
    one_source_is_told_alone,
    one_source_is_told_without_the_keys_of_nobody,
    an_unknown_source_is_refused,
    a_removed_key_names_the_file_that_had_it,
    a_skipped_version_is_not_quoted_as_the_file,
    layers_are_told_apart,
    a_namespace_is_told_alone_and_one_that_no_source_is_of_is_refused,
];

fn every_key(world: &World) {
    world.migrate("both: 1\ndeleted: 1\nedited: 1\nremoved: 1\nsame: 1\nupdated: 1\n");
    world.ok(&["set", "both", "2"]);
    world.ok(&["set", "edited", "2"]);
    world.ok(&["unset", "deleted"]);
    world.ok(&["set", "own.x", "hi"]);
    let changed = "both: 3\ndeleted: 1\nedited: 1\nsame: 1\nupdated: 2\nadded: [1, 2]\n";
    world.write("settings.yaml", changed);
}

fn every_kind_of_drift_of_a_key_is_told(world: &World) {
    every_key(world);

    assert_snapshot!(world.run(&["drift"]), @r#"
    status 2
    -- stdout
    namespace default, layer base
      ~ added: new in the file
          file [1,2]  (settings.yaml:6:8)
          live (none)
      ! both: both changed
          file 3  (settings.yaml:1:7)
          seed 1
          live 2
      ~ deleted: deleted here
          file 1  (settings.yaml:2:10)
          live (none)
      ~ edited: edited here
          file 1  (settings.yaml:3:9)
          live 2
      + own.x: in no file
          live "hi"
      - removed: key removed
          file (none)
          live 1
      ~ updated: update available
          file 2  (settings.yaml:5:10)
          live 1
    2 edited here, 2 updates available, 1 key removed, 1 changed on both sides, 1 unknown key
    -- stderr
    `setpoint migrate` takes what files say
    `setpoint adopt KEY` writes what is live into the file
    `setpoint reset KEY` puts it back
    `setpoint ignore KEY` leaves it alone
    "#);
}

fn the_three_sides_are_told_as_json(world: &World) {
    every_key(world);
    let mut told = world.json(&["drift"]);
    let drift = told["drift"].as_array_mut().unwrap();
    let mut both = drift.remove(1);
    both.as_object_mut().unwrap().remove("hash").unwrap();
    let sides = |it: &Value| ["key", "kind", "file", "seed", "live"].map(|name| it[name].clone());
    let others: Vec<_> = drift.iter().map(sides).collect();

    assert_eq!(
        both,
        json!({
            "namespace": "default", "layer": "base", "key": "both", "kind": "both",
            "source": "settings.yaml", "file": 3, "seed": 1, "live": 2,
            "file_type": "integer", "seed_type": "integer", "live_type": "integer",
            "origin": {"file": "settings.yaml", "line": 1, "column": 7}, "ignored": null,
        })
    );
    assert_eq!(
        json!(others),
        json!([
            ["added", "update-available", [1, 2], null, null],
            ["deleted", "edited-here", 1, 1, null],
            ["edited", "edited-here", 1, 1, 2],
            ["own.x", "unknown-key", null, null, "hi"],
            ["removed", "key-removed", null, 1, 1],
            ["updated", "update-available", 2, 1, 1],
        ])
    );
}

/// A source that is gone, one that is a folder, one that is a link to somewhere else, one that is
/// no YAML, and one that was never imported.
fn files_in_every_state(world: &World) -> tempfile::TempDir {
    let elsewhere = tempfile::TempDir::new().unwrap();
    std::fs::write(elsewhere.path().join("link.yaml"), "link: 5\n").unwrap();
    let names = ["broken", "folder", "gone", "link", "same", "unknown"];
    let declared = names.map(|it| format!("[[source]]\npath = \"{it}.yaml\"\n"));
    world.write("setpoint.toml", declared[..5].concat());
    for name in &names {
        world.write(&format!("{name}.yaml"), format!("{name}: 1\n"));
    }
    world.ok(&["migrate"]);
    world.ok(&["set", "gone", "2"]);
    world.write("setpoint.toml", declared.concat());
    for name in ["folder", "gone", "link"] {
        std::fs::remove_file(world.path(&format!("{name}.yaml"))).unwrap();
    }
    std::fs::create_dir(world.path("folder.yaml")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("link.yaml"), world.path("link.yaml"))
        .unwrap();
    world.write("broken.yaml", "broken: [\n");
    elsewhere
}

fn files_that_cannot_be_compared_are_told_once_each(world: &World) {
    let _elsewhere = files_in_every_state(world);

    let told = drift(world).replace(", ", "\n");
    assert_snapshot!(told, @r"
    broken.yaml: file-unreadable
    folder.yaml: file-unreadable
    gone.yaml: file-missing
    link.yaml: file-unreadable
    unknown.yaml: import-unknown
    gone: edited-here
    ");
}

fn an_unreadable_file_says_why(world: &World) {
    let _elsewhere = files_in_every_state(world);
    let ran = world.run(&["drift"]).to_string();

    let why = |name: &str| ran.split_once(&format!("! {name}: file unreadable")).unwrap().1;
    let why = |name: &str| why(name).split("\n  ! ").next().unwrap();
    assert!(
        why("folder.yaml").contains("directory") || why("folder.yaml").contains(" folder"),
        "{ran}"
    );
    assert!(why("link.yaml").contains("is a link"), "{ran}");
    assert!(why("broken.yaml").contains("2:1") || why("broken.yaml").contains("1:9"), "{ran}");
}

fn a_declared_file_that_is_not_there_is_missing(world: &World) {
    world.migrate("a: 1\n");
    world.write("setpoint.toml", "[[source]]\npath = \"never.yaml\"\n");

    assert_eq!(drift(world), "never.yaml: file-missing");
}

fn what_is_in_line_is_no_drift(world: &World) {
    world.migrate("a: 1\n");

    assert_snapshot!(world.run(&["drift"]), @r"
    status 0
    -- stdout
    no drift in 1 file
    ");
}

fn order_comments_and_formatting_never_count(world: &World) {
    world.migrate("a: 1\nb: {c: 2, d: [1, {x: 1, y: 2}]}\ne: \"x\"\n");
    world.write(
        "settings.yaml",
        "# hi\r\ne: x   # c\r\nb:\r\n  d:\r\n  - 1\r\n  - y: 2\r\n    x: 1\r\n  c: 2\r\na: 0x1\r\n",
    );

    assert_eq!((drift(world), world.run(&["drift"]).status), (String::new(), 0));
}

fn a_value_of_another_type_is_drift(world: &World) {
    world.migrate("a: 1\nb: [1, 2]\nc: on\n");
    world.write("settings.yaml", "a: 1.0\nb: [2, 1]\nc: true\n");

    assert_eq!(drift(world), "a: update-available, b: update-available, c: update-available");
}

fn an_edit_in_sql_is_drift(world: &World) {
    world.migrate("a: 1\nb: 1\n");
    world.sql("UPDATE setting SET value = '5' WHERE key = 'a'");
    world.sql("DELETE FROM setting WHERE key = 'b'");

    assert_eq!(drift(world), "a: edited-here, b: edited-here");
}

fn telling_changes_nothing(world: &World) {
    every_key(world);
    let before = everything(world);
    world.run(&["drift", "--all"]);

    assert!(everything(world) == before);
}

/// a.yaml with an update, b.yaml with an edit.
fn two(world: &World) {
    world.write("a.yaml", "a: 1\n");
    world.write("b.yaml", "b: 1\n");
    world.ok(&["migrate", "a.yaml", "b.yaml"]);
    world.write("a.yaml", "a: 2\n");
    world.ok(&["set", "b", "2"]);
    world.ok(&["set", "own", "1"]);
}

fn one_source_is_told_alone(world: &World) {
    two(world);
    let told = world.json(&["drift", "b.yaml"]);
    let keys: Vec<_> = told["drift"].as_array().unwrap().iter().map(|it| &it["key"]).collect();

    assert_eq!((keys, &told["files"]), (vec![&json!("b")], &json!(1)));
}

fn one_source_is_told_without_the_keys_of_nobody(world: &World) {
    two(world);
    let told = world.json(&["drift", "a.yaml"]);
    let keys: Vec<_> = told["drift"].as_array().unwrap().iter().map(|it| &it["key"]).collect();

    assert_eq!(keys, [&json!("a")]);
}

fn an_unknown_source_is_refused(world: &World) {
    two(world);

    assert_snapshot!(refused(world, &["drift", "c.yaml"]), @"1 source::unknown; there is no source c.yaml; known are: a.yaml, b.yaml");
}

fn a_removed_key_names_the_file_that_had_it(world: &World) {
    two(world);
    world.write("a.yaml", "c: 1\n");
    world.write("b.yaml", "d: 1\n");
    let told = world.json(&["drift"]);
    let of = |key: &str| {
        let drift = told["drift"].as_array().unwrap().iter();
        drift
            .clone()
            .find(|it| it["key"] == key)
            .map(|it| (it["kind"].clone(), it["source"].clone()))
    };

    assert_eq!(of("a"), Some((json!("key-removed"), json!("a.yaml"))));
    assert_eq!(of("b"), Some((json!("both"), json!("b.yaml"))));
}

fn a_skipped_version_is_not_quoted_as_the_file(world: &World) {
    world.migrate("a: 1\n");
    world.ok(&["set", "a", "2"]);
    world.write("settings.yaml", "a: 3\n");
    world.ok(&["migrate", "settings.yaml", "--skip"]);
    let told = world.run(&["drift"]).to_string();

    assert!(!told.contains("file 1"), "the file says 3\n{told}");
}

fn layers_are_told_apart(world: &World) {
    world.write("setpoint.toml", "namespaces.default.layers = [\"site\"]\n");
    world.write("base.yaml", "a: 1\n");
    world.write("site.yaml", "a: 2\n");
    world.ok(&["migrate", "base.yaml"]);
    world.ok(&["migrate", "site.yaml", "--layer", "site"]);
    world.ok(&["set", "a", "3"]);
    world.write("site.yaml", "a: 4\n");

    assert_snapshot!(world.run(&["drift"]).stdout, @r"
    namespace default, layer base
      ~ a: edited here
          file 1  (base.yaml:1:4)
          live 3
    namespace default, layer site
      ~ a: update available
          file 4  (site.yaml:1:4)
          live 2
    1 edited here, 1 update available
    ");
}

fn a_namespace_is_told_alone_and_one_that_no_source_is_of_is_refused(world: &World) {
    world.write("one.yaml", "a: 1\n");
    world.write("two.yaml", "b: 1\n");
    world.write("three.yaml", "c: 1\n");
    let source = |path: &str, name: &str| {
        format!("[[source]]\npath = '{path}.yaml'\nnamespace = '{name}'\n")
    };
    let job = "[[job]]\nname = 'watch'\ncron = '@daily'\nverb = 'drift'\n";
    let sources = source("one", "shop") + &source("two", "shop") + &source("three", "door");
    world.write("setpoint.toml", sources + job);
    world.ok(&["migrate"]);
    world.ok(&["set", "-n", "door", "c", "2"]);
    world.ok(&["ignore", "-n", "door", "c"]);
    world.ok(&["jobs", "run", "watch"]);
    let compared = |arguments: &[&str]| {
        let told = world.json(arguments);
        (told["files"].as_u64().unwrap(), told["ignored"].as_u64().unwrap())
    };

    assert_eq!((compared(&["drift"]), compared(&["drift", "report"])), ((3, 1), (3, 1)));
    for (name, counts) in [("shop", (2, 0)), ("door", (1, 1))] {
        assert_eq!(compared(&["-n", name, "drift"]), counts);
        assert_eq!(compared(&["-n", name, "drift", "report"]), counts);
        assert_eq!(compared(&["-n", name, "drift", "report", "--fresh"]), counts);
    }
    assert_snapshot!(world.run(&["-n", "shop", "drift"]).stdout, @"no drift in 2 files");
    assert_snapshot!(refused(world, &["-n", "shp", "drift"]), @"1 namespace::no_source; no source is of namespace `shp`; did you mean `shop`? Sources are of: door, shop");
    assert_snapshot!(refused(world, &["-n", "shp", "drift", "report"]), @"1 namespace::no_source; no source is of namespace `shp`; did you mean `shop`? Sources are of: door, shop");
    assert_snapshot!(refused(world, &["-n", "nowhere", "drift", "report", "--fresh"]), @"1 namespace::no_source; no source is of namespace `nowhere`; sources are of: door, shop");
}

#[test]
fn without_a_database_drift_fails() {
    let world = World::sqlite();
    world.write("settings.yaml", "a: 1\n");

    let refusal = refused(&world, &["drift"]);
    assert!(refusal.starts_with("1 database::missing"), "{refusal}");
}
