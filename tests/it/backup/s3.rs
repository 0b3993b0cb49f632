//! Backups in a bucket of a real store.

use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::store::{OWNER, READER, Store};
use super::{assert_sound, ready, settings};
use crate::serve::Server;
use crate::world::{World, free_address, text};

on_both![
    a_backup_is_made_in_the_bucket_and_restored_from_it,
    jobs_and_the_service_work_on_the_bucket,
];

/// As [`ready`], with backups in a bucket.
pub fn kept(world: &World) -> Store {
    ready(world);
    let store = Store::start();
    store.keeps(world, "");
    store
}

fn names(world: &World) -> Vec<String> {
    let listed = world.json(&["backup", "list"]);
    listed.as_array().unwrap().iter().map(|it| text(&it["name"]).to_owned()).collect()
}

fn a_backup_is_made_in_the_bucket_and_restored_from_it(world: &World) {
    let store = kept(world);
    let before = settings(world);

    let made = world.json(&["backup", "create", "first"]);

    assert_eq!(store.names(), ["live/first.setpoint.tar"]);
    assert_eq!(made["size_bytes"], store.get("live/first.setpoint.tar").len());
    let listed = world.json(&["backup", "list"]);
    assert_eq!((&listed[0]["sha256"], &listed[0]["revision"]), (&Value::Null, &5.into()));
    assert_eq!(listed[0]["verified_at"], made["verified_at"]);
    assert!(world.ok(&["backup", "verify", "first"]).starts_with("first: whole"));
    world.ok(&["set", "http.port", "1"]);
    let done = world.json(&["backup", "restore", "first", "--yes"]);
    assert_eq!(settings(world), before);
    let safe = text(&done["safety_backup"]);
    assert_eq!(names(world), ["first", safe]);
    // The folder is for the work alone.
    let left = fs::read_dir(world.path("backups")).unwrap();
    let left: Vec<_> = left.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    assert!(left.iter().all(|it| it.starts_with("pre_migration")), "{left:?}");
    assert_sound(world);
}

fn jobs_and_the_service_work_on_the_bucket(world: &World) {
    let store = kept(world);
    let jobs = ["backup", "verify-backups", "retention"];
    let jobs =
        jobs.map(|it| format!("[[job]]\nname = '{it}'\nverb = '{it}'\ncron = '0 3 1 1 *'\n"));
    store.keeps(world, &format!("[backups.retention]\nkeep_last = 1\n{}", jobs.concat()));
    world.ok(&["backup", "create", "old"]);

    world.ok(&["jobs", "run", "backup"]);
    world.ok(&["jobs", "run", "verify-backups"]);
    world.ok(&["jobs", "run", "retention"]);

    let newest = names(world);
    assert!(newest.len() == 1 && newest[0].ends_with("-r5"), "{newest:?}");
    let admin = world.ok(&["token", "create", "admin", "--role", "admin"]);
    let server = Server::start(world).with_token(admin.trim_end());
    let send = |method: &str, path: &str, status: u16| {
        let answer = server.send(method, &format!("/api/backups{path}"), "{\"name\": \"own\"}");
        assert_eq!(answer.status, status, "{method} {path}: {answer}");
        answer
    };
    send("POST", "", 201);
    send("POST", "/own/verify", 200);
    assert_eq!(send("GET", "", 200).json()[1]["name"], "own");
    assert_eq!(send("GET", "/none", 404).json()["code"], "backup::unknown");
    assert_eq!(send("DELETE", "/own", 409).json()["code"], "backup::last_verified");
    send("DELETE", "/own?force=true", 204);
    assert_eq!(send("DELETE", "/own", 404).json()["code"], "backup::unknown");
    assert_eq!(store.names(), [format!("live/{}.setpoint.tar", newest[0])]);
}

/// Settings that do not become small: their archive goes in parts.
pub fn large(world: &World) {
    let script = "head -c 3000000 /dev/urandom | base64 -w 100000 | sed 's/.*/- &/'";
    let made = std::process::Command::new("sh").args(["-c", script]).output().unwrap();
    world.migrate(&format!("noise:\n{}", String::from_utf8(made.stdout).unwrap()));
}

#[test]
fn a_large_archive_goes_in_parts_and_none_is_left_behind() {
    let (world, store) = (World::sqlite(), Store::start());
    large(&world);
    store.keeps(&world, "");

    world.ok(&["backup", "create", "first"]);

    let seen = store.seen();
    let parts = seen.iter().filter(|it| *it == "PUT -").count();
    assert!(parts > 1 && !seen.contains(&"PUT *".to_owned()), "{seen:?}");
    assert!(seen.contains(&"POST *".to_owned()), "{seen:?}");
    assert_eq!(store.uploads(), 0);
    world.ok(&["backup", "verify", "first"]);

    store.trouble(&json!({"fail": "PUT"}));
    let refusal = world.refusal(&["backup", "create", "second"]);
    assert!(refusal.starts_with("1 backup::store_failed; "), "{refusal}");
    assert_eq!((names(&world), store.uploads()), (vec!["first".to_owned()], 0.into()));
}

