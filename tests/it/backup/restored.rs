//! What a restore brings back, and what it leaves alone.

use insta::assert_snapshot;
use serde_json::Value;

use super::{archive, assert_sound, content, epoch, ready, settings};
use crate::world::{World, text};

on_both![
    a_restore_brings_back_settings_and_history_under_a_new_epoch,
    what_was_there_before_a_restore_is_in_a_backup_that_restores,
    a_dry_run_shows_what_would_change_and_changes_nothing,
    a_restore_asks_first,
    a_token_that_was_revoked_since_stays_revoked,
    what_came_of_a_restore_has_one_shape_for_programs,
    what_nothing_has_happened_to_is_not_restored,
    a_history_that_was_edited_is_put_back_from_the_very_same_revision,
    a_restore_makes_the_database_if_there_is_none,
    edits_go_on_after_a_restore,
    a_migration_after_a_restore_asks_about_what_the_file_says_otherwise,
];

fn a_restore_brings_back_settings_and_history_under_a_new_epoch(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    let (before, history) = (settings(world), world.json(&["history"]));
    let was = epoch(world);
    world.ok(&["set", "http.port", "1"]);
    world.ok(&["set", "new", "true"]);
    world.ok(&["unset", "limits"]);

    world.ok(&["backup", "restore", "first", "--yes", "-m", "a mistake"]);

    assert_eq!(settings(world), before);
    let now = world.json(&["history"]);
    assert_eq!(now.as_array().unwrap()[1..], history.as_array().unwrap()[..]);
    let top = &now[0];
    assert_eq!(
        (&top["id"], &top["kind"], &top["actor"]),
        (&6.into(), &"restore".into(), &"ann".into())
    );
    assert_eq!(text(&top["reason"]), format!("a mistake (backup first, revision 5 of {was})"));
    assert_ne!(epoch(world), was);
    assert_sound(world);
}

fn what_was_there_before_a_restore_is_in_a_backup_that_restores(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    world.ok(&["set", "new", "true"]);
    let before = settings(world);

    let done = world.json(&["backup", "restore", "first", "--yes"]);

    let refused = world.refusal(&["revert", "6"]);
    insta::assert_snapshot!(refused, @"1 revision::restored; revision 6 restored a backup, whole: it has no changes that could be taken back; nothing was changed; what was there before is in a backup, pre-restore-…: `setpoint backup list`");
    let safe = text(&done["safety_backup"]);
    let listed = world.json(&["backup", "list"]);
    let kinds: Vec<_> = listed.as_array().unwrap().iter().map(|it| text(&it["kind"])).collect();
    assert_eq!(kinds, ["manual", "pre-restore"]);
    world.ok(&["backup", "restore", safe, "--yes"]);
    assert_eq!(settings(world), before);
    assert_sound(world);
}

