//! What has happened, what there is, and who may know.

use serde_json::{Value, json};
use setpoint_ops::token::Role;

use super::World;

#[tokio::test]
async fn the_history_of_a_key_comes_in_pages() {
    let world = World::imported().await;
    world.put("http.port", json!(1)).await;
    world.put("http.port", json!(2)).await;

    let first = world.get("/api/settings/http/history?limit=2").await.body;
    let next = first["next"].as_str().unwrap();
    let second = world.get(&format!("/api/settings/http/history?limit=2&cursor={next}")).await.body;

    let events = |it: &Value| -> Vec<(Value, Value, Value)> {
        let events = it["events"].as_array().unwrap().iter();
        events.map(|it| (it["revision"].clone(), it["key"].clone(), it["after"].clone())).collect()
    };
    let expected = [(3, "http.port", json!(2)), (2, "http.port", json!(1))];
    assert_eq!(events(&first), expected.map(|it| (json!(it.0), json!(it.1), it.2)));
    let expected = [(1, "http.host", json!("localhost")), (1, "http.port", json!(8080))];
    assert_eq!(events(&second), expected.map(|it| (json!(it.0), json!(it.1), it.2)));
    assert_eq!(second["next"], json!(null));
}

#[tokio::test]
async fn an_explanation_tells_of_file_and_edit() {
    let world = World::imported().await;
    world.put("http.port", json!(1)).await;

    let explained = world.get("/api/settings/http.port/explain").await.body;

    assert_eq!(explained["effective"]["value"], 1);
    assert_eq!(explained["layers"][0]["state"], "edited-here");
    assert_eq!(explained["layers"][0]["seed"], 8080);
    assert_eq!(explained["layers"][0]["origin"]["line"], 3);
    assert_eq!(explained["history"][0]["after"], 1);
}

#[tokio::test]
async fn an_unknown_key_has_no_history_and_a_bad_cursor_is_told() {
    let world = World::imported().await;

    let said = async |path: &str| {
        let answer = world.get(path).await;
        (answer.status.as_u16(), answer.body["code"].as_str().unwrap_or_default().to_owned())
    };
    let unknown = (404, "setting::unknown".to_owned());
    assert_eq!(said("/api/settings/nowhere/history").await, unknown);
    assert_eq!(said("/api/settings/nowhere/explain").await, unknown);
    let bad = (400, "request::cursor".to_owned());
    assert_eq!(said("/api/settings/http/history?cursor=zz").await, bad);
    assert_eq!(said("/api/revisions?cursor=7b7d").await, bad);
    assert_eq!(said("/api/audit?from=yesterday").await, (400, "time::invalid".to_owned()));
    assert_eq!(said("/api/revisions/99").await, (404, "revision::unknown".to_owned()));
}

