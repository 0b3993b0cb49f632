//! Keys that get another name: what was edited follows its key.

use insta::assert_snapshot;

use super::{drift, settings};
use crate::world::World;

on_both![
    a_dry_run_says_which_keys_are_renamed,
    an_edit_follows_its_key,
    a_deleted_key_stays_deleted_under_its_new_name,
    a_whole_file_changes_its_case,
    another_prefix_moves_every_key,
    another_prefix_from_the_command_line_moves_every_key,
    two_names_are_swapped,
    names_go_round_in_a_circle,
    a_file_that_changed_its_names_too_is_followed,
    a_renamed_key_with_another_value_is_an_update,
    a_renamed_key_with_an_edit_and_another_value_is_a_conflict,
    ones_own_key_under_the_new_name_stays,
    ones_own_map_under_the_new_name_stays,
    the_history_has_the_key_under_both_names,
    a_revert_brings_the_old_names_back,
    taking_the_mapping_back_takes_the_names_back,
    a_plan_with_renames_is_carried_out_later,
    a_plan_with_renames_is_stale_once_a_key_has_changed,
    a_rename_in_one_source_leaves_the_others_alone,
    an_edit_is_not_lost_if_it_is_adopted_before_the_rename_is_imported,
];

fn declare(world: &World, rules: &str) {
    world.write("setpoint.toml", format!("[[source]]\npath = \"s.yaml\"\n{rules}"));
}

/// A file that was imported with keys as it has them; springK was edited, lost deleted.
fn imported(world: &World) {
    declare(world, "");
    world.write("s.yaml", "forceManual: true\nspringK: 2\nlost: 1\nother: 1\n");
    world.ok(&["migrate"]);
    world.ok(&["set", "springK", "3"]);
    world.ok(&["unset", "lost"]);
}

const RULES: &str =
    "case = \"snake\"\nrename = { forceManual = \"approval.force\", lost = \"found\" }\n";

