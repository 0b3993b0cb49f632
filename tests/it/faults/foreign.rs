//! What lies where the database or the backups should be, and who may write there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{MIGRATE, Scenario, State, code, run_unprivileged, sources};
use crate::world::{Ran, World};

fn migrate(world: &World) -> Ran {
    run_unprivileged(world, &[&MIGRATE[..], &["--json"]].concat())
}

fn set_mode(world: &World, name: &str, mode: u32) {
    fs::set_permissions(world.path(name), fs::Permissions::from_mode(mode)).unwrap();
}

#[track_caller]
fn assert_refused(ran: &Ran, expected: &str) {
    assert_eq!((ran.status, code(ran).as_str()), (1, expected), "{ran}");
}

/// The migration is refused with `expected`, and every file is as it was.
#[track_caller]
fn assert_changes_nothing(world: &World, expected: &str) {
    let before = world.files();

    let ran = migrate(world);

    assert_refused(&ran, expected);
    let new = |name: &String| name.starts_with("backups/") && !before.contains_key(name);
    let mut after = world.files();
    after.retain(|name, _| !new(name));
    assert!(after == before, "{:?} became {:?}", before.keys(), after.keys());
}

#[test]
fn a_folder_in_the_place_of_the_database_is_refused() {
    let world = Scenario::first().world();
    fs::create_dir(world.path("setpoint.db")).unwrap();

    assert_changes_nothing(&world, "database::foreign");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_stays_as_it_is() {
    let world = Scenario::first().world();
    world.write("setpoint.db", "what somebody wrote in the place of a database\n".repeat(200));

    assert_changes_nothing(&world, "database::foreign");
}

#[test]
fn a_database_that_was_cut_off_is_refused_and_stays_as_it_is() {
    let world = Scenario::second().world();
    let bytes = fs::read(world.path("setpoint.db")).unwrap();
    world.write("setpoint.db", &bytes[..10_000]);

    assert_changes_nothing(&world, "database::damaged");
}

#[test]
fn a_database_with_a_damaged_page_is_refused_and_stays_as_it_is() {
    let world = Scenario::second().world();
    let mut bytes = fs::read(world.path("setpoint.db")).unwrap();
    bytes[4096..].fill(0xaa);
    world.write("setpoint.db", &bytes);

    assert_changes_nothing(&world, "database::damaged");
}

#[test]
fn an_empty_file_becomes_the_database() {
    let scenario = Scenario::first();
    let world = scenario.world();
    world.write("setpoint.db", "");

    scenario.assert_next_run_finishes(&world, "an empty file");
}

#[test]
fn the_database_of_another_program_is_kept() {
    let scenario = Scenario::first();
    let world = scenario.world();
    world.sql("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)");

    scenario.assert_next_run_finishes(&world, "another program's database");

    assert_eq!(world.sql("SELECT a FROM theirs"), "1");
}

#[test]
fn a_database_file_that_may_not_be_written_is_refused() {
    let scenario = Scenario::second();
    let world = scenario.world();
    set_mode(&world, "setpoint.db", 0o400);

    assert_changes_nothing(&world, "database::not_writable");

    set_mode(&world, "setpoint.db", 0o600);
    let again = migrate(&world);
    assert_eq!((again.status, State::of(&world)), (0, scenario.after), "{again}");
}

#[test]
fn a_database_file_that_may_not_be_read_is_refused() {
    let world = Scenario::second().world();
    set_mode(&world, "setpoint.db", 0o000);

    let ran = migrate(&world);

    set_mode(&world, "setpoint.db", 0o600);
    assert_refused(&ran, "database::not_writable");
}

#[test]
fn a_folder_that_may_not_be_written_is_refused() {
    for scenario in [Scenario::first(), Scenario::second()] {
        let world = scenario.world();
        set_mode(&world, "", 0o500);
        if world.path("backups").exists() {
            set_mode(&world, "backups", 0o700);
        }

        let ran = migrate(&world);

        set_mode(&world, "", 0o700);
        assert_eq!(ran.status, 1, "{ran}");
        let code = code(&ran);
        assert!(code == "file::unwritable" || code == "database::not_writable", "{ran}");
        assert_eq!(State::of(&world), scenario.before);
        scenario.assert_next_run_finishes(&world, "a read-only folder");
    }
}

#[test]
fn a_file_in_the_place_of_the_backups_stops_the_migration_before_it_begins() {
    let world = Scenario::first().world();
    world.write("backups", "no folder");

    assert_changes_nothing(&world, "file::unwritable");
}

#[test]
fn a_backups_folder_that_may_not_be_written_stops_the_migration_before_it_begins() {
    let scenario = Scenario::second();
    let world = scenario.world();
    set_mode(&world, "backups", 0o500);

    assert_changes_nothing(&world, "file::unwritable");

    set_mode(&world, "backups", 0o700);
    assert_eq!(State::of(&world), scenario.before);
    scenario.assert_next_run_finishes(&world, "a read-only backups folder");
}

#[test]
fn sources_that_may_only_be_read_are_migrated_and_stay_as_they_are() {
    let scenario = Scenario::first();
    let world = scenario.world();
    for name in ["settings.yaml", "more/other.toml"] {
        set_mode(&world, name, 0o400);
    }
    set_mode(&world, "more", 0o500);

    let ran = migrate(&world);

    assert_eq!(ran.status, 0, "{ran}");
    assert_eq!(sources(&world.files()), sources(&scenario.folder));
    assert_eq!(State::of(&world), scenario.after);
    set_mode(&world, "more", 0o700);
}

#[test]
fn a_source_that_may_not_be_read_stops_the_migration() {
    let scenario = Scenario::second();
    let world = scenario.world();
    set_mode(&world, "more/other.toml", 0o000);

    let ran = migrate(&world);

    set_mode(&world, "more/other.toml", 0o600);
    assert_eq!((ran.status, code(&ran).as_str()), (1, "file::unreadable"), "{ran}");
    assert_eq!(State::of(&world), scenario.before);
    scenario.assert_next_run_finishes(&world, "an unreadable source");
}
