//! Nothing goes wrong.

use std::sync::mpsc;
use std::thread;

use super::audience::{Audience, Places};
use super::checker::assert_true;
use super::ready;
use super::server::Server;
use super::truth::Truth;
use super::writers::{self, Http, assert_kept};
use crate::world::World;

on_both![everybody_hears_of_every_change_whoever_makes_it,];

fn everybody_hears_of_every_change_whoever_makes_it(world: &World) {
    let server = Server::start(ready(world));
    let address = server.address;
    let places = Places { addresses: vec![address], token: None };
    let audience = Audience::gather(&places);

    let (done, acknowledged) = mpsc::channel();
    thread::scope(|scope| {
        for name in ["one", "two", "three"] {
            let done = done.clone();
            scope.spawn(move || Http::to(address, name).write_all(0..32, &done));
        }
        scope.spawn(|| writers::set(world, 4));
        scope.spawn(|| writers::sql(world, 12));
    });
    drop(done);
    writers::end(world);

    let histories = audience.end(world);
    let truth = Truth::of(world);
    assert_true(&truth, &histories);
    assert_kept(&truth, &acknowledged.iter().collect::<Vec<_>>());
}
