use chrono::{DateTime, TimeZone as _, Utc};

use super::{Due, due};
use crate::job::{Declared, Job, Missed, read};

fn job(cron: &str, missed: &str) -> Job {
    let declared = Declared {
        name: "night".into(),
        cron: cron.into(),
        verb: "vacuum".into(),
        missed: Some(missed.into()),
        ..Declared::default()
    };
    read(&[declared], &[], true).unwrap().remove(0)
}

/// A minute of 1 May 2026.
fn at(hour: u32, minute: u32, second: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 5, 1, hour, minute, second).unwrap()
}

#[test]
fn what_came_since_is_run_once() {
    let found = due(&job("0 3 * * *", "skip"), at(2, 59, 59), at(3, 0, 1));

    let run = vec![at(3, 0, 0)];
    assert_eq!(found, Due { run, skipped: None, note: None, considered: at(3, 0, 1) });
    assert!(due(&job("0 3 * * *", "skip"), at(3, 0, 1), at(3, 0, 59)).run.is_empty());
}

#[test]
fn missed_runs_are_let_go_made_up_for_by_one_or_all_made_up_for() {
    let since = at(0, 30, 0);
    let hours = |from| (from..=3).map(|it| at(it, 0, 0)).collect::<Vec<_>>();

    for (late, on_time) in [(at(3, 30, 0), None), (at(3, 0, 30), Some(at(3, 0, 0)))] {
        let ways = ["skip", "once", "all"].map(|it| due(&job("0 * * * *", it), since, late));
        let [skip, once, all] = ways;
        assert_eq!(skip.run, Vec::from_iter(on_time));
        assert_eq!(skip.skipped, Some(at(if on_time.is_some() { 2 } else { 3 }, 0, 0)));
        assert_eq!((once.run, once.skipped), (vec![at(3, 0, 0)], None));
        assert_eq!((all.run, all.skipped), (hours(1), None));
    }
}

#[test]
fn no_more_than_a_hundred_missed_runs_are_made_up_for_and_it_is_said() {
    let job = job("* * * * *", "all");
    assert_eq!(job.missed, Missed::All);
    let found = due(&job, at(0, 0, 0), at(12, 0, 30) + chrono::Duration::minutes(10));

    assert_eq!(found.run.len(), 101, "a hundred that were missed and the one that was not");
    assert_eq!(found.run[0], at(10, 30, 0));
    insta::assert_snapshot!(found.note.unwrap(), @"more than 100 runs were missed, the last that of 2026-05-01T12:09:00.000Z; each is made up for; older ones are left out");
}

#[test]
fn jitter_delays_a_run_and_is_the_same_for_everybody() {
    let mut job = job("0 * * * *", "once");
    job.jitter = std::time::Duration::from_secs(600);
    let late: Vec<_> = (0..24).map(|hour| job.due_at(at(hour, 0, 0)) - at(hour, 0, 0)).collect();

    let longest = chrono::Duration::minutes(10);
    assert!(late.iter().all(|it| *it >= chrono::Duration::zero() && *it < longest));
    assert!(late.iter().collect::<std::collections::HashSet<_>>().len() > 20);
    let due_at = job.due_at(at(3, 0, 0));
    let before = due(&job, at(2, 30, 0), due_at - chrono::Duration::milliseconds(1));
    assert!(before.run.is_empty() && before.considered < at(3, 0, 0), "{before:?}");
    assert_eq!(due(&job, before.considered, due_at).run, [at(3, 0, 0)]);
}
