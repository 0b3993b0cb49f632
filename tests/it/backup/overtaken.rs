//! Somebody writes between the plan of a restore and the restore.

use std::fs;

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, TransactionTrait as _};
use serde_json::{Value, json};

use super::ready;
use crate::confirm::database;
use crate::serve::{self, eventually};
use crate::world::{Ran, World, block_on, text};

on_both![
    a_restore_tells_that_it_replaced_more_than_it_had_shown,
    programs_are_told_of_it_and_not_where_nobody_wrote,
    the_service_tells_of_it,
];

/// A backup of revision 5, and a revision 6.
fn moved_on(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    world.ok(&["set", "new", "1"]);
}

/// Has `restore` plan with revision 6 as the newest, and writes revision 7 before it can replace
/// anything.
fn overtaken<T: Send>(world: &World, restore: impl FnOnce() -> T + Send) -> T {
    let db = database(world);
    let others: DatabaseTransaction = block_on(db.connection.begin()).unwrap();
    let write = "UPDATE setting SET value = '2' WHERE key = 'new'";
    block_on(others.execute_unprepared(write)).unwrap();
    std::thread::scope(|scope| {
        let restoring = scope.spawn(restore);
        // It is taken after the plan was made, and before what the plan was of is locked.
        eventually("there is a safety backup", || !of_before(world).is_empty());
        block_on(others.commit()).unwrap();
        restoring.join().unwrap()
    })
}

/// The safety backups.
fn of_before(world: &World) -> Vec<String> {
    // To read the database file as well would end the lock that this process has on it.
    let names = fs::read_dir(world.path("backups")).unwrap();
    let names = names.map(|it| it.unwrap().file_name().into_string().unwrap());
    names.filter(|it| it.starts_with("pre-restore-") && it.ends_with(".tar")).collect()
}

fn restored(world: &World, more: &[&str]) -> Ran {
    let ran = world.run(&[&["backup", "restore", "first", "--yes"], more].concat());
    assert_eq!(ran.status, 0, "{ran}");
    ran
}

/// The backup `safe` is the only one of what was before, and holds what others wrote.
#[track_caller]
fn assert_held(world: &World, safe: &str) {
    assert_eq!(of_before(world), [format!("{safe}.setpoint.tar")]);
    assert_eq!((world.revision(), world.get("new").as_str()), (6, "(none)"));
    world.ok(&["backup", "restore", safe, "--yes"]);
    assert_eq!((world.revision(), world.get("new").as_str()), (8, "2"));
}

fn a_restore_tells_that_it_replaced_more_than_it_had_shown(world: &World) {
    moved_on(world);

    let ran = overtaken(world, || restored(world, &[]));

    assert!(ran.stderr.contains("  - new = 1\n"), "{ran}");
    let told = "others wrote meanwhile: what was replaced is revision 7, not 6; it is in backup ";
    let safe = ran.stderr.lines().find_map(|it| it.strip_prefix(told));
    let safe = safe.unwrap_or_else(|| panic!("{ran}"));
    assert!(!ran.stderr.contains("what was there before"), "{ran}");
    assert_held(world, safe);
}

fn programs_are_told_of_it_and_not_where_nobody_wrote(world: &World) {
    moved_on(world);

    let told = overtaken(world, || restored(world, &["--json"]).json());

    assert_eq!(told["plan"]["base"]["revision"], 6);
    assert_eq!(told["replaced_revision"], 7);
    assert_held(world, text(&told["safety_backup"]));
    let again = restored(world, &["--json"]).json();
    assert_eq!((&again["revision"], &again["replaced_revision"]), (&json!(6), &Value::Null));
}

fn the_service_tells_of_it(world: &World) {
    moved_on(world);
    let token = world.ok(&["token", "create", "boss", "--role", "admin"]);
    let server = serve::plain(world).with_token(token.trim_end());

    let restore = || server.send("POST", "/api/backups/first/restore", "{}");
    let told = overtaken(world, restore);

    assert_eq!(told.status, 200, "{told}");
    let told = told.json();
    assert_eq!((&told["revision"], &told["replaced_revision"]), (&json!(6), &json!(7)));
    assert_held(world, text(&told["safety_backup"]));
}
