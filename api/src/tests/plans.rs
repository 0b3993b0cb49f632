//! Plans that are carried out later: here, twice, by others, elsewhere.

use serde_json::{Value, json};
use setpoint_ops::plan::Plan;
use setpoint_ops::token::Role;

use super::{Answer, World};

async fn planned(world: &World, wish: Value) -> (String, Value) {
    let plan = world.post("/api/plans", wish).await;
    assert_eq!(plan.status, 200, "{plan:?}");
    (plan.body["hash"].as_str().unwrap().to_owned(), plan.body)
}

async fn apply(world: &World, hash: &str) -> Answer {
    world.post_text(&format!("/api/plans/{hash}/apply"), "").await
}

async fn apply_body(world: &World, plan: &Value) -> Answer {
    let hash = plan["hash"].as_str().unwrap();
    world.post(&format!("/api/plans/{hash}/apply"), plan.clone()).await
}

/// The same world as another instance sees it, which has no plans yet.
fn elsewhere(world: World) -> World {
    let service = crate::service::Service::new(
        world.service.live.clone(),
        world.service.setup.load().as_ref().clone(),
        crate::meters::Meters::apart(),
    );
    World { routes: crate::routes(&service), service, ..world }
}

#[tokio::test]
async fn a_plan_is_made_looked_at_and_carried_out_once() {
    let world = World::imported().await;

    let (hash, plan) = planned(&world, json!({"edits": {"http": {"port": 1.0}}})).await;
    assert_eq!(world.value("http.port").await, 8080);
    assert_eq!(world.get(&format!("/api/plans/{hash}")).await.body, plan);
    let first = apply(&world, &hash).await.body;
    let second = apply(&world, &hash).await.body;

    assert_eq!((&first["revision"], &first["repeated"]), (&json!(2), &json!(false)));
    assert_eq!((&second["revision"], &second["repeated"]), (&json!(2), &json!(true)));
    assert_eq!(world.value("http.port").await, 1);
}

#[tokio::test]
async fn a_plan_whose_key_has_moved_is_stale_and_says_which() {
    let world = World::imported().await;
    let (hash, _) = planned(&world, json!({"edits": {"http": {"port": 1}}})).await;
    world.put("http.port", json!(2)).await;

    let stale = apply(&world, &hash).await;

    assert_eq!(stale.said(), (409, "plan::stale"));
    assert!(stale.body["detail"].as_str().unwrap().contains("http.port"), "{stale:?}");
    assert_eq!(world.value("http.port").await, 2);
}

#[tokio::test]
async fn a_plan_can_be_of_any_kind() {
    let world = World::imported().await;
    world.put("http.port", json!(1)).await;
    world.put("http.host", json!("elsewhere")).await;
    world.write("app.yaml", &super::APP.replace("fast", "slow"));

    for (wish, kind) in [
        (json!({"revert": {"revision": 2}}), "revert"),
        (json!({"adopt": {"keys": ["http.host"]}}), "adopt"),
        (json!({"import": {"sources": ["app.yaml"]}}), "import"),
        (json!({"revert": {"to": 1, "keys": ["http"], "strategy": "theirs"}}), "revert"),
        (json!({"edits": {"a": 1}}), "edit"),
        (json!({"reset": {"all": true, "purge": true}}), "reset"),
    ] {
        let (hash, plan) = planned(&world, wish.clone()).await;
        assert_eq!(plan["kind"], kind);
        let applied = apply(&world, &hash).await;
        assert_eq!(applied.status, 200, "{wish}: {applied:?}");
        assert_eq!(applied.body["repeated"], false);
        assert_eq!(apply(&world, &hash).await.body["repeated"], true, "{wish}");
    }
    assert!(world.read("app.yaml").contains("host: elsewhere"));
    assert_eq!(world.value("physics.mode").await, "slow");
    assert_eq!(world.get("/api/settings/a").await.status, 404);
    assert_eq!(world.get("/api/audit/verify").await.body["first_bad"], json!(null));
}

#[tokio::test]
async fn an_import_is_stale_once_its_file_says_something_else() {
    let world = World::imported().await;
    world.write("app.yaml", &super::APP.replace("fast", "slow"));
    let (hash, _) = planned(&world, json!({"import": {}})).await;
    world.write("app.yaml", &super::APP.replace("fast", "odd"));

    let stale = apply(&world, &hash).await;

    assert_eq!(stale.said(), (409, "plan::stale"));
    assert_eq!(world.value("physics.mode").await, "fast");
}

#[tokio::test]
async fn another_instance_takes_the_plan_as_the_body() {
    let world = World::imported().await;
    world.write("app.yaml", &super::APP.replace("fast", "slow"));
    let (_, edit) = planned(&world, json!({"edits": {"http": {"port": 1}}})).await;
    let (_, import) = planned(&world, json!({"import": {"strategy": "theirs"}})).await;
    let world = elsewhere(world);

    let unknown = apply(&world, edit["hash"].as_str().unwrap()).await;
    let edited = apply_body(&world, &edit).await;
    let imported = apply_body(&world, &import).await;
    let again = apply_body(&world, &edit).await;
    let by_hash = apply(&world, edit["hash"].as_str().unwrap()).await;

    assert_eq!(unknown.said(), (404, "plan::unknown"));
    assert_eq!(edited.body["revision"], 2, "{edited:?}");
    assert_eq!(imported.body["revision"], 3, "{imported:?}");
    assert_eq!((&again.body["revision"], &again.body["repeated"]), (&json!(2), &json!(true)));
    assert_eq!(by_hash.body["revision"], 2);
}

