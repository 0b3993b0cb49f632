//! Backups of a history that is not whole, and of one that was.

use super::{assert_sound, numbers, past, pruned};
use crate::world::World;

on_both![
    a_backup_from_before_brings_back_what_was_removed,
    a_backup_from_before_a_restore_still_holds_what_it_held,
    a_backup_of_what_is_left_restores_and_holds_together,
    a_moment_that_can_be_told_is_restored_and_others_are_refused,
];

fn a_backup_from_before_brings_back_what_was_removed(world: &World) {
    past(world);
    let before = world.json(&["list", "--at", "5"]);
    world.ok(&["audit", "prune", "--yes"]);

    world.ok(&["backup", "restore", "first", "--at", "5", "--yes"]);

    assert_eq!((numbers(world).as_str(), world.json(&["list"])), ("1 2 3 4 5 6", before));
    assert_eq!(world.sql("SELECT count(*) FROM pruned"), "0");
    assert_sound(world);
}

fn a_backup_from_before_a_restore_still_holds_what_it_held(world: &World) {
    past(world).ok(&["backup", "restore", "first", "--yes"]);

    let told = world.json(&["audit", "prune", "--yes"]);

    assert_eq!((&told["backup"]["name"], &told["removed_by"]), (&"first".into(), &[11].into()));
    assert_sound(world);
}

fn a_backup_of_what_is_left_restores_and_holds_together(world: &World) {
    pruned(world).ok(&["backup", "create", "second"]);
    world.ok(&["set", "a", "6"]);

    world.ok(&["backup", "restore", "second", "--yes"]);

    assert_eq!((numbers(world).as_str(), world.get("a").as_str()), ("1 4 8 9 10 11 12 13", "5"));
    assert_sound(world);
    let elsewhere = if world.is_postgres() { World::sqlite() } else { World::postgres() };
    elsewhere.write(
        "backups/second.setpoint.tar",
        std::fs::read(world.path("backups/second.setpoint.tar")).unwrap(),
    );
    elsewhere.ok(&["backup", "restore", "second", "--yes"]);
    assert_eq!(numbers(&elsewhere), "1 4 8 9 10 11 12 13");
    assert_sound(&elsewhere);
}

fn a_moment_that_can_be_told_is_restored_and_others_are_refused(world: &World) {
    past(world);
    let created = "SELECT key, value, created_at FROM setting ORDER BY key";
    let then = world.sql(created);
    world.ok(&["audit", "prune", "--yes"]);
    world.ok(&["backup", "create", "second"]);
    let moments: Vec<_> = (0..=12).map(|it| it.to_string()).collect();
    let list = |it: &String| world.run(&["list", "--at", it, "--json"]).stdout;
    let told: Vec<_> = moments.iter().map(list).collect();

    for (at, told) in moments.iter().zip(told) {
        let command = ["backup", "restore", "second", "--at", at, "--yes"];
        if (2..=8).contains(&at.parse().unwrap()) {
            let refused = world.refusal(&command);
            let told = "1 backup::no_such_moment; backup `second` holds nothing of revision ";
            let nearest =
                ": retention had removed it before, and the nearest are revisions 1 and 9; ";
            assert!(refused.starts_with(&format!("{told}{at}{nearest}")), "{refused}");
            continue;
        }
        let ran = world.run(&command);
        assert_eq!(ran.status, 0, "{at}: {ran}");
        assert_eq!(world.run(&["list", "--json"]).stdout, told, "{at}");
        assert_sound(world);
    }
    world.ok(&["backup", "restore", "second", "--at", "11", "--yes"]);
    assert_eq!(world.sql(created), then);
    // What was removed is said again, and only then that this was restored.
    assert_eq!(numbers(world), "1 4 8 9 10 11 12 13");
    assert_eq!(world.sql("SELECT DISTINCT revision FROM pruned"), "12");
    let at = world.sql("SELECT at FROM revision WHERE id = 4");
    world.ok(&["backup", "create", "third"]);
    let refused = world.refusal(&["backup", "restore", "third", "--at", &at, "--yes"]);
    assert!(refused.starts_with("1 backup::no_such_moment; "), "{refused}");
}
