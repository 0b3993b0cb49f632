//! Drift that is reported by a job, and told to somebody over a webhook; and services that die or
//! freeze while they tell.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use insta::assert_snapshot;
use serde_json::Value;

use super::ready;
use crate::serve::server::Server;
use crate::world::{World, text};

on_both![
    only_what_is_new_is_told,
    whoever_could_not_be_told_is_told_again,
    a_run_that_takes_too_long_is_stopped,
    a_run_whose_service_is_killed_is_taken_over_by_the_next,
    a_service_that_was_frozen_finds_its_run_taken_over_and_records_nothing,
    a_service_that_is_told_to_end_gives_back_what_it_runs,
    a_report_is_shown_as_it_was_stored_or_fresh,
    the_value_of_a_secret_is_in_no_report,
];

/// Somebody who is told.
pub(super) struct Listener(TcpListener);

impl Listener {
    pub(super) fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// A job that tells them of drift, with `more` of it.
    fn job(&self, more: &str) -> String {
        let port = self.0.local_addr().unwrap().port();
        format!(
            "[[job]]\nname = 'watch'\ncron = '0 3 * * *'\nverb = 'drift'\n\
             webhook = 'http://127.0.0.1:{port}/secret-path'\n{more}\n\
             [jobs]\nwebhook_hosts = ['127.0.0.1']\nlease_ms = 300\n"
        )
    }

    /// Waits until somebody calls; what they say.
    pub(super) fn heard(&self) -> (TcpStream, Value) {
        let (stream, _) = self.0.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            if let Some(said) = line.to_lowercase().strip_prefix("content-length:") {
                length = said.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        (reader.into_inner(), serde_json::from_slice(&body).unwrap())
    }

    /// Runs the job by hand while its call is answered with `status`; what was said.
    fn told(&self, world: &World, status: &str, exit: i32) -> String {
        let run = world.start(&["jobs", "run", "watch"]);
        let (stream, said) = self.heard();
        answer(stream, status);
        let ran = world.end(run);
        assert_eq!(ran.status, exit, "{ran}");
        assert!(!ran.to_string().contains("secret-path"), "{ran}");
        names(&said)
    }
}

pub(super) fn answer(mut stream: TcpStream, status: &str) {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nLocation: /other\r\n\r\n");
    // Whoever was killed does not hear it.
    drop(stream.write_all(head.as_bytes()));
}

fn names(said: &Value) -> String {
    let drift = said["drift"].as_array().unwrap().iter();
    let one = |it: &Value| format!("{} {}", text(&it["name"]), text(&it["kind"]));
    drift.map(one).collect::<Vec<_>>().join(", ")
}

/// A world with one key out of line, and a job that tells of it.
pub(super) fn drifting<'w>(world: &'w World, listener: &Listener, more: &str) -> &'w World {
    ready(world, &listener.job(more)).migrate("a: 1\nb: 1\nc: 1\n");
    world.ok(&["set", "a", "2"]);
    world
}

/// As if a service had looked after the job until long ago.
fn looked_long_ago(world: &World) {
    world.sql(
        "INSERT INTO job (name, schedule, considered_until)
         VALUES ('watch', '0 3 * * * UTC', '2026-01-01T00:00:00.000Z')",
    );
}

fn only_what_is_new_is_told(world: &World) {
    let listener = Listener::new();
    drifting(world, &listener, "");
    assert_eq!(listener.told(world, "200 OK", 0), "a edited-here");
    assert_eq!(
        world.ok(&["jobs", "run", "watch"]),
        "1 out of line, 0 of them new, 0 ignored; files compared: 1\n"
    );

    world.ok(&["set", "b", "2"]);
    assert_eq!(listener.told(world, "204 No Content", 0), "b edited-here");
    world.ok(&["set", "a", "3"]);
    world.ok(&["ignore", "b"]);
    assert_eq!(listener.told(world, "200 OK", 0), "a edited-here");
    world.ok(&["reset", "a", "--yes"]);
    assert_eq!(
        world.ok(&["jobs", "run", "watch"]),
        "0 out of line, 0 of them new, 1 ignored; files compared: 1\n"
    );
}

fn whoever_could_not_be_told_is_told_again(world: &World) {
    let listener = Listener::new();
    drifting(world, &listener, "");
    assert_eq!(listener.told(world, "500 Internal Server Error", 1), "a edited-here");
    assert_eq!(listener.told(world, "302 Found", 1), "a edited-here");
    let errors = world.json(&["jobs", "history"]);
    assert_eq!(listener.told(world, "200 OK", 0), "a edited-here");

    assert_snapshot!(text(&errors[0]["error"]), @"1 out of line, 1 of them new, 0 ignored; files compared: 1; nobody was told: 127.0.0.1 answered 302");
    let shown = world.ok(&["config", "show"]);
    assert!(!shown.contains("secret-path"), "{shown}");
}

fn a_run_that_takes_too_long_is_stopped(world: &World) {
    let listener = Listener::new();
    drifting(world, &listener, "deadline = '1s'");
    let run = world.start(&["jobs", "run", "watch"]);
    let (_silent, _) = listener.heard();
    let ran = world.end(run);

    assert_eq!(ran.status, 1, "{ran}");
    let error = world.json(&["jobs", "history"])[0]["error"].clone();
    assert_eq!(error, "it was stopped after its deadline of 1s");
}

