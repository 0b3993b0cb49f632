//! Many values at once: updates and sections.

use serde_json::json;
use setpoint_ops::token::Role;

use super::World;

#[tokio::test]
async fn an_update_is_one_revision_with_the_types_that_settings_have() {
    let world = World::imported().await;

    let text = json!({"http": {"port": 9090.0}, "physics": {"damping": 1}, "new": {"x": null}});
    let updated = world.post("/api/settings/update?reason=why", text).await;

    assert_eq!(updated.body["revision"], 2, "{updated:?}");
    assert_eq!(updated.body["plan"]["reason"], "why");
    assert!(updated.header("etag").ends_with("-2\""), "{updated:?}");
    let damping = world.get("/api/settings/physics.damping").await.body;
    assert_eq!((&damping["type"], damping["value"].to_string()), (&json!("float"), "1.0".into()));
    assert_eq!(world.value("http.port").await, 9090);
    assert_eq!(world.get("/api/settings/new.x").await.body["value"], json!(null));
    assert_eq!(world.value("physics.mode").await, "fast");
}

#[tokio::test]
async fn a_dry_run_tells_the_plan_and_changes_nothing() {
    let world = World::imported().await;

    let plan = world.post("/api/settings/update?dry_run=true", json!({"a": 1})).await;

    assert_eq!(plan.body["plan"]["summary"]["add"], 1);
    assert_eq!(plan.body["revision"], json!(null));
    assert_eq!(world.get("/api/settings/a").await.said(), (404, "setting::unknown"));
}

#[tokio::test]
async fn null_is_a_value_unless_it_is_said_to_unset() {
    let world = World::imported().await;

    let refused = world.post("/api/settings/update", json!({"http": {"host": null}})).await;
    let unset =
        world.post("/api/settings/update?null=unset", json!({"http": {"host": null}})).await;

    assert_eq!(refused.said(), (422, "setting::wrong_type"));
    assert_eq!(unset.body["plan"]["changes"][0]["class"], "delete");
    assert_eq!(world.get("/api/settings/http.host").await.status, 404);
}

