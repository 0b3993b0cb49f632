//! What a file that follows is, besides what it says: mode, owner, links.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

use super::{drift, following};
use crate::world::World;

#[test]
fn the_mode_of_the_file_is_kept() {
    let world = World::sqlite();
    following(&world, "settings.yaml", "a: 1\n", "");
    for mode in [0o600, 0o640, 0o664, 0o755] {
        fs::set_permissions(world.path("settings.yaml"), fs::Permissions::from_mode(mode)).unwrap();

        world.ok(&["set", "a", &mode.to_string()]);

        let metadata = fs::metadata(world.path("settings.yaml")).unwrap();
        assert_eq!(metadata.mode() & 0o7777, mode);
        assert_eq!(world.read("settings.yaml"), format!("a: {mode}\n"));
    }
}

#[test]
fn the_owner_of_the_file_is_kept() {
    let world = World::sqlite();
    following(&world, "settings.yaml", "a: 1\n", "");
    if fs::metadata(world.folder()).unwrap().uid() != 0 {
        eprintln!("only root can give a file away: nothing is checked");
        return;
    }
    chown(world.path("settings.yaml"), Some(1234), Some(4321)).unwrap();

    world.ok(&["set", "a", "2"]);

    let metadata = fs::metadata(world.path("settings.yaml")).unwrap();
    let owner = (metadata.uid(), metadata.gid(), world.read("settings.yaml"));
    assert_eq!(owner, (1234, 4321, "a: 2\n".to_owned()));
}

#[test]
fn a_link_inside_the_folder_stays_one() {
    let world = World::sqlite();
    world.write("real/settings.yaml", "a: 1\n");
    symlink("real/settings.yaml", world.path("link.yaml")).unwrap();
    world.write("setpoint.toml", "[[source]]\npath = \"link.yaml\"\nwrite_back = true\n");
    world.ok(&["migrate"]);

    world.ok(&["set", "a", "2"]);

    let target = fs::read_link(world.path("link.yaml")).unwrap();
    assert_eq!(target.to_str(), Some("real/settings.yaml"));
    assert_eq!(world.read("real/settings.yaml"), "a: 2\n");
    assert_eq!(drift(&world), [""; 0]);
}

#[test]
fn what_a_crash_has_left_beside_the_file_does_no_harm() {
    let world = World::sqlite();
    following(&world, "settings.yaml", "a: 1\n", "");
    world.write(".settings.yaml.setpoint", "a: half of a lo");

    world.ok(&["set", "a", "2"]);

    assert_eq!(world.read("settings.yaml"), "a: 2\n");
    assert!(!world.path(".settings.yaml.setpoint").exists());
}

#[test]
fn a_link_that_lies_where_the_file_is_written_is_not_followed() {
    let world = World::sqlite();
    following(&world, "settings.yaml", "a: 1\n", "");
    let outside = tempfile::NamedTempFile::new().unwrap();
    symlink(outside.path(), world.path(".settings.yaml.setpoint")).unwrap();

    world.ok(&["set", "a", "2"]);

    assert_eq!(world.read("settings.yaml"), "a: 2\n");
    assert_eq!(fs::read_to_string(outside.path()).unwrap(), "");
    assert!(fs::symlink_metadata(world.path("settings.yaml")).unwrap().is_file());
}

#[test]
fn what_a_run_wrote_that_was_killed_before_it_could_say_so_is_followed() {
    let world = World::sqlite();
    following(&world, "settings.yaml", "a: 1\n", "");
    world.sql("UPDATE setting SET value = '3' WHERE key = 'a'");
    world.write("settings.yaml", "a: 3\n");
    world.sql("UPDATE setting SET value = '4' WHERE key = 'a'");

    world.ok(&["write-back"]);

    assert_eq!(world.read("settings.yaml"), "a: 4\n");
    assert_eq!(drift(&world), [""; 0]);
}

#[test]
fn what_a_crash_has_left_in_a_folder_of_sources_is_no_source() {
    let world = World::sqlite();
    world.write("conf/a.yaml", "a: 1\n");
    world.write("setpoint.toml", "[[source]]\npath = \"conf\"\nwrite_back = true\n");
    world.ok(&["migrate"]);
    world.write("conf/.a.yaml.setpoint", "a: half of a lo");

    let ran = world.run(&["migrate"]);

    assert_eq!((ran.status, ran.stdout.as_str()), (0, "nothing to change\n"), "{ran}");
    assert_eq!(drift(&world), [""; 0]);
}

#[test]
fn nothing_else_is_left_in_the_folder() {
    let world = World::sqlite();
    following(&world, "settings.yaml", "a: 1\n", "");
    let before = world.file_names();

    world.ok(&["set", "a", "2"]);
    world.ok(&["unset", "a"]);

    assert_eq!(world.file_names(), before);
}

#[test]
fn a_file_that_says_it_already_is_not_written() {
    let world = World::sqlite();
    following(&world, "settings.yaml", "a: 1\n", "");
    world.write("settings.yaml", "a: 2 # there already\n");
    let inode = || fs::metadata(world.path("settings.yaml")).unwrap().ino();
    let before = inode();

    world.ok(&["set", "a", "2"]);

    assert_eq!((inode(), drift(&world)), (before, Vec::new()));
    assert_eq!(world.read("settings.yaml"), "a: 2 # there already\n");
}
