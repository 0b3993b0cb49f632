//! Generated faults in backups, restores, removals and jobs: kills and failing calls anywhere in a
//! run, and disks that fill up. Whatever comes: what was acknowledged is there, the newest good
//! backup restores, and the next run does the work and clears up.
//!
//! A case is made of the seed and its number alone. `SETPOINT_TORTURE_CASES` says how many there
//! are, `SETPOINT_TORTURE_SEED` of what seed, `SETPOINT_TORTURE_ONLY` runs that one case.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, thread};

use crate::world::World;

mod case;
mod ground;
mod sound;

use case::Case;
use ground::Ground;

/// How many cases there are, of all: the long run is `make torture`.
const CASES: u64 = 18;
/// Of how many one is on PostgreSQL.
const ON_POSTGRES: u64 = 6;
const SEED: u64 = 20_261_121;
/// More of them come to nothing than this only if nothing works.
const MOST_IN_VAIN: u64 = 4;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|it| it.parse().unwrap())
}

/// Runs cases until so many of them have come to a fault.
fn torture(ground: &Ground, wanted: u64) {
    let seed = number("SETPOINT_TORTURE_SEED").unwrap_or(SEED);
    if let Some(only) = number("SETPOINT_TORTURE_ONLY") {
        let case = Case::new(ground, seed, only);
        println!("{case}: {}", case.run(ground));
        return;
    }
    let (next, happened) = (AtomicU64::new(0), AtomicU64::new(0));
    let (counts, failed) = (Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
    let work = || {
        while happened.load(Ordering::Relaxed) < wanted {
            let number = next.fetch_add(1, Ordering::Relaxed);
            assert!(number < wanted * MOST_IN_VAIN, "most cases come to nothing");
            let case = Case::new(ground, seed, number);
            let run = catch_unwind(AssertUnwindSafe(|| case.run(ground)));
            let outcome = run.unwrap_or_else(|reason| {
                let again = format!("SETPOINT_TORTURE_SEED={seed} SETPOINT_TORTURE_ONLY={number}");
                failed.lock().unwrap().push(format!("{again}: {case}: {}", said(&*reason)));
                "failed"
            });
            if outcome != case::IN_VAIN {
                let so_far = happened.fetch_add(1, Ordering::Relaxed) + 1;
                if so_far % 100 == 0 {
                    println!("torture: {so_far} of {wanted} faults");
                }
            }
            *counts.lock().unwrap().entry((case.kind(), outcome)).or_insert(0) += 1;
        }
    };
    // The short run is one of many tests that run at the same time.
    let is_long = number("SETPOINT_TORTURE_CASES").is_some();
    let threads = if is_long { thread::available_parallelism().unwrap().get() } else { 1 };
    thread::scope(|scope| {
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });

    let name = if ground.is_postgres() { "PostgreSQL" } else { "SQLite" };
    let happened = happened.into_inner();
    println!("torture on {name}, seed {seed}: {happened} faults");
    for ((kind, outcome), count) in counts.into_inner().unwrap() {
        println!("  {count:5} {kind}: {outcome}");
    }
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {happened} failed:\n{}", failed.len(), failed.join("\n"));
}

fn said(reason: &(dyn Any + Send)) -> String {
    let text = reason.downcast_ref::<String>().cloned();
    text.or_else(|| reason.downcast_ref::<&str>().map(|it| (*it).to_owned())).unwrap_or_default()
}

#[test]
fn whatever_hits_a_backup_a_restore_or_a_job_on_sqlite_nothing_is_lost() {
    let cases = number("SETPOINT_TORTURE_CASES").unwrap_or(CASES);

    torture(&Ground::new(World::sqlite()), cases - cases / ON_POSTGRES);
}

#[test]
fn whatever_hits_a_backup_a_restore_or_a_job_on_postgres_nothing_is_lost() {
    let cases = number("SETPOINT_TORTURE_CASES").unwrap_or(CASES);

    torture(&Ground::new(World::postgres()), cases / ON_POSTGRES);
}
