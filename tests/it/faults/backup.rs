//! Backups and restores that are killed right before a system call: what is listed is whole, what
//! is live is as before or as after, and the next run clears up and finishes.

use std::fs;
use std::process::Stdio;

use super::full::Disk;
use super::strace::{self, On};
use super::{assert_sound, code, started};
use crate::world::{Files, World};

/// How every kill is made.
const KILL: &str = "signal=KILL";

/// A world with a backup of it, and changes after that.
struct Scenario {
    files: Files,
    before: String,
    after: String,
}

impl Scenario {
    fn new() -> Self {
        let world = World::sqlite();
        world.migrate("a: 1\nb: {c: 2, d: 3}\n");
        world.ok(&["backup", "create", "good"]);
        let after = settings(&world);
        world.ok(&["set", "a", "5"]);
        world.ok(&["unset", "b.c"]);
        Self { files: world.files(), before: settings(&world), after }
    }

    fn world(&self) -> World {
        World::of(&self.files)
    }

    /// Runs `arguments` and kills them at every `step`th of `calls`, until one run survives;
    /// `check` looks at what the others leave behind.
    #[track_caller]
    fn kill_at_each(
        &self,
        (calls, on): (&str, On),
        step: usize,
        arguments: &[&str],
        check: impl Fn(&World, &str),
    ) {
        for (killed, number) in (1..1000).step_by(step).enumerate() {
            let case = format!("killed at call {number} of {calls} on {on:?}");
            let world = self.world();

            let (ran, happened) = strace::run(&world, (calls, on), KILL, number, arguments);

            if !happened {
                assert_eq!(ran.status, 0, "{case}: {ran}");
                assert!(killed > 0, "nothing was {case}");
                return;
            }
            assert_sound(&world, &case);
            assert_listed_are_whole(&world, &case);
            check(&world, &case);
            assert_cleared(&world, &case);
        }
        panic!("there is no end to {calls}");
    }

    #[track_caller]
    fn kill_a_backup(&self, calls: &str, step: usize) {
        let arguments = ["backup", "create", "second"];
        self.kill_at_each((calls, On::Everything), step, &arguments, |world, case| {
            assert_eq!(settings(world), self.before, "{case}");
            let again = world.run(&["backup", "create", "second", "--json"]);
            assert!(again.status == 0 || code(&again) == "backup::exists", "{case}: {again}");
            world.ok(&["backup", "verify", "second"]);
        });
    }

    #[track_caller]
    fn kill_a_restore(&self, calls: &str, on: On, step: usize) {
        let arguments = ["backup", "restore", "good", "--yes"];
        self.kill_at_each((calls, on), step, &arguments, |world, case| {
            let state = settings(world);
            assert!(state == self.before || state == self.after, "{case}: half done: {state}");
            let again = world.run(&arguments);
            assert_eq!(again.status, 0, "{case}: {again}");
            assert_eq!(settings(world), self.after, "{case}");
            assert_sound(world, case);
        });
    }
}

fn settings(world: &World) -> String {
    world.sql("SELECT layer, key, value, revision, updated_by FROM setting ORDER BY layer, key")
}

#[track_caller]
fn assert_listed_are_whole(world: &World, case: &str) {
    let ran = world.run(&["backup", "verify", "--all"]);
    assert!(ran.status == 0 && ran.stdout.contains("good: whole"), "{case}: {ran}");
}

/// The next run that works has left nothing behind, neither its own nor that of the killed one.
#[track_caller]
fn assert_cleared(world: &World, case: &str) {
    let entries = fs::read_dir(world.path("backups")).unwrap();
    let names = entries.map(|it| it.unwrap().file_name().to_string_lossy().into_owned());
    let left: Vec<_> = names.filter(|it| it.starts_with('.')).collect();
    assert!(left.is_empty(), "{case}: {left:?}");
}

#[test]
fn a_backup_killed_at_any_sync_or_change_of_names_leaves_whole_archives_alone() {
    let scenario = Scenario::new();

    scenario.kill_a_backup("fsync,fdatasync", 1);
    scenario.kill_a_backup("?renameat2,?link,linkat", 1);
    scenario.kill_a_backup("?mkdir,mkdirat", 1);
    scenario.kill_a_backup("?unlink,unlinkat,?rmdir", 2);
    scenario.kill_a_backup("flock", 1);
}

#[test]
fn a_backup_killed_between_writes_leaves_whole_archives_alone() {
    let scenario = Scenario::new();

    scenario.kill_a_backup("write", 6);
    scenario.kill_a_backup("pwrite64", 12);
}

