//! Who gets a run, and what becomes of it: the library, with a clock that the tests set.

use insta::assert_snapshot;
use setpoint_ops::job::{Ended, State, consider, pause, release, renew, resume};

use super::{Jobs, at, instance, job, minute, runs, succeeded};
use crate::world::{World, block_on};

on_both![
    a_run_is_claimed_by_one_and_recorded_once,
    a_run_whose_instance_died_is_taken_over_and_who_comes_back_records_nothing,
    a_run_that_kills_whoever_runs_it_is_abandoned,
    what_failed_is_tried_again_later_and_later,
    what_was_found_is_not_tried_again,
    a_run_that_goes_on_has_the_next_skipped_or_wait,
    missed_runs_are_as_the_policy_says,
    other_times_of_a_job_begin_when_they_are_declared,
    what_passes_while_a_job_is_paused_is_not_made_up_for,
    a_run_that_was_given_back_is_begun_at_once_and_has_lost_nothing,
];

fn a_run_is_claimed_by_one_and_recorded_once(world: &World) {
    let jobs = Jobs::of(world, job(|_| {}));
    let claim = jobs.tick_as("one", 1, 0).unwrap();

    assert_eq!((minute(&claim), claim.attempt), (1, 1));
    assert_eq!(jobs.tick_as("two", 1, 1), None);
    assert_eq!(jobs.end(&claim, &succeeded(), 1), Some(State::Succeeded));
    assert_eq!(jobs.end(&claim, &succeeded(), 1), None);
    assert_eq!(jobs.tick_as("two", 1, 2), None);
    assert_snapshot!(runs(world), @"1: succeeded");
}

fn a_run_whose_instance_died_is_taken_over_and_who_comes_back_records_nothing(world: &World) {
    let jobs = Jobs::of(world, job(|_| {}));
    let frozen = jobs.tick_as("one", 1, 0).unwrap();
    jobs.silence(&frozen);
    let again = jobs.tick_as("two", 1, 30).unwrap();

    assert_eq!((minute(&again), again.attempt, again.token > frozen.token), (1, 2, true));
    assert_eq!(jobs.end(&frozen, &Ended::failed("too late"), 1), None);
    assert!(!block_on(renew(&jobs.db, &frozen, &instance("one"), at(1, 0))).unwrap());
    assert_eq!(jobs.end(&again, &succeeded(), 1), Some(State::Succeeded));
    assert_snapshot!(runs(world), @"1: succeeded, taken over from one, which was not heard of any more");
}

fn a_run_that_kills_whoever_runs_it_is_abandoned(world: &World) {
    let jobs = Jobs::of(world, job(|_| {}));
    for attempt in 1..=3 {
        let claim = jobs.tick(1, attempt).unwrap();
        assert_eq!(claim.attempt, attempt);
        jobs.silence(&claim);
    }

    assert_eq!(jobs.tick(1, 4), None);
    assert_snapshot!(runs(world), @"1: abandoned, one had it, and was not heard of any more, taken over from one, which was not heard of any more");
}

fn what_failed_is_tried_again_later_and_later(world: &World) {
    let jobs = Jobs::of(
        world,
        job(|it| {
            it.cron = "1 * * * *".to_owned();
            it.retries = Some(2);
        }),
    );
    let failed = Ended::failed("no luck");
    let first = jobs.tick(1, 0).unwrap();
    assert_eq!(jobs.end(&first, &failed, 1), Some(State::Queued));
    assert_eq!(jobs.tick(1, 59), None);
    let second = jobs.tick(2, 0).unwrap();
    assert_eq!(jobs.end(&second, &failed, 2), Some(State::Queued));
    assert_eq!(jobs.tick(3, 29), None);
    let third = jobs.tick(3, 30).unwrap();

    assert_eq!((third.attempt, minute(&third)), (3, 1));
    assert_eq!(jobs.end(&third, &failed, 3), Some(State::Failed));
    assert_eq!(jobs.tick(30, 0), None);
    assert_snapshot!(runs(world), @"1: failed, no luck");
}

