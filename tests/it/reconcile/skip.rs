//! Versions of a file that somebody does not want.

use insta::assert_snapshot;

use super::{everything, refused, settings};
use crate::world::World;

on_both![
    a_skipped_version_is_left_out_run_after_run,
    reseed_takes_a_skipped_version_after_all,
    a_version_that_is_only_formatted_otherwise_stays_skipped,
    another_version_is_offered_again,
    a_version_with_open_conflicts_can_be_skipped,
    a_file_that_says_nothing_new_cannot_be_skipped,
    a_file_that_was_never_imported_cannot_be_skipped,
    skipping_one_file_does_not_hold_up_another,
    adopting_a_key_does_not_bring_a_skipped_version_back,
];

fn skipped(world: &World) {
    world.migrate("a: 1\n");
    world.write("settings.yaml", "a: 3\nb: 1\n");
    world.ok(&["migrate", "settings.yaml", "--skip"]);
}

fn a_skipped_version_is_left_out_run_after_run(world: &World) {
    skipped(world);
    let first = world.run(&["migrate", "settings.yaml"]);
    let second = world.run(&["migrate", "settings.yaml", "--strategy", "theirs"]);
    let check = world.run(&["reseed", "--check"]);

    assert_snapshot!(format!("{first}\n{second}\n{check}\n{}", settings(world)), @r"
    status 0
    -- stdout
    nothing to change
    -- stderr
    note: settings.yaml says something new, which is skipped
    status 0
    -- stdout
    nothing to change
    -- stderr
    note: settings.yaml says something new, which is skipped
    status 0
    -- stdout
    SOURCE         NAMESPACE  LAYER  STATE
    settings.yaml  default    base   update skipped
    a = 1
    ");
}

fn reseed_takes_a_skipped_version_after_all(world: &World) {
    skipped(world);
    world.ok(&["reseed", "settings.yaml"]);

    assert_eq!(settings(world), "a = 3, b = 1");
}

fn a_version_that_is_only_formatted_otherwise_stays_skipped(world: &World) {
    skipped(world);
    world.write("settings.yaml", "# moved\r\nb: 1\r\na:   3 # three\r\n");
    world.ok(&["migrate", "settings.yaml"]);

    assert_eq!(settings(world), "a = 1");
}

fn another_version_is_offered_again(world: &World) {
    skipped(world);
    world.write("settings.yaml", "a: 3\nb: 2\n");
    let check = world.run(&["reseed", "--check"]).status;
    world.ok(&["migrate", "settings.yaml"]);

    assert_eq!((check, settings(world).as_str()), (2, "a = 3, b = 2"));
}

fn a_version_with_open_conflicts_can_be_skipped(world: &World) {
    world.migrate("a: 1\n");
    world.ok(&["set", "a", "2"]);
    let open = world.migrate_with("a: 3\n", &[]).status;
    world.ok(&["migrate", "settings.yaml", "--skip"]);
    let after = world.run(&["migrate", "settings.yaml"]).status;
    let taken = world.run(&["reseed", "settings.yaml"]).status;

    assert_eq!((open, after, taken, world.get("a").as_str()), (2, 0, 2, "2"));
}

fn a_file_that_says_nothing_new_cannot_be_skipped(world: &World) {
    skipped(world);
    world.ok(&["reseed", "settings.yaml"]);
    let before = everything(world);
    let said = world.ok(&["migrate", "settings.yaml", "--skip"]);

    assert_eq!(said, "no file says anything new\n");
    assert!(everything(world) == before);
}

fn a_file_that_was_never_imported_cannot_be_skipped(world: &World) {
    world.migrate("a: 1\n");
    world.write("new.yaml", "b: 1\n");

    assert_snapshot!(refused(world, &["migrate", "new.yaml", "--skip"]), @"1 source::never_imported; new.yaml was never imported; `setpoint migrate` imports it; a version can be skipped once another was taken");
}

fn skipping_one_file_does_not_hold_up_another(world: &World) {
    world.write("a.yaml", "a: 1\n");
    world.write("b.yaml", "b: 1\n");
    world.ok(&["migrate", "a.yaml", "b.yaml"]);
    world.write("a.yaml", "a: 2\n");
    world.write("b.yaml", "b: 2\n");
    world.ok(&["migrate", "a.yaml", "--skip"]);
    world.ok(&["migrate", "a.yaml", "b.yaml"]);

    assert_eq!(settings(world), "a = 1, b = 2");
}

fn adopting_a_key_does_not_bring_a_skipped_version_back(world: &World) {
    world.migrate("a: 1\nb: 1\n");
    world.ok(&["set", "a", "2"]);
    world.write("settings.yaml", "a: 1\nb: 3\n");
    world.ok(&["migrate", "settings.yaml", "--skip"]);
    world.ok(&["adopt", "a"]);
    world.ok(&["migrate", "settings.yaml"]);

    assert_eq!((world.get("a").as_str(), world.get("b").as_str()), ("2", "1"));
}
