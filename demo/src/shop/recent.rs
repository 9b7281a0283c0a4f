//! A map that forgets: what a service remembers about the latest orders, in place of its database.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// How many orders a service remembers. Ten minutes at 16 orders a second, far longer than a journey takes; the oldest
/// is forgotten, and an event that still comes for it is treated as new.
pub(crate) const REMEMBERED_MAX: usize = 10_000;

/// The latest entries, at most `entries_max`.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    entries: HashMap<K, V>,
    /// Keys in the order of their arrival. A removed key stays here until its turn comes.
    order: VecDeque<K>,
    entries_max: usize,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    pub(crate) fn with_limit(entries_max: usize) -> Recent<K, V> {
        Recent { entries: HashMap::new(), order: VecDeque::new(), entries_max }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// The value of the key, made if it isn't there.
    pub(crate) fn entry(&mut self, key: K, value: impl FnOnce() -> V) -> &mut V {
        if !self.entries.contains_key(&key) {
            if self.order.len() >= self.entries_max
                && let Some(oldest) = self.order.pop_front()
            {
                self.entries.remove(&oldest);
            }
            self.order.push_back(key.clone());
        }
        self.entries.entry(key).or_insert_with(value)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        let mut fresh = Some(value);
        let entry = self.entry(key, || fresh.take().expect("the closure runs at most once"));
        if let Some(value) = fresh {
            *entry = value;
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.entries.remove(key)
    }
}

impl<K: Clone + Eq + Hash, V> Default for Recent<K, V> {
    fn default() -> Self {
        Recent::with_limit(REMEMBERED_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_at_the_limit() {
        let mut recent = Recent::with_limit(2);
        for number in 1..=3 {
            recent.insert(number, number * 10);
        }
        assert_eq!((recent.get(&1), recent.get(&2), recent.get(&3)), (None, Some(&20), Some(&30)));
    }

    #[test]
    fn a_value_that_is_set_again_is_replaced_and_not_counted_twice() {
        let mut recent = Recent::with_limit(2);
        recent.insert("a", 1);
        recent.insert("a", 2);
        recent.insert("b", 3);
        assert_eq!((recent.get(&"a"), recent.get(&"b")), (Some(&2), Some(&3)));
        assert_eq!(recent.remove(&"a"), Some(2));
        assert!(!recent.contains(&"a"));
    }
}
