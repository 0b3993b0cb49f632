//! A person on a terminal who is asked, conflict by conflict. Needs `script` of util-linux, which
//! Debian has in bsdutils, for a terminal.

use std::io::Write as _;
use std::iter;
use std::process::{Command, Stdio};

use super::{everything, settings};
use crate::world::{Ran, World};

on_both![
    ours_and_theirs_are_chosen_key_by_key,
    a_value_is_asked_for,
    a_wrong_value_is_asked_for_again,
    later_leaves_a_conflict_open,
    an_answer_that_is_none_is_asked_again,
    quit_changes_nothing,
    the_end_of_the_input_changes_nothing,
    skip_leaves_the_version_of_the_file_out,
    skip_takes_back_what_was_chosen_for_the_same_file,
    skip_of_one_file_leaves_the_others_to_be_chosen,
    a_file_that_removed_a_key_can_be_skipped,
    what_is_in_conflict_is_shown_before_it_is_asked,
    nobody_is_asked_where_it_was_said_what_to_do,
];

const QUESTION: &str = "[q]uit?";

/// Runs the program on a terminal where `typed` is typed.
pub fn at_terminal(world: &World, arguments: &[&str], typed: &str) -> Ran {
    let program = world.command(arguments);
    let words = iter::once(program.get_program()).chain(program.get_args());
    let words: Vec<String> = words.map(|it| format!("'{}'", it.to_str().unwrap())).collect();
    let mut script = Command::new("script");
    script.args(["-qec", &words.join(" "), "/dev/null"]);
    script.current_dir(world.folder()).env_clear().env("NO_COLOR", "1");
    script.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = script.spawn().unwrap_or_else(|error| {
        panic!("`script` of util-linux (Debian: bsdutils) is needed: {error}")
    });
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    world.end(child)
}

/// Conflicts at a and b; plain has an update.
fn conflicts(world: &World) {
    world.migrate("a: 1\nb: 1\nplain: 1\n");
    world.ok(&["set", "a", "2"]);
    world.ok(&["set", "b", "2"]);
    world.write("settings.yaml", "a: 3\nb: 3\nplain: 3\n");
}

fn pick(world: &World, typed: &str) -> Ran {
    at_terminal(world, &["migrate", "settings.yaml"], typed)
}

#[track_caller]
fn assert_picked(world: &World, typed: &str, status: i32, live: &str) {
    let ran = pick(world, typed);
    assert_eq!((ran.status, settings(world).as_str()), (status, live), "{ran}");
}

fn ours_and_theirs_are_chosen_key_by_key(world: &World) {
    conflicts(world);

    assert_picked(world, "o\ntheirs\n", 0, "a = 2, b = 3, plain = 3");
}

fn a_value_is_asked_for(world: &World) {
    conflicts(world);

    assert_picked(world, "v\n7\nours\n", 0, "a = 7, b = 2, plain = 3");
}

fn a_wrong_value_is_asked_for_again(world: &World) {
    conflicts(world);

    assert_picked(world, "o\nv\nseven\nv\n7\n", 0, "a = 2, b = 7, plain = 3");
}

fn later_leaves_a_conflict_open(world: &World) {
    conflicts(world);

    assert_picked(world, "l\nt\n", 2, "a = 2, b = 3, plain = 3");
}

fn an_answer_that_is_none_is_asked_again(world: &World) {
    conflicts(world);
    let ran = pick(world, "x\nt\no\n");

    let asked = ran.stdout.matches(QUESTION).count();
    assert_eq!((asked, settings(world).as_str()), (3, "a = 3, b = 2, plain = 3"), "{ran}");
}

fn quit_changes_nothing(world: &World) {
    conflicts(world);
    let before = everything(world);
    let ran = pick(world, "o\nq\n");

    assert_eq!(ran.status, 1, "{ran}");
    assert!(everything(world) == before);
}

fn the_end_of_the_input_changes_nothing(world: &World) {
    conflicts(world);
    let before = everything(world);
    let ran = pick(world, "o\n");

    assert_eq!(ran.status, 1, "{ran}");
    assert!(everything(world) == before);
}

fn skip_leaves_the_version_of_the_file_out(world: &World) {
    conflicts(world);
    let ran = pick(world, "s\n");
    let after = world.run(&["migrate", "settings.yaml"]).status;

    let asked = ran.stdout.matches(QUESTION).count();
    let seen = (ran.status, asked, after, settings(world));
    assert_eq!(seen, (0, 1, 0, "a = 2, b = 2, plain = 1".to_owned()), "{ran}");
}

fn skip_takes_back_what_was_chosen_for_the_same_file(world: &World) {
    conflicts(world);

    assert_picked(world, "t\ns\n", 0, "a = 2, b = 2, plain = 1");
}

fn skip_of_one_file_leaves_the_others_to_be_chosen(world: &World) {
    world.write("a.yaml", "a: 1\n");
    world.write("b.yaml", "b: 1\nc: 1\n");
    world.ok(&["migrate", "a.yaml", "b.yaml"]);
    world.ok(&["set", "a", "2"]);
    world.ok(&["set", "b", "2"]);
    world.write("a.yaml", "a: 3\n");
    world.write("b.yaml", "b: 3\nc: 3\n");
    let ran = at_terminal(world, &["migrate", "a.yaml", "b.yaml"], "s\nt\n");

    assert_eq!((ran.status, settings(world).as_str()), (0, "a = 2, b = 3, c = 3"), "{ran}");
}

fn a_file_that_removed_a_key_can_be_skipped(world: &World) {
    world.migrate("a: 1\nb: 1\n");
    world.ok(&["set", "a", "2"]);
    world.write("settings.yaml", "b: 3\n");

    assert_picked(world, "s\n", 0, "a = 2, b = 1");
}

fn what_is_in_conflict_is_shown_before_it_is_asked(world: &World) {
    conflicts(world);
    let shown = pick(world, "q\n").stdout;

    let lines = ["1 of 2", "ours   2  (revision 2 by ann)", "theirs 3  (settings.yaml:1:4)"];
    let mut places = lines.map(|it| shown.find(it)).to_vec();
    places.push(shown.find(QUESTION));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{shown}");
}

fn nobody_is_asked_where_it_was_said_what_to_do(world: &World) {
    conflicts(world);
    let ran = at_terminal(world, &["migrate", "settings.yaml", "--yes"], "");

    assert_eq!((ran.status, ran.stdout.matches(QUESTION).count()), (2, 0), "{ran}");
}
