//! Drift that somebody leaves alone.

use insta::assert_snapshot;
use serde_json::json;

use super::{drift, refused};
use crate::world::World;

on_both![
    what_is_ignored_is_no_drift,
    all_lists_what_is_ignored_with_author_and_reason,
    it_is_told_again_when_a_value_changes,
    it_is_told_again_when_the_file_changes,
    it_is_told_again_when_its_day_has_come,
    what_has_expired_is_adopted_with_the_rest,
    what_is_ignored_is_not_adopted_with_the_rest,
    stop_tells_of_it_again,
    a_map_is_ignored_with_all_that_is_in_it,
    a_file_is_ignored_by_its_name,
    what_is_in_line_cannot_be_ignored,
    what_is_not_ignored_cannot_be_stopped,
    one_of_two_that_is_in_line_ignores_neither,
    a_time_that_is_none_is_refused,
    a_time_in_the_past_is_refused,
    ignoring_makes_no_revision,
];

fn edited(world: &World) {
    world.migrate("a: {b: 1, c: 1}\nd: 1\n");
    world.ok(&["set", "a.b", "2"]);
    world.ok(&["set", "a.c", "2"]);
    world.ok(&["set", "d", "2"]);
}

fn what_is_ignored_is_no_drift(world: &World) {
    edited(world);
    world.ok(&["ignore", "a.b", "a.c", "d"]);

    assert_snapshot!(world.run(&["drift"]), @r"
    status 0
    -- stdout
    no drift in 1 file, 3 ignored
    ");
}

fn all_lists_what_is_ignored_with_author_and_reason(world: &World) {
    edited(world);
    world.ok(&["ignore", "d", "-m", "on purpose", "--until", "2999-01-31"]);
    let mut told = world.json(&["drift", "--all"]);
    let ignored = &mut told["drift"][2]["ignored"];
    ignored.as_object_mut().unwrap().remove("at").unwrap();

    assert_eq!(
        *ignored,
        json!({
            "author": "ann", "reason": "on purpose", "until": "2999-01-31T00:00:00.000Z",
            "expired": false,
        })
    );
}

fn it_is_told_again_when_a_value_changes(world: &World) {
    edited(world);
    world.ok(&["ignore", "a.b", "a.c", "d"]);
    world.ok(&["set", "d", "3"]);

    assert_eq!(drift(world), "d: edited-here");
}

fn it_is_told_again_when_the_file_changes(world: &World) {
    edited(world);
    world.ok(&["ignore", "a.b", "a.c", "d"]);
    world.write("settings.yaml", "a: {b: 1, c: 1}\nd: 5\n");

    assert_eq!(drift(world), "d: both");
}

/// `d` is ignored until a day that has come.
fn expired(world: &World) {
    edited(world);
    world.ok(&["ignore", "a", "d", "--until", "30d"]);
    world.sql("UPDATE ignored_drift SET expires_at = '2020-01-01T00:00:00.000Z' WHERE key = 'd'");
}

fn it_is_told_again_when_its_day_has_come(world: &World) {
    expired(world);

    assert_snapshot!(world.run(&["drift"]), @r"
    status 2
    -- stdout
    namespace default, layer base
      ~ d: edited here
          file 1  (settings.yaml:2:4)
          live 2
          ignored by ann until 2026-05-01T12:00:00.000Z, which is over
    1 edited here, 2 ignored
    -- stderr
    `setpoint adopt KEY` writes what is live into the file
    `setpoint reset KEY` puts it back
    `setpoint ignore KEY` leaves it alone
    ");
}

fn what_has_expired_is_adopted_with_the_rest(world: &World) {
    expired(world);
    world.ok(&["adopt", "--all"]);

    assert_eq!(world.read("settings.yaml"), "a: {b: 1, c: 1}\nd: 2\n");
}

fn what_is_ignored_is_not_adopted_with_the_rest(world: &World) {
    edited(world);
    world.ok(&["ignore", "d"]);
    world.ok(&["adopt", "--all"]);

    assert_eq!(world.read("settings.yaml"), "a: {b: 2, c: 2}\nd: 1\n");
}

fn stop_tells_of_it_again(world: &World) {
    edited(world);
    world.ok(&["ignore", "a", "d"]);
    let said = world.ok(&["ignore", "a", "--stop"]);

    assert_eq!(
        (said.as_str(), drift(world).as_str()),
        ("2 told again\n", "a.b: edited-here, a.c: edited-here")
    );
}

fn a_map_is_ignored_with_all_that_is_in_it(world: &World) {
    edited(world);
    world.ok(&["ignore", "a"]);

    assert_eq!(drift(world), "d: edited-here");
}

fn a_file_is_ignored_by_its_name(world: &World) {
    edited(world);
    std::fs::remove_file(world.path("settings.yaml")).unwrap();
    let told = drift(world);
    world.ok(&["ignore", "settings.yaml"]);

    // What was edited is told as before: that is of the database, whatever the file says.
    let edited = "a.b: edited-here, a.c: edited-here, d: edited-here";
    assert_eq!(
        (told, drift(world).as_str()),
        (format!("settings.yaml: file-missing, {edited}"), edited)
    );
}

fn what_is_in_line_cannot_be_ignored(world: &World) {
    world.migrate("a: 1\n");

    assert_snapshot!(refused(world, &["ignore", "a"]), @"1 drift::none; `a` is not out of line in namespace `default`; nothing was changed; `setpoint drift` lists what is");
}

fn what_is_not_ignored_cannot_be_stopped(world: &World) {
    edited(world);

    assert_snapshot!(refused(world, &["ignore", "d", "--stop"]), @"1 drift::not_ignored; d is not ignored in namespace `default`; nothing was changed; `setpoint drift --all` lists what is");
}

fn one_of_two_that_is_in_line_ignores_neither(world: &World) {
    edited(world);
    refused(world, &["ignore", "d", "e"]);

    assert_eq!(world.sql("SELECT count(*) FROM ignored_drift"), "0");
}

fn a_time_that_is_none_is_refused(world: &World) {
    edited(world);
    let refuse = |until| refused(world, &["ignore", "d", "--until", until]);
    let times = ["soon", "30", "", "2030-13-01", "99999999999d"];

    for refusal in times.map(refuse) {
        assert!(refusal.starts_with("1 time::invalid"), "{refusal}");
    }
    assert_eq!(world.sql("SELECT count(*) FROM ignored_drift"), "0");
}

fn a_time_in_the_past_is_refused(world: &World) {
    edited(world);
    let refusal = refused(world, &["ignore", "d", "--until", "2020-01-01"]);

    assert_eq!(world.sql("SELECT count(*) FROM ignored_drift"), "0");
    assert!(refusal.starts_with("1 drift::in_the_past"), "{refusal}");
}

fn ignoring_makes_no_revision(world: &World) {
    edited(world);
    let before = world.revision();
    world.ok(&["ignore", "d"]);
    world.ok(&["ignore", "d", "--stop"]);

    assert_eq!(world.revision(), before);
}
