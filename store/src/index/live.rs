//! The live set: entries that were acknowledged and are not in a segment yet. Here is a knot or a query, give me what came in just now.
//!
//! Its log files hold the same entries durably. When it is full it is frozen, becomes a segment, and goes.

mod ids; // keys, event ids, values of attributes

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::columns::Columns;
use super::hash::{IdentityKey, knot_term, knot_terms};
use super::weight::weight;
use crate::engine::Held;
use crate::entry::{Entry, Identity};
use crate::knot::{Knot, Tie};
use crate::query::Query;

/// Entries in memory, in the order in which they were kept.
#[derive(Debug, Default)]
pub struct Live {
    /// What stands at each number.
    entries: Vec<LiveEntry>,
    /// Which entry has an identity.
    numbers: HashMap<IdentityKey, u32, RandomState>,
    /// Which entries have a knot, by [`knot_term`].
    knots: Chains,
    /// Which entries have an id, by [`ids::of`].
    ids: Chains,
    /// What is asked for most.
    pub columns: Columns,
    /// About how much memory all of it takes.
    bytes: usize,
}

/// An entry of the live set.
#[derive(Clone, Debug)]
pub struct LiveEntry {
    /// The entry.
    pub held: Held,
    /// What makes it the same thing as another.
    pub identity: Identity,
    /// Its knots, by [`knot_term`].
    pub knots: Box<[u32]>,
}

/// Which entries have a hash. Most hashes are had by one or two: so each entry leads to the one before it, and nothing is allocated for it.
#[derive(Debug, Default)]
struct Chains {
    /// The latest link of each hash.
    latest: HashMap<u32, u32, RandomState>,
    links: Vec<Link>,
}

#[derive(Debug)]
struct Link {
    entry: u32,
    /// The link before, or [`NO_LINK`].
    before: u32,
}

const NO_LINK: u32 = u32::MAX;

impl Chains {
    /// Empty, with room for as many as there are in another.
    fn sized_as(other: &Chains) -> Chains {
        Chains {
            latest: HashMap::with_capacity_and_hasher(other.latest.len(), RandomState::default()),
            links: Vec::with_capacity(other.links.len()),
        }
    }

    fn add(&mut self, hash: u32, entry: u32) {
        let link = self.links.len() as u32;
        let before = self.latest.insert(hash, link).unwrap_or(NO_LINK);
        self.links.push(Link { entry, before });
    }

    /// The entries that have a hash, latest first.
    fn entries(&self, hash: u32) -> impl Iterator<Item = u32> {
        let mut next = self.latest.get(&hash).copied().unwrap_or(NO_LINK);
        std::iter::from_fn(move || {
            let link = self.links.get(next as usize)?;
            next = link.before;
            Some(link.entry)
        })
    }
}

impl Live {
    /// Empty, with room for as many entries as there are in the one before: growing step by step would copy each of them twice.
    pub fn sized_as(before: &Live) -> Live {
        Live {
            entries: Vec::with_capacity(before.entries.len()),
            numbers: HashMap::with_capacity_and_hasher(before.numbers.len(), RandomState::default()),
            knots: Chains::sized_as(&before.knots),
            ids: Chains::sized_as(&before.ids),
            ..Live::default()
        }
    }

    /// Adds an entry that isn't in it yet.
    pub fn add(&mut self, held: Held, identity: Identity, key: IdentityKey) {
        let number = self.entries.len() as u32;
        self.bytes += weight(&held.entry);
        let knots = knot_terms(&held.entry);
        knots.iter().for_each(|knot| self.knots.add(*knot, number));
        ids::of(&held.entry).into_iter().for_each(|id| self.ids.add(id, number));
        self.columns.add(&held);
        self.numbers.insert(key, number);
        self.entries.push(LiveEntry { held, identity, knots });
    }

    /// Counts further copies of an entry; `false` where it isn't in this set.
    pub fn repeat(&mut self, key: IdentityKey, times: u32) -> bool {
        let Some(number) = self.numbers.get(&key) else { return false };
        let held = &mut self.entries[*number as usize].held;
        held.copies = held.copies.saturating_add(times);
        true
    }

    /// Whether an entry is in it.
    pub fn holds(&self, key: IdentityKey) -> bool {
        self.numbers.contains_key(&key)
    }

    /// An entry's number; `None` where it isn't in it.
    pub fn number(&self, key: IdentityKey) -> Option<u32> {
        self.numbers.get(&key).copied()
    }

    /// All entries, in the order in which they were kept.
    pub fn entries(&self) -> &[LiveEntry] {
        &self.entries
    }

    /// The entries that are tied to one of these knots.
    pub fn tied<'a>(&'a self, knots: &'a [(Tie, Knot)]) -> impl Iterator<Item = &'a LiveEntry> {
        let mut numbers: Vec<u32> = Vec::new();
        for (tie, knot) in knots {
            numbers.extend(self.knots.entries(knot_term(*tie, knot)));
        }
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().map(|number| &self.entries[number as usize])
    }

    /// The numbers of the entries that a query may hold for, as far as ids narrow it; each once.
    pub fn candidates(&self, query: &Query) -> Vec<u32> {
        let Some(asked) = ids::asked(query) else { return (0..self.entries.len() as u32).collect() };
        let mut numbers: Vec<u32> = asked.into_iter().flat_map(|id| self.ids.entries(id)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many records, spans and logs there are.
    pub fn kinds(&self) -> [u64; 3] {
        let mut kinds = [0; 3];
        for entry in &self.entries {
            kinds[match &*entry.held.entry {
                Entry::Record(_) => 0,
                Entry::Span(_) => 1,
                Entry::Log(_) => 2,
            }] += 1;
        }
        kinds
    }
}
