//! Looking back and going back: history, diff, revert, export --at.

use insta::assert_snapshot;

use crate::world::World;

on_both![
    history_lists_revisions,
    history_of_a_key_lists_what_happened_to_it_and_below,
    diff_shows_what_differs_and_exits_with_2,
    diff_backwards_is_the_way_back,
    diff_of_equal_revisions_is_empty,
    diff_leaves_out_what_came_back,
    diff_refuses_an_unknown_revision,
    revert_takes_back_what_a_revision_did,
    revert_to_takes_back_everything_since,
    revert_of_a_key_takes_back_only_what_is_below_it,
    revert_of_a_key_that_changed_since_is_a_conflict,
    revert_of_an_import_leaves_the_edits,
    revert_of_a_revert_is_the_first_again,
    export_at_a_revision_prints_the_document_of_then,
];

/// Revision 1: a file. 2: an edit. 3: the next file. 4: a key goes.
fn past(world: &World) {
    world.migrate("a: 1\nb: {c: x, d: true}\n");
    world.ok(&["set", "b.c", "y", "-m", "try"]);
    world.migrate("a: 1.5\nb: {c: x, d: true}\ne: [1]\n");
    world.ok(&["unset", "b.d"]);
}

fn document(world: &World) -> String {
    world.ok(&["export", "--format", "json"])
}

fn history_lists_revisions(world: &World) {
    past(world);

    assert_snapshot!(world.run(&["history"]), @r"
    status 0
    -- stdout
    REVISION  AT                        ACTOR  CHANNEL  KIND    CHANGES  REASON
    4         2026-05-01T12:00:00.000Z  ann    cli      edit    1
    3         2026-05-01T12:00:00.000Z  ann    cli      import  2
    2         2026-05-01T12:00:00.000Z  ann    cli      edit    1        try
    1         2026-05-01T12:00:00.000Z  ann    cli      import  3
    ");
}

fn history_of_a_key_lists_what_happened_to_it_and_below(world: &World) {
    past(world);

    assert_snapshot!(world.run(&["history", "b"]), @r#"
    status 0
    -- stdout
    REVISION  AT                        ACTOR  KEY  BEFORE  AFTER
    4         2026-05-01T12:00:00.000Z  ann    b.d  true    (none)
    2         2026-05-01T12:00:00.000Z  ann    b.c  "x"     "y"
    1         2026-05-01T12:00:00.000Z  ann    b.c  (none)  "x"
    1         2026-05-01T12:00:00.000Z  ann    b.d  (none)  true
    "#);
}

fn diff_shows_what_differs_and_exits_with_2(world: &World) {
    past(world);

    assert_snapshot!(world.run(&["diff", "1"]), @r#"
    status 2
    -- stdout
    default/base ~ a = 1 -> 1.5
    default/base ~ b.c = "x" -> "y"
    default/base - b.d = true
    default/base + e = [1]
    "#);
}

fn diff_backwards_is_the_way_back(world: &World) {
    past(world);

    assert_snapshot!(world.run(&["diff", "4", "1"]), @r#"
    status 2
    -- stdout
    default/base ~ a = 1.5 -> 1
    default/base ~ b.c = "y" -> "x"
    default/base + b.d = true
    default/base - e = [1]
    "#);
}

fn diff_of_equal_revisions_is_empty(world: &World) {
    past(world);

    assert_snapshot!(world.run(&["diff", "2", "2"]), @"status 0");
}

fn diff_leaves_out_what_came_back(world: &World) {
    past(world);
    world.ok(&["set", "b.c", "x"]);

    let differences = world.json(&["diff", "1", "5"]);

    let keys = differences.as_array().unwrap().iter().map(|it| it["key"].as_str().unwrap());
    assert_eq!(keys.collect::<Vec<_>>(), ["a", "b.d", "e"]);
}

fn diff_refuses_an_unknown_revision(world: &World) {
    past(world);

    assert_snapshot!(world.run(&["diff", "3", "9"]), @r"
    status 1
    -- stderr
    revision::unknown

      × there is no revision 9; the newest is 4
      help: `setpoint history` lists them
    ");
}

fn revert_takes_back_what_a_revision_did(world: &World) {
    past(world);
    world.ok(&["revert", "4"]);

    assert_eq!((world.get("b.d").as_str(), world.get("b.c").as_str()), ("true", "y"));
}

fn revert_to_takes_back_everything_since(world: &World) {
    past(world);
    let then = world.ok(&["export", "--format", "json", "--at", "1"]);
    world.ok(&["revert", "--to", "1"]);

    assert_eq!((document(world), world.revision()), (then, 5));
}

fn revert_of_a_key_takes_back_only_what_is_below_it(world: &World) {
    past(world);
    world.ok(&["revert", "--to", "1", "--key", "b"]);

    let now = [world.get("a"), world.get("b.c"), world.get("b.d"), world.get("e")];
    assert_eq!(now, ["1.5", "x", "true", "[1]"]);
}

fn revert_of_a_key_that_changed_since_is_a_conflict(world: &World) {
    past(world);
    world.ok(&["set", "b.c", "z"]);
    let open = world.run(&["revert", "2"]);
    let kept = world.get("b.c");
    let failed = world.run(&["revert", "2", "--strategy", "fail"]).status;
    let theirs = world.run(&["revert", "2", "--strategy", "theirs"]).status;

    let settled = world.get("b.c");
    assert_snapshot!(
        format!("{open}\n{kept}, fail {failed}, theirs {theirs}: {settled}"),
        @r#"
    status 2
    -- stdout
    namespace default, layer base
      ! b.c
          ours   "z"
          theirs "x"
          base   "y"
    1 conflict
    -- stderr
    keys in conflict stay as they are; --strategy ours or theirs settles them
    z, fail 1, theirs 0: x
    "#
    );
}

fn revert_of_an_import_leaves_the_edits(world: &World) {
    past(world);
    world.ok(&["revert", "3"]);

    let now = [world.get("a"), world.get("b.c"), world.get("e")];
    assert_eq!(now, ["1", "y", "(none)"]);
}

fn revert_of_a_revert_is_the_first_again(world: &World) {
    past(world);
    let before = document(world);
    world.ok(&["revert", "3"]);
    world.ok(&["revert", "5"]);

    assert_eq!(document(world), before);
}

fn export_at_a_revision_prints_the_document_of_then(world: &World) {
    past(world);

    let then = ["0", "1", "2", "3", "4"].map(|at| world.ok(&["export", "--at", at]));

    assert_snapshot!(then.join("--\n"), @r"
    {}
    --
    a: 1
    b:
      c: x
      d: true
    --
    a: 1
    b:
      c: y
      d: true
    --
    a: 1.5
    b:
      c: y
      d: true
    e:
    - 1
    --
    a: 1.5
    b:
      c: y
    e:
    - 1
    ");
}
