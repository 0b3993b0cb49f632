//! The service under faults: whatever happens, every client is told every revision that it asked
//! for, once and in order, and what the service says is done is done.
//!
//! Clients write down what they are told (`audience`), the change log is read at the end
//! (`truth`), and `checker` compares the two.

use std::sync::Arc;
use std::time::{Duration, Instant};

use setpoint_ops::live::{Declared, Policy};
use setpoint_ops::schema::Schema;
use setpoint_ops::secret::Rules;

use crate::world::World;

mod access;
mod audience;
mod checker;
mod confirm;
mod cut;
mod health;
mod history;
mod http;
mod instances;
mod killed;
mod life;
mod meaning;
mod operate;
mod plain;
mod rest;
pub mod server;
mod slow;
mod sockets;
mod trouble;
mod truth;
mod wire;
mod writers;

pub use history::Wants;
pub use server::Server;
pub use wire::{Kind, Wire};

/// A service of a world as it is.
pub fn plain(world: &World) -> Server {
    Server::start(world)
}

/// How long anything may take before it counts as never happening. Nothing waits for it to pass.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Two declared layers, and a quick pulse.
const CONFIGURATION: &str = "\
[server]
heartbeat_ms = 50
client_timeout_ms = 2000
poll_ms = 200

[namespaces.default]
layers = ['site']
";

/// A world with some settings, under [`CONFIGURATION`].
fn ready(world: &World) -> &World {
    ready_with(world, CONFIGURATION)
}

fn ready_with<'w>(world: &'w World, configuration: &str) -> &'w World {
    world.write("setpoint.toml", configuration);
    world.migrate(
        "a: {k0: x, k1: x, k2: x}\nb: {k0: x, k1: x, k2: {deep: x}}\nother: [1, 2]\nend: 0\n",
    );
    world
}

/// An epoch as clients are told it: with what [`CONFIGURATION`] declares, and in a world that has
/// a schema with that and with [`meaning::SECRET`].
fn as_told(world: &World, epoch: &str) -> String {
    let layers = ["base", "site"].map(str::to_owned).into();
    let is_ruled = world.path(meaning::SCHEMA_FILE).exists();
    let schema = is_ruled.then(|| Schema::read(&world.read(meaning::SCHEMA_FILE)).unwrap());
    let secret = is_ruled.then(|| meaning::SECRET.parse().unwrap()).into_iter().collect();
    let secrets = Rules { secret, ..Rules::default() };
    let space = Declared { layers, secrets, schema: schema.map(Arc::new) };
    let policy = Policy::new([("default".to_owned(), space)].into());
    format!("{epoch}.{}", policy.fingerprint().unwrap())
}

/// Waits until `holds`, where nothing tells of it.
#[track_caller]
pub fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "it never comes that {what}");
        std::thread::sleep(audience::PATIENCE);
    }
}
