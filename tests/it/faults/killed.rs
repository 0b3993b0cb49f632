//! SIGKILL right before a system call, at one call after the other.

use super::strace::{self, On};
use super::{MIGRATE, Scenario};

const SYNCS: &str = "fsync,fdatasync";
const MAKES_FOLDER: &str = "?mkdir,mkdirat";
const RENAMES: &str = "?rename,?renameat,renameat2";
const REMOVES: &str = "?unlink,unlinkat";

/// Kills a migration at every `step`th of `calls` until one survives.
#[track_caller]
fn kill_at_each(scenario: &Scenario, calls: &str, on: On, step: usize) {
    for (killed, number) in (1..1000).step_by(step).enumerate() {
        let case = format!("killed at call {number} of {calls} on {on:?}");
        let world = scenario.world();

        let (ran, happened) = strace::run(&world, (calls, on), "signal=KILL", number, &MIGRATE);

        if !happened {
            assert_eq!(ran.status, 0, "{case}: {ran}");
            assert!(killed > 0, "nothing was {case}");
            return;
        }
        assert_eq!(ran.status, -1, "{case}: {ran}");
        scenario.assert_whole_or_nothing(&world, &case);
        scenario.assert_next_run_finishes(&world, &case);
    }
    panic!("there is no end to {calls}");
}

#[test]
fn a_first_migration_killed_while_it_copies_originals_leaves_nothing_half_done() {
    let scenario = Scenario::first();

    kill_at_each(&scenario, MAKES_FOLDER, On::Everything, 1);
    kill_at_each(&scenario, RENAMES, On::Everything, 1);
    kill_at_each(&scenario, SYNCS, On::Everything, 1);
    kill_at_each(&scenario, "openat", On::Everything, 2);
}

#[test]
fn a_first_migration_killed_at_any_sync_is_whole_or_nothing() {
    let scenario = Scenario::first();

    kill_at_each(&scenario, SYNCS, On::Log, 1);
    kill_at_each(&scenario, SYNCS, On::Database, 1);
}

#[test]
fn a_first_migration_killed_at_any_change_of_files_is_whole_or_nothing() {
    let scenario = Scenario::first();

    kill_at_each(&scenario, "openat", On::Log, 1);
    kill_at_each(&scenario, "openat", On::Database, 1);
    kill_at_each(&scenario, "ftruncate", On::Log, 1);
    kill_at_each(&scenario, "ftruncate", On::Database, 1);
    kill_at_each(&scenario, REMOVES, On::Log, 1);
}

#[test]
fn a_first_migration_killed_between_writes_is_whole_or_nothing() {
    let scenario = Scenario::first();

    kill_at_each(&scenario, "pwrite64", On::Log, 4);
    kill_at_each(&scenario, "pwrite64", On::Database, 3);
}

#[test]
fn a_second_migration_killed_while_it_copies_originals_leaves_nothing_half_done() {
    let scenario = Scenario::second();

    kill_at_each(&scenario, MAKES_FOLDER, On::Everything, 1);
    kill_at_each(&scenario, RENAMES, On::Everything, 1);
    kill_at_each(&scenario, SYNCS, On::Everything, 1);
}

#[test]
fn a_second_migration_killed_at_any_sync_is_whole_or_nothing() {
    let scenario = Scenario::second();

    kill_at_each(&scenario, SYNCS, On::Log, 1);
    kill_at_each(&scenario, SYNCS, On::Database, 1);
}

#[test]
fn a_second_migration_killed_at_any_change_of_files_is_whole_or_nothing() {
    let scenario = Scenario::second();

    kill_at_each(&scenario, "openat", On::Log, 1);
    kill_at_each(&scenario, "openat", On::Database, 1);
    kill_at_each(&scenario, "ftruncate", On::Log, 1);
    kill_at_each(&scenario, "ftruncate", On::Database, 1);
    kill_at_each(&scenario, REMOVES, On::Log, 1);
}

#[test]
fn a_second_migration_killed_between_writes_is_whole_or_nothing() {
    let scenario = Scenario::second();

    kill_at_each(&scenario, "pwrite64", On::Log, 2);
    kill_at_each(&scenario, "pwrite64", On::Database, 1);
}

#[test]
fn a_second_migration_killed_as_it_takes_or_gives_back_a_lock_is_whole_or_nothing() {
    let scenario = Scenario::second();

    kill_at_each(&scenario, "fcntl", On::Log, 3);
    kill_at_each(&scenario, "fcntl", On::Database, 2);
}
