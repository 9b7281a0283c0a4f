//! A segment's table of knots: here is a knot's term, give me the bundles that have it.
//!
//! Sorted pairs of term and bundle, found by guessing the place from the value: terms are hashes and spread evenly, so two or three
//! looks do, however long the table is. A search tree of the same terms took three times the space.

/// How many bytes a pair takes: the term (8) and the bundle (4), big endian.
const PAIR_BYTES: usize = 12;

/// How often the place is guessed before the rest is halved: terms that were crafted to lie close together must not make it slow.
const GUESSES_MAX: usize = 8;

/// Writes the table.
pub fn write(mut pairs: Vec<(u64, u32)>) -> Vec<u8> {
    pairs.sort_unstable();
    pairs.dedup();
    let mut bytes = Vec::with_capacity(pairs.len() * PAIR_BYTES);
    for (term, bundle) in pairs {
        bytes.extend_from_slice(&term.to_be_bytes());
        bytes.extend_from_slice(&bundle.to_be_bytes());
    }
    bytes
}

/// The bundles that have a term, in order.
pub fn bundles(table: &[u8], term: u64) -> impl Iterator<Item = u32> {
    let n_pairs = table.len() / PAIR_BYTES;
    (first(table, term)..n_pairs).map_while(move |at| {
        let (found, bundle) = pair(table, at);
        (found == term).then_some(bundle)
    })
}

fn pair(table: &[u8], at: usize) -> (u64, u32) {
    let bytes = &table[at * PAIR_BYTES..(at + 1) * PAIR_BYTES];
    let term = u64::from_be_bytes(bytes[..8].try_into().expect("a slice of 8 bytes"));
    (term, u32::from_be_bytes(bytes[8..].try_into().expect("a slice of 4 bytes")))
}

/// Where the first pair with at least this term is.
fn first(table: &[u8], term: u64) -> usize {
    let (mut low, mut high) = (0, table.len() / PAIR_BYTES);
    let (mut low_term, mut high_term) = (0_u64, u64::MAX);
    let mut guesses = 0;
    // All pairs before `low` have a smaller term, all from `high` on at least this one.
    while low < high {
        let guess = if guesses < GUESSES_MAX && high_term > low_term {
            let share = u128::from(term.clamp(low_term, high_term) - low_term) * (high - low) as u128;
            low + (share / (u128::from(high_term - low_term) + 1)) as usize
        } else {
            low.midpoint(high)
        };
        guesses += 1;
        let (found, _) = pair(table, guess);
        if found < term {
            low = guess + 1;
            low_term = found;
        } else {
            high = guess;
            high_term = found;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_bundle_of_a_knot_is_found_and_no_other(
            pairs in prop::collection::vec((prop_oneof![0..9_u64, any::<u64>(), Just(u64::MAX)], 0..9_u32), 0..200),
            asked: u64,
        ) {
            let table = write(pairs.clone());
            for term in pairs.iter().map(|(term, _)| *term).chain([asked, 0, u64::MAX]) {
                let mut expected: Vec<u32> = pairs.iter().filter(|pair| pair.0 == term).map(|pair| pair.1).collect();
                expected.sort_unstable();
                expected.dedup();
                prop_assert_eq!(bundles(&table, term).collect::<Vec<_>>(), expected);
            }
        }
    }
}
