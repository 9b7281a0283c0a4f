//! What takes memory, counted part by part: appending goes by the sum, and the status page shows it.

use std::sync::atomic::Ordering;

use tokio::sync::Semaphore;

use super::view::Shared;
use crate::engine::MemoryUse;

/// Which share of the memory limit everything beside the store may take: requests in flight count themselves, the program's own text,
/// threads and brokers' clients don't. So this many shares in [`SHARES`] are kept free of entries.
const BESIDE: u64 = 3;

/// See [`BESIDE`].
const SHARES: u64 = 8;

/// Bytes that appending may bring the store's own memory to.
pub fn store_bytes_max(memory_limit: u64) -> u64 {
    memory_limit / SHARES * (SHARES - BESIDE)
}

/// What the store holds in memory, in bytes; the first part is what waits to be written.
pub fn parts(shared: &Shared, admission: &Semaphore, admission_bytes: u32) -> Vec<(&'static str, u64)> {
    let view = shared.look();
    let waiting = u64::from(admission_bytes).saturating_sub(admission.available_permits() as u64);
    let live = view.active.read().bytes() as u64;
    let frozen: u64 = view.frozen.iter().map(|frozen| frozen.live.read().bytes() as u64).sum();
    let tables: u64 = view.segments.iter().map(|segment| segment.memory_bytes()).sum();
    vec![
        ("waiting to be written", waiting),
        ("live set", live),
        ("waiting to become a segment", frozen),
        ("being packed and indexed", shared.building.load(Ordering::Relaxed)),
        ("segments' filters and tables", tables),
        ("columns read lately", shared.caches.columns.bytes() as u64),
        ("blocks read lately", shared.caches.blocks.bytes() as u64),
    ]
}

/// All of it, beside the limit and what the operating system says of this process.
pub fn memory_use(shared: &Shared, admission: &Semaphore, admission_bytes: u32) -> MemoryUse {
    MemoryUse {
        limit: shared.config.memory_limit,
        parts: parts(shared, admission, admission_bytes),
        resident: crate::file::resident_bytes(),
    }
}
