//! A folder, a database and the real program in them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use serde_json::Value;
use tempfile::TempDir;

use crate::postgres;

const PROGRAM: &str = env!("CARGO_BIN_EXE_setpoint");

/// An empty folder that `setpoint` is run in, by ann, with a database that does not exist yet.
pub struct World {
    folder: TempDir,
    postgres: Option<postgres::Database>,
    /// What the program finds in its environment besides.
    variables: Mutex<Vec<(&'static str, String)>>,
}

/// How a run of the program ended, with everything masked that differs from run to run.
pub struct Ran {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
    mask: Mask,
}

/// Every file of a folder, with what is in it.
pub type Files = BTreeMap<String, Vec<u8>>;

impl World {
    pub fn sqlite() -> Self {
        let (folder, variables) = (TempDir::new().unwrap(), Mutex::default());
        Self { folder, postgres: None, variables }
    }

    pub fn postgres() -> Self {
        Self { postgres: Some(postgres::Database::take()), ..Self::sqlite() }
    }

    /// Another one with the same files, and with the same in its database.
    pub fn copy(&self) -> Self {
        let postgres = self.postgres.as_ref().map(postgres::Database::copy);
        Self { postgres, ..Self::of(&self.files()) }
    }

    /// One with these files.
    pub fn of(files: &Files) -> Self {
        let world = Self::sqlite();
        for (name, bytes) in files {
            world.write(name, bytes);
        }
        world
    }

    /// With a PostgreSQL server of its own, which may be stopped.
    pub fn postgres_alone() -> Self {
        Self { postgres: Some(postgres::Database::alone()), ..Self::sqlite() }
    }

    /// The PostgreSQL database.
    pub fn server(&self) -> &postgres::Database {
        self.postgres.as_ref().unwrap()
    }

    pub fn is_postgres(&self) -> bool {
        self.postgres.is_some()
    }

    /// Puts a variable into the environment of the program, in place of what it was.
    pub fn set_variable(&self, name: &'static str, text: &str) {
        let mut variables = self.variables.lock().unwrap();
        variables.retain(|it| it.0 != name);
        variables.push((name, text.to_owned()));
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn database(&self) -> String {
        match &self.postgres {
            None => "setpoint.db".to_owned(),
            Some(it) => it.url(),
        }
    }

    /// Writes a file, with the folders that it needs.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes `text` as settings.yaml and migrates it, which has to succeed.
    #[track_caller]
    pub fn migrate(&self, text: &str) {
        let ran = self.migrate_with(text, &[]);
        assert_eq!(ran.status, 0, "{ran}");
    }

    /// Writes `text` as settings.yaml and migrates it with more `arguments`.
    pub fn migrate_with(&self, text: &str, arguments: &[&str]) -> Ran {
        self.write("settings.yaml", text);
        self.run(&[&["migrate", "settings.yaml"], arguments].concat())
    }

    /// The class of each key that `migrate` would do something about, as `key: class`.
    pub fn classes(&self) -> Vec<String> {
        let plan = self.json(&["migrate", "settings.yaml", "--dry-run"]);
        let changes = plan["changes"].as_array().unwrap().iter();
        let line = |it: &Value| format!("{}: {}", text(&it["key"]), text(&it["class"]));
        changes.map(line).collect()
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "")
    }

    /// As [`World::run`], with `input` on standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        let mut child = self.start(arguments);
        write_all(&mut child, input);
        self.end(child)
    }

    /// Starts the program; [`World::end`] waits for it.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    pub fn end(&self, child: Child) -> Ran {
        let output = child.wait_with_output().unwrap();
        Ran {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            mask: Mask { folder: self.folder.path().to_owned(), database: self.database() },
        }
    }

    /// The program in this folder and an environment that says nothing.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.current_dir(self.folder()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.variables.lock().unwrap().iter().map(|(name, text)| (name, text)));
        command.args(["--actor", "ann", "--database", &self.database()]);
        command.args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command that has to succeed and gives what it printed.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.status, 0, "{arguments:?}\n{ran}");
        ran.stdout
    }

    /// What a command prints with --json, whether it succeeds or not.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).json()
    }

    /// How a command fails: its status, and the error in one line, however long.
    pub fn refusal(&self, arguments: &[&str]) -> String {
        let ran = self.run(&[arguments, &["--json"]].concat());
        let problem = ran.problem();
        let said = ["code", "message", "help"].map(|it| problem[it].as_str().unwrap_or_default());
        ran.mask.text(&format!("{} {}", ran.status, said.join("; "))).trim_end().to_owned()
    }

    /// The value of a key as `get` prints it, or `(none)`.
    pub fn get(&self, key: &str) -> String {
        let ran = self.run(&["get", key]);
        match ran.status {
            0 => ran.stdout.trim_end_matches('\n').to_owned(),
            _ if ran.stderr.contains("setting::unknown") => "(none)".to_owned(),
            _ => panic!("{ran}"),
        }
    }

    /// The newest revision; 0 if there is no database yet.
    pub fn revision(&self) -> i64 {
        let ran = self.run(&["history", "--json", "--limit", "1"]);
        if ran.status != 0 {
            let code = ran.problem()["code"].clone();
            assert!(code == "database::missing" || code == "database::empty", "{ran}");
            return 0;
        }
        ran.json()[0]["id"].as_i64().unwrap_or_default()
    }

    /// Runs `sql` in sqlite3 or psql. Gives the rows, fields separated by `|`.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// As [`World::sql`]; the error is what the tool said.
    pub fn try_sql(&self, sql: &str) -> Result<String, String> {
        match &self.postgres {
            Some(database) => database.sql(sql),
            None => {
                let mut sqlite3 = Command::new("sqlite3");
                sqlite3.args(["-batch", "-bail", "-cmd", ".timeout 5000"]);
                fed(sqlite3.arg(self.path("setpoint.db")), sql)
            }
        }
    }

    /// Every file in this folder, by its path.
    pub fn files(&self) -> Files {
        files_of(self.folder())
    }

    /// The names of [`World::files`].
    pub fn file_names(&self) -> Vec<String> {
        self.files().into_keys().collect()
    }

    /// The newest copy of the originals.
    pub fn originals(&self) -> PathBuf {
        let copies = fs::read_dir(self.path("backups")).unwrap();
        copies.map(|it| it.unwrap().path()).max().unwrap()
    }
}

