//! Earlier moments, and some keys alone.

use insta::assert_snapshot;

use super::{assert_sound, ready, settings};
use crate::world::{World, text};

on_both![
    any_revision_in_a_backup_can_be_restored,
    a_time_means_the_newest_revision_at_it,
    a_moment_that_a_backup_does_not_hold_is_refused,
    a_file_that_was_imported_later_is_asked_about_and_overwrites_nothing,
    the_day_that_a_backup_was_made_on_means_the_newest_that_it_has,
    some_keys_come_back_as_one_ordinary_revision,
    some_keys_come_back_as_they_were_at_an_earlier_revision,
    keys_that_nobody_has_are_told,
];

fn any_revision_in_a_backup_can_be_restored(world: &World) {
    ready(world);
    world.ok(&["set", "old", "2.5"]);
    let then: Vec<_> = (1..=6).map(|it| world.json(&["list", "--at", &it.to_string()])).collect();
    world.ok(&["backup", "create", "first"]);

    for (revision, expected) in (1..=6).zip(&then) {
        let at = format!("{revision}");
        world.ok(&["backup", "restore", "first", "--at", &at, "--yes"]);

        assert_eq!(world.json(&["list"]), *expected, "revision {at}");
        assert_eq!(world.revision(), revision + 1);
        assert_sound(world);
    }
    world.ok(&["backup", "restore", "first", "--at", "0", "--yes"]);
    assert_eq!((settings(world).as_str(), world.revision()), ("", 1));
    assert_sound(world);
}

fn a_time_means_the_newest_revision_at_it(world: &World) {
    ready(world);
    let at = world.sql("SELECT at FROM revision WHERE id = 2");
    let same = world.sql(&format!("SELECT max(id) FROM revision WHERE at <= '{at}'"));
    world.ok(&["backup", "create", "first"]);

    world.ok(&["backup", "restore", "first", "--at", &at, "--yes"]);

    assert_eq!(world.revision(), same.parse::<i64>().unwrap() + 1);
}

fn a_moment_that_a_backup_does_not_hold_is_refused(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);

    for at in ["6", "-1", "2001-01-31", "2999-01-31T00:00:00Z"] {
        let refusal =
            world.refusal(&["backup", "restore", "first", &format!("--at={at}"), "--yes"]);
        assert!(refusal.starts_with("1 backup::no_such_moment; "), "{at}: {refusal}");
    }
    let refusal = world.refusal(&["backup", "restore", "first", "--at", "soon", "--yes"]);
    assert!(refusal.starts_with("1 time::"), "{refusal}");
    assert_eq!(world.revision(), 5);
}

fn the_day_that_a_backup_was_made_on_means_the_newest_that_it_has(world: &World) {
    let made = ready(world).json(&["backup", "create", "first"]);
    world.ok(&["set", "http.port", "1"]);
    let (day, _) = text(&made["created_at"]).split_once('T').unwrap();

    world.ok(&["backup", "restore", "first", "--at", day, "--only", "http.port"]);

    assert_eq!(world.get("http.port"), "8080");
    let end = format!("{day}T23:59:59.999Z");
    let refusal = world.refusal(&["backup", "restore", "first", "--at", &end, "--yes"]);
    assert!(refusal.starts_with("1 backup::no_such_moment; "), "{refusal}");
}

fn a_file_that_was_imported_later_is_asked_about_and_overwrites_nothing(world: &World) {
    world.migrate("a: 1\nb: 1\n");
    world.migrate("a: 2\nb: 1\n");
    world.ok(&["backup", "create", "first"]);

    world.ok(&["backup", "restore", "first", "--at", "1", "--yes"]);

    assert_eq!(world.get("a"), "1");
    assert_eq!(world.classes(), ["a: conflict", "b: converge"]);
    assert_sound(world);
}

fn some_keys_come_back_as_one_ordinary_revision(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    world.ok(&["set", "http.port", "1"]);
    world.ok(&["set", "http.new", "true"]);
    world.ok(&["unset", "limits"]);
    let epoch = super::epoch(world);

    let dry = world.run(&["backup", "restore", "first", "--only", "http.*", "--dry-run"]);
    let done = world.run(&["backup", "restore", "first", "--only", "http.*"]);

    assert_eq!(dry.stdout, done.stdout);
    assert_snapshot!(done, @r"
    status 0
    -- stdout
    namespace default, layer base
      - http.new = true
      ~ http.port = 1 -> 8080
    1 updated, 1 deleted
    -- stderr
    revision 9
    ");
    assert_eq!((super::epoch(world), world.get("limits").as_str()), (epoch, "(none)"));
    let top = world.json(&["history", "--limit", "1"]);
    assert_eq!(
        (&top[0]["kind"], &top[0]["reason"]),
        (&"restore".into(), &"from backup first, revision 5".into())
    );
    world.ok(&["revert", "9"]);
    assert_eq!(world.get("http.port"), "1");
    assert_sound(world);
}

fn some_keys_come_back_as_they_were_at_an_earlier_revision(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);

    world.ok(&["backup", "restore", "first", "--at", "1", "--only", "http.host,old"]);

    assert_eq!((world.get("http.host").as_str(), world.get("old").as_str()), ("a.org", "1.0"));
    assert_eq!(world.revision(), 6);
}

fn keys_that_nobody_has_are_told(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);

    let refusal = world.refusal(&["backup", "restore", "first", "--only", "htpp.*"]);
    assert_snapshot!(refusal, @"1 backup::no_such_keys; none of the keys in backup `first` or in the database is meant by htpp.*; nothing was changed; give keys, or patterns such as http.*");
}
