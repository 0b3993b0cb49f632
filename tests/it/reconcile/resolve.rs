//! Conflicts that are settled key by key, and choices that are remembered.

use insta::assert_snapshot;

use super::{refused, settings};
use crate::world::World;

on_both![
    several_conflicts_are_settled_at_once_each_in_its_way,
    what_is_not_named_stays_open,
    a_strategy_settles_what_is_not_named,
    a_value_takes_the_type_of_its_key,
    a_value_of_another_type_is_refused,
    a_key_that_is_not_in_conflict_is_refused,
    a_key_that_was_settled_already_is_refused,
    one_key_in_two_ways_is_refused,
    one_key_twice_in_the_same_way_is_settled,
    a_quoted_key_may_have_an_equals_sign,
    a_text_that_is_one_of_the_two_words_is_given_in_quotes,
    a_conflict_over_a_map_takes_one_value,
    a_choice_is_not_asked_again_after_a_revert,
    a_choice_is_asked_again_when_one_of_the_three_values_is_another,
    a_plan_with_a_choice_is_carried_out_later,
    a_plan_with_a_choice_is_stale_once_the_key_has_changed,
];

/// Conflicts at s, f, b, d and "q=x"; plain has an update.
fn conflicts(world: &World) {
    world.migrate("s: x\nf: 1.5\nb: true\nd: 1\n\"q=x\": 1\nplain: 1\n");
    world.ok(&["set", "s", "y"]);
    world.ok(&["set", "f", "2.5"]);
    world.ok(&["set", "b", "false"]);
    world.ok(&["unset", "d"]);
    world.ok(&["set", "\"q=x\"", "2"]);
    world.write("settings.yaml", "s: z\nf: 3.5\nb: no way\nd: 2\n\"q=x\": 3\nplain: 2\n");
}

/// Migrates with these choices, and tells how that ended and what is live.
fn resolve(world: &World, choices: &[&str]) -> String {
    let options = choices.iter().flat_map(|it| ["--resolve", it]);
    let arguments: Vec<&str> = ["migrate", "settings.yaml"].into_iter().chain(options).collect();
    let status = world.run(&arguments).status;
    format!("{status}: {}", settings(world))
}