#[tokio::test]
async fn revisions_are_found_by_what_they_did() {
    let world = World::imported().await;
    world.put("http.port", json!(1)).await;
    world.post("/api/settings/update?ns=robot", json!({"arm": {"force": 1}})).await;

    let ids = async |query: &str| {
        let found = world.get(&format!("/api/revisions{query}")).await.body;
        let found = found["revisions"].as_array().unwrap().clone();
        found.iter().map(|it| it["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };

    assert_eq!(ids("").await, [3, 2, 1]);
    assert_eq!(ids("?key=http").await, [2, 1]);
    assert_eq!(ids("?ns=robot").await, [3]);
    assert_eq!(ids("?actor=nobody").await, [] as [i64; 0]);
    assert_eq!(ids("?channel=api&limit=1").await, [3]);
    assert_eq!(ids("?to=2020-01-01").await, [] as [i64; 0]);
    assert_eq!(ids("?from=2020-01-01").await, [3, 2, 1]);
    let next = world.get("/api/revisions?limit=2").await.body["next"].clone();
    assert_eq!(ids(&format!("?limit=2&cursor={}", next.as_str().unwrap())).await, [1]);
}

#[tokio::test]
async fn a_revision_tells_what_it_changed_and_can_be_taken_back() {
    let world = World::imported().await;
    world.put("http.port", json!(1)).await;

    let one = world.get("/api/revisions/2").await.body;
    let plan = world.post_text("/api/revisions/2/revert?dry_run=true", "").await.body;
    let reverted = world.post_text("/api/revisions/2/revert", "").await.body;

    assert_eq!(one["revision"]["changes"], 1);
    assert_eq!(
        (&one["changed"][0]["before"], &one["changed"][0]["after"]),
        (&json!(8080), &json!(1))
    );
    assert_eq!(plan["plan"]["kind"], "revert");
    assert_eq!(reverted["revision"], 3);
    assert_eq!(world.value("http.port").await, 8080);
}

#[tokio::test]
async fn taking_back_what_was_changed_since_is_a_conflict_until_chosen() {
    let world = World::imported().await;
    world.put("http.port", json!(1)).await;
    world.put("http.port", json!(2)).await;

    let open = world.post_text("/api/revisions/2/revert", "").await;
    let fail = world.post_text("/api/revisions/2/revert?strategy=fail", "").await;
    let theirs = world.post_text("/api/revisions/2/revert?strategy=theirs", "").await;

    assert_eq!(open.body["plan"]["summary"]["conflict"], 1);
    assert_eq!(open.body["revision"], json!(null));
    assert_eq!(fail.said(), (409, "plan::conflicts"));
    assert_eq!(theirs.body["revision"], 4);
    assert_eq!(world.value("http.port").await, 8080);
}

#[tokio::test]
async fn a_token_for_one_namespace_sees_nothing_of_the_others() {
    let world = World::imported().await;
    world.post("/api/settings/update?ns=robot", json!({"arm": {"force": 1}})).await;
    let world = world.with_token("r", Role::Admin, Some(&["robot"])).await;

    let revisions = world.get("/api/revisions").await.body["revisions"].clone();
    let events = world.get("/api/audit").await.body["events"].clone();
    let sources = world.get("/api/sources").await.body;
    let drift = world.get("/api/drift").await.body["drift"].clone();

    assert_eq!(revisions.as_array().unwrap().len(), 1, "{revisions}");
    assert_eq!(events.as_array().unwrap().len(), 1, "{events}");
    assert_eq!((sources, drift), (json!([]), json!([])));
    for (path, code) in [
        ("/api/revisions/1", (404, "revision::unknown")),
        ("/api/revisions?ns=default", (403, "access::namespace")),
        ("/api/config/http", (403, "access::namespace")),
        ("/api/settings/search?q=port", (403, "access::namespace")),
        ("/api/settings/schema", (403, "access::namespace")),
        ("/api/audit/verify", (403, "access::namespace")),
        ("/api/tokens", (403, "access::namespace")),
    ] {
        assert_eq!(world.get(path).await.said(), code, "{path}");
    }
    let reverted = world.post_text("/api/revisions/1/revert?strategy=theirs", "").await;
    assert_eq!(reverted.said(), (403, "access::namespace"));
}

#[tokio::test]
async fn a_search_finds_by_some_letters_and_follows_what_changes() {
    let world = World::imported().await;

    let keys = async |query: &str| {
        let found = world.get(&format!("/api/settings/search?q={query}")).await.body;
        let hits = found["hits"].as_array().unwrap().clone();
        hits.iter().map(|it| it["setting"]["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(keys("prt").await, ["http.port"]);
    assert_eq!(keys("localhost").await, ["http.host"]);

    world.put("http.import", json!(1)).await;
    world.send("DELETE", "/api/settings/http.port", &[], poem::Body::empty()).await;

    assert_eq!(keys("port").await, ["http.import"]);
    let long = world.get(&format!("/api/settings/search?q={}", "x".repeat(300))).await;
    assert_eq!(long.said(), (400, "search::too_long"));
}

#[tokio::test]
async fn a_search_finds_what_the_schema_calls_a_setting() {
    let world = World::imported().await;
    world.post("/api/settings/update?ns=robot", json!({"arm": {"force": 1}})).await;

    let found = world.get("/api/settings/search?q=push&ns=robot").await.body;

    assert_eq!(found["hits"][0]["setting"]["key"], "arm.force");
    assert_eq!(found["hits"][0]["label"], "Strongest push");
    assert_eq!(found["hits"][0]["matched"], "label");
}

#[tokio::test]
async fn a_schema_is_the_declared_one_or_made_of_what_is_live() {
    let world = World::imported().await;

    let made = world.get("/api/settings/schema").await;
    let declared = world.get("/api/settings/schema?ns=robot").await;

    let http = &made.body["properties"]["http"]["properties"];
    assert_eq!(*http, json!({"port": {"type": "integer"}, "host": {"type": "string"}}));
    assert_eq!(made.body["properties"]["list"]["type"], "array");
    let force = &declared.body["properties"]["arm"]["properties"]["force"];
    assert_eq!(force["maximum"], 100);
    let known = [("if-none-match", made.header("etag"))];
    let again = world.send("GET", "/api/settings/schema", &known, poem::Body::empty()).await;
    assert_eq!(again.status, 304);
}

#[tokio::test]
async fn a_token_is_made_used_and_revoked() {
    let world = World::imported().await.with_token("root", Role::Admin, None).await;

    let new = json!({"name": "bob", "role": "viewer", "expires": "1d"});
    let made = world.post("/api/tokens", new.clone()).await;
    let again = world.post("/api/tokens", new).await;
    let token = made.body["token"].as_str().unwrap().to_owned();
    let listed = world.get("/api/tokens").await.body;

    assert_eq!(made.status, 201);
    assert_eq!(again.said(), (409, "token::exists"));
    assert_eq!((&listed[0]["name"], &listed[0]["state"]), (&json!("bob"), &json!("active")));
    assert!(!listed.to_string().contains(&token));
    let bearer = format!("Bearer {token}");
    let as_bob = async |method: &str, path: &str| {
        let headers = [("authorization", bearer.as_str())];
        let world =
            World { token: None, routes: crate::routes(&world.service), ..World::new().await };
        world.send(method, path, &headers, poem::Body::empty()).await
    };
    assert_eq!(as_bob("GET", "/api/tokens").await.said(), (403, "access::role"));
    assert_eq!(as_bob("POST", "/api/tickets").await.status, 201);
    let revoked = world.send("DELETE", "/api/tokens/bob", &[], poem::Body::empty()).await;
    assert_eq!(revoked.body["revoked_by"], "root");
    assert_eq!(as_bob("GET", "/api/settings").await.said(), (401, "token::revoked"));
    let gone = world.send("DELETE", "/api/tokens/bob", &[], poem::Body::empty()).await;
    assert_eq!(gone.said(), (409, "token::revoked_before"));
}

#[tokio::test]
async fn a_method_that_is_not_there_is_told_with_those_that_are() {
    let world = World::imported().await;

    let patched = world.send("PATCH", "/api/settings/http.port", &[], poem::Body::empty()).await;
    let looked = world.send("HEAD", "/api/settings/http.port", &[], poem::Body::empty()).await;

    assert_eq!(patched.said(), (405, "request::method"));
    assert_eq!(patched.header("allow"), "DELETE, GET, HEAD, PUT");
    assert_eq!(looked.status, 200);
}
