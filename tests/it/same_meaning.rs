//! Files that say what they said before.

use crate::world::{World, text};

on_both![
    a_reformatted_file_makes_no_revision,
    a_reformatted_file_is_remembered_as_it_is_now,
    an_unchanged_file_costs_a_hash_and_is_not_read,
    a_file_that_says_something_else_is_changed,
];

const FILE: &str = "# first\nhttp:\n  port: 80\n  host: a.org\nlist: [{a: 1, b: 2}]\n";

/// The same in another order, with other comments, quotes and line endings.
const REFORMATTED: &str =
    "list:\r\n  - b: 2\r\n    a: 1\r\nhttp: {host: 'a.org', port: 80} # of the server\r\n";

fn status(world: &World) -> String {
    let plan = world.json(&["migrate", "settings.yaml", "--dry-run"]);
    format!(
        "{}, {} changes",
        text(&plan["sources"][0]["status"]),
        plan["changes"].as_array().unwrap().len()
    )
}

fn a_reformatted_file_makes_no_revision(world: &World) {
    world.migrate(FILE);
    world.write("settings.yaml", REFORMATTED);
    let planned = status(world);
    world.ok(&["migrate", "settings.yaml"]);

    assert_eq!((planned.as_str(), world.revision()), ("same-meaning, 0 changes", 1));
}

fn a_reformatted_file_is_remembered_as_it_is_now(world: &World) {
    world.migrate(FILE);
    world.migrate(REFORMATTED);

    assert_eq!(status(world), "unchanged, 0 changes");
}

/// Such a file would be refused if it were read.
fn an_unchanged_file_costs_a_hash_and_is_not_read(world: &World) {
    world.migrate(FILE);
    let strictly = |world: &World| {
        let mut command = world.command(&["migrate", "settings.yaml"]);
        world.end(command.env("SETPOINT_LIMITS__DEPTH", "1").spawn().unwrap()).status
    };
    let unchanged = strictly(world);
    world.write("settings.yaml", FILE.replace("80", "81"));

    assert_eq!((unchanged, strictly(world)), (0, 1));
}

fn a_file_that_says_something_else_is_changed(world: &World) {
    world.migrate(FILE);
    world.write("settings.yaml", FILE.replace("80", "80.0"));

    assert_eq!(status(world), "changed, 1 changes");
}
