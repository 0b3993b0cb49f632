//! A backup is restored: files that follow the database follow it there.

use super::{drift, following, outbox, told};
use crate::serve::{self, Server, eventually};
use crate::world::{Ran, World, text};

on_both![
    a_file_follows_a_restore_and_what_comes_after_it,
    a_file_follows_a_restore_to_an_earlier_moment_and_back,
    what_somebody_edited_in_a_file_is_left_and_told_by_a_restore,
    a_file_that_was_imported_since_is_not_emptied_by_a_restore,
    keys_go_back_to_the_file_that_they_were_taken_out_of,
    a_plain_file_stays_as_it_is_and_is_drift,
    a_file_follows_a_restore_through_the_service,
    a_running_service_follows_a_restore_that_somebody_else_has_made,
    what_the_plan_of_a_restore_counts_is_what_there_is_then,
];

const FILE: &str = "s.yaml";

/// A backup `a1` of when the file said [`BEFORE`], and a file that says something else by now.
fn moved_on(world: &World) {
    following(world, FILE, "p: 1 # one\ngone: [1]\nsame: 1\n", "");
    world.ok(&["set", "p", "2"]);
    world.ok(&["backup", "create", "a1"]);
    world.ok(&["set", "p", "3"]);
    world.ok(&["set", "new", "true"]);
    world.ok(&["unset", "gone"]);
    assert_eq!(world.read(FILE), "p: 3 # one\nsame: 1\nnew: true\n");
}

const BEFORE: &str = "p: 2 # one\nsame: 1\ngone: [1]\n";

#[track_caller]
fn restore(world: &World, more: &[&str]) -> Ran {
    let ran = world.run(&[&["backup", "restore", "a1", "--yes"], more].concat());
    assert_eq!(ran.status, 0, "{ran}");
    ran
}

/// What is told of the file.
fn of_file(ran: &Ran) -> Vec<String> {
    let told = told(ran);
    told.lines().filter(|it| it.starts_with(FILE)).map(str::to_owned).collect()
}

fn a_file_follows_a_restore_and_what_comes_after_it(world: &World) {
    moved_on(world);

    let ran = restore(world, &[]);

    assert_eq!(of_file(&ran), ["s.yaml follows: 3 written"], "{ran}");
    assert_eq!(world.read(FILE), BEFORE);
    assert_eq!((drift(world), outbox(world).as_str()), (vec![], "s.yaml|3|0|"));
    let migrated = world.run(&["migrate"]);
    assert_eq!((migrated.status, world.get("p").as_str()), (0, "2"), "{migrated}");
    assert_eq!(world.revision(), 3, "{migrated}");
    let set = world.run(&["set", "p", "4"]);
    assert_eq!(of_file(&set), ["s.yaml follows: 1 written"], "{set}");
    assert_eq!(world.read(FILE), BEFORE.replace("p: 2", "p: 4"));
    world.ok(&["verify"]);
}

fn a_file_follows_a_restore_to_an_earlier_moment_and_back(world: &World) {
    moved_on(world);
    let newest = world.read(FILE);

    let first = restore(world, &["--at", "1", "--json"]).json();

    assert_eq!(world.read(FILE), BEFORE.replace("p: 2", "p: 1"));
    assert_eq!(drift(world), [""; 0]);
    world.ok(&["backup", "restore", text(&first["safety_backup"]), "--yes"]);
    assert_eq!(world.read(FILE), newest);
    assert_eq!((drift(world), world.get("new").as_str()), (vec![], "true"));
}

fn what_somebody_edited_in_a_file_is_left_and_told_by_a_restore(world: &World) {
    moved_on(world);
    world.write(FILE, "p: 7 # mine\nsame: 8\nnew: true\n");

    let ran = restore(world, &[]);

    let told =
        ["s.yaml follows: 2 written", "s.yaml does not follow `p`: the file was edited meanwhile"];
    assert_eq!(of_file(&ran), told, "{ran}");
    assert_eq!(world.read(FILE), "p: 7 # mine\nsame: 8\ngone: [1]\n");
    let expected =
        ["p: both, file 7, seed 3, live 2", "same: update-available, file 8, seed 1, live 1"];
    assert_eq!(drift(world), expected);
}

fn a_file_that_was_imported_since_is_not_emptied_by_a_restore(world: &World) {
    following(world, FILE, "p: 1\n", "");
    world.ok(&["backup", "create", "a1"]);
    let other = "[[source]]\npath = 'other.yaml'\nwrite_back = true\n";
    world.write("other.yaml", "b: 1\n");
    following(world, FILE, "p: 1\n", other);
    world.ok(&["set", "b", "2"]);

    let ran = restore(world, &[]);

    assert!(!told(&ran).contains("other.yaml"), "{ran}");
    assert_eq!((world.read("other.yaml").as_str(), world.get("b").as_str()), ("b: 2\n", "(none)"));
    world.ok(&["migrate"]);
    assert_eq!(world.get("b"), "2");
}

fn keys_go_back_to_the_file_that_they_were_taken_out_of(world: &World) {
    let other = "[[source]]\npath = 'other.yaml'\nwrite_back = true\n";
    world.write("other.yaml", "b: 1\nc: 1\n");
    following(world, FILE, "p: 1\nq: 1\n", other);
    world.ok(&["backup", "create", "a1"]);
    world.ok(&["unset", "q"]);
    world.ok(&["unset", "c"]);

    restore(world, &[]);

    assert_eq!([world.read(FILE), world.read("other.yaml")], ["p: 1\nq: 1\n", "b: 1\nc: 1\n"]);
    assert_eq!(drift(world), [""; 0]);
}

fn a_plain_file_stays_as_it_is_and_is_drift(world: &World) {
    world.migrate("p: 1\n");
    world.ok(&["backup", "create", "a1"]);
    world.migrate("p: 3\n");

    restore(world, &[]);

    assert_eq!(drift(world), ["p: update-available, file 3, seed 1, live 1"]);
}

/// The service on a world of [`moved_on`].
fn served(world: &World) -> Server {
    moved_on(world);
    serve::plain(world)
}

fn a_file_follows_a_restore_through_the_service(world: &World) {
    let server = served(world);

    let done = server.send("POST", "/api/backups/a1/restore", "{}");

    assert_eq!(done.status, 200, "{done}");
    eventually("the file follows", || world.read(FILE) == BEFORE);
    assert_eq!(drift(world), [""; 0]);
}

fn a_running_service_follows_a_restore_that_somebody_else_has_made(world: &World) {
    let server = served(world);
    // It declares no file that would follow.
    world.write("elsewhere.toml", "");

    restore(world, &["--config", "elsewhere.toml"]);

    eventually("the file follows", || world.read(FILE) == BEFORE);
    assert_eq!(server.get("/api/settings/p").json()["value"], 2);
    assert_eq!(drift(world), [""; 0]);
}

fn what_the_plan_of_a_restore_counts_is_what_there_is_then(world: &World) {
    moved_on(world);

    let done = restore(world, &["--json"]).json();

    let tables = done["tables"].as_array().unwrap().iter();
    let counted =
        tables.map(|it| format!("{} {} {}", text(&it["table"]), it["before"], it["after"]));
    let counted: Vec<_> =
        counted.filter(|it| OF_FILES.iter().any(|name| it.starts_with(name))).collect();
    assert_eq!(counted, ["seed 3 3", "source 1 1", "removed_key 1 1", "outbox 1 1"]);
}

const OF_FILES: [&str; 4] = ["seed ", "source ", "removed_key ", "outbox "];
