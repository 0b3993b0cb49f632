//! Edits made in sqlite3 and psql: revisions like any other.

use insta::assert_snapshot;

use crate::world::World;

on_both![
    an_update_is_a_revision_by_sql,
    an_insert_is_a_revision_by_sql,
    a_delete_is_a_revision_by_sql,
    a_renamed_key_is_one_revision_that_names_both,
    an_update_to_the_same_value_is_no_revision,
    both_views_tell_of_every_change,
    the_next_writer_seals_them,
    a_later_migrate_takes_them_for_edits,
    they_can_be_reverted,
    a_value_that_is_no_json_or_of_another_type_is_refused,
    a_key_that_is_none_or_breaks_the_tree_is_refused,
    an_update_of_several_rows_is_audited_row_by_row,
    a_transaction_taken_back_leaves_no_revision,
];

const INSERT: &str = "INSERT INTO setting (namespace, layer, key, value, value_type) VALUES";

fn start(world: &World) {
    world.migrate("a: 1\nb: x\nc: {d: 1.0, e: 2.0}\n");
}

/// The newest changes as the log has them, times left out.
fn log(world: &World, count: usize) -> String {
    world.sql(&format!(
        "SELECT revision, key, action, old_value, new_value, actor, channel \
         FROM settings_audit_log ORDER BY revision DESC, key LIMIT {count}"
    ))
}

