use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;

use super::Schedule;

/// The times that cronsim, which does as Debian's cron, finds around the days of 2026 on which
/// clocks change. `scripts/cron_fixtures.py` writes them.
const DAYS: &str = include_str!("../../../../fixtures/cron/days.txt");

fn moment(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").unwrap().and_utc()
}

fn shown(times: &[DateTime<Utc>]) -> String {
    times.iter().map(|it| it.format("%Y-%m-%dT%H:%M ").to_string()).collect()
}

/// Every time after `from` up to `until`, one after the other.
fn walked(schedule: &Schedule, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let times = std::iter::successors(schedule.after(from), |it| schedule.after(*it));
    times.take_while(|it| *it <= until).collect()
}

#[test]
fn days_on_which_clocks_change_are_as_in_debians_cron() {
    let mut different = BTreeMap::new();
    for line in DAYS.lines() {
        let fields: Vec<&str> = line.split('|').collect();
        let [zone, cron, from, until, times] = fields[..] else { panic!("{line}") };
        let schedule = Schedule::parse(cron, zone.parse().unwrap()).unwrap();
        let expected: Vec<_> = times.split_whitespace().map(moment).collect();
        let found = walked(&schedule, moment(from), moment(until));
        if found != expected {
            let only = |a: &[DateTime<Utc>], b: &[DateTime<Utc>]| {
                shown(&a.iter().filter(|it| !b.contains(it)).copied().collect::<Vec<_>>())
            };
            let lines = format!("more {}less {}", only(&found, &expected), only(&expected, &found));
            different.insert(format!("{zone} {cron} {from}"), lines);
        }
    }

    // Clocks there show 2:00 and 2:20 once on that day, as on any other: cronsim, which counts with
    // whole hours, misses them.
    let missed = "more 2026-04-04T15:30 2026-04-04T15:50 less ".to_owned();
    let known = ("Australia/Lord_Howe */20 2 * * * 2026-04-03T13:00".to_owned(), missed);
    assert_eq!(different, BTreeMap::from([known]));
}

#[test]
fn it_does_not_matter_from_when_it_is_looked() {
    for line in DAYS.lines().filter(|it| !it.contains("29 2")) {
        let fields: Vec<&str> = line.split('|').collect();
        let schedule = Schedule::parse(fields[1], fields[0].parse().unwrap()).unwrap();
        let (from, until) = (moment(fields[2]), moment(fields[3]));
        let times = walked(&schedule, from, until);
        let mut moment = from;
        while moment < until {
            let next = times.iter().copied().find(|it| *it > moment);
            let found = schedule.after(moment).filter(|it| *it <= until);
            assert_eq!(found, next, "{schedule} after {moment}");
            moment += chrono::Duration::minutes(17);
        }
    }
}

#[test]
fn the_newest_of_many_times_are_found_without_counting_all() {
    let schedule = Schedule::parse("* * * * *", Tz::UTC).unwrap();
    let found = schedule.between(moment("1990-01-01T00:00"), moment("2026-05-01T12:00"));

    assert_eq!(found.len(), 103);
    assert_eq!((found[0], found[102]), (moment("2026-05-01T10:18"), moment("2026-05-01T12:00")));
}

#[test]
fn what_is_no_time_is_said_with_its_field() {
    let texts = [
        "61 * * * *",
        "* 24 * * *",
        "0 0 30 2 *",
        "0 0 31 4,6 *",
        "* * *",
        "",
        "@reboot",
        "* * * * * *",
        "0 0 * FOO *",
        "0 0 0 * *",
        "*/0 * * * *",
        "*/70 * * * *",
        "0 1,2-20/24 * * *",
        "0 0 1 */x *",
        "5-1 * * * *",
        "0 1-5,22-4/2 * * *",
        "5-61 * * * *",
    ];
    let said = texts.map(|it| Schedule::parse(it, Tz::UTC).unwrap_err());

    insta::assert_snapshot!(said.join("\n"), @r"
    `61` is no minute: give 0 to 59
    `24` is no hour: give 0 to 23
    `0 0 30 2 *` never comes: no month has such a day
    `0 0 31 4,6 *` never comes: no month has such a day
    `* * *` has 3 fields, not 5: minute, hour, day of the month, month, day of the week
    `` has 0 fields, not 5: minute, hour, day of the month, month, day of the week
    `@reboot` is none of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually
    `* * * * * *` has 6 fields, not 5: minute, hour, day of the month, month, day of the week
    `FOO` is no month: give 1 to 12, or JAN to DEC
    `0` is no day of the month: give 1 to 31
    `*/0` is no minute: give a step of 1 to 59
    `*/70` is no minute: give a step of 1 to 59
    `1,2-20/24` is no hour: give a step of 1 to 23
    `*/x` is no month: give a step of 1 to 12
    `5-1` is no minute: a range goes up, and 5-1 does not
    `1-5,22-4/2` is no hour: a range goes up, and 22-4 does not
    `5-61` is no minute: give 0 to 59
    ");
}

#[test]
fn nicknames_and_zones_are_understood() {
    let schedule = Schedule::parse("@daily", "Europe/Berlin".parse().unwrap()).unwrap();
    let next = schedule.after(moment("2026-05-01T12:00")).unwrap();

    assert_eq!(next, moment("2026-05-01T22:00"));
    assert_eq!(schedule.in_zone(next), "2026-05-02T00:00:00+02:00");
}

#[test]
fn a_day_and_a_weekday_have_to_agree_where_one_of_them_begins_with_a_star() {
    let from: DateTime<Utc> = "2026-11-21T12:00:00Z".parse().unwrap();
    let next = |text: &str| {
        let schedule = Schedule::parse(text, Tz::UTC).unwrap();
        schedule.after(from).unwrap().format("%Y-%m-%d").to_string()
    };

    // As cronsim says, and Debian's cron.
    assert_eq!(next("0 3 */10 * mon"), "2026-12-21");
    assert_eq!(next("0 3 1 * *"), "2026-12-01");
    assert_eq!(next("0 3 * * mon"), "2026-11-23");
    assert_eq!(next("0 3 25 * mon"), "2026-11-23");
}
