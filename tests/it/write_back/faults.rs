//! A full disk, failing calls and kills while a file that follows is written: the file is the
//! old or the new one, and the next run finishes.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::process::{Command, Stdio};

use super::{drift, following, outbox, told};
use crate::world::{Ran, World};

const BEFORE: &str = "a: 1 # one\nb: 1\n";
const AFTER: &str = "a: 2 # one\nb: 1\n";
const SET: [&str; 3] = ["set", "a", "2"];

/// The program with `arguments`, run by `tool`, which is a program and its arguments.
pub fn run_by(world: &World, tool: &[&str], arguments: &[&str]) -> Ran {
    let command = world.command(arguments);
    let mut outer = Command::new(tool[0]);
    outer.args(&tool[1..]).arg(command.get_program()).args(command.get_args());
    outer.current_dir(world.folder()).env_clear();
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = outer.spawn();
    world.end(child.unwrap_or_else(|it| panic!("{} is needed ({it})", tool[0])))
}

/// Edits a setting, with `fault` at the `number`th of `calls` on the file, the one beside it or
/// their folder. Gives whether it came to that.
fn set_with(world: &World, calls: &str, fault: &str, number: usize) -> (Ran, bool) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let folder = fs::canonicalize(world.folder()).unwrap().to_str().unwrap().to_owned();
    let [file, partial] =
        ["settings.yaml", ".settings.yaml.setpoint"].map(|it| format!("{folder}/{it}"));
    let inject = format!("inject={calls}:{fault}:when={number}");
    let trace = format!("trace={calls}");
    let mut tool = vec!["strace", "-f", "-qq", "-o", log.path().to_str().unwrap()];
    tool.extend(["-e", &trace, "-e", &inject, "-P", &file, "-P", &partial, "-P", &folder]);

    let ran = run_by(world, &tool, &SET);

    let log = fs::read_to_string(log.path()).unwrap();
    (ran, log.contains("(INJECTED)") || log.contains("killed by SIGKILL"))
}

/// The file is whole, and the next run makes it say what is live.
#[track_caller]
fn assert_next_run_finishes(world: &World, case: &str) {
    let file = world.read("settings.yaml");
    assert!(file == BEFORE || file == AFTER, "{case}: {file}");
    assert_eq!(world.run(&["verify"]).status, 0, "{case}");
    let is_made = world.get("a") == "2";
    assert!(is_made || file == BEFORE, "{case}: the file is ahead of the database");

    let next: &[&str] = if is_made { &["write-back"] } else { &SET };
    let ran = world.run(next);

    assert_eq!(ran.status, 0, "{case}: {ran}");
    assert_eq!(
        (world.read("settings.yaml").as_str(), world.get("a").as_str()),
        (AFTER, "2"),
        "{case}"
    );
    assert_eq!(
        (drift(world), outbox(world)),
        (Vec::new(), "settings.yaml|2|0|".to_owned()),
        "{case}"
    );
    assert!(!world.path(".settings.yaml.setpoint").exists(), "{case}");
}

const RENAMES: &str = "?rename,?renameat,renameat2";
const SYNCS: &str = "fsync,fdatasync";

/// Kills an edit at each of `calls` until one survives. Gives how often the file was written by
/// then and the database did not know.
#[track_caller]
fn kill_at_each(calls: &str) -> usize {
    let mut unknown = 0;
    for number in 1..100 {
        let case = format!("killed at call {number} of {calls}");
        let world = World::sqlite();
        following(&world, "settings.yaml", BEFORE, "");

        let (ran, happened) = set_with(&world, calls, "signal=KILL", number);

        if !happened {
            assert_eq!(ran.status, 0, "{case}: {ran}");
            assert!(number > 1, "nothing was {case}");
            return unknown;
        }
        assert_eq!(ran.status, -1, "{case}: {ran}");
        let is_known = outbox(&world).starts_with("settings.yaml|2|");
        unknown += usize::from(world.read("settings.yaml") == AFTER && !is_known);
        assert_next_run_finishes(&world, &case);
    }
    panic!("there is no end to {calls}");
}

#[test]
fn an_edit_that_is_killed_at_a_rename_is_finished_by_the_next_run() {
    kill_at_each(RENAMES);
}

#[test]
fn an_edit_that_is_killed_at_a_sync_is_finished_by_the_next_run() {
    let unknown = kill_at_each(SYNCS);

    assert!(unknown > 0, "the folder is synced before the database is");
}

