//! One fault in one run, made of numbers.

use std::fmt;
use std::fs;

use super::ground::{Ground, Run, without_working_folder};
use super::sound::Aftermath;
use crate::faults::full::Disk;
use crate::faults::run_by;
use crate::faults::strace::{self, On};
use crate::jobs::race::Dice;
use crate::world::{Ran, World, files_of};

/// The run made fewer calls than the one that was counted.
pub(super) const IN_VAIN: &str = "came to nothing";

pub(super) struct Case<'g> {
    pub(super) run: &'g Run,
    fault: Fault,
}

enum Fault {
    /// SIGKILL right before a call.
    Kill { call: String, on: On, number: usize },
    /// A call that fails, or each from then on.
    Error { call: String, on: On, number: usize, error: &'static str, for_good: bool },
    /// A disk with so much room.
    Full { free_bytes: u64 },
    /// Files of which no byte beyond this can be written.
    Short { file_bytes: u64 },
}

/// What fails on a broken or a full disk, and how. Threads wake each other by `write`, which fails
/// on no disk: those to files fail by [`Fault::Full`] and [`Fault::Short`].
const FAILING: [(&str, &[&str]); 10] = [
    ("pwrite64", &["EIO", "ENOSPC"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("fdatasync", &["EIO", "ENOSPC"]),
    ("ftruncate", &["EIO"]),
    ("renameat2", &["EIO", "ENOSPC"]),
    ("linkat", &["EIO", "ENOSPC"]),
    ("unlink", &["EIO"]),
    ("unlinkat", &["EIO"]),
    ("mkdir", &["EIO", "ENOSPC"]),
    ("openat", &["EIO", "ENOSPC"]),
];

/// Disks have room for up to so much more than there is in the beginning.
const MOST_FREE_BYTES: u64 = 3 << 20;
const PAGE_BYTES: u64 = 4096;
/// The files of a run are shorter.
const MOST_FILE_BYTES: u64 = 1 << 19;
/// As the shell counts.
const BLOCK_BYTES: u64 = 512;

impl<'g> Case<'g> {
    pub(super) fn new(ground: &'g Ground, seed: u64, number: u64) -> Self {
        // Neighbours are to have nothing in common.
        let mixed =
            (seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mut dice = Dice(mixed | 1);
        for _ in 0..8 {
            dice.roll(2);
        }
        let run = one_of(&mut dice, &ground.runs);
        // Of PostgreSQL the disk is another's.
        let (kills, errors, full) = if ground.is_postgres() { (75, 92, 92) } else { (42, 80, 90) };
        let fault = match dice.roll(100) {
            it if it < kills => {
                let (call, on, number) = call(&mut dice, run, |_| true);
                Fault::Kill { call, on, number }
            }
            it if it < errors => {
                let is_failing = |name: &str| FAILING.iter().any(|it| it.0 == name);
                let (call, on, number) = call(&mut dice, run, is_failing);
                let errors = FAILING.iter().find(|it| it.0 == call).unwrap().1;
                let error = one_of(&mut dice, errors);
                let for_good = dice.roll(3) == 0;
                Fault::Error { call, on, number, error, for_good }
            }
            it if it < full => {
                Fault::Full { free_bytes: dice.roll(MOST_FREE_BYTES / PAGE_BYTES) * PAGE_BYTES }
            }
            _ => {
                Fault::Short { file_bytes: dice.roll(MOST_FILE_BYTES / BLOCK_BYTES) * BLOCK_BYTES }
            }
        };
        Self { run, fault }
    }

    /// What it is, with those that are alike.
    pub(super) fn kind(&self) -> String {
        let fault = match &self.fault {
            Fault::Kill { .. } => "killed",
            Fault::Error { error, .. } => error,
            Fault::Full { .. } => "a full disk",
            Fault::Short { .. } => "EFBIG",
        };
        format!("{fault}, {}", self.run.arguments.join(" "))
    }

    /// Runs it and checks everything. Gives what became of the run.
    pub(super) fn run(&self, ground: &Ground) -> &'static str {
        let (world, ran, outcome) = match &self.fault {
            Fault::Kill { call, on, number } => {
                let world = ground.world.copy();
                let (ran, happened) =
                    strace::run(&world, (call, *on), "signal=KILL", *number, self.run.arguments);
                (world, ran, if happened { "killed" } else { IN_VAIN })
            }
            Fault::Error { call, on, number, error, for_good } => {
                let world = ground.world.copy();
                let more = if *for_good { "+" } else { "" };
                let inject = format!("inject={call}:error={error}:when={number}{more}");
                let place = (call.as_str(), *on);
                let (ran, log) = strace::traced(&world, place, Some(&inject), self.run.arguments);
                let outcome = failed(&world, &ran, &log);
                (world, ran, outcome)
            }
            Fault::Full { free_bytes } => self.on_a_disk_of(*free_bytes, &ground.world),
            Fault::Short { file_bytes } => {
                let world = ground.world.copy();
                let blocks = (file_bytes / BLOCK_BYTES).to_string();
                let short = r#"trap '' XFSZ; ulimit -f "$0"; exec "$@""#;
                let command = world.command(self.run.arguments);
                let ran = run_by(&world, &["sh", "-c", short, &blocks], &command);
                let outcome = if ran.status == 0 { IN_VAIN } else { "failed and said so" };
                (world, ran, outcome)
            }
        };
        assert!(
            matches!(ran.status, 0 | 1) || matches!(outcome, "killed" | IN_VAIN),
            "{self}: {ran}"
        );
        let left = Aftermath { ground, run: self.run, world: &world, name: self.to_string() };
        left.check(ran.status == 0);
        outcome
    }

    fn on_a_disk_of(&self, free_bytes: u64, world: &World) -> (World, Ran, &'static str) {
        let files = world.files();
        let used: u64 =
            files.values().map(|it| (it.len() as u64).next_multiple_of(PAGE_BYTES)).sum();
        let disk = Disk::of(used + free_bytes, &files);
        let ran = disk.run(self.run.arguments);
        let outcome = if ran.status == 0 { IN_VAIN } else { "refused or failed" };
        (World::of(&files_of(&disk.folder())), ran, outcome)
    }
}

/// What a failing call of a file has come to. That of anything else is none that there is, and a
/// program that cannot load its libraries has not begun.
fn failed(world: &World, ran: &Ran, log: &str) -> &'static str {
    let folder = fs::canonicalize(world.folder()).unwrap().display().to_string();
    let names = [&*folder, "\"setpoint.", "\"backups"];
    let is_ours = |it: &str| names.iter().any(|name| it.contains(name));
    let injected = log.lines().filter(|it| it.contains("(INJECTED)"));
    let mut places = injected.map(|it| without_working_folder(it, &folder)).peekable();
    match (places.peek().is_some() && places.all(|it| is_ours(&it)), ran.status) {
        (false, _) => IN_VAIN,
        (true, 0) => "went on all the same",
        (true, _) => "failed and said so",
    }
}

/// A call that the run makes, and which of them.
fn call(dice: &mut Dice, run: &Run, is_meant: impl Fn(&str) -> bool) -> (String, On, usize) {
    let calls: Vec<_> = run.calls.iter().filter(|it| is_meant(&it.0)).collect();
    let (name, on, most) = one_of(dice, &calls);
    let number = 1 + usize::try_from(dice.roll(*most as u64)).unwrap();
    (name.clone(), *on, number)
}

fn one_of<'a, T>(dice: &mut Dice, of: &'a [T]) -> &'a T {
    &of[usize::try_from(dice.roll(of.len() as u64)).unwrap()]
}

impl fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`, ", self.run.arguments.join(" "))?;
        match &self.fault {
            Fault::Kill { call, on, number } => write!(f, "killed at {call} {number} on {on:?}"),
            Fault::Error { call, on, number, error, for_good } => {
                let more = if *for_good { " and all after it" } else { "" };
                write!(f, "{error} of {call} {number}{more} on {on:?}")
            }
            Fault::Full { free_bytes } => write!(f, "on a disk with {free_bytes} bytes free"),
            Fault::Short { file_bytes } => write!(f, "no file longer than {file_bytes} bytes"),
        }
    }
}
