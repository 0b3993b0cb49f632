//! One real PostgreSQL server for all tests of a run, in a temporary folder.
//!
//! The first test that needs it starts it. A shell process beside it waits until the run is
//! over, however it ends, stops the server and takes its folders away.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::world::free_address;

const USER: &str = "setpoint";

/// A running server.
struct Server {
    /// What the tests of this run share about it.
    state: PathBuf,
    port: u16,
    /// Where its files are, if it is one test's own.
    home: Option<PathBuf>,
}

/// An empty database. Another test gets it when this is gone, empty again: to make one takes
/// longer than most tests.
pub struct Database {
    server: Server,
    name: String,
}

impl Database {
    pub fn take() -> Self {
        let server = Server::of_this_run();
        let free = fs::read_dir(server.state.join("free")).unwrap();
        let names = free.map(|it| it.unwrap().file_name().into_string().unwrap());
        let taken = names.into_iter().find(|name| {
            fs::rename(server.state.join("free").join(name), server.state.join(name)).is_ok()
        });
        let name = taken.unwrap_or_else(|| server.create(""));
        Self { server, name }
    }

    /// One with the same in it. Nobody may be connected to this.
    pub fn copy(&self) -> Self {
        let server = Server::of_this_run();
        let name = server.create(&format!("TEMPLATE {}", self.name));
        Self { server, name }
    }

    /// One on a server of its own, which may be stopped. What is committed there outlives that.
    pub fn alone() -> Self {
        let process = std::process::id();
        let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("postgres-of-{process}"));
        fs::create_dir_all(&state).unwrap();
        let settings = "synchronous_commit = on\nlisten_addresses = '*'\n";
        let (port, home) = start(&state, process, settings);
        let server = Server { state, port, home: Some(home) };
        Self { server, name: "postgres".to_owned() }
    }

    /// Stops the server at once, as a crash would.
    pub fn stop(&self) {
        self.control(&["-m", "immediate", "stop"]);
    }

    pub fn start(&self) {
        self.control(&["-o", &format!("-p {}", self.server.port), "start"]);
    }

    /// Lets clients in from a network.
    pub fn admit(&self, network: &str) {
        let data = self.server.home.as_ref().unwrap().join("data");
        let mut access =
            fs::OpenOptions::new().append(true).open(data.join("pg_hba.conf")).unwrap();
        access.write_all(format!("host all all {network} trust\n").as_bytes()).unwrap();
        self.control(&["reload"]);
    }

    fn control(&self, arguments: &[&str]) {
        let home = self.server.home.as_ref().expect("the server is this test's own");
        let mut pg_ctl = owner(home).command(programs().join("pg_ctl"));
        pg_ctl.arg("-D").arg(home.join("data")).arg("-l").arg(home.join("log"));
        pg_ctl.args(["-w", "-t", "60"]).args(arguments);
        pg_ctl.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(pg_ctl.status().unwrap().success(), "{arguments:?}");
    }

    pub fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{}", self.server.port, self.name)
    }

    /// Runs `sql` in psql; the rows as text, fields separated by `|`, or what psql said.
    pub fn sql(&self, sql: &str) -> Result<String, String> {
        self.server.psql(&self.name, sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.server.home.is_some() {
            return;
        }
        let emptied = self.sql(
            "SET client_min_messages = error;
             SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid();
             DROP SCHEMA public CASCADE; CREATE SCHEMA public",
        );
        if emptied.is_ok() {
            let state = &self.server.state;
            drop(fs::rename(state.join(&self.name), state.join("free").join(&self.name)));
        }
    }
}

impl Server {
    fn of_this_run() -> Self {
        let (run, process) = run();
        let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("postgres-{run}"));
        fs::create_dir_all(state.join("free")).unwrap();
        let lock = fs::File::create(state.join("lock")).unwrap();
        lock.lock().unwrap();
        let started = state.join("port");
        let port = match fs::read_to_string(&started) {
            Ok(port) => port.parse().unwrap(),
            Err(_) => start(&state, process, "listen_addresses = '127.0.0.1'\n").0,
        };
        fs::write(started, port.to_string()).unwrap();
        Self { state, port, home: None }
    }

    /// Makes one more database, `like` another if it says so. Gives its name.
    fn create(&self, like: &str) -> String {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("it_{}_{number}", std::process::id());
        self.psql("postgres", &format!("CREATE DATABASE {name} {like}")).unwrap();
        fs::write(self.state.join(&name), "").unwrap();
        name
    }

    fn psql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]);
        psql.args(["-p", &self.port.to_string(), "-U", USER, "-d", database, "-f", "-"]);
        psql.env_remove("PGOPTIONS");
        super::world::fed(&mut psql, sql)
    }
}

