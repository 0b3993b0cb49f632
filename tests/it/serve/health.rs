//! `setpoint health`, as a container asks it.

use std::fs;

use insta::assert_snapshot;

use super::{Server, eventually};
use crate::world::{World, free_address};

#[test]
fn a_service_is_asked_whether_it_is_well() {
    let world = World::sqlite();
    world.migrate("a: 1\n");
    let server = Server::start(&world);
    let url = server.url();
    let ask = || world.run(&["health", "--url", &url]);

    let well = ask();
    let json = world.json(&["health", "--url", &url]);
    let secure = world.refusal(&["health", "--url", &url.replace("http:", "https:")]);
    let below = world.refusal(&["health", "--url", &format!("{url}/api/")]);
    fs::rename(world.path("setpoint.db"), world.path("away.db")).unwrap();
    eventually("it says that it is not ready", || ask().status == 1);
    let ill = ask();
    drop(server);
    let gone = world.refusal(&["health", "--url", &url]);

    let told = format!("{url}: ready, revision 1\ndatabase: ok\nsnapshot: ok, compared ");
    assert!(well.status == 0 && well.stdout.starts_with(&told), "{well}");
    assert_eq!((&json["status"], &json["revision"]), (&"ready".into(), &1.into()));
    assert!(ill.stdout.starts_with(&format!("{url}: not ready, revision 1\n")), "{ill}");
    assert!(ill.stdout.contains("database: not ok, "), "{ill}");
    assert_snapshot!(secure.replace(&url[4..], "[url]"), @"1 client::no_tls; what answers at https[url] does not speak TLS; try http:// in place of https://; or have the service given a certificate");
    assert_snapshot!(below.replace(&url[4..], "[url]"), @"1 client::address; `http[url]/api` is no address of a service: there is nothing of it below `/api`; leave that out; write it as in http://127.0.0.1:8080");
    assert!(gone.starts_with("1 client::unreachable; "), "{gone}");
    // Asking makes no database.
    assert!(!world.path("setpoint.db").exists());
}

#[test]
fn without_an_address_the_service_of_the_configuration_is_asked() {
    let world = World::sqlite();
    world.migrate("a: 1\n");
    let port = free_address().port();
    world.write("setpoint.toml", format!("[server]\nlisten = '127.0.0.1:{port}'\n"));
    let refused = world.refusal(&["health"]);
    let server = Server::start_at(&world, ([127, 0, 0, 1], port).into());

    let well = world.run(&["health"]);
    // Of all addresses it is asked at that of this machine.
    world.set_variable("SETPOINT_SERVER__LISTEN", format!("0.0.0.0:{port}").as_str());
    let every = world.run(&["health"]);

    drop(server);
    assert!(refused.contains(&format!("http://127.0.0.1:{port}")), "{refused}");
    for ran in [well, every] {
        let told = format!("http://127.0.0.1:{port}: ready, revision 1\n");
        assert!(ran.status == 0 && ran.stdout.starts_with(&told), "{ran}");
    }
}

#[test]
fn a_token_that_is_refused_is_told_and_the_service_is_as_well_as_it_is() {
    let world = World::sqlite();
    world.migrate("a: 1\n");
    let token = world.ok(&["token", "create", "ops", "--role", "viewer"]).trim().to_owned();
    let old = world.ok(&["token", "create", "old", "--role", "viewer"]).trim().to_owned();
    world.ok(&["token", "revoke", "old", "--yes"]);
    let server = Server::start(&world);
    let ask = |token: &str| world.run(&["health", "--url", &server.url(), "--token", token]);

    let (known, revoked, bad) = (ask(&token), ask(&old), ask("bad"));

    assert_eq!((known.status, known.stderr.as_str()), (0, ""));
    assert!(known.stdout.contains("snapshot: ok, compared "), "{known}");
    let told = "the token was refused: token `old` was revoked at ";
    assert!(revoked.stderr.starts_with(told), "{revoked}");
    assert_snapshot!(bad.stderr, @"the token was refused: this is no token (token::malformed); a token is `sp_` and 36 letters and digits; was all of it copied, and nothing else?");
    for ran in [revoked, bad] {
        assert!(ran.status == 0 && ran.stdout.contains("snapshot: ok\n"), "{ran}");
    }
}
