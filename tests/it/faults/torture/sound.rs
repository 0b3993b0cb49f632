//! What holds after any fault.

use std::fs;

use super::ground::{Ground, Held, Run, settings};
use crate::faults::code;
use crate::world::{Ran, World, text};

/// What a fault has left.
pub(super) struct Aftermath<'g> {
    pub(super) ground: &'g Ground,
    pub(super) run: &'g Run,
    pub(super) world: &'g World,
    pub(super) name: String,
}

/// The lease of a dead run is over long before it was asked so often.
const TRIES: usize = 500;

impl Aftermath<'_> {
    /// `is_done`: whether the run said so.
    pub(super) fn check(&self, is_done: bool) {
        let (world, name) = (self.world, &self.name);
        self.assert_verified();
        let held = Held::of(world);
        let is_after = held.is_like(&self.run.after);
        let is_before = held == self.ground.before
            || (self.run.is_restore() && held.is_like(self.ground.undone()));
        let is_known = is_after || (is_before && !is_done);
        assert!(is_known, "{name}: half done, or lost, done: {is_done}: {held:#?}");
        let backups = self.assert_backups_are_whole();
        if is_done {
            assert_eq!(backups, self.run.backups, "{name}: of what was done");
        }
        if is_done && let ["jobs", "run", job] = self.run.arguments {
            let ended = format!("SELECT state FROM job_run WHERE job = '{job}'");
            assert_eq!(world.sql(&ended), "succeeded", "{name}");
        }
        self.assert_next_run_does_it();
        self.assert_nothing_is_left();
    }

    fn assert_verified(&self) {
        for arguments in [&["verify"][..], &["audit", "verify"]] {
            let ran = self.world.run(arguments);
            assert_eq!(ran.status, 0, "{}: {arguments:?}: {ran}", self.name);
        }
    }

    /// Every archive that is listed is whole, and the newest restores what it is to hold. Gives how
    /// many there are.
    fn assert_backups_are_whole(&self) -> usize {
        let (world, name) = (self.world, &self.name);
        let listed = world.json(&["backup", "list"]);
        let listed = listed.as_array().unwrap();
        let is_there = |wanted: &str| listed.iter().any(|it| it["name"] == wanted);
        assert!(is_there("good"), "{name}: the newest good one is gone: {listed:#?}");
        let verified = world.run(&["backup", "verify", "--all"]);
        assert_eq!(verified.status, 0, "{name}: {verified}");

        let newest = text(&listed.last().unwrap()["name"]);
        let file = format!("backups/{newest}.setpoint.tar");
        let fresh = World::sqlite();
        fresh.write(&file, fs::read(world.path(&file)).unwrap());
        let restored = fresh.run(&["backup", "restore", newest, "--yes"]);
        assert_eq!(restored.status, 0, "{name}: {newest}: {restored}");
        let held = settings(&fresh);
        assert!(self.ground.is_expected(newest, &held), "{name}: {newest}: {held}");
        listed.len()
    }

    fn assert_next_run_does_it(&self) {
        let (world, name) = (self.world, &self.name);
        let again = self.run_again();
        let is_there = again.status != 0 && code(&again) == "backup::exists";
        assert!(again.status == 0 || is_there, "{name}: again: {again}");
        let held = Held::of(world);
        assert!(held.is_like(&self.run.after), "{name}: again: {held:#?}");
        self.assert_verified();
        let open = "SELECT count(*) FROM job_run WHERE state IN ('running', 'queued')";
        assert_eq!(world.sql(open), "0", "{name}");
    }

    /// Runs the same once more: until the lease of one that was killed is over.
    fn run_again(&self) -> Ran {
        let arguments = [self.run.arguments, &["--json"]].concat();
        for _ in 0..TRIES {
            let ran = self.world.run(&arguments);
            if ran.status == 0 || code(&ran) != "job::running" {
                return ran;
            }
        }
        panic!("{}: the lease of a dead run is never over", self.name);
    }

    fn assert_nothing_is_left(&self) {
        let is_known = |it: &String| {
            let is_archive = it.ends_with(".setpoint.tar") && it.matches('/').count() == 1;
            is_archive || it.starts_with("setpoint.db-") || self.ground.files.contains(it)
        };
        let left: Vec<_> = self.world.file_names().into_iter().filter(|it| !is_known(it)).collect();
        assert!(left.is_empty(), "{}: left: {left:?}", self.name);
        let entries = fs::read_dir(self.world.path("backups")).unwrap();
        let names = entries.map(|it| it.unwrap().file_name().to_string_lossy().into_owned());
        let left: Vec<_> = names.filter(|it| it.starts_with('.')).collect();
        assert!(left.is_empty(), "{}: left: {left:?}", self.name);
    }
}
