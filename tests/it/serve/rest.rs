//! What is asked of the database and not of the snapshot: the past, plans, files. It is to be the
//! same on both databases, and known to those who listen.

use serde_json::{Value, json};

use super::audience::{Audience, Places};
use super::checker::assert_true;
use super::server::Server;
use super::truth::Truth;
use super::{CONFIGURATION, writers};
use crate::world::World;

on_both![
    the_past_is_found_by_what_happened_in_it,
    plans_of_every_kind_are_carried_out_and_heard_of,
    what_sql_wrote_and_is_kept_out_is_audited,
    files_and_settings_are_brought_together,
    a_nul_character_is_refused_and_fails_nothing,
];

const APP: &str = "http:\n  port: 8080  # listen\n  host: localhost\nphysics:\n  mode: fast\n";

/// A service over a declared file that was imported.
fn served(world: &World) -> Server {
    world.write("app.yaml", APP);
    let declared = format!("{CONFIGURATION}\n[[source]]\npath = 'app.yaml'\n");
    world.write("setpoint.toml", declared);
    let migrated = world.run(&["migrate"]);
    assert_eq!(migrated.status, 0, "{migrated}");
    Server::start(world)
}

#[track_caller]
fn post(server: &Server, path: &str, body: Value) -> Value {
    let answer = server.send("POST", path, &body.to_string());
    assert!(answer.status < 300, "{path}: {answer}");
    answer.json()
}

#[track_caller]
fn get(server: &Server, path: &str) -> Value {
    let answer = server.get(path);
    assert_eq!(answer.status, 200, "{path}: {answer}");
    answer.json()
}