#[test]
fn a_restore_killed_at_any_sync_or_change_of_names_is_whole_or_nothing() {
    let scenario = Scenario::new();

    scenario.kill_a_restore("fsync,fdatasync", On::Everything, 1);
    scenario.kill_a_restore("fsync,fdatasync", On::Log, 1);
    scenario.kill_a_restore("?renameat2,?link,linkat", On::Everything, 1);
    scenario.kill_a_restore("?unlink,unlinkat,?rmdir", On::Everything, 3);
}

#[test]
fn a_restore_killed_between_writes_to_the_database_is_whole_or_nothing() {
    let scenario = Scenario::new();

    scenario.kill_a_restore("pwrite64", On::Log, 4);
    scenario.kill_a_restore("pwrite64", On::Database, 4);
}

#[test]
fn a_backup_whose_syncs_fail_is_not_kept_and_says_so() {
    let scenario = Scenario::new();

    let mut failed = 0;
    for number in (1..60).step_by(5) {
        let case = format!("fsync number {number} fails");
        let world = scenario.world();
        let arguments = ["backup", "create", "second"];

        let place = ("fsync", On::Everything);
        let (ran, happened) = strace::run(&world, place, "error=EIO", number, &arguments);

        if !happened {
            break;
        }
        failed += usize::from(ran.status != 0);
        // What could not be recorded is no reason to lose the backup.
        let archive = world.path("backups/second.setpoint.tar");
        assert!(ran.status == 1 || archive.exists(), "{case}: {ran}");
        assert_sound(&world, &case);
        assert_listed_are_whole(&world, &case);
    }
    assert!(failed > 0, "no fsync ever failed");
}

#[test]
fn an_archive_that_the_disk_does_not_give_is_not_doubted() {
    let world = Scenario::new().world();

    for number in 1..1000 {
        let case = format!("read number {number} fails");
        let verify = ["backup", "verify", "good", "--json"];
        let place = ("pread64", On::Archive);
        let (ran, happened) = strace::run(&world, place, "error=EIO", number, &verify);

        if !happened {
            assert!(number > 3, "nothing was read");
            return;
        }
        assert_eq!((ran.status, code(&ran).as_str()), (1, "file::unreadable"), "{case}: {ran}");
        let listed = world.json(&["backup", "list"]);
        assert!(listed[0]["verified_at"].is_string(), "{case}: {listed}");
    }
    panic!("there is no end to it");
}

#[test]
fn where_an_archive_cannot_be_reached_nothing_is_removed() {
    let world = Scenario::new().world();
    // The newest is the one that is called so.
    let path = |name: &str| world.path(&format!("backups/{name}.setpoint.tar"));
    for name in ["other", "third"] {
        fs::rename(path("good"), path(name)).unwrap();
        world.sql(&format!("UPDATE backup SET name = '{name}' WHERE name = 'good'"));
        world.ok(&["backup", "create", "good"]);
    }
    world
        .write("setpoint.toml", "[backups.retention]\nkeep_last = 1\n[revisions]\nkeep_last = 1\n");
    let before = world.file_names();

    for command in [["backup", "prune"], ["audit", "prune"]] {
        let arguments = [&command[..], &["--yes", "--json"]].concat();
        let place = ("pread64", On::Archive);
        let (ran, happened) = strace::run(&world, place, "error=EIO", 1, &arguments);

        assert!(happened && code(&ran) == "file::unreadable", "{ran}");
    }
    assert_eq!(world.file_names(), before);
    let listed = world.run(&["backup", "list"]);
    assert_eq!(listed.status, 0, "{listed}");
}

#[test]
fn a_disk_without_room_for_a_backup_is_told_before_anything_is_written() {
    let scenario = Scenario::new();
    let used: u64 = scenario.files.values().map(|it| it.len().next_multiple_of(4096) as u64).sum();
    let run = |disk: &Disk, arguments: &[&str]| {
        let command = disk.world.command(arguments);
        disk.world.end(started(disk.inside(&command).stdin(Stdio::null())))
    };

    let small = Disk::of(used + (1 << 19), &scenario.files);
    let refused = run(&small, &["backup", "create", "second", "--json"]);
    assert_eq!(code(&refused), "backup::no_room", "{refused}");
    let looked = run(&small, &["doctor"]);
    let said = "; make room there, or name another folder: [backups] folder; until then no backup \
                is taken\n";
    assert!(looked.status == 1 && looked.stdout.contains(said), "{looked}");
    let whole = run(&small, &["backup", "verify", "--all"]);
    assert!(whole.status == 0 && whole.stdout.lines().count() == 1, "{whole}");

    let large = Disk::of(used + (1 << 24), &scenario.files);
    let made = run(&large, &["backup", "create", "second"]);
    assert_eq!(made.status, 0, "{made}");
    let looked = run(&large, &["doctor"]);
    assert_eq!(looked.status, 0, "{looked}");
}
