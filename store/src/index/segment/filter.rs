//! A filter over identities: here is a key, tell me for certain that it isn't in this segment, or that it may be.
//!
//! A Bloom filter in memory. It is only a hint: what may be there is looked up and compared before it counts as a duplicate.

use crate::index::hash::IdentityKey;

/// Bits for each entry: with [`PROBES`] of them set, one key in 2,000 is looked up in vain. Two bytes an entry is what that costs.
const BITS_PER_ENTRY: usize = 16;

/// How many bits each key sets.
const PROBES: u64 = 6;

/// A filter over identities.
#[derive(Debug)]
pub struct Filter {
    bits: Vec<u64>,
}

impl Filter {
    /// Over these keys' short parts.
    pub fn new(keys: impl ExactSizeIterator<Item = u32>) -> Filter {
        let n_words = (keys.len() * BITS_PER_ENTRY).div_ceil(64).max(1);
        let mut filter = Filter { bits: vec![0; n_words] };
        for key in keys {
            for bit in filter.places(key) {
                filter.bits[bit / 64] |= 1 << (bit % 64);
            }
        }
        filter
    }

    /// `false` where it certainly isn't there.
    pub fn may_hold(&self, key: IdentityKey) -> bool {
        self.places(key.short()).all(|bit| self.bits[bit / 64] & (1 << (bit % 64)) != 0)
    }

    /// How many bytes of memory it takes.
    pub fn bytes(&self) -> usize {
        self.bits.len() * 8
    }

    fn places(&self, key: u32) -> impl Iterator<Item = usize> + use<> {
        let spread = u64::from(key).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (first, step) = (spread >> 32, (spread & 0xFFFF_FFFF) | 1);
        let n_bits = self.bits.len() as u64 * 64;
        (0..PROBES).map(move |probe| (first.wrapping_add(probe.wrapping_mul(step)) % n_bits) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_never_denied_and_little_else_is_suspected() {
        let keys: Vec<u32> = (0..20_000_u32).map(|number| number.wrapping_mul(2_654_435_761)).collect();
        let filter = Filter::new(keys.iter().copied());
        assert!(keys.iter().all(|key| filter.may_hold(IdentityKey(u128::from(*key)))));
        let others = (20_000..120_000_u32).map(|number| number.wrapping_mul(2_654_435_761));
        let suspected = others.filter(|key| filter.may_hold(IdentityKey(u128::from(*key)))).count();
        assert!(suspected < 200, "{suspected} of 100,000 were suspected");
    }
}
