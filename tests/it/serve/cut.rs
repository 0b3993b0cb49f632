//! A network that is cut: one instance is in a network namespace, and reaches PostgreSQL through
//! a link that is taken down. Only root may make one: for others this test says so and does not
//! run.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;
use std::sync::mpsc;

use super::audience::{Audience, Places};
use super::checker::assert_true;
use super::server::Server;
use super::truth::Truth;
use super::writers::{self, Http, assert_kept};
use super::{CONFIGURATION, eventually, ready_with};
use crate::world::World;

/// A namespace with two links to it: one to the database, one for clients.
struct Apart {
    name: String,
    /// The first three numbers of the addresses of each link; `.1` is here, `.2` is there.
    database: String,
    clients: String,
}

impl Apart {
    fn new() -> Self {
        let number = std::process::id() % 16_000;
        let network = |it: u32| format!("10.{}.{}", 128 + number / 125, it + 2 * (number % 125));
        let name = format!("sp{number}");
        let apart = Self { name, database: network(0), clients: network(1) };
        ip(&["netns", "add", &apart.name]);
        for (link, network) in [("d", &apart.database), ("c", &apart.clients)] {
            let (here, there) = (apart.link(link), format!("{}t", apart.link(link)));
            ip(&["link", "add", &here, "type", "veth", "peer", "name", &there]);
            ip(&["link", "set", &there, "netns", &apart.name]);
            ip(&["addr", "add", &format!("{network}.1/24"), "dev", &here]);
            ip(&["link", "set", &here, "up"]);
            let inside = ["-n", apart.name.as_str()];
            let address = format!("{network}.2/24");
            ip(&[&inside[..], &["addr", "add", &address, "dev", &there]].concat());
            ip(&[&inside[..], &["link", "set", &there, "up"]].concat());
        }
        apart
    }

    fn link(&self, which: &str) -> String {
        format!("{}{which}", self.name)
    }

    /// Starts the service there, on the database of `world`.
    fn serve(&self, world: &World, token: &str) -> Server {
        let here = format!("@{}.1:", self.database);
        let database = world.database().replace("@127.0.0.1:", &here);
        let address: SocketAddr = format!("{}.2:8080", self.clients).parse().unwrap();
        let command = world.command(&["serve", "--listen", &address.to_string()]);
        let mut there = Command::new("ip");
        there.args(["netns", "exec", &self.name]).arg(command.get_program());
        let arguments = command.get_args().map(|it| it.to_str().unwrap());
        there.args(arguments.map(|it| if it == world.database() { &database } else { it }));
        there.current_dir(world.folder()).env_clear();
        there.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Server::spawn(there, address).with_token(token)
    }

    fn cut(&self) {
        ip(&["link", "set", &self.link("d"), "down"]);
    }

    fn mend(&self) {
        ip(&["link", "set", &self.link("d"), "up"]);
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // The links go with it.
        let mut delete = Command::new("ip");
        drop(delete.args(["netns", "delete", &self.name]).status());
    }
}

#[track_caller]
fn ip(arguments: &[&str]) {
    let done = Command::new("ip").args(arguments).output();
    let done = done.unwrap_or_else(|it| panic!("ip is needed ({it}): `make test` installs it"));
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Gives up on the database soon.
const IMPATIENT: &str = "\n[postgres]\nconnect_timeout_ms = 500\nlock_timeout_ms = 500\n";

#[test]
fn an_instance_that_is_cut_off_from_the_database_goes_on_where_it_was() {
    let world = World::postgres_alone();
    if std::fs::metadata(world.folder()).unwrap().uid() != 0 {
        return eprintln!("not run: only root may make network namespaces");
    }
    ready_with(&world, &format!("{CONFIGURATION}{IMPATIENT}"));
    let token = world.ok(&["token", "create", "all", "--role", "admin"]).trim().to_owned();
    let apart = Apart::new();
    world.server().admit(&format!("{}.0/24", apart.database));
    let here = Server::start(&world).with_token(&token);
    let there = apart.serve(&world, &token);
    let addresses = vec![here.address, there.address];
    let audience = Audience::gather(&Places { addresses, token: Some(token.clone()) });
    let (done, acknowledged) = mpsc::channel();
    let [near, far] = [(&here, "near"), (&there, "far")].map(|(it, name)| Http {
        to: it.address,
        token: Some(token.clone()),
        name,
    });
    near.write_all(0..10, &done);
    far.write_all(0..10, &done);

    apart.cut();
    near.write_all(10..30, &done);
    let refused = there.put("/api/settings/a.k0", r#"{"value": "far and cut off"}"#);
    assert_eq!(refused.status, 503, "{refused}");
    assert_eq!(there.get("/api/settings/other").status, 200);
    eventually("the one that is cut off says so", || there.get("/ready").status == 503);
    assert_eq!(here.get("/ready").status, 200);
    apart.mend();
    far.insist(30..50, &done);
    near.write_all(50..60, &done);
    writers::end(&world);

    let histories = audience.end(&world);
    drop(done);
    let truth = Truth::of(&world);
    assert_true(&truth, &histories);
    assert_kept(&truth, &acknowledged.iter().collect::<Vec<_>>());
    eventually("it is ready again", || there.get("/ready").status == 200);
    let never = world.sql("SELECT count(*) FROM change WHERE after LIKE '%far and cut off%'");
    assert_eq!(never, "0", "what was refused is not made later");
}
