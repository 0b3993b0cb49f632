use crate::world::World;

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:1";

#[test]
fn a_service_that_is_not_there_fails_the_load_test() {
    let world = World::sqlite();

    let ran = world.run(&["load-test", "quick", "--url", NOWHERE, "--json"]);

    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "{ran}");
    assert_eq!(ran.problem()["code"], "client::unreachable");
    assert_eq!(world.file_names(), Vec::<String>::new());
}

#[test]
fn a_folder_that_cannot_be_written_is_told_before_the_load_begins() {
    let world = World::sqlite();
    world.write("taken", "");

    let said = world.refusal(&["load-test", "--url", NOWHERE, "--out", "taken/here"]);

    assert!(said.contains("cannot write taken/here"), "{said}");
}

#[test]
fn a_duration_without_a_unit_is_an_error_of_use() {
    let ran = World::sqlite().run(&["load-test", "--url", NOWHERE, "--duration", "10"]);

    assert_eq!(ran.status, 2, "{ran}");
    assert!(ran.stderr.contains("write it as in 500ms, 10s or 5m"), "{ran}");
}

#[test]
fn a_service_that_was_never_there_is_not_watched_for() {
    let ran = World::sqlite().run(&["watch", "--url", NOWHERE, "--json"]);

    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "{ran}");
    assert_eq!(ran.problem()["code"], "client::unreachable");
}

#[test]
fn the_service_to_watch_can_be_said_in_the_environment() {
    let world = World::sqlite();
    let mut command = world.command(&["watch", "--json"]);
    command.env("SETPOINT_URL", NOWHERE).env("SETPOINT_TOKEN", "sp_canary");

    let ran = world.end(command.spawn().unwrap());

    assert_eq!(ran.problem()["code"], "client::unreachable", "{ran}");
    assert!(!ran.stderr.contains("canary"), "{ran}");
}

#[test]
fn a_token_is_in_no_error() {
    let world = World::sqlite();

    let ran = world.run(&["watch", "--url", "http://sp_canary@localhost", "--token", "sp_canary"]);

    assert_eq!(ran.status, 1, "{ran}");
    assert!(!ran.stderr.contains("canary"), "{ran}");
}

#[test]
fn a_service_of_its_own_is_started_loaded_and_removed() {
    let world = World::sqlite();
    let quick = ["load-test", "--duration", "1s", "--users", "5", "--rps", "50", "--json"];
    let limits = ["--read-ms", "60000", "--write-ms", "60000", "--hot-reload-ms", "60000"];
    let delivery = ["--delivery-ms", "60000"];

    let ran = world.run(&[&quick[..], &limits, &delivery].concat());

    let report = ran.json();
    let row = |what: &str| {
        let rows = report["measured"].as_array().unwrap();
        rows.iter().find(|it| it["what"] == what).unwrap().clone()
    };
    for (what, count) in [("read", 40), ("write", 5), ("hot reload", 10), ("delivery", 25)] {
        assert_eq!(
            (&row(what)["count"], &row(what)["errors"]),
            (&count.into(), &0.into()),
            "{ran}"
        );
    }
    assert_eq!(world.file_names(), ["summary.md"]);
}