#[tokio::test]
async fn every_value_that_cannot_be_stored_is_told() {
    let world = World::imported().await;

    let wrong = json!({"http": {"port": "x"}, "physics": {"damping": "y"}, "db_password": "z9!k2"});
    let refused = world.post("/api/settings/update", wrong).await;

    assert_eq!(refused.said(), (422, "request::values"));
    let keys: Vec<_> =
        refused.body["errors"].as_array().unwrap().iter().map(|it| it["key"].clone()).collect();
    assert_eq!(keys, ["db_password", "http.port", "physics.damping"]);
    assert!(!refused.body.to_string().contains("z9!k2"));
    assert_eq!(world.value("http.port").await, 8080);
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_with_the_places_of_its_faults() {
    let world = World::imported().await;

    for (text, expected) in [
        ("{\"a\": 1,}", (400, "request::malformed")),
        ("{\"a\": 1 // why\n}", (400, "request::malformed")),
        ("{\"a\" 1}", (400, "request::malformed")),
        ("", (400, "request::malformed")),
        ("[1]", (422, "import::faulty")),
        ("{\"a\": 1, \"a\": 2}", (422, "import::faulty")),
        ("{\"a\": 123456789012345678901234567890}", (422, "import::faulty")),
        (&"{\"a\": ".repeat(70), (400, "request::too_deep")),
    ] {
        let refused = world.post_text("/api/settings/update", text).await;
        assert_eq!(refused.said(), expected, "{text}");
    }
    assert_eq!(world.get("/api/revisions").await.body["revisions"][0]["id"], 1);
}

#[tokio::test]
async fn a_preset_is_told_as_one() {
    let world = World::imported().await;

    let preset =
        world.post("/api/settings/update?preset=turbo", json!({"physics": {"mode": "turbo"}}));
    assert_eq!(preset.await.body["plan"]["kind"], "preset");

    let newest = &world.get("/api/revisions").await.body["revisions"][0];
    assert_eq!((&newest["kind"], &newest["reason"]), (&json!("preset"), &json!("turbo")));
    let both = world.post("/api/settings/update?preset=a&reason=b", json!({})).await;
    assert_eq!(both.said(), (400, "request::preset"));
}

#[tokio::test]
async fn an_update_is_refused_once_its_namespace_is_another() {
    let world = World::imported().await;
    let known = world.get("/api/config/http").await.header("etag").to_owned();
    world.put("physics.mode", json!("slow")).await;

    let send = async |etag: &str| {
        let headers = [("content-type", "application/json"), ("if-match", etag)];
        let body = poem::Body::from_string(r#"{"port": 1}"#.to_owned());
        world.send("POST", "/api/config/http", &headers, body).await
    };
    let stale = send(&known).await;
    let newer = world.get("/api/config/http").await.header("etag").to_owned();
    let written = send(&newer).await;

    assert_eq!(stale.said(), (409, "plan::stale"));
    assert_eq!(written.body["revision"], 3);
    assert_eq!(send("x").await.said(), (400, "request::if_match"));
}

#[tokio::test]
async fn a_section_is_read_and_replaced_as_one_document() {
    let world = World::imported().await;

    let read = world.get("/api/config/http").await;
    assert_eq!(read.body, json!({"port": 8080, "host": "localhost"}));
    let known = [("if-none-match", read.header("etag"))];
    let again = world.send("GET", "/api/config/http", &known, poem::Body::empty()).await;
    assert_eq!(again.status, 304);

    world.post("/api/config/http", json!({"tls": {"on": true}})).await;
    let merged = world.get("/api/config/http").await.body;
    assert_eq!(merged, json!({"port": 8080, "host": "localhost", "tls": {"on": true}}));

    world.post("/api/config/http?replace=true", json!({"port": 1})).await;
    assert_eq!(world.get("/api/config/http").await.body, json!({"port": 1}));
    assert_eq!(world.value("physics.mode").await, "fast");
}

#[tokio::test]
async fn what_is_no_section_says_what_it_is() {
    let world = World::imported().await;

    assert_eq!(world.get("/api/config/http.port").await.said(), (404, "section::value"));
    assert_eq!(world.get("/api/config/nowhere").await.said(), (404, "setting::unknown"));
    assert_eq!(world.get("/api/config/a..b").await.said(), (400, "setting::bad_key"));
    let below = world.post("/api/config/http.port", json!({"x": 1})).await;
    assert_eq!(below.said(), (409, "setting::not_a_tree"));
}

#[tokio::test]
async fn a_layer_of_its_own_leaves_the_others_alone() {
    let world = World::imported().await;

    world.post("/api/config/http?layer=site", json!({"port": 1})).await;
    let other = world.post("/api/config/http?layer=nowhere", json!({"port": 1})).await;

    assert_eq!(world.get("/api/config/http").await.body["port"], 1);
    assert_eq!(world.get("/api/config/http?layer=base").await.body["port"], 8080);
    assert_eq!(other.said(), (404, "layer::unknown"));
}

#[tokio::test]
async fn values_are_held_to_the_schema_of_their_namespace() {
    let world = World::imported().await;

    let refused = world.post("/api/settings/update?ns=robot", json!({"arm": {"force": 101}})).await;
    let written = world.post("/api/settings/update?ns=robot", json!({"arm": {"force": 99}})).await;

    assert_eq!(refused.said(), (422, "setting::schema"));
    assert_eq!(written.status, 200, "{written:?}");
}

#[tokio::test]
async fn a_token_changes_what_it_is_for_and_no_more() {
    let world = World::imported().await.with_token("v", Role::Viewer, None).await;
    let viewer = world.post("/api/settings/update", json!({"a": 1})).await;
    let world = world.with_token("e", Role::Editor, Some(&["robot"])).await;
    let elsewhere = world.post("/api/config/http", json!({"port": 1})).await;
    let here = world.post("/api/settings/update?ns=robot", json!({"a": 1})).await;

    assert_eq!(viewer.said(), (403, "access::role"));
    assert_eq!(elsewhere.said(), (403, "access::namespace"));
    assert_eq!(here.body["plan"]["actor"], "e", "{here:?}");
}
