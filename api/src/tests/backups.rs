use poem::Body;
use serde_json::{Value, json};
use setpoint_ops::token::Role;

use super::{Answer, World};

impl World {
    async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], Body::empty()).await
    }

    async fn backup(&self, name: &str) {
        let made = self.post("/api/backups", json!({ "name": name })).await;
        assert_eq!(made.status, 201, "{made:?}");
    }

    async fn names(&self) -> Vec<Value> {
        let listed = self.get("/api/backups").await.body;
        listed.as_array().unwrap().iter().map(|it| it["name"].clone()).collect()
    }
}

#[tokio::test]
async fn a_backup_is_taken_listed_read_back_and_removed() {
    let world = World::imported().await;
    let wish = json!({"name": "first", "note": "why", "pin": true});

    let made = world.post("/api/backups", wish).await;
    let again = world.post("/api/backups", json!({"name": "first"})).await;
    let found = world.get("/api/backups/first").await;
    let verified = world.post("/api/backups/first/verify", json!({})).await;
    let listed = world.get("/api/backups").await;
    let foreseen = world.delete("/api/backups/first?force=true&dry_run=true").await;
    let removed = world.delete("/api/backups/first?force=true").await;

    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!((&made.body["revision"], &made.body["kind"]), (&json!(1), &json!("manual")));
    assert_eq!(again.said(), (409, "backup::exists"));
    let said = |it: &Value| json!([it["note"], it["pinned"], it["counts"]["setting"]]);
    assert_eq!(said(&found.body), json!(["why", true, 5]));
    assert_eq!(found.body["verified_at"], made.body["verified_at"]);
    assert_eq!(verified.body["sha256"], made.body["sha256"]);
    assert_eq!(listed.body[0]["verified_at"], verified.body["verified_at"]);
    assert_eq!(foreseen.body, json!({"name": "first", "removed": false}));
    assert_eq!([foreseen.status, removed.status], [200, 204]);
    assert_eq!(world.get("/api/backups").await.body, json!([]));
}

#[tokio::test]
async fn what_is_pinned_or_the_newest_that_restores_is_removed_only_by_force() {
    let world = World::imported().await;
    let pinned = world.post("/api/backups", json!({"name": "pinned", "pin": true})).await;
    world.backup("older").await;
    world.backup("newest").await;

    let path = |name: &str| format!("/api/backups/{name}");
    let kept = [world.delete(&path("pinned")).await, world.delete(&path("newest")).await];
    let older = world.delete(&path("older")).await;

    assert_eq!(pinned.status, 201);
    assert_eq!(
        kept.each_ref().map(Answer::said),
        [(409, "backup::pinned"), (409, "backup::last_verified")]
    );
    assert_eq!(
        (older.status.as_u16(), world.names().await),
        (204, vec!["pinned".into(), "newest".into()])
    );
    for name in ["pinned", "newest"] {
        assert_eq!(world.delete(&format!("{}?force=true", path(name))).await.status, 204);
    }
}

#[tokio::test]
async fn a_backup_is_pinned_and_unpinned_while_another_is_taken() {
    let world = World::imported().await;
    world.backup("first").await;
    world.backup("second").await;
    let pin = async |method| world.send(method, "/api/backups/first/pin", &[], Body::empty()).await;

    let held = world.service.backing_up.clone().lock_owned().await;
    let pinned = [pin("PUT").await, pin("PUT").await];
    drop(held);
    let kept = world.delete("/api/backups/first").await;
    let unpinned = [pin("DELETE").await, pin("DELETE").await];
    let gone = world.delete("/api/backups/first").await;
    let unknown = pin("PUT").await;

    for (answers, is_pinned) in [(pinned, true), (unpinned, false)] {
        for answer in answers {
            let said = (answer.status.as_u16(), &answer.body["pinned"], &answer.body["name"]);
            assert_eq!(said, (200, &json!(is_pinned), &json!("first")));
        }
    }
    assert_eq!(kept.said(), (409, "backup::pinned"));
    assert_eq!(gone.status, 204);
    assert_eq!(unknown.said(), (404, "backup::unknown"));
}

