//! What was tampered with shows.

use insta::assert_snapshot;

use super::{numbers, past, pruned};
use crate::world::World;

on_both![
    any_edit_of_what_stands_for_the_removed_shows,
    a_removed_revision_that_is_there_again_shows,
    what_was_deleted_without_retention_shows,
    what_shows_an_edit_is_not_removed,
    what_shows_an_edit_behind_the_history_is_not_removed,
];

/// What `audit verify` says once `sql` was run; `undo` takes it back.
fn verdict(world: &World, sql: &str, undo: &str) -> String {
    world.sql(sql);
    let ran = world.run(&["audit", "verify"]);
    world.sql(undo);
    assert_eq!(ran.status, 1, "{sql}: {ran}");
    ran.stdout
}

fn any_edit_of_what_stands_for_the_removed_shows(world: &World) {
    pruned(world);
    let mut told = String::new();
    for (column, other) in [
        ("first", "1"),
        ("last", "4"),
        ("changes", "changes + 1"),
        ("horizon", "horizon + 1"),
        ("revision", "11"),
        ("previous_hash", "replace(previous_hash, 'sha256:', 'sha256;')"),
        ("hash", "replace(hash, 'sha256:', 'sha256;')"),
    ] {
        let row = world.sql(&format!("SELECT {column} FROM pruned WHERE first = 2"));
        let key = if column == "first" { 1 } else { 2 };
        let sql = format!("UPDATE pruned SET {column} = {other} WHERE first = 2");
        let undo = format!("UPDATE pruned SET {column} = '{row}' WHERE first = {key}");
        told += &format!("{column}: {}", verdict(world, &sql, &undo));
    }
    assert_snapshot!(told, @r"
    first: revision 1: it was removed, and does not follow the revision before it
    last: revision 5: it was removed, and does not follow the revision before it
    changes: revision 12: what it has removed was edited
    horizon: revision 12: what it has removed was edited
    revision: revision 2: it was removed, and no revision says so
    previous_hash: revision 2: it was removed, and does not follow the revision before it
    hash: revision 4: it does not follow the revision before it
    ");
    assert_eq!(world.run(&["audit", "verify"]).status, 0);

    let columns = "first, last, previous_hash, hash, changes, horizon, revision";
    let row = world.sql(&format!("SELECT {columns} FROM pruned WHERE first = 5"));
    let values: Vec<_> = row.split('|').map(|it| format!("'{it}'")).collect();
    let undo = format!("INSERT INTO pruned ({columns}) VALUES ({})", values.join(", "));
    assert_snapshot!(verdict(world, "DELETE FROM pruned WHERE first = 5", &undo), @"revision 5: it is missing");
    let more = "INSERT INTO pruned (first, last, previous_hash, hash, changes, horizon, revision) \
                VALUES (10, 10, '', '', 0, 10, 12)";
    let undo = "DELETE FROM pruned WHERE first = 10";
    assert_snapshot!(verdict(world, more, undo), @"revision 10: it was removed, and does not follow the revision before it");
    let sayer = "UPDATE revision SET kind = 'edit' WHERE id = 12";
    let undo = "UPDATE revision SET kind = 'retention' WHERE id = 12";
    assert_snapshot!(verdict(world, sayer, undo), @"revision 2: it was removed, and no revision says so");
    let undo = "UPDATE head SET revision = 12";
    let cut = "UPDATE head SET revision = 11";
    assert_snapshot!(verdict(world, cut, undo), @"revision 12: it lies beyond the head");
    assert_eq!(world.run(&["audit", "verify"]).status, 0);
}

fn a_removed_revision_that_is_there_again_shows(world: &World) {
    pruned(world);
    let sql = "INSERT INTO revision (id, at, actor, channel, kind) \
               VALUES (6, '2026-05-01T12:00:00.000Z', 'bob', 'cli', 'edit')";

    let told = verdict(world, sql, "DELETE FROM revision WHERE id = 6");

    assert_snapshot!(told, @"revision 6: it is there, and is said to be removed");
}

fn what_was_deleted_without_retention_shows(world: &World) {
    pruned(world);
    let sql = "DELETE FROM change WHERE revision = 8; DELETE FROM revision WHERE id = 8";

    assert_snapshot!(verdict(world, sql, "SELECT 1"), @"revision 8: it is missing");
}

fn what_shows_an_edit_is_not_removed(world: &World) {
    past(world).sql("UPDATE revision SET actor = 'nobody' WHERE id = 2");
    assert_nothing_is_removed(world);
    assert_eq!(world.run(&["audit", "verify"]).status, 1);
}

fn what_shows_an_edit_behind_the_history_is_not_removed(world: &World) {
    past(world).sql("UPDATE head SET applying = 1");
    world.sql("UPDATE setting SET value = '666'");
    world.sql("UPDATE head SET applying = NULL");
    assert_nothing_is_removed(world);
}

fn assert_nothing_is_removed(world: &World) {
    let before = numbers(world);

    for arguments in [&["audit", "prune", "--dry-run"][..], &["audit", "prune", "--yes"]] {
        let ran = world.run(arguments);
        assert!(ran.status == 1 && ran.stderr.contains("retention::tampered"), "{ran}");
    }

    assert_eq!(numbers(world), before);
}
