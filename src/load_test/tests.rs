//! A load test that cannot fail is worth nothing. The clock jumps where nothing happens, so ten
//! seconds of load take as long as the requests do.

use std::future::pending;
use std::time::Duration;

use clap::Parser;
use serde_json::Value;
use setpoint_client::Service;
use setpoint_ops::database::Location;

use super::measure::{Kind, Measures};
use super::{Limits, Load, OfDatabase, Outcome, Process, Report, Test};

mod fake;

use fake::{Fake, Misbehaviour};

const LOAD: Load = Load { duration: Duration::from_secs(10), users: 5, rps: 50.0 };

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    limits: Limits,
}

/// Those of `flags`; the others are so high that a busy machine does not miss them.
fn limits(flags: &[&str]) -> Limits {
    let all = ["--read-ms", "--write-ms", "--search-ms", "--hot-reload-ms", "--delivery-ms"];
    let others = all.iter().filter(|it| !flags.contains(it)).flat_map(|it| [it, "1000000"]);
    Flags::parse_from(["load-test"].into_iter().chain(flags.iter().copied()).chain(others)).limits
}

/// Stops the clock. It goes on in steps of a millisecond whenever everybody waits, so that what
/// is on its way through a socket arrives before a timeout does.
fn stop_the_clock() {
    tokio::time::pause();
    tokio::spawn(async {
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            std::thread::yield_now();
        }
    });
}

fn test(url: &str) -> Test {
    Test {
        service: Service::new(url, None).unwrap(),
        namespace: None,
        load: LOAD,
        database: OfDatabase::MayBe(Location::Memory),
        process: Process::Here(std::process::id()),
    }
}

/// What a test of a service that does this wrong comes to, held against these limits.
async fn report(wrong: Misbehaviour, flags: &[&str]) -> (Fake, Report) {
    let fake = Fake::start(wrong).await;
    stop_the_clock();
    let outcome = test(&fake.url).run(pending()).await.unwrap();
    let report = Report::new("quick", &fake.url, LOAD, &limits(flags), outcome);
    (fake, report)
}

/// What was measured of one kind.
fn row(report: &Report, what: &str) -> Value {
    let report = serde_json::to_value(report).unwrap();
    let rows = report["measured"].as_array().unwrap();
    rows.iter().find(|it| it["what"] == what).unwrap().clone()
}

#[tokio::test]
async fn a_service_that_is_well_passes() {
    let (_, report) = report(Misbehaviour::default(), &[]).await;

    assert_eq!(report.missed, Vec::<String>::new());
    let counts =
        ["read", "write", "search", "delivery"].map(|it| row(&report, it)["count"].clone());
    // Each of 50 writes is heard by 5.
    assert_eq!(counts, [400, 50, 50, 250]);
    let notes = &serde_json::to_value(&report).unwrap()["notes"];
    assert!(notes[0].as_str().unwrap().starts_with("hot reload by SQL was left out"), "{notes}");
}

#[tokio::test]
async fn its_settings_are_taken_away_again() {
    let (fake, _) = report(Misbehaviour::default(), &[]).await;

    assert_eq!(fake.store().values.keys().collect::<Vec<_>>(), ["physics.gravity"]);
}

#[tokio::test]
async fn its_settings_are_taken_away_when_it_is_stopped() {
    let fake = Fake::start(Misbehaviour::default()).await;
    stop_the_clock();
    let stopped = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok(())
    };

    let stopped = test(&fake.url).run(stopped).await.err().unwrap();

    assert_eq!(stopped.to_string(), "the load test was stopped");
    assert!(fake.store().revision > 10);
    assert_eq!(fake.store().values.len(), 1);
}

#[tokio::test]
async fn a_threshold_of_nothing_is_missed_by_each() {
    let kinds = ["read", "write", "search", "delivery"];
    let flags = kinds.map(|it| format!("--{it}-ms"));
    let flags: Vec<&str> = flags.iter().flat_map(|it| [it.as_str(), "0"]).collect();

    let (_, report) = report(Misbehaviour::default(), &flags).await;

    let missed = report.missed.iter().map(|it| it.split(": p9").next().unwrap());
    assert_eq!(missed.collect::<Vec<_>>(), kinds);
}

#[tokio::test]
async fn errors_are_missed_and_told() {
    let (_, report) = report(Misbehaviour { full_at: Some(30), ..Default::default() }, &[]).await;

    let [missed] = &report.missed[..] else { panic!("{:?}", report.missed) };
    assert!(missed.starts_with("write: "), "{missed}");
    assert!(missed.ends_with("% failed, more than 1 %"), "{missed}");
    assert!(report.text().contains("times: no (database::full)"), "{}", report.text());
}

#[tokio::test]
async fn news_that_never_come_are_missed() {
    let (_, report) = report(Misbehaviour { mute: true, ..Default::default() }, &[]).await;

    assert_eq!(
        report.missed,
        ["delivery: nothing was measured", "delivery: 100.00 % failed, more than 1 %"]
    );
}

#[tokio::test]
async fn slow_answers_do_not_hide_how_slow_they_are() {
    // Each user has a request each 100 ms, most of which take 200 ms: they fall behind.
    let slow = Duration::from_millis(200);
    let wrong = Misbehaviour { slow, ..Default::default() };
    let (_, report) = report(wrong, &["--read-ms", "1000"]).await;

    let p95 = row(&report, "read")["p95_ms"].as_f64().unwrap();
    assert!(p95 > 2_000.0, "{p95}");
    assert!(report.missed[0].starts_with("read: p95 is "), "{:?}", report.missed);
}

#[tokio::test]
async fn a_service_that_hangs_is_missed() {
    let slow = Duration::from_secs(3_600);
    let wrong = Misbehaviour { slow, ..Default::default() };
    let (_, report) = report(wrong, &["--read-ms", "5000"]).await;

    assert!(report.missed.iter().any(|it| it.starts_with("read: p95 is ")), "{:?}", report.missed);
    assert!(report.missed.contains(&"read: 100.00 % failed, more than 1 %".to_owned()));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_an_error() {
    let error = test("http://127.0.0.1:1").run(pending()).await.err().unwrap();

    assert_eq!(error.code().unwrap().to_string(), "client::unreachable");
}

#[test]
fn the_widest_table_fits_a_terminal() {
    let mut measures = Measures::default();
    for kind in Kind::ALL {
        measures.of(kind).failed_often("too late", 99_999_999);
        measures.of(kind).took(Duration::from_secs(3_600));
    }
    let outcome = Outcome {
        measures,
        usage: None,
        own_usage: None,
        took: LOAD.duration,
        rps: LOAD.rps,
        notes: Vec::new(),
    };

    let text = Report::new("full", "http://localhost", LOAD, &limits(&[]), outcome).text();

    let widest = text.lines().take(6).map(|it| it.chars().count()).max();
    assert!(widest <= Some(80), "{text}");
}

#[tokio::test]
async fn the_page_has_the_same_rows() {
    let (_, report) = report(Misbehaviour::default(), &["--read-ms", "0"]).await;

    let page = report.markdown();
    assert!(page.starts_with("# Load test: 1 threshold missed\n\n| what | count |"), "{page}");
    assert_eq!(page.lines().filter(|it| it.starts_with("| ")).count(), 6, "{page}");
}
