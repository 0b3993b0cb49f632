//! Services and clients over a history that is not whole.

use serde_json::json;
use setpoint_client::types::Position;

use super::past;
use crate::serve::{Kind, Server, Wants, Wire, eventually, plain};
use crate::world::{World, block_on};

on_both![
    clients_that_resume_from_what_was_removed_are_told_everything,
    a_service_tells_what_was_removed_as_such,
    a_service_that_was_away_takes_everything_anew,
];

/// The first frame about settings that a client is told which has `position`.
fn first_told(server: &Server, kind: Kind, position: &Position) -> serde_json::Value {
    let wants = Wants::default();
    block_on(async {
        let wire = Wire::connect(kind, server.address, None, &wants, Some(position)).await;
        let mut wire = wire.unwrap();
        loop {
            let frame = wire.next().await.unwrap();
            if frame["type"] != "Welcome" {
                break frame;
            }
        }
    })
}

fn clients_that_resume_from_what_was_removed_are_told_everything(world: &World) {
    let server = plain(past(world));
    world.ok(&["audit", "prune", "--yes"]);
    let head = || server.get("/api/revisions?limit=1").json()["revisions"][0]["id"].clone();
    eventually("the service has heard of it", || head() == json!(12));
    let epoch = world.sql("SELECT epoch FROM head");

    for kind in [Kind::Raw, Kind::Events] {
        for revision in [1, 3, 6] {
            let position = Position { epoch: epoch.clone(), revision };
            let frame = first_told(&server, kind, &position);

            assert_eq!(frame["type"], "SettingsReloaded", "{frame}");
            assert_eq!(frame["reason"], "resync", "{frame}");
            assert_eq!(frame["settings"].as_array().unwrap().len(), 2, "{frame}");
        }
    }
}

fn a_service_tells_what_was_removed_as_such(world: &World) {
    past(world).ok(&["audit", "prune", "--yes"]);
    let server = plain(world);

    let gone = server.get("/api/revisions/5");
    let reverted = server.send("POST", "/api/revisions/5/revert", "");
    let verdict = server.get("/api/audit/verify").json();

    for answer in [&gone, &reverted] {
        assert_eq!((answer.status, &answer.json()["code"]), (404, &json!("history::pruned")));
    }
    assert_eq!((&verdict["removed"], &verdict["first_bad"]), (&json!(5), &json!(null)));
    assert_eq!(server.get("/api/revisions/12").json()["revision"]["kind"], "retention");
    // The last page of a history says that it is not the beginning.
    for path in ["/api/settings/a/history", "/api/revisions", "/api/audit"] {
        let [first, all] = [1, 100].map(|it| server.get(&format!("{path}?limit={it}")).json());
        assert_eq!(first["removed"], json!(null), "{path}");
        assert_eq!(
            (&all["removed"]["last"], &all["removed"]["removed_by"]),
            (&json!(7), &json!(12))
        );
    }
    assert_eq!(server.get("/api/settings/a/explain").json()["removed"]["revisions"], 5);
    assert!(server.get("/api/revisions/12").json().get("removed").is_none());
}

fn a_service_that_was_away_takes_everything_anew(world: &World) {
    world.write("setpoint.toml", "[revisions]\nkeep_last = 1\n");
    world.migrate("a: 1\n");
    world.ok(&["set", "d", "1"]);
    let server = plain(world);
    let epoch = world.sql("SELECT epoch FROM head");
    server.signal("STOP");
    // What deletes `d` is removed with all that set it.
    world.ok(&["unset", "d"]);
    world.ok(&["set", "a", "2"]);
    world.ok(&["set", "a", "3"]);
    world.ok(&["backup", "create", "first"]);
    world.ok(&["audit", "prune", "--yes"]);
    assert_eq!(super::numbers(world), "1 4 5 6");
    server.signal("CONT");

    eventually("it has heard of it", || server.get("/api/settings/a").json()["value"] == json!(3));

    assert_eq!(server.get("/api/settings/d").status, 404);
    let frame = first_told(&server, Kind::Raw, &Position { epoch, revision: 2 });
    assert_eq!((&frame["type"], &frame["reason"]), (&json!("SettingsReloaded"), &json!("resync")));
}
