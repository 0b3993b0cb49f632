use serde_json::{Value, json};
use setpoint_ops::token::Role;

use super::World;

#[tokio::test]
async fn jobs_are_listed_with_their_next_times_and_their_last_run() {
    let world = World::imported().await;

    let before = world.get("/api/jobs").await.body;
    let ran = world.post("/api/jobs/audit/run", json!({})).await.body;
    let after = world.get("/api/jobs").await.body;

    let names: Vec<&Value> = before.as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["audit", "drift", "tidy"]);
    assert_eq!(
        (before[0]["next"].as_array().unwrap().len(), &before[0]["last"]),
        (3, &json!(null))
    );
    let said = json!([ran["state"], ran["trigger"], ran["verb"], ran["instance"]]);
    assert_eq!(said, json!(["succeeded", "manual", "audit-verify", "test"]));
    assert!(
        ran["output"].as_str().unwrap().starts_with("the history of 1 revision holds together"),
        "{ran}"
    );
    assert_eq!(after[0]["last"], ran);
}

#[tokio::test]
async fn what_a_run_finds_wrong_is_its_answer() {
    let world = World::imported().await;
    let db = world.service.live.writer().unwrap();
    let spoil = "UPDATE revision SET actor = 'nobody' WHERE id = 1";
    sea_orm::ConnectionTrait::execute_unprepared(&db.connection, spoil).await.unwrap();

    let ran = world.post("/api/jobs/audit/run", json!({})).await;

    assert_eq!((ran.status.as_u16(), &ran.body["state"]), (200, &json!("failed")), "{ran:?}");
    assert!(ran.body["error"].as_str().unwrap().starts_with("revision 1: "), "{ran:?}");
}

#[tokio::test]
async fn the_runs_of_a_job_come_in_pages() {
    let world = World::imported().await;
    for _ in 0..3 {
        assert_eq!(world.post("/api/jobs/tidy/run", json!({})).await.status, 200);
    }
    world.post("/api/jobs/audit/run", json!({})).await;
    let times = |page: &Value| -> Vec<String> {
        let runs = page["runs"].as_array().unwrap();
        runs.iter().map(|it| it["scheduled_for"].as_str().unwrap().to_owned()).collect()
    };

    let all = times(&world.get("/api/jobs/tidy/history").await.body);
    let first = world.get("/api/jobs/tidy/history?limit=2").await.body;
    let next = first["next"].as_str().unwrap();
    let rest = world.get(&format!("/api/jobs/tidy/history?limit=2&cursor={next}")).await.body;

    assert_eq!(all.len(), 3);
    assert!(all.is_sorted_by(|a, b| a > b), "{all:?}");
    assert_eq!([times(&first), times(&rest)].concat(), all);
    assert_eq!(rest.get("next"), None);
    let bad = world.get("/api/jobs/tidy/history?cursor=zz").await;
    assert_eq!(bad.said(), (400, "request::cursor"));
}

#[tokio::test]
async fn a_job_rests_until_it_is_resumed_and_can_be_run_by_hand() {
    let world = World::imported().await;

    let paused = world.post("/api/jobs/audit/pause", json!({})).await.body;
    let again = world.post("/api/jobs/audit/pause", json!({})).await.body;
    let ran = world.post("/api/jobs/audit/run", json!({})).await.body;
    let resumed = world.post("/api/jobs/audit/resume", json!({})).await.body;

    assert!(paused["paused_by"].is_string() && paused["next"] == json!([]), "{paused}");
    assert_eq!(again["paused_at"], paused["paused_at"]);
    assert_eq!(ran["state"], "succeeded");
    assert_eq!(resumed["paused_at"], json!(null));
    assert_eq!(resumed["next"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_job_that_is_not_declared_is_unknown_and_only_admins_run_one() {
    let world = World::imported().await;

    for verb in ["run", "pause", "resume"] {
        let unknown = world.post(&format!("/api/jobs/none/{verb}"), json!({})).await;
        assert_eq!(unknown.said(), (404, "job::unknown"), "{verb}");
    }
    assert_eq!(world.get("/api/jobs/none/history").await.said(), (404, "job::unknown"));
    assert_eq!(world.get("/api/jobs/audit/history").await.body, json!({"runs": []}));

    let world = world.with_token("e", Role::Editor, None).await;
    assert_eq!(world.get("/api/jobs").await.status, 200);
    for verb in ["run", "pause", "resume"] {
        let refused = world.post(&format!("/api/jobs/audit/{verb}"), json!({})).await;
        assert_eq!(refused.said(), (403, "access::role"), "{verb}");
    }
}

#[tokio::test]
async fn the_newest_report_of_drift_is_shown_until_a_fresh_one_is_wanted() {
    let world = World::imported().await;
    let names = async |query: &str| -> Vec<Value> {
        let report = world.get(&format!("/api/drift/report{query}")).await.body;
        let drift = report["drift"].as_array().unwrap_or_else(|| panic!("{report}"));
        drift.iter().map(|it| it["name"].clone()).collect()
    };
    world.put("http.port", json!(1)).await;
    assert_eq!(names("").await, ["http.port"]);
    world.post("/api/jobs/drift/run", json!({})).await;
    world.put("physics.mode", json!("slow")).await;

    assert_eq!(names("").await, ["http.port"]);
    assert_eq!(names("?fresh=true").await, ["http.port", "physics.mode"]);
    assert_eq!(names("?ns=robot").await, [] as [Value; 0]);
    assert_eq!(world.get("/api/drift/report").await.body["job"], "drift");
    let markdown = world.get("/api/drift/report?format=md").await;
    let page = world.get("/api/drift/report?format=html").await;
    assert_eq!(markdown.header("content-type"), "text/markdown; charset=utf-8");
    assert!(markdown.body.as_str().unwrap().starts_with("# Drift"), "{markdown:?}");
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.body.as_str().unwrap().starts_with("<!doctype html>"), "{page:?}");
    let other = world.get("/api/drift/report?format=pdf").await;
    assert_eq!(other.said(), (400, "request::parameter"));
}
