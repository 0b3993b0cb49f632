//! What holds of any backups and any policy.

use proptest::prelude::*;

use super::*;

const NOW: &str = "2026-05-02T12:00:00Z";

proptest! {
    #[test]
    fn what_must_stay_always_does(backups in some_backups(), policy in any_policy()) {
        let decisions = decide(&backups, &policy, moment(NOW)).unwrap();

        let is_kept = |name: &str| decisions.iter().any(|it| it.name == name && it.is_kept());
        let order = |it: &&Backup| (it.at, it.name.clone());
        let past = || backups.iter().filter(|it| it.at <= moment(NOW));
        let newest = past().max_by_key(order);
        let verified = past().filter(|it| it.trust.is_verified());
        let newest_verified = verified.max_by_key(order);
        let is_other = |it: &&Backup| {
            it.is_pinned || it.trust == Trust::Unknown || it.at > moment(NOW)
        };
        let others = backups.iter().filter(is_other);
        let stay = newest.into_iter().chain(newest_verified).chain(others);
        prop_assert!(stay.into_iter().all(|it| is_kept(&it.name)));
    }

    #[test]
    fn each_backup_is_decided_on_once(backups in some_backups(), policy in any_policy()) {
        let decisions = decide(&backups, &policy, moment(NOW)).unwrap();

        let mut decided: Vec<_> = decisions.into_iter().map(|it| (it.name, it.at)).collect();
        let mut given: Vec<_> = backups.into_iter().map(|it| (it.name, it.at)).collect();
        decided.sort();
        given.sort();
        prop_assert_eq!(decided, given);
    }

    #[test]
    fn one_more_rule_never_removes_more(
        backups in some_backups(),
        policy in any_policy(),
        other in any_policy(),
        which in 0..7,
    ) {
        let mut more = policy.clone();
        let rule = match which {
            0 => { more.keep_within = more.keep_within.or(other.keep_within); None }
            1 => Some((&mut more.keep_last, other.keep_last)),
            2 => Some((&mut more.keep_hourly, other.keep_hourly)),
            3 => Some((&mut more.keep_daily, other.keep_daily)),
            4 => Some((&mut more.keep_weekly, other.keep_weekly)),
            5 => Some((&mut more.keep_monthly, other.keep_monthly)),
            _ => Some((&mut more.keep_yearly, other.keep_yearly)),
        };
        if let Some((rule, count)) = rule && rule.is_zero() {
            *rule = count;
        }

        let (before, after) = (kept(&backups, &policy), kept(&backups, &more));
        prop_assert!(before.iter().all(|it| after.contains(it)));
    }

    #[test]
    fn deciding_again_on_what_was_kept_changes_nothing(
        backups in some_backups(),
        policy in any_policy(),
    ) {
        let first = kept(&backups, &policy);

        prop_assert_eq!(kept(&first, &policy), first);
    }

    #[test]
    fn the_order_they_are_given_in_does_not_matter(
        backups in some_backups(),
        policy in any_policy(),
    ) {
        let reversed: Vec<Backup> = backups.iter().rev().cloned().collect();

        let decisions = [&backups, &reversed].map(|it| decide(it, &policy, moment(NOW)).unwrap());
        prop_assert_eq!(&decisions[0], &decisions[1]);
    }

    #[test]
    fn all_is_as_many_as_there_are(backups in some_backups(), policy in any_policy()) {
        let mut counted = policy.clone();
        for count in counts(&mut counted) {
            if *count == Count::All {
                *count = Count::UpTo(1000);
            }
        }

        let decisions = [&policy, &counted].map(|it| decide(&backups, it, moment(NOW)).unwrap());
        prop_assert_eq!(&decisions[0], &decisions[1]);
    }
}

fn kept(backups: &[Backup], policy: &Policy) -> Vec<Backup> {
    let decisions = decide(backups, policy, moment(NOW)).unwrap();
    let is_kept = |name: &str| decisions.iter().any(|it| it.name == name && it.is_kept());
    backups.iter().filter(|it| is_kept(&it.name)).cloned().collect()
}

/// Some are of the same moment, some of times to come.
fn some_backups() -> impl Strategy<Value = Vec<Backup>> {
    let hours = prop_oneof![-48..48_i64, 0..1000_i64, 0..30_000_i64];
    let marks = [0.1, 0.2].map(prop::bool::weighted);
    let known = prop::sample::select(vec!["v", "v", "v", "v", "v", "u", "d"]);
    let backups = prop::collection::vec((hours, known, marks), 0..40);
    backups.prop_map(|backups| {
        let backups = backups.into_iter().enumerate();
        let backups = backups.map(|(at, (hours, known, marks))| {
            let (name, at) = (format!("b{at}"), moment(NOW) - Duration::hours(hours));
            let (is_pinned, is_before_migration) = (marks[0], marks[1]);
            Backup { name, at, trust: trust(at, known), is_pinned, is_before_migration }
        });
        backups.collect()
    })
}

/// One that keeps something.
pub(super) fn any_policy() -> impl Strategy<Value = Policy> {
    let count = || {
        prop_oneof![
            4 => Just(Count::UpTo(0)),
            4 => (1..6_u32).prop_map(Count::UpTo),
            1 => Just(Count::All),
        ]
    };
    let given = [count(), count(), count(), count(), count(), count()];
    let span = (0..3_u32, 0..15_u32, 0..40_u32, 0..50_u32);
    let span = span.prop_map(|(years, months, days, hours)| {
        format!("{years}y{months}m{days}d{hours}h").parse().unwrap()
    });
    let zone = prop::sample::select(vec![
        chrono_tz::UTC,
        chrono_tz::Europe::Berlin,
        chrono_tz::America::New_York,
        chrono_tz::Australia::Lord_Howe,
    ]);
    let within = prop_oneof![2 => Just(None), 1 => span.prop_map(Some)];
    let policy = (given, within, zone).prop_map(|(given, keep_within, time_zone)| {
        let mut policy = Policy { keep_within, time_zone, ..Policy::default() };
        for (count, given) in counts(&mut policy).into_iter().zip(given) {
            *count = given;
        }
        policy
    });
    policy.prop_filter("keeps something", |it| it.check().is_ok())
}

fn counts(policy: &mut Policy) -> [&mut Count; 6] {
    [
        &mut policy.keep_last,
        &mut policy.keep_hourly,
        &mut policy.keep_daily,
        &mut policy.keep_weekly,
        &mut policy.keep_monthly,
        &mut policy.keep_yearly,
    ]
}
