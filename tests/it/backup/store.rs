//! An S3-compatible server of a test, `scripts/s3.py`: it says there what it looks at.

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::world::{World, text};

/// Keys of the server besides, of the same secret: one may read, one is the owner's.
pub const READER: &str = "test:reader";
pub const OWNER: &str = "test:owner";

/// The server, which ends with this.
pub struct Store {
    child: Child,
    /// None once it is to end.
    input: RefCell<Option<ChildStdin>>,
    output: RefCell<BufReader<ChildStdout>>,
    pub url: String,
    pub id: String,
    pub secret: String,
}

impl Store {
    pub fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("s3-venv/bin/python");
        let mut command = Command::new(&python);
        // It says that a library of its own is old.
        command.args(["-W", "ignore"]).arg(root.join("scripts/s3.py"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let spawned = command.spawn();
        let mut child = spawned.unwrap_or_else(|error| {
            panic!("{python:?} is needed ({error}): `make test` installs it")
        });
        let input = RefCell::new(child.stdin.take());
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let said = answer(&mut output);
        let said = |name: &str| text(&said[name]).to_owned();
        let output = RefCell::new(output);
        let (url, id, secret) = (said("url"), said("id"), said("secret"));
        Self { child, input, output, url, id, secret }
    }

    /// Has `world` keep its backups here, under `live/`, with more in setpoint.toml.
    pub fn keeps(&self, world: &World, more: &str) {
        let url = &self.url;
        let section = format!(
            "[backups.s3]\nbucket = 'backups'\nprefix = 'live'\nendpoint = '{url}'\n{more}"
        );
        world.write("setpoint.toml", section);
        world.set_variable("AWS_ACCESS_KEY_ID", &self.id);
        world.set_variable("AWS_SECRET_ACCESS_KEY", &self.secret);
    }

    /// The names of all objects, in order.
    pub fn names(&self) -> Vec<String> {
        let names = self.ask(&json!({"do": "list"}))["names"].take();
        serde_json::from_value(names).unwrap()
    }

    pub fn get(&self, name: &str) -> Vec<u8> {
        let file = NamedTempFile::new().unwrap();
        self.ask(&json!({"do": "get", "name": name, "into": file.path()}));
        fs::read(file.path()).unwrap()
    }

    pub fn put(&self, name: &str, bytes: &[u8]) {
        let file = NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        self.ask(&json!({"do": "put", "name": name, "from": file.path()}));
    }

    pub fn remove(&self, name: &str) {
        self.ask(&json!({"do": "remove", "name": name}));
    }

    /// Puts `count` objects whose names begin with `name`.
    pub fn fill(&self, name: &str, count: u32) {
        self.ask(&json!({"do": "fill", "name": name, "count": count}));
    }

    /// How many uploads have begun and not ended.
    pub fn uploads(&self) -> Value {
        self.ask(&json!({"do": "uploads"}))["count"].take()
    }

    /// The requests since it was last asked: the method, or LIST, and `If-None-Match` or `-`.
    pub fn seen(&self) -> Vec<String> {
        serde_json::from_value(self.ask(&json!({"do": "seen"}))["requests"].take()).unwrap()
    }

    /// From now on: `fail` all requests of a method, be `deaf` to conditions, say of what is posted
    /// that all is well and only then what is not (`late`). And once: change a byte of what is put
    /// on its way (`corrupt`); `before` a request, as it would be seen, `put` an object of a name or
    /// change a byte of all that is stored (`flip`).
    pub fn trouble(&self, trouble: &Value) {
        self.ask(&json!({"do": "trouble", "is": trouble}));
    }

    fn ask(&self, command: &Value) -> Value {
        writeln!(self.input.borrow_mut().as_mut().unwrap(), "{command}").unwrap();
        answer(&mut self.output.borrow_mut())
    }
}

fn answer(output: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("s3.py: {error}: {line}"))
}

impl Drop for Store {
    fn drop(&mut self) {
        // It removes its disk then.
        drop(self.input.take());
        drop(self.child.wait());
    }
}
