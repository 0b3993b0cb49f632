//! Proposals for renames.

use insta::assert_snapshot;

use super::everything;
use crate::world::World;

on_both![
    pairs_are_proposed_as_lines_of_the_configuration,
    proposing_changes_nothing,
    what_is_proposed_makes_an_edit_follow_its_key,
    keys_that_stayed_are_not_proposed,
];

/// The file has other names now, and springK was edited.
fn renamed(world: &World) {
    world.write("s.json", r#"{"forceManual": "x1", "springK": 2.5, "other": 1, "gone": 77}"#);
    world.ok(&["migrate", "s.json"]);
    world.ok(&["set", "springK", "3.5"]);
    world.write("s.json", r#"{"force_manual": "x1", "spring_k": 2.5, "other": 1, "came": 77}"#);
}

fn pairs_are_proposed_as_lines_of_the_configuration(world: &World) {
    renamed(world);

    assert_snapshot!(world.run(&["migrate", "s.json", "--suggest-renames"]), @r##"
    status 0
    -- stdout
    # the [[source]] of s.json
    case = "snake"  # 2 keys: same value, same name but for case
    rename."gone" = "came"  # same value in the same map
    -- stderr
    3 keys may have another name: put the lines that are right into
    setpoint.toml, then `setpoint migrate --dry-run`
    "##);
}

fn proposing_changes_nothing(world: &World) {
    renamed(world);
    let before = everything(world);
    world.ok(&["migrate", "s.json", "--suggest-renames"]);

    assert!(everything(world) == before);
}

fn what_is_proposed_makes_an_edit_follow_its_key(world: &World) {
    renamed(world);
    let proposed = world.ok(&["migrate", "s.json", "--suggest-renames"]);
    world.write("setpoint.toml", format!("[[source]]\npath = \"s.json\"\n{proposed}"));

    assert_snapshot!(world.ok(&["migrate", "--dry-run"]), @r"
      > forceManual is now force_manual
      > gone is now came
      > springK is now spring_k
    namespace default, layer base
      = spring_k = 3.5 (kept)
    3 renamed, 1 kept
    ");
}

fn keys_that_stayed_are_not_proposed(world: &World) {
    world.migrate("a: 1\n");
    world.write("settings.yaml", "a: 2\nb: 1\n");
    let ran = world.run(&["migrate", "settings.yaml", "--suggest-renames"]);

    assert_snapshot!(ran, @r"
    status 0
    -- stderr
    no key seems to have another name
    ");
}