fn the_past_is_found_by_what_happened_in_it(world: &World) {
    let server = served(world);
    server.put("/api/settings/http.port", r#"{"value": 1}"#);
    post(&server, "/api/settings/update", json!({"http": {"port": 2}, "Z": 1, "a-b": 1, "a": 1}));

    let pages = |path: &str, part: &str| {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = get(&server, &format!("{path}&limit=2{cursor}"));
            all.extend(page[part].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    };
    let told = |it: Vec<Value>| -> Vec<String> {
        let one = |it: &Value| format!("{} {} {}", it["revision"], it["key"], it["after"]);
        it.iter().map(one).collect()
    };
    let ids =
        |it: Vec<Value>| -> Vec<i64> { it.iter().map(|it| it["id"].as_i64().unwrap()).collect() };

    assert_eq!(
        told(pages("/api/audit?ns=default", "events")),
        [
            "3 \"Z\" 1",
            "3 \"a\" 1",
            "3 \"a-b\" 1",
            "3 \"http.port\" 2",
            "2 \"http.port\" 1",
            "1 \"http.host\" \"localhost\"",
            "1 \"http.port\" 8080",
            "1 \"physics.mode\" \"fast\"",
        ]
    );
    let of_key = pages("/api/settings/http/history?ns=default", "events");
    assert_eq!(told(of_key).len(), 4);
    assert_eq!(ids(pages("/api/revisions?key=http.port", "revisions")), [3, 2, 1]);
    assert_eq!(ids(pages("/api/revisions?channel=cli", "revisions")), [1]);
    assert_eq!(ids(pages("/api/revisions?to=2020-01-01", "revisions")), [] as [i64; 0]);
    assert_eq!(ids(pages("/api/revisions?from=1h", "revisions")), [3, 2, 1]);
    assert_eq!(get(&server, "/api/revisions/3")["revision"]["changes"], 4);
    assert_eq!(get(&server, "/api/audit/verify")["first_bad"], Value::Null);
    let explained = get(&server, "/api/settings/http.port/explain");
    assert_eq!(explained["layers"][0]["state"], "edited-here");
}

fn plans_of_every_kind_are_carried_out_and_heard_of(world: &World) {
    let server = served(world);
    let places = Places { addresses: vec![server.address], token: None };
    let audience = Audience::gather(&places);

    let port = json!({"http": {"port": 1}});
    let mut revision = 1;
    for wish in [
        json!({"edits": port}),
        json!({"adopt": {"all": true}}),
        json!({"revert": {"to": 1, "strategy": "theirs"}}),
        json!({"import": {"strategy": "theirs"}}),
        json!({"edits": {"physics": {"mode": "slow"}, "own": true}}),
        json!({"reset": {"all": true, "purge": true}}),
    ] {
        if wish.get("import").is_some() {
            world.write("app.yaml", world.read("app.yaml").replace("fast", "odd"));
        }
        let plan = post(&server, "/api/plans", wish.clone());
        let path = format!("/api/plans/{}/apply", plan["hash"].as_str().unwrap());
        let applied = post(&server, &path, plan);
        let again = server.send("POST", &path, "").json();
        assert_eq!(applied["revision"], again["revision"], "{wish}");
        assert_eq!(again["repeated"], true, "{wish}");
        revision = applied["revision"].as_i64().unwrap_or(revision);
    }

    assert_eq!(get(&server, "/api/revisions?limit=1")["revisions"][0]["id"], revision);
    assert!(world.read("app.yaml").contains("port: 1  # listen"));
    writers::end(world);
    assert_true(&Truth::of(world), &audience.end(world));
}

fn what_sql_wrote_and_is_kept_out_is_audited(world: &World) {
    let server = served(world);

    // A value that looks like a secret is given to nobody.
    world.sql(
        "INSERT INTO setting (namespace, layer, key, value, value_type, revision, created_at, \
         updated_at, updated_by) VALUES ('default', 'base', 'db_password', '\"z9!k2pQ7\"', \
         'string', 0, '', '', 'sql')",
    );
    super::eventually("what is kept out is told", || {
        let found = get(&server, "/api/audit?kept_out=true");
        found["events"].as_array().is_some_and(|it| !it.is_empty())
    });

    let kept_out = get(&server, "/api/audit?kept_out=true");
    assert_eq!(kept_out["events"][0]["key"], "db_password");
    assert!(!kept_out["events"][0]["kept_out"].is_null(), "{kept_out}");
    assert!(!kept_out.to_string().contains("z9!k2pQ7"), "{kept_out}");
    assert_eq!(server.get("/api/settings/db_password").problem().0, 404);
}

fn files_and_settings_are_brought_together(world: &World) {
    let server = served(world);
    server.put("/api/settings/http.port", r#"{"value": 1}"#);
    world.write("app.yaml", APP.replace("8080", "9000").replace("fast", "slow"));

    assert_eq!(get(&server, "/api/sources")[0]["state"], "changed");
    let drift = get(&server, "/api/drift");
    assert_eq!(drift["drift"].as_array().unwrap().len(), 2, "{drift}");
    let open = post(&server, "/api/sources/migrate", json!({}));
    assert_eq!((&open["conflicts"], &open["revision"]), (&json!(1), &json!(3)));
    let ours = json!({"resolve": {"http.port": "ours"}});
    assert_eq!(post(&server, "/api/sources/migrate", ours)["conflicts"], 0);
    let ignored = post(&server, "/api/drift/ignore", json!({"names": ["http"]}));
    assert_eq!(ignored["count"], 1);
    let adopted = post(&server, "/api/drift/adopt", json!({"keys": ["http.port"]}));
    assert!(adopted["kept"].as_str().unwrap().contains("pre_adopt_"), "{adopted}");

    assert_eq!(get(&server, "/api/drift?all=true")["drift"], json!([]));
    assert!(world.read("app.yaml").contains("port: 1  # listen"));
    assert_eq!(world.run(&["verify"]).status, 0);
}

fn a_nul_character_is_refused_and_fails_nothing(world: &World) {
    let server = served(world);
    let body = r#"{"value": 1}"#;

    for (method, path) in [
        ("GET", "/api/settings/a%00b"),
        ("GET", "/api/settings?prefix=%00"),
        ("GET", "/api/revisions?actor=%00"),
        ("GET", "/api/audit?ns=%00"),
        ("PUT", "/api/settings/http.port?reason=%00"),
        ("PUT", "/api/settings/http.port?layer=user:%00"),
        ("POST", "/api/plans/sha256:%00/apply"),
        ("DELETE", "/api/tokens/%00"),
    ] {
        let refused = server.send(method, path, if method == "PUT" { body } else { "" });
        assert_eq!(refused.problem(), (400, "request::nul".to_owned()), "{method} {path}");
    }

    // In a body it is no part of the address: what would be written down is refused.
    let mut plan = post(&server, "/api/plans", json!({"edits": {"own": 1}}));
    plan["reason"] = json!("a\u{0}b");
    let hash = plan["hash"].as_str().unwrap().to_owned();
    for (path, body) in [
        (format!("/api/plans/{hash}/apply"), plan),
        ("/api/drift/ignore".to_owned(), json!({"names": ["\u{0}"]})),
        ("/api/tokens".to_owned(), json!({"name": "\u{0}", "role": "viewer"})),
        ("/api/plans".to_owned(), json!({"import": {"sources": ["\u{0}"]}})),
        ("/api/plans".to_owned(), json!({"revert": {"to": 1, "keys": ["\"\\u0000\""]}})),
    ] {
        let refused = server.send("POST", &path, &body.to_string());
        assert!(refused.status < 500, "{path}: {refused}");
    }
    // A value is kept as JSON, which has an escape for it.
    assert_eq!(server.put("/api/settings/own", r#"{"value": "a\u0000b"}"#).status, 200);
    assert_eq!(get(&server, "/api/settings/own")["value"], "a\u{0}b");
    assert_eq!(world.run(&["verify"]).status, 0);
}
