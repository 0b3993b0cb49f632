//! The steps of the schema, and databases that are not as they should be.

use std::time::Duration;

use insta::assert_snapshot;
use sea_orm_migration::MigratorTrait as _;
use setpoint_migration::Migrator;
use setpoint_ops::database::{Access, Database, Location, Settings, connect, down, schema, up};

use crate::world::{World, block_on};

on_both![
    every_step_goes_up_down_and_up_again_with_data_in_it,
    database_up_makes_an_empty_database,
    database_status_lists_the_steps,
    database_down_wants_yes_and_takes_steps_back,
    a_newer_database_is_refused,
    an_older_database_is_refused_until_it_is_brought_up,
    a_database_without_tables_is_refused_by_readers,
    a_database_without_tables_is_made_by_migrate,
];

const SETTINGS: Settings =
    Settings { lock_timeout: Duration::from_secs(5), connect_timeout: Duration::from_secs(5) };

fn open(world: &World) -> Database {
    let location = match world.is_postgres() {
        true => Location::parse(&world.database()),
        false => Location::Sqlite(world.path("setpoint.db")),
    };
    block_on(connect(&location, Access::Create, SETTINGS)).unwrap()
}

/// Every object of the schema, as the database describes it.
fn objects(world: &World) -> String {
    match world.is_postgres() {
        false => world.sql("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"),
        true => world.sql(
            "SELECT table_name, column_name, data_type, is_nullable, column_default \
             FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2; \
             SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) \
             FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2; \
             SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1; \
             SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1; \
             SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1; \
             SELECT viewname, definition FROM pg_views WHERE schemaname = 'public' ORDER BY 1",
        ),
    }
}

/// Goes to each step of the schema, puts data into the tables that are there, takes the step
/// back and does it again.
fn every_step_goes_up_down_and_up_again_with_data_in_it(world: &World) {
    let database = open(world);
    let connection = &database.connection;
    block_on(Migrator::install(connection)).unwrap();
    let mut seen = Vec::new();
    for step in Migrator::migrations() {
        let before = objects(world);
        block_on(Migrator::up(connection, Some(1))).unwrap();
        let after = objects(world);
        fill(world, &format!("{}.first", step.name()));
        block_on(Migrator::down(connection, Some(1))).unwrap();
        let back = objects(world) == before;
        block_on(Migrator::up(connection, Some(1))).unwrap();
        let again = objects(world) == after;
        fill(world, &format!("{}.second", step.name()));
        seen.push((step.name().to_owned(), back, again));
    }

    let expected: Vec<_> =
        Migrator::migrations().iter().map(|it| (it.name().to_owned(), true, true)).collect();
    // The first step takes its own rows back; no other touches those of the tables before it.
    let settings = world.sql("SELECT count(*) FROM setting").parse::<usize>().unwrap();
    assert_eq!((seen, settings), (expected, 2 * Migrator::migrations().len() - 1));
}

/// A row in each table that there is.
fn fill(world: &World, key: &str) {
    let tables = world.sql(match world.is_postgres() {
        true => "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
        false => "SELECT name FROM sqlite_schema WHERE type = 'table'",
    });
    let exists = |table: &str| tables.lines().any(|it| it == table);
    let number = world.sql("SELECT count(*) FROM setting").parse::<u32>().unwrap() + 1000;

    let inserts = ROWS.iter().filter(|(table, ..)| exists(table));
    let inserts = inserts.map(|(table, columns, values)| {
        let values = values.replace("KEY", key).replace("NUMBER", &number.to_string());
        format!("INSERT INTO {table} ({columns}) VALUES ({values});")
    });
    world.sql(&inserts.collect::<String>());
}

/// Table, columns and values.
const ROWS: [(&str, &str, &str); 13] = [
    ("setting", "namespace, layer, key, value, value_type", "'n', 'base', 'KEY', '1.0', 'float'"),
    (
        "seed",
        "namespace, layer, key, value, value_type, source, line, \"column\"",
        "'n', 'base', 'KEY', '1', 'integer', 'f', 1, 2",
    ),
    (
        "source",
        "namespace, path, layer, format, raw_hash, tree_hash, declaration_hash, version, \
         open_conflicts, imported_at, imported_by, revision, original",
        "'n', 'KEY', 'base', 'yaml', '', '', '', 1, 0, '', '', 1, ''",
    ),
    (
        "resolution",
        "hash, namespace, layer, key, choice, revision",
        "'KEY', 'n', 'base', 'k', 'ours', 1",
    ),
    (
        "ignored_drift",
        "namespace, layer, key, hash, author, created_at",
        "'n', 'base', 'KEY', '', 'a', ''",
    ),
    ("outbox", "namespace, path, revision, attempts", "'n', 'KEY', 1, 0"),
    ("removed_key", "namespace, layer, key, source", "'n', 'base', 'KEY', 'f'"),
    (
        "token",
        "name, hash, role, namespaces, created_at, created_by",
        "'KEY', 'KEY', 'viewer', '[\"n\"]', '', 'a'",
    ),
    (
        "invalid_change",
        "revision, namespace, layer, key, reason, at",
        "NUMBER, 'n', 'base', 'KEY', '', ''",
    ),
    (
        "backup",
        "name, kind, created_at, created_by, epoch, revision, head_hash, size_bytes, sha256",
        "'KEY', 'manual', '', 'a', '', 1, '', 0, ''",
    ),
    (
        "pruned",
        "first, last, previous_hash, hash, changes, horizon, revision",
        "NUMBER, NUMBER, '', '', 0, NUMBER, 1000000",
    ),
    ("revision", "id, at, actor, channel, kind", "NUMBER, '', 'a', 'cli', 'edit'"),
    ("change", "revision, namespace, layer, key, action", "NUMBER, 'n', 'base', 'KEY', 'add'"),
];

