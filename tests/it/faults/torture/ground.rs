//! What is tortured: a database with a history and backups, what is run on it, what that comes to
//! when nothing happens, and which calls it makes.

use std::collections::BTreeMap;
use std::fs;

use crate::faults::strace::{self, On};
use crate::world::World;

/// What is run.
const RUNS: [&[&str]; 8] = [
    &["backup", "create", "second"],
    &["backup", "restore", "good", "--yes"],
    &["backup", "restore", "good", "--at", "2", "--yes"],
    &["backup", "prune", "--yes"],
    &["jobs", "run", "backup"],
    &["jobs", "run", "retention"],
    &["jobs", "run", "vacuum"],
    &["jobs", "run", "expire"],
];

/// What writes, names, makes and removes, and what comes between.
const CALLS: &str = "write,pwrite64,fsync,fdatasync,?sync_file_range,ftruncate,?fallocate,?rename,\
     ?renameat,renameat2,?link,linkat,?unlink,unlinkat,?rmdir,?mkdir,mkdirat,openat,close,flock,\
     fcntl,pread64,sendto,recvfrom";

pub(super) struct Ground {
    pub(super) world: World,
    /// The names of its files.
    pub(super) files: Vec<String>,
    pub(super) before: Held,
    /// The settings that each backup holds.
    pub(super) backups: BTreeMap<String, String>,
    pub(super) runs: Vec<Run>,
}

/// One command.
pub(super) struct Run {
    pub(super) arguments: &'static [&'static str],
    /// What it comes to.
    pub(super) after: Held,
    /// The backups that there are then, as many as there are.
    pub(super) backups: usize,
    /// How often a thread of it makes each call, where.
    pub(super) calls: Vec<(String, On, usize)>,
}

/// What a database holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) settings: String,
    /// With their hashes.
    pub(super) revisions: Vec<String>,
}

impl Ground {
    pub(super) fn new(world: World) -> Self {
        let jobs = ["backup", "retention", "vacuum", "expire"];
        let jobs = jobs.map(|it| {
            format!("[[job]]\nname = '{it}'\ncron = '@daily'\nverb = '{it}'\nretries = 0\n")
        });
        let rest = "[backups.retention]\nkeep_last = 1\n[jobs]\nlease_ms = 100\n";
        world.write("setpoint.toml", format!("{}{rest}", jobs.concat()));
        world.migrate("a: 1\nb: {c: 2, d: 3}\n");
        let mut backups = BTreeMap::new();
        for (value, name) in ["old", "older", "good"].iter().enumerate() {
            world.ok(&["set", "a", &value.to_string()]);
            world.ok(&["backup", "create", name]);
            backups.insert((*name).to_owned(), settings(&world));
        }
        world.ok(&["set", "a", "7"]);
        world.ok(&["unset", "b.c"]);
        world.ok(&["ignore", "a", "--until", "30d"]);
        world.ok(&["set", "trial", "1", "--confirm-within", "10m"]);
        let long_ago = "'2020-01-01T00:00:00.000Z'";
        world.sql(&format!("UPDATE ignored_drift SET expires_at = {long_ago}"));
        world.sql(&format!("UPDATE unconfirmed SET until = {long_ago}"));
        if !world.is_postgres() {
            // Something to vacuum.
            world.sql(
                "CREATE TABLE heap AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
                 LIMIT 100) SELECT randomblob(4000) AS it FROM n; DROP TABLE heap",
            );
        }
        let before = Held::of(&world);
        let runs = RUNS.iter().map(|arguments| Run::new(&world, arguments)).collect();
        Self { files: world.file_names(), world, before, backups, runs }
    }

    pub(super) fn is_postgres(&self) -> bool {
        self.world.is_postgres()
    }

    /// Whether the backup of that name is to hold these settings: others were taken since. What is
    /// due is undone before a restore, unless that was hit.
    pub(super) fn is_expected(&self, backup: &str, settings: &str) -> bool {
        match self.backups.get(backup) {
            Some(expected) => expected == settings,
            None if backup.starts_with("pre-restore-") => {
                [&self.before, self.undone()].iter().any(|it| it.settings == settings)
            }
            None => self.before.settings == settings,
        }
    }

    /// What is there once what is due was undone.
    pub(super) fn undone(&self) -> &Held {
        let is_expire = |it: &&Run| it.arguments == ["jobs", "run", "expire"];
        &self.runs.iter().find(is_expire).expect("the job is run").after
    }
}

impl Run {
    /// Whether it undoes what is due before it does anything else.
    pub(super) fn is_restore(&self) -> bool {
        self.arguments.starts_with(&["backup", "restore"])
    }

    /// Runs it once without a fault, and counts.
    fn new(world: &World, arguments: &'static [&'static str]) -> Self {
        let world = world.copy();
        let (ran, log) = strace::traced(&world, (CALLS, On::Everything), None, arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {ran}");
        let backups = world.json(&["backup", "list"]).as_array().unwrap().len();
        let calls = calls(&world, &log);
        Self { arguments, after: Held::of(&world), backups, calls }
    }
}

/// How often a thread makes each call, on each of the files that are told apart: of all threads
/// the one that makes the most.
fn calls(world: &World, log: &str) -> Vec<(String, On, usize)> {
    let folder = fs::canonicalize(world.folder()).unwrap().display().to_string();
    let is_on = |line: &str, on: On| match on {
        On::Archive => line.contains("/backups/good.setpoint.tar>"),
        On::Everything => true,
        On::Database => line.contains(&format!("{folder}/setpoint.db>")),
        On::Log => {
            line.contains(&format!("{folder}/setpoint.db-")) || line.contains(&format!("{folder}>"))
        }
    };
    let mut counts: BTreeMap<(String, On), BTreeMap<String, usize>> = BTreeMap::new();
    for line in log.lines() {
        let line = without_working_folder(line, &folder);
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((name, _)) = rest.trim_start().split_once('(') else { continue };
        let (thread, name) = (thread.to_owned(), name.to_owned());
        let is_name = name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
        for on in [On::Everything, On::Database, On::Log] {
            if is_name && is_on(&line, on) {
                *counts
                    .entry((name.clone(), on))
                    .or_default()
                    .entry(thread.clone())
                    .or_default() += 1;
            }
        }
    }
    let most = |it: BTreeMap<String, usize>| it.into_values().max().unwrap_or_default();
    counts.into_iter().map(|((name, on), it)| (name, on, most(it))).collect()
}

/// What strace tells, without the folder that relative paths are relative to.
pub(super) fn without_working_folder(line: &str, folder: &str) -> String {
    line.replace(&format!("AT_FDCWD<{folder}>"), "AT_FDCWD")
}

impl Held {
    pub(super) fn of(world: &World) -> Self {
        let revisions = world.sql("SELECT id, actor, kind, hash FROM revision ORDER BY id");
        Self {
            settings: settings(world),
            revisions: revisions.lines().map(str::to_owned).collect(),
        }
    }

    /// Whether it is the same but for what is new each time: the hash of what was done last.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let all_but_last = |it: &Self| it.revisions.split_last().map(|(_, it)| it.to_vec());
        self.settings == other.settings
            && self.revisions.len() == other.revisions.len()
            && all_but_last(self) == all_but_last(other)
    }
}

pub(super) fn settings(world: &World) -> String {
    world.sql(
        "SELECT namespace, layer, key, value, value_type, revision, updated_by FROM setting \
         ORDER BY namespace, layer, key",
    )
}
