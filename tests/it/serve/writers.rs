//! Those who write while others listen: over HTTP, by the command line, by plain SQL.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Instant;

use serde_json::json;

use super::audience::PATIENCE;
use super::truth::Truth;
use super::{DEADLINE, http};
use crate::world::World;

/// A change that the service has said is made.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    pub revision: i64,
    pub key: String,
    pub layer: &'static str,
    /// None if it was deleted.
    pub value: Option<String>,
}

/// One who writes over HTTP.
#[derive(Clone)]
pub struct Http {
    pub to: SocketAddr,
    pub token: Option<String>,
    pub name: &'static str,
}

const KEYS: [&str; 6] = ["a.k0", "a.k1", "a.k2", "b.k0", "b.k1", "b.k2.deep"];

/// Where changes are made, in turns: keys that hide one another from layer to layer, too.
const PLACES: [(&str, &str); 14] = [
    ("a.k0", "base"),
    ("a.k1", "base"),
    ("a.k1", "site"),
    ("a.k2", "user:ann"),
    ("b.k0", "base"),
    ("b.k0", "user:bob"),
    ("b.k1", "site"),
    ("b.k2.deep", "base"),
    ("a.tree", "site"),
    ("a.tree.leaf", "base"),
    ("a.tree", "user:ann"),
    ("b.k2", "user:bob"),
    ("a.tree.leaf", "user:ann2"),
    ("b.k2.deep", "base"),
];

impl Http {
    pub fn to(to: SocketAddr, name: &'static str) -> Self {
        Self { to, token: None, name }
    }

    /// Makes the change `number`, of a series in which keys, layers and deletions come in turns.
    /// None if nothing had to be changed: a try before had done it, though nobody heard of it.
    ///
    /// # Errors
    ///
    /// If the service is gone, or says something else than that it is done.
    pub fn write(&self, number: usize) -> io::Result<Option<Acknowledged>> {
        let (key, layer) = PLACES[number % PLACES.len()];
        let path = format!("/api/settings/{key}?layer={layer}&reason=number+{number}");
        let value = format!("{} {number}", self.name);
        let token = self.token.as_deref();
        let answer = match number % 11 {
            10 => http::send(self.to, token, "DELETE", &path, "")?,
            _ => {
                let body = json!({"value": value, "type": "string"}).to_string();
                http::send(self.to, token, "PUT", &path, &body)?
            }
        };
        match answer.status {
            200 => {
                let (key, value) = (key.to_owned(), (number % 11 != 10).then_some(value));
                let revision = answer.json()["revision"].as_i64();
                Ok(revision.map(|revision| Acknowledged { revision, key, layer, value }))
            }
            404 if number % 11 == 10 => Ok(None),
            _ => Err(io::Error::other(answer.to_string())),
        }
    }

    /// Makes the changes `numbers`, and tells of each that is done.
    pub fn write_all(&self, numbers: Range<usize>, done: &Sender<Acknowledged>) {
        for number in numbers {
            let written = self.write(number);
            let written = written.unwrap_or_else(|error| panic!("{}: {error}", self.name));
            written.into_iter().for_each(|it| done.send(it).unwrap());
        }
    }

    /// The same where the service may be away for a while: each is tried until it is done.
    pub fn insist(&self, numbers: Range<usize>, done: &Sender<Acknowledged>) {
        for number in numbers {
            let start = Instant::now();
            let written = loop {
                match self.write(number) {
                    Ok(written) => break written,
                    Err(error) if error.kind() == ErrorKind::Other && !is_passing(&error) => {
                        panic!("{}: {error}", self.name)
                    }
                    Err(error) => assert!(start.elapsed() < DEADLINE, "{}: {error}", self.name),
                }
                // Others are to have the processor.
                thread::sleep(PATIENCE);
            };
            written.into_iter().for_each(|it| done.send(it).unwrap());
        }
    }
}

/// Whether the service says that it is its database that is away.
fn is_passing(error: &io::Error) -> bool {
    error.to_string().starts_with("HTTP/1.1 503 ")
}

/// What was acknowledged is in the log, as it was said.
#[track_caller]
pub fn assert_kept(truth: &Truth, acknowledged: &[Acknowledged]) {
    for it in acknowledged {
        let Acknowledged { revision, key, layer, value } = it;
        let changes = &truth.newest().revision(*revision).changes;
        let value = value.as_ref().map(|it| json!(it));
        let kept =
            changes.iter().any(|it| it.layer == *layer && it.key == *key && it.after == value);
        assert!(kept, "lost: {it:?}; there is {changes:?}");
    }
}

/// Sets by the command line.
pub fn set(world: &World, count: usize) {
    for number in 0..count {
        world.ok(&["set", KEYS[number % 6], &format!("set {number}"), "--type", "string"]);
    }
}

/// Writes by sqlite3 or psql: one key, several, a new one, and takes that away.
pub fn sql(world: &World, count: usize) {
    for number in 0..count {
        let value = format!(r#""sql {number}""#);
        let of = |keys: &str| {
            format!("UPDATE setting SET value = '{value}' WHERE layer = 'base' AND key {keys}")
        };
        world.sql(&match number % 4 {
            0 => of("= 'a.k1'"),
            1 => of("LIKE 'b.%'"),
            2 => format!(
                "INSERT INTO setting (namespace, layer, key, value, value_type)
                 VALUES ('default', 'base', 'b.new', '{value}', 'string')"
            ),
            _ => "DELETE FROM setting WHERE key = 'b.new'".to_owned(),
        });
    }
}

/// Changes a key that everybody wants to hear of.
pub fn end(world: &World) {
    world.sql("UPDATE setting SET value = '1' WHERE key = 'end'");
}