fn database_up_makes_an_empty_database(world: &World) {
    let made = world.run(&["database", "up"]);
    let again = world.run(&["database", "up"]);
    let list = world.run(&["list", "--json"]);

    assert_snapshot!([made, again, list].map(|it| it.to_string()).join("\n"), @r"
    status 0
    -- stderr
    [database]: 12 steps run
    status 0
    -- stderr
    [database]: 0 steps run
    status 0
    -- stdout
    []
    ");
}

fn database_status_lists_the_steps(world: &World) {
    world.migrate("a: 1\n");
    block_on(down(&open(world), 1)).unwrap();

    assert_snapshot!(world.run(&["database", "status"]), @r"
    status 0
    -- stdout
    STEP                                 STATE
    m20261121_000001_create_settings     applied
    m20261121_000002_create_history      applied
    m20261121_000003_watch_raw_sql       applied
    m20261121_000004_create_audit_views  applied
    m20261121_000005_reconcile           applied
    m20261121_000006_serve               applied
    m20261121_000007_backup              applied
    m20261121_000008_job                 applied
    m20261121_000009_confirm             applied
    m20261121_000010_prune               applied
    m20261121_000011_drop_plan_index     applied
    m20261121_000012_doubt               missing
    ");
}

fn database_down_wants_yes_and_takes_steps_back(world: &World) {
    world.migrate("a: 1\n");
    let asked = world.refusal(&["database", "down"]);
    world.ok(&["database", "down", "--steps", "12", "--yes"]);

    let status = world.json(&["database", "status"]);
    assert_snapshot!(format!("{asked}\n{} applied", status["applied"].as_array().unwrap().len()), @r"
    1 confirm::nobody; Take 1 step of [database] back, with the data in their tables? Nobody is here to ask; nothing was changed; add --yes if it is meant
    0 applied
    ");
}

fn a_newer_database_is_refused(world: &World) {
    world.migrate("a: 1\n");
    let number = "INSERT INTO setpoint_migration (version, applied_at) VALUES";
    world.sql(&format!("{number} ('m20990101_000001_from_the_future', 0)"));
    world.write("settings.yaml", "a: 2\n");
    let commands: [&[&str]; 5] = [
        &["list"],
        &["set", "a", "2"],
        &["migrate", "settings.yaml"],
        &["database", "up"],
        &["verify"],
    ];

    let refusals = commands.map(|it| world.refusal(it));

    assert_snapshot!(refusals.join("\n"), @r"
    1 database::newer; [database] was made by a newer Setpoint: it has the step m20990101_000001_from_the_future; use that Setpoint, or restore a backup from before the update
    1 database::newer; [database] was made by a newer Setpoint: it has the step m20990101_000001_from_the_future; use that Setpoint, or restore a backup from before the update
    1 database::newer; [database] was made by a newer Setpoint: it has the step m20990101_000001_from_the_future; use that Setpoint, or restore a backup from before the update
    1 database::newer; [database] was made by a newer Setpoint: it has the step m20990101_000001_from_the_future; use that Setpoint, or restore a backup from before the update
    1 database::newer; [database] was made by a newer Setpoint: it has the step m20990101_000001_from_the_future; use that Setpoint, or restore a backup from before the update
    ");
}

fn an_older_database_is_refused_until_it_is_brought_up(world: &World) {
    world.migrate("a: 1\n");
    block_on(down(&open(world), 1)).unwrap();
    let refused = world.refusal(&["list"]);
    world.ok(&["database", "up"]);

    assert_snapshot!(format!("{refused}\n{}", world.get("a")), @r"
    1 database::older; [database] was made by an older Setpoint: it is 1 step behind; `setpoint database up` brings it up to date
    1
    ");
}

fn a_database_without_tables_is_refused_by_readers(world: &World) {
    world.sql("CREATE TABLE theirs (a integer)");

    assert_snapshot!(world.run(&["list"]), @r"
    status 1
    -- stderr
    database::empty

      × [database] has no Setpoint tables
      help: `setpoint migrate` or `setpoint database up` makes them; --database
            names another
    ");
}

fn a_database_without_tables_is_made_by_migrate(world: &World) {
    world.sql("CREATE TABLE theirs (a integer); INSERT INTO theirs VALUES (7)");
    world.migrate("a: 1\n");

    assert_eq!((world.get("a").as_str(), world.sql("SELECT a FROM theirs").as_str()), ("1", "7"));
}

#[test]
fn up_is_all_steps_or_none() {
    let world = World::sqlite();
    world.sql("CREATE VIEW settings_audit_log AS SELECT 1");
    let database = open(&world);
    let failed = block_on(up(&database)).is_err();

    let applied = block_on(schema(&database)).unwrap().applied;
    assert_eq!((failed, applied), (true, Vec::<String>::new()));
}

#[test]
fn a_file_that_is_not_sqlite_is_refused() {
    let world = World::sqlite();
    world.write("setpoint.db", "this is no database, only a text that is long enough to be read\n");
    world.write("settings.yaml", "a: 1\n");

    let ran = [&["list"][..], &["migrate", "settings.yaml"]].map(|it| world.run(it).to_string());

    assert_snapshot!(ran.join("\n"), @r"
    status 1
    -- stderr
    database::foreign

      × [database] is no database
      help: nothing was changed; it is not an SQLite file: name another with
            --database
    status 1
    -- stderr
    database::foreign

      × [database] is no database
      help: nothing was changed; it is not an SQLite file: name another with
            --database
    ");
}

#[test]
fn a_missing_database_says_how_to_make_one() {
    let world = World::sqlite();

    let ran = [&["list"][..], &["set", "a", "1"]].map(|it| world.run(it).to_string());

    assert_snapshot!(format!("{}\n{} files", ran.join("\n"), world.files().len()), @r"
    status 1
    -- stderr
    database::missing

      × there is no database at [database]
      help: `setpoint migrate` or `setpoint database up` makes one; --database
            names another
    status 1
    -- stderr
    database::missing

      × there is no database at [database]
      help: `setpoint migrate` or `setpoint database up` makes one; --database
            names another
    0 files
    ");
}

#[test]
fn an_unreachable_server_is_told_without_its_password() {
    let world = World::sqlite();
    let url = "postgres://ann:secret@127.0.0.1:1/none";

    let mut command = world.command(&["list"]);
    command.env("SETPOINT_POSTGRES__CONNECT_TIMEOUT_MS", "100").args(["--database", url]);
    let ran = world.end(command.spawn().unwrap());

    assert!(ran.status == 1 && !ran.to_string().contains("secret"), "{ran}");
}

#[test]
fn a_url_that_cannot_be_read_is_told_without_its_password() {
    let world = World::sqlite();
    for arguments in [&["list"][..], &["backup", "create"], &["--json", "list"]] {
        let url = ["--database", "postgres://ann:secret@/none?host=/tmp/secret"];

        let ran = world.run(&[arguments, &url].concat());

        let said = ran.to_string();
        assert!(said.contains("database::url") && !said.contains("secret"), "{ran}");
    }
}

/// Whoever has the lost one open would write to the files of the new one, and take them along.
#[test]
fn no_database_is_made_beside_the_files_of_one_that_is_gone() {
    let world = World::sqlite();
    world.migrate("a: 1\n");
    world.ok(&["backup", "create", "first"]);
    for ending in ["-wal", "-shm"] {
        let (database, left) =
            (world.path("setpoint.db"), world.path(&format!("setpoint.db{ending}")));
        let kept = std::fs::read(&database).unwrap();
        std::fs::remove_file(&database).unwrap();
        std::fs::write(&left, "").unwrap();

        let made = [
            &["migrate", "settings.yaml"][..],
            &["database", "up"],
            &["backup", "restore", "first", "--yes"],
        ];
        for arguments in made {
            let refused = world.refusal(arguments);
            assert!(refused.starts_with("1 database::left_behind; "), "{refused}");
        }

        assert!(left.exists() && !database.exists());
        std::fs::remove_file(&left).unwrap();
        std::fs::write(&database, kept).unwrap();
    }
    assert_eq!(world.get("a"), "1");
}

#[test]
fn a_locked_database_is_told() {
    let world = World::sqlite();
    world.migrate("a: 1\n");
    let database = open(&world);
    let writing = block_on(database.begin()).unwrap();
    let mut command = world.command(&["set", "a", "2"]);
    let ran = world.end(command.env("SETPOINT_SQLITE__BUSY_TIMEOUT_MS", "0").spawn().unwrap());
    block_on(writing.rollback()).unwrap();

    assert_snapshot!(ran, @r"
    status 1
    -- stderr
    database::locked

      × [database] is locked by another process
      help: nothing was changed; wait for it or stop it, then run the same command
            again
    ");
}
