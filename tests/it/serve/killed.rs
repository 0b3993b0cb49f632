//! The service, or the database behind it, is killed while others write.

use std::sync::mpsc::{self, Receiver};
use std::thread;

use super::audience::{Audience, Places};
use super::checker::assert_true;
use super::server::Server;
use super::truth::Truth;
use super::writers::{self, Acknowledged, Http, assert_kept};
use super::{DEADLINE, ready};
use crate::world::World;

on_both![a_service_that_is_killed_loses_nothing_that_it_has_acknowledged,];

fn a_service_that_is_killed_loses_nothing_that_it_has_acknowledged(world: &World) {
    let server = Server::start(ready(world));
    let address = server.address;
    let audience = Audience::gather(&Places { addresses: vec![address], token: None });

    let (done, acknowledged) = mpsc::channel();
    let (mut kept, mut last) = (Vec::new(), None);
    thread::scope(|scope| {
        for name in ["one", "two", "three"] {
            let done = done.clone();
            scope.spawn(move || Http::to(address, name).insist(0..35, &done));
        }
        drop(done);
        kept.extend(some(&acknowledged));
        let again = Server::start_at(world, server.kill());
        kept.extend(some(&acknowledged));
        last = Some(Server::start_at(world, again.kill()));
        kept.extend(&acknowledged);
    });
    writers::end(world);

    let histories = audience.end(world);
    let truth = Truth::of(world);
    assert_true(&truth, &histories);
    assert_kept(&truth, &kept);
    drop(last);
    world.ok(&["verify"]);
}

/// The next of those that are done.
fn some(acknowledged: &Receiver<Acknowledged>) -> Vec<Acknowledged> {
    (0..25).map(|_| acknowledged.recv_timeout(DEADLINE).unwrap()).collect()
}

#[test]
fn a_postgres_server_that_is_killed_and_comes_back_is_gone_on_with() {
    let world = World::postgres_alone();
    let server = Server::start(ready(&world));
    let address = server.address;
    let audience = Audience::gather(&Places { addresses: vec![address], token: None });

    let (done, acknowledged) = mpsc::channel();
    let mut kept = Vec::new();
    thread::scope(|scope| {
        for name in ["one", "two", "three"] {
            let done = done.clone();
            scope.spawn(move || Http::to(address, name).insist(0..35, &done));
        }
        drop(done);
        for _ in 0..2 {
            kept.extend(some(&acknowledged));
            world.server().stop();
            world.server().start();
        }
        kept.extend(&acknowledged);
    });
    writers::end(&world);

    let histories = audience.end(&world);
    let truth = Truth::of(&world);
    assert_true(&truth, &histories);
    assert_kept(&truth, &kept);
    let cut_off = histories.iter().filter(|it| it.connections.len() > 1).count();
    assert_eq!(cut_off, 0, "clients of the service need not know of it");
}
