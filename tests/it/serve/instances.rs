//! Several services on one PostgreSQL database.

use std::sync::mpsc;
use std::thread;

use serde_json::json;
use setpoint_client::types::Position;

use super::audience::{Audience, Places, newest};
use super::checker::assert_true;
use super::history::{History, Wants};
use super::server::Server;
use super::truth::Truth;
use super::wire::{Kind, Wire};
use super::writers::{self, Http, assert_kept};
use super::{CONFIGURATION, DEADLINE, ready, ready_with};
use crate::world::{World, block_on};

#[test]
fn two_instances_write_the_same_keys_and_clients_go_from_one_to_the_other() {
    let world = World::postgres();
    let (one, two) = (Server::start(ready(&world)), Server::start(&world));
    let addresses = vec![one.address, two.address];
    let audience = Audience::gather(&Places { addresses: addresses.clone(), token: None });

    let (done, acknowledged) = mpsc::channel();
    let (mut kept, mut last) = (Vec::new(), None);
    thread::scope(|scope| {
        for (number, name) in ["one", "two", "three", "four"].into_iter().enumerate() {
            let (done, address) = (done.clone(), addresses[number % 2]);
            scope.spawn(move || Http::to(address, name).insist(0..40, &done));
        }
        scope.spawn(|| writers::sql(&world, 6));
        drop(done);
        kept.extend((0..25).map(|_| acknowledged.recv_timeout(DEADLINE).unwrap()));
        let again = Server::start_at(&world, one.kill());
        kept.extend((0..25).map(|_| acknowledged.recv_timeout(DEADLINE).unwrap()));
        last = Some((again, Server::start_at(&world, two.kill())));
        kept.extend(&acknowledged);
    });
    writers::end(&world);

    let histories = audience.end(&world);
    let truth = Truth::of(&world);
    assert_true(&truth, &histories);
    assert_kept(&truth, &kept);
}

/// An instance that hears of nothing by itself.
const DEAF: &str = "poll_ms = 3600000\nwatch = false";

/// Listens to an instance that has not heard of what the client knows from another one already.
fn listen_to_one_that_is_behind(behind: impl FnOnce(&World)) {
    let world = World::postgres();
    ready_with(&world, &CONFIGURATION.replace("poll_ms = 200", DEAF));
    let deaf = Server::start(&world);
    let earlier = Truth::of(&world);
    behind(&world);
    let held = newest(&world);
    let truth = match earlier.newest().name == held.epoch {
        true => Truth::of(&world),
        false => Truth::of(&world).after(earlier),
    };

    let wants = Wants::default();
    let mut history = History::of("a client that knows more", &wants);
    // What it was told by the other instance.
    history.connected(None);
    history.heard(json!({"type": "Welcome"}));
    let settings = &truth.newest().settings(&wants)[usize::try_from(held.revision).unwrap()];
    let settings: Vec<_> = settings.values().collect();
    let Position { epoch, revision } = &held;
    history.heard(json!({"type": "SettingsReloaded", "epoch": epoch, "revision": revision,
        "namespace": "default", "reason": "hello", "settings": settings}));
    history.connected(Some(held.clone()));
    block_on(async {
        let wire = Wire::connect(Kind::Raw, deaf.address, None, &wants, Some(&held)).await;
        let mut wire = wire.unwrap();
        loop {
            let frame = wire.next().await.unwrap();
            let is_ping = frame["type"] == "Ping";
            history.heard(frame);
            if is_ping {
                break;
            }
        }
    });

    assert_true(&truth, &[history]);
}

#[test]
fn a_client_that_knows_more_than_an_instance_is_not_taken_back() {
    listen_to_one_that_is_behind(|world| {
        world.sql("UPDATE setting SET value = '5' WHERE key = 'end'");
    });
}

#[test]
fn a_client_that_knows_a_newer_epoch_than_an_instance_is_not_taken_back() {
    listen_to_one_that_is_behind(|world| {
        world.sql("UPDATE head SET epoch = 'restored'");
    });
}
