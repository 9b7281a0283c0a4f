//! What was forgotten and still stands in files: hidden from every answer at once, and struck off here when no file has it any more.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::hash::IdentityKey;
use super::live::Live;
use super::segment::{Caches, Damage, Segment};

/// Entries that were forgotten and may still stand in files. Mostly there are none, and asking costs nothing.
#[derive(Debug, Default)]
pub struct Erasing {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    keys: Arc<HashSet<IdentityKey>>,
    /// Of each segment that was asked for since the keys last changed.
    hidden: HashMap<u64, Arc<Hidden>>,
}

/// Which entries of a live set or a segment are hidden, by their numbers.
#[derive(Debug, Default)]
pub struct Hidden {
    numbers: Vec<u32>,
    /// How many of them are records, spans and logs.
    pub kinds: [u64; 3],
}

impl Hidden {
    /// Whether an entry is hidden.
    pub fn has(&self, number: usize) -> bool {
        !self.numbers.is_empty() && self.numbers.binary_search(&(number as u32)).is_ok()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }
}

impl Erasing {
    /// With what an earlier process left.
    pub fn new(keys: HashSet<IdentityKey>) -> Erasing {
        Erasing { inner: Mutex::new(Inner { keys: Arc::new(keys), hidden: HashMap::new() }) }
    }

    /// Adds what was forgotten just now.
    pub fn add(&self, keys: &[IdentityKey]) {
        if keys.is_empty() {
            return;
        }
        let mut inner = self.inner.lock();
        Arc::make_mut(&mut inner.keys).extend(keys);
        inner.hidden.clear();
    }

    /// Strikes off what no file has any more.
    pub fn strike_off(&self, keys: &HashSet<IdentityKey>) {
        let mut inner = self.inner.lock();
        Arc::make_mut(&mut inner.keys).retain(|key| !keys.contains(key));
        inner.hidden.clear();
    }

    /// All of them.
    pub fn keys(&self) -> Arc<HashSet<IdentityKey>> {
        self.inner.lock().keys.clone()
    }

    /// Which entries of a live set are among them.
    pub fn in_live(&self, live: &Live) -> Hidden {
        let mut hidden = Hidden::default();
        hidden.numbers.extend(self.keys().iter().filter_map(|key| live.number(*key)));
        hidden.numbers.sort_unstable();
        for number in &hidden.numbers {
            hidden.kinds[live.entries()[*number as usize].held.entry.kind() as usize] += 1;
        }
        hidden
    }

    /// Which entries of a segment are among them.
    pub fn in_segment(&self, caches: &Caches, segment: &Segment) -> Result<Arc<Hidden>, Damage> {
        let keys = {
            let inner = self.inner.lock();
            if inner.keys.is_empty() {
                return Ok(Arc::default());
            }
            if let Some(known) = inner.hidden.get(&segment.number()) {
                return Ok(known.clone());
            }
            inner.keys.clone()
        };
        let mut hidden = Hidden::default();
        for (number, kind) in segment.with_keys(caches, &keys)? {
            hidden.numbers.push(number);
            hidden.kinds[kind as usize] += 1;
        }
        let hidden = Arc::new(hidden);
        let mut inner = self.inner.lock();
        // Where they changed meanwhile, this answer is already old.
        if Arc::ptr_eq(&inner.keys, &keys) {
            inner.hidden.insert(segment.number(), hidden.clone());
        }
        Ok(hidden)
    }
}