#[test]
fn a_key_that_may_only_read_reads() {
    let world = World::sqlite();
    let store = kept(&world);
    world.ok(&["backup", "create", "first"]);
    world.set_variable("AWS_ACCESS_KEY_ID", READER);

    assert_eq!(names(&world), ["first"]);
    assert!(world.ok(&["backup", "verify", "first"]).starts_with("first: whole"));
    for arguments in
        [&["backup", "create", "second"][..], &["backup", "remove", "first", "--force", "--yes"]]
    {
        let refusal = world.refusal(arguments);
        assert!(refusal.starts_with("1 backup::store_refused; "), "{refusal}");
    }
    assert_eq!(store.names(), ["live/first.setpoint.tar"]);
}

#[test]
fn the_bucket_may_stand_in_the_name_of_the_host() {
    let world = World::sqlite();
    let store = kept(&world);
    let written = world.read("setpoint.toml").replace("127.0.0.1", "localhost");
    world.write("setpoint.toml", format!("{written}path_style = false\n"));
    // Names of hosts before `.localhost` are not known everywhere: they are the proxy's to find.
    world.set_variable("HTTP_PROXY", &store.url);

    world.ok(&["backup", "create", "first"]);

    assert_eq!(names(&world), ["first"]);
    world.ok(&["backup", "restore", "first", "--yes"]);
    assert_eq!(store.names()[0], "live/first.setpoint.tar");
}

#[test]
fn what_else_lies_in_the_bucket_is_left_alone_whatever_it_is_called() {
    let world = World::sqlite();
    let store = kept(&world);
    world.ok(&["backup", "create", "first"]);
    world.ok(&["backup", "create", "second"]);
    let foreign = [
        "first.setpoint.tar",
        "live//deep.setpoint.tar",
        "live/../up.setpoint.tar",
        "live/.hidden.setpoint.tar",
        "live/-dash.setpoint.tar",
        "live/a\nb.setpoint.tar",
        "live/below/first.setpoint.tar",
        "live/first",
        "live/first.setpoint.tar.bak",
        "live/notes.txt",
        "live/ü.setpoint.tar",
    ];
    for name in foreign {
        store.put(name, b"foreign");
    }
    store.fill("live/many-", 50);

    assert_eq!(names(&world), ["first", "second"]);
    let refusal = world.refusal(&["backup", "verify", "notes.txt"]);
    assert!(refusal.starts_with("1 backup::unknown; "), "{refusal}");
    store.keeps(&world, "[backups.retention]\nkeep_last = 1\n");
    world.ok(&["backup", "prune", "--yes"]);
    assert_eq!(names(&world), ["second"]);
    let left = store.names();
    assert!(foreign.iter().all(|it| left.contains(&(*it).to_owned())), "{left:?}");
}

#[test]
fn what_is_no_whole_archive_in_the_bucket_is_listed_as_such() {
    let world = World::sqlite();
    let store = kept(&world);
    world.ok(&["backup", "create", "first"]);
    let whole = store.get("live/first.setpoint.tar");

    for end in [0, 300, 600, 20_000, whole.len() - 1025] {
        store.put("live/strange.setpoint.tar", &whole[..end]);

        let listed = world.json(&["backup", "list"]);
        assert_eq!(listed.as_array().unwrap().len(), 2, "cut at {end}");
        for arguments in
            [&["backup", "verify", "strange"][..], &["backup", "restore", "strange", "--yes"]]
        {
            let refusal = world.refusal(arguments);
            assert!(refusal.starts_with("1 backup::damaged; "), "cut at {end}: {refusal}");
        }
    }
    assert_sound(&world);
}

