//! The three applications of the fixtures, migrated by one setpoint.toml.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use setpoint_importers::{Key, Limits, TypedValue, read};

use crate::world::{World, fixture};

on_both![
    the_fixtures_migrate_and_are_read_back,
    a_second_run_changes_nothing,
    every_export_has_the_types_and_values_of_the_files,
    the_originals_lie_in_the_database_byte_for_byte,
    the_originals_are_copied_byte_for_byte_before,
    backup_only_copies_the_files_and_makes_no_database,
    verify_finds_nothing_wrong_after_it,
];

const CONFIGURATION: &str = r#"
[[source]]
path = "visualiser/settings.yaml"
namespace = "visualiser"

[[source]]
path = "visualiser/dev_config.toml"
namespace = "visualiser-dev"

[[source]]
path = "desk/legacy"
namespace = "desk"

[[source]]
path = "desk/desk.env"
namespace = "desk-env"

[[source]]
path = "coach"
namespace = "coach"
"#;

/// Each namespace, its files, and the formats that can hold it.
const NAMESPACES: [(&str, &[&str], &[&str]); 5] = [
    ("visualiser", &["visualiser/settings.yaml"], &["yaml", "json"]),
    ("visualiser-dev", &["visualiser/dev_config.toml"], &["toml"]),
    (
        "desk",
        &[
            "desk/legacy/approval_config.json",
            "desk/legacy/integrations_config.json",
            "desk/legacy/theme_config.json",
        ],
        &["yaml", "json"],
    ),
    ("desk-env", &["desk/desk.env"], &["env", "yaml", "toml", "json"]),
    (
        "coach",
        &["coach/feature_flags.yaml", "coach/mapping.yml", "coach/signals.json"],
        &["yaml", "json"],
    ),
];

fn files() -> impl Iterator<Item = &'static str> {
    NAMESPACES.iter().flat_map(|(_, files, _)| files.iter().copied())
}

fn prepare(world: &World) {
    world.write("setpoint.toml", CONFIGURATION);
    for file in files() {
        world.write(file, fs::read(fixture(file)).unwrap());
    }
}

fn migrated(world: &World) {
    prepare(world);
    world.ok(&["migrate"]);
}

/// What a document says.
fn meaning(name: &str, bytes: &[u8]) -> BTreeMap<Key, TypedValue> {
    let document = read(Path::new(name), bytes, None, &Limits::default()).unwrap();
    document.entries.into_iter().map(|it| (it.key, it.value)).collect()
}

fn the_fixtures_migrate_and_are_read_back(world: &World) {
    prepare(world);

    assert_snapshot!(world.run(&["migrate"]), @r"
    status 0
    -- stdout
    125 added
    -- stderr
    note: visualiser/settings.yaml:17:17: `on` is text in YAML 1.2; write true or false for a boolean
    note: desk/legacy/approval_config.json:1:1: a byte order mark, which was left out
    note: desk/legacy/approval_config.json:2:3: accepted 2 comments, which JSON does not have
    note: desk/legacy/approval_config.json:7:32: accepted 3 trailing commas, which JSON does not have
    note: desk/desk.env:7:16: variables such as this are not replaced; the text is kept
    note: coach/feature_flags.yaml:4:14: `no` is text in YAML 1.2; write true or false for a boolean
    note: coach/mapping.yml:27:15: this is text in YAML 1.2, and no number to base 60
    note: coach/signals.json:2:3: accepted 2 comments, which JSON does not have
    originals are in backups/pre_migration_20260501T120000.000Z
    revision 1, 250 values read back; `setpoint revert 1` undoes it
    ");
}

fn a_second_run_changes_nothing(world: &World) {
    migrated(world);
    let before = (world.file_names(), world.revision());

    let ran = world.run(&["migrate"]);

    assert_eq!((ran.status, (world.file_names(), world.revision())), (0, before), "{ran}");
}

fn every_export_has_the_types_and_values_of_the_files(world: &World) {
    migrated(world);
    let mut expected = Vec::new();
    let mut exported = Vec::new();
    for (namespace, files, formats) in NAMESPACES {
        let files = files.iter().flat_map(|file| meaning(file, &fs::read(fixture(file)).unwrap()));
        let files: BTreeMap<Key, TypedValue> = files.collect();
        for format in formats {
            let document = world.ok(&["export", "--namespace", namespace, "--format", format]);
            exported.push((
                namespace,
                format,
                meaning(&format!("x.{format}"), document.as_bytes()),
            ));
            expected.push((namespace, format, files.clone()));
        }
    }

    assert_eq!(exported, expected);
}

fn the_originals_lie_in_the_database_byte_for_byte(world: &World) {
    migrated(world);
    let hex = if world.is_postgres() { "encode(original, 'hex')" } else { "lower(hex(original))" };

    let stored = world.sql(&format!("SELECT path || ' ' || {hex} FROM source"));

    let mut stored: Vec<&str> = stored.lines().collect();
    stored.sort_unstable();
    let mut expected: Vec<String> = files()
        .map(|file| {
            let bytes = fs::read(fixture(file)).unwrap();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{file} {hex}")
        })
        .collect();
    expected.sort();
    assert_eq!(stored, expected);
}

fn the_originals_are_copied_byte_for_byte_before(world: &World) {
    migrated(world);

    let copied = files().map(|file| (file, fs::read(world.originals().join(file)).unwrap()));

    assert!(copied.eq(files().map(|file| (file, fs::read(fixture(file)).unwrap()))));
}

fn backup_only_copies_the_files_and_makes_no_database(world: &World) {
    prepare(world);
    let before = world.file_names().len();
    world.ok(&["migrate", "--backup-only"]);

    let copied = files().all(|file| world.originals().join(file).is_file());
    let files = world.file_names().len();
    let manifest = 1;
    let expected = before + self::files().count() + manifest;
    assert_eq!((copied, files, world.revision()), (true, expected, 0));
}

fn verify_finds_nothing_wrong_after_it(world: &World) {
    migrated(world);

    assert_snapshot!(world.run(&["verify"]), @r"
    status 0
    -- stdout
    125 settings, 1 revision, 9 sources: all right
    ");
}
