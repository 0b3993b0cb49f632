//! Keys that are missing, wrong or none, and what is encrypted and was changed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use insta::assert_snapshot;
use serde_json::Value;

use super::bad_input::{CONTENT_AT, assert_refused, content_length, strange, with_content};
use super::encrypted::{encrypt, encrypting, key, secret};
use super::{archive, assert_sound, ready};
use crate::world::{World, text};

on_both![
    what_only_a_backup_holds_that_is_damaged_or_nobody_can_read_stays,
    without_a_key_backups_are_listed_and_removed_and_not_read,
    a_wrong_key_is_told_and_the_backup_is_not_doubted,
    what_could_not_be_checked_is_not_called_damaged,
    a_backup_that_could_not_be_read_back_is_not_begun,
    a_flipped_bit_of_what_is_encrypted_is_found,
    what_is_encrypted_and_cut_or_exchanged_is_found,
];

fn is_verified(world: &World) -> bool {
    world.json(&["backup", "list"])[0]["verified_at"].is_string()
}

/// What is told of each way to read the backup `first`: the same.
#[track_caller]
fn told(world: &World) -> String {
    let ways = [
        &["backup", "verify", "first"][..],
        &["backup", "restore", "first", "--dry-run"],
        &["backup", "restore", "first", "--yes"],
    ];
    let told = ways.map(|it| world.refusal(it));
    assert!(told.iter().all(|it| *it == told[0]), "{told:?}");
    told[0].clone()
}

fn without_a_key_backups_are_listed_and_removed_and_not_read(world: &World) {
    let recipient = encrypting(world);
    world.ok(&["backup", "create", "first"]);
    world.ok(&["backup", "create", "second"]);
    let revision = world.revision();

    for file in ["[backups.encryption]", ""] {
        encrypt(world, &[&recipient], "");
        if file.is_empty() {
            world.write("setpoint.toml", "[backups.retention]\nkeep_last = 1\n");
        }
        let told = told(world).replace(&recipient, "[recipient]");
        assert_snapshot!(told, @"1 backup::no_key; backup `first` is encrypted, and there is no key that reads it; nothing was changed; name the file with the identity of one of [recipient]: [backups.encryption] identity_file");
        assert!(is_verified(world));
    }
    world.ok(&["backup", "prune", "--yes"]);
    let left = world.json(&["backup", "list"]);
    assert_eq!((left.as_array().unwrap().len(), &left[0]["name"]), (1, &"second".into()));
    assert_eq!(world.revision(), revision);
}

fn what_only_a_backup_holds_that_is_damaged_or_nobody_can_read_stays(world: &World) {
    let recipient = encrypting(world);
    for name in ["first", "second"] {
        for value in 1..4 {
            world.ok(&["set", "new", &format!("{name} {value}")]);
        }
        world.ok(&["backup", "create", name]);
    }
    encrypt(world, &[&recipient], "[revisions]\nkeep_last = 1");
    let all = world.sql("SELECT count(*) FROM revision");

    let unread = world.refusal(&["audit", "prune", "--yes"]);
    assert!(unread.starts_with("1 backup::no_key; backup `second` is encrypted"), "{unread}");
    let key = "identity_file = 'key.txt'\n[revisions]\nkeep_last = 1";
    encrypt(world, &[&recipient], key);
    let mut bytes = fs::read(archive(world, "second")).unwrap();
    bytes[18_000] ^= 1;
    fs::write(archive(world, "second"), bytes).unwrap();
    let damaged = world.refusal(&["audit", "prune", "--yes"]);
    assert!(damaged.starts_with("1 backup::damaged; backup `second` is damaged"), "{damaged}");
    assert_eq!(world.sql("SELECT count(*) FROM revision"), all);
    // That is known by now: it goes by the one before.
    let told = world.json(&["audit", "prune", "--yes"]);
    assert_eq!(told["backup"]["name"], "first", "{told}");
}

fn a_wrong_key_is_told_and_the_backup_is_not_doubted(world: &World) {
    let recipient = encrypting(world);
    world.ok(&["backup", "create", "first"]);
    world.ok(&["backup", "create", "newer"]);
    let revision = world.revision();
    let other = key(world, "other.txt");
    encrypt(world, &[&other], "identity_file = 'other.txt'");
    let looked = || {
        let checks = world.json(&["doctor"]);
        let wrong = checks.as_array().unwrap().iter().find(|it| it["ok"] == false);
        wrong.map(|it| text(&it["says"]).replace(&recipient, "[recipient]")).unwrap_or_default()
    };
    assert_snapshot!(looked(), @"backup `newer` is encrypted, and other.txt holds no key that reads it; put the identity of one of these into it: [recipient]; the same goes for 1 older backup; an old identity stays beside the new one for as long as there are backups of it");

    let told = told(world).replace(&recipient, "[recipient]");

    assert_snapshot!(told, @"1 backup::wrong_key; backup `first` is encrypted, and other.txt holds no key that reads it; nothing was changed; put the identity of one of these into it: [recipient]");
    assert!(is_verified(world));
    assert_eq!(world.revision(), revision);
    // The old one beside the new one reads both.
    let both = world.read("other.txt") + &world.read("key.txt");
    world.write("other.txt", both);
    world.ok(&["backup", "verify", "first"]);
    world.ok(&["backup", "create", "second"]);
    assert_eq!(looked(), "");
}

