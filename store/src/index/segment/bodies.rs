//! A segment's bodies: whole entries in compressed blocks. Here is an entry's number, give me the entry.
//!
//! Blocks stand one after the other in the file; a table says where each begins, which entry is its first, and its checksum.
//! They are packed with a dictionary: some of the segment's own entries, so that a block of a few dozen packs nearly as well as one of
//! thousands. It belongs to the segment alone: what is forgotten goes from it when the segment is made anew.

use std::borrow::Cow;

use bytes::Bytes;
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::DecoderDictionary;

use super::entries::Kept;
use crate::codec::{BlockReader, BlockWriter};
use crate::engine::{Held, StoreError};

/// How many bytes of entries go into one block: what reading one entry costs (about 60 us), against how well a block packs.
const BLOCK_BYTES: usize = 64 * 1024;

/// zstd's level for what comes from the live set: 1, as for the log; it is made anew within minutes, when segments are merged.
pub const LEVEL_OF_SEAL: i32 = 1;

/// zstd's level for what is made anew of segments: it stays for days. It packs by some 6 % better than [`LEVEL_OF_SEAL`]; higher ones gain
/// little more, and cost several times as much.
pub const LEVEL_OF_MERGE: i32 = 3;

/// The dictionary is made of so many runs of entries, spread over the segment ...
const DICTIONARY_RUNS: usize = 4;

/// ... of so many entries each: neighbours are of one trace, and the kinds of entries in it differ.
const DICTIONARY_RUN_ENTRIES: usize = 16;

/// How many bytes a dictionary has at the most: what each read of a block must load besides it.
const DICTIONARY_BYTES_MAX: usize = BLOCK_BYTES;

/// The most bytes that a block may unpack to: one entry of the largest admitted request, and a bound on what damaged bytes can ask for.
const UNPACKED_BYTES_MAX: u64 = 1 << 30;

/// How many bytes a block takes in the table: where it ends in the file (8), its first entry (4), its checksum (4), little endian.
const ROW_BYTES: usize = 16;

/// Bodies that are being written.
pub struct BodiesWriter {
    block: BlockWriter,
    compressor: Compressor<'static>,
    packed: Vec<u8>,
    table: Vec<u8>,
    entries: u32,
}

impl BodiesWriter {
    /// Without any entry yet; packs at this level, with this dictionary.
    pub fn new(level: i32, dictionary: &[u8]) -> std::io::Result<BodiesWriter> {
        let compressor = Compressor::with_dictionary(level, dictionary)?;
        Ok(BodiesWriter {
            block: BlockWriter::default(),
            compressor,
            packed: Vec::new(),
            table: Vec::new(),
            entries: 0,
        })
    }

    /// Adds an entry; its number is how many were added before.
    pub fn add(&mut self, held: &Held) -> std::io::Result<()> {
        self.block.add(held);
        if self.block.len() >= BLOCK_BYTES {
            self.end_block()?;
        }
        Ok(())
    }

    /// The file and the table.
    pub fn finish(mut self) -> std::io::Result<(Vec<u8>, Vec<u8>)> {
        self.end_block()?;
        Ok((self.packed, self.table))
    }

    fn end_block(&mut self) -> std::io::Result<()> {
        let block = std::mem::take(&mut self.block);
        if block.entries() == 0 {
            return Ok(());
        }
        let first = self.entries;
        self.entries += block.entries();
        let packed = self.compressor.compress(&block.finish())?;
        self.packed.extend_from_slice(&packed);
        self.table.extend_from_slice(&(self.packed.len() as u64).to_le_bytes());
        self.table.extend_from_slice(&first.to_le_bytes());
        self.table.extend_from_slice(&crc32fast::hash(&packed).to_le_bytes());
        Ok(())
    }
}

/// A dictionary of some of a segment's entries, which are so many and given by their number.
pub fn dictionary<'a>(
    n_entries: usize,
    entry: impl Fn(usize) -> Result<Cow<'a, Kept>, StoreError>,
) -> Result<Vec<u8>, StoreError> {
    let mut sample = BlockWriter::default();
    for run in 0..DICTIONARY_RUNS {
        let first = n_entries / DICTIONARY_RUNS * run;
        for number in first..n_entries.min(first + DICTIONARY_RUN_ENTRIES) {
            sample.add(&entry(number)?.held);
        }
    }
    let mut dictionary = sample.finish();
    dictionary.truncate(DICTIONARY_BYTES_MAX);
    Ok(dictionary)
}

/// A dictionary as its file holds it.
pub fn pack_dictionary(dictionary: &[u8]) -> std::io::Result<Vec<u8>> {
    zstd::bulk::compress(dictionary, LEVEL_OF_SEAL)
}

/// A dictionary from its file, ready to unpack blocks, or what is wrong with that.
pub fn unpack_dictionary(packed: &[u8]) -> Result<DecoderDictionary<'static>, String> {
    let dictionary = zstd::bulk::decompress(packed, DICTIONARY_BYTES_MAX).map_err(|error| error.to_string())?;
    Ok(DecoderDictionary::copy(&dictionary))
}

/// The table of blocks, as a slice of its file.
#[derive(Clone, Copy, Debug)]
pub struct BlockTable<'a>(pub &'a [u8]);

impl BlockTable<'_> {
    /// How many blocks there are.
    pub fn len(self) -> usize {
        self.0.len() / ROW_BYTES
    }

    /// The block that holds an entry, and the entry's place in it.
    pub fn find(self, entry: u32) -> Option<(usize, usize)> {
        let (mut low, mut high) = (0, self.len());
        // All blocks before `low` begin at or before the entry, all from `high` on behind it.
        while low < high {
            let middle = low.midpoint(high);
            if self.first(middle) <= entry {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let block = low.checked_sub(1)?;
        Some((block, (entry - self.first(block)) as usize))
    }

    /// Unpacks a block of the file, or says what is wrong with it.
    pub fn read(self, bodies: &[u8], dictionary: &DecoderDictionary<'_>, block: usize) -> Result<BlockReader, String> {
        let begin = if block == 0 { 0 } else { self.end(block - 1) };
        let packed = bodies.get(begin..self.end(block)).ok_or("a block lies outside the file")?;
        let expected = self.row(block)[12..].try_into().map(u32::from_le_bytes).expect("a row ends with 4 bytes");
        if crc32fast::hash(packed) != expected {
            return Err(format!("the checksum of block {block} is wrong"));
        }
        let size = match zstd::zstd_safe::get_frame_content_size(packed) {
            Ok(Some(size)) if size <= UNPACKED_BYTES_MAX => size as usize,
            _ => return Err(format!("block {block} is not compressed")),
        };
        let unpacked = Decompressor::with_prepared_dictionary(dictionary)
            .and_then(|mut unpacker| unpacker.decompress(packed, size));
        let unpacked = unpacked.map_err(|error| error.to_string())?;
        BlockReader::new(Bytes::from(unpacked)).map_err(|error| error.to_string())
    }

    fn row(&self, block: usize) -> &[u8] {
        &self.0[block * ROW_BYTES..(block + 1) * ROW_BYTES]
    }

    fn first(&self, block: usize) -> u32 {
        self.row(block)[8..12].try_into().map(u32::from_le_bytes).expect("a slice of 4 bytes")
    }

    fn end(&self, block: usize) -> usize {
        let end = self.row(block)[..8].try_into().map(u64::from_le_bytes).expect("a slice of 8 bytes");
        usize::try_from(end).unwrap_or(usize::MAX)
    }
}
