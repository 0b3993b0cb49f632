//! The same as restic decides, see `scripts/restic.py`.
//!
//! What is asked is the same each time; SETPOINT_CASES asks for so many other policies.

use std::collections::BTreeSet;
use std::env;
use std::io::Write as _;
use std::process::{Command, Stdio};

use chrono_tz::Tz;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm::ChaCha, TestRng, TestRunner};

use super::properties::any_policy;
use super::*;

/// Policies in each time zone.
const CASES: usize = 24;
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/restic.py");

#[test]
fn restic_decides_the_same_in_utc() {
    compare(Tz::UTC, &["2024-02-29T00:00:00Z", "2024-12-30T00:00:00Z"]);
}

#[test]
fn restic_decides_the_same_in_berlin() {
    compare(Tz::Europe__Berlin, &["2024-03-31T00:00:00Z", "2024-10-27T00:00:00Z"]);
}

#[test]
fn restic_decides_the_same_in_new_york() {
    compare(Tz::America__New_York, &["2024-03-10T06:00:00Z", "2024-11-03T05:00:00Z"]);
}

/// Whose summer time is half an hour.
#[test]
fn restic_decides_the_same_on_lord_howe() {
    compare(Tz::Australia__Lord_Howe, &["2024-04-06T14:00:00Z", "2024-10-05T15:00:00Z"]);
}

/// Compares for generated policies and times, among them some of the nights that begin at `nights`.
fn compare(zone: Tz, nights: &[&str]) {
    if Command::new("restic").arg("version").stdout(Stdio::null()).status().is_err() {
        assert!(env::var_os("CI").is_none(), "scripts/setup-test.sh installs restic");
        eprintln!("skipped: there is no restic; scripts/setup-test.sh installs it");
        return;
    }
    let cases = env::var("SETPOINT_CASES").ok().map(|it| it.parse().unwrap());
    let mut runner = match cases {
        None => TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(ChaCha)),
        Some(_) => TestRunner::new(Config::default()),
    };
    let backups = draw(&some_times(nights), &mut runner);
    let policies = prop::collection::vec(any_policy(), cases.unwrap_or(CASES));
    let policies = draw(&policies, &mut runner).into_iter();
    let policies: Vec<Policy> = policies.map(|it| Policy { time_zone: zone, ..it }).collect();

    let now = moment("2025-01-02T00:00:00Z");
    // Ours goes by nothing that is dated later than now, so restic is asked without it.
    let past: Vec<&Backup> = backups.iter().filter(|it| it.at <= now).collect();
    let times: Vec<DateTime<Utc>> = past.iter().map(|it| it.at).collect();
    let asked: Vec<Vec<String>> = policies.iter().map(arguments).collect();
    let keeps_oldest = keeps_oldest();
    for (policy, answer) in policies.iter().zip(ask(zone, &times, &asked)) {
        let decisions = decide(&backups, policy, now).unwrap();
        for ((at, name), theirs) in times.iter().zip(past.iter().map(|it| &it.name)).zip(answer) {
            let decision = decisions.iter().find(|it| it.name == *name).unwrap();
            let ours = decision.reasons.iter().filter_map(|it| in_its_words(*it, keeps_oldest));
            let ours: Vec<String> = ours.collect();
            let theirs: Vec<String> = theirs.unwrap_or_default();
            let theirs: Vec<String> = theirs.iter().map(|it| it.replace("oldest ", "")).collect();

            assert_eq!(ours, theirs, "{at} in {zone} of {times:?} by {policy:?}");
        }
    }
}

/// A rule's reason as restic tells it; nothing where it has no such reason.
fn in_its_words(reason: Reason, keeps_oldest: bool) -> Option<String> {
    match reason {
        Reason::Within(span) => Some(format!("within {span}")),
        Reason::NewestOf(period) => Some(format!("{period} snapshot")),
        Reason::OldestOf(period) if keeps_oldest => Some(format!("{period} snapshot")),
        _ => None,
    }
}

/// Whether this restic keeps the oldest where a rule has some to spare.
fn keeps_oldest() -> bool {
    let times = ["2024-05-01T10:00:00Z", "2024-05-01T11:00:00Z"].map(moment);
    let policy = policy(r#"{"keep_daily": 2}"#);

    ask(Tz::UTC, &times, &[arguments(&policy)])[0][0].is_some()
}

/// The reasons to keep each, for each policy; nothing where it would be removed.
fn ask(
    zone: Tz,
    times: &[DateTime<Utc>],
    policies: &[Vec<String>],
) -> Vec<Vec<Option<Vec<String>>>> {
    let times = times.iter().map(|it| it.with_timezone(&zone).to_rfc3339());
    let question = serde_json::json!({
        "zone": zone.name(),
        "times": times.collect::<Vec<_>>(),
        "policies": policies,
    });
    let mut script = Command::new("python3");
    script.arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut asked = script.spawn().unwrap();
    asked.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let answer = asked.wait_with_output().unwrap();
    assert!(answer.status.success());
    serde_json::from_slice(&answer.stdout).unwrap()
}

fn arguments(policy: &Policy) -> Vec<String> {
    let counts = policy.counts().into_iter().filter(|(_, count)| !count.is_zero());
    let counts = counts.map(|(period, count)| match count {
        // As many as there are: each restic has a word of its own for all.
        Count::All => format!("--keep-{period}=1000"),
        Count::UpTo(count) => format!("--keep-{period}={count}"),
    });
    let within = policy.keep_within.filter(|it| !it.is_zero());
    counts.chain(within.map(|it| format!("--keep-within={it}"))).collect()
}

/// Verified backups: some going back from the end of 2024, some of the given nights, and maybe
/// one of a time to come.
fn some_times(nights: &[&str]) -> impl Strategy<Value = Vec<Backup>> {
    let nights: Vec<_> = nights.iter().map(|it| moment(it)).collect();
    let gap = prop_oneof![
        1..7_200_i64,
        3_600..200_000_i64,
        86_400..3_000_000_i64,
        20_000_000..60_000_000_i64
    ];
    let back = prop::collection::vec(gap, 40);
    let shortly = prop::collection::vec((prop::sample::select(nights), 0..40_i64), 12);
    (back, shortly, any::<bool>()).prop_map(|(back, shortly, is_one_ahead)| {
        let mut at = moment("2025-01-01T23:00:00Z");
        let back = back.into_iter().map(|gap| {
            at -= Duration::seconds(gap);
            at
        });
        let mut times: BTreeSet<_> = back.collect();
        times.extend(shortly.into_iter().map(|(night, at)| night + Duration::minutes(at * 10)));
        times.extend(is_one_ahead.then(|| moment("2090-01-01T00:00:00Z")));
        let times = times.into_iter().enumerate();
        let backups = times.map(|(number, at)| Backup {
            name: number.to_string(),
            at,
            trust: Trust::Verified(at),
            is_pinned: false,
            is_before_migration: false,
        });
        backups.collect()
    })
}

fn draw<S: Strategy>(strategy: &S, runner: &mut TestRunner) -> S::Value {
    strategy.new_tree(runner).unwrap().current()
}