fn what_could_not_be_checked_is_not_called_damaged(world: &World) {
    let recipient = encrypting(world);
    world.write("setpoint.toml", "");
    world.ok(&["backup", "create", "plain"]);
    encrypt(world, &[&recipient], "identity_file = 'key.txt'");
    world.ok(&["backup", "create", "first"]);
    world.ok(&["backup", "create", "second"]);
    encrypt(world, &[&recipient], "");

    let told = world.refusal(&["backup", "verify", "--all"]).replace(&recipient, "[recipient]");

    assert_snapshot!(told, @"1 backup::not_checked; 2 of 3 backups could not be checked: that says nothing of them; nothing was changed; name the file with the identity of one of [recipient]: [backups.encryption] identity_file");
    let verified = || {
        let listed = world.json(&["backup", "verify", "--all"]);
        let all = listed.as_array().unwrap().iter();
        let one = |it: &Value| (it["name"].clone(), it["damaged"].clone(), it["problem"].clone());
        all.map(one).collect::<Vec<_>>()
    };
    let all = verified();
    assert_eq!(all[0], ("plain".into(), Value::Null, Value::Null));
    assert!(all[1].0 == "first" && all[1].1 == false && all[2].1 == false, "{all:?}");
    assert!(all[1].2.as_str().unwrap().contains("there is no key that reads it"), "{all:?}");
    // Beside one that is.
    fs::write(archive(world, "plain"), "no archive").unwrap();
    let told = world.refusal(&["backup", "verify", "--all"]);
    assert!(
        told.starts_with(
            "1 backup::not_whole; 1 of 3 backups cannot be restored, and 2 could not be checked;"
        ),
        "{told}"
    );
    assert_eq!(verified().iter().filter(|it| it.1 == true).count(), 1);
}

fn a_backup_that_could_not_be_read_back_is_not_begun(world: &World) {
    let recipient = encrypting(world);
    key(world, "other.txt");
    let before = world.file_names();
    let refused = |file: &str| {
        encrypt(world, &[&recipient], file);
        let told = world.refusal(&["backup", "create", "first"]);
        assert_eq!(world.file_names(), before);
        told.replace(&recipient, "[recipient]")
    };

    assert_snapshot!(refused(""), @"1 backup::no_key; the new backup is encrypted, and there is no key that reads it; nothing was changed; name the file with the identity of one of [recipient]: [backups.encryption] identity_file");
    assert_snapshot!(refused("identity_file = 'other.txt'"), @"1 backup::wrong_key; the new backup is encrypted, and other.txt holds no key that reads it; nothing was changed; put the identity of one of these into it: [recipient]");
    let ran = world.run(&["doctor"]);
    let told = "WRONG  each new backup is encrypted, and other.txt holds no key that reads it; put the \
                identity of one of these into it: ";
    assert!(ran.status == 1 && ran.stdout.contains(told), "{ran}");
    assert!(ran.stdout.contains("; until then no backup is taken\n"), "{ran}");
}

fn a_flipped_bit_of_what_is_encrypted_is_found(world: &World) {
    encrypting(world);
    world.ok(&["backup", "create", "first"]);
    let whole = fs::read(archive(world, "first")).unwrap();
    let (start, length) = (CONTENT_AT + 512, content_length(&whole));

    // The version, the recipient's part, the authentication of the header, and what follows.
    for at in [5, 40, 100, 170, 200, 230, length / 2, length - 1] {
        let mut bytes = whole.clone();
        bytes[start + at] ^= 1;
        strange(world, &bytes);
        assert_refused(world, &format!("bit of byte {at} of {length}"));
    }
    assert_sound(world);
}

fn what_is_encrypted_and_cut_or_exchanged_is_found(world: &World) {
    let recipient = encrypting(world);
    world.ok(&["backup", "create", "first"]);
    let whole = fs::read(archive(world, "first")).unwrap();
    let (start, length) = (CONTENT_AT + 512, content_length(&whole));
    let content = &whole[start..start + length];
    let seal = "printf '{\"table\":\"head\"}' | zstd -q | age -r \"$0\"";
    let forged = Command::new("sh").args(["-c", seal, &recipient]).output().unwrap().stdout;
    let endless = [&b"age-encryption.org/v1\n"[..], &b"-> a b\n".repeat(30_000)].concat();

    for end in [0, 10, 100, 220, length / 2, length - 1] {
        strange(world, &with_content(&whole, &content[..end]));
        assert_refused(world, &format!("cut at {end} of {length}"));
    }
    for (case, bytes) in [("of somebody else", &forged), ("a header without end", &endless)] {
        strange(world, &with_content(&whole, bytes));
        assert_refused(world, case);
    }
    assert_sound(world);
}