/// Every file in a folder, by its path there.
pub fn files_of(folder: &Path) -> Files {
    let mut files = Files::new();
    collect(folder, folder, &mut files);
    files
}

fn collect(folder: &Path, root: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, root, files);
        } else {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

impl Ran {
    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }

    /// The error on standard error as JSON; notes before it are skipped.
    #[track_caller]
    pub fn problem(&self) -> Value {
        let start = self.stderr.find("{\n").unwrap_or_else(|| panic!("no problem in\n{self}"));
        serde_json::from_str(&self.stderr[start..]).unwrap_or_else(|it| panic!("{it}\n{self}"))
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                write!(f, "\n-- {name}\n{}", self.mask.text(text).trim_end())?;
            }
        }
        Ok(())
    }
}

/// What differs from run to run and from database to database. It is always noon on 1 May 2026,
/// so that tables keep their shape.
struct Mask {
    folder: PathBuf,
    database: String,
}

impl Mask {
    fn text(&self, text: &str) -> String {
        let bare = self.database.replace("setpoint@", "");
        let text = text
            .replace(&self.database, "[database]")
            .replace(&bare, "[database]")
            .replace(&self.folder.display().to_string(), "[folder]");
        let shapes = [
            ("sha256:[hash]", format!("sha256:{}", "#".repeat(64))),
            ("[epoch]", "#".repeat(32)),
            ("2026-05-01T12:00:00.000Z", "dddd-dd-ddTdd:dd:dd.dddZ".to_owned()),
            ("20260501T120000.000Z", "ddddddddTdddddd.dddZ".to_owned()),
        ];
        let replaced = shapes.iter().fold(text, |text, (name, shape)| replaced(&text, shape, name));
        replaced.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
    }
}

/// `text` with `name` for everything of `shape`, where d is a digit and # a hex digit.
fn replaced(text: &str, shape: &str, name: &str) -> String {
    let fits = |text: &str| {
        let mut characters = text.chars();
        shape.chars().all(|wanted| {
            characters.next().is_some_and(|it| match wanted {
                'd' => it.is_ascii_digit(),
                '#' => matches!(it, '0'..='9' | 'a'..='f'),
                _ => it == wanted,
            })
        })
    };
    let mut masked = String::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let skipped = if fits(rest) {
            masked.push_str(name);
            shape.len()
        } else {
            masked.push(character);
            character.len_utf8()
        };
        rest = &rest[skipped..];
    }
    masked
}

/// Runs `command` with `input` on standard input; what it printed, or what it complained of.
pub fn fed(command: &mut Command, input: &str) -> Result<String, String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let spawned = command.spawn();
    let mut child = spawned.unwrap_or_else(|error| {
        panic!("{:?} is needed ({error}): `make test` installs it", command.get_program())
    });
    write_all(&mut child, input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap().trim_end().to_owned();
    match output.status.success() {
        true => Ok(text(output.stdout)),
        false => Err(text(output.stderr)),
    }
}

/// A program that ends without reading its input is no error here.
fn write_all(child: &mut Child, input: &str) {
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
}

/// An address of this machine where nobody listens. Its port is none that the kernel gives to
/// clients: while the service is away, one of them could take it, or even connect to itself.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id() * 13 + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(12_000 + number % 20_000).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// The text that `value` is.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// A file of the project's own fixtures.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// One runtime a process, for tests that call the library itself.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    runtime().block_on(work)
}

/// The same for work that goes on while the test does something else.
pub fn spawn<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    runtime().spawn(work)
}

fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().unwrap())
}
