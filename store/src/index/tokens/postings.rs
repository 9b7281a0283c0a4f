//! The plain terms of a segment that is being built, each with the bundles that have it.
//!
//! Nearly everything that a segment says passes here, word by word, so it costs little: one lookup a word, and a byte or two for a
//! bundle that has it.

use std::fmt;
use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Terms, numbered as they were met, and which bundles have them.
#[derive(Default)]
pub struct Postings {
    /// The text of all terms, one after the other.
    texts: Vec<u8>,
    terms: Vec<Term>,
    /// The number of each term beside its hash. What has the hash is the term, without a look at its text: with 64 bits that nobody can
    /// foretell, two of a segment's terms share one once in some ten million segments, and then one of them lacks a word.
    numbers: HashTable<(u64, u32)>,
    hasher: RandomState,
}

struct Term {
    text: Range<usize>,
    /// The last bundle that has it, counted from 1; none at 0.
    last: u32,
    count: u32,
    /// From each bundle to the next, seven bits a byte, the lowest first, the last one without the highest bit.
    gaps: Vec<u8>,
}

impl Postings {
    /// The number of a term.
    pub fn number_of(&mut self, term: &[u8]) -> u32 {
        let Postings { texts, terms, numbers, hasher } = self;
        let hash = hasher.hash_one(term);
        if let Some((_, number)) = numbers.find(hash, |(other, _)| *other == hash) {
            return *number;
        }
        let number = terms.len() as u32;
        let begin = texts.len();
        texts.extend_from_slice(term);
        terms.push(Term { text: begin..texts.len(), last: 0, count: 0, gaps: Vec::new() });
        numbers.insert_unique(hash, (hash, number), |(hash, _)| *hash);
        number
    }

    /// Says that a bundle, counted from 1, has a term; whether that is new. Bundles come in their order.
    pub fn add(&mut self, number: u32, bundle: u32) -> bool {
        let term = &mut self.terms[number as usize];
        if term.last == bundle {
            return false;
        }
        let mut gap = bundle - term.last;
        while gap >= 0x80 {
            term.gaps.push(gap as u8 | 0x80);
            gap >>= 7;
        }
        term.gaps.push(gap as u8);
        term.last = bundle;
        term.count += 1;
        true
    }

    /// All terms that a bundle has, in the order of their bytes: the text, how many bundles have it, and these, counted from 0.
    pub fn sorted(&self) -> impl Iterator<Item = (&[u8], u32, impl Iterator<Item = u32>)> {
        let mut sorted: Vec<(&[u8], &Term)> = self
            .terms
            .iter()
            .filter(|term| term.count > 0)
            .map(|term| (&self.texts[term.text.clone()], term))
            .collect();
        sorted.sort_unstable_by_key(|(text, _)| *text);
        sorted.into_iter().map(|(text, term)| (text, term.count, bundles(&term.gaps)))
    }
}

fn bundles(gaps: &[u8]) -> impl Iterator<Item = u32> {
    let mut bytes = gaps.iter();
    let mut bundle = 0;
    std::iter::from_fn(move || {
        let mut shift = 0;
        loop {
            let byte = *bytes.next()?;
            bundle += u32::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(bundle - 1);
            }
            shift += 7;
        }
    })
}

impl fmt::Debug for Postings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postings").field("terms", &self.terms.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_term_has_the_bundles_that_said_so_in_order(
            said in prop::collection::vec((0_u32..400_000, "[a-c]{0,3}"), 0..200),
        ) {
            let mut said = said;
            said.sort_unstable();
            let mut postings = Postings::default();
            let mut expected: BTreeMap<Vec<u8>, BTreeSet<u32>> = BTreeMap::new();
            for (bundle, term) in &said {
                let number = postings.number_of(term.as_bytes());
                let is_new = postings.add(number, bundle + 1);
                prop_assert_eq!(is_new, expected.entry(term.clone().into_bytes()).or_default().insert(*bundle));
            }
            let found: Vec<_> = postings.sorted().map(|(text, count, bundles)| {
                let bundles: BTreeSet<u32> = bundles.collect();
                assert_eq!(bundles.len(), count as usize);
                (text.to_vec(), bundles)
            }).collect();
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        }
    }
}
