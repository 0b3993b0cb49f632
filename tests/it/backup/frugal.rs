//! What is not asked of a bucket because it need not be.

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
