//! What is not asked of a bucket because it need not be.

use std::fs;

use super::encrypted::key;
use super::ready;
use super::store::Store;
use crate::world::World;

fn kept(world: &World) -> Store {
    let store = Store::start();
    store.keeps(ready(world), "");
    store
}

#[test]
fn whether_one_backup_may_go_by_force_is_asked_of_it_alone() {
    let world = World::sqlite();
    let store = kept(&world);
    world.ok(&["backup", "create", "one"]);
    // More than a store tells at once.
    store.fill("live/other-", 1001);
    let ask = |name: &str| world.run(&["backup", "remove", "--dry-run", "--force", name]);
    drop(store.seen());

    let (one, none) = (ask("one"), ask("none"));

    assert_eq!(store.seen(), ["LIST -", "LIST -"]);
    assert_eq!((one.status, one.stderr.as_str()), (0, "one would be removed\n"));
    assert!(none.status == 1 && none.stderr.contains("backup::unknown"), "{none}");
}

#[test]
fn what_cannot_be_decrypted_is_not_fetched() {
    let world = World::sqlite();
    let store = kept(&world);
    let recipients = format!("[backups.encryption]\nrecipients = ['{}']\n", key(&world, "key.txt"));
    store.keeps(&world, &format!("{recipients}identity_file = 'key.txt'\n"));
    world.ok(&["backup", "create", "one"]);
    store.keeps(&world, &recipients);
    drop(fs::remove_dir_all(world.path("backups")));
    // There is nowhere that it could be fetched to.
    world.write("backups", "");

    for arguments in [&["backup", "verify", "one"][..], &["backup", "restore", "one", "--yes"]] {
        let refusal = world.refusal(arguments);
        assert!(refusal.starts_with("1 backup::no_key; "), "{refusal}");
    }
}
