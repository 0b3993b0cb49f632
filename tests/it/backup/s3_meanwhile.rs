//! What becomes of a backup on its way into a bucket where others write too, and of theirs.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::ready;
use super::s3::{kept, large};
use super::store::Store;
use crate::world::World;

/// Worlds whose archive goes as a whole and in parts, with the request that makes it.
fn worlds() -> [(&'static str, &'static str, World); 2] {
    let (small, large_one) = (World::sqlite(), World::sqlite());
    ready(&small);
    large(&large_one);
    [("whole", "PUT *", small), ("parts", "POST *", large_one)]
}

#[test]
fn an_archive_that_somebody_else_makes_meanwhile_is_not_replaced() {
    let store = Store::start();
    for (name, making, world) in worlds() {
        store.keeps(&world, "");
        let there = format!("live/{name}.setpoint.tar");
        for late in [false, name == "parts"] {
            store.trouble(&json!({"before": making, "put": there, "late": late}));

            let refusal = world.refusal(&["backup", "create", name]);

            assert!(refusal.starts_with("1 backup::exists; "), "{refusal}");
            assert_eq!((store.get(&there), store.uploads()), (b"another".to_vec(), 0.into()));
            store.remove(&there);
        }
        store.put(&there, b"another");
        let again = world.refusal(&["backup", "create", name]);
        assert!(again.starts_with("1 backup::exists; "), "{again}");
    }
}

#[test]
fn what_somebody_else_makes_stays_in_a_store_that_looks_at_no_conditions() {
    let store = Store::start();
    for (name, _, world) in worlds() {
        store.keeps(&world, "");
        let there = format!("live/{name}.setpoint.tar");
        // Before it is looked for the last time, and after it was made.
        for before in ["POST -", "GET -"].into_iter().skip(usize::from(name == "whole")) {
            store.trouble(&json!({"before": before, "put": there, "deaf": true}));

            let refusal = world.refusal(&["backup", "create", name]);

            assert!(refusal.starts_with("1 backup::exists; "), "{before}: {refusal}");
            assert_eq!((store.get(&there), store.uploads()), (b"another".to_vec(), 0.into()));
            store.remove(&there);
        }
    }
}

#[test]
fn what_is_changed_on_its_way_or_where_it_is_stored_is_no_backup() {
    let world = World::sqlite();
    let store = kept(&world);
    let told = |trouble: Value| {
        store.trouble(&trouble);
        let refusal = world.refusal(&["backup", "create", "first"]);
        assert!(store.names().is_empty(), "{refusal}");
        refusal.replace(&store.url, "[store]")
    };

    assert_snapshot!(told(json!({"corrupt": true})), @"1 backup::store_failed; s3://backups/live at [store] answers 400 XAmzContentSHA256Mismatch; nothing was changed; try again, and look at what that store says of itself");
    assert_snapshot!(told(json!({"before": "GET -", "flip": true})), @"1 backup::not_verified; the new backup does not restore: the store does not hold what was sent; it was not kept; look at `setpoint verify` and at the disk, then try again");
}
