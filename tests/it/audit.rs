//! What was tampered with shows.

use insta::assert_snapshot;

use crate::world::World;

on_both![
    an_untouched_history_holds_together,
    a_tampered_change_is_named,
    a_tampered_revision_is_named,
    a_deleted_revision_is_named,
    a_removed_hash_is_named,
    a_cut_tail_does_not_fit_the_head,
    a_revision_beyond_the_head_is_named,
    verify_finds_a_setting_changed_behind_its_back,
    verify_finds_a_setting_removed_and_one_added_behind_its_back,
    verify_finds_a_trigger_that_is_gone,
    verify_finds_a_damaged_original,
    doctor_tells_what_is_wrong,
];

/// Five revisions, the fourth by SQL.
fn past(world: &World) {
    world.migrate("a: 1\nb: 1\n");
    world.ok(&["set", "a", "2"]);
    world.ok(&["set", "b", "2"]);
    world.sql("UPDATE setting SET value = '3' WHERE key = 'a'");
    world.ok(&["set", "b", "3"]);
}

/// What `audit verify` says once `sql` was run on such a history.
fn verdict(world: &World, sql: &str) -> String {
    past(world);
    world.sql(sql);
    world.run(&["audit", "verify"]).to_string()
}

/// Runs `sql` so that nothing of it is recorded.
fn behind_its_back(world: &World, sql: &str) {
    past(world);
    world.sql("UPDATE head SET applying = 1");
    world.sql(sql);
    world.sql("UPDATE head SET applying = NULL");
}

fn an_untouched_history_holds_together(world: &World) {
    assert_snapshot!(verdict(world, "SELECT 1"), @r"
    status 0
    -- stdout
    the history of 5 revisions holds together
    sha256:[hash]
    ");
}

fn a_tampered_change_is_named(world: &World) {
    assert_snapshot!(verdict(world, "UPDATE change SET after = '5' WHERE revision = 2"), @r"
    status 1
    -- stdout
    revision 2: it or its changes were edited
    ");
}

fn a_tampered_revision_is_named(world: &World) {
    assert_snapshot!(verdict(world, "UPDATE revision SET actor = 'bob' WHERE id = 4"), @r"
    status 1
    -- stdout
    revision 4: it or its changes were edited
    ");
}

fn a_deleted_revision_is_named(world: &World) {
    let sql = "DELETE FROM change WHERE revision = 3; DELETE FROM revision WHERE id = 3";

    assert_snapshot!(verdict(world, sql), @r"
    status 1
    -- stdout
    revision 3: it is missing
    ");
}

fn a_removed_hash_is_named(world: &World) {
    assert_snapshot!(verdict(world, "UPDATE revision SET hash = NULL WHERE id = 3"), @r"
    status 1
    -- stdout
    revision 3: its hash was taken away
    ");
}

fn a_cut_tail_does_not_fit_the_head(world: &World) {
    let sql = "DELETE FROM change WHERE revision = 5; DELETE FROM revision WHERE id = 5; \
               UPDATE head SET revision = 4";

    assert_snapshot!(verdict(world, sql), @r"
    status 1
    -- stdout
    revision 4: the head names another hash
    ");
}

fn a_revision_beyond_the_head_is_named(world: &World) {
    let sql = "INSERT INTO revision (id, at, actor, channel, kind) \
               VALUES (6, '2026-05-01T12:00:00.000Z', 'bob', 'cli', 'edit')";

    assert_snapshot!(verdict(world, sql), @r"
    status 1
    -- stdout
    revision 6: it lies beyond the head
    ");
}

fn verify_finds_a_setting_changed_behind_its_back(world: &World) {
    behind_its_back(world, "UPDATE setting SET value = '99' WHERE key = 'a'");

    assert_snapshot!(world.run(&["verify"]), @r"
    status 1
    -- stdout
    `a` of default: it is not as the history has it
    2 settings, 5 revisions, 1 source: 1 problem
    ");
}

fn verify_finds_a_setting_removed_and_one_added_behind_its_back(world: &World) {
    behind_its_back(world, "UPDATE setting SET key = 'z' WHERE key = 'a'");

    assert_snapshot!(world.run(&["verify"]), @r"
    status 1
    -- stdout
    `a` of default: it is not as the history has it
    `z` of default: it is not as the history has it
    2 settings, 5 revisions, 1 source: 2 problems
    ");
}

fn verify_finds_a_trigger_that_is_gone(world: &World) {
    past(world);
    let on = if world.is_postgres() { " ON setting" } else { "" };
    world.sql(&format!("DROP TRIGGER setting_updated{on}"));

    assert_snapshot!(world.run(&["verify"]), @r"
    status 1
    -- stdout
    the trigger setting_updated is missing: what is written in SQL is not in the history; take a backup, and restore it into a new database
    2 settings, 5 revisions, 1 source: 1 problem
    ");
}

fn verify_finds_a_damaged_original(world: &World) {
    past(world);
    let bytes = if world.is_postgres() { "'a: 9'::bytea" } else { "CAST('a: 9' AS BLOB)" };
    world.sql(&format!("UPDATE source SET original = {bytes}"));

    assert_snapshot!(world.run(&["verify"]), @r"
    status 1
    -- stdout
    settings.yaml of default: the original was changed
    2 settings, 5 revisions, 1 source: 1 problem
    ");
}

fn doctor_tells_what_is_wrong(world: &World) {
    past(world);
    world.write("setpoint.toml", "[[source]]\npath = \"settings.yaml\"\n");
    let well = world.run(&["doctor"]).status;
    world.sql("UPDATE revision SET actor = 'bob' WHERE id = 4");
    std::fs::remove_file(world.path("settings.yaml")).unwrap();
    std::fs::remove_dir_all(world.path("backups")).unwrap();
    world.write("backups", "");
    let ill = world.run(&["doctor"]);

    assert_snapshot!(format!("{well}\n{ill}"), @r"
    0
    status 1
    -- stdout
    CHECK          STATE  SAYS
    configuration  ok     1 source declared
    source         WRONG  ./settings.yaml: No such file or directory (os error 2)
    backups        WRONG  backups is no folder
    database       ok     [database]
    history        WRONG  revision 4: it or its changes were edited
    imported       ok     settings.yaml into default, version 1 at revision 1, 0 conflicts open
    ");
}