fn what_was_found_is_not_tried_again(world: &World) {
    let jobs = Jobs::of(world, job(|it| it.retries = Some(2)));
    let claim = jobs.tick(1, 0).unwrap();

    assert_eq!(jobs.end(&claim, &Ended::found("it was edited"), 1), Some(State::Failed));

    assert_snapshot!(runs(world), @"1: failed, it was edited");
}

fn a_run_that_goes_on_has_the_next_skipped_or_wait(world: &World) {
    let forbid = Jobs::of(world, job(|_| {}));
    let claim = forbid.tick(1, 0).unwrap();
    block_on(consider(&forbid.db, &forbid.job, at(2, 0))).unwrap();
    assert_eq!(forbid.tick_as("two", 2, 1), None);
    assert_eq!(forbid.end(&claim, &succeeded(), 2), Some(State::Succeeded));
    assert_eq!(forbid.all(3, 0), [3]);

    let queue = Jobs { job: job(|it| it.overlap = Some("queue".to_owned())), ..forbid };
    let claim = queue.tick(4, 0).unwrap();
    block_on(consider(&queue.db, &queue.job, at(5, 0))).unwrap();
    assert_eq!(queue.tick_as("two", 5, 1), None);
    assert_eq!(queue.end(&claim, &succeeded(), 5), Some(State::Succeeded));
    assert_eq!(queue.all(5, 40), [5]);
    assert_snapshot!(runs(world), @r"
    1: succeeded
    2: skipped, the run of 2026-05-01T12:01:00.000Z still went on
    3: succeeded
    4: succeeded
    5: succeeded
    ");
}

fn missed_runs_are_as_the_policy_says(world: &World) {
    let policy = |name: &'static str| job(|it| it.missed = Some(name.to_owned()));
    let mut jobs = Jobs::of(world, policy("all"));
    assert_eq!(jobs.all(4, 0), [1, 2, 3, 4]);
    jobs.job = policy("once");
    assert_eq!(jobs.all(8, 0), [8]);
    jobs.job = policy("skip");
    assert_eq!(jobs.all(12, 0), [12]);
    assert_snapshot!(runs(world), @r"
    1: succeeded
    2: succeeded
    3: succeeded
    4: succeeded, 3 runs were missed, 2026-05-01T12:01:00.000Z to 2026-05-01T12:03:00.000Z; each is made up for
    8: succeeded, 3 runs were missed, 2026-05-01T12:05:00.000Z to 2026-05-01T12:07:00.000Z; this run makes up for that
    11: skipped, 3 runs were missed, 2026-05-01T12:09:00.000Z to 2026-05-01T12:11:00.000Z
    12: succeeded
    ");
}

fn other_times_of_a_job_begin_when_they_are_declared(world: &World) {
    let mut jobs = Jobs::of(world, job(|it| it.cron = "0 * * * *".to_owned()));
    jobs.job = job(|_| {});

    assert_eq!(jobs.all(30, 1), [30]);
    assert_eq!(jobs.all(31, 0), [31]);
}

fn what_passes_while_a_job_is_paused_is_not_made_up_for(world: &World) {
    let jobs = Jobs::of(world, job(|it| it.missed = Some("all".to_owned())));
    let (db, job) = (&jobs.db, &jobs.job);
    assert!(block_on(pause(db, job, "ann", at(1, 0))).unwrap());
    assert!(!block_on(pause(db, job, "bob", at(1, 0))).unwrap());

    assert_eq!((jobs.tick(1, 0), jobs.tick_as("two", 5, 0)), (None, None));
    assert!(block_on(resume(db, job, at(9, 30))).unwrap());
    assert_eq!(jobs.all(10, 0), [10]);
}

fn a_run_that_was_given_back_is_begun_at_once_and_has_lost_nothing(world: &World) {
    let jobs = Jobs::of(world, job(|_| {}));
    let claim = jobs.tick_as("one", 1, 0).unwrap();
    block_on(release(&jobs.db, &claim)).unwrap();
    let again = jobs.tick_as("two", 1, 1).unwrap();

    assert_eq!((minute(&again), again.attempt), (1, 1));
    assert_eq!(jobs.end(&claim, &succeeded(), 1), None);
    assert_eq!(jobs.end(&again, &succeeded(), 1), Some(State::Succeeded));
}
