//! Back to what the files said.

use std::fs;

use insta::assert_snapshot;
use serde_json::json;

use super::{drift, everything, refused, settings};
use crate::world::World;

on_both![
    a_dry_run_shows_what_a_factory_reset_does,
    a_factory_reset_puts_everything_back_but_ones_own_keys,
    purge_removes_ones_own_keys_too,
    one_key_is_put_back_alone,
    a_map_is_put_back_with_all_that_is_in_it,
    a_layer_is_put_back_alone,
    it_is_put_back_to_the_last_import_and_not_to_the_file_of_now,
    a_reverted_import_is_an_edit_that_a_reset_takes_back,
    a_rename_that_is_not_imported_yet_does_not_hide_a_key,
    nobody_to_ask_is_a_refusal,
    the_settings_are_kept_first_and_can_be_imported_again,
    a_reset_is_undone_by_a_revert,
    a_plan_is_carried_out_later,
    a_plan_is_stale_once_a_key_has_changed,
    what_is_in_line_needs_no_reset,
    a_key_that_nobody_knows_is_refused,
    a_key_of_ones_own_in_the_way_is_refused_without_purge,
    all_and_a_key_are_not_given_together,
    the_history_says_who_and_why,
];

/// Edits in two layers, a deletion, and a key of one's own in each layer.
fn edited(world: &World) {
    world.write(
        "setpoint.toml",
        "namespaces.default.layers = [\"site\"]\n[[source]]\npath = \"base.yaml\"\n\
         [[source]]\npath = \"site.yaml\"\nlayer = \"site\"\n",
    );
    world.write("base.yaml", "a: {b: 1, c: 1}\nd: 1\n");
    world.write("site.yaml", "e: 5\n");
    world.ok(&["migrate"]);
    world.ok(&["set", "a.b", "2"]);
    world.ok(&["unset", "a.c"]);
    world.ok(&["set", "d", "3"]);
    world.ok(&["set", "e", "6", "--layer", "site"]);
    world.ok(&["set", "own.x", "1"]);
    world.ok(&["set", "own2", "1", "--layer", "site"]);
}

