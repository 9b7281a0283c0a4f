//! What was read of segments lately, each kind within its share of the memory limit.

use zstd::dict::DecoderDictionary;

use crate::codec::BlockReader;
use crate::index::cache::Cache;
use crate::index::columns::{Columns, Minutes};

/// What was read of segments lately.
pub struct Caches {
    /// Columns, by segment.
    pub columns: Cache<u64, Columns>,
    /// Blocks of bodies, by segment and block.
    pub blocks: Cache<(u64, usize), BlockReader>,
    /// Counts of minutes, by segment; `None` where a segment has none.
    pub minutes: Cache<u64, Option<Minutes>>,
    /// Dictionaries, ready to unpack with, by segment.
    pub dictionaries: Cache<u64, DecoderDictionary<'static>>,
}

/// How many bytes of columns are kept in memory, as a share of the memory limit: with 512 MiB, those of a million entries.
const COLUMNS_SHARE: u64 = 12;

/// How many bytes of unpacked blocks are kept in memory, as a share of the memory limit: those that a few people page through.
const BLOCKS_SHARE: u64 = 32;

/// How many bytes of minutes are kept in memory, as a share of the memory limit: with 512 MiB, those of a day of charts.
const MINUTES_SHARE: u64 = 32;

/// How many bytes of dictionaries are kept in memory, as a share of the memory limit: with 512 MiB, those of 100 segments.
const DICTIONARIES_SHARE: u64 = 32;

/// How many bytes of blocks are kept while segments are read one after the other to be merged, rewritten or checked: a few from each.
pub const READING_BYTES: usize = 8 << 20;

impl Caches {
    /// For a process that may take so many bytes of memory.
    pub fn new(memory_limit: u64) -> Caches {
        let share = |share: u64| usize::try_from(memory_limit / share).unwrap_or(usize::MAX);
        Caches {
            columns: Cache::new(share(COLUMNS_SHARE)),
            blocks: Cache::new(share(BLOCKS_SHARE)),
            minutes: Cache::new(share(MINUTES_SHARE)),
            dictionaries: Cache::new(share(DICTIONARIES_SHARE)),
        }
    }

    /// For reading segments through, in at most about [`READING_BYTES`]: what people asked for lately stays in the others.
    pub fn for_reading() -> Caches {
        Caches {
            columns: Cache::new(0),
            blocks: Cache::new(READING_BYTES),
            minutes: Cache::new(0),
            dictionaries: Cache::new(READING_BYTES),
        }
    }

    /// Lets go of what belongs to segments that are no more.
    pub fn retain(&self, is_there: impl Fn(u64) -> bool) {
        self.columns.retain(|number| is_there(*number));
        self.blocks.retain(|(number, _)| is_there(*number));
        self.minutes.retain(|number| is_there(*number));
        self.dictionaries.retain(|number| is_there(*number));
    }
}

impl std::fmt::Debug for Caches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caches").field("columns", &self.columns.bytes()).finish_non_exhaustive()
    }
}
