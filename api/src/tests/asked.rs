//! How settings are asked for: what a list leaves out, names that stand in the way, conditions.

use poem::Body;
use serde_json::{Value, json};
use setpoint_ops::token::Role;

use super::World;

async fn keys(world: &World, query: &str) -> Vec<String> {
    let found = world.get(&format!("/api/settings?{query}")).await;
    let settings = found.body["settings"].as_array().unwrap_or_else(|| panic!("{found:?}")).clone();
    settings.iter().map(|it| it["key"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_list_has_what_a_search_finds_through_the_same_eyes() {
    let world = World::imported().await;
    world.post("/api/settings/update?layer=user:ann", json!({"ui": {"port_colour": "red"}})).await;

    assert_eq!(keys(&world, "q=port").await, ["http.port"]);
    assert_eq!(keys(&world, "q=port&user=ann").await, ["http.port", "ui.port_colour"]);
    assert_eq!(keys(&world, "q=port&layer=user:ann").await, ["ui.port_colour"]);
    assert_eq!(keys(&world, "q=port&prefix=physics").await, [] as [&str; 0]);
    assert_eq!(keys(&world, "q=").await.len(), 5);
}

#[tokio::test]
async fn a_list_has_what_was_changed_since_a_time() {
    let world = World::imported().await;

    assert_eq!(keys(&world, "modified=1h").await.len(), 5);
    assert_eq!(keys(&world, "modified=2200-01-01").await, [] as [&str; 0]);
    let bad = world.get("/api/settings?modified=yesterday").await;
    assert_eq!(bad.said(), (400, "time::invalid"));
}

#[tokio::test]
async fn a_layer_that_is_not_there_is_told_with_those_that_are() {
    let world = World::imported().await;

    for path in ["/api/settings", "/api/settings/http.port", "/api/config/http"] {
        let unknown = world.get(&format!("{path}?layer=nope")).await;
        assert_eq!(unknown.said(), (404, "layer::unknown"), "{path}");
        assert!(unknown.body["help"].as_str().unwrap().contains("base, site"), "{unknown:?}");
    }
    assert_eq!(world.get("/api/settings?layer=user:nobody").await.status, 200);
}

#[tokio::test]
async fn what_is_to_be_new_is_not_written_over() {
    let world = World::imported().await;
    let put = async |key: &str, condition: &str| {
        let headers = [("content-type", "application/json"), ("if-none-match", condition)];
        let body = Body::from_string(r#"{"value": 1}"#.to_owned());
        world.send("PUT", &format!("/api/settings/{key}"), &headers, body).await
    };

    let there = put("http.port", "*").await;

    assert_eq!(there.said(), (412, "setting::exists"));
    assert_eq!(there.body["current"]["value"], 8080);
    assert_eq!(put("new", "*").await.status, 200);
    assert_eq!(put("new", "\"x-1\"").await.said(), (400, "request::if_none_match"));
    assert_eq!(world.value("http.port").await, 8080);
}

#[tokio::test]
async fn a_key_that_is_elsewhere_is_told_where_to_those_who_may_know() {
    let world = World::imported().await;
    world.post("/api/settings/update?layer=site", json!({"only": {"site": 1}})).await;
    world.post("/api/settings/update?ns=robot", json!({"arm": {"force": 1}})).await;
    let help = async |world: &World, method: &str, path: &str| {
        let answer = world.send(method, path, &[], Body::empty()).await;
        assert_eq!(answer.said(), (404, "setting::unknown"), "{path}");
        answer.body["help"].as_str().unwrap_or_default().to_owned()
    };

    let layer = help(&world, "DELETE", "/api/settings/only.site").await;
    assert_eq!(layer, "layer `site` has it: `layer=site`");
    let namespace = help(&world, "GET", "/api/settings/arm.force").await;
    assert_eq!(namespace, "namespace `robot` has it: `ns=robot`");
    let close = help(&world, "GET", "/api/settings/Port").await;
    assert!(close.contains("`http.port`"), "{close}");
    assert!(help(&world, "GET", "/api/settings/http").await.contains("map of 2"));
    let world = world.with_token("d", Role::Viewer, Some(&["default"])).await;
    assert!(!help(&world, "GET", "/api/settings/arm.force").await.contains("robot"));
}

#[tokio::test]
async fn a_key_with_the_name_of_something_else_is_reached_in_quotes() {
    let world = World::imported().await;

    for name in ["search", "schema", "update", "ws", "events"] {
        let quoted = format!("%22{name}%22");
        let plain = world.put(name, json!(name)).await;
        assert!(plain.body["help"].as_str().unwrap().contains(&quoted), "{plain:?}");
        assert_eq!(world.put(&quoted, json!(name)).await.status, 200, "{name}");
        assert_eq!(world.value(&quoted).await, name);
        let deleted =
            world.send("DELETE", &format!("/api/settings/{quoted}"), &[], Body::empty()).await;
        assert_eq!(deleted.status, 200, "{name}");
    }
}

#[tokio::test]
async fn a_revert_is_planned_in_the_part_that_was_named() {
    let world = World::imported().await;
    world.post("/api/settings/update?layer=site", json!({"http": {"port": 1}})).await;
    world.post("/api/settings/update?ns=robot", json!({"arm": {"force": 1}})).await;
    let changed = async |query: &str| {
        let plan = world.post(&format!("/api/plans{query}"), json!({"revert": {"to": 1}})).await;
        let changes = plan.body["changes"].as_array().unwrap().clone();
        changes.iter().map(|it| it["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };

    assert_eq!(changed("").await, ["http.port", "arm.force"]);
    assert_eq!(changed("?ns=robot").await, ["arm.force"]);
    assert_eq!(changed("?layer=site").await, ["http.port"]);
    assert_eq!(changed("?layer=base").await, [] as [&str; 0]);
}

#[tokio::test]
async fn a_parameter_that_is_wrong_is_told_in_our_words() {
    let world = World::imported().await;
    let said = async |path: &str| {
        let answer = world.get(path).await;
        assert_eq!(answer.said(), (400, "request::parameter"), "{path}");
        answer.body["detail"].as_str().unwrap().to_owned()
    };

    let few = said("/api/settings?limit=0").await;
    assert_eq!(few, "`limit` is missing, or not what it has to be: a number from 1 to 1000");
    assert!(said("/api/drift?all=maybe").await.ends_with("true or false"));
    assert!(said("/api/settings/search").await.contains("`q` is missing"));
    let posted = world.post_text("/api/revisions/abc/confirm", "").await;
    assert_eq!(posted.said(), (400, "request::parameter"));
    let said_of_path =
        [said("/api/revisions/x").await, posted.body["detail"].as_str().unwrap().to_owned()];
    assert_eq!(
        said_of_path,
        [
            "`x` is not what {id} in /api/revisions/{id} has to be: a whole number",
            "`abc` is not what {id} in /api/revisions/{id}/confirm has to be: a whole number",
        ]
    );
    assert_eq!(
        said("/api/settings?ns=default&ns=robot").await,
        "the parameter `ns` is there twice"
    );
    let keys = "/api/revisions/1/revert?dry_run=true&key=http.port&key=list";
    let several = world.post_text(keys, "").await;
    assert_ne!(several.body["plan"], Value::Null, "{several:?}");
}
