//! The memory of a program that runs for months and does little most of the time.

use std::time::Duration;

/// So long after it was freed the allocator gives memory back, if it is made to look.
const FREED_FOR: Duration = Duration::from_millis(1_100);

/// Larger than what the allocator keeps for the next who asks.
const BLOCK_BYTES: usize = 4 << 20;

/// From now on the program holds the pages that it uses, and not 2 MiB around each.
pub(crate) fn use_small_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay");
    }
}

/// Has freed memory given back, soon and then every minute. The allocator looks for it only
/// when a large block is freed, which does not happen where little is done.
pub(crate) async fn give_back() {
    let mut wait = FREED_FOR;
    loop {
        tokio::time::sleep(wait).await;
        drop(std::hint::black_box(Vec::<u8>::with_capacity(BLOCK_BYTES)));
        wait = Duration::from_secs(60);
    }
}