#[tokio::test]
async fn a_plan_that_nobody_here_would_make_is_refused() {
    let world = World::imported().await;
    let (_, plan) = planned(&world, json!({"edits": {"http": {"port": 1}, "a": 1}})).await;
    let world = elsewhere(world);
    // Whoever changes a plan can compute its hash anew.
    let forged = |change: &dyn Fn(&mut Plan)| {
        let mut plan = Plan::from_json(&plan.to_string()).unwrap();
        change(&mut plan);
        let Plan { kind, base, author, sources, changes, moves, .. } = plan;
        let plan =
            Plan::new(kind, base, author, sources, changes).with(Vec::new(), moves, Vec::new());
        serde_json::to_value(plan).unwrap()
    };

    let before = forged(&|it| it.changes[1].before = Some(json!(5).into()));
    let tree = forged(&|it| it.changes[0].key = "list.x".parse_key());
    let secret = forged(&|it| {
        it.changes[0].key = "db_password".parse_key();
        it.changes[0].after = Some(json!("z9!k2").into());
    });
    let moves = forged(&|it| {
        it.moves.push(setpoint_ops::plan::Move {
            namespace: "default".to_owned(),
            layer: "base".to_owned(),
            from: "http.host".parse_key(),
            to: "b".parse_key(),
            live: None,
        });
    });
    let mut edited = plan.clone();
    edited["changes"][0]["after"] = json!(7);

    assert_eq!(apply_body(&world, &before).await.said(), (409, "plan::stale"));
    assert_eq!(apply_body(&world, &tree).await.said(), (409, "setting::not_a_tree"));
    assert_eq!(apply_body(&world, &secret).await.said(), (422, "secret::value"));
    assert_eq!(apply_body(&world, &moves).await.said(), (400, "plan::invalid"));
    assert_eq!(apply_body(&world, &edited).await.said(), (400, "plan::invalid"));
    let other = world.post("/api/plans/sha256:0/apply", plan).await;
    assert_eq!(other.said(), (400, "plan::other_hash"));
    assert_eq!(world.get("/api/revisions").await.body["revisions"][0]["id"], 1);
}

#[tokio::test]
async fn who_carries_a_plan_out_is_named_with_it() {
    let world = World::imported().await.with_token("ann", Role::Editor, None).await;
    let (hash, _) = planned(&world, json!({"edits": {"http": {"port": 1}}})).await;
    let (import, _) = planned_by_admin(&world).await;
    let world = world.with_token("bob", Role::Editor, None).await;

    let applied = apply(&world, &hash).await.body;
    let again = apply(&world, &hash).await.body;
    let refused = apply(&world, &import).await;

    assert_eq!((&applied["revision"], &again["revision"]), (&json!(2), &json!(2)));
    let newest = &world.get("/api/revisions").await.body["revisions"][0];
    assert_eq!((&newest["actor"], &newest["reason"]), (&json!("bob"), &json!("planned by ann")));
    assert_eq!(refused.said(), (403, "access::role"));
}

/// A plan that only an admin may carry out.
async fn planned_by_admin(world: &World) -> (String, Value) {
    world.write("app.yaml", &super::APP.replace("fast", "slow"));
    let author = setpoint_ops::plan::Author { actor: "ann".to_owned(), reason: None };
    let wish = crate::plans::ImportWish::default();
    let import = crate::plans::import_plan(&world.service, &wish, "default", author).await.unwrap();
    let plan = serde_json::to_value(&import.plan).unwrap();
    world.service.plans.keep(import);
    (plan["hash"].as_str().unwrap().to_owned(), plan)
}

#[tokio::test]
async fn a_wish_that_is_none_is_refused() {
    let world = World::imported().await;

    for wish in [
        json!({}),
        json!([]),
        json!({"edits": []}),
        json!({"edits": {}, "reset": {}}),
        json!({"revert": {}}),
        json!({"revert": {"revision": 1, "to": 1}}),
        json!({"reset": {}}),
        json!({"import": []}),
        json!({"import": {"strategy": null}}),
        json!({"import": {"strategy": "mine"}}),
        json!({"adopt": {"keys": [], "all": false}}),
    ] {
        let refused = world.post("/api/plans", wish.clone()).await;
        assert_eq!(refused.status, 422, "{wish}: {refused:?}");
    }
}

/// A short way to a key.
trait ParseKey {
    fn parse_key(&self) -> setpoint_ops::Key;
}

impl ParseKey for str {
    fn parse_key(&self) -> setpoint_ops::Key {
        setpoint_ops::Key::parse(self).unwrap()
    }
}
