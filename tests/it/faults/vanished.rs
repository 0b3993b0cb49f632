//! What happens to the files between the plan and its application: the program is stopped
//! right before it makes the folder for the copies, when it has planned and written nothing.

use std::fs;

use super::strace::Followed;
use super::{MIGRATE, Scenario, State, assert_sound, code};
use crate::world::{Ran, World};

/// Migrates, and does `work` between plan and application.
fn migrate_around(world: &World, work: impl FnOnce()) -> Ran {
    let command = world.command(&[&MIGRATE[..], &["--json"]].concat());
    let stopped = Followed::stopped_at(world, "?mkdir,mkdirat", &command);
    work();
    stopped.resume(world)
}

/// The plan is refused, and a new one fills the database that is there now.
#[track_caller]
fn assert_refused_as_stale_and_done_by_the_next_run(world: &World, ran: &Ran) {
    assert_eq!((ran.status, code(ran).as_str()), (1, "plan::stale"), "{ran}");
    assert_sound(world, "after the refusal");
    let expected = Scenario::with(&{
        let fresh = World::sqlite();
        for name in ["settings.yaml", "more/other.toml"] {
            fresh.write(name, world.read(name));
        }
        fresh
    });
    assert_eq!(State::of(world), expected.before);
    expected.assert_next_run_finishes(world, "the next run");
}

#[test]
fn a_database_that_vanished_since_the_plan_is_not_filled_with_half_of_it() {
    let world = Scenario::second().world();

    let ran = migrate_around(&world, || fs::remove_file(world.path("setpoint.db")).unwrap());

    assert_refused_as_stale_and_done_by_the_next_run(&world, &ran);
}

#[test]
fn a_database_that_was_emptied_since_the_plan_is_not_filled_with_half_of_it() {
    let world = Scenario::second().world();

    let ran = migrate_around(&world, || world.write("setpoint.db", ""));

    assert_refused_as_stale_and_done_by_the_next_run(&world, &ran);
}

#[test]
fn a_database_that_was_cut_off_since_the_plan_is_refused() {
    let world = Scenario::second().world();
    let bytes = fs::read(world.path("setpoint.db")).unwrap();

    let ran = migrate_around(&world, || world.write("setpoint.db", &bytes[..10_000]));

    assert_eq!((ran.status, code(&ran).as_str()), (1, "database::damaged"), "{ran}");
}

#[test]
fn a_database_that_was_exchanged_since_the_plan_is_left_alone() {
    let (world, other) = (Scenario::second().world(), Scenario::second());

    let ran = migrate_around(&world, || world.write("setpoint.db", &other.folder["setpoint.db"]));

    assert_eq!((ran.status, code(&ran).as_str()), (1, "plan::stale"), "{ran}");
    assert_eq!(State::of(&world), other.before);
}

#[test]
fn an_edit_since_the_plan_of_a_key_that_it_changes_is_not_lost() {
    let scenario = Scenario::second();
    let world = scenario.world();

    let ran = migrate_around(&world, || drop(world.ok(&["set", "http.port", "81"])));

    assert_eq!((ran.status, code(&ran).as_str()), (1, "plan::stale"), "{ran}");
    assert_eq!((world.get("http.port"), world.get("new")), ("81".to_owned(), "(none)".to_owned()));
    assert_eq!(world.run(&MIGRATE).status, 2);
    assert_eq!((world.get("http.port"), world.get("new")), ("81".to_owned(), "[1,2]".to_owned()));
}

#[test]
fn an_edit_since_the_plan_of_another_key_stays_beside_it() {
    let scenario = Scenario::second();
    let world = scenario.world();

    let ran = migrate_around(&world, || drop(world.ok(&["set", "mine", "1"])));

    assert_eq!((ran.status, world.revision()), (0, scenario.after.revision + 1), "{ran}");
    assert_eq!((world.get("http.port"), world.get("mine")), ("8080".to_owned(), "1".to_owned()));
    assert_sound(&world, "both");
}

#[test]
fn a_database_that_came_into_being_since_the_plan_is_not_written_over() {
    let world = Scenario::first().world();

    let ran = migrate_around(&world, || {
        world.ok(&["database", "up"]);
        world.ok(&["set", "http.port", "81"]);
    });

    assert_eq!((ran.status, code(&ran).as_str()), (1, "plan::stale"), "{ran}");
    assert_eq!((world.get("http.port"), world.revision()), ("81".to_owned(), 1));
}

#[test]
fn a_source_that_changed_since_the_plan_is_imported_and_copied_as_it_was_planned() {
    let scenario = Scenario::first();
    let world = scenario.world();

    let ran = migrate_around(&world, || world.write("settings.yaml", "http: {port: 1}\n"));

    assert_eq!((ran.status, State::of(&world)), (0, scenario.after), "{ran}");
    let copy = fs::read(world.originals().join("settings.yaml")).unwrap();
    assert_eq!(copy, scenario.folder["settings.yaml"]);
    world.ok(&MIGRATE);
    assert_eq!((world.get("http.port"), world.revision()), ("1".to_owned(), 2));
}

#[test]
fn a_source_that_vanished_since_the_plan_is_imported_and_copied_as_it_was_planned() {
    let scenario = Scenario::first();
    let world = scenario.world();

    let ran = migrate_around(&world, || fs::remove_file(world.path("settings.yaml")).unwrap());

    assert_eq!((ran.status, State::of(&world)), (0, scenario.after), "{ran}");
    let copy = fs::read(world.originals().join("settings.yaml")).unwrap();
    assert_eq!(copy, scenario.folder["settings.yaml"]);
}