fn a_dry_run_shows_what_a_factory_reset_does(world: &World) {
    edited(world);
    let before = everything(world);
    let ran = world.run(&["reset", "--all", "--dry-run", "--exit-code"]);

    assert!(everything(world) == before);
    assert_snapshot!(ran, @r"
    status 2
    -- stdout
    namespace default, layer base
      ~ a.b = 2 -> 1
      + a.c = 1
      ~ d = 3 -> 1
      = own.x = 1 (kept)
    namespace default, layer site
      ~ e = 6 -> 5
      = own2 = 1 (kept)
    1 added, 3 updated, 2 kept
    ");
}

fn a_factory_reset_puts_everything_back_but_ones_own_keys(world: &World) {
    edited(world);
    world.ok(&["reset", "--all", "--yes"]);

    assert_eq!(settings(world), "a.b = 1, a.c = 1, d = 1, e = 5, own.x = 1, own2 = 1");
    assert_eq!(drift(world), "own.x: unknown-key, own2: unknown-key");
}

fn purge_removes_ones_own_keys_too(world: &World) {
    edited(world);
    world.ok(&["reset", "--all", "--purge", "--yes"]);

    assert_eq!(settings(world), "a.b = 1, a.c = 1, d = 1, e = 5");
    assert_eq!(drift(world), "");
    world.ok(&["verify"]);
}

fn one_key_is_put_back_alone(world: &World) {
    edited(world);
    world.ok(&["reset", "a.b", "--yes"]);

    assert_eq!(settings(world), "a.b = 1, d = 3, e = 6, own.x = 1, own2 = 1");
}

fn a_map_is_put_back_with_all_that_is_in_it(world: &World) {
    edited(world);
    world.ok(&["reset", "a", "--yes"]);

    assert_eq!(settings(world), "a.b = 1, a.c = 1, d = 3, e = 6, own.x = 1, own2 = 1");
}

fn a_layer_is_put_back_alone(world: &World) {
    edited(world);
    world.ok(&["reset", "--all", "--purge", "--layer", "site", "--yes"]);

    assert_eq!(settings(world), "a.b = 2, d = 3, e = 5, own.x = 1");
}

fn it_is_put_back_to_the_last_import_and_not_to_the_file_of_now(world: &World) {
    edited(world);
    world.write("base.yaml", "a: {b: 9, c: 9}\nd: 9\n");
    world.ok(&["reset", "d", "--yes"]);

    assert_eq!(world.get("d"), "1");
}

fn nobody_to_ask_is_a_refusal(world: &World) {
    edited(world);

    assert_snapshot!(refused(world, &["reset", "--all"]), @"1 confirm::nobody; Put everything of default back? Nobody is here to ask; nothing was changed; add --yes if it is meant");
}

fn the_settings_are_kept_first_and_can_be_imported_again(world: &World) {
    edited(world);
    let before = settings(world);
    world.ok(&["reset", "--all", "--purge", "--yes"]);
    let folders = fs::read_dir(world.path("backups")).unwrap().map(|it| it.unwrap().path());
    let kept = folders.max_by_key(|it| it.display().to_string().contains("pre_reset_")).unwrap();
    for layer in ["base", "site"] {
        let document = kept.join(format!("default.{layer}.json")).display().to_string();
        world.ok(&["import", &document, "--layer", layer, "--replace"]);
    }

    assert_eq!(settings(world), before);
}

fn a_reset_is_undone_by_a_revert(world: &World) {
    edited(world);
    let before = settings(world);
    world.ok(&["reset", "--all", "--purge", "--yes"]);
    let revision = world.revision().to_string();
    world.ok(&["revert", &revision]);

    assert_eq!(settings(world), before);
}

fn a_plan_is_carried_out_later(world: &World) {
    edited(world);
    let before = everything(world).1;
    world.ok(&["reset", "--all", "--purge", "--out", "plan.json"]);
    let planned = everything(world).1;
    world.ok(&["apply", "plan.json"]);

    assert_eq!(planned, before);
    assert_eq!(settings(world), "a.b = 1, a.c = 1, d = 1, e = 5");
}

fn a_plan_is_stale_once_a_key_has_changed(world: &World) {
    edited(world);
    world.ok(&["reset", "--all", "--out", "plan.json"]);
    world.ok(&["set", "d", "4"]);
    let refusal = refused(world, &["apply", "plan.json"]);

    assert!(refusal.starts_with("1 plan::stale; this plan is stale: d changed"), "{refusal}");
}

fn what_is_in_line_needs_no_reset(world: &World) {
    world.migrate("a: 1\n");
    let before = everything(world);

    assert_eq!(world.ok(&["reset", "--all"]), "nothing to change\n");
    assert!(everything(world) == before);
}

fn a_key_that_nobody_knows_is_refused(world: &World) {
    edited(world);

    assert_snapshot!(refused(world, &["reset", "nope", "--yes"]), @"1 setting::unknown; there is no setting `nope` in namespace `default`; no file and nobody has set it; `setpoint search` finds keys");
}

fn a_key_of_ones_own_in_the_way_is_refused_without_purge(world: &World) {
    world.migrate("a: 1\n");
    world.ok(&["unset", "a"]);
    world.ok(&["set", "a.b", "1"]);
    let refusal = refused(world, &["reset", "a", "--yes"]);
    world.ok(&["reset", "a", "--purge", "--yes"]);

    assert!(refusal.starts_with("1 setting::not_a_tree"), "{refusal}");
    assert_eq!(settings(world), "a = 1");
}

fn all_and_a_key_are_not_given_together(world: &World) {
    edited(world);
    let before = everything(world);
    let statuses = [&["reset"][..], &["reset", "d", "--all"]].map(|it| world.run(it).status);

    assert_eq!(statuses, [2, 2]);
    assert!(everything(world) == before);
}

fn the_history_says_who_and_why(world: &World) {
    edited(world);
    world.ok(&["reset", "d", "--yes", "-m", "a slip"]);

    let last = &world.json(&["history", "--limit", "1"])[0];
    let said = json!([last["kind"], last["reason"], last["actor"]]);
    assert_eq!(said, json!(["reset", "a slip", "ann"]));
}

fn a_reverted_import_is_an_edit_that_a_reset_takes_back(world: &World) {
    world.migrate("a: 1\n");
    world.migrate("a: 2\n");
    world.ok(&["revert", "2"]);
    let told = drift(world);
    world.ok(&["reset", "a", "--yes"]);

    assert_eq!((told.as_str(), settings(world).as_str()), ("a: edited-here", "a = 2"));
}

/// Before the import the key has its old name, after it the new one; a factory reset works at
/// any time.
fn a_rename_that_is_not_imported_yet_does_not_hide_a_key(world: &World) {
    world.write("setpoint.toml", "[[source]]\npath = \"s.yaml\"\n");
    world.write("s.yaml", "aB: 1\n");
    world.ok(&["migrate"]);
    world.ok(&["set", "aB", "2"]);
    world.write("setpoint.toml", "[[source]]\npath = \"s.yaml\"\ncase = \"snake\"\n");
    world.ok(&["reset", "--all", "--yes"]);
    world.ok(&["migrate"]);

    assert_eq!((settings(world).as_str(), drift(world).as_str()), ("a_b = 1", ""));
}