fn several_conflicts_are_settled_at_once_each_in_its_way(world: &World) {
    conflicts(world);
    let settled = resolve(world, &["s=ours", "f=theirs", "b=true", "d=7", "\"q=x\"=9"]);

    assert_snapshot!(settled, @r#"0: "q=x" = 9, b = true, d = 7, f = 3.5, plain = 2, s = "y""#);
}

fn what_is_not_named_stays_open(world: &World) {
    conflicts(world);
    let ran = world.run(&["migrate", "settings.yaml", "--resolve", "s=theirs", "--json"]);
    let open: Vec<_> = ran.json()["conflicts"].as_array().unwrap().clone();
    let open: Vec<_> = open.iter().map(|it| it["key"].as_str().unwrap()).collect();

    assert_eq!((ran.status, open), (2, vec!["\"q=x\"", "b", "d", "f"]));
}

fn a_strategy_settles_what_is_not_named(world: &World) {
    conflicts(world);
    let arguments = ["migrate", "settings.yaml", "--resolve", "f=theirs", "--strategy", "ours"];
    world.ok(&arguments);

    assert_snapshot!(settings(world), @r#""q=x" = 2, b = false, f = 3.5, plain = 2, s = "y""#);
}

fn a_value_takes_the_type_of_its_key(world: &World) {
    conflicts(world);
    resolve(world, &["s=12", "f=4"]);

    assert_eq!((world.get("s").as_str(), world.get("f").as_str()), ("12", "4.0"));
}

fn a_value_of_another_type_is_refused(world: &World) {
    conflicts(world);
    let refuse = |choice| refused(world, &["migrate", "settings.yaml", "--resolve", choice]);

    assert_snapshot!([refuse("b=maybe"), refuse("f=x"), refuse("d=x")].join("\n"), @r"
    1 setting::wrong_type; `maybe` is no boolean (true or false), which `b` holds; give a value of that type, or change the type with --type
    1 setting::wrong_type; `x` is no finite float, which `f` holds; give a value of that type, or change the type with --type
    1 setting::wrong_type; `x` is no integer within 64 bits, which `d` holds; give a value of that type, or change the type with --type
    ");
}

fn a_key_that_is_not_in_conflict_is_refused(world: &World) {
    conflicts(world);
    let choices = ["--resolve", "s=ours", "--resolve", "plain=ours"];

    assert_snapshot!(refused(world, &[&["migrate", "settings.yaml"], &choices[..]].concat()), @"1 plan::no_conflict; `plain` is not in conflict; nothing was changed; `setpoint migrate --dry-run` lists the conflicts, `setpoint set plain` changes a key that has none");
}

fn a_key_that_was_settled_already_is_refused(world: &World) {
    conflicts(world);
    world.ok(&["migrate", "settings.yaml", "--strategy", "ours"]);
    let again = refused(world, &["migrate", "settings.yaml", "--resolve", "s=theirs"]);

    assert!(again.starts_with("1 plan::no_conflict"), "{again}");
}

fn one_key_in_two_ways_is_refused(world: &World) {
    conflicts(world);
    let choices = ["--resolve", "\"q=x\"=1", "--resolve", "'q=x'=2"];

    assert_snapshot!(refused(world, &[&["migrate", "settings.yaml"], &choices[..]].concat()), @r#"1 resolve::twice; `"q=x"` is resolved in two ways; nothing was changed; keep one of the two"#);
}

fn one_key_twice_in_the_same_way_is_settled(world: &World) {
    conflicts(world);
    resolve(world, &["f=theirs", "f=theirs"]);

    assert_eq!(world.get("f"), "3.5");
}

fn a_quoted_key_may_have_an_equals_sign(world: &World) {
    conflicts(world);
    resolve(world, &["\"q=x\"=theirs"]);

    assert_eq!(world.get("\"q=x\""), "3");
}

fn a_text_that_is_one_of_the_two_words_is_given_in_quotes(world: &World) {
    conflicts(world);
    resolve(world, &["s=\"ours\""]);

    assert_eq!(world.get("s"), "ours");
}

fn a_conflict_over_a_map_takes_one_value(world: &World) {
    world.migrate("a: {b: 1, c: 1}\n");
    world.ok(&["set", "a.b", "2"]);
    world.write("settings.yaml", "a: 5\n");

    assert_eq!(resolve(world, &["a=6"]), "0: a = 6");
}

fn a_choice_is_not_asked_again_after_a_revert(world: &World) {
    world.migrate("a: 1\n");
    world.ok(&["set", "a", "2"]);
    world.write("settings.yaml", "a: 3\n");
    let chosen = resolve(world, &["a=theirs"]);
    world.ok(&["revert", "3"]);
    let after = resolve(world, &[]);

    assert_snapshot!([chosen, after].join("\n"), @r"
    0: a = 3
    0: a = 2
    ");
}

/// The file goes back and forth; whoever chose once for the same three values is not asked.
fn a_choice_is_asked_again_when_one_of_the_three_values_is_another(world: &World) {
    let asks = |of: &str| {
        let plan = world.json(&["migrate", "settings.yaml", "--dry-run"]);
        format!("{of}: {}", plan["summary"]["conflict"])
    };
    let file = |value: u8| world.write("settings.yaml", format!("a: {value}\n"));
    let ours = || drop(world.ok(&["migrate", "settings.yaml", "--resolve", "a=ours"]));

    world.migrate("a: 1\n");
    world.ok(&["set", "a", "2"]);
    file(3);
    let first = asks("1 2 3");
    ours();
    file(1);
    ours();
    file(3);
    let same = asks("1 2 3");
    world.ok(&["set", "a", "5"]);
    let other_ours = asks("1 5 3");
    world.ok(&["set", "a", "2"]);
    file(4);
    let other_theirs = asks("1 2 4");
    file(7);
    ours();
    file(3);
    let other_base = asks("7 2 3");

    assert_snapshot!([first, same, other_ours, other_theirs, other_base].join("\n"), @r"
    1 2 3: 1
    1 2 3: 0
    1 5 3: 1
    1 2 4: 1
    7 2 3: 1
    ");
}

fn a_plan_with_a_choice_is_carried_out_later(world: &World) {
    conflicts(world);
    let arguments = ["--resolve", "f=4", "--strategy", "ours", "--out", "plan.json"];
    world.ok(&[&["migrate", "settings.yaml"], &arguments[..]].concat());
    world.ok(&["apply", "plan.json"]);
    let after = world.run(&["migrate", "settings.yaml"]).status;

    assert_eq!((world.get("f").as_str(), after), ("4.0", 0));
}

fn a_plan_with_a_choice_is_stale_once_the_key_has_changed(world: &World) {
    conflicts(world);
    let arguments = ["--resolve", "f=4", "--out", "plan.json"];
    world.ok(&[&["migrate", "settings.yaml"], &arguments[..]].concat());
    world.ok(&["set", "f", "8.5"]);
    let refusal = world.refusal(&["apply", "plan.json"]);

    assert!(refusal.starts_with("1 plan::stale; this plan is stale: f changed"), "{refusal}");
    assert_eq!((world.get("f"), world.get("plain")), ("8.5".to_owned(), "1".to_owned()));
}
