//! What was read lately and is likely to be asked for again, within a limit of memory; what was not asked for the longest goes first.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

/// Things by key, each with its weight in bytes.
#[derive(Debug)]
pub struct Cache<K, T> {
    held: Mutex<Held<K, T>>,
    bytes_max: usize,
}

#[derive(Debug)]
struct Held<K, T> {
    things: HashMap<K, Thing<T>>,
    bytes: usize,
    /// Counts what was asked for, as a clock.
    asked: u64,
}

#[derive(Debug)]
struct Thing<T> {
    value: Arc<T>,
    bytes: usize,
    last_asked: u64,
}

impl<K: Eq + Hash + Clone, T> Cache<K, T> {
    /// For things of at most this many bytes together.
    pub fn new(bytes_max: usize) -> Cache<K, T> {
        Cache { held: Mutex::new(Held { things: HashMap::new(), bytes: 0, asked: 0 }), bytes_max }
    }

    /// What is held under this key, or else what `read` gives, with its weight in bytes. Several may read the same thing at once;
    /// nobody waits for another's disk.
    pub fn get<E>(&self, key: &K, read: impl FnOnce() -> Result<(T, usize), E>) -> Result<Arc<T>, E> {
        {
            let mut held = self.held.lock();
            held.asked += 1;
            let now = held.asked;
            if let Some(thing) = held.things.get_mut(key) {
                thing.last_asked = now;
                return Ok(thing.value.clone());
            }
        }
        let (value, bytes) = read()?;
        let value = Arc::new(value);
        if bytes > self.bytes_max / 2 {
            return Ok(value);
        }
        let mut held = self.held.lock();
        while held.bytes + bytes > self.bytes_max {
            let oldest = held.things.iter().min_by_key(|(_, thing)| thing.last_asked).map(|(key, _)| key.clone());
            let Some(gone) = oldest.and_then(|key| held.things.remove(&key)) else { break };
            held.bytes -= gone.bytes;
        }
        let thing = Thing { value: value.clone(), bytes, last_asked: held.asked };
        held.bytes += bytes;
        if let Some(before) = held.things.insert(key.clone(), thing) {
            held.bytes -= before.bytes;
        }
        Ok(value)
    }

    /// How many bytes are held.
    pub fn bytes(&self) -> usize {
        self.held.lock().bytes
    }

    /// Lets go of what can't be asked for any more.
    pub fn retain(&self, keep: impl Fn(&K) -> bool) {
        let mut held = self.held.lock();
        held.things.retain(|key, _| keep(key));
        held.bytes = held.things.values().map(|thing| thing.bytes).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_for_the_longest_goes_first() {
        let cache: Cache<u32, u32> = Cache::new(100);
        let get = |key: u32, bytes: usize| *cache.get(&key, || Ok::<_, ()>((key * 2, bytes))).unwrap();
        for key in [1, 2, 1, 3] {
            assert_eq!(get(key, 40), key * 2);
        }
        let reread = |key: u32| cache.get(&key, || Err(())).is_err();
        assert!(reread(2), "it was not asked for the longest");
        assert!(!reread(1) && !reread(3));
        assert_eq!(get(9, 60), 18);
        assert!(reread(9), "what takes more than half of the room is not kept");
    }
}
