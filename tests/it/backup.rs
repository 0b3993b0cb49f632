//! Backups, as whoever runs Setpoint takes, lists, verifies and restores them.

use std::fs;
use std::process::Command;

use insta::assert_snapshot;
use serde_json::Value;

use crate::world::{World, fed, text};

mod bad_input;
mod encrypted;
mod frugal;
mod keys;
mod moments;
mod older;
mod overtaken;
mod prune;
mod restored;
mod s3;
mod s3_meanwhile;
mod served;
mod store;
mod trust;

on_both![
    a_backup_is_taken_read_back_and_listed,
    the_list_says_what_is_in_each_archive_without_a_database,
    a_pinned_backup_with_a_note_is_listed_as_such,
    the_list_fits_a_terminal_of_80_columns,
    a_name_is_used_once,
    names_that_lead_elsewhere_are_refused,
    a_removed_archive_is_not_listed,
    what_is_left_of_a_killed_run_is_cleared,
];

/// Settings of two layers, with a history, a source, a token and a secret that is referred to.
fn ready(world: &World) -> &World {
    world.write("setpoint.toml", "[namespaces.default]\nlayers = ['site']\n");
    world.migrate("http: {port: 80, host: a.org}\nlimits: [1, 2.0, null, 'é \"\\\\']\nold: 1.0\n");
    world.ok(&["set", "http.port", "8080", "-m", "more \"room\""]);
    world.ok(&["set", "http.tls", "true", "--layer", "site"]);
    world.sql("UPDATE setting SET value = '\"b.org\"' WHERE key = 'http.host'");
    // It seals the one before.
    world.ok(&["unset", "old"]);
    world.ok(&["token", "create", "ci", "--role", "viewer"]);
    world
}

/// Every setting of every layer, as one text.
fn settings(world: &World) -> String {
    world.sql(
        "SELECT namespace, layer, key, value, value_type, revision, created_at, updated_at, \
         updated_by FROM setting ORDER BY namespace, layer, key",
    )
}

fn archive(world: &World, name: &str) -> std::path::PathBuf {
    world.path(&format!("backups/{name}.setpoint.tar"))
}

/// The lines of every table in an archive, without `head`, as the archive has them.
fn content(world: &World, name: &str) -> Vec<String> {
    let script = r#"tar -xOf "$0" content.jsonl.zst | zstd -dc"#;
    let archive = archive(world, name);
    let lines = fed(Command::new("sh").args(["-c", script]).arg(archive), "").unwrap();
    lines.lines().map(str::to_owned).collect()
}

fn epoch(world: &World) -> String {
    world.sql("SELECT epoch FROM head")
}

#[track_caller]
fn assert_sound(world: &World) {
    let ran = world.run(&["verify"]);
    assert_eq!(ran.status, 0, "{ran}");
}

fn a_backup_is_taken_read_back_and_listed(world: &World) {
    ready(world);

    let made = world.json(&["backup", "create", "first"]);

    let listed = world.json(&["backup", "list"]);
    for told in [&made, &listed[0]] {
        let said = ["name", "kind", "created_by", "revision", "pinned", "format"];
        let said = said.map(|it| told[it].to_string()).join(" ");
        assert_eq!(said, r#""first" "manual" "ann" 5 false 1"#);
        assert_eq!(told["epoch"], epoch(world));
        assert_eq!((&told["counts"]["setting"], &told["counts"]["token"]), (&4.into(), &1.into()));
        assert!(told["verified_at"].is_string());
    }
    assert_eq!(world.ok(&["backup", "verify", "first"]).split(',').next(), Some("first: whole"));
    let of = if world.is_postgres() { "postgres" } else { "sqlite" };
    assert_eq!(listed[0]["engine"], of);
}

fn the_list_says_what_is_in_each_archive_without_a_database(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    let elsewhere = World::sqlite();
    elsewhere.write("backups/second.setpoint.tar", fs::read(archive(world, "first")).unwrap());
    elsewhere.write("backups/notes.txt", "not one");
    elsewhere.write("backups/a b.setpoint.tar", "not one");
    elsewhere.write("backups/second.tar", "not one");

    let listed = elsewhere.json(&["backup", "list"]);

    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!((&listed[0]["name"], &listed[0]["revision"]), (&"second".into(), &5.into()));
    assert_eq!(listed[0]["verified_at"], Value::Null);
    let told = elsewhere.run(&["backup", "list"]).stderr;
    let unknown = "what is known of them cannot be told: ";
    let passed = "passed over 2 files in backups whose names cannot be those of backups, such as \"a b.setpoint.tar\"\n";
    assert!(told.starts_with(unknown) && told.ends_with(passed), "{told}");
    assert_eq!(elsewhere.run(&["backup", "verify", "--all"]).status, 0);
}

fn a_pinned_backup_with_a_note_is_listed_as_such(world: &World) {
    ready(world).ok(&["backup", "create", "first", "--pin", "--note", "before the move"]);

    let table = world.ok(&["backup", "list"]);

    let row = table.lines().nth(1).unwrap();
    assert!(row.ends_with("  verified, pinned  before the move"), "{table}");
}

fn the_list_fits_a_terminal_of_80_columns(world: &World) {
    ready(world).ok(&["backup", "create"]);
    world.ok(&["backup", "create", "first"]);
    world.ok(&["set", "new", "true"]);
    world.ok(&["backup", "restore", "first", "--yes"]);
    world.write("setpoint.toml", "[backups.retention]\nkeep_daily = 7\n");

    for command in [&["backup", "list"][..], &["backup", "prune", "--dry-run"]] {
        let table = world.ok(command);
        // What comes last is cut where there is a terminal.
        let last = |it: &str| it.find("before the").or(it.find(" daily")).unwrap_or(it.len());
        let narrow = |it: &str| last(it) <= 80;
        assert!(table.lines().count() > 3 && table.lines().skip(1).all(narrow), "{table}");
    }
}

fn a_name_is_used_once(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    let before = fs::read(archive(world, "first")).unwrap();

    assert_snapshot!(world.refusal(&["backup", "create", "first"]), @"1 backup::exists; there is a backup `first`; there is no new backup; choose another name, or none: one is made of the time");
    assert_eq!(fs::read(archive(world, "first")).unwrap(), before);
    let other = world.ok(&["backup", "create"]);
    assert!(other.trim_end().ends_with("-r5"), "{other}");
}

fn names_that_lead_elsewhere_are_refused(world: &World) {
    ready(world);

    for name in ["../first", "/tmp/first", ".first", "a b", "", "é"] {
        for arguments in [
            &["backup", "create", name][..],
            &["backup", "verify", name],
            &["backup", "restore", name, "--yes"],
        ] {
            let refusal = world.refusal(arguments);
            assert!(refusal.starts_with("1 backup::bad_name; "), "{arguments:?}: {refusal}");
        }
    }
}

fn a_removed_archive_is_not_listed(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    fs::remove_file(archive(world, "first")).unwrap();

    assert_eq!(world.json(&["backup", "list"]), Value::Array(Vec::new()));
    let refusal = world.refusal(&["backup", "verify", "first"]);
    assert_snapshot!(refusal, @"1 backup::unknown; there is no backup `first`; nothing was done; `setpoint backup list` has the names");
    world.ok(&["backup", "create", "first"]);
}

fn what_is_left_of_a_killed_run_is_cleared(world: &World) {
    ready(world).write("backups/.work-0011223344556677/scratch.db", "half");

    world.ok(&["backup", "create", "first"]);

    let mut names: Vec<_> = fs::read_dir(world.path("backups")).unwrap().collect::<Vec<_>>();
    names.retain(|it| !it.as_ref().unwrap().file_type().unwrap().is_dir());
    let names: Vec<_> = names.into_iter().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names, ["first.setpoint.tar"]);
    assert!(!world.path("backups/.work-0011223344556677").exists());
}

