//! Backups that are encrypted: what they are, and that everything works with them.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::store::Store;
use super::{archive, assert_sound, ready, settings};
use crate::serve::Server;
use crate::world::{World, fed, text};

on_both![
    an_encrypted_backup_restores_into_either_database,
    parts_and_moments_come_back_from_an_encrypted_backup,
    nothing_of_the_content_or_of_the_key_is_in_an_encrypted_archive,
    jobs_and_the_service_take_and_read_encrypted_backups,
    the_safety_backup_and_those_before_steps_are_encrypted_too,
    an_archive_that_is_not_encrypted_still_restores,
];

/// What `ready` configures.
const LAYERS: &str = "[namespaces.default]\nlayers = ['site']\n";

/// Makes an identity in the file `name`. Gives its recipient.
pub(super) fn key(world: &World, name: &str) -> String {
    let path = world.path(name);
    fed(Command::new("age-keygen").arg("-o").arg(&path), "").unwrap();
    fed(Command::new("age-keygen").arg("-y").arg(&path), "").unwrap()
}

/// The private key in the file `name`.
pub(super) fn secret(world: &World, name: &str) -> String {
    world.read(name).lines().last().unwrap().to_owned()
}

/// Has new backups encrypted to `recipients`, and read with `file`.
pub(super) fn encrypt(world: &World, recipients: &[&str], file: &str) {
    let table = format!(
        "{LAYERS}[backups.encryption]\nrecipients = {}\n{file}\n",
        serde_json::to_string(recipients).unwrap()
    );
    world.write("setpoint.toml", table);
}

/// As [`ready`], with encrypted backups. Gives the recipient.
pub(super) fn encrypting(world: &World) -> String {
    ready(world);
    from_now_on(world)
}

/// Has backups encrypted to a new key.
fn from_now_on(world: &World) -> String {
    let recipient = key(world, "key.txt");
    encrypt(world, &[&recipient], "identity_file = 'key.txt'");
    recipient
}

fn other(world: &World) -> World {
    if world.is_postgres() { World::sqlite() } else { World::postgres() }
}

fn an_encrypted_backup_restores_into_either_database(world: &World) {
    let recipient = encrypting(world);
    let before = settings(world);

    let made = world.json(&["backup", "create", "first"]);

    let listed = world.json(&["backup", "list"]);
    for told in [&made, &listed[0]] {
        assert_eq!(told["encryption"], json!({"recipients": [recipient]}));
        assert_eq!(told["format"], 2);
        let names = told["members"].as_array().unwrap().iter().map(|it| text(&it["name"]));
        assert!(names.clone().count() > 0 && names.clone().all(|it| it.ends_with(".zst.age")));
    }
    assert!(world.ok(&["backup", "list"]).contains("verified, encrypted"));
    assert!(world.ok(&["backup", "verify", "first"]).starts_with("first: whole"));
    world.ok(&["set", "http.port", "1"]);
    world.ok(&["backup", "restore", "first", "--yes"]);
    assert_eq!(settings(world), before);
    let other = other(world);
    other.write("setpoint.toml", world.read("setpoint.toml"));
    fs::copy(world.path("key.txt"), other.path("key.txt")).unwrap();
    other.write("backups/first.setpoint.tar", fs::read(archive(world, "first")).unwrap());
    other.ok(&["backup", "restore", "first", "--yes"]);
    assert_eq!(settings(&other), before);
    for world in [world, &other] {
        assert_sound(world);
    }
}

fn parts_and_moments_come_back_from_an_encrypted_backup(world: &World) {
    encrypting(world);
    world.ok(&["backup", "create", "first"]);
    world.ok(&["set", "http.port", "1"]);

    world.ok(&["backup", "restore", "first", "--only", "http.port", "--yes"]);
    assert_eq!(world.get("http.port"), "8080");
    world.ok(&["backup", "restore", "first", "--at", "1", "--yes"]);

    assert_eq!((world.get("http.port"), world.get("old")), ("80".to_owned(), "1.0".to_owned()));
    assert_sound(world);
}

fn nothing_of_the_content_or_of_the_key_is_in_an_encrypted_archive(world: &World) {
    ready(world).ok(&["set", "http.host", "canary-7b1f04de95.example"]);
    world.ok(&["backup", "create", "plain"]);
    from_now_on(world);
    world.ok(&["backup", "create", "sealed"]);

    let [plain, sealed] = ["plain", "sealed"].map(|it| fs::read(archive(world, it)).unwrap());

    let has = |whole: &[u8], part: &[u8]| whole.windows(part.len()).any(|it| it == part);
    // How what is packed by zstd begins.
    let packed = [0x28, 0xb5, 0x2f, 0xfd];
    assert!(has(&plain, &packed) && !has(&sealed, &packed));
    assert!(has(&sealed, b"age-encryption.org/v1\n"));
    for part in ["canary-7b1f04de95", "http.host", &secret(world, "key.txt")] {
        assert!(!has(&sealed, part.as_bytes()), "{part}");
    }
}

