//! Who is answered, and who is not.

use super::http::{Answer, begin, read, send, send_with};
use super::ready;
use super::server::Server;
use crate::world::World;

fn create(world: &World, arguments: &[&str]) -> String {
    world.ok(&[&["token", "create"], arguments].concat()).trim().to_owned()
}

const A: &str = "/api/settings/a.k0";

const BODY: &str = r#"{"value": "y"}"#;

#[track_caller]
fn assert_refused(answer: std::io::Result<Answer>, status: u16, code: &str) {
    let answer = answer.unwrap();
    assert_eq!(answer.problem(), (status, code.to_owned()), "{answer}");
    assert!(!answer.body.contains("sp_0"), "{answer}");
}

#[test]
fn a_token_that_is_missing_wrong_expired_or_revoked_opens_nothing() {
    let world = World::sqlite();
    ready(&world);
    let good = create(&world, &["good", "--role", "viewer"]);
    let revoked = create(&world, &["revoked", "--role", "admin"]);
    let expired = create(&world, &["expired", "--role", "admin", "--expires", "1d"]);
    world.sql("UPDATE token SET expires_at = '2020-01-01T00:00:00.000Z' WHERE name = 'expired'");
    world.ok(&["token", "revoke", "revoked", "--yes"]);
    let server = Server::start(&world);
    let get = |token: Option<&str>| send(server.address, token, "GET", A, "");

    assert_eq!(get(Some(&good)).unwrap().status, 200);
    assert_refused(get(None), 401, "token::missing");
    assert_refused(get(Some("sp_0")), 401, "token::malformed");
    assert_refused(get(Some(&revoked)), 401, "token::revoked");
    assert_refused(get(Some(&expired)), 401, "token::expired");
    let mut unknown: String = good.clone();
    unknown.replace_range(5..6, if &good[5..6] == "a" { "b" } else { "a" });
    assert_eq!(get(Some(&unknown)).unwrap().status, 401);
    for path in ["/health", "/ready"] {
        assert_eq!(send(server.address, None, "GET", path, "").unwrap().status, 200);
    }
}

#[test]
fn a_token_is_for_its_role_and_its_namespaces() {
    let world = World::sqlite();
    ready(&world);
    let viewer = create(&world, &["viewer", "--role", "viewer"]);
    let other = create(&world, &["other", "--role", "admin", "--only", "other"]);
    let server = Server::start(&world);
    let send = |token: &str, method| send(server.address, Some(token), method, A, BODY);

    assert_eq!(send(&viewer, "GET").unwrap().status, 200);
    assert_refused(send(&viewer, "PUT"), 403, "access::role");
    assert_refused(send(&viewer, "DELETE"), 403, "access::role");
    assert_refused(send(&other, "GET"), 403, "access::namespace");
    assert_refused(send(&other, "PUT"), 403, "access::namespace");
    assert_eq!(world.revision(), 1);
}

#[test]
fn a_name_or_a_page_that_is_not_ours_is_refused() {
    let world = World::sqlite();
    let server = Server::start(ready(&world));
    let own = format!("http://{}", server.address);
    let to = |method, headers: &[(&str, &str)], body| {
        send_with(server.address, method, A, headers, body)
    };
    let json = ("Content-Type", "application/json");

    assert_eq!(to("GET", &[("Host", "localhost")], "").unwrap().status, 200);
    assert_refused(to("GET", &[("Host", "evil.example")], ""), 403, "access::host");
    assert_eq!(to("PUT", &[json, ("Origin", &own)], BODY).unwrap().status, 200);
    for headers in [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")] {
        assert_refused(to("PUT", &[json, headers], BODY), 403, "access::origin");
    }
    let upgrade = [
        ("Upgrade", "websocket"),
        ("Connection", "upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Origin", "https://evil.example"),
    ];
    let path = "/api/settings/ws";
    assert_refused(send_with(server.address, "GET", path, &upgrade, ""), 403, "access::origin");
    assert_eq!(world.revision(), 2);
}

#[test]
fn a_body_that_is_too_large_too_deep_or_no_json_changes_nothing() {
    let world = World::sqlite();
    let server = Server::start(ready(&world));
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));

    let answer = server.put(A, &format!(r#"{{"value": {deep}}}"#));
    assert_eq!(answer.problem(), (400, "request::too_deep".to_owned()), "{answer}");
    // It is refused before it is sent.
    let large = begin(server.address, "PUT", A, &[("Content-Type", "application/json")], 2 << 20);
    assert_refused(large.and_then(read), 413, "request::too_large");
    for body in ["", "{", r#"{"value": 1, "more": 2}"#, r#"{"valu": 1}"#, "\u{0}"] {
        let answer = server.put(A, body);
        assert!((400..500).contains(&answer.status), "{body}: {answer}");
    }
    assert_eq!(world.revision(), 1);
}
