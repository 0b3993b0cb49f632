//! What the front keeps out, and what it tells to whom.

use std::sync::Arc;

use poem::Body;
use serde_json::{Value, json};
use setpoint_client::types::Position;
use setpoint_ops::Pattern;
use setpoint_ops::live::{Declared, Policy};
use setpoint_ops::secret::Rules;
use setpoint_ops::token::{self, Role};
use tokio::sync::Semaphore;

use super::{World, space};
use crate::access::Caller;
use crate::feed::{Feed, Wants};
use crate::service::{Setup, now};

const PANEL: &str = "https://panel.example";

impl World {
    fn set_up(&self, change: impl FnOnce(&mut Setup)) {
        let mut setup = Setup::clone(&self.service.setup.load());
        change(&mut setup);
        self.service.setup.store(Arc::new(setup));
    }

    fn listen(&self, at: Option<Position>) -> Feed {
        let wants = Wants { namespace: "default".to_owned(), patterns: Vec::new(), user: None };
        Feed::new(self.service.live.clone(), wants, at, Arc::new(Semaphore::new(1)))
    }
}

#[tokio::test]
async fn a_parameter_that_is_misspelt_changes_nothing() {
    let world = World::imported().await;

    for path in ["/api/settings/update?dryrun=true", "/api/tickets?dry_run=true"] {
        assert_eq!(world.post(path, json!({})).await.said(), (400, "request::parameter"), "{path}");
    }
    let revoked = world.send("DELETE", "/api/tokens/ci?dry_run=true", &[], Body::empty()).await;
    assert_eq!(revoked.said(), (400, "request::parameter"));
    assert_eq!(world.get("/api/settings?prefix=http&limit=1").await.status, 200);
}

#[tokio::test]
async fn a_page_of_a_listed_origin_may_write_and_read_the_answer_and_others_may_not() {
    let world = World::imported().await;
    world.set_up(|it| it.origins = vec![PANEL.to_owned()]);
    let ask = async |origin: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "PUT")];
        world.send("OPTIONS", "/api/settings/http.port", &headers, Body::empty()).await
    };
    let update = async |origin: &str| {
        let headers = [("origin", origin), ("content-type", "application/json")];
        let body = Body::from_string(json!({"a": 1}).to_string());
        world.send("POST", "/api/settings/update?dry_run=true", &headers, body).await
    };

    let (asked, written) = (ask(PANEL).await, update(PANEL).await);
    let own = update("http://localhost:8080").await;

    assert_eq!((asked.status.as_u16(), asked.header("access-control-allow-origin")), (204, PANEL));
    assert_eq!((written.status.as_u16(), written.header("vary")), (200, "origin"));
    assert_eq!(written.header("access-control-allow-origin"), PANEL);
    assert_eq!((own.status.as_u16(), own.header("access-control-allow-origin")), (200, ""));
    assert_eq!(ask("https://evil.example").await.said(), (403, "access::origin"));
    assert_eq!(update("https://evil.example").await.said(), (403, "access::origin"));
}

#[tokio::test]
async fn the_value_of_a_declared_secret_is_in_no_problem() {
    let world = World::imported().await;
    let secret = Rules { public: Vec::new(), secret: vec![Pattern::parse("http.port").unwrap()] };
    let declared = Declared { secrets: secret, ..space(&["base"], None) };
    let policy = Policy::new([("default".to_owned(), declared)].into());
    world.service.live.reconfigure(policy).await.unwrap();

    let refused = world.put("http.port", json!("z9!k2")).await;

    assert_eq!(refused.said(), (422, "secret::value"), "{refused:?}");
    assert!(!refused.body.to_string().contains("z9!k2"));
}

#[tokio::test]
async fn a_ticket_is_worth_nothing_once_its_token_is_revoked() {
    let world = World::imported().await.with_token("v", Role::Viewer, None).await;
    let ticket = async || {
        let made = world.post_text("/api/tickets", "").await;
        assert_eq!(made.header("cache-control"), "no-store");
        made.body["ticket"].as_str().unwrap().to_owned()
    };
    // It listens, if it is let in: the handshake is not even one.
    let open = async |ticket: &str| {
        let path = format!("/api/settings/ws?ticket={ticket}");
        world.send("GET", &path, &[], Body::empty()).await
    };
    let (first, second) = (ticket().await, ticket().await);

    assert_eq!(open(&first).await.said(), (400, "request::no_websocket"));
    assert_eq!(open(&first).await.said(), (401, "ticket::unknown"));
    token::revoke(world.service.live.writer().unwrap(), "v", "test", now()).await.unwrap();
    world.service.live.catch_up().await.unwrap();
    assert_eq!(open(&second).await.said(), (401, "token::revoked"));
}

#[tokio::test]
async fn strangers_read_the_document_and_whether_it_is_ready_and_no_more() {
    let world = World::imported().await.with_token("r", Role::Viewer, Some(&["robot"])).await;
    let known = world.get("/ready").await;
    let elsewhere = world.get("/api/settings?ns=nowhere").await;
    let stranger = World { token: None, ..world };
    let unknown = stranger.get("/ready").await;
    let docs = stranger.get("/docs").await;

    assert!(known.body["news"]["detail"].is_string(), "{known:?}");
    assert_eq!(elsewhere.said(), (403, "access::namespace"));
    assert_eq!(unknown.body["news"]["detail"], Value::Null);
    assert_eq!((docs.status.as_u16(), docs.header("x-frame-options")), (200, "DENY"));
    assert_eq!(stranger.get("/api/openapi.json").await.status, 200);
    assert_eq!(stranger.get("/api/settings").await.said(), (401, "token::missing"));
}

#[tokio::test]
async fn a_body_is_json_however_its_type_is_written() {
    let world = World::imported().await;

    let body = Body::from_string("[".repeat(100));
    let json = [("content-type", "Application/JSON; charset=utf-8")];
    let deep = world.send("POST", "/api/settings/update", &json, body).await;

    assert_eq!(deep.said(), (400, "request::too_deep"));
}

#[tokio::test]
async fn who_comes_back_after_something_else_was_declared_is_told_everything() {
    let world = World::imported().await;
    let position = world.listen(None).next().await.position;
    assert!(world.listen(Some(position.clone())).take().is_none());

    let other = [("default".to_owned(), space(&["base"], None))];
    world.service.live.reconfigure(Policy::new(other.into())).await.unwrap();
    let told = world.listen(Some(position)).next().await;

    assert!(told.is_reload && told.text.contains(r#""reason":"reconfigured""#), "{}", told.text);
}

#[tokio::test]
async fn whoever_listens_is_refused_as_soon_as_the_token_is_revoked() {
    let world = World::imported().await.with_token("v", Role::Viewer, None).await;
    let caller = Caller { name: "v".into(), role: Role::Viewer, namespaces: None };
    let refused = tokio::spawn(crate::listen::refused(world.service.clone(), caller));

    token::revoke(world.service.live.writer().unwrap(), "v", "test", now()).await.unwrap();
    world.service.live.catch_up().await.unwrap();

    let error = crate::problem::ApiError::problem(&mut refused.await.unwrap()).code.clone();
    assert_eq!(error, "token::revoked");
}

#[tokio::test]
async fn a_token_is_not_called_as_those_who_have_none() {
    let world = World::imported().await.with_token("root", Role::Admin, None).await;

    for name in ["local", "sql"] {
        let refused = world.post("/api/tokens", json!({"name": name, "role": "viewer"})).await;
        assert_eq!(refused.said(), (422, "token::taken"));
    }
}
