//! Documents out and in: export, and import as an edit.

use insta::assert_snapshot;

use crate::world::World;

on_both![
    export_keeps_the_order_of_the_file,
    export_of_each_format_reads_as_it_was,
    export_says_which_key_a_format_cannot_hold,
    import_reads_standard_input_as_an_edit,
    import_is_an_edit_that_no_file_overwrites,
    import_with_replace_takes_away_what_the_document_does_not_have,
    import_below_a_prefix_replaces_only_there,
    import_refuses_a_document_with_faults,
];

const FILE: &str = "\
zoo: {b: 1.0, a: \"1\"}
alpha: [1, 2.0, x]
\"dotted.name\": {}
";

fn export_keeps_the_order_of_the_file(world: &World) {
    world.migrate(FILE);
    world.ok(&["set", "zoo.own", "true"]);

    assert_snapshot!(world.ok(&["export"]), @r"
    zoo:
      b: 1.0
      a: '1'
      own: true
    alpha:
    - 1
    - 2.0
    - x
    dotted.name: {}
    ");
}

fn export_of_each_format_reads_as_it_was(world: &World) {
    world.migrate(FILE);
    let before = world.ok(&["export", "--format", "json"]);

    let again = ["yaml", "toml", "json"].map(|format| {
        let document = world.ok(&["export", "--format", format]);
        let name = format!("copy.{format}");
        world.write(&name, &document);
        world.ok(&["import", &name, "--replace", "--namespace", format]);
        world.ok(&["export", "--format", "json", "--namespace", format])
    });

    let sorted = |text: &str| {
        let mut value: serde_json::Value = serde_json::from_str(text).unwrap();
        value.sort_all_objects();
        value
    };
    assert_eq!(again.map(|it| sorted(&it)), [0; 3].map(|_| sorted(&before)));
}

fn export_says_which_key_a_format_cannot_hold(world: &World) {
    world.migrate("a: {b: null}\nbig: 18446744073709551615\n");

    let refused = [("toml", "a"), ("toml", "big"), ("env", "a")].map(|(format, prefix)| {
        world.run(&["export", "--format", format, "--prefix", prefix]).to_string()
    });

    assert_snapshot!(refused.join("\n"), @r"
    status 1
    -- stderr
    export::unwritable

      × `a.b`, which is null, cannot be written as toml
      help: export yaml or json, or another part with --prefix
    status 1
    -- stderr
    export::unwritable

      × `big`, which is beyond 64 bits with a sign, cannot be written as toml
      help: export yaml or json, or another part with --prefix
    status 1
    -- stderr
    export::unwritable

      × the key `a.b` cannot be written as env
      help: a name there is A-Z a-z 0-9 _ and no digit first; export yaml, toml or
            json, or a part with --prefix
    ");
}

fn import_reads_standard_input_as_an_edit(world: &World) {
    world.migrate("a: 1\nb: 1\n");

    let ran = world.run_with(&["import", "-", "--format", "json"], r#"{"b": 2, "c": {"d": 3}}"#);

    assert_snapshot!(ran, @r"
    status 0
    -- stdout
    namespace default, layer base
      ~ b = 1 -> 2
      + c.d = 3
    1 added, 1 updated
    -- stderr
    revision 2
    ");
}

fn import_is_an_edit_that_no_file_overwrites(world: &World) {
    world.migrate("a: 1\n");
    world.run_with(&["import", "-"], "a: 2\n");

    let status = world.migrate_with("a: 3\n", &[]).status;

    assert_eq!((status, world.get("a").as_str()), (2, "2"));
}

fn import_with_replace_takes_away_what_the_document_does_not_have(world: &World) {
    world.migrate("a: 1\nb: {c: 2, d: 3}\n");
    let ran = world.run_with(&["import", "-", "--replace"], "b: {d: 4}\ne: 5\n");

    assert_snapshot!(format!("{ran}\n{}", world.ok(&["export"])), @r"
    status 0
    -- stdout
    namespace default, layer base
      - a = 1
      - b.c = 2
      ~ b.d = 3 -> 4
      + e = 5
    1 added, 1 updated, 2 deleted
    -- stderr
    revision 2
    b:
      d: 4
    e: 5
    ");
}

fn import_below_a_prefix_replaces_only_there(world: &World) {
    world.migrate("a: 1\nb: {c: 2, d: 3}\n");
    world.run_with(&["import", "-", "--replace", "--prefix", "b"], "c: 9\n");

    assert_eq!([world.get("a"), world.get("b.c"), world.get("b.d")], ["1", "9", "(none)"]);
}

fn import_refuses_a_document_with_faults(world: &World) {
    world.migrate("a: 1\n");

    let ran = world.run_with(&["import", "-"], "a: 2\nb: .inf\nb: 3\n");

    assert_snapshot!(format!("{ran}\nat {}", world.revision()), @r"
    status 1
    -- stderr
    import::faulty

      × `standard input` has 2 faults
       ╭─[standard input:2:4]
     1 │ a: 2
     2 │ b: .inf
       ·    ──┬─
       ·      ╰── this is not a finite number; write a finite one, or null
     3 │ b: 3
       · ┬
       · ╰── this key is already set on line 2; keep one of the two
       ╰────
      help: nothing of this file was taken; mend it and import it again
    at 1
    ");
}
