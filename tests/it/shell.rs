//! What a shell has of the program: completions, manual pages, pipes, exit codes.

use std::process::Stdio;

use insta::assert_snapshot;

use crate::world::World;

#[test]
fn completions_are_printed_for_each_shell() {
    let world = World::sqlite();

    let printed = ["bash", "zsh", "fish"].map(|shell| world.ok(&["completions", shell]));

    assert!(printed.iter().all(|it| it.contains("migrate")));
}

#[test]
fn a_manual_page_is_written_for_each_command() {
    let world = World::sqlite();
    world.ok(&["man", "pages"]);

    let pages = world.file_names();
    let has = |name: &str| pages.iter().any(|it| it == &format!("pages/{name}.1"));
    assert!(["setpoint", "setpoint-migrate", "setpoint-get"].iter().all(|it| has(it)), "{pages:?}");
}

#[test]
fn a_reader_that_closes_the_pipe_is_no_error() {
    let world = World::sqlite();
    world.migrate(&(0..20_000).map(|it| format!("key_{it}: {it}\n")).collect::<String>());
    let mut list = world.command(&["list"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(list.stdout.take());

    let ran = world.end(list);

    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
}

#[test]
fn a_wrong_flag_is_an_error_of_use() {
    let ran = World::sqlite().run(&["migrate", "--no-such-flag"]);

    assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{ran}");
}

#[test]
fn an_error_of_use_is_json_where_errors_are() {
    let world = World::sqlite();
    let wrong = [
        &["backup", "nope"][..],
        &["jobs", "history", "--limit", "x"],
        &["confirm", "--reject-limit", "2"],
        &["get"],
    ];

    let refusals = wrong.map(|it| world.refusal(it));

    assert_snapshot!(refusals.join("\n"), @r"
    2 usage::invalid; unrecognized subcommand 'nope'; nothing was done; usage: setpoint backup [OPTIONS] <COMMAND>
    2 usage::invalid; invalid value 'x' for '--limit <COUNT>': invalid digit found in string; nothing was done; --help tells what there is
    2 usage::invalid; unexpected argument '--reject-limit' found; tip: to pass '--reject-limit' as a value, use '-- --reject-limit'; nothing was done; usage: setpoint confirm [OPTIONS] [REVISION]
    2 usage::invalid; the following required arguments were not provided: <KEY>; nothing was done; usage: setpoint get --json <KEY>
    ");
    let missing = world.run(&["--json", "backup"]).problem();
    assert_eq!(missing["message"], "a command is missing");
    for asked in ["--help", "--version"] {
        assert_eq!(world.ok(&["--json", asked]), world.ok(&[asked]));
    }
    let plain = world.run(&["get", "--", "a", "--json"]).stderr;
    assert!(plain.starts_with("error: unexpected argument"), "{plain}");
}