fn jobs_and_the_service_take_and_read_encrypted_backups(world: &World) {
    encrypting(world);
    let jobs = ["backup", "verify-backups"];
    let jobs =
        jobs.map(|it| format!("[[job]]\nname = '{it}'\nverb = '{it}'\ncron = '0 3 1 1 *'\n"));
    world.write("setpoint.toml", world.read("setpoint.toml") + &jobs.concat());

    world.ok(&["jobs", "run", "backup"]);
    world.ok(&["jobs", "run", "verify-backups"]);

    let admin = world.ok(&["token", "create", "admin", "--role", "admin"]);
    let server = Server::start(world).with_token(admin.trim_end());
    let send = |method: &str, path: &str, body: &str, status: u16| {
        let answer = server.send(method, &format!("/api/backups{path}"), body);
        assert_eq!(answer.status, status, "{method} {path}: {answer}");
        answer.json()
    };
    let made = send("POST", "", "{\"name\": \"own\"}", 201);
    assert_eq!(made["encryption"]["recipients"].as_array().unwrap().len(), 1);
    assert!(send("POST", "/own/verify", "", 200)["verified_at"].is_string());
    // The key is looked for when it is needed, and the service goes on without.
    fs::rename(world.path("key.txt"), world.path("away.txt")).unwrap();
    assert_eq!(send("POST", "/own/verify", "", 503)["code"], "backup::no_key_file");
    let listed = send("GET", "", "", 200);
    assert!(listed.as_array().unwrap().iter().all(|it| it["verified_at"].is_string()));
    let ran = world.run(&["jobs", "run", "verify-backups"]);
    assert_ne!(ran.status, 0, "{ran}");
}

fn the_safety_backup_and_those_before_steps_are_encrypted_too(world: &World) {
    encrypting(world);
    world.ok(&["backup", "create", "first"]);
    world.ok(&["set", "new", "true"]);
    world.ok(&["backup", "restore", "first", "--yes"]);
    world.ok(&["database", "down", "--steps", "1", "--yes"]);
    world.ok(&["database", "up"]);

    let listed = world.json(&["backup", "list"]);

    let listed = listed.as_array().unwrap();
    assert!(listed.len() >= 4 && listed.iter().all(|it| it["format"] == 2), "{listed:?}");
    assert_eq!(world.run(&["backup", "verify", "--all"]).status, 0);
}

fn an_archive_that_is_not_encrypted_still_restores(world: &World) {
    ready(world).ok(&["backup", "create", "old"]);
    let before = settings(world);
    from_now_on(world);
    world.ok(&["set", "new", "true"]);

    world.ok(&["backup", "verify", "old"]);
    world.ok(&["backup", "restore", "old", "--only", "http.port", "--yes"]);
    assert_eq!(world.json(&["backup", "list"])[0]["encryption"], Value::Null);
    world.ok(&["set", "http.tls", "false"]);
    world.ok(&["backup", "restore", "old", "--yes"]);

    assert_eq!(world.get("new"), "(none)");
    assert_eq!(settings(world), before);
}

#[test]
fn an_encrypted_backup_lies_in_a_bucket_as_in_a_folder() {
    let world = World::sqlite();
    let recipient = encrypting(&world);
    let store = Store::start();
    let table =
        format!("[backups.encryption]\nrecipients = ['{recipient}']\nidentity_file = 'key.txt'\n");
    store.keeps(&world, &table);
    let before = settings(&world);

    world.ok(&["backup", "create", "first"]);
    world.ok(&["set", "http.port", "1"]);
    world.ok(&["backup", "restore", "first", "--yes"]);

    assert_eq!(settings(&world), before);
    let kept = store.get("live/first.setpoint.tar");
    assert!(kept.windows(22).any(|it| it == b"age-encryption.org/v1\n"));
}

#[test]
fn age_and_zstd_read_an_encrypted_archive_and_sqlite3_its_image() {
    let world = World::sqlite();
    let recipients = [key(&world, "one.txt"), key(&world, "other.txt")];
    ready(&world);
    let recipients = recipients.each_ref().map(String::as_str);
    encrypt(&world, &recipients, "identity_file = 'one.txt'");
    world.ok(&["backup", "create", "first"]);

    let script = r#"tar -xf "$0" && sha256sum -c --quiet manifest.json.sha256 && tar -tf "$0" &&
        age -d -i other.txt database.sqlite.zst.age | zstd -dq > database.sqlite &&
        sqlite3 database.sqlite 'SELECT count(*) FROM setting' &&
        age -d -i one.txt content.jsonl.zst.age | zstd -dq | grep -c '^{'"#;
    let mut unpack = Command::new("sh");
    unpack.args(["-c", script]).arg(archive(&world, "first")).current_dir(world.folder());
    let tables = world.json(&["backup", "list"])[0]["counts"].as_object().unwrap().len();

    let read = fed(&mut unpack, "").unwrap();

    let members = "manifest.json\ncontent.jsonl.zst.age\ndatabase.sqlite.zst.age\n\
                   manifest.json.sha256";
    assert_eq!(read, format!("{members}\n4\n{tables}"));
}
