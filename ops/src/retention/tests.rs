use chrono::{Duration, TimeZone};

use super::*;
use crate::Error;

mod properties;
mod restic;

/// Backups, each a name, a time and what there is to say: `v`erified, `p`inned, before a
/// `m`igration, `u`nknown, `r`eplaced, `t`ampered with; others were found damaged as soon as they were there.
fn backups(lines: &[(&str, &str, &str)]) -> Vec<Backup> {
    let backup = |(name, at, marks): &(&str, &str, &str)| Backup {
        name: (*name).to_owned(),
        at: moment(at),
        trust: trust(moment(at), marks),
        is_pinned: marks.contains('p'),
        is_before_migration: marks.contains('m'),
    };
    lines.iter().map(backup).collect()
}

fn trust(at: DateTime<Utc>, marks: &str) -> Trust {
    match marks {
        _ if marks.contains('v') => Trust::Verified(at),
        _ if marks.contains('u') => Trust::Unknown,
        _ if marks.contains('r') => Trust::Replaced,
        _ if marks.contains('t') => Trust::Tampered(at),
        _ => Trust::Doubted(at),
    }
}

fn moment(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn policy(text: &str) -> Policy {
    serde_json::from_str(text).unwrap()
}

/// What is decided at noon of 2 May 2026, one line a backup.
fn decided(lines: &[(&str, &str, &str)], policy: &Policy) -> String {
    let decisions = decide(&backups(lines), policy, moment("2026-05-02T12:00:00Z")).unwrap();
    let shown = decisions.iter().map(|it| {
        let reasons: Vec<String> = it.reasons.iter().map(Reason::to_string).collect();
        if it.is_kept() {
            format!("{}: {}", it.name, reasons.join("; "))
        } else {
            format!("{} goes", it.name)
        }
    });
    shown.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_reason_of_a_backup_is_told() {
    let lines = [
        ("a", "2025-12-31T10:00:00Z", "v"),
        ("b", "2026-04-30T10:00:00Z", "v"),
        ("c", "2026-05-01T10:00:00Z", "v"),
        ("d", "2026-05-02T09:00:00Z", "v"),
        ("e", "2026-05-02T10:00:00Z", "v"),
    ];
    let policy = policy(
        r#"{"keep_last": 1, "keep_daily": 2, "keep_monthly": 2, "keep_yearly": 1, "keep_within": "1d"}"#,
    );

    insta::assert_snapshot!(decided(&lines, &policy), @r"
    e: within 1d; last backup; daily backup; monthly backup; yearly backup; newest backup; newest verified backup
    d: within 1d
    c: daily backup
    b: monthly backup
    a goes
    ");
}

#[test]
fn a_rule_with_backups_to_spare_keeps_the_oldest_as_well() {
    let lines = [
        ("a", "2026-05-01T10:00:00Z", "v"),
        ("b", "2026-05-01T11:00:00Z", "v"),
        ("c", "2026-05-01T12:00:00Z", "v"),
        ("d", "2026-05-02T10:00:00Z", "v"),
    ];

    insta::assert_snapshot!(decided(&lines, &policy(r#"{"keep_daily": 3}"#)), @r"
    d: daily backup; newest backup; newest verified backup
    c: daily backup
    b goes
    a: oldest daily backup
    ");
}

#[test]
fn what_is_not_verified_stays_until_a_newer_one_is_and_its_time_is_over() {
    let lines = [
        ("old", "2026-04-01T10:00:00Z", ""),
        ("recent", "2026-04-30T10:00:00Z", ""),
        ("good", "2026-05-01T10:00:00Z", "v"),
        ("newer", "2026-05-01T11:00:00Z", ""),
        ("newest", "2026-05-02T11:00:00Z", ""),
    ];

    insta::assert_snapshot!(decided(&lines, &policy(r#"{"keep_last": 1}"#)), @r"
    newest: newest backup; not verified, and no newer one is; not verified, kept for 7d
    newer: not verified, and no newer one is; not verified, kept for 7d
    good: last backup; newest verified backup
    recent: not verified, kept for 7d
    old goes
    ");
}

#[test]
fn what_is_not_verified_takes_no_place_of_what_is() {
    let lines = [
        ("good", "2026-05-01T10:00:00Z", "v"),
        ("doubtful", "2026-05-01T11:00:00Z", ""),
        ("newest", "2026-05-02T11:00:00Z", ""),
    ];

    let policy = policy(r#"{"keep_daily": 1, "unverified_for": "0d"}"#);
    insta::assert_snapshot!(decided(&lines, &policy), @r"
    newest: newest backup; not verified, and no newer one is
    doubtful: not verified, and no newer one is
    good: daily backup; newest verified backup
    ");
}

#[test]
fn what_was_taken_of_a_damaged_history_takes_no_place_of_what_is_sound() {
    let lines = [
        ("oldest", "2026-04-29T10:00:00Z", "v"),
        ("older", "2026-04-30T10:00:00Z", "v"),
        GOOD,
        ("edited", "2026-05-01T11:00:00Z", "t"),
        ("edited too", "2026-05-02T10:00:00Z", "t"),
        ("edited still", "2026-05-02T11:00:00Z", "t"),
    ];

    insta::assert_snapshot!(decided(&lines, &policy(r#"{"keep_last": 2}"#)), @r"
    edited still: last backup; newest backup
    edited too: last backup
    edited goes
    good: last backup; newest verified backup
    older: last backup
    oldest goes
    ");
}

#[test]
fn an_old_one_that_is_found_damaged_stays_as_long_as_a_new_one() {
    let mut monthly = backups(&[("monthly", "2025-12-31T10:00:00Z", ""), GOOD]);
    let policy = policy(r#"{"keep_last": 1}"#);
    let mut reasons_when_doubted = |at| {
        monthly[0].trust = Trust::Doubted(moment(at));
        let decided = decide(&monthly, &policy, moment("2026-05-02T12:00:00Z")).unwrap();
        decided[1].reasons.iter().map(Reason::to_string).collect::<Vec<_>>().join("; ")
    };

    assert_eq!(reasons_when_doubted("2026-05-02T02:00:00Z"), "not verified, kept for 7d");
    assert_eq!(reasons_when_doubted("2026-04-25T13:00:00Z"), "not verified, kept for 7d");
    assert_eq!(reasons_when_doubted("2026-04-25T11:00:00Z"), "");
}

const GOOD: (&str, &str, &str) = ("good", "2026-05-01T10:00:00Z", "v");

#[test]
fn what_is_unknown_stays_and_takes_no_place_of_what_is_known() {
    let lines = [
        ("theirs long ago", "2020-01-01T10:00:00Z", "u"),
        ("older", "2026-04-30T10:00:00Z", "v"),
        GOOD,
        ("doubted", "2026-05-01T11:00:00Z", ""),
        ("theirs", "2026-05-02T11:00:00Z", "u"),
        ("put there", "2026-05-02T11:30:00Z", "r"),
    ];

    let policy = policy(r#"{"keep_last": 1, "unverified_for": "0d"}"#);
    insta::assert_snapshot!(decided(&lines, &policy), @r"
    put there: not the archive that this database knows by its name
    theirs: unknown to this database
    doubted: newest backup; not verified, and no newer one is
    good: last backup; newest verified backup
    older goes
    theirs long ago: unknown to this database
    ");
}

#[test]
fn pinned_ones_and_those_before_a_migration_stay() {
    let lines = [
        ("long ago", "2026-03-01T10:00:00Z", "vm"),
        ("pinned", "2026-03-02T10:00:00Z", "vp"),
        ("migration", "2026-04-10T10:00:00Z", "vm"),
        ("plain", "2026-04-11T10:00:00Z", "v"),
        ("good", "2026-05-02T10:00:00Z", "v"),
    ];

    insta::assert_snapshot!(decided(&lines, &policy(r#"{"keep_last": 1}"#)), @r"
    good: last backup; newest backup; newest verified backup
    plain goes
    migration: before a migration, kept for 30d
    pinned: pinned
    long ago goes
    ");
}

/// 23:30 UTC is the next day in Berlin.
#[test]
fn days_are_those_of_the_time_zone() {
    let lines = [
        ("a", "2026-01-01T22:30:00Z", "v"),
        ("b", "2026-01-01T23:30:00Z", "v"),
        ("c", "2026-01-02T10:00:00Z", "v"),
    ];
    let in_zone = |zone: &str| {
        let policy = policy(&format!(r#"{{"keep_daily": 2, "time_zone": "{zone}"}}"#));
        decided(&lines, &policy).lines().filter(|it| it.ends_with("goes")).collect::<String>()
    };

    assert_eq!((in_zone("UTC"), in_zone("Europe/Berlin")), ("a goes".into(), "b goes".into()));
}

/// The 1st of January 2021 is a Friday, in week 53 of 2020.
#[test]
fn weeks_go_on_over_the_end_of_a_year() {
    let lines = [
        ("a", "2020-12-27T10:00:00Z", "v"),
        ("b", "2020-12-28T10:00:00Z", "v"),
        ("c", "2021-01-01T10:00:00Z", "v"),
    ];

    insta::assert_snapshot!(decided(&lines, &policy(r#"{"keep_weekly": 2}"#)), @r"
    c: weekly backup; newest backup; newest verified backup
    b goes
    a: weekly backup
    ");
}

#[test]
fn one_that_is_dated_later_than_now_pushes_out_nobody() {
    let lines = [
        ("old", "2026-04-02T10:00:00Z", "v"),
        ("good", "2026-05-02T10:00:00Z", "v"),
        ("ahead", "2030-01-01T10:00:00Z", "v"),
    ];

    for rule in ["{\"keep_last\": 1}", "{\"keep_within\": \"1d\"}"] {
        let decided = decided(&lines, &policy(rule));

        assert!(decided.starts_with("ahead: dated later than now\ngood: "), "{decided}");
        assert!(decided.contains("newest backup; newest verified backup\nold goes"), "{decided}");
    }
}

#[test]
fn a_policy_that_keeps_nothing_is_refused() {
    for text in ["{}", r#"{"keep_daily": 0}"#, r#"{"keep_within": "0d", "unverified_for": "9d"}"#] {
        let refused = decide(&[], &policy(text), moment("2026-05-02T12:00:00Z"));

        assert!(matches!(refused, Err(Error::KeepsNothing)), "{text}");
    }
}

#[test]
fn a_span_is_counted_back_by_the_calendar_and_the_clocks() {
    let back = |span: &str, zone: chrono_tz::Tz, local: (i32, u32, u32, u32)| {
        let (year, month, day, hour) = local;
        let from = zone.with_ymd_and_hms(year, month, day, hour, 0, 0).unwrap().to_utc();
        time::stamp(span.parse::<Span>().unwrap().before(from, zone))
    };
    let (utc, berlin) = (chrono_tz::UTC, chrono_tz::Europe::Berlin);

    assert_eq!(back("2y5m7d3h", utc, (2026, 8, 10, 12)), "2024-03-03T09:00:00.000Z");
    assert_eq!(back("1m", utc, (2026, 3, 31, 12)), "2026-03-03T12:00:00.000Z");
    assert_eq!(back("14m", utc, (2026, 1, 15, 12)), "2024-11-15T12:00:00.000Z");
    // From summer time into winter time.
    assert_eq!(back("1d", berlin, (2026, 3, 29, 12)), "2026-03-28T11:00:00.000Z");
    assert_eq!(back("24h", berlin, (2026, 3, 29, 12)), "2026-03-28T10:00:00.000Z");
    assert_eq!(back("4294967295y", berlin, (2026, 1, 1, 0)), time::stamp(DateTime::<Utc>::MIN_UTC));
}

#[test]
fn what_is_no_span_is_refused() {
    for text in ["", "7", "d", "7w", "7d7d", "-7d", "7d ", "1.5d", "99999999999d", "7ä"] {
        assert!(text.parse::<Span>().is_err(), "{text}");
    }
    assert_eq!("3h0m2y".parse::<Span>().unwrap().to_string(), "2y3h");
}

#[test]
fn a_policy_reads_as_it_is_written() {
    let text = r#"{"keep_last":-1,"keep_yearly":3,"keep_within":"1y6m","pre_migration_for":"1y","unverified_for":"7d","time_zone":"Asia/Tokyo"}"#;

    assert_eq!(serde_json::to_string(&policy(text)).unwrap(), text);
}

#[test]
fn what_is_no_policy_is_refused() {
    let refused = |text: &str| {
        let error = serde_json::from_str::<Policy>(text).unwrap_err().to_string();
        error.split(" at line").next().unwrap().to_owned()
    };

    insta::assert_snapshot!(refused(r#"{"keep_last": -2}"#), @"-2 is no number of what is kept: give 0, 1, 2 and so on, or -1 for all");
    insta::assert_snapshot!(refused(r#"{"time_zone": "Mars/Base"}"#), @"there is no time zone `Mars/Base`: give one such as Europe/Berlin");
    insta::assert_snapshot!(refused(r#"{"keep_within": "7w"}"#), @"`7w` is no length of time: give years, months, days and hours, as in 7d or 2y5m7d3h");
}

#[test]
fn a_decision_travels_with_its_time_and_reasons_as_texts() {
    let lines = backups(&[("a", "2026-05-02T10:00:00Z", "v")]);
    let now = lines[0].at + Duration::hours(1);
    let decisions = decide(&lines, &policy(r#"{"keep_last": 1}"#), now).unwrap();

    insta::assert_snapshot!(serde_json::to_string(&decisions).unwrap(), @r#"[{"name":"a","at":"2026-05-02T10:00:00.000Z","reasons":["last backup","newest backup","newest verified backup"]}]"#);
}