fn a_dry_run_shows_what_would_change_and_changes_nothing(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    world.ok(&["set", "http.port", "1"]);
    world.ok(&["set", "new", "true"]);
    world.ok(&["unset", "limits"]);
    let before = settings(world);

    let shown = world.run(&["backup", "restore", "first", "--dry-run"]);

    assert_snapshot!(shown, @r#"
    status 0
    -- stdout
    namespace default, layer base
      ~ http.port = 1 -> 8080
      + limits = [1,2.0,null,"é \"\\\\"]
      - new = true
    1 added, 1 updated, 1 deleted
    table revision: 8 rows -> 5
    table change: 11 rows -> 8
    "#);
    assert_eq!((settings(world), world.revision()), (before, 8));
}

fn a_restore_asks_first(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    world.ok(&["set", "new", "true"]);

    let refusal = world.refusal(&["backup", "restore", "first"]);

    assert!(refusal.starts_with("1 confirm::nobody; Replace everything in "), "{refusal}");
    assert_eq!((world.revision(), world.get("new").as_str()), (6, "true"));
}

fn a_token_that_was_revoked_since_stays_revoked(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    world.ok(&["token", "revoke", "ci", "--yes"]);
    world.ok(&["token", "create", "later", "--role", "viewer"]);
    world.ok(&["set", "new", "true"]);

    world.ok(&["backup", "restore", "first", "--yes"]);

    let states = |it: &Value| format!("{} {}", text(&it["name"]), text(&it["state"]));
    let tokens = world.json(&["token", "list"]);
    let tokens: Vec<_> = tokens.as_array().unwrap().iter().map(states).collect();
    assert_eq!(tokens, ["ci revoked", "later active"]);
}

fn what_came_of_a_restore_has_one_shape_for_programs(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    let restore = |more: &[&str]| world.json(&[&["backup", "restore", "first"], more].concat());
    let members = |it: &Value| {
        let members = it.as_object().unwrap().keys().map(String::as_str);
        sorted(&members.collect::<Vec<_>>())
    };

    let nothing = restore(&["--yes"]);
    world.ok(&["set", "new", "true"]);
    let [dry, done] = [restore(&["--dry-run"]), restore(&["--yes"])];

    let mut planned =
        ["backup", "from_revision", "is_there", "plan", "problems", "tables"].to_vec();
    assert_eq!((members(&nothing), members(&dry)), (sorted(&planned), sorted(&planned)));
    planned.extend(["epoch", "revision", "safety_backup"]);
    assert_eq!(members(&done), sorted(&planned));
    assert_eq!((&nothing["is_there"], &dry["is_there"]), (&true.into(), &false.into()));
    assert_eq!((&done["from_revision"], &done["revision"]), (&5.into(), &6.into()));
    assert_eq!(done["plan"]["changes"], dry["plan"]["changes"]);
}

fn sorted(names: &[&str]) -> Vec<String> {
    let mut names: Vec<_> = names.iter().map(|it| (*it).to_owned()).collect();
    names.sort();
    names
}

fn what_nothing_has_happened_to_is_not_restored(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    let was = epoch(world);

    let ran = world.run(&["backup", "restore", "first", "--yes"]);

    assert_eq!(ran.status, 0, "{ran}");
    assert!(ran.stderr.contains("there is nothing to restore"), "{ran}");
    assert_eq!((epoch(world), world.revision()), (was, 5));
}

fn a_history_that_was_edited_is_put_back_from_the_very_same_revision(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    world.sql("UPDATE change SET after = '777' WHERE revision = 2");

    let done = world.json(&["backup", "restore", "first", "--yes"]);

    assert!(!done["revision"].is_null(), "{done}");
    assert_sound(world);
}

fn a_restore_makes_the_database_if_there_is_none(world: &World) {
    let from = World::sqlite();
    ready(&from).ok(&["backup", "create", "first"]);
    world.write("backups/first.setpoint.tar", std::fs::read(archive(&from, "first")).unwrap());

    let done = world.json(&["backup", "restore", "first", "--yes"]);

    assert_eq!((&done["revision"], &done["safety_backup"]), (&6.into(), &Value::Null));
    assert_eq!(settings(world), settings(&from));
    // There were none that could have been revoked.
    assert_eq!(world.json(&["token", "list"])[0]["name"], "ci");
    assert_sound(world);
}

fn edits_go_on_after_a_restore(world: &World) {
    ready(world).ok(&["backup", "create", "first"]);
    world.ok(&["set", "new", "true"]);
    world.ok(&["backup", "restore", "first", "--yes"]);

    world.ok(&["set", "again", "2"]);
    world.sql("UPDATE setting SET value = '3' WHERE key = 'again'");
    world.ok(&["revert", "8"]);

    assert_eq!((world.get("again").as_str(), world.revision()), ("2", 9));
    assert_sound(world);
}

fn a_migration_after_a_restore_asks_about_what_the_file_says_otherwise(world: &World) {
    world.migrate("a: 1\nb: 1\n");
    world.ok(&["set", "a", "5"]);
    world.ok(&["backup", "create", "first"]);
    world.migrate("a: 5\nb: 2\n");

    world.ok(&["backup", "restore", "first", "--yes"]);

    // The file has moved on: the edit in the backup is what it says now, the rest is an update.
    assert_eq!(world.classes(), ["a: converge", "b: update"]);
    assert_sound(world);
}

#[test]
fn a_backup_goes_from_sqlite_to_postgresql_and_back_without_a_change() {
    let (from, to, back) = (World::sqlite(), World::postgres(), World::sqlite());
    ready(&from).ok(&["backup", "create", "first"]);
    let carry = |from: &World, name: &str, to: &World| {
        let bytes = std::fs::read(archive(from, name)).unwrap();
        to.write(&format!("backups/{name}.setpoint.tar"), bytes);
        to.ok(&["backup", "restore", name, "--yes"]);
    };

    carry(&from, "first", &to);
    to.ok(&["backup", "create", "second"]);
    carry(&to, "second", &back);
    back.ok(&["backup", "create", "third"]);

    // But for the revisions that tell of the restores, and the end of the history that they are.
    let rest = |world: &World, name: &str| -> Vec<String> {
        let is_of_restore = |it: &&String| {
            it.contains(",\"restore\",") || it.starts_with("[1,\"") && it.split(',').count() == 4
        };
        let is_of_backup = |it: &&String| it.contains("\"manual\"");
        let all = content(world, name);
        let all = all.iter().filter(|it| !is_of_restore(it) && !is_of_backup(it));
        all.cloned().collect()
    };
    assert_eq!(rest(&to, "second"), rest(&from, "first"));
    assert_eq!(rest(&back, "third"), rest(&from, "first"));
    for world in [&to, &back] {
        assert_sound(world);
    }
}
