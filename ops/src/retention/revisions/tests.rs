//! What is decided on small histories, and what holds for all.

use chrono::{DateTime, Duration, TimeZone as _, Utc};
use insta::assert_snapshot;
use proptest::prelude::*;

use super::super::Count;
use super::*;

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 5, 1, 12, 0, 0).unwrap()
}

/// Revisions 1 to `count`, one a day, the newest at noon on 1 May.
fn daily(count: i64) -> Vec<Revision> {
    let one = |id| Revision {
        id,
        at: noon() - Duration::days(count - id),
        changes: id,
        is_sealed: true,
        is_retention: false,
    };
    (1..=count).map(one).collect()
}

fn keep_last(count: u32) -> Policy {
    Policy { keep_last: Count::UpTo(count), ..Policy::default() }
}

fn backed_up(id: i64) -> Bounds {
    Bounds { backed_up: Some(id), ..Bounds::default() }
}

/// What is decided with no needs but these, as text.
fn told(revisions: &[Revision], policy: Policy, bounds: Bounds, needs: &Needs) -> String {
    let ruled = ruled(revisions, &policy, bounds, noon() + Duration::hours(1)).unwrap();
    let line = |it: Range| {
        let reasons: Vec<_> = it.reasons.iter().map(ToString::to_string).collect();
        format!("{}-{} {}: {}\n", it.first, it.last, it.changes, reasons.join(", "))
    };
    let ranges: String = decide(revisions, &ruled, needs).into_iter().map(line).collect();
    format!("{ranges}horizon {}", ruled.horizon)
}

#[test]
fn the_rules_are_ored_and_tell_the_horizon() {
    let policy = Policy { keep_last: Count::UpTo(2), keep_within: Some("3d".parse().unwrap()) };

    assert_snapshot!(told(&daily(9), policy, backed_up(9), &Needs::default()), @r"
    1-6 21: 
    7-7 7: within 3d
    8-8 8: last revision, within 3d
    9-9 9: newest revision, last revision, within 3d
    horizon 6
    ");
}

#[test]
fn what_no_backup_holds_stays() {
    let one = |bounds| told(&daily(9), keep_last(2), bounds, &Needs::default());

    assert_snapshot!([one(backed_up(4)), one(Bounds::default())].join("\n\n"), @r"
    1-4 10: 
    5-7 18: in no verified backup of this history
    8-8 8: last revision, in no verified backup of this history
    9-9 9: newest revision, last revision, in no verified backup of this history
    horizon 4

    1-7 28: in no verified backup of this history
    8-8 8: last revision, in no verified backup of this history
    9-9 9: newest revision, last revision, in no verified backup of this history
    horizon 0
    ");
}

#[test]
fn what_is_not_sealed_or_not_confirmed_stays_with_all_that_came_later() {
    let mut revisions = daily(9);
    revisions[5].is_sealed = false;
    let bounds = Bounds { unconfirmed: Some(4), ..backed_up(9) };

    assert_snapshot!(told(&revisions, keep_last(2), bounds, &Needs::default()), @r"
    1-3 6: 
    4-5 9: not confirmed, or newer than one that is not
    6-7 13: not sealed, or newer than one that is not, not confirmed, or newer than one that is not
    8-8 8: last revision, not sealed, or newer than one that is not, not confirmed, or newer than one that is not
    9-9 9: newest revision, last revision, not sealed, or newer than one that is not, not confirmed, or newer than one that is not
    horizon 3
    ");
}

#[test]
fn what_retention_adds_stays_and_pushes_out_nothing() {
    let mut revisions = daily(9);
    revisions[2].is_retention = true;
    revisions[8].is_retention = true;

    assert_snapshot!(told(&revisions, keep_last(2), backed_up(9), &Needs::default()), @r"
    1-2 3: 
    3-3 3: says what was removed
    4-6 15: 
    7-8 15: last revision
    9-9 9: newest revision, says what was removed
    horizon 6
    ");
}

#[test]
fn a_clock_that_was_ahead_does_not_make_the_others_old() {
    let mut revisions = daily(9);
    revisions[3].at = noon() + Duration::days(900);
    let policy = Policy { keep_within: Some("3d".parse().unwrap()), ..Policy::default() };

    assert_snapshot!(told(&revisions, policy, backed_up(9), &Needs::default()), @r"
    1-3 6: 
    4-4 4: within 3d
    5-6 11: 
    7-8 15: within 3d
    9-9 9: newest revision, within 3d
    horizon 6
    ");
}

#[test]
fn a_deletion_stays_while_what_it_deleted_does() {
    let needs = Needs {
        reasons: BTreeMap::from([(1, vec![Reason::Live]), (4, vec![Reason::Horizon])]),
        // 3 deleted what 1 set, 5 what 3 and 2 did, 6 what 2 did.
        deletions: vec![(3, 1), (5, 3), (5, 2), (6, 2)],
    };

    assert_snapshot!(told(&daily(9), keep_last(2), backed_up(9), &needs), @r"
    1-1 1: live settings come from it
    2-2 2: 
    3-3 3: deleted what another set
    4-4 4: earlier moments are told by it
    5-5 5: deleted what another set
    6-7 13: 
    8-8 8: last revision
    9-9 9: newest revision, last revision
    horizon 7
    ");
}

#[test]
fn a_policy_that_keeps_nothing_is_refused() {
    for policy in [keep_last(0), Policy { keep_within: Some(Span::default()), ..keep_last(0) }] {
        let refused = ruled(&daily(2), &policy, backed_up(2), noon());

        assert!(matches!(refused, Err(Error::KeepsNoRevision)), "{refused:?}");
    }
}

proptest! {
    #[test]
    fn each_revision_has_one_fate_and_nothing_that_is_needed_goes(
        count in 1..40_i64,
        keep in 1..10_u32,
        end in prop::option::of(1..40_i64),
        live in prop::collection::vec(1..40_i64, 0..10),
        deletions in prop::collection::vec((2..40_i64, 1..40_i64), 0..20),
    ) {
        let revisions = daily(count);
        let bounds = Bounds { backed_up: end, ..Bounds::default() };
        let ruled = ruled(&revisions, &keep_last(keep), bounds, noon()).unwrap();
        let deletions: Vec<_> = deletions.into_iter().filter(|it| it.1 < it.0).collect();
        let reasons = live.iter().map(|it| (*it, vec![Reason::Live])).collect();
        let needs = Needs { reasons, deletions: deletions.clone() };
        let ranges = decide(&revisions, &ruled, &needs);

        let mut fates = Vec::new();
        for range in &ranges {
            fates.extend((range.first..=range.last).map(|it| (it, range.is_kept())));
        }
        prop_assert!(fates.iter().map(|it| it.0).eq(1..=count));
        let kept = |id: i64| fates.contains(&(id, true));
        let newest = count + 1 - i64::from(keep);
        for id in 1..=count {
            let is_safe = id >= newest || end.is_none_or(|it| id > it) || live.contains(&id);
            prop_assert!(kept(id) || !is_safe);
            prop_assert!(kept(id) || id <= ruled.horizon);
        }
        for (deletion, earlier) in deletions.iter().filter(|it| it.0 <= count) {
            prop_assert!(kept(*deletion) || !kept(*earlier));
        }
        let sum: i64 = ranges.iter().map(|it| it.changes).sum();
        prop_assert_eq!(sum, (1..=count).sum::<i64>());
    }
}