#[test]
fn tar_and_sha256sum_read_an_archive_and_sqlite3_its_image() {
    let world = World::sqlite();
    ready(&world).ok(&["backup", "create", "first"]);

    let script = r#"tar -xf "$0" && sha256sum -c --quiet manifest.json.sha256 && tar -tf "$0" &&
        zstd -dq database.sqlite.zst && sqlite3 database.sqlite 'SELECT count(*) FROM setting'"#;
    let mut unpack = Command::new("sh");
    unpack.args(["-c", script]).arg(archive(&world, "first")).current_dir(world.folder());

    assert_snapshot!(fed(&mut unpack, "").unwrap(), @r"
    manifest.json
    content.jsonl.zst
    database.sqlite.zst
    manifest.json.sha256
    4
    ");
}

#[test]
fn an_archive_holds_no_token_and_no_one_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::sqlite();
    let token = ready(&world).ok(&["token", "create", "other", "--role", "admin"]);

    world.ok(&["backup", "create", "first"]);

    let lines = content(&world, "first").join("\n");
    assert!(lines.contains("\"other\"") && !lines.contains(token.trim_end()));
    let mode = fs::metadata(archive(&world, "first")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn an_archive_tells_the_same_of_each_table_on_both_databases() {
    let (one, other) = (World::sqlite(), World::postgres());
    for world in [&one, &other] {
        ready(world).ok(&["backup", "create", "first"]);
    }

    let shapes = |world: &World| -> Vec<String> {
        content(world, "first").into_iter().filter(|it| it.starts_with('{')).collect()
    };

    assert_eq!(shapes(&one), shapes(&other));
    let tables = one.sql(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN \
         ('setpoint_migration', 'sqlite_sequence') AND name NOT LIKE 'sqlite_%' ORDER BY name",
    );
    let table = |line: String| {
        let heading: Value = serde_json::from_str(&line).unwrap();
        text(&heading["table"]).to_owned()
    };
    let mut told: Vec<_> = shapes(&one).into_iter().map(table).collect();
    told.sort();
    assert_eq!(told.join("\n"), tables, "a table is missing in ops/src/backup/tables.rs");
    for line in shapes(&one) {
        let heading: Value = serde_json::from_str(&line).unwrap();
        let name = text(&heading["table"]);
        let columns = one.sql(&format!("SELECT name FROM pragma_table_info('{name}') ORDER BY 1"));
        let mut told: Vec<_> = heading["columns"].as_array().unwrap().iter().map(text).collect();
        told.extend((name == "head").then_some("applying"));
        told.sort_unstable();
        assert_eq!(told.join("\n"), columns, "a column of {name} is missing in tables.rs");
    }
}

/// Every value that `busy` has had, in order.
fn rows_of(world: &World) -> String {
    world.sql("SELECT after FROM change WHERE key = 'busy' ORDER BY revision")
}
