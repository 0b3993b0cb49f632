//! Jobs of the real service.

use serde_json::Value;

use super::{NIGHT, ready};
use crate::serve::server::Server;
use crate::world::{World, text};

on_both![
    a_run_that_was_missed_is_made_up_for_when_the_service_starts,
    a_paused_job_is_left_alone_by_the_service,
    a_job_that_fails_is_logged_and_counted_and_stops_no_other,
    jobs_that_are_declared_while_it_runs_are_run,
];

/// As if the service had looked after `jobs` of these times until long ago.
fn looked_long_ago(world: &World, jobs: &[&str], schedule: &str) {
    for job in jobs {
        world.sql(&format!(
            "INSERT INTO job (name, schedule, considered_until)
             VALUES ('{job}', '{schedule}', '2026-01-01T00:00:00.000Z')"
        ));
    }
}

const SCHEDULE: &str = "0 3 * * * Europe/Berlin";

fn states(world: &World, job: &str) -> Vec<String> {
    let history = world.json(&["jobs", "history", job]);
    let state = |it: &Value| text(&it["state"]).to_owned();
    history.as_array().unwrap().iter().map(state).collect()
}

fn a_run_that_was_missed_is_made_up_for_when_the_service_starts(world: &World) {
    looked_long_ago(ready(world, NIGHT), &["night"], SCHEDULE);
    let server = Server::start(world);
    server.wait_for("a job succeeded");

    let metrics = server.get("/metrics").body;
    assert!(metrics.contains(r#"setpoint_job_runs_total{name="night",outcome="succeeded"} 1"#));
    assert!(metrics.contains(r#"setpoint_job_failing{name="night"} 0"#), "{metrics}");
    server.signal("TERM");
    assert_eq!(server.ended(), Some(0));
    let run = &world.json(&["jobs", "history"])[0];
    assert_eq!((&run["state"], &run["trigger"]), (&"succeeded".into(), &"cron".into()));
    assert!(text(&run["note"]).starts_with("more than 100 runs were missed"), "{run}");
    assert_eq!(states(world, "night").len(), 1);
}

fn a_paused_job_is_left_alone_by_the_service(world: &World) {
    let both = format!("{NIGHT}{}", NIGHT.replace("'night'", "'other'"));
    looked_long_ago(ready(world, &both), &["night", "other"], SCHEDULE);
    world.ok(&["jobs", "pause", "night"]);
    let server = Server::start(world);
    server.wait_for("a job succeeded");
    server.signal("TERM");
    assert_eq!(server.ended(), Some(0));

    assert_eq!(world.sql("SELECT job FROM job_run"), "other");
}

fn a_job_that_fails_is_logged_and_counted_and_stops_no_other(world: &World) {
    let other = NIGHT.replace("'night'", "'other'").replace("audit-verify", "vacuum");
    looked_long_ago(ready(world, &format!("{NIGHT}{other}")), &["night", "other"], SCHEDULE);
    world.migrate("a: 1\n");
    world.sql("UPDATE revision SET reason = 'another' WHERE id = 1");
    let server = Server::start(world);
    server.wait_for("a job succeeded");
    server.wait_for("a job failed");

    let metrics = server.get("/metrics").body;
    assert!(metrics.contains(r#"setpoint_job_failing{name="night"} 1"#), "{metrics}");
    assert_eq!(
        (states(world, "night"), states(world, "other")),
        (vec!["failed".to_owned()], vec!["succeeded".to_owned()],)
    );
}

fn jobs_that_are_declared_while_it_runs_are_run(world: &World) {
    ready(world, "");
    let server = Server::start(world);
    looked_long_ago(world, &["night"], SCHEDULE);
    world.write("setpoint.toml", NIGHT);
    server.signal("HUP");
    server.wait_for("a job succeeded");

    assert_eq!(states(world, "night"), ["succeeded"]);
}
