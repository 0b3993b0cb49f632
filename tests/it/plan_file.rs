//! Plans that are written to a file, looked at and carried out later.

use insta::assert_snapshot;

use crate::world::World;

on_both![
    a_plan_of_files_can_be_carried_out_later,
    a_plan_of_the_first_import_can_be_carried_out_later,
    a_plan_of_an_edit_can_be_carried_out_later,
    a_plan_is_read_from_standard_input,
    a_plan_is_shown_before_it_is_carried_out,
    applying_a_plan_twice_is_harmless,
    a_plan_can_be_applied_if_others_changed_other_keys,
    a_stale_plan_is_refused_and_names_the_keys,
    a_stale_plan_is_shown_as_stale,
    a_plan_somebody_changed_is_refused,
    a_file_that_changed_since_the_plan_is_refused,
    a_file_that_is_gone_since_the_plan_is_refused,
    a_plan_of_another_database_is_refused,
];

/// A plan in plan.json to update `a` and add `b`.
fn planned(world: &World) {
    world.migrate("a: 1\nother: 1\n");
    world.write("settings.yaml", "a: 2\nother: 1\nb: 3\n");
    world.ok(&["migrate", "settings.yaml", "--out", "plan.json"]);
}

fn now(world: &World) -> String {
    format!("a {}, b {}, at {}", world.get("a"), world.get("b"), world.revision())
}

fn a_plan_of_files_can_be_carried_out_later(world: &World) {
    planned(world);
    let before = now(world);
    world.ok(&["apply", "plan.json"]);
    let after = now(world);
    world.ok(&["migrate", "settings.yaml"]);

    assert_snapshot!([before, after, now(world)].join("\n"), @r"
    a 1, b (none), at 1
    a 2, b 3, at 2
    a 2, b 3, at 2
    ");
}

fn a_plan_of_the_first_import_can_be_carried_out_later(world: &World) {
    world.write("settings.yaml", "a: 1\n");
    world.ok(&["migrate", "settings.yaml", "--out", "plan.json"]);
    let before = world.file_names();
    world.ok(&["apply", "plan.json"]);

    assert_eq!((before.len(), now(world).as_str()), (2, "a 1, b (none), at 1"));
}

fn a_plan_of_an_edit_can_be_carried_out_later(world: &World) {
    world.migrate("a: 1\n");
    world.ok(&["set", "a", "2", "--out", "plan.json"]);
    let before = now(world);
    world.ok(&["apply", "plan.json"]);

    assert_snapshot!([before, now(world)].join("\n"), @r"
    a 1, b (none), at 1
    a 2, b (none), at 2
    ");
}

fn a_plan_is_read_from_standard_input(world: &World) {
    planned(world);
    let plan = world.read("plan.json");
    let ran = world.run_with(&["apply", "-"], &plan);

    assert_eq!((ran.status, now(world).as_str()), (0, "a 2, b 3, at 2"), "{ran}");
}

fn a_plan_is_shown_before_it_is_carried_out(world: &World) {
    planned(world);

    assert_snapshot!(world.run(&["plan", "plan.json"]), @r"
    status 0
    -- stdout
    namespace default, layer base
      ~ a = 1 -> 2
      + b = 3
    1 added, 1 updated
    ");
}

fn applying_a_plan_twice_is_harmless(world: &World) {
    planned(world);
    world.ok(&["apply", "plan.json"]);
    world.ok(&["set", "a", "9"]);
    let again = world.run(&["apply", "plan.json"]);

    assert_snapshot!(format!("{again}\n{}", now(world)), @r"
    status 0
    -- stdout
    namespace default, layer base
      ~ a = 1 -> 2
      + b = 3
    1 added, 1 updated
    -- stderr
    applied before, as revision 2
    a 9, b 3, at 3
    ");
}

fn a_plan_can_be_applied_if_others_changed_other_keys(world: &World) {
    planned(world);
    world.ok(&["set", "other", "5"]);
    world.ok(&["apply", "plan.json"]);

    assert_eq!((now(world).as_str(), world.get("other").as_str()), ("a 2, b 3, at 3", "5"));
}

fn a_stale_plan_is_refused_and_names_the_keys(world: &World) {
    planned(world);
    world.ok(&["set", "a", "9"]);
    world.ok(&["set", "b", "9"]);
    let refused = world.run(&["apply", "plan.json"]);

    assert_snapshot!(format!("{refused}\n{}", now(world)), @r"
    status 1
    -- stderr
    plan::stale

      × this plan is stale: a, b changed since revision 1
      help: nothing was changed; plan again and look at what is different
    a 9, b 9, at 3
    ");
}

fn a_stale_plan_is_shown_as_stale(world: &World) {
    planned(world);
    world.ok(&["set", "a", "9"]);

    assert_snapshot!(world.run(&["plan", "plan.json"]), @r"
    status 2
    -- stdout
    namespace default, layer base
      ~ a = 1 -> 2
      + b = 3
    1 added, 1 updated
    -- stderr
    this plan is stale: a changed since revision 1
    ");
}

fn a_plan_somebody_changed_is_refused(world: &World) {
    planned(world);
    world.write("plan.json", world.read("plan.json").replace("\"after\": 2", "\"after\": 5"));
    let refused = world.run(&["apply", "plan.json"]);

    assert_snapshot!(format!("{refused}\n{}", now(world)), @r"
    status 1
    -- stderr
    plan::invalid

      × this is no plan that can be applied: its content is not what its hash was
      │ made of
      help: make one with `setpoint migrate --dry-run --out plan.json`
    a 1, b (none), at 1
    ");
}

fn a_file_that_changed_since_the_plan_is_refused(world: &World) {
    planned(world);
    world.write("settings.yaml", "a: 3\n");
    let refused = world.run(&["apply", "plan.json"]);

    assert_snapshot!(format!("{refused}\n{}", now(world)), @r"
    status 1
    -- stderr
    plan::stale

      × this plan is stale: settings.yaml has changed
      help: nothing was changed; plan again and look at what is different
    a 1, b (none), at 1
    ");
}

fn a_file_that_is_gone_since_the_plan_is_refused(world: &World) {
    planned(world);
    std::fs::remove_file(world.path("settings.yaml")).unwrap();
    let refused = world.run(&["apply", "plan.json"]);

    assert_snapshot!(format!("{refused}\n{}", now(world)), @r"
    status 1
    -- stderr
    file::unreadable

      × cannot read ./settings.yaml
      ╰─▶ No such file or directory (os error 2)
      help: it is not there; check the path, and `path` in setpoint.toml
    a 1, b (none), at 1
    ");
}

fn a_plan_of_another_database_is_refused(world: &World) {
    planned(world);
    let other = World::sqlite();
    other.migrate("a: 1\nother: 1\n");
    other.write("settings.yaml", world.read("settings.yaml"));
    other.write("plan.json", world.read("plan.json"));

    let refused = other.run(&["apply", "plan.json"]);

    assert_snapshot!(format!("{refused}\n{}", now(&other)), @r"
    status 1
    -- stderr
    plan::stale

      × this plan is stale: it was computed in another history of this database
      help: nothing was changed; plan again and look at what is different
    a 1, b (none), at 1
    ");
}
