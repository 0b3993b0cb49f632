//! Backups and jobs through the service: carried out whoever goes away, and measured.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Instant;

use serde_json::{Value, json};

use super::server::Server;
use super::{CONFIGURATION, DEADLINE};
use crate::world::World;

on_both![
    a_backup_is_made_restored_and_measured_through_the_service,
    a_backup_goes_on_when_whoever_asked_goes_away,
    a_job_is_run_and_measured_through_the_service,
];

/// A service with a job that is not due for long.
fn served(world: &World) -> Server {
    let job = "[[job]]\nname = 'night'\ncron = '0 3 1 1 *'\nverb = 'audit-verify'\n";
    super::ready_with(world, &format!("{CONFIGURATION}\n{job}"));
    Server::start(world)
}

#[track_caller]
fn post(server: &Server, path: &str, body: Value) -> Value {
    let answer = server.send("POST", path, &body.to_string());
    assert!(answer.status < 300, "{path}: {answer}");
    answer.json()
}

/// The metric of that name with its labels, once it is there.
#[track_caller]
fn measured(server: &Server, name: &str) -> f64 {
    let metrics = server.get("/metrics").body;
    let value = metrics.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("there is no {name}: {metrics}")).parse().unwrap()
}

const TAKEN: &str = "setpoint_backup_last_success_timestamp_seconds";

fn a_backup_is_made_restored_and_measured_through_the_service(world: &World) {
    let server = served(world);
    assert!(!server.get("/metrics").body.contains(&format!("\n{TAKEN} ")));
    let made = post(&server, "/api/backups", json!({"name": "first"}));
    server.put("/api/settings/end", r#"{"value": 1}"#);
    let none = server.send("POST", "/api/backups/first/restore", r#"{"only": []}"#);
    let said = none.json();
    assert_eq!(
        (none.status, &said["detail"], &said["help"]),
        (
            422,
            &json!("`only` names no keys"),
            &json!("nothing was changed; name keys, or leave `only` out to restore all")
        )
    );

    let done = post(&server, "/api/backups/first/restore", json!({}));

    let read = server.get("/api/settings/end").json();
    assert_eq!((&read["value"], &done["revision"]), (&json!(0), &json!(2)), "{done}");
    assert_eq!(world.get("end"), "0");
    let safe = done["safety_backup"].as_str().unwrap();
    for name in ["first", safe] {
        post(&server, &format!("/api/backups/{name}/verify"), json!({}));
    }
    assert!(measured(&server, TAKEN) > 1.7e9);
    let verified = "setpoint_backup_last_verified_timestamp_seconds";
    assert!(measured(&server, verified) >= measured(&server, TAKEN));
    assert!(measured(&server, "setpoint_backup_size_bytes") > 0.0);
    assert!(made["size_bytes"].as_u64() > Some(0));

    for name in ["first", safe] {
        let path = format!("/api/backups/{name}?force=true");
        assert_eq!(server.send("DELETE", &path, "").status, 204);
    }
    // There were some: that there are none now is not to go unnoticed.
    assert_eq!(measured(&server, TAKEN), 0.0);
}

fn a_backup_goes_on_when_whoever_asked_goes_away(world: &World) {
    let server = served(world);
    let body = r#"{"name": "left"}"#;
    let mut asking = TcpStream::connect(server.address).unwrap();
    let length = body.len();
    write!(
        asking,
        "POST /api/backups HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    // Where it works is in that folder.
    let begun = Instant::now();
    while !is_working(world) {
        assert!(begun.elapsed() < DEADLINE, "{}", server.log());
        std::thread::yield_now();
    }
    drop(asking);

    server.signal("TERM");
    assert_eq!(server.ended(), Some(0));

    assert_eq!(world.json(&["backup", "list"])[0]["name"], "left");
    world.ok(&["backup", "verify", "left"]);
}

/// Whether a backup is being taken, or was.
fn is_working(world: &World) -> bool {
    let found = std::fs::read_dir(world.path("backups")).into_iter().flatten().flatten();
    let mut names = found.map(|it| it.file_name().to_string_lossy().into_owned());
    names.any(|it| it.starts_with(".work-") || it.ends_with(".setpoint.tar"))
}

fn a_job_is_run_and_measured_through_the_service(world: &World) {
    let server = served(world);

    let ran = post(&server, "/api/jobs/night/run", json!({}));

    assert_eq!((&ran["state"], &ran["trigger"]), (&json!("succeeded"), &json!("manual")), "{ran}");
    let runs = r#"setpoint_job_runs_total{name="night",outcome="succeeded"}"#;
    assert_eq!(measured(&server, runs), 1.0);
    assert_eq!(measured(&server, r#"setpoint_job_failing{name="night"}"#), 0.0);
    let history = world.json(&["jobs", "history", "night"]);
    assert_eq!(history, json!([ran]));
    let listed = server.get("/api/jobs").json();
    assert_eq!(listed[0]["last"], ran);
}
