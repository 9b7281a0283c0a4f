//! The file of what was forgotten: which entries must not come back, and which of them may still stand in files.
//!
//! A tombstone is first in the log; before its log file goes it is written here. The state has the same tombstones,
//! so that damage to either file alone brings nothing back.

use std::collections::HashSet;
use std::path::Path;

use bytes::Bytes;
use prost::Message;

use super::hash::IdentityKey;
use crate::engine::StoreError;
use crate::file;
use crate::frame;

/// The format of this file that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// How many bytes a key takes.
const KEY_BYTES: usize = 16;

/// What was forgotten.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tombstones {
    /// What must not come back.
    pub forgotten: HashSet<IdentityKey>,
    /// What of it may still stand in files.
    pub erasing: HashSet<IdentityKey>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredTombstones {
    #[prost(uint32, tag = "1")]
    format: u32,
    /// Keys one after the other.
    #[prost(bytes = "bytes", tag = "2")]
    forgotten: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    erasing: Bytes,
}

impl Tombstones {
    /// Puts them in place of what the file held.
    pub fn write(
        path: &Path,
        forgotten: &HashSet<IdentityKey>,
        erasing: &HashSet<IdentityKey>,
    ) -> Result<(), StoreError> {
        let stored = StoredTombstones { format: FORMAT, forgotten: packed(forgotten), erasing: packed(erasing) };
        file::replace(path, &frame::frame(&stored.encode_to_vec()))
    }

    /// Reads the file; `None` where there is none.
    pub fn read(path: &Path) -> Result<Option<Tombstones>, StoreError> {
        let Some(bytes) = file::read(path)? else { return Ok(None) };
        let damaged = |reason: String| StoreError::Damaged { path: path.display().to_string(), reason };
        let payload = Bytes::copy_from_slice(frame::only(&bytes).map_err(damaged)?);
        let stored = StoredTombstones::decode(payload).map_err(|error| damaged(error.to_string()))?;
        if stored.format > FORMAT {
            return Err(StoreError::Unusable(format!(
                "`{}` was written by a newer version of this program (format {}, this one reads up to {FORMAT}): \
                 use that version, or another data folder",
                path.display(),
                stored.format
            )));
        }
        let read = unpacked(&stored.forgotten).zip(unpacked(&stored.erasing));
        let (forgotten, erasing) = read.ok_or_else(|| damaged("a key has the wrong length".to_owned()))?;
        Ok(Some(Tombstones { forgotten, erasing }))
    }

    /// What this file and the state know together. What only the state knows may still stand in files: this file would have said otherwise.
    pub fn together(read: Option<Tombstones>, of_state: &HashSet<IdentityKey>) -> Tombstones {
        let mut tombstones = read.unwrap_or_default();
        let only_there: Vec<IdentityKey> = of_state.difference(&tombstones.forgotten).copied().collect();
        tombstones.erasing.extend(&only_there);
        tombstones.forgotten.extend(&only_there);
        tombstones
    }
}

fn packed(keys: &HashSet<IdentityKey>) -> Bytes {
    keys.iter().flat_map(|key| key.0.to_le_bytes()).collect()
}

fn unpacked(bytes: &[u8]) -> Option<HashSet<IdentityKey>> {
    bytes.chunks(KEY_BYTES).map(IdentityKey::from_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(numbers: std::ops::Range<u128>) -> HashSet<IdentityKey> {
        numbers.map(IdentityKey).collect()
    }

    #[test]
    fn what_either_file_knows_is_forgotten_and_what_only_the_state_knows_may_still_stand_in_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tombstones");
        assert_eq!(Tombstones::together(Tombstones::read(&path).unwrap(), &keys(0..2)).erasing, keys(0..2));
        Tombstones::write(&path, &keys(0..5), &keys(3..5)).unwrap();
        let read = Tombstones::read(&path).unwrap();
        assert_eq!(read, Some(Tombstones { forgotten: keys(0..5), erasing: keys(3..5) }));
        let both = Tombstones::together(read.clone(), &HashSet::new());
        assert_eq!(Some(both), read, "a state that was lost brings nothing back");
        let both = Tombstones::together(read, &keys(4..7));
        assert_eq!(both, Tombstones { forgotten: keys(0..7), erasing: keys(3..7) });
    }

    #[test]
    fn damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tombstones");
        Tombstones::write(&path, &keys(0..5), &keys(3..5)).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            std::fs::write(&path, flipped).unwrap();
            assert!(matches!(Tombstones::read(&path), Err(StoreError::Damaged { .. })), "{at}");
        }
    }
}
