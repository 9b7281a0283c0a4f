//! A filter over identities: here is a key, tell me for certain that it isn't in this segment, or that it may be.
//!
//! A Bloom filter, behind the keys in the file of identities: the operating system keeps in memory what of it is asked.
//! It is only a hint: what may be there is looked up and compared before it counts as a duplicate.

use tantivy::directory::OwnedBytes;

use crate::index::hash::IdentityKey;

/// Bits for each entry: with [`PROBES`] of them set, one key in 2,000 is looked up in vain. Two bytes an entry is what that costs.
const BITS_PER_ENTRY: usize = 16;

/// How many bits each key sets.
const PROBES: u64 = 6;

/// A filter over identities.
#[derive(Debug)]
pub struct Filter {
    bits: OwnedBytes,
}

/// How many bytes a filter over so many keys has.
pub fn length(n_keys: usize) -> usize {
    (n_keys * BITS_PER_ENTRY).div_ceil(64).max(1) * 8
}

/// A filter over these keys' short parts, as files hold it.
pub fn write(keys: impl ExactSizeIterator<Item = u32>) -> Vec<u8> {
    let mut bits = vec![0; length(keys.len())];
    for key in keys {
        for bit in places(key, bits.len()) {
            bits[bit / 8] |= 1 << (bit % 8);
        }
    }
    bits
}

impl Filter {
    /// From what [`write`] wrote.
    pub fn new(bits: OwnedBytes) -> Filter {
        Filter { bits }
    }

    /// `false` where it certainly isn't there.
    pub fn may_hold(&self, key: IdentityKey) -> bool {
        places(key.short(), self.bits.len()).all(|bit| self.bits[bit / 8] & (1 << (bit % 8)) != 0)
    }
}

fn places(key: u32, n_bytes: usize) -> impl Iterator<Item = usize> {
    let spread = u64::from(key).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let (first, step) = (spread >> 32, (spread & 0xFFFF_FFFF) | 1);
    let n_bits = n_bytes as u64 * 8;
    (0..PROBES).map(move |probe| (first.wrapping_add(probe.wrapping_mul(step)) % n_bits) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_never_denied_and_little_else_is_suspected() {
        let keys: Vec<u32> = (0..20_000_u32).map(|number| number.wrapping_mul(2_654_435_761)).collect();
        let filter = Filter::new(OwnedBytes::new(write(keys.iter().copied())));
        assert!(keys.iter().all(|key| filter.may_hold(IdentityKey(u128::from(*key)))));
        let others = (20_000..120_000_u32).map(|number| number.wrapping_mul(2_654_435_761));
        let suspected = others.filter(|key| filter.may_hold(IdentityKey(u128::from(*key)))).count();
        assert!(suspected < 200, "{suspected} of 100,000 were suspected");
    }
}
