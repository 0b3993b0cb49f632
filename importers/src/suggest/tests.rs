use std::fmt::Write;

use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Because, SuggestedRule, Suggestion, suggest_renames};
use crate::{Key, Mapping, TypedValue, testing};

type Settings = Vec<(Key, TypedValue)>;

fn settings(yaml: &str) -> Settings {
    let document = testing::read("a.yaml", yaml).unwrap();
    document.entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
}

/// The suggestions as lines for setpoint.toml.
fn suggested(before: &str, now: &str) -> String {
    lines(&suggest_renames(&settings(before), &settings(now)))
}

fn lines(suggestions: &[Suggestion]) -> String {
    suggestions.iter().fold(String::new(), |mut out, suggestion| {
        writeln!(out, "{suggestion}").unwrap();
        out
    })
}

/// What the rules promise: old keys arrive at new ones, and new ones stay.
fn hold(suggestions: &[Suggestion], now: &Settings) -> Result<(), TestCaseError> {
    let mapping: Mapping = toml::from_str(&lines(suggestions)).unwrap();
    let mapper = mapping.check().unwrap();
    for (key, _) in now {
        prop_assert_eq!(mapper.key(key).unwrap(), Some(key.clone()));
    }
    for pair in suggestions.iter().flat_map(|it| &it.pairs) {
        prop_assert_eq!(mapper.key(&pair.from).unwrap(), Some(pair.to.clone()));
    }
    Ok(())
}

#[test]
fn a_change_of_case_is_one_line() {
    assert_snapshot!(suggested(
        "{spring_k: 0.5, max_nodes: 7, ui: {dark_mode: true}, same: 1}",
        "{springK: 0.5, maxNodes: 8, ui: {darkMode: true}, same: 1, new: 2}",
    ), @r#"case = "camel"  # 2 keys: same value, same name but for case; 1 key: same name but for case, another value"#);
}

#[test]
fn a_change_of_case_is_no_rule_if_other_keys_do_not_have_it() {
    assert_snapshot!(suggested(
        "{spring_k: 0.5, max_nodes: 7, left_alone: 1}",
        "{springK: 0.5, maxNodes: 7, left_alone: 1}",
    ), @r#"
    rename."spring_k" = "springK"  # same value, same name but for case
    rename."max_nodes" = "maxNodes"  # same value, same name but for case
    "#);
}

#[test]
fn a_section_that_moved_is_one_line() {
    assert_snapshot!(suggested(
        "physics: {gravity: 9.81, on: true, drag: {k: 0.47, on: true}, off: 3}",
        "sim: {physics: {gravity: 9.81, on: true, drag: {k: 0.47, on: true}, off: 4}}",
    ), @r#"move."physics" = "sim.physics"  # 4 keys: same value, same last segment"#);
}

#[test]
fn a_section_that_moved_in_part_leaves_the_rest() {
    assert_snapshot!(suggested(
        "physics: {stays: 1, drag: {k: 0.47, l: 0.48}}",
        "{physics: {stays: 1}, sim: {drag: {k: 0.47, l: 0.48}}}",
    ), @r#"move."physics.drag" = "sim.drag"  # 2 keys: same value, same last segment"#);
}

#[test]
fn one_key_is_renamed_by_its_value() {
    assert_snapshot!(suggested(
        "{server: {port: 8080, host: example.org, threads: 4, on: true}}",
        "{server: {listen_port: 8080, name: example.org, workers: 4, enabled: true}}",
    ), @r#"
    rename."server.port" = "server.listen_port"  # same value in the same map
    rename."server.host" = "server.name"  # same value in the same map
    "#);
}

#[test]
fn what_fits_twice_is_not_suggested() {
    assert_eq!(suggested("{a: {k: 42}}", "{b: {k: 42}, c: {k: 42}}"), "");
    assert_eq!(suggested("{a: {x: 42, y: 42}}", "{a: {z: 42}}"), "");
    assert_eq!(suggested("{a: {k: 42}}", "{b: {l: 42}}"), "");
    assert_eq!(suggested("{a: 42}", "{a: 43, b: 42}"), "", "a is still there");
}

#[test]
fn a_name_is_stronger_than_a_value_in_the_same_map() {
    let suggestions = suggest_renames(
        &settings("{a: {spring_k: 42}}"),
        &settings("{a: {springK: 43, damping: 42}}"),
    );

    assert_eq!(suggestions.len(), 1);
    assert_eq!(suggestions[0].pairs[0].because, Because::OtherValue);
    assert!(suggestions[0].pairs[0].because.is_weak());
}

#[test]
fn keys_with_quotes_are_quoted_again() {
    assert_snapshot!(suggested(r#"{"a.b\"_c": 42}"#, r#"{"a.b\"C": 42}"#), @r#"rename."\"a.b\\\"_c\"" = "\"a.b\\\"C\""  # same value, same name but for case"#);
}

#[test]
fn fifty_thousand_keys_need_no_patience() {
    let section = |name: &str| -> Settings {
        let keys = (0..50_000_u32).map(|at| {
            let text = format!("{name}.part_{}.setting_{at}", at % 100);
            (Key::parse(&text).unwrap(), TypedValue::from(json!(at % 7_000)))
        });
        keys.collect()
    };

    let suggestions = suggest_renames(&section("before_it"), &section("after_it"));

    let rule = SuggestedRule::Move {
        from: Key::parse("before_it").unwrap(),
        to: Key::parse("after_it").unwrap(),
    };
    assert_eq!((suggestions.len(), &suggestions[0].rule), (1, &rule));
    assert_eq!(suggestions[0].pairs.len(), 50_000);
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let name = prop::sample::select(vec!["a", "b", "spring_k", "springK", "spring-k", "x.y", "c"]);
    let value = prop::sample::select(vec![json!(42), json!(true), json!("text"), json!(0.47)]);
    let key = prop::collection::vec(name, 1..4);
    prop::collection::btree_map(key, value, 0..12).prop_map(|settings| {
        let settings = settings.into_iter();
        settings
            .map(|(names, value): (Vec<&str>, Value)| {
                (Key::from_segments(names).unwrap(), TypedValue::from(value))
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn the_rules_do_what_the_pairs_say(before in any_settings(), now in any_settings()) {
        let suggestions = suggest_renames(&before, &now);

        hold(&suggestions, &now)?;
        prop_assert_eq!(suggest_renames(&before, &now), suggestions);
    }

    #[test]
    fn nothing_is_suggested_twice(before in any_settings(), now in any_settings()) {
        let suggestions = suggest_renames(&before, &now);
        let pairs: Vec<_> = suggestions.iter().flat_map(|it| &it.pairs).collect();

        for (at, pair) in pairs.iter().enumerate() {
            let others = &pairs[at + 1..];
            prop_assert!(others.iter().all(|it| it.from != pair.from && it.to != pair.to));
            prop_assert!(before.iter().any(|(key, _)| *key == pair.from));
            prop_assert!(now.iter().any(|(key, _)| *key == pair.to));
        }
    }
}
