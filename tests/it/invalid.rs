//! Every file of fixtures/invalid is refused, with each fault at its place.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;

use crate::world::{World, fixture};

on_both![
    every_invalid_file_is_refused_before_there_is_a_database,
    an_invalid_file_leaves_the_database_as_it_is,
    all_invalid_files_are_told_at_once,
];

/// The files, each copied to the world.
fn copied(world: &World) -> Vec<String> {
    let files = fs::read_dir(fixture("invalid")).unwrap().map(|it| it.unwrap());
    let mut names: Vec<String> = files
        .map(|it| {
            let name = it.file_name().into_string().unwrap();
            world.write(&name, fs::read(it.path()).unwrap());
            name
        })
        .collect();
    names.sort();
    names
}

/// The places of all faults in `problem`, as `line:column`.
fn places(problem: &Value) -> String {
    let faults = problem["faults"].as_array().into_iter().flatten();
    let places = faults.map(|it| format!("{}:{}", it["line"], it["column"]));
    places.collect::<Vec<_>>().join(" ")
}

fn every_invalid_file_is_refused_before_there_is_a_database(world: &World) {
    let names = copied(world);
    let before = world.files();

    let refused = names.iter().map(|name| {
        let ran = world.run(&["migrate", name, "--json"]);
        format!("{} {name} {}", ran.status, places(&ran.problem()))
    });
    let refused = refused.collect::<Vec<_>>().join("\n");

    assert_snapshot!(format!("{refused}\nfiles as before: {}", world.files() == before), @r"
    1 alias-bomb.yaml 6:12
    1 alias-cycle.yaml 1:11
    1 bad-indent.yaml 3:6 4:5 6:4
    1 duplicate-text.yaml 2:1
    1 duplicate.env 3:1
    1 duplicate.json 2:2
    1 duplicate.toml 3:1
    1 duplicate.yaml 3:1
    1 latin1.yaml 2:7
    1 lone-surrogate.json 1:8
    1 long-key.yaml 3:5 4:1
    1 map-as-key.yaml 1:1 2:1
    1 merge-of-a-number.yaml 3:7
    1 mixed-dates.toml 1:9 1:21 2:19
    1 not-a-variable.env 1:1 2:1 3:7
    1 not-finite.json 1:7
    1 not-finite.toml 1:5 2:9 3:5 4:5
    1 not-finite.yaml 1:4 2:8 3:4 4:4
    1 not-json.json 2:8 4:8 5:8 6:3 7:9
    1 second-document.yaml 2:1
    1 tab.yaml 2:2
    1 too-big.json 1:7
    1 too-big.toml 1:5
    1 too-big.yaml 1:4 2:4
    1 too-deep.json 1:70
    1 too-deep.toml 1:68
    1 too-deep.yaml 1:67
    1 top-level-list.json 1:1
    1 top-level-list.yaml 1:1
    1 top-level-text.yaml 1:1
    1 unclosed-quote.env 1:3
    1 unclosed-quote.toml 1:7 3:4
    1 unclosed-quote.yaml 1:4
    1 unknown-alias.yaml 1:4
    1 unknown-tag.yaml 1:4 2:4 3:4
    files as before: true
    ");
}

fn an_invalid_file_leaves_the_database_as_it_is(world: &World) {
    world.migrate("a: 1\n");
    let names = copied(world);
    let before = (world.files(), world.revision());

    for name in names {
        assert_eq!(world.run(&["migrate", &name]).status, 1, "{name}");
    }

    assert!((world.files(), world.revision()) == before);
}

fn all_invalid_files_are_told_at_once(world: &World) {
    let names = copied(world);
    world.write("valid.yaml", "a: 1\n");

    let ran = world.run(&["migrate", ".", "--json"]);

    let related = ran.problem()["related"].as_array().unwrap().len();
    assert_eq!((ran.status, related, world.revision()), (1, names.len(), 0));
}

#[test]
fn a_fault_is_drawn_in_its_line() {
    let world = World::sqlite();
    copied(&world);

    let shown = ["duplicate.toml", "not-json.json", "unknown-tag.yaml", "duplicate.env"]
        .map(|name| world.run(&["migrate", name]).to_string());

    assert_snapshot!(shown.join("\n"), @r#"
    status 1
    -- stderr
    import::faulty

      × `duplicate.toml` has a fault
       ╭─[duplicate.toml:3:1]
     2 │ name = "desk"
     3 │ port = 2
       · ──┬─
       ·   ╰── this key is already set above; keep one of the two
       ╰────
      help: nothing of this file was taken; mend it and import it again
    status 1
    -- stderr
    import::faulty

      × `not-json.json` has 5 faults
       ╭─[not-json.json:2:8]
     1 │ {
     2 │   "a": "x,
       ·        ─┬─
       ·         ╰── this string does not close on its line
     3 │   "b": 1,
     4 │   "c": tru,
       ·        ─┬─
       ·         ╰── no JSON value; text needs double quotes
     5 │   "d": 0x1F,
       ·        ┬
       ·        ╰── JSON has no hexadecimal numbers; write it in decimal
     6 │   e: 1,
       ·   ┬
       ·   ╰── a key needs double quotes
     7 │   "f": 01
       ·         ▲
       ·         ╰── a comma is missing here
     8 │ }
       ╰────
      help: nothing of this file was taken; mend it and import it again
    status 1
    -- stderr
    import::faulty

      × `unknown-tag.yaml` has 3 faults
       ╭─[unknown-tag.yaml:1:4]
     1 │ a: !!binary aGk=
       ·    ────┬───
       ·        ╰── unknown tag `!!binary`; remove it to store the value as it is written
     2 │ b: !point {x: 1}
       ·    ───┬──
       ·       ╰── unknown tag `!point`; remove it to store the value as it is written
     3 │ c: !!int many
       ·    ──┬──
       ·      ╰── this value is no `!!int`
       ╰────
      help: nothing of this file was taken; mend it and import it again
    status 1
    -- stderr
    import::faulty

      × `duplicate.env` has a fault
       ╭─[duplicate.env:3:1]
     2 │ NAME=desk
     3 │ PORT=2
       · ──┬─
       ·   ╰── this key is already set on line 1; keep one of the two
       ╰────
      help: nothing of this file was taken; mend it and import it again
    "#);
}
