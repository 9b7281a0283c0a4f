//! One group of the log: what was acknowledged together.

use bytes::Bytes;
use prost::Message;
use zstd::bulk::Compressor;

use super::hash::IdentityKey;
use crate::checkpoint::Checkpoint;
use crate::codec::{BlockReader, BlockWriter, decode_checkpoint, encode_checkpoint};
use crate::engine::Held;

/// What was acknowledged together.
#[derive(Debug, Default)]
pub struct Batch {
    /// Counts groups, from 1: a segment says up to which one it has them.
    pub number: u64,
    /// Entries that were not held before.
    pub entries: Vec<Held>,
    /// How far sources were kept.
    pub checkpoints: Vec<Checkpoint>,
    /// Further copies of entries that were held before, or that came more than once in this group.
    pub repeats: Vec<(IdentityKey, u32)>,
    /// Entries that are forgotten from now on.
    pub forgotten: Vec<IdentityKey>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredBatch {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(bytes = "bytes", tag = "2")]
    block: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "3")]
    checkpoints: Vec<Bytes>,
    #[prost(message, repeated, tag = "4")]
    repeats: Vec<StoredRepeat>,
    #[prost(bytes = "bytes", repeated, tag = "5")]
    forgotten: Vec<Bytes>,
}

/// Further copies of an entry.
#[derive(Clone, PartialEq, Message)]
pub struct StoredRepeat {
    /// The 16 bytes of an [`IdentityKey`].
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// How many.
    #[prost(uint32, tag = "2")]
    pub times: u32,
}

/// The tag of [`StoredBatch::block`].
const BLOCK_TAG: u32 = 2;

/// zstd's level for the log: 1, because the log is written for every entry and gone within minutes.
const LEVEL: i32 = 1;

/// The most bytes that one group may unpack to: far above what is ever put into one, and a bound on what damaged bytes can ask for.
const UNPACKED_BYTES_MAX: u64 = 1 << 30;

/// Packs groups, one after the other. What it needs for one it keeps for the next: megabytes that are taken from the operating system
/// and given back for every group would cost more than packing them.
pub struct Packer {
    block: Vec<u8>,
    stored: Vec<u8>,
    packed: Vec<u8>,
    compressor: Compressor<'static>,
}

/// What a packer keeps for the next group, in bytes; what a larger one took is given back.
const KEPT_BYTES_MAX: usize = 4 << 20;

impl Packer {
    /// Ready for the first group.
    pub fn new() -> std::io::Result<Packer> {
        let compressor = Compressor::new(LEVEL)?;
        Ok(Packer { block: Vec::new(), stored: Vec::new(), packed: Vec::new(), compressor })
    }

    /// Packs a group; what [`unpack`] reads.
    pub fn pack(&mut self, batch: &Batch) -> std::io::Result<&[u8]> {
        let mut block = BlockWriter::reusing(std::mem::take(&mut self.block));
        batch.entries.iter().for_each(|held| block.add(held));
        self.block = block.finish();
        let rest = StoredBatch {
            number: batch.number,
            block: Bytes::new(),
            checkpoints: batch.checkpoints.iter().map(|checkpoint| encode_checkpoint(checkpoint).into()).collect(),
            repeats: batch.repeats.iter().map(|(key, times)| StoredRepeat::new(*key, *times)).collect(),
            forgotten: batch.forgotten.iter().map(|key| key.to_bytes()).collect(),
        };
        self.stored.clear();
        self.stored.reserve(self.block.len() + rest.encoded_len() + 16);
        // The largest field goes behind the others without a copy of its own: fields may come in any order.
        rest.encode_raw(&mut self.stored);
        prost::encoding::bytes::encode(BLOCK_TAG, &self.block, &mut self.stored);
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(self.stored.len()));
        self.compressor.compress_to_buffer(&self.stored, &mut self.packed)?;
        [&mut self.block, &mut self.stored].into_iter().for_each(|buffer| buffer.shrink_to(KEPT_BYTES_MAX));
        Ok(&self.packed)
    }
}

/// Unpacks a group, or says why it is none.
pub fn unpack(payload: &[u8]) -> Result<Batch, String> {
    let size = match zstd::zstd_safe::get_frame_content_size(payload) {
        Ok(Some(size)) if size <= UNPACKED_BYTES_MAX => size as usize,
        _ => return Err("not a compressed group".to_owned()),
    };
    let unpacked = zstd::bulk::decompress(payload, size).map_err(|error| error.to_string())?;
    let stored = StoredBatch::decode(Bytes::from(unpacked)).map_err(|error| error.to_string())?;
    let block = BlockReader::new(stored.block).map_err(|error| error.to_string())?;
    let entries: Result<_, _> = (0..block.len()).map(|place| block.get(place)).collect();
    let checkpoints: Result<_, _> = stored.checkpoints.iter().map(|bytes| decode_checkpoint(bytes)).collect();
    let repeats: Option<_> = stored.repeats.iter().map(StoredRepeat::read).collect();
    let forgotten: Option<_> = stored.forgotten.iter().map(|bytes| IdentityKey::from_bytes(bytes)).collect();
    Ok(Batch {
        number: stored.number,
        entries: entries.map_err(|error| error.to_string())?,
        checkpoints: checkpoints.map_err(|error| error.to_string())?,
        repeats: repeats.ok_or("a key of the wrong length")?,
        forgotten: forgotten.ok_or("a key of the wrong length")?,
    })
}

impl StoredRepeat {
    /// So many further copies of this entry.
    pub fn new(key: IdentityKey, times: u32) -> StoredRepeat {
        StoredRepeat { key: key.to_bytes(), times }
    }

    /// What it says; `None` where its key has the wrong length.
    pub fn read(&self) -> Option<(IdentityKey, u32)> {
        Some((IdentityKey::from_bytes(&self.key)?, self.times))
    }
}

impl IdentityKey {
    /// As files hold it.
    pub fn to_bytes(self) -> Bytes {
        Bytes::copy_from_slice(&self.0.to_le_bytes())
    }

    /// From what a file holds; `None` where it has the wrong length.
    pub fn from_bytes(bytes: &[u8]) -> Option<IdentityKey> {
        Some(IdentityKey(u128::from_le_bytes(bytes.try_into().ok()?)))
    }
}
