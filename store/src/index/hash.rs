//! Hashes that mean the same in every version and on every machine, because files hold them.
//!
//! Not for defence: whoever crafts collisions costs us a look at a body, no more, because every hit is verified.

use crate::entry::{Entry, Identity};
use crate::knot::{Knot, Tie};
use crate::position::Place;

/// Odd numbers with about as many ones as zeros: the golden ratio's bits and those of pi.
const MULTIPLIERS: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0x2436_A308_8D31_3199 | 1];

/// A 64-bit hash of bytes: 16 at a time, folded by multiplying to 128 bits.
pub fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = seed ^ MULTIPLIERS[0];
    let mut chunks = bytes.chunks_exact(16);
    for chunk in &mut chunks {
        state = fold(word(&chunk[..8]) ^ state, word(&chunk[8..]) ^ MULTIPLIERS[1]);
    }
    let rest = chunks.remainder();
    let (low, high) = rest.split_at(rest.len().min(8));
    state = fold(word(low) ^ state, word(high) ^ MULTIPLIERS[1]);
    fold(state ^ bytes.len() as u64, MULTIPLIERS[0])
}

/// Up to eight bytes as a number, little endian. Where there are fewer, two looks that may overlap are quicker than a copy.
fn word(bytes: &[u8]) -> u64 {
    let half = |at: usize| bytes.get(at..at + 4).and_then(|half| half.try_into().ok()).map(u32::from_le_bytes);
    let length = bytes.len();
    match (half(0), length) {
        (_, 0) => 0,
        (Some(low), _) => u64::from(low) | u64::from(half(length - 4).unwrap_or_default()) << (8 * (length - 4)),
        (None, _) => [0, length / 2, length - 1].iter().fold(0, |word, at| word | u64::from(bytes[*at]) << (8 * at)),
    }
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// What stands for an identity in files and filters. Equal identities have equal keys; different ones practically never.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct IdentityKey(pub u128);

impl IdentityKey {
    /// The key of an identity.
    pub fn of(identity: &Identity) -> IdentityKey {
        let mut bytes = Vec::with_capacity(96);
        match identity {
            Identity::Record(position) => {
                bytes.push(1);
                text(&mut bytes, position.source.as_str());
                text(&mut bytes, position.channel.as_str());
                bytes.extend_from_slice(&position.incarnation.0.to_le_bytes());
                place(&mut bytes, &position.place);
            }
            Identity::Span(trace_id, span_id, kind, content) => {
                bytes.push(2);
                bytes.extend_from_slice(trace_id);
                bytes.extend_from_slice(span_id);
                bytes.push(*kind);
                bytes.extend_from_slice(&content.to_le_bytes());
            }
            Identity::Log(content, ordinal) => {
                bytes.push(3);
                bytes.extend_from_slice(content);
                bytes.extend_from_slice(&ordinal.to_le_bytes());
            }
        }
        IdentityKey(u128::from(hash(1, &bytes)) << 64 | u128::from(hash(2, &bytes)))
    }

    /// The part of it that a segment keeps for each entry.
    pub fn short(self) -> u32 {
        self.0 as u32
    }
}

/// The term under which a segment keeps a knot. A span's knot is kept under its trace: whoever looks for a span
/// finds the few entries of its trace and looks at those, and the index has a tenth of the terms.
pub fn knot_term(tie: Tie, knot: &Knot) -> u32 {
    knot_term_in(&mut Vec::with_capacity(KNOT_BYTES_USUAL), tie, knot)
}

/// How many bytes are hashed of most knots at the most.
const KNOT_BYTES_USUAL: usize = 64;

/// The same, put together in a buffer that was used before.
fn knot_term_in(bytes: &mut Vec<u8>, tie: Tie, knot: &Knot) -> u32 {
    bytes.clear();
    bytes.push(match tie {
        Tie::Is => 1,
        Tie::Refers => 2,
    });
    match knot {
        Knot::Trace(trace_id) | Knot::Span(trace_id, _) => {
            bytes.push(1);
            bytes.extend_from_slice(trace_id.as_bytes());
        }
        Knot::Position(channel, at) => {
            bytes.push(2);
            text(bytes, channel.as_str());
            place(bytes, at);
        }
        Knot::Event(id) => {
            bytes.push(3);
            bytes.extend_from_slice(id.as_bytes());
        }
        Knot::Cause(id) => {
            bytes.push(4);
            bytes.extend_from_slice(id.as_bytes());
        }
    }
    (hash(3, bytes) >> 32) as u32
}

/// The terms of all knots of an entry, each once.
pub fn knot_terms(entry: &Entry) -> Box<[u32]> {
    let mut bytes = Vec::with_capacity(KNOT_BYTES_USUAL);
    let mut terms: Vec<u32> = entry.knots().iter().map(|(tie, knot)| knot_term_in(&mut bytes, *tie, knot)).collect();
    terms.sort_unstable();
    terms.dedup();
    terms.into_boxed_slice()
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn place(bytes: &mut Vec<u8>, place: &Place) {
    match place {
        Place::Offset { partition, offset } => {
            bytes.push(1);
            bytes.extend_from_slice(&partition.to_le_bytes());
            bytes.extend_from_slice(&offset.to_le_bytes());
        }
        Place::Sequence(number) => {
            bytes.push(2);
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        Place::MessageId(id) => {
            bytes.push(3);
            bytes.extend_from_slice(id.as_bytes());
        }
        Place::Arrival(number) => {
            bytes.push(4);
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_hash_means_the_same_in_every_version() {
        // Written down once: if one of these changes, older files can't be read any more.
        assert_eq!(hash(1, b""), 0x920A_46DD_5B68_00BF);
        assert_eq!(hash(1, b"order-48213"), 0x3BA0_D314_2A11_4883);
        assert_eq!(hash(3, &[7; 40]), 0xE24A_561D_6356_0459);
    }

    #[test]
    fn a_word_is_its_bytes_however_few() {
        let bytes = [0x81, 0x92, 0xA3, 0xB4, 0xC5, 0xD6, 0xE7, 0xF8];
        for length in 0..=bytes.len() {
            let mut padded = [0; 8];
            padded[..length].copy_from_slice(&bytes[..length]);
            assert_eq!(word(&bytes[..length]), u64::from_le_bytes(padded), "{length}");
        }
    }

    #[test]
    fn similar_inputs_do_not_collide() {
        let mut seen = HashSet::new();
        for number in 0..200_000_u32 {
            assert!(seen.insert(hash(1, &number.to_le_bytes())));
            assert!(seen.insert(hash(1, format!("order-{number}").as_bytes())));
        }
        for length in 0..100 {
            assert!(seen.insert(hash(1, &vec![0; length][..])) || length == 4, "{length}");
        }
    }
}