#[test]
fn an_edit_that_is_killed_as_it_opens_or_writes_the_file_is_finished_by_the_next_run() {
    kill_at_each("openat");
    kill_at_each("write");
}

/// Lets the first of `calls` fail.
#[track_caller]
fn assert_told_and_tried_again(calls: &str, error: &str) {
    let world = World::sqlite();
    following(&world, "settings.yaml", BEFORE, "");

    let (ran, happened) = set_with(&world, calls, &format!("error={error}"), 1);

    assert!(happened, "{ran}");
    assert_eq!((ran.status, world.get("a").as_str()), (0, "2"), "{ran}");
    assert!(told(&ran).contains("settings.yaml is not written yet: "), "{ran}");
    assert!(outbox(&world).starts_with("settings.yaml|1|1|"), "{}", outbox(&world));
    assert!(!world.path(".settings.yaml.setpoint").exists(), "{ran}");
    assert_next_run_finishes(&world, calls);
}

#[test]
fn a_file_that_cannot_be_renamed_written_or_synced_is_told_and_tried_again() {
    assert_told_and_tried_again(RENAMES, "EIO");
    assert_told_and_tried_again("write", "ENOSPC");
    assert_told_and_tried_again(SYNCS, "EIO");
    assert_told_and_tried_again("?fchmod,fchmod", "EPERM");
}

/// Root that may not do everything.
const UNPRIVILEGED: [&str; 3] = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"];

fn run_unprivileged(world: &World, arguments: &[&str]) -> Ran {
    match fs::metadata(world.folder()).unwrap().uid() {
        0 => run_by(world, &UNPRIVILEGED, arguments),
        _ => world.run(arguments),
    }
}

#[test]
fn a_folder_that_may_not_be_written_is_told_and_the_file_tried_again() {
    let world = World::sqlite();
    following(&world, "conf/settings.yaml", BEFORE, "");
    let set_mode = |mode| {
        fs::set_permissions(world.path("conf"), fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(0o500);

    let ran = run_unprivileged(&world, &SET);

    set_mode(0o700);
    assert_eq!((ran.status, world.get("a").as_str()), (0, "2"), "{ran}");
    assert!(told(&ran).contains("conf/settings.yaml is not written yet: "), "{ran}");
    assert_eq!(world.read("conf/settings.yaml"), BEFORE);
    world.ok(&["write-back"]);
    assert_eq!(world.read("conf/settings.yaml"), AFTER);
}

#[test]
fn a_file_that_cannot_be_given_back_to_its_owner_stays_as_it_is() {
    let world = World::sqlite();
    following(&world, "settings.yaml", BEFORE, "");
    if fs::metadata(world.folder()).unwrap().uid() != 0 {
        eprintln!("only root can give a file away: nothing is checked");
        return;
    }
    let path = world.path("settings.yaml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    chown(&path, Some(1234), Some(4321)).unwrap();

    let ran = run_unprivileged(&world, &SET);

    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.uid(), world.read("settings.yaml").as_str()), (1234, BEFORE), "{ran}");
    assert!(told(&ran).contains("settings.yaml is not written yet: "), "{ran}");
    assert_next_run_finishes(&world, "an owner");
}

#[test]
fn a_full_disk_leaves_the_old_file_and_the_next_run_writes_the_new_one() {
    let world = World::sqlite();
    following(&world, "disk/settings.yaml", BEFORE, "");
    // A disk of two pages: one is the file, one is full of something else.
    let script = r#"
        cp disk/settings.yaml kept &&
        mount -t tmpfs -o size=8k tmpfs disk && cp kept disk/settings.yaml &&
        head -c 4096 /dev/zero > disk/filler &&
        "$@" set a 2 && cp disk/settings.yaml while_full && ls -A disk > names &&
        mount -o remount,size=64k disk && "$@" write-back && cp disk/settings.yaml at_last"#;
    let user = match fs::metadata(world.folder()).unwrap().uid() {
        0 => &[][..],
        _ => &["--user", "--map-root-user"],
    };
    let tool = [&["unshare", "--mount"], user, &["sh", "-c", script, "sh"]].concat();

    let ran = run_by(&world, &tool, &[]);

    assert_eq!(ran.status, 0, "{ran}");
    assert_eq!(
        (world.read("while_full").as_str(), world.read("at_last").as_str()),
        (BEFORE, AFTER),
        "{ran}"
    );
    assert_eq!(world.read("names"), "filler\nsettings.yaml\n");
    assert!(ran.stderr.contains("disk/settings.yaml is not written yet: "), "{ran}");
}
