//! A table of hashes: here is a hash, give me the bundles that have it. Knots stand in one, words that are ids in another.
//!
//! Sorted pairs of hash and bundle in buckets of about [`BUCKET_PAIRS`]; hashes spread evenly, so the bucket follows from the hash and is read
//! whole. Within it only differences are written: about 5 bytes a pair, where tantivy's term dictionary takes 20 for a term that is nearly unique.
//!
//! ```text
//! number of buckets (4 bytes, little endian) | where each begins, and the end (4 each) | buckets: (difference of hashes, bundle) as varints
//! ```
//! Two things may share a hash: every hit is looked at.

/// How many pairs stand in a bucket: what a look costs (a quarter of a microsecond), against what the beginnings take.
const BUCKET_PAIRS: usize = 48;

/// Writes a table.
pub fn write(pairs: Vec<(u32, u32)>) -> Vec<u8> {
    // One number sorts quicker than two.
    let mut pairs: Vec<u64> =
        pairs.into_iter().map(|(hash, bundle)| u64::from(hash) << 32 | u64::from(bundle)).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let n_buckets = pairs.len().div_ceil(BUCKET_PAIRS).max(1) as u32;
    let mut buckets = Vec::with_capacity(pairs.len() * 5);
    let mut begins = Vec::with_capacity(n_buckets as usize + 1);
    let mut before = 0;
    for pair in pairs {
        let (hash, bundle) = ((pair >> 32) as u32, pair as u32);
        let bucket = bucket_of(hash, n_buckets);
        while begins.len() <= bucket {
            begins.push(buckets.len() as u32);
            before = first_hash(begins.len() - 1, n_buckets);
        }
        varint(&mut buckets, hash - before);
        varint(&mut buckets, bundle);
        before = hash;
    }
    while begins.len() <= n_buckets as usize {
        begins.push(buckets.len() as u32);
    }
    let mut table = Vec::with_capacity(4 + begins.len() * 4 + buckets.len());
    table.extend_from_slice(&n_buckets.to_le_bytes());
    begins.iter().for_each(|begin| table.extend_from_slice(&begin.to_le_bytes()));
    table.extend_from_slice(&buckets);
    table
}

/// The bundles that have a hash, in order; `None` where the table can't be read.
pub fn bundles(table: &[u8], wanted: u32) -> Option<Vec<u32>> {
    let n_buckets = number(table, 0)?;
    if n_buckets == 0 {
        return None;
    }
    let bucket = bucket_of(wanted, n_buckets);
    let buckets = table.get(4 + (n_buckets as usize + 1) * 4..)?;
    let mut rest = buckets.get(number(table, bucket + 1)? as usize..number(table, bucket + 2)? as usize)?;
    let mut hash = first_hash(bucket, n_buckets);
    let mut bundles = Vec::new();
    while !rest.is_empty() {
        hash = hash.checked_add(read_varint(&mut rest)?)?;
        let bundle = read_varint(&mut rest)?;
        if hash > wanted {
            break;
        }
        if hash == wanted {
            bundles.push(bundle);
        }
    }
    Some(bundles)
}

fn bucket_of(hash: u32, n_buckets: u32) -> usize {
    ((u64::from(hash) * u64::from(n_buckets)) >> 32) as usize
}

/// The smallest hash that belongs to a bucket.
fn first_hash(bucket: usize, n_buckets: u32) -> u32 {
    ((bucket as u64) << 32).div_ceil(u64::from(n_buckets)) as u32
}

fn number(table: &[u8], place: usize) -> Option<u32> {
    Some(u32::from_le_bytes(table.get(place * 4..place * 4 + 4)?.try_into().ok()?))
}

fn varint(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn read_varint(bytes: &mut &[u8]) -> Option<u32> {
    let mut value = 0_u64;
    for shift in (0..35).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7F) << shift;
        if first & 0x80 == 0 {
            return u32::try_from(value).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_bundle_of_a_hash_is_found_and_no_other(
            pairs in prop::collection::vec((prop_oneof![0..9_u32, any::<u32>(), Just(u32::MAX)], any::<u16>()), 0..300),
            asked: u32,
        ) {
            let pairs: Vec<(u32, u32)> = pairs.into_iter().map(|(hash, bundle)| (hash, bundle.into())).collect();
            let table = write(pairs.clone());
            for hash in pairs.iter().map(|(hash, _)| *hash).chain([asked, 0, u32::MAX]) {
                let mut expected: Vec<u32> = pairs.iter().filter(|pair| pair.0 == hash).map(|pair| pair.1).collect();
                expected.sort_unstable();
                expected.dedup();
                prop_assert_eq!(bundles(&table, hash), Some(expected));
            }
        }

        #[test]
        fn a_damaged_table_is_no_panic(table: Vec<u8>, asked: u32) {
            let _either_way = bundles(&table, asked);
        }
    }
}
