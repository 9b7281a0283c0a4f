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

/// What an identity takes in memory where it is counted or kept from coming back: itself, a number, and the table's free places.
pub const IDENTITY_BYTES: u64 = 48;

/// The parts that grow by appending, and shrink again when a segment is made; see [`parts`].
const GROWING: usize = 4;

/// Whether something more may be kept in memory: what waits to be written, and what is not in a segment yet, has the room that everything
/// else leaves. At least a live set that is filled while another becomes a segment always has room: or nothing could be kept any more.
pub fn has_room(shared: &Shared, admission: &Semaphore, admission_bytes: u32) -> bool {
    let parts = parts(shared, admission, admission_bytes);
    let sum = |parts: &[(&str, u64)]| parts.iter().map(|(_, bytes)| bytes).sum::<u64>();
    let (growing, others) = (sum(&parts[..GROWING]), sum(&parts[GROWING..]));
    let store_bytes_max = shared.config.memory_limit / SHARES * (SHARES - BESIDE);
    let least = 2 * shared.config.seal_bytes() + u64::from(admission_bytes);
    growing <= store_bytes_max.saturating_sub(others).max(least)
}

/// What the store holds in memory, in bytes; the first part is what waits to be written.
pub fn parts(shared: &Shared, admission: &Semaphore, admission_bytes: u32) -> Vec<(&'static str, u64)> {
    let view = shared.look();
    let waiting = u64::from(admission_bytes).saturating_sub(admission.available_permits() as u64);
    let live = view.active.read().bytes() as u64;
    let frozen: u64 = view.frozen.iter().map(|frozen| frozen.live.read().bytes() as u64).sum();
    let tables: u64 = view.segments.iter().map(|segment| segment.memory_bytes()).sum();
    let others = shared.repeats.read().len() + shared.forgotten.read().len();
    vec![
        ("waiting to be written", waiting),
        ("live set", live),
        ("waiting to become a segment", frozen),
        ("being packed and indexed", shared.building.load(Ordering::Relaxed)),
        ("segments' tables", tables),
        ("columns read lately", shared.caches.columns.bytes() as u64),
        ("blocks read lately", shared.caches.blocks.bytes() as u64),
        ("counts of minutes read lately", shared.caches.minutes.bytes() as u64),
        ("dictionaries read lately", shared.caches.dictionaries.bytes() as u64),
        ("counts of what was removed", shared.past.bytes() as u64),
        ("identities repeated and forgotten", others as u64 * IDENTITY_BYTES),
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use std::collections::HashSet;

    use parking_lot::RwLock;

    use super::*;
    use crate::index::IndexConfig;
    use crate::index::erasing::Erasing;
    use crate::index::hash::IdentityKey;
    use crate::index::past::Past;
    use crate::index::state::State;
    use crate::index::view::View;

    #[test]
    fn appending_waits_for_what_can_be_given_back_and_never_for_what_can_not() {
        let folder = tempfile::tempdir().unwrap();
        let shared = |memory_limit: u64, n_forgotten: u128| {
            let config = IndexConfig { memory_limit, ..IndexConfig::new(folder.path()) };
            let view = View { active: Arc::new(RwLock::default()), frozen: Vec::new(), segments: Vec::new() };
            let forgotten = (0..n_forgotten).map(IdentityKey).collect();
            let state = State { forgotten, ..State::default() };
            let past = Past::open(folder.path().join("counts")).unwrap();
            Shared::new(config, view, state, past, Erasing::new(HashSet::new()))
        };
        let admission = Semaphore::new(1 << 20);
        let has_room = |shared: &Shared, building: u64| {
            shared.building.store(building, Ordering::Relaxed);
            has_room(shared, &admission, 1 << 20)
        };
        let usual = shared(512 << 20, 0);
        assert!(has_room(&usual, 319 << 20) && !has_room(&usual, 321 << 20));
        // What is kept anyway takes its share, whether something becomes a segment or not ...
        let laden = shared(512 << 20, 1 << 20);
        assert!(has_room(&laden, 271 << 20) && !has_room(&laden, 273 << 20));
        // ... but never all of it: two live sets always have room, or nothing could be kept any more.
        let overladen = shared(32 << 20, 1 << 20);
        assert!(has_room(&overladen, 0) && has_room(&overladen, 6 << 20) && !has_room(&overladen, 7 << 20));
    }
}
