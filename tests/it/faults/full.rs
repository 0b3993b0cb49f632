//! A disk without room: the folder is a small tmpfs, of each size from nearly nothing on.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{MIGRATE, Scenario, assert_copies_are_exact, behind, code, is_root, sources, started};
use crate::world::{Files, Ran, World};

/// A world whose folder is a disk of its own, which only this and what it runs can see.
pub struct Disk {
    pub world: World,
    /// A process that keeps the disk mounted, and takes it along when it ends.
    holder: Child,
    privileged: bool,
}

impl Disk {
    pub fn of(size_bytes: u64, files: &Files) -> Self {
        let world = World::sqlite();
        let privileged = is_root(&world);
        let mut unshare = Command::new("unshare");
        if !privileged {
            unshare.args(["--user", "--map-root-user"]);
        }
        let script = r#"mount -t tmpfs -o "size=$1" tmpfs "$2" && echo mounted && exec cat"#;
        unshare.args(["--mount", "sh", "-c", script, "sh", &size_bytes.to_string()]);
        unshare.arg(world.folder()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = started(&mut unshare);
        let mut said = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "mounted\n", "this user cannot mount a tmpfs");
        let disk = Self { world, holder, privileged };
        for (name, bytes) in files {
            let path = disk.folder().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        disk
    }

    /// Its folder, as this process can reach it.
    pub fn folder(&self) -> PathBuf {
        let outside = Path::new("/proc").join(self.holder.id().to_string()).join("root");
        outside.join(self.world.folder().strip_prefix("/").unwrap())
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_command(&self.world.command(arguments))
    }

    fn run_command(&self, command: &Command) -> Ran {
        self.world.end(started(self.inside(command).stdin(Stdio::null())))
    }

    /// What runs `command` where the disk can be seen.
    pub fn inside(&self, command: &Command) -> Command {
        let (target, wd) = (self.holder.id().to_string(), self.world.folder().to_str().unwrap());
        let user: &[&str] =
            if self.privileged { &[] } else { &["--user", "--preserve-credentials"] };
        let nsenter = [&["nsenter", "--target", &target, "--mount"], user].concat();
        let cd = ["sh", "-c", r#"cd "$0" && exec "$@""#, wd];
        behind(&self.world, &[&nsenter[..], &cd].concat(), command)
    }

    fn grow(&self, size_bytes: u64) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,size={size_bytes}"), "tmpfs"]);
        mount.arg(self.world.folder());
        mount.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let ran = self.run_command(&mount);
        assert_eq!(ran.status, 0, "{ran}");
    }

    fn revisions(&self) -> usize {
        let ran = self.run(&["history", "--json"]);
        match ran.status {
            0 => ran.json().as_array().unwrap().len(),
            _ => {
                let code = code(&ran);
                assert!(code == "database::missing" || code == "database::empty", "{ran}");
                0
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        drop(self.holder.wait());
    }
}

const PAGE_BYTES: u64 = 4096;
const ENOUGH_BYTES: u64 = 64 << 20;

/// Migrates on disks of all sizes, page by page, up to one that has room. Gives how often
/// which code was told.
#[track_caller]
fn migrate_on_disks_of_all_sizes(
    folder: &Files,
    revisions_before: usize,
) -> BTreeMap<String, usize> {
    let page_count = |bytes: &Vec<u8>| (bytes.len() as u64).div_ceil(PAGE_BYTES);
    let used: u64 = folder.values().map(page_count).sum();
    let mut codes = BTreeMap::new();
    for pages in (used..used + 400).step_by(2) {
        let disk = Disk::of(pages * PAGE_BYTES, folder);
        let case = format!("{} pages are free", pages - used);

        let ran = disk.run(&[&MIGRATE[..], &["--json"]].concat());

        assert!(sources(&files(&disk)) == sources(folder), "{case}: {ran}");
        assert_copies_are_exact(&disk.folder().join("backups"), folder, &case);
        if ran.status == 0 {
            assert_eq!(disk.revisions(), revisions_before + 1, "{case}: {ran}");
            return codes;
        }
        assert_eq!(ran.status, 1, "{case}: {ran}");
        assert!(ran.problem()["help"].to_string().contains("nothing was changed"), "{case}: {ran}");
        *codes.entry(code(&ran)).or_default() += 1;
        disk.grow(ENOUGH_BYTES);
        assert_eq!(disk.revisions(), revisions_before, "{case}: {ran}");
        let again = disk.run(&MIGRATE);
        assert_eq!((again.status, disk.revisions()), (0, revisions_before + 1), "{case}: {again}");
        let verified = disk.run(&["verify"]);
        assert_eq!(verified.status, 0, "{case}: {verified}");
    }
    panic!("there is never room: {codes:?}");
}

fn files(disk: &Disk) -> Files {
    let read = |name: &str| fs::read(disk.folder().join(name)).unwrap();
    ["settings.yaml", "more/other.toml"].map(|name| (name.to_owned(), read(name))).into()
}

#[test]
fn a_first_migration_onto_a_full_disk_changes_nothing_and_says_so() {
    let codes = migrate_on_disks_of_all_sizes(&Scenario::first().folder, 0);

    let told: Vec<&str> = codes.keys().map(String::as_str).collect();
    assert_eq!(told, ["database::full", "file::unwritable"], "{codes:?}");
}

#[test]
fn a_second_migration_onto_a_full_disk_changes_nothing_and_says_so() {
    let codes = migrate_on_disks_of_all_sizes(&Scenario::second().folder, 2);

    let told: Vec<&str> = codes.keys().map(String::as_str).collect();
    assert_eq!(told, ["database::full", "file::unwritable"], "{codes:?}");
}
