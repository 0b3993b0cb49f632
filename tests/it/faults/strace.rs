//! Faults at chosen system calls, by strace: the same ones in every run.

use std::fs;
use std::io::{BufRead as _, BufReader, PipeReader, Read as _};
use std::process::{Child, Command, Stdio};

use super::{behind, run_by, started};
use crate::world::{Ran, World};

/// Which calls of the program count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum On {
    /// All. The first thread makes the first ones, when it copies the originals.
    Everything,
    /// Those on the database file. Of a second migration it is the last thing that is written.
    Database,
    /// Those on SQLite's other files, and their folder.
    Log,
    /// Those on the archive of the backup `good`.
    Archive,
}

/// Runs the program and makes `fault` of the `number`th of `calls` of a thread, counted from 1.
/// Gives whether it came to that.
pub(super) fn run(
    world: &World,
    (calls, on): (&str, On),
    fault: &str,
    number: usize,
    arguments: &[&str],
) -> (Ran, bool) {
    let inject = format!("inject={calls}:{fault}:when={number}");
    let (ran, log) = traced(world, (calls, on), Some(&inject), arguments);
    let happened = log.contains("(INJECTED)") || log.contains("killed by SIGKILL");
    (ran, happened)
}

/// Runs the program and gives what strace tells of `calls`, some of which `inject` may change.
pub(super) fn traced(
    world: &World,
    (calls, on): (&str, On),
    inject: Option<&str>,
    arguments: &[&str],
) -> (Ran, String) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let log_path = log.path().to_str().unwrap();
    let trace = format!("trace={calls}");
    let mut strace = vec!["strace", "-f", "-y", "-qq", "-o", log_path, "-e", &trace];
    strace.extend(inject.iter().flat_map(|it| ["-e", it]));
    // SQLite names its files by their whole path, without symbolic links.
    let folder = fs::canonicalize(world.folder()).unwrap().to_str().unwrap().to_owned();
    let database = format!("{folder}/setpoint.db");
    let paths = match on {
        On::Everything => Vec::new(),
        On::Log => ["-wal", "-shm", "-journal"].map(|it| format!("{database}{it}")).into(),
        On::Database => vec![database],
        On::Archive => vec![format!("{folder}/backups/good.setpoint.tar")],
    };
    strace.extend(paths.iter().flat_map(|it| ["-P", it]));
    if matches!(on, On::Log) {
        strace.extend(["-P", &folder]);
    }

    let ran = run_by(world, &strace, &world.command(arguments));

    (ran, fs::read_to_string(log.path()).unwrap())
}

/// A run of the program that can be followed call by call.
pub(super) struct Followed {
    /// None once it is waited for.
    strace: Option<Child>,
    log: BufReader<PipeReader>,
}

impl Followed {
    /// Starts `command`; `options` are strace's.
    pub(super) fn start(world: &World, options: &[&str], command: &Command) -> Self {
        let (log, write) = std::io::pipe().unwrap();
        let strace = [&["strace", "-f", "-q", "-o", "/proc/self/fd/0"], options].concat();
        let strace = started(behind(world, &strace, command).stdin(write));
        Self { strace: Some(strace), log: BufReader::new(log) }
    }

    /// Starts `command` and stops it right before its first call of `calls`.
    pub(super) fn stopped_at(world: &World, calls: &str, command: &Command) -> Self {
        let (trace, inject) =
            (format!("trace={calls}"), format!("inject={calls}:signal=STOP:when=1"));
        let mut followed = Self::start(world, &["-e", &trace, "-e", &inject], command);
        followed.wait_for("stopped by SIGSTOP");
        followed
    }

    /// Waits until strace tells something with `text` in it.
    #[track_caller]
    pub(super) fn wait_for(&mut self, text: &str) {
        let lines = self.log.by_ref().lines();
        assert!(lines.map_while(Result::ok).any(|it| it.contains(text)), "no {text}");
    }

    /// Lets the program go on and gives how it ended.
    pub(super) fn resume(self, world: &World) -> Ran {
        assert!(self.signal("-CONT"));
        self.end(world)
    }

    pub(super) fn end(mut self, world: &World) -> Ran {
        let strace = self.strace.take().unwrap();
        // strace waits if nobody reads what it tells.
        std::thread::scope(|scope| {
            scope.spawn(|| std::io::copy(&mut self.log, &mut std::io::sink()));
            world.end(strace)
        })
    }

    /// Sends a signal to the program that is followed, if it still runs.
    fn signal(&self, signal: &str) -> bool {
        let Some(strace) = self.strace.as_ref().map(Child::id) else { return false };
        let children = fs::read_to_string(format!("/proc/{strace}/task/{strace}/children"));
        let mut kill = Command::new("sh");
        kill.args(["-c", r#"kill "$@""#, "sh", signal])
            .args(children.unwrap_or_default().split_whitespace());
        kill.stderr(Stdio::null()).status().is_ok_and(|it| it.success())
    }
}

/// A test that fails leaves no stopped program behind.
impl Drop for Followed {
    fn drop(&mut self) {
        self.signal("-KILL");
    }
}