fn a_dry_run_says_which_keys_are_renamed(world: &World) {
    imported(world);
    declare(world, RULES);

    assert_snapshot!(world.ok(&["migrate", "--dry-run"]), @r"
      > forceManual is now approval.force
      > lost is now found (its seed only)
      > springK is now spring_k
    namespace default, layer base
      = found (stays deleted)
      = spring_k = 3 (kept)
    3 renamed, 2 kept
    ");
}

fn an_edit_follows_its_key(world: &World) {
    imported(world);
    declare(world, RULES);
    world.ok(&["migrate"]);

    assert_eq!(settings(world), "approval.force = true, other = 1, spring_k = 3");
    world.ok(&["verify"]);
}

fn a_deleted_key_stays_deleted_under_its_new_name(world: &World) {
    imported(world);
    declare(world, RULES);
    world.ok(&["migrate"]);
    let after = world.run(&["migrate"]).status;

    assert_eq!((drift(world).as_str(), after), ("found: edited-here, spring_k: edited-here", 0));
}

fn a_whole_file_changes_its_case(world: &World) {
    declare(world, "");
    let names = (0..50).map(|it| format!("someName{it}: {{innerName: {it}}}\n"));
    world.write("s.yaml", names.collect::<String>());
    world.ok(&["migrate"]);
    world.ok(&["set", "someName7.innerName", "700"]);
    declare(world, "case = \"snake\"\n");
    let plan = world.json(&["migrate", "--dry-run"]);
    world.ok(&["migrate"]);

    assert_eq!(
        (plan["moves"].as_array().unwrap().len(), &plan["summary"]["keep"]),
        (50, &1.into())
    );
    assert_eq!(
        (world.get("some_name7.inner_name"), world.get("some_name8.inner_name")),
        ("700".into(), "8".into())
    );
    assert_eq!(drift(world), "some_name7.inner_name: edited-here");
}

fn another_prefix_moves_every_key(world: &World) {
    imported(world);
    declare(world, "prefix = \"x.y\"\n");
    world.ok(&["migrate"]);
    let first = settings(world);
    declare(world, "prefix = \"z\"\n");
    world.ok(&["migrate"]);

    assert_snapshot!([first, settings(world)].join("\n"), @r"
    x.y.forceManual = true, x.y.other = 1, x.y.springK = 3
    z.forceManual = true, z.other = 1, z.springK = 3
    ");
    world.ok(&["verify"]);
}

fn another_prefix_from_the_command_line_moves_every_key(world: &World) {
    world.migrate("a: 1\nb: 1\n");
    world.ok(&["set", "b", "2"]);
    world.ok(&["migrate", "settings.yaml", "--prefix", "p"]);

    assert_eq!(settings(world), "p.a = 1, p.b = 2");
}

fn two_names_are_swapped(world: &World) {
    declare(world, "");
    world.write("s.yaml", "a: 1\nb: 2\n");
    world.ok(&["migrate"]);
    world.ok(&["set", "a", "10"]);
    declare(world, "rename = { a = \"b\", b = \"a\" }\n");
    world.ok(&["migrate"]);
    let swapped = (settings(world), drift(world));
    world.ok(&["revert", "3"]);

    assert_eq!(swapped, ("a = 2, b = 10".to_owned(), "b: edited-here".to_owned()));
    assert_eq!(settings(world), "a = 10, b = 2");
    world.ok(&["verify"]);
}

fn names_go_round_in_a_circle(world: &World) {
    declare(world, "");
    world.write("s.yaml", "a: 1\nb: 2\nc: 3\n");
    world.ok(&["migrate"]);
    world.ok(&["set", "a", "10"]);
    world.ok(&["unset", "b"]);
    declare(world, "rename = { a = \"b\", b = \"c\", c = \"a\" }\n");
    world.ok(&["migrate"]);

    assert_eq!(settings(world), "a = 3, b = 10");
    world.ok(&["verify"]);
}

fn a_file_that_changed_its_names_too_is_followed(world: &World) {
    imported(world);
    world.write("s.yaml", "forceManual: true\nspring_k: 2\nlost: 1\nother: 1\n");
    declare(world, "rename = { springK = \"spring_k\" }\n");
    world.ok(&["migrate"]);

    assert_eq!(settings(world), "forceManual = true, other = 1, spring_k = 3");
}

fn a_renamed_key_with_another_value_is_an_update(world: &World) {
    imported(world);
    world.write("s.yaml", "forceManual: false\nspringK: 2\nlost: 1\nother: 1\n");
    declare(world, RULES);
    world.ok(&["migrate"]);

    assert_eq!(settings(world), "approval.force = false, other = 1, spring_k = 3");
}

fn a_renamed_key_with_an_edit_and_another_value_is_a_conflict(world: &World) {
    imported(world);
    world.write("s.yaml", "forceManual: true\nspringK: 9\nlost: 1\nother: 1\n");
    declare(world, RULES);
    let ran = world.run(&["migrate"]);
    let open = settings(world);
    let settled = world.run(&["migrate", "--resolve", "spring_k=theirs"]).status;

    assert_eq!((ran.status, settled), (2, 0), "{ran}");
    assert_eq!(open, "approval.force = true, other = 1, spring_k = 3");
    assert_eq!(settings(world), "approval.force = true, other = 1, spring_k = 9");
}

fn ones_own_key_under_the_new_name_stays(world: &World) {
    declare(world, "");
    world.write("s.yaml", "a: 1\n");
    world.ok(&["migrate"]);
    world.ok(&["set", "a", "10"]);
    world.ok(&["set", "n", "20"]);
    declare(world, "rename = { a = \"n\" }\n");
    world.ok(&["migrate"]);

    assert_eq!(settings(world), "a = 10, n = 20");
    assert_eq!(drift(world), "a: unknown-key, n: edited-here");
    world.ok(&["verify"]);
}

fn ones_own_map_under_the_new_name_stays(world: &World) {
    declare(world, "");
    world.write("s.yaml", "a: 1\n");
    world.ok(&["migrate"]);
    world.ok(&["set", "a", "10"]);
    world.ok(&["set", "n.x", "20"]);
    declare(world, "rename = { a = \"n\" }\n");
    world.run(&["migrate"]);

    assert_eq!(settings(world), "a = 10, n.x = 20");
    world.ok(&["verify"]);
}

fn the_history_has_the_key_under_both_names(world: &World) {
    imported(world);
    declare(world, RULES);
    world.ok(&["migrate"]);
    let shown = ["springK", "spring_k"].map(|it| world.ok(&["history", it, "--limit", "1"]));
    let lines = shown.map(|it| it.lines().nth(1).unwrap().to_owned());
    let words = lines.map(|it| it.split_whitespace().skip(2).collect::<Vec<_>>().join(" "));

    assert_eq!(words, ["ann springK 3 (none)", "ann spring_k (none) 3"]);
}

fn a_revert_brings_the_old_names_back(world: &World) {
    imported(world);
    let before = settings(world);
    declare(world, RULES);
    world.ok(&["migrate"]);
    let revision = world.revision().to_string();
    world.ok(&["revert", &revision]);

    assert_eq!(settings(world), before);
    world.ok(&["verify"]);
}

fn taking_the_mapping_back_takes_the_names_back(world: &World) {
    imported(world);
    let before = (settings(world), drift(world));
    declare(world, RULES);
    world.ok(&["migrate"]);
    let revision = world.revision().to_string();
    world.ok(&["revert", &revision]);
    declare(world, "");
    world.ok(&["migrate"]);

    assert_eq!((settings(world), drift(world)), before);
}

fn a_plan_with_renames_is_carried_out_later(world: &World) {
    imported(world);
    declare(world, RULES);
    world.ok(&["migrate", "--out", "plan.json"]);
    let planned = settings(world);
    world.ok(&["apply", "plan.json"]);

    assert_eq!(planned, "forceManual = true, other = 1, springK = 3");
    assert_eq!(settings(world), "approval.force = true, other = 1, spring_k = 3");
}

fn a_plan_with_renames_is_stale_once_a_key_has_changed(world: &World) {
    imported(world);
    declare(world, RULES);
    world.ok(&["migrate", "--out", "plan.json"]);
    world.ok(&["set", "springK", "4"]);
    let edited = world.refusal(&["apply", "plan.json"]);
    world.ok(&["set", "springK", "3"]);
    world.ok(&["set", "spring_k", "5"]);
    let in_the_way = world.refusal(&["apply", "plan.json"]);

    assert!(edited.starts_with("1 plan::stale; this plan is stale: springK changed"), "{edited}");
    assert!(in_the_way.starts_with("1 plan::stale"), "{in_the_way}");
    assert_eq!(settings(world), "forceManual = true, other = 1, springK = 3, spring_k = 5");
}

fn a_rename_in_one_source_leaves_the_others_alone(world: &World) {
    let others = "[[source]]\npath = \"o.yaml\"\n";
    declare(world, others);
    world.write("s.yaml", "aB: 1\n");
    world.write("o.yaml", "cD: 1\n");
    world.ok(&["migrate"]);
    declare(world, &format!("case = \"snake\"\n{others}"));
    world.ok(&["migrate"]);

    assert_eq!(settings(world), "a_b = 1, cD = 1");
}

/// Whether adopting is refused or not.
fn an_edit_is_not_lost_if_it_is_adopted_before_the_rename_is_imported(world: &World) {
    imported(world);
    declare(world, RULES);
    world.run(&["adopt", "spring_k"]);
    let after = world.run(&["migrate"]).status;

    assert_eq!(settings(world), "approval.force = true, other = 1, spring_k = 3");
    assert_eq!((after, world.run(&["verify"]).status), (0, 0));
}
