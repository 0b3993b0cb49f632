//! SIGKILL right before a system call of a reset, an adopt or a write-back: the database and the
//! file are each as before or as after, and the next run finishes.

use super::strace::{self, On};
use super::{State, assert_sound};
use crate::world::{Files, World};

const SYNCS: &str = "fsync,fdatasync";
const RENAMES: &str = "?rename,?renameat,renameat2";
const WRITES: &str = "write,pwrite64";

const FILE: &str = "\
# What the server listens on.
http:
  port: 80    # as in the leaflet
  host: a.org
names: [a, b]
";

/// A folder before a command, and what the command makes of it.
struct Scenario {
    command: &'static [&'static str],
    folder: Files,
    before: Seen,
    after: Seen,
}

/// What a command can change.
#[derive(Debug, PartialEq)]
struct Seen {
    live: State,
    seeds: String,
    file: String,
}

impl Seen {
    fn of(world: &World) -> Self {
        Self {
            live: State::of(world),
            seeds: world.sql("SELECT key, value, line FROM seed ORDER BY key"),
            file: world.read("settings.yaml"),
        }
    }
}

impl Scenario {
    /// A port and a key of a user's own are edited before `command`, by `edit`.
    fn new(command: &'static [&'static str], write_back: bool, edit: impl Fn(&World)) -> Self {
        let world = World::sqlite();
        world.write("settings.yaml", FILE);
        let source = "[[source]]\npath = \"settings.yaml\"\nwrite_back = ";
        world.write("setpoint.toml", format!("{source}{write_back}\n"));
        world.ok(&["migrate"]);
        edit(&world);
        let (folder, before) = (world.files(), Seen::of(&world));
        world.ok(command);
        let after = Seen::of(&world);
        assert_ne!(before, after);
        Self { command, folder, before, after }
    }

    /// Kills the command at every `step`th of `calls` until one survives.
    #[track_caller]
    fn kill_at_each(&self, calls: &str, on: On, step: usize) {
        for (killed, number) in (1..1000).step_by(step).enumerate() {
            let case = format!("{:?} killed at call {number} of {calls} on {on:?}", self.command);
            let world = World::sqlite();
            for (name, bytes) in &self.folder {
                world.write(name, bytes);
            }

            let (ran, happened) =
                strace::run(&world, (calls, on), "signal=KILL", number, self.command);

            if !happened {
                assert_eq!(ran.status, 0, "{case}: {ran}");
                assert!(killed > 0, "nothing was {case}");
                return;
            }
            assert_eq!(ran.status, -1, "{case}: {ran}");
            self.assert_whole_or_nothing(&world, &case);
            self.assert_next_run_finishes(&world, &case);
        }
        panic!("there is no end to {calls}");
    }

    /// The database is that before or after, the file as well, and the file is the first: what
    /// it says and the database does not know yet is found again.
    #[track_caller]
    fn assert_whole_or_nothing(&self, world: &World, case: &str) {
        assert_sound(world, case);
        let seen = Seen::of(world);
        let Seen { live, seeds, file } = &seen;
        let (before, after) = (&self.before, &self.after);
        let is_before = (live, seeds) == (&before.live, &before.seeds);
        let half_way = is_before && *file == after.file;
        assert!(seen == *before || seen == *after || half_way, "{case}: half done: {seen:#?}");
    }

    /// The same command again, and then an import, do what is left to do.
    #[track_caller]
    fn assert_next_run_finishes(&self, world: &World, case: &str) {
        world.ok(self.command);
        world.ok(&["migrate"]);

        let mut seen = Seen::of(world);
        // The import may find nothing but that the file was read, which is a revision as well.
        seen.live.revision = seen.live.revision.min(self.after.live.revision);
        assert_eq!(seen, self.after, "{case}");
        assert_sound(world, case);
        let mut left: Vec<String> = world.file_names();
        left.retain(|it| it.starts_with(".settings"));
        assert_eq!(left, Vec::<String>::new(), "{case}");
    }
}

fn edited(world: &World) {
    world.ok(&["set", "http.port", "8080"]);
    world.ok(&["set", "http.tls", "true"]);
    world.ok(&["unset", "names"]);
}

fn reset() -> Scenario {
    Scenario::new(&["reset", "--all", "--purge", "--yes"], false, edited)
}

fn adopt() -> Scenario {
    Scenario::new(&["adopt", "--all"], false, edited)
}

/// Edits in SQL, which are not followed before somebody asks for it.
fn write_back() -> Scenario {
    Scenario::new(&["write-back"], true, |world| {
        world.sql("UPDATE setting SET value = '8080' WHERE key = 'http.port'");
        world.sql(
            "INSERT INTO setting (namespace, layer, key, value, value_type)
             VALUES ('default', 'base', 'http.tls', 'true', 'boolean')",
        );
        world.sql("DELETE FROM setting WHERE key = 'names'");
    })
}

#[test]
fn a_reset_that_is_killed_is_whole_or_nothing() {
    let scenario = reset();

    scenario.kill_at_each(SYNCS, On::Everything, 1);
    scenario.kill_at_each(RENAMES, On::Everything, 1);
    scenario.kill_at_each("pwrite64", On::Log, 3);
    scenario.kill_at_each("pwrite64", On::Database, 3);
}

#[test]
fn a_reset_has_kept_the_settings_as_they_were_before_it_changes_one() {
    let scenario = reset();
    let world = World::sqlite();
    for (name, bytes) in &scenario.folder {
        world.write(name, bytes);
    }

    // It is the transaction that is written to this file.
    let (ran, happened) =
        strace::run(&world, ("pwrite64", On::Log), "signal=KILL", 1, scenario.command);

    assert!(happened, "{ran}");
    let is_kept = |name: &String| name.contains("pre_reset") && name.ends_with("base.json");
    let kept = world.file_names().into_iter().find(is_kept).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&world.read(&kept)).unwrap();
    assert_eq!(kept, serde_json::json!({"http": {"port": 8080, "host": "a.org", "tls": true}}));
}

#[test]
fn an_adopt_that_is_killed_at_a_sync_or_a_rename_is_finished_by_the_next_run() {
    let scenario = adopt();

    scenario.kill_at_each(SYNCS, On::Everything, 1);
    scenario.kill_at_each(RENAMES, On::Everything, 1);
}

#[test]
fn an_adopt_that_is_killed_between_writes_is_finished_by_the_next_run() {
    let scenario = adopt();

    scenario.kill_at_each(WRITES, On::Everything, 4);
    scenario.kill_at_each("pwrite64", On::Log, 3);
    scenario.kill_at_each("pwrite64", On::Database, 3);
}

#[test]
fn a_write_back_that_is_killed_at_a_sync_or_a_rename_is_finished_by_the_next_run() {
    let scenario = write_back();

    scenario.kill_at_each(SYNCS, On::Everything, 1);
    scenario.kill_at_each(RENAMES, On::Everything, 1);
}

#[test]
fn a_write_back_that_is_killed_between_writes_is_finished_by_the_next_run() {
    let scenario = write_back();

    scenario.kill_at_each(WRITES, On::Everything, 4);
    scenario.kill_at_each("pwrite64", On::Log, 3);
    scenario.kill_at_each("pwrite64", On::Database, 3);
}
