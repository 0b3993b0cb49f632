//! Dry runs and reads where nothing can be written, or somebody else writes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::locked::Holder;
use super::strace::{self, On};
use super::{MIGRATE, Scenario, run_by, run_unprivileged};
use crate::world::World;

const DRY_RUN: [&str; 4] = ["migrate", "settings.yaml", "more", "--dry-run"];

fn set_mode(world: &World, mode: u32) {
    fs::set_permissions(world.folder(), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_dry_run_works_in_a_folder_that_may_not_be_written() {
    for scenario in [Scenario::first(), Scenario::second()] {
        let world = scenario.world();
        let (before, expected) = (world.files(), world.json(&DRY_RUN));
        set_mode(&world, 0o500);

        let ran = run_unprivileged(&world, &[&DRY_RUN[..], &["--json"]].concat());

        set_mode(&world, 0o700);
        assert_eq!((ran.status, ran.json()), (0, expected), "{ran}");
        assert!(world.files() == before, "{:?}", world.file_names());
    }
}

#[test]
fn a_dry_run_opens_no_file_to_write_to_it() {
    for scenario in [Scenario::first(), Scenario::second()] {
        let world = scenario.world();
        let log = tempfile::NamedTempFile::new().unwrap();
        let calls = "trace=openat,?open,?creat,?mkdir,mkdirat,?rename,renameat2,?unlink,unlinkat";
        let strace = ["strace", "-f", "-qq", "-o", log.path().to_str().unwrap(), "-e", calls];

        let ran = run_by(&world, &strace, &world.command(&DRY_RUN));

        assert_eq!(ran.status, 0, "{ran}");
        let log = fs::read_to_string(log.path()).unwrap();
        assert!(log.contains("settings.yaml"), "{log}");
        let reads = |it: &&str| it.contains("O_RDONLY") && !it.contains("O_CREAT");
        let others: Vec<&str> =
            log.lines().filter(|it| !reads(it) && !it.contains("resumed>")).collect();
        assert_eq!(others, [""; 0]);
    }
}

#[test]
fn a_dry_run_sees_what_a_live_writer_has_committed_and_makes_no_file() {
    let world = Scenario::second().world();
    let edit = "UPDATE setting SET value = '81' WHERE key = 'http.port'";
    let writer = Holder::sqlite(&world, edit);
    let before = world.file_names();
    assert!(before.contains(&"setpoint.db-wal".to_owned()), "{before:?}");

    let plan = world.json(&DRY_RUN);

    let changes = plan["changes"].as_array().unwrap();
    let port = changes.iter().find(|it| it["key"] == "http.port").unwrap();
    assert_eq!((&port["class"], &port["before"]), (&"conflict".into(), &81.into()));
    assert_eq!((world.get("http.port"), world.file_names()), ("81".to_owned(), before));
    writer.release();
}

#[test]
fn a_dry_run_after_a_kill_sees_what_was_committed_and_makes_no_file() {
    let scenario = Scenario::second();
    let world = scenario.world();
    let checkpoint = ("fsync,fdatasync", On::Database);
    let (ran, killed) = strace::run(&world, checkpoint, "signal=KILL", 1, &MIGRATE);
    assert!(killed, "{ran}");
    let names = ["setpoint.db", "setpoint.db-wal"];
    let content = || names.map(|name| fs::read(world.path(name)).unwrap());
    let before = (world.file_names(), content());

    let plan = world.json(&DRY_RUN);

    assert_eq!(plan["changes"].as_array().unwrap().len(), 0, "{plan}");
    assert!((world.file_names(), content()) == before, "{:?}", world.file_names());
}

#[test]
fn a_dry_run_after_a_kill_works_in_a_folder_that_may_not_be_written() {
    let scenario = Scenario::second();
    let world = scenario.world();
    let checkpoint = ("fsync,fdatasync", On::Database);
    let (ran, killed) = strace::run(&world, checkpoint, "signal=KILL", 1, &MIGRATE);
    assert!(killed, "{ran}");
    let before = world.file_names();
    set_mode(&world, 0o500);

    let ran = run_unprivileged(&world, &DRY_RUN);

    set_mode(&world, 0o700);
    assert_eq!((ran.status, world.file_names()), (0, before), "{ran}");
}
