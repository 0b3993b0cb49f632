use super::{Declared, read};
use crate::job::Job;

fn faults(declared: &[Declared]) -> String {
    let faults = read(declared, &["hooks.example".to_owned()], true).unwrap_err();
    let line = |it: &super::Fault| format!("{}.{}: {}; {}", it.at, it.field, it.reason, it.help);
    faults.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn good() -> Declared {
    Declared {
        name: "night".into(),
        cron: "30 3 * * *".into(),
        verb: "vacuum".into(),
        ..Declared::default()
    }
}

#[test]
fn every_fault_of_every_job_is_told_at_once() {
    let wrong = Declared {
        name: "a b".into(),
        cron: "0 0 30 2 *".into(),
        time_zone: Some("Europe/Berln".into()),
        verb: "vacum".into(),
        missed: Some("never".into()),
        overlap: Some("allow".into()),
        deadline: Some("soon".into()),
        jitter: Some("0s".into()),
        retries: Some(100),
        enabled: None,
        webhook: None,
    };

    insta::assert_snapshot!(faults(&[good(), wrong, good()]), @r#"
    1.name: `a b` is no name; give 1 to 100 of A-Z a-z 0-9 . _ -
    1.time_zone: there is no time zone `Europe/Berln`; did you mean `Europe/Berlin`?
    1.cron: `0 0 30 2 *` never comes: no month has such a day; write it as in cron = "30 3 * * *", or "@daily"
    1.verb: `vacum` is nothing that a job can do; did you mean `vacuum`? There are audit-verify, backup, drift, expire, reseed-check, retention, vacuum, verify-backups
    1.missed: `never` is none of skip, once, all; give one of skip, once, all
    1.overlap: `allow` is none of forbid, queue; give one of forbid, queue
    1.deadline: `soon` is no length of time; give 30s, 10m, 12h or 1d
    1.jitter: `0s` is no length of time; give 30s, 10m, 12h or 1d
    1.retries: 100 retries are more than 20; give fewer; the next run comes anyway
    2.name: there are two jobs `night`; give one of them another name
    "#);
}

#[test]
fn what_is_empty_is_near_nothing() {
    let job = Declared { time_zone: Some(String::new()), ..good() };

    insta::assert_snapshot!(faults(&[job]), @"0.time_zone: there is no time zone ``; give a name such as Europe/Berlin, or UTC");
}

#[test]
fn a_jitter_is_shorter_than_the_time_between_two_runs() {
    let job = |jitter: &str| Declared {
        cron: "*/5 * * * *".into(),
        jitter: Some(jitter.into()),
        ..good()
    };

    assert!(read(&[job("5m")], &[], true).is_ok());
    insta::assert_snapshot!(faults(&[job("301s")]), @"0.jitter: a jitter of 5m 1s is longer than the 5m between two runs; give a shorter one");
}

#[test]
fn every_verb_is_known_by_its_name() {
    for verb in super::Verb::NAMES {
        let job: Job =
            read(&[Declared { verb: verb.into(), ..good() }], &[], true).unwrap().remove(0);
        assert_eq!(job.verb.as_str(), verb);
    }
}

#[test]
fn a_webhook_leads_to_a_host_that_is_allowed_and_is_for_drift_alone() {
    let job = |verb: &str, webhook: &str| Declared {
        name: webhook.len().to_string(),
        verb: verb.into(),
        webhook: Some(webhook.into()),
        ..good()
    };
    let refused = [
        job("vacuum", "https://hooks.example/x"),
        job("drift", "https://other.example/path"),
        job("drift", "http://hooks.example/x"),
        job("drift", "https://ann:pass@hooks.example/x"),
        job("drift", "hooks.example"),
    ];

    insta::assert_snapshot!(faults(&refused), @r"
    0.webhook: `vacuum` tells nobody; leave it out, or choose the verb drift
    1.webhook: `other.example` is not among jobs.webhook_hosts; give an https URL of a host in [jobs] webhook_hosts, or env:NAME
    2.webhook: what is sent to `hooks.example` would be readable on the way; give an https URL of a host in [jobs] webhook_hosts, or env:NAME
    3.webhook: it holds a user or a password; give an https URL of a host in [jobs] webhook_hosts, or env:NAME
    4.webhook: it is no URL; give an https URL of a host in [jobs] webhook_hosts, or env:NAME
    ");
    let good = [job("drift", "https://hooks.example/x"), job("drift", "env:HOOK")];
    let shown = format!("{:?}", read(&good, &["hooks.example".to_owned()], true).unwrap());
    assert!(!shown.contains("hooks.example/x"), "{shown}");
}