#[tokio::test]
async fn what_is_not_in_the_record_is_pinned_by_nobody() {
    let world = World::imported().await;
    world.backup("first").await;
    let archive = |name: &str| world.folder.path().join(format!("backups/{name}.setpoint.tar"));
    std::fs::rename(archive("first"), archive("moved")).unwrap();

    for method in ["PUT", "DELETE"] {
        let answer = world.send(method, "/api/backups/moved/pin", &[], Body::empty()).await;
        assert_eq!(answer.said(), (409, "backup::not_recorded"), "{method}");
        let answer = world.send(method, "/api/backups/..x/pin", &[], Body::empty()).await;
        assert_eq!(answer.said(), (422, "backup::bad_name"), "{method}");
    }
}

#[tokio::test]
async fn a_dry_run_tells_the_name_and_the_room_and_takes_none() {
    let world = World::imported().await;

    let foreseen = world.post("/api/backups?dry_run=true", json!({})).await.body;
    let refused = world.post("/api/backups?dry_run=true", json!({"name": "a/b"})).await;

    assert!(foreseen["name"].as_str().unwrap().ends_with("Z-r1"), "{foreseen}");
    assert!(foreseen["needed_bytes"].as_u64() < foreseen["free_bytes"].as_u64(), "{foreseen}");
    assert_eq!(refused.said(), (422, "backup::bad_name"));
    assert_eq!(world.names().await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_restore_is_planned_and_then_live_in_a_new_epoch() {
    let world = World::imported().await;
    world.backup("first").await;
    world.put("http.port", json!(1)).await;
    let before = world.get("/ready").await.body["epoch"].clone();

    let planned = world.post("/api/backups/first/restore?dry_run=true", json!({})).await.body;
    assert_eq!(planned["plan"]["summary"]["update"], 1, "{planned}");
    assert_eq!((world.value("http.port").await, planned.get("epoch")), (json!(1), None));
    let done = world.post("/api/backups/first/restore?reason=mistake", json!({})).await;

    assert_eq!((done.status.as_u16(), &done.body["revision"]), (200, &json!(2)), "{done:?}");
    assert_eq!(world.value("http.port").await, 8080);
    assert_ne!(world.get("/ready").await.body["epoch"], before);
    assert!(world.names().await.contains(&done.body["safety_backup"]));
    let history = world.get("/api/revisions").await.body.to_string();
    assert!(history.contains("mistake (backup first, revision 1"), "{history}");
}

#[tokio::test]
async fn some_values_are_put_back_by_an_ordinary_change() {
    let world = World::imported().await;
    world.backup("first").await;
    world.put("http.port", json!(1)).await;
    world.put("physics.mode", json!("slow")).await;
    let only = |keys: &[&str]| json!({ "only": keys });

    let path = "/api/backups/first/restore";
    let done = world.post(path, only(&["http.*"])).await.body;
    let again = world.post(&format!("{path}?ns=default"), only(&["http.*"])).await.body;
    let none = world.post(path, only(&["nothing.*"])).await;
    let bad = world.post(path, only(&["a..b"])).await;
    let elsewhere = world.post(&format!("{path}?ns=default"), json!({})).await;

    assert_eq!((&done["revision"], done.get("epoch")), (&json!(4), None), "{done}");
    assert_eq!((&again["is_there"], again.get("revision")), (&json!(true), None), "{again}");
    assert_eq!(world.value("http.port").await, 8080);
    assert_eq!(world.value("physics.mode").await, "slow");
    assert_eq!(none.said(), (404, "backup::no_such_keys"));
    assert_eq!(bad.said(), (422, "backup::bad_pattern"));
    assert_eq!(elsewhere.said(), (400, "request::invalid"));
}

#[tokio::test]
async fn a_moment_inside_a_backup_is_restored() {
    let world = World::imported().await;
    world.put("http.port", json!(1)).await;
    world.put("http.port", json!(2)).await;
    world.backup("all").await;

    let later = world.post("/api/backups/all/restore", json!({"at": "9"})).await;
    let never = world.post("/api/backups/all/restore", json!({"at": "soon"})).await;
    let done = world.post("/api/backups/all/restore", json!({"at": "2"})).await.body;

    assert_eq!(later.said(), (404, "backup::no_such_moment"));
    assert_eq!(never.said(), (400, "time::invalid"));
    assert_eq!((&done["from_revision"], &done["revision"]), (&json!(2), &json!(3)), "{done}");
    assert_eq!(world.value("http.port").await, 1);
}

#[tokio::test]
async fn while_a_backup_is_taken_there_is_no_other() {
    let world = World::imported().await;
    world.backup("first").await;

    let held = world.service.backing_up.clone().lock_owned().await;
    let create = world.post("/api/backups", json!({})).await;
    let verify = world.post("/api/backups/first/verify", json!({})).await;
    let restore = world.post("/api/backups/first/restore", json!({})).await;
    let remove = world.delete("/api/backups/first").await;
    drop(held);

    for refused in [create, verify, restore, remove] {
        assert_eq!(refused.said(), (409, "backup::busy"));
    }
    assert_eq!(world.post("/api/backups/first/verify", json!({})).await.status, 200);
}

#[tokio::test]
async fn what_is_unknown_badly_named_or_damaged_is_told() {
    let world = World::imported().await;
    world.backup("cut").await;
    let archive = world.folder.path().join("backups/cut.setpoint.tar");
    let whole = std::fs::read(&archive).unwrap();
    std::fs::write(&archive, &whole[..whole.len() / 2]).unwrap();

    for name in ["none", "..x", "a%2fb"] {
        let said =
            if name == "none" { (404, "backup::unknown") } else { (422, "backup::bad_name") };
        let path = format!("/api/backups/{name}");
        assert_eq!(world.get(&path).await.said(), said, "{name}");
        assert_eq!(world.delete(&path).await.said(), said, "{name}");
        assert_eq!(world.post(&format!("{path}/verify"), json!({})).await.said(), said, "{name}");
        assert_eq!(world.post(&format!("{path}/restore"), json!({})).await.said(), said, "{name}");
    }
    let damaged = world.post("/api/backups/cut/verify", json!({})).await;
    assert_eq!(damaged.said(), (422, "backup::damaged"));
    assert_eq!(world.get("/api/backups/cut").await.body["verified_at"], json!(null));
    let nul = world.post("/api/backups", json!({"note": "a\0b"})).await;
    assert_eq!((nul.status.as_u16(), world.names().await.len()), (422, 1));
}

#[tokio::test]
async fn viewers_see_the_list_and_a_token_for_some_namespaces_sees_nothing() {
    let world = World::imported().await;
    world.backup("first").await;

    let world = world.with_token("v", Role::Viewer, None).await;
    assert_eq!(world.get("/api/backups").await.status, 200);
    assert_eq!(world.get("/api/backups/first").await.said(), (403, "access::role"));
    let world = world.with_token("e", Role::Editor, None).await;
    assert_eq!(world.post("/api/backups", json!({})).await.said(), (403, "access::role"));
    for path in ["/api/backups/first", "/api/backups/first/pin"] {
        assert_eq!(world.delete(path).await.said(), (403, "access::role"), "{path}");
    }
    let world = world.with_token("a", Role::Admin, Some(&["default"])).await;
    for path in ["/api/backups", "/api/backups/first", "/api/jobs", "/api/jobs/audit/history"] {
        assert_eq!(world.get(path).await.said(), (403, "access::namespace"), "{path}");
    }
    for path in ["/api/backups", "/api/backups/first/verify", "/api/backups/first/restore"] {
        assert_eq!(world.post(path, json!({})).await.said(), (403, "access::namespace"), "{path}");
    }
    let pinned = world.send("PUT", "/api/backups/first/pin", &[], Body::empty()).await;
    assert_eq!(pinned.said(), (403, "access::namespace"));
}