#[test]
fn a_file_that_cannot_be_that_of_a_key_is_refused_and_nothing_of_it_is_told() {
    let world = World::sqlite();
    encrypting(&world);
    world.ok(&["backup", "create", "first"]);
    let good = world.read("key.txt");
    let secret = secret(&world, "key.txt");
    let told = |case: &str| {
        let told = [&["backup", "verify", "first"][..], &["backup", "create", "second"]]
            .map(|it| world.refusal(it));
        assert_eq!(told[0], told[1], "{case}");
        assert!(!told[0].contains(&secret[20..40]), "{case}: {}", told[0]);
        told[0].clone()
    };
    let mode = |mode: u32| {
        fs::set_permissions(world.path("key.txt"), Permissions::from_mode(mode)).unwrap();
    };

    mode(0o640);
    assert_snapshot!(told("its group may read it"), @"1 backup::bad_key_file; key.txt cannot be the file of a key: others than its owner may use it (mode 640); nothing was changed; give a file of X25519 identities, as `age-keygen` writes it, that only its owner may read: chmod 600");
    mode(0o604);
    assert!(told("others may read it").contains("(mode 604)"));
    mode(0o400);
    world.ok(&["backup", "verify", "first"]);
    mode(0o600);
    world.write("key.txt", good.replace("AGE-SECRET-KEY-1", "AGE-SECRET-KEY-2"));
    assert_snapshot!(told("garbage"), @"1 backup::bad_key_file; key.txt cannot be the file of a key: line 3 is no X25519 identity; nothing was changed; give a file of X25519 identities, as `age-keygen` writes it, that only its owner may read: chmod 600");
    world.write("key.txt", "# nothing\n\n");
    assert_snapshot!(told("empty"), @"1 backup::bad_key_file; key.txt cannot be the file of a key: there is no identity in it; nothing was changed; give a file of X25519 identities, as `age-keygen` writes it, that only its owner may read: chmod 600");
    world.write("key.txt", [0xff, 0xfe]);
    assert_snapshot!(told("no text"), @"1 backup::bad_key_file; key.txt cannot be the file of a key: it cannot be read as text; nothing was changed; give a file of X25519 identities, as `age-keygen` writes it, that only its owner may read: chmod 600");
    world.write("key.txt", "#".repeat(70_000));
    assert!(told("too long").contains("cannot be read as text"));
    fs::remove_file(world.path("key.txt")).unwrap();
    assert_snapshot!(told("missing"), @"1 backup::no_key_file; there is no file key.txt, where the key of backups should be; nothing was changed; put it there, with mode 600, or mend [backups.encryption] identity_file");
    fs::create_dir(world.path("key.txt")).unwrap();
    assert!(told("a folder").contains("it is no plain file"));
}

#[test]
fn a_configuration_names_recipients_that_are_some_and_no_key() {
    let world = World::sqlite();
    let recipient = key(ready(&world), "key.txt");
    let secret = secret(&world, "key.txt");
    let told = |recipients: &[&str], file: &str| {
        encrypt(&world, recipients, file);
        let told = world.refusal(&["backup", "create", "first"]);
        assert!(!told.contains(&secret[20..40]), "{told}");
        told
    };

    assert_snapshot!(told(&["age1nobody"], ""), @"1 config::invalid; `backups.encryption.recipients.0` in setpoint.toml: this is no X25519 recipient of age: age1 and 58 more; mend it there; nothing was done");
    assert_snapshot!(told(&[&secret], ""), @"1 config::invalid; `backups.encryption.recipients.0` in setpoint.toml: a private identity is no recipient: give what `age-keygen -y` prints of it, and make a new one if others have seen this one; mend it there; nothing was done");
    assert_snapshot!(told(&[&recipient], &format!("identity_file = '{secret}'")), @"1 config::invalid; `backups.encryption` in setpoint.toml: has an identity in place of its file: write it to a file that only its owner may read, and make a new one if others have seen this one; mend it there; nothing was done");
    assert_snapshot!(told(&[], ""), @"1 config::invalid; `backups.encryption` in setpoint.toml: has no recipients: give at least one, as `age-keygen -y` prints it; mend it there; nothing was done");
    assert_snapshot!(told(&[recipient.as_str(); 21], ""), @"1 config::invalid; `backups.encryption` in setpoint.toml: has more than 20 recipients; mend it there; nothing was done");
}

#[test]
fn what_is_shown_of_the_configuration_has_the_path_of_the_key_and_not_the_key() {
    let world = World::sqlite();
    let recipient = encrypting(&world);
    world.ok(&["backup", "create", "first"]);

    let shown = [&["config", "show"][..], &["doctor"], &["backup", "list", "--json"]];
    let shown = shown.map(|it| world.run(it).to_string()).concat();

    assert!(shown.contains("key.txt") && shown.contains(&recipient), "{shown}");
    assert!(shown.contains(&format!("ok     {recipient}")), "{shown}");
    let files = world.files().into_iter().filter(|it| it.0 != "key.txt");
    let files = files.flat_map(|it| it.1).collect::<Vec<_>>();
    let secret = &secret(&world, "key.txt");
    assert!(!shown.contains(secret) && !String::from_utf8_lossy(&files).contains(secret));
}