fn a_run_whose_service_is_killed_is_taken_over_by_the_next(world: &World) {
    let listener = Listener::new();
    looked_long_ago(drifting(world, &listener, ""));
    let server = Server::start(world);
    let (unanswered, first) = listener.heard();
    let again = Server::start_at(world, server.kill());
    drop(unanswered);
    let (stream, second) = listener.heard();
    answer(stream, "200 OK");
    again.wait_for("a job succeeded");

    assert_eq!((names(&first), names(&second)), ("a edited-here".into(), "a edited-here".into()));
    let run = &world.json(&["jobs", "history"])[0];
    assert_eq!((&run["state"], &run["attempt"]), (&"succeeded".into(), &2.into()));
    assert!(text(&run["note"]).starts_with("taken over from "), "{run}");
    assert_eq!(world.sql("SELECT count(*) FROM drift_report"), "1");
}

fn a_service_that_was_frozen_finds_its_run_taken_over_and_records_nothing(world: &World) {
    let listener = Listener::new();
    looked_long_ago(drifting(world, &listener, ""));
    let frozen = Server::start(world);
    let (first, _) = listener.heard();
    frozen.signal("STOP");
    let other = Server::start(world);
    let (second, _) = listener.heard();
    answer(second, "200 OK");
    other.wait_for("a job succeeded");
    let before = world.json(&["jobs", "history"]);

    frozen.signal("CONT");
    answer(first, "200 OK");
    frozen.wait_for("a run is not this instance's any more");

    assert_eq!(world.json(&["jobs", "history"]), before);
    assert_eq!(before[0]["attempt"], 2);
    assert_eq!(world.sql("SELECT count(*) FROM drift_report"), "1");
}

fn a_service_that_is_told_to_end_gives_back_what_it_runs(world: &World) {
    let listener = Listener::new();
    let patience = "\n[server]\nheartbeat_ms = 50\nclient_timeout_ms = 300\n";
    looked_long_ago(drifting(world, &listener, patience));
    let server = Server::start(world);
    let (_unanswered, _) = listener.heard();
    server.signal("TERM");
    assert_eq!(server.ended(), Some(0));

    let run = &world.json(&["jobs", "history"])[0];
    assert_eq!((&run["state"], &run["attempt"]), (&"queued".into(), &0.into()));
    let again = Server::start(world);
    answer(listener.heard().0, "200 OK");
    again.wait_for("a job succeeded");
}

fn a_report_is_shown_as_it_was_stored_or_fresh(world: &World) {
    ready(world, "[[job]]\nname = 'watch'\ncron = '@daily'\nverb = 'drift'\n");
    world.migrate("a: 1\n\"x|`<b>\": 1\n");
    world.ok(&["set", "a", "2"]);
    assert!(world.ok(&["drift", "report"]).contains("1 out of line, 1 of them new"));
    world.ok(&["jobs", "run", "watch"]);
    world.ok(&["set", "a", "3"]);
    world.ok(&["set", "\"x|`<b>\"", "2"]);

    assert_snapshot!(world.run(&["drift", "report"]), @r"
    status 0
    -- stdout
    # Drift at 2026-05-01T12:00:00.000Z

    1 out of line, 1 of them new, 0 ignored; files compared: 1; revision 2

    ## default, layer base

    | | what | is | file | last import | live |
    |---|---|---|---|---|---|
    | new | `a` settings.yaml:1:4 | edited-here | `1` | `1` | `2` |
    ");
    let fresh = world.ok(&["drift", "report", "--fresh"]);
    let lines = ["| edited-here | `1` | `1` | `3` |", r#"| new | ``"x\|`<b>"`` settings"#];
    assert!(lines.iter().all(|it| fresh.contains(it)), "{fresh}");
    let html = world.ok(&["drift", "report", "--fresh", "--format", "html"]);
    assert!(html.contains("x|`&lt;b&gt;") && !html.contains("<b>"), "{html}");
    let json = world.json(&["drift", "report"]);
    assert_eq!((&json["job"], &json["drift"][0]["live"]), (&"watch".into(), &"2".into()));
    assert_eq!(json["drift"].as_array().unwrap().len(), 1);

    let report = json.to_string().replace(text(&json["at"]), "2020-05-01T12:00:00.000Z");
    world.sql(&format!("UPDATE drift_report SET report = '{}'", report.replace('\'', "''")));
    let told = world.run(&["drift", "report"]).stderr;
    let wanted = " days ago, at 2020-05-01 12:00 UTC; --fresh compares everything now\n";
    assert!(told.starts_with("this report was made ") && told.ends_with(wanted), "{told}");
    assert_eq!(world.run(&["drift", "report", "--fresh"]).stderr, "");
}

fn the_value_of_a_secret_is_in_no_report(world: &World) {
    let job = "[[job]]\nname = 'watch'\ncron = '@daily'\nverb = 'drift'\n";
    ready(world, job).migrate("a: canary-1\n");
    world.ok(&["set", "a", "canary-2"]);
    world.write("setpoint.toml", format!("[namespaces.default]\nsecret = ['a']\n{job}"));
    world.ok(&["jobs", "run", "watch"]);

    let stored = world.sql("SELECT report FROM drift_report");
    let formats = ["md", "json", "html"].map(|it| {
        let stored = world.ok(&["drift", "report", "--format", it]);
        stored + &world.ok(&["drift", "report", "--fresh", "--format", it])
    });
    let all = stored + &formats.concat();
    assert!(all.contains("****") && !all.contains("canary"), "{all}");
}
