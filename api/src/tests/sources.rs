//! Files: what is sent, what is declared, and where they disagree.

use serde_json::{Value, json};
use setpoint_ops::token::Role;

use super::{Answer, World};

async fn import(world: &World, query: &str, text: &str) -> Answer {
    let path = format!("/api/sources/import?{query}");
    world.send("POST", &path, &[], poem::Body::from_string(text.to_owned())).await
}

#[tokio::test]
async fn a_file_that_is_sent_becomes_edits() {
    let world = World::imported().await;

    let imported = import(&world, "name=a.yaml&prefix=up", "a: 1\non: no\n").await;
    let by_format = import(&world, "name=blob&format=toml", "[up]\nb = 2.5\n").await;

    assert_eq!(imported.body["revision"], 2, "{imported:?}");
    assert_eq!(imported.body["notes"][0]["line"], 2);
    assert_eq!(by_format.body["plan"]["kind"], "edit");
    assert_eq!(world.get("/api/config/up").await.body, json!({"a": 1, "on": "no", "b": 2.5}));
    let replaced = import(&world, "name=a.json&prefix=up&replace=true", "{\"a\": 3}").await;
    assert_eq!(replaced.status, 200);
    assert_eq!(world.get("/api/config/up").await.body, json!({"a": 3}));
}

#[tokio::test]
async fn a_file_with_faults_is_refused_with_all_of_them() {
    let world = World::imported().await;

    let refused = import(&world, "name=a.toml", "a = \nb").await;
    let unknown = import(&world, "name=a.xyz", "a").await;
    let secret = import(&world, "name=a.yaml", "db_password: z9!k2\n").await;

    assert_eq!(refused.said(), (422, "import::faulty"));
    assert_eq!(refused.body["errors"].as_array().unwrap().len(), 2);
    assert_eq!(unknown.status, 422);
    assert_eq!(secret.said(), (422, "secret::value"));
    assert!(!secret.body.to_string().contains("z9!k2"));
}

#[tokio::test]
async fn a_changed_file_is_migrated_and_edits_stay() {
    let world = World::imported().await;
    world.put("http.port", json!(1)).await;
    world.write("app.yaml", &super::APP.replace("8080", "9000").replace("fast", "slow"));
    assert_eq!(world.get("/api/sources").await.body[0]["state"], "changed");

    let dry = world.post("/api/sources/migrate?dry_run=true", json!({})).await.body;
    let open = world.post("/api/sources/migrate", json!({"sources": ["app.yaml"]})).await.body;
    let resolve = json!({"resolve": {"http.port": {"value": 7}}});
    let settled = world.post("/api/sources/migrate", resolve).await.body;

    assert_eq!(dry["conflicts"], 1);
    assert_eq!(dry["revision"], json!(null));
    assert_eq!((&open["revision"], &open["conflicts"]), (&json!(3), &json!(1)));
    assert_eq!(world.value("physics.mode").await, "slow");
    assert_eq!(settled["conflicts"], 0, "{settled}");
    assert_eq!(world.value("http.port").await, 7);
    assert_eq!(world.get("/api/sources").await.body[0]["state"], "up-to-date");
}

#[tokio::test]
async fn an_emptied_file_deletes_nothing_by_accident() {
    let world = World::imported().await;
    world.write("app.yaml", "{}\n");

    let refused = world.post("/api/sources/migrate", json!({})).await;
    let meant = world.post("/api/sources/migrate", json!({"allow_empty": true})).await;

    assert_eq!(refused.said(), (409, "source::emptied"));
    assert_eq!(meant.body["plan"]["summary"]["delete"], 5);
}

#[tokio::test]
async fn only_declared_files_are_read_and_only_by_admins() {
    let world = World::imported().await;
    let other = world.post("/api/sources/migrate", json!({"sources": ["/etc/passwd"]})).await;
    let nothing = world.post("/api/sources/migrate?ns=robot", json!({})).await;
    let list = world.post("/api/sources/migrate", json!([])).await;
    let world = world.with_token("e", Role::Editor, None).await;
    let editor = world.post("/api/sources/migrate", json!({})).await;
    let adopt = world.post("/api/drift/adopt", json!({"all": true})).await;

    assert_eq!(other.said(), (404, "source::unknown"));
    assert_eq!(nothing.said(), (422, "migrate::nothing"));
    assert_eq!(list.said(), (422, "request::invalid"));
    assert_eq!(editor.said(), (403, "access::role"));
    assert_eq!(adopt.said(), (403, "access::role"));
}

#[tokio::test]
async fn drift_is_told_adopted_reset_and_left_alone() {
    let world = World::imported().await;
    world
        .post("/api/settings/update", json!({"http": {"port": 1}, "physics": {"mode": "x"}}))
        .await;
    let keys = async |query: &str| -> Vec<Value> {
        let drift = world.get(&format!("/api/drift{query}")).await.body["drift"].clone();
        drift.as_array().unwrap().iter().map(|it| it["key"].clone()).collect()
    };
    assert_eq!(keys("").await, ["http.port", "physics.mode"]);

    let ignored = world.post("/api/drift/ignore?reason=later", json!({"names": ["physics"]})).await;
    assert_eq!(ignored.body, json!({"count": 1}));
    assert_eq!(keys("").await, ["http.port"]);
    assert_eq!(keys("?all=true").await, ["http.port", "physics.mode"]);

    let adopted = world.post("/api/drift/adopt", json!({"keys": ["http.port"]})).await;
    assert_eq!(adopted.body["revision"], 3, "{adopted:?}");
    assert_eq!(world.read("app.yaml"), super::APP.replace("8080", "1"));

    let again = json!({"names": ["physics"], "stop": true});
    assert_eq!(world.post("/api/drift/ignore", again).await.body, json!({"count": 1}));
    let reset = world.post("/api/drift/reset", json!({"keys": ["physics"]})).await;
    assert_eq!(reset.body["revision"], 4, "{reset:?}");
    assert!(reset.body["kept"].as_str().unwrap().contains("pre_reset_"));
    assert_eq!(world.value("physics.mode").await, "fast");
    assert_eq!(keys("?all=true").await, [] as [Value; 0]);
}

#[tokio::test]
async fn what_is_not_out_of_line_cannot_be_adopted_or_ignored() {
    let world = World::imported().await;

    let adopt = world.post("/api/drift/adopt", json!({"keys": ["http.port"]})).await;
    let ignore = world.post("/api/drift/ignore", json!({"names": ["http.port"]})).await;
    let both = world.post("/api/drift/reset", json!({"keys": ["a"], "all": true})).await;
    let unknown = world.post("/api/drift/reset", json!({"keys": ["a"]})).await;

    assert_eq!(adopt.said(), (404, "drift::none"));
    assert_eq!(ignore.said(), (404, "drift::none"));
    assert_eq!(both.said(), (422, "request::invalid"));
    assert_eq!(unknown.said(), (404, "setting::unknown"));
}
