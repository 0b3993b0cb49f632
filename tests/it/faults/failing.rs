//! System calls that fail: a broken or a full disk, at one call after the other.

use std::collections::BTreeSet;

use super::strace::{self, On};
use super::{MIGRATE, Scenario, code};
use crate::world::World;

const SYNCS: &str = "fsync,fdatasync";

/// Lets every `step`th of `calls` fail with `error`, one a run, until a run makes fewer calls.
/// Gives the codes that the program fails with.
#[track_caller]
fn codes(
    scenario: &Scenario,
    (calls, on): (&str, On),
    error: &str,
    step: usize,
) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for number in (1..1000).step_by(step) {
        let case = format!("{error} from call {number} of {calls} on {on:?}");
        let world = scenario.world();

        let arguments = [&MIGRATE[..], &["--json"]].concat();
        let fault = format!("error={error}");
        let (ran, happened) = strace::run(&world, (calls, on), &fault, number, &arguments);

        if !happened {
            assert_eq!(ran.status, 0, "{case}: {ran}");
            return codes;
        }
        let done = scenario.assert_whole_or_nothing(&world, &case);
        assert_eq!(ran.status, if done { 0 } else { 1 }, "{case}: {ran}");
        if !done {
            let help = ran.problem()["help"].to_string();
            assert!(help.contains("nothing was changed"), "{case}: {ran}");
            codes.insert(code(&ran));
        }
        scenario.assert_next_run_finishes(&world, &case);
    }
    panic!("there is no end to {calls}");
}

fn only<const N: usize>(codes: [&str; N]) -> BTreeSet<String> {
    codes.map(str::to_owned).into()
}

#[test]
fn a_copy_of_the_originals_that_cannot_be_finished_stops_the_migration() {
    let scenario = Scenario::first();
    let all = |calls, error| codes(&scenario, (calls, On::Everything), error, 1);

    assert_eq!(all("?mkdir,mkdirat", "ENOSPC"), only(["file::unwritable"]));
    assert_eq!(all("?rename,?renameat,renameat2", "EIO"), only(["file::unwritable"]));
    assert!(all(SYNCS, "EIO").contains("file::unwritable"));
}

#[test]
fn a_first_migration_whose_syncs_fail_changes_nothing_and_says_so() {
    let scenario = Scenario::first();

    assert_eq!(codes(&scenario, (SYNCS, On::Log), "EIO", 1), only(["database::disk"]));
    assert_eq!(codes(&scenario, (SYNCS, On::Database), "EIO", 1), only(["database::disk"]));
}

#[test]
fn a_second_migration_whose_syncs_fail_changes_nothing_and_says_so() {
    let scenario = Scenario::second();

    assert_eq!(codes(&scenario, (SYNCS, On::Log), "EIO", 1), only(["database::disk"]));
    // The revision is safe in the log by then.
    assert_eq!(codes(&scenario, (SYNCS, On::Database), "EIO", 1), only([]));
}

#[test]
fn a_first_migration_that_finds_no_room_to_write_changes_nothing_and_says_so() {
    let scenario = Scenario::first();

    assert_eq!(codes(&scenario, ("pwrite64", On::Log), "ENOSPC", 4), only(["database::full"]));
    assert_eq!(codes(&scenario, ("pwrite64", On::Database), "ENOSPC", 3), only(["database::full"]));
}

#[test]
fn a_second_migration_that_finds_no_room_to_write_changes_nothing_and_says_so() {
    let scenario = Scenario::second();

    assert_eq!(codes(&scenario, ("pwrite64", On::Log), "ENOSPC", 2), only(["database::full"]));
    // The revision is safe in the log by then.
    assert_eq!(codes(&scenario, ("pwrite64", On::Database), "ENOSPC", 2), only([]));
}

/// SQLite does not tell why it cannot make its `-shm` file, and a full disk is the usual cause.
#[test]
fn a_second_migration_whose_writes_fail_changes_nothing_and_says_so() {
    let scenario = Scenario::second();

    assert_eq!(
        codes(&scenario, ("pwrite64", On::Log), "EIO", 2),
        only(["database::disk", "database::full"])
    );
}

/// SQLite calls some of what it cannot read damaged.
#[test]
fn a_second_migration_whose_reads_fail_changes_nothing_and_says_so() {
    let codes = codes(&Scenario::second(), ("pread64", On::Database), "EIO", 2);

    assert_eq!(codes, only(["database::damaged", "database::disk"]));
}

/// SQLite takes back what it cannot commit, which sqlx does not hear of.
#[test]
fn what_is_written_again_after_a_commit_that_failed_is_written_or_said_to_be_lost() {
    let job = "[[job]]\nname = 'night'\ncron = '@daily'\nverb = 'audit-verify'\n";
    let before = World::sqlite();
    before.write("setpoint.toml", format!("{job}[jobs]\nlease_ms = 1000\n"));
    before.migrate("a: 1\n");
    let mut failed = 0;
    for number in 1..=8 {
        let world = before.copy();
        let inject = format!("inject={SYNCS}:error=EIO:when={number}+");

        let arguments = ["jobs", "run", "night"];
        let (ran, log) = strace::traced(&world, (SYNCS, On::Log), Some(&inject), &arguments);

        failed += usize::from(log.contains("(INJECTED)"));
        let state = world.sql("SELECT state FROM job_run");
        assert!(ran.status == 1 || state == "succeeded", "sync {number} failed: {state}: {ran}");
    }
    assert!(failed > 2, "no sync failed");
}
