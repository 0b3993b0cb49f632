//! What clients are told where more is to it than one revision after the other: another history,
//! values that nobody may have, preferences that hide a map.

use std::sync::mpsc;

use super::audience::{Audience, Places};
use super::checker::assert_true;
use super::server::Server;
use super::truth::Truth;
use super::writers::{self, Http};
use super::{CONFIGURATION, as_told, ready, ready_with};
use crate::world::World;

on_both![
    a_restored_database_makes_every_client_take_everything_anew,
    an_invalid_change_by_sql_is_kept_out_until_a_valid_one_heals_it,
    a_preference_that_hides_a_map_is_told_as_such,
];

fn a_restored_database_makes_every_client_take_everything_anew(world: &World) {
    let server = Server::start(ready(world));
    let audience = Audience::gather(&Places { addresses: vec![server.address], token: None });
    let (done, _acknowledged) = mpsc::channel();
    let writer = Http::to(server.address, "one");
    writer.write_all(0..20, &done);
    let earlier = Truth::of(world);

    world.sql("UPDATE head SET epoch = 'restored'");
    writer.write_all(20..40, &done);
    writers::end(world);

    let histories = audience.end(world);
    assert_true(&Truth::of(world).after(earlier), &histories);
    let epoch = as_told(world, "restored");
    let is_resync = |it: &&serde_json::Value| it["reason"] == "resync" && it["epoch"] == epoch;
    let resynced = histories.iter().filter(|it| it.frames().filter(is_resync).count() == 1);
    assert_eq!(resynced.count(), histories.len());
}

/// A schema, and a pattern of secrets.
/// What is declared besides in a world that has this file.
pub const SCHEMA_FILE: &str = "schema.json";
pub const SECRET: &str = "a.hidden";
const RULES: &str = "schema = 'schema.json'\nsecret = ['a.hidden']\n";

const SCHEMA: &str = r#"{"properties": {"a": {"properties": {"k1": {"maxLength": 5}}}}}"#;

fn an_invalid_change_by_sql_is_kept_out_until_a_valid_one_heals_it(world: &World) {
    world.write(SCHEMA_FILE, SCHEMA);
    let server = Server::start(ready_with(world, &format!("{CONFIGURATION}{RULES}")));
    let mut audience = Audience::gather(&Places { addresses: vec![server.address], token: None });
    let value = |key: &str| server.get(&format!("/api/settings/{key}")).json()["value"].clone();
    let invalid = "SELECT layer, key, revision FROM invalid_change ORDER BY revision";

    world.sql("UPDATE setting SET value = '\"much too long\"' WHERE key = 'a.k1'");
    let first = world.revision();
    world.sql(
        "INSERT INTO setting (namespace, layer, key, value, value_type)
         VALUES ('default', 'base', 'a.hidden', '\"swordfish\"', 'string')",
    );
    world.sql("UPDATE setting SET value = '\"fine\"' WHERE key = 'a.k0'");
    let third = world.revision();
    audience
        .wait_until("hears of the last", |it| it.as_ref().is_some_and(|it| it.revision == third));

    assert_eq!((value("a.k1"), value("a.k0")), ("x".into(), "fine".into()));
    assert_eq!(server.get("/api/settings/a.hidden").status, 404);
    super::eventually("what is kept out is written down", || {
        world.sql(invalid) == format!("base|a.k1|{first}\nbase|a.hidden|{}", first + 1)
    });
    server.wait_for("kept out a change made by SQL");
    for command in [&["get", "a.k1"][..], &["list", "--prefix", "a"], &["export"]] {
        let said = world.run(command).stderr;
        let warning = "warning: `a.k1` of layer `base` is kept out by the service";
        assert!(said.contains(warning) && !said.contains("a.k0"), "{said}");
    }

    world.sql("UPDATE setting SET value = '\"short\"' WHERE key = 'a.k1'");
    assert_eq!(server.put("/api/settings/a.k2", r#"{"value": "y"}"#).status, 200);
    assert_eq!(value("a.k1"), "short");
    writers::end(world);

    let histories = audience.end(world);
    assert_true(&Truth::of(world), &histories);
    let told = format!("{histories:?}");
    assert!(!told.contains("swordfish") && !told.contains("much too long"));
    assert!(!server.log().contains("swordfish"));
}

fn a_preference_that_hides_a_map_is_told_as_such(world: &World) {
    let server = Server::start(ready(world));
    let audience = Audience::gather(&Places { addresses: vec![server.address], token: None });

    for layer in ["user:ann", "user:bob", "site"] {
        let path = |key: &str| format!("/api/settings/{key}?layer={layer}");
        for (key, body) in [("b.k2", r#"{"value": "flat"}"#), ("end.deep", r#"{"value": 1}"#)] {
            assert_eq!(server.put(&path(key), body).status, 200);
            assert_eq!(server.send("DELETE", &path(key), "").status, 200);
        }
    }
    writers::end(world);

    assert_true(&Truth::of(world), &audience.end(world));
}
