//! Faults made on purpose, on a real kernel: kills, failing calls, full disks, locks, foreign
//! files. Whatever happens: a whole revision or none, and the next run finishes.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::world::{Files, Ran, World};

mod backup;
mod clock;
mod failing;
mod foreign;
pub mod full;
mod killed;
pub mod locked;
mod reading;
mod reconcile;
mod strace;
mod torture;
mod vanished;

/// What is migrated in most of these tests.
const MIGRATE: [&str; 3] = ["migrate", "settings.yaml", "more"];

/// What the commands say that is in the database; nothing if there is none.
#[derive(Debug, PartialEq, Eq)]
struct State {
    revision: i64,
    settings: Vec<String>,
}

impl State {
    fn of(world: &World) -> Self {
        let revision = world.revision();
        let listed = match revision {
            0 => Vec::new(),
            _ => world.json(&["list"]).as_array().unwrap().clone(),
        };
        let line = |it: &Value| {
            let members = ["key", "type", "value", "revision", "updated_by"];
            members.map(|name| it[name].to_string()).join(" ")
        };
        Self { revision, settings: listed.iter().map(line).collect() }
    }
}

/// A folder before a migration, and what it makes of it.
struct Scenario {
    folder: Files,
    before: State,
    after: State,
}

impl Scenario {
    /// The first version of the files, and no database.
    fn first() -> Self {
        let world = World::sqlite();
        write_first(&world);
        Self::with(&world)
    }

    /// The second version of the files, and a database that holds the first, with an edit.
    fn second() -> Self {
        let world = World::sqlite();
        write_first(&world);
        world.ok(&MIGRATE);
        world.ok(&["set", "edited", "here"]);
        world
            .write("settings.yaml", "http: {port: 8080, host: a.org}\nedited: mine\nnew: [1, 2]\n");
        Self::with(&world)
    }

    fn with(world: &World) -> Self {
        let (folder, before) = (world.files(), State::of(world));
        world.ok(&MIGRATE);
        Self { folder, before, after: State::of(world) }
    }

    fn world(&self) -> World {
        World::of(&self.folder)
    }

    /// Whole or nothing: the database is that before or that after, and sound; the files are
    /// as they were. Returns whether it is that after.
    #[track_caller]
    fn assert_whole_or_nothing(&self, world: &World, case: &str) -> bool {
        assert_sound(world, case);
        let state = State::of(world);
        assert!(state == self.before || state == self.after, "{case}: half done: {state:#?}");
        assert_eq!(sources(&world.files()), sources(&self.folder), "{case}");
        assert_copies_are_exact(&world.path("backups"), &self.folder, case);
        state == self.after
    }

    /// The same command again does what is left to do.
    #[track_caller]
    fn assert_next_run_finishes(&self, world: &World, case: &str) {
        let ran = world.run(&MIGRATE);
        assert_eq!(ran.status, 0, "{case}: {ran}");
        assert_eq!(State::of(world), self.after, "{case}");
        assert_sound(world, case);
    }
}

fn write_first(world: &World) {
    world.write("settings.yaml", "http: {port: 80, host: a.org}\nedited: mine\nold: 1.0\n");
    world.write("more/other.toml", "[limits]\nrate = 0.5\nnames = ['a', 'b']\n");
}

#[track_caller]
fn assert_sound(world: &World, case: &str) {
    let ran = world.run(&["verify", "--json"]);
    let nothing = ["database::missing", "database::empty"];
    let sound = ran.status == 0 || nothing.iter().any(|it| ran.stderr.contains(it));
    assert!(sound, "{case}: {ran}");
}

/// The files that are migrated.
fn sources(files: &Files) -> Files {
    let wanted = |name: &String| name == "settings.yaml" || name.starts_with("more/");
    files.iter().filter(|(name, _)| wanted(name)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// Every finished folder in `backups` that `before` does not have holds the sources of `before`.
#[track_caller]
fn assert_copies_are_exact(backups: &Path, before: &Files, case: &str) {
    let Ok(folders) = fs::read_dir(backups) else { return };
    for folder in folders {
        let folder = folder.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let known = before.keys().any(|it| it.starts_with(&format!("backups/{name}/")));
        if name.ends_with(".partial") || known {
            continue;
        }
        let copy = |name: &str| {
            fs::read(folder.join(name)).unwrap_or_else(|it| panic!("{case}: {name}: {it}"))
        };
        for (name, bytes) in sources(before) {
            assert!(copy(&name) == bytes, "{case}: the copy of {name} differs");
        }
        serde_json::from_slice::<Value>(&copy("manifest.json")).unwrap();
    }
}

#[track_caller]
fn code(ran: &Ran) -> String {
    ran.problem()["code"].as_str().unwrap().to_owned()
}

/// The program's `command`, run by `tool`, which is a program and its arguments.
pub(crate) fn run_by(world: &World, tool: &[&str], command: &Command) -> Ran {
    world.end(started(behind(world, tool, command).stdin(Stdio::null())))
}

fn behind(world: &World, tool: &[&str], command: &Command) -> Command {
    let mut outer = Command::new(tool[0]);
    outer.args(&tool[1..]).arg(command.get_program()).args(command.get_args());
    outer.current_dir(world.folder()).env_clear();
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer.stdout(Stdio::piped()).stderr(Stdio::piped());
    outer
}

fn started(command: &mut Command) -> Child {
    let spawned = command.spawn();
    spawned.unwrap_or_else(|error| {
        panic!("{:?} is needed ({error}): `make test` installs it", command.get_program())
    })
}

/// Runs the program so that permissions hold for it: root that may not do everything.
fn run_unprivileged(world: &World, arguments: &[&str]) -> Ran {
    let command = world.command(arguments);
    if !is_root(world) {
        return run_by(world, &["env"], &command);
    }
    run_by(world, &["setpriv", "--inh-caps=-all", "--bounding-set=-all"], &command)
}

fn is_root(world: &World) -> bool {
    fs::metadata(world.folder()).unwrap().uid() == 0
}
