//! The real service as a process of its own, that can be stopped, killed and started again where
//! it was.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use super::DEADLINE;
use super::http::{self, Answer};
use crate::world::{World, free_address};

/// A service that is running, until this is dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    log: Arc<Log>,
    /// Sent with each request.
    pub token: Option<String>,
}

/// What it has said on standard error.
#[derive(Default)]
struct Log {
    text: Mutex<String>,
    more: Condvar,
}

impl Server {
    pub fn start(world: &World) -> Self {
        Self::start_at(world, free_address())
    }

    /// Starts where another one was before.
    pub fn start_at(world: &World, address: SocketAddr) -> Self {
        Self::spawn(world.command(&["serve", "--listen", &address.to_string()]), address)
    }

    /// Starts the service that `command` runs, and waits until it listens at `address`.
    pub fn spawn(mut command: Command, address: SocketAddr) -> Self {
        if command.get_envs().all(|(name, _)| name != "SETPOINT_LOG__FILTER") {
            command.env("SETPOINT_LOG__FILTER", "info");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::<Log>::default();
        let (stderr, heard) = (child.stderr.take().unwrap(), log.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                heard.push(&line);
            }
            heard.push(ENDED);
        });
        let server = Self { child, address, log, token: None };
        server.wait_for("listening on ");
        server
    }

    /// The same, asked with a token.
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has said `text`.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let said = self.log.text.lock().unwrap();
        let is_to_wait = |said: &mut String| !said.contains(text) && !said.contains(ENDED);
        let (said, _) = self.log.more.wait_timeout_while(said, DEADLINE, is_to_wait).unwrap();
        assert!(said.contains(text), "it never says `{text}`:\n{said}");
    }

    pub fn log(&self) -> String {
        self.log.text.lock().unwrap().clone()
    }

    pub fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Ends it as a power cut would. Gives where it was.
    pub fn kill(mut self) -> SocketAddr {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.address
    }

    /// Waits until it has ended by itself. Gives its exit status.
    #[track_caller]
    pub fn ended(mut self) -> Option<i32> {
        self.wait_for(ENDED);
        self.child.wait().unwrap().code()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "")
    }

    pub fn put(&self, path: &str, body: &str) -> Answer {
        self.send("PUT", path, body)
    }

    #[track_caller]
    pub fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        let sent = self.try_send(method, path, body);
        sent.unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.log()))
    }

    pub fn try_send(&self, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
        http::send(self.address, self.token.as_deref(), method, path, body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> =
                log.lines().filter(|it| !it.contains("changed settings")).collect();
            let newest = lines[lines.len().saturating_sub(50)..].join("\n");
            eprintln!("-- the service at {} said\n{newest}", self.address);
        }
    }
}

/// Stands in the log behind everything else.
const ENDED: &str = "-- it has ended";

impl Log {
    fn push(&self, line: &str) {
        let mut text = self.text.lock().unwrap();
        text.push_str(line);
        text.push('\n');
        self.more.notify_all();
    }
}

pub fn signal(process: u32, name: &str) {
    let kill = ["-c", r#"kill -s "$0" "$1""#, name, &process.to_string()];
    assert!(Command::new("sh").args(kill).status().unwrap().success(), "{name} {process}");
}
