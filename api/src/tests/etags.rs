//! ETags, and what they are of.

use std::collections::HashMap;

use poem::Body;
use serde_json::json;
use setpoint_ops::live::Policy;

use super::{Answer, World, space};

impl World {
    async fn put_if(&self, path: &str, etag: &str, value: i64) -> Answer {
        let headers = [("content-type", "application/json"), ("if-match", etag)];
        let body = Body::from_string(json!({ "value": value }).to_string());
        self.send("PUT", &format!("/api/settings/{path}"), &headers, body).await
    }

    async fn get_unless(&self, path: &str, etag: &str) -> u16 {
        let known = [("if-none-match", etag)];
        self.send("GET", path, &known, Body::empty()).await.status.as_u16()
    }
}

#[tokio::test]
async fn the_same_revision_of_two_layers_has_two_etags() {
    let world = World::imported().await;

    world.post("/api/config/http?layer=site", json!({"port": 2})).await;

    let of_site = world.get("/api/settings/http.port").await;
    world.send("DELETE", "/api/settings/http.port?layer=site", &[], Body::empty()).await;
    let of_base = world.get("/api/settings/http.port").await;

    assert_eq!((&of_site.body["value"], &of_base.body["value"]), (&json!(2), &json!(8080)));
    assert!(of_site.header("etag").contains("-site-"), "{of_site:?}");
    assert!(of_base.header("etag").contains("-base-"), "{of_base:?}");
}

#[tokio::test]
async fn the_etag_of_a_write_is_what_the_next_one_needs() {
    let world = World::imported().await;

    let first = world.put("http.port", json!(1)).await;
    let second = world.put_if("http.port", first.header("etag"), 2).await;
    let stale = world.put_if("http.port", first.header("etag"), 3).await;
    let dry = world.put_if("http.port?dry_run=true", "*", 3).await;

    assert_eq!(second.body["revision"], 3, "{second:?}");
    assert_eq!(second.header("etag"), world.get("/api/settings/http.port").await.header("etag"));
    assert_eq!(stale.said(), (409, "plan::stale"));
    assert_eq!((dry.status.as_u16(), dry.header("etag")), (200, ""));
}

#[tokio::test]
async fn an_etag_counts_until_something_else_is_declared() {
    let world = World::imported().await;
    let setting = "/api/settings/http.port";
    let section = "/api/config/http";
    let (one, all) = (world.get(setting).await, world.get(section).await);
    let known = async || {
        let one = world.get_unless(setting, one.header("etag")).await;
        (one, world.get_unless(section, all.header("etag")).await)
    };

    let before = known().await;
    let other = HashMap::from([("default".to_owned(), space(&["base", "site", "top"], None))]);
    world.service.live.reconfigure(Policy::new(other)).await.unwrap();

    assert_eq!(before, (304, 304));
    assert_eq!(known().await, (200, 200));
}
