//! Somebody edits the file that follows, or takes it away.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use insta::assert_snapshot;

use super::{diff, drift, following, outbox, told};
use crate::world::World;

on_both![
    an_edit_of_the_same_key_in_the_file_is_not_written_over,
    an_edit_of_another_key_in_the_file_stays_an_update,
    a_conflict_that_is_settled_for_what_is_live_is_written_to_the_file,
    a_read_only_file_is_named_and_tried_again,
    a_file_that_vanished_is_named_and_written_when_it_is_back,
];

fn an_edit_of_the_same_key_in_the_file_is_not_written_over(world: &World) {
    following(world, "settings.yaml", "a: 1 # one\nb: 1\n", "");
    let edited = "a: 5 # mine\nb: 1\n";
    world.write("settings.yaml", edited);

    let ran = world.run(&["set", "a", "2"]);
    let again = [world.ok(&["write-back"]), world.ok(&["set", "b", "2"])].concat();

    assert_eq!(ran.status, 0, "{ran}");
    assert_snapshot!([told(&ran), again, drift(world).join("\n")].join("\n"), @r"
    settings.yaml does not follow `a`: the file was edited meanwhile
    0 settings written
    namespace default, layer base
      ~ b = 1 -> 2
    1 updated

    a: both, file 5, seed 1, live 2
    ");
    assert_eq!(world.read("settings.yaml"), edited.replace("b: 1", "b: 2"));
}

fn an_edit_of_another_key_in_the_file_stays_an_update(world: &World) {
    following(world, "settings.yaml", "a: 1\nb: 1\n", "");
    world.write("settings.yaml", "a: 1\nb: 5 # mine\nnew: 1\n");

    world.ok(&["set", "a", "2"]);
    let written = world.read("settings.yaml");
    let pending = drift(world);
    world.ok(&["migrate"]);

    assert_eq!(written, "a: 2\nb: 5 # mine\nnew: 1\n");
    let expected = [
        "b: update-available, file 5, seed 1, live 1",
        "new: update-available, file 1, seed null, live null",
    ];
    assert_eq!(pending, expected);
    assert_eq!(
        (world.get("b"), world.get("new"), world.get("a")),
        ("5".into(), "1".into(), "2".into())
    );
    assert_eq!(drift(world), [""; 0]);
}

fn a_conflict_that_is_settled_for_what_is_live_is_written_to_the_file(world: &World) {
    following(world, "settings.yaml", "a: 1 # one\n", "");
    world.write("settings.yaml", "a: 5 # one\n");
    world.ok(&["set", "a", "2"]);

    let open = world.run(&["migrate"]);
    let while_open = world.read("settings.yaml");
    world.ok(&["migrate", "--strategy", "ours"]);

    assert_eq!((open.status, while_open.as_str()), (2, "a: 5 # one\n"), "{open}");
    assert_eq!(
        (world.read("settings.yaml").as_str(), world.get("a").as_str()),
        ("a: 2 # one\n", "2")
    );
}

fn a_read_only_file_is_named_and_tried_again(world: &World) {
    following(world, "settings.yaml", "a: 1\nb: 1\n", "");
    let set_mode = |mode| {
        fs::set_permissions(world.path("settings.yaml"), fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(0o444);

    let ran = world.run(&["set", "a", "2"]);
    let again = world.run(&["write-back"]);
    let failed = outbox(world);
    let file = world.read("settings.yaml");
    set_mode(0o644);
    world.ok(&["set", "b", "2"]);

    assert_snapshot!(format!("{ran}\n{again}\n{failed}"), @r"
    status 0
    -- stdout
    namespace default, layer base
      ~ a = 1 -> 2
    1 updated
    -- stderr
    revision 2
    settings.yaml is not written yet: settings.yaml is read-only: permission denied; `setpoint write-back` tries again
    status 1
    -- stdout
    0 settings written
    -- stderr
    settings.yaml is not written yet: settings.yaml is read-only: permission denied; `setpoint write-back` tries again
    settings.yaml|1|2|settings.yaml is read-only: permission denied
    ");
    assert_eq!(
        (file.as_str(), world.read("settings.yaml").as_str()),
        ("a: 1\nb: 1\n", "a: 2\nb: 2\n")
    );
    assert_eq!(outbox(world), "settings.yaml|3|0|");
}

fn a_file_that_vanished_is_named_and_written_when_it_is_back(world: &World) {
    following(world, "settings.yaml", "a: 1 # one\n", "");
    fs::rename(world.path("settings.yaml"), world.path("away")).unwrap();

    let ran = world.run(&["set", "a", "2"]);
    let missing = (ran.status, drift(world), world.path("settings.yaml").exists());
    fs::rename(world.path("away"), world.path("settings.yaml")).unwrap();
    world.ok(&["write-back"]);

    assert_eq!(
        missing,
        (
            0,
            vec![
                "settings.yaml: file-missing".to_owned(),
                "a: edited-here, file null, seed 1, live 2".to_owned()
            ],
            false
        ),
        "{ran}"
    );
    assert!(told(&ran).contains("settings.yaml is not written yet: cannot read"), "{ran}");
    assert_eq!(world.read("settings.yaml"), "a: 2 # one\n");
}

#[test]
fn the_failure_is_in_the_json_and_in_the_status() {
    let world = World::sqlite();
    following(&world, "settings.yaml", "a: 1\n", "");
    fs::remove_file(world.path("settings.yaml")).unwrap();
    world.ok(&["set", "a", "2"]);

    let ran = world.run(&["write-back", "--json"]);

    assert_snapshot!(ran, @r#"
    status 1
    -- stdout
    [
      {
        "namespace": "default",
        "path": "settings.yaml",
        "written": [],
        "left": [],
        "failure": "cannot read ./settings.yaml: No such file or directory (os error 2)"
      }
    ]
    "#);
}

/// Puts `spoil` in the place of the file, and lets it wait, then come back.
#[track_caller]
fn assert_told_and_waits(spoil: impl FnOnce(&World), reason: &str) {
    let world = World::sqlite();
    following(&world, "settings.yaml", "a: 1 # one\n", "");
    fs::remove_file(world.path("settings.yaml")).unwrap();
    spoil(&world);

    let ran = world.run(&["set", "a", "2"]);
    let drift = world.run(&["drift"]);
    let path = world.path("settings.yaml");
    if path.is_dir() {
        fs::remove_dir(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
    world.write("settings.yaml", "a: 1 # back\n");
    world.ok(&["write-back"]);

    assert_eq!(ran.status, 0, "{ran}");
    assert!(told(&ran).contains(reason), "{ran}");
    assert_eq!(drift.status, 2, "{drift}");
    assert!(drift.stdout.contains("settings.yaml: file unreadable"), "{drift}");
    assert_eq!(world.read("settings.yaml"), "a: 2 # back\n");
}

#[test]
fn a_file_that_became_a_folder_is_told_and_waits() {
    let spoil = |world: &World| fs::create_dir(world.path("settings.yaml")).unwrap();

    assert_told_and_waits(spoil, "settings.yaml");
}

#[test]
fn a_file_that_became_a_link_to_the_outside_is_told_and_waits() {
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "a: 1\n").unwrap();

    assert_told_and_waits(
        |world| symlink(outside.path(), world.path("settings.yaml")).unwrap(),
        "outside the folder of setpoint.toml",
    );

    assert_eq!(fs::read_to_string(outside.path()).unwrap(), "a: 1\n");
}

#[test]
fn a_file_with_a_fault_is_told_and_waits() {
    assert_told_and_waits(
        |world| world.write("settings.yaml", "a: [\n"),
        "settings.yaml is not written yet: 1:4: ",
    );
}

#[test]
fn a_file_that_is_no_text_any_more_is_told_and_waits() {
    assert_told_and_waits(|world| world.write("settings.yaml", b"a: \xff\n"), "is not UTF-8");
}

#[test]
fn a_second_edit_follows_once_the_first_came_through() {
    let world = World::sqlite();
    let before = "a: 1\nb: 1\n";
    following(&world, "settings.yaml", before, "");
    world.write("settings.yaml", "a: [\n");
    world.ok(&["set", "a", "2"]);
    world.ok(&["set", "b", "2"]);
    world.ok(&["set", "a", "3"]);
    world.write("settings.yaml", before);

    world.ok(&["write-back"]);

    assert_snapshot!(diff(&world, before, "settings.yaml"), @r"
    1,2c1,2
    < a: 1
    < b: 1
    ---
    > a: 3
    > b: 2
    ");
}

#[test]
fn one_file_that_cannot_be_written_holds_no_other_back() {
    let world = World::sqlite();
    world.write("b.yaml", "b: {x: 1}\n");
    following(
        &world,
        "a.yaml",
        "a: {x: 1}\n",
        "[[source]]\npath = \"b.yaml\"\nwrite_back = true\n",
    );
    world.write("a.yaml", "a: {\n");

    super::import(&world, "{a: {x: 2}, b: {x: 2}}");

    assert_eq!(world.read("b.yaml"), "b: {x: 2}\n");
    assert_snapshot!(outbox(&world), @r"
    a.yaml|1|1|1:4: unclosed bracket '{'
    b.yaml|2|0|
    ");
}

#[test]
fn a_key_that_somebody_removed_from_the_file_does_not_come_back_by_itself() {
    let world = World::sqlite();
    following(&world, "settings.yaml", "a: 1\nb: 1\n", "");
    world.write("settings.yaml", "b: 1\n");

    let ran = world.run(&["set", "a", "2"]);

    assert_eq!((ran.status, world.read("settings.yaml").as_str()), (0, "b: 1\n"), "{ran}");
    assert_eq!(drift(&world), ["a: both, file null, seed 1, live 2"]);
}

#[test]
fn a_key_that_somebody_added_to_the_file_and_here_is_written_only_if_it_is_the_same() {
    let world = World::sqlite();
    following(&world, "settings.yaml", "a: 1\n", "");
    world.write("settings.yaml", "a: 1\nsame: 1\nother: 1\n");

    super::import(&world, "{same: 1, other: 2}");

    assert_eq!(world.read("settings.yaml"), "a: 1\nsame: 1\nother: 1\n");
    assert_eq!(drift(&world), ["other: both, file 1, seed null, live 2"]);
}
