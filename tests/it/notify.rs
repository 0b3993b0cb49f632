//! How a service finds out what has changed: what PostgreSQL tells those who listen, and the way
//! from a revision to the changes after it.

use sea_orm::sqlx::postgres::PgListener;

use crate::world::{World, block_on};

on_both![the_changes_after_a_revision_are_found_by_an_index,];

fn the_changes_after_a_revision_are_found_by_an_index(world: &World) {
    world.migrate("a: 1\n");
    let ask = "SELECT * FROM change WHERE revision > 7 ORDER BY revision, namespace, layer, key";

    let plan = match world.is_postgres() {
        // A table as small as this one is read whole otherwise.
        true => world.sql(&format!("SET enable_seqscan = off; EXPLAIN {ask}")),
        false => world.sql(&format!("EXPLAIN QUERY PLAN {ask}")),
    };
    let sorts_all = plan.contains("TEMP B-TREE");
    assert!(plan.contains("change_revision") && !sorts_all, "{plan}");
}

/// What PostgreSQL told while `work` was done.
fn heard(world: &World, work: impl FnOnce()) -> Vec<String> {
    block_on(async {
        let mut listener = PgListener::connect(&world.database()).await.unwrap();
        listener.listen("setpoint").await.unwrap();
        work();
        world.sql("NOTIFY setpoint, 'end'");
        let mut heard = Vec::new();
        loop {
            match listener.recv().await.unwrap().payload() {
                "end" => return heard,
                payload => heard.push(payload.to_owned()),
            }
        }
    })
}

#[test]
fn postgres_tells_of_each_revision_whoever_made_it() {
    let world = World::postgres();
    world.migrate("a: 1\nb: 1\n");
    let epoch = world.sql("SELECT epoch FROM head");

    let heard = heard(&world, || {
        world.ok(&["set", "a", "2"]);
        world.sql("UPDATE setting SET value = '3'");
        world.sql("BEGIN; UPDATE setting SET value = '4'; ROLLBACK");
        world.sql("UPDATE head SET epoch = 'restored'");
        world.sql("UPDATE head SET applying = 9; UPDATE head SET applying = NULL");
        world.ok(&["verify"]);
    });

    assert_eq!(heard, [format!("{epoch} 2"), format!("{epoch} 3"), "restored 3".to_owned()]);
}

#[test]
fn postgres_tells_of_tokens_and_not_which() {
    let world = World::postgres();
    world.ok(&["database", "up"]);

    let heard = heard(&world, || {
        world.ok(&["token", "create", "ci", "--role", "viewer"]);
        world.ok(&["token", "list"]);
        world.ok(&["token", "revoke", "ci", "--yes"]);
        world.sql("BEGIN; UPDATE token SET role = 'admin'; DELETE FROM token; COMMIT");
    });

    assert_eq!(heard, ["tokens", "tokens", "tokens"]);
}