fn an_update_is_a_revision_by_sql(world: &World) {
    start(world);
    world.sql("UPDATE setting SET value = '0.95' WHERE key = 'c.d'");

    assert_snapshot!(format!("{}\n{}", log(world, 1), world.run(&["list", "--prefix", "c"])), @r"
    2|c.d|update|1.0|0.95|sql|sql
    status 0
    -- stdout
    KEY  VALUE  TYPE   LAYER  REVISION
    c.d  0.95   float  base   2
    c.e  2.0    float  base   1
    ");
}

fn an_insert_is_a_revision_by_sql(world: &World) {
    start(world);
    world.sql(&format!("{INSERT} ('default', 'base', 'new.key', 'true', 'boolean')"));

    assert_snapshot!(format!("{}\n{}", log(world, 1), world.run(&["list", "--prefix", "new"])), @r"
    2|new.key|add||true|sql|sql
    status 0
    -- stdout
    KEY      VALUE  TYPE     LAYER  REVISION
    new.key  true   boolean  base   2
    ");
}

fn a_delete_is_a_revision_by_sql(world: &World) {
    start(world);
    world.sql("DELETE FROM setting WHERE key = 'a'");

    assert_eq!(
        (log(world, 1).as_str(), world.get("a").as_str()),
        ("2|a|delete|1||sql|sql", "(none)")
    );
}

fn a_renamed_key_is_one_revision_that_names_both(world: &World) {
    start(world);
    world.sql("UPDATE setting SET key = 'z' WHERE key = 'a'");

    assert_eq!(log(world, 2), "2|a|delete|1||sql|sql\n2|z|add||1|sql|sql");
}

fn an_update_to_the_same_value_is_no_revision(world: &World) {
    start(world);
    world.sql("UPDATE setting SET value = '1' WHERE key = 'a'");

    assert_eq!(world.revision(), 1);
}

fn both_views_tell_of_every_change(world: &World) {
    start(world);
    world.ok(&["set", "b", "y", "-m", "by hand"]);
    world.sql("UPDATE setting SET value = '2' WHERE key = 'a'");
    let columns = "revision, namespace, layer, key, old_value, new_value, actor, reason";

    let views = ["settings_audit_log ORDER BY revision, key", "recent_config_changes"]
        .map(|from| world.sql(&format!("SELECT {columns}, length(changed_at) FROM {from}")));

    assert_snapshot!(views.join("\n--\n"), @r#"
    1|default|base|a||1|ann||24
    1|default|base|b||"x"|ann||24
    1|default|base|c.d||1.0|ann||24
    1|default|base|c.e||2.0|ann||24
    2|default|base|b|"x"|"y"|ann|by hand|24
    3|default|base|a|1|2|sql||24
    --
    3|default|base|a|1|2|sql||24
    2|default|base|b|"x"|"y"|ann|by hand|24
    1|default|base|a||1|ann||24
    1|default|base|b||"x"|ann||24
    1|default|base|c.d||1.0|ann||24
    1|default|base|c.e||2.0|ann||24
    "#);
}

fn the_next_writer_seals_them(world: &World) {
    start(world);
    world.sql("UPDATE setting SET value = '2' WHERE key = 'a'");
    let before = world.json(&["audit", "verify"]);
    world.ok(&["set", "b", "y"]);
    let after = world.json(&["audit", "verify"]);

    let unsealed =
        (&before["unsealed"], &before["first_bad"], &after["unsealed"], &after["first_bad"]);
    assert_snapshot!(format!("{unsealed:?}"), @r"(Number(1), Null, Number(0), Null)");
}

fn a_later_migrate_takes_them_for_edits(world: &World) {
    start(world);
    world.sql("UPDATE setting SET value = '2' WHERE key = 'a'");

    let status = world.migrate_with("a: 3\nb: x\nc: {d: 1.0, e: 2.0}\n", &[]).status;

    assert_eq!((status, world.get("a").as_str()), (2, "2"));
}

fn they_can_be_reverted(world: &World) {
    start(world);
    world.sql("DELETE FROM setting WHERE key = 'c.d'");
    world.ok(&["revert", "2"]);

    assert_eq!((world.get("c.d").as_str(), world.revision()), ("1.0", 3));
}

fn a_value_that_is_no_json_or_of_another_type_is_refused(world: &World) {
    start(world);
    let edits = [
        "UPDATE setting SET value = 'plain' WHERE key = 'b'",
        "UPDATE setting SET value = '1.5' WHERE key = 'a'",
        "UPDATE setting SET value = '{\"a\": 1}', value_type = 'json' WHERE key = 'a'",
        "UPDATE setting SET value_type = 'float' WHERE key = 'a'",
        "UPDATE setting SET value = NULL WHERE key = 'a'",
        "UPDATE setting SET format = 'colour' WHERE key = 'b'",
    ];

    let refused = edits.map(|sql| world.try_sql(sql).is_err());

    assert_eq!((refused, world.revision()), ([true; 6], 1));
}

fn a_key_that_is_none_or_breaks_the_tree_is_refused(world: &World) {
    start(world);
    let keys = ["", "x y", "x..y", ".x", "x.", "ä", "a.below", "c", "b.c.d"];

    let refused = keys.map(|key| {
        let insert =
            world.try_sql(&format!("{INSERT} ('default', 'base', '{key}', '1', 'integer')"));
        let rename = world.try_sql(&format!("UPDATE setting SET key = '{key}' WHERE key = 'c.e'"));
        (key, insert.is_err(), rename.is_err())
    });

    assert_eq!((refused, world.revision()), (keys.map(|key| (key, true, true)), 1));
}

fn an_update_of_several_rows_is_audited_row_by_row(world: &World) {
    start(world);
    world.sql("UPDATE setting SET value = '9.5' WHERE key LIKE 'c.%'");

    let revision = if world.is_postgres() { 2 } else { 3 };
    let keys = world.sql(
        "SELECT key, old_value, new_value FROM settings_audit_log WHERE revision > 1 ORDER BY key",
    );
    assert_eq!((keys.as_str(), world.revision()), ("c.d|1.0|9.5\nc.e|2.0|9.5", revision));
}

fn a_transaction_taken_back_leaves_no_revision(world: &World) {
    start(world);
    world.sql("BEGIN; DELETE FROM setting; ROLLBACK;");
    world.sql("UPDATE setting SET value = '2' WHERE key = 'a'");

    assert_eq!(log(world, 1), "2|a|update|1|2|sql|sql");
}

#[test]
fn insert_or_replace_in_sqlite3_is_an_update() {
    let world = World::sqlite();
    start(&world);
    world.sql(
        &INSERT
            .replace("INSERT", "INSERT OR REPLACE")
            .replace("VALUES", "VALUES ('default', 'base', 'a', '5', 'integer')"),
    );

    assert_eq!(log(&world, 1), "2|a|update|1|5|sql|sql");
}

#[test]
fn insert_on_conflict_in_psql_is_an_update() {
    let world = World::postgres();
    start(&world);
    world.sql(&format!(
        "{INSERT} ('default', 'base', 'a', '5', 'integer') \
         ON CONFLICT (namespace, layer, key) DO UPDATE SET value = excluded.value"
    ));

    assert_eq!(log(&world, 1), "2|a|update|1|5|sql|sql");
}

#[test]
fn truncate_in_psql_is_refused() {
    let world = World::postgres();
    start(&world);
    let refused = world.try_sql("TRUNCATE setting");

    assert_eq!((refused.is_err(), world.get("a").as_str()), (true, "1"));
}

#[test]
fn the_database_of_sqlite_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::sqlite();
    start(&world);

    let mode = std::fs::metadata(world.path("setpoint.db")).unwrap().permissions().mode();

    assert_eq!(mode & 0o777, 0o600);
}