#[test]
fn a_store_that_refuses_or_is_not_there_is_told_and_the_key_is_not() {
    let world = World::sqlite();
    let store = kept(&world);
    world.ok(&["backup", "create", "first"]);
    let address = free_address().to_string();
    let told = |case: &str| {
        let mut said = String::new();
        for arguments in [
            &["backup", "create", "second"][..],
            &["backup", "create"],
            &["backup", "list"],
            &["backup", "verify", "first"],
            &["backup", "restore", "first", "--yes"],
        ] {
            let refusal = world.refusal(arguments);
            let refusal = refusal.replace(&store.url, "[store]").replace(&address, "[nowhere]");
            assert!(said.is_empty() || said == refusal, "{case}: {refusal}");
            said = refusal;
        }
        assert!(!said.contains(&store.id) && !said.contains("wrong key"), "{said}");
        said
    };

    world.set_variable("AWS_SECRET_ACCESS_KEY", "wrong key");
    assert_snapshot!(told("wrong secret"), @"1 backup::store_refused; s3://backups/live at [store] refuses access: 403 SignatureDoesNotMatch; nothing was changed; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, what they may do there (list, get, put, delete), and the clock of this machine");
    world.set_variable("AWS_SECRET_ACCESS_KEY", "");
    assert_snapshot!(told("no secret"), @"1 backup::no_credentials; there is no variable AWS_SECRET_ACCESS_KEY, and s3://backups/live at [store] wants a key; nothing was changed; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN if there is one");
    store.keeps(&world, "");
    let written = world.read("setpoint.toml");
    world.write("setpoint.toml", written.replace("'backups'", "'elsewhere'"));
    world.set_variable("AWS_ACCESS_KEY_ID", OWNER);
    assert_snapshot!(told("no bucket"), @"1 backup::no_bucket; there is no bucket s3://elsewhere/live at [store]; nothing was changed; make it there, or mend [backups.s3] bucket or endpoint");
    world.write("setpoint.toml", format!("{written}region = 'eu-central-1'\n"));
    assert_snapshot!(told("other region"), @"1 backup::wrong_region; s3://backups/live at [store] is not in the region eu-central-1; nothing was changed; mend [backups.s3] region");
    let nowhere = format!("http://{address}");
    world.write("setpoint.toml", written.replace(&store.url, &nowhere));
    assert_snapshot!(told("nobody there"), @"1 backup::store_unreachable; s3://backups/live at http://[nowhere] cannot be reached: no connection can be made: Connection refused (os error 111); nothing was changed; check [backups.s3] endpoint, the network, and that store");
    world.write("setpoint.toml", &written);
    assert_eq!((names(&world), store.names().len()), (vec!["first".to_owned()], 1));
}

#[test]
fn whether_a_key_may_write_is_tried_out_and_nothing_stays() {
    let world = World::sqlite();
    let store = kept(&world);
    world.ok(&["backup", "create", "first"]);
    let names = store.names();
    let bucket = || {
        let checks = world.json(&["doctor"]);
        let found = checks.as_array().unwrap().iter().find(|it| it["check"] == "bucket");
        text(&found.unwrap()["says"]).replace(&store.url, "[store]")
    };

    store.seen();
    assert_eq!(bucket(), "s3://backups/live at [store]");
    let seen = store.seen();
    let tried = ["PUT *", "GET -", "DELETE -"].map(str::to_owned);
    assert!(seen.windows(3).any(|it| *it == tried), "{seen:?}");
    assert_eq!(store.names(), names);
    world.set_variable("AWS_ACCESS_KEY_ID", READER);
    assert_snapshot!(bucket(), @"nothing can be put there: s3://backups/live at [store] refuses access: 403 AccessDenied; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, what they may do there (list, get, put, delete), and the clock of this machine");
    assert_eq!((world.run(&["doctor"]).status, store.names()), (1, names.clone()));

    // What is left there is in nobody's way, and goes with the next look.
    store.keeps(&world, "");
    store.trouble(&json!({"fail": "DELETE"}));
    assert_snapshot!(bucket(), @"what is put there cannot be removed, and `live/-setpoint-doctor` stays: s3://backups/live at [store] answers 503; try again, and look at what that store says of itself");
    assert_eq!(store.names().len(), 2);
    assert_eq!(world.json(&["backup", "list"]).as_array().unwrap().len(), 1);
    store.trouble(&json!({}));
    assert_eq!((bucket(), store.names()), ("s3://backups/live at [store]".to_owned(), names));
}

#[test]
fn the_configuration_names_the_bucket_and_the_key_is_nowhere() {
    let world = World::sqlite();
    let store = kept(&world);
    world.ok(&["backup", "create", "first"]);

    let shown = [&["config", "show"][..], &["doctor"], &["backup", "list", "--json"]];
    let shown = shown.map(|it| world.run(it).to_string()).concat();

    assert!(shown.contains(r#""bucket":"backups""#), "{shown}");
    assert!(shown.contains(&format!("ok     s3://backups/live at {}", store.url)), "{shown}");
    let files = world.files().into_values().flatten().collect::<Vec<_>>();
    let files = String::from_utf8_lossy(&files);
    for secret in [&store.secret, &store.id] {
        assert!(!shown.contains(secret.as_str()) && !files.contains(secret.as_str()));
    }
    world.write("setpoint.toml", "[backups.s3]\nbucket = 'b'\nendpoint = 'http://s3.test'\n");
    assert_snapshot!(world.refusal(&["backup", "list"]), @"1 config::invalid; `backups.s3` in setpoint.toml: has an endpoint that others on the way can read: use https://, or say allow_http = true; mend it there; nothing was done");
    world.write("setpoint.toml", "[backups.s3]\nbucket = 'b'\nendpoint = 'https://a:b@s3.test'\n");
    assert!(!world.refusal(&["backup", "list"]).contains("a:b"));
}