/// The name of this run of the tests, and the process that ends with it.
///
/// cargo-nextest runs each test as a process of its own, `cargo test` all of them in this one.
fn run() -> (String, u32) {
    match std::env::var("NEXTEST_RUN_ID") {
        Ok(run) => (run, std::os::unix::process::parent_id()),
        Err(_) => (std::process::id().to_string(), std::process::id()),
    }
}

/// Starts a server that ends with `process`, with more `settings`. Gives its port and its folder.
fn start(state: &Path, process: u32, settings: &str) -> (u16, PathBuf) {
    let programs = programs();
    let home = tempfile::Builder::new().prefix("setpoint-it-").tempdir().unwrap();
    // From here on it is the shell process that takes it away.
    let home = home.keep();
    let owner = owner(&home);
    supervise(&programs, &owner, process, &home, state);

    let data = home.join("data");
    let mut initdb = owner.command(programs.join("initdb"));
    initdb.args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "-U", USER]);
    finish(initdb.arg("-D").arg(&data));
    let settings = format!(
        "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nmax_connections = 200\n\
         unix_socket_directories = '{}'\n{settings}",
        home.display()
    );
    let mut conf = fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).unwrap();
    conf.write_all(settings.as_bytes()).unwrap();

    let mut refused = String::new();
    for _ in 0..5 {
        let port = free_address().port();
        let mut pg_ctl = owner.command(programs.join("pg_ctl"));
        pg_ctl.arg("-D").arg(&data).arg("-l").arg(home.join("log"));
        pg_ctl.args(["-o", &format!("-p {port}"), "-w", "-t", "60", "start"]);
        pg_ctl.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if pg_ctl.status().unwrap().success() {
            return (port, home);
        }
        refused = fs::read_to_string(home.join("log")).unwrap_or_default();
    }
    panic!("PostgreSQL does not start:\n{refused}");
}

/// The folder of the newest PostgreSQL that is installed.
fn programs() -> PathBuf {
    let configured = Command::new("pg_config").arg("--bindir").output().ok();
    let configured = configured.map(|it| PathBuf::from(String::from_utf8_lossy(&it.stdout).trim()));
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut installed: Vec<PathBuf> = installed.map(|it| it.path().join("bin")).collect();
    installed.sort_by_key(|it| {
        let version = it.parent().and_then(Path::file_name).and_then(|it| it.to_str());
        std::cmp::Reverse(version.and_then(|it| it.parse::<u32>().ok()))
    });
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = installed
        .into_iter()
        .chain(configured)
        .chain(std::env::split_paths(&path))
        .find(|it| ["initdb", "pg_ctl", "postgres"].iter().all(|name| it.join(name).is_file()));
    found.expect(
        "these tests need PostgreSQL (initdb, pg_ctl, psql), which is not installed: run \
         `make test`, which installs it",
    )
}

/// Who the server runs as: it refuses to be root.
struct Owner {
    user: Option<&'static str>,
}

fn owner(home: &Path) -> Owner {
    let id = Command::new("id").arg("-u").output().unwrap().stdout;
    if String::from_utf8_lossy(&id).trim() != "0" {
        return Owner { user: None };
    }
    finish(Command::new("chown").arg("postgres:postgres").arg(home));
    Owner { user: Some("postgres") }
}

impl Owner {
    fn command(&self, program: PathBuf) -> Command {
        let mut command = match self.user {
            None => Command::new(program),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={user}")).arg(format!("--regid={user}"));
                command.arg("--clear-groups").arg(program);
                command
            }
        };
        command.current_dir("/");
        command
    }
}

/// Starts the shell process that stops the server and removes `home` and `state` once
/// `process` is gone.
fn supervise(programs: &Path, owner: &Owner, process: u32, home: &Path, state: &Path) {
    const SCRIPT: &str = r#"
        tail --pid="$1" -s 0.2 -f /dev/null
        shift
        home=$1 state=$2
        shift 2
        "$@" stop -D "$home/data" -m immediate -w
        rm -rf "$home" "$state"
    "#;
    let stop = owner.command(programs.join("pg_ctl"));
    let mut shell = Command::new("setsid");
    shell
        .args(["--fork", "sh", "-c", SCRIPT, "setpoint-it"])
        .arg(process.to_string())
        .arg(home)
        .arg(state);
    shell.arg(stop.get_program()).args(stop.get_args()).current_dir("/");
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(shell.status().unwrap().success(), "{shell:?}");
}

fn finish(command: &mut Command) {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {said}");
}
