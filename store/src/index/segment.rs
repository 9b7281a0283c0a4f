//! A segment: entries that don't change any more, in a folder of a few files. Here is a knot, a term or a number, give me the entries.
//!
//! | File | here is … | … give me |
//! |---|---|---|
//! | `bodies`, `blocks`, `dictionary` | an entry's number | the entry |
//! | `bundles` | a bundle (the entries of one trace) | its entries' numbers |
//! | `knots` | a knot | the bundles that have it |
//! | `terms` | a word or a value of a field with few | the bundles that have it |
//! | `ids` | an id or a value of a field with many | the bundles that have it |
//! | `columns` | an entry's number | its time, status, topic, ... |
//! | `minutes` | a minute | how many entries of each topic, service, status, ... |
//! | `identities` | an identity | the entry that may be it |
//! | `manifest` | the segment | what is in it, and its files' checksums |
//!
//! A file is checked when it is first used. What is damaged is an error ([`Damage`]), upon which the segment is set aside; never a panic.

pub mod bodies; // whole entries in compressed blocks
pub mod build; // makes a segment of entries
pub mod filter; // tells for certain that an identity isn't there
pub mod manifest; // what a segment says of itself
pub mod pairs; // tables of hashes
pub mod terms; // the inverted index

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tantivy::Directory;
use tantivy::directory::{MmapDirectory, OwnedBytes};
use zstd::dict::DecoderDictionary;

use self::bodies::BlockTable;
use self::build::{BLOCKS, BODIES, BUNDLES, COLUMNS, DICTIONARY, IDENTITIES, IDS, KNOTS, MINUTES, TERMS};
use self::filter::Filter;
use self::manifest::Manifest;
use self::terms::Terms;
use super::cache::Cache;
use super::columns::{self, Columns, Minutes};
use super::hash::{IdentityKey, knot_term};
use super::tokens::Token;
use crate::codec::BlockReader;
use crate::engine::Held;
use crate::entry::{Identity, Kind};
use crate::knot::{Knot, Tie};

/// Entries that don't change any more.
pub struct Segment {
    /// What it says of itself.
    pub manifest: Manifest,
    path: PathBuf,
    directory: MmapDirectory,
    files: HashMap<&'static str, OnceLock<OwnedBytes>>,
    terms: OnceLock<Terms>,
    dictionary: OnceLock<DecoderDictionary<'static>>,
    minutes: OnceLock<Option<Minutes>>,
    filter: Filter,
}

/// What was read of segments lately.
#[derive(Debug)]
pub struct Caches {
    /// Columns, by segment.
    pub columns: Cache<u64, Columns>,
    /// Blocks of bodies, by segment and block.
    pub blocks: Cache<(u64, usize), BlockReader>,
}

/// A segment that can't be read, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// Which segment.
    pub segment: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// How much memory an unpacked block takes beside its bytes: counted with what decoding makes of its tables.
const BLOCK_BYTES_ABOUT: usize = 96 * 1024;

/// How many times as many bytes the minutes take in memory as in their file.
const MINUTES_GROWTH: u64 = 4;

/// How much memory a dictionary takes that is ready to unpack with: its content, and zstd's tables.
const DICTIONARY_BYTES_ABOUT: u64 = 160 * 1024;

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("number", &self.manifest.number).finish_non_exhaustive()
    }
}

impl Segment {
    /// Opens a segment's folder.
    pub fn open(path: &Path, manifest: Manifest) -> Result<Segment, Damage> {
        let damage = |reason: String| Damage { segment: manifest.number, reason };
        let directory = MmapDirectory::open(path).map_err(|error| damage(error.to_string()))?;
        let names = [MINUTES, BODIES, BLOCKS, DICTIONARY, BUNDLES, IDENTITIES, KNOTS, COLUMNS, TERMS, IDS];
        let mut segment = Segment {
            path: path.to_owned(),
            directory,
            files: names.into_iter().map(|name| (name, OnceLock::new())).collect(),
            terms: OnceLock::new(),
            dictionary: OnceLock::new(),
            minutes: OnceLock::new(),
            filter: Filter::new(std::iter::empty()),
            manifest,
        };
        for name in names {
            let expected = segment.sum(name)?.length;
            let length =
                std::fs::metadata(path.join(name)).map_err(|error| segment.damage(format!("`{name}`: {error}")))?;
            if length.len() != expected {
                return Err(segment.damage(format!("`{name}` has {} bytes, not {expected}", length.len())));
            }
        }
        let identities = segment.file(IDENTITIES)?;
        if identities.len() as u64 != segment.manifest.entries() * 4 {
            return Err(segment.damage(format!("`{IDENTITIES}` doesn't list every entry")));
        }
        segment.filter = Filter::new(short_keys(&identities));
        Ok(segment)
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.manifest.number
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// About how much memory it takes whether it is asked or not; what it was asked for lately is in [`Caches`], and its files are the
    /// operating system's to keep or drop.
    pub fn memory_bytes(&self) -> u64 {
        let minutes = if self.minutes.get().is_some() { self.sum(MINUTES).map_or(0, |sum| sum.length) } else { 0 };
        let dictionary = if self.dictionary.get().is_some() { DICTIONARY_BYTES_ABOUT } else { 0 };
        self.filter.bytes() as u64 + minutes * MINUTES_GROWTH + dictionary
    }

    /// Opens all of its files, so that questions which are under way can still read them when their names are gone.
    /// What is damaged stays closed: whoever asks for it is told.
    pub fn hold_open(&self) {
        for name in self.files.keys() {
            let _told_when_asked = if *name == BODIES { self.map(name) } else { self.file(name) };
        }
    }

    /// Its columns.
    pub fn columns(&self, caches: &Caches) -> Result<Arc<Columns>, Damage> {
        caches.columns.get(&self.number(), || {
            let columns =
                columns::read(&self.file(COLUMNS)?).map_err(|reason| self.damage(format!("`{COLUMNS}`: {reason}")))?;
            if columns.len() as u64 != self.manifest.entries() {
                return Err(self.damage(format!("`{COLUMNS}` doesn't list every entry")));
            }
            let bytes = columns.bytes();
            Ok((columns, bytes))
        })
    }

    /// How many entries alike it has in each minute; `None` where they are too different.
    pub fn minutes(&self) -> Result<Option<&Minutes>, Damage> {
        if let Some(minutes) = self.minutes.get() {
            return Ok(minutes.as_ref());
        }
        let bytes = self.file(MINUTES)?;
        let minutes = if bytes.is_empty() { None } else { Some(Minutes::read(&bytes)) };
        let minutes = minutes.transpose().map_err(|reason| self.damage(format!("`{MINUTES}`: {reason}")))?;
        Ok(self.minutes.get_or_init(|| minutes).as_ref())
    }

    /// Its inverted index.
    pub fn terms(&self) -> Result<&Terms, Damage> {
        if let Some(terms) = self.terms.get() {
            return Ok(terms);
        }
        let terms = Terms::open(&self.file(TERMS)?).map_err(|reason| self.damage(format!("`{TERMS}`: {reason}")))?;
        if terms.n_bundles() as usize != self.file(BUNDLES)?.len() / 4 {
            return Err(self.damage(format!("`{TERMS}` doesn't list every bundle")));
        }
        Ok(self.terms.get_or_init(|| terms))
    }

    /// An entry, by its number.
    pub fn get(&self, caches: &Caches, number: u32) -> Result<Held, Damage> {
        let blocks = self.file(BLOCKS)?;
        let table = BlockTable(&blocks);
        let (block, place) =
            table.find(number).ok_or_else(|| self.damage(format!("`{BLOCKS}` lacks entry {number}")))?;
        let key = (self.number(), block);
        let reader = caches.blocks.get(&key, || {
            // The file as a whole was measured when it was opened; each block has its own checksum.
            let reader = table
                .read(&self.map(BODIES)?, self.dictionary()?, block)
                .map_err(|reason| self.damage(format!("`{BODIES}`: {reason}")))?;
            Ok((reader, BLOCK_BYTES_ABOUT))
        })?;
        reader.get(place).map_err(|error| self.damage(format!("`{BODIES}`: entry {number}: {error}")))
    }

    /// The numbers of the entries in these bundles, in order.
    pub fn entries(&self, bundles: &[u32]) -> Result<Vec<u32>, Damage> {
        let firsts = self.file(BUNDLES)?;
        let n_bundles = firsts.len() / 4;
        let n_entries = self.manifest.entries() as u32;
        let first = |bundle: usize| match firsts.get(bundle * 4..bundle * 4 + 4) {
            Some(bytes) => u32::from_le_bytes(bytes.try_into().expect("a slice of 4 bytes")).min(n_entries),
            None => n_entries,
        };
        let mut numbers = Vec::new();
        for bundle in bundles {
            let bundle = *bundle as usize;
            if bundle >= n_bundles {
                return Err(self.damage(format!("there is no bundle {bundle}")));
            }
            numbers.extend(first(bundle)..first(bundle + 1));
        }
        Ok(numbers)
    }

    /// The numbers of the entries that may be tied to one of these knots, in order.
    pub fn tied(&self, knots: &[(Tie, Knot)]) -> Result<Vec<u32>, Damage> {
        let table = self.file(KNOTS)?;
        let mut bundles = Vec::new();
        for (tie, knot) in knots {
            let found = pairs::bundles(&table, knot_term(*tie, knot));
            bundles.extend(found.ok_or_else(|| self.damage(format!("`{KNOTS}` can't be read")))?);
        }
        bundles.sort_unstable();
        bundles.dedup();
        self.entries(&bundles)
    }

    /// The bundles that have a token, in order.
    pub fn with_token(&self, token: &Token) -> Result<Vec<u32>, Damage> {
        match token {
            Token::Term(term) => {
                self.terms()?.bundles(term).map_err(|error| self.damage(format!("`{TERMS}`: {error}")))
            }
            Token::Id(id) => {
                pairs::bundles(&self.file(IDS)?, *id).ok_or_else(|| self.damage(format!("`{IDS}` can't be read")))
            }
        }
    }

    /// The bundles that have a term which begins like this, in order; `None` where too many terms do.
    pub fn with_beginning(&self, beginning: &[u8]) -> Result<Option<Vec<u32>>, Damage> {
        self.terms()?.bundles_beginning(beginning).map_err(|error| self.damage(format!("`{TERMS}`: {error}")))
    }

    /// Whether an entry is in it: this key at this time (`None` where it has no time of its own), with this identity.
    pub fn holds(
        &self,
        caches: &Caches,
        key: IdentityKey,
        nanos: Option<i64>,
        identity: &Identity,
    ) -> Result<bool, Damage> {
        if !nanos.is_none_or(|nanos| self.manifest.may_hold(nanos)) || !self.filter.may_hold(key) {
            return Ok(false);
        }
        let identities = self.file(IDENTITIES)?;
        for (number, short) in short_keys(&identities).enumerate() {
            if short == key.short() && self.get(caches, number as u32)?.entry.identity() == *identity {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The numbers and kinds of the entries that have one of these keys, in order.
    pub fn with_keys(&self, caches: &Caches, keys: &HashSet<IdentityKey>) -> Result<Vec<(u32, Kind)>, Damage> {
        let shorts: HashSet<u32> = keys.iter().map(|key| key.short()).collect();
        let mut found = Vec::new();
        for (number, short) in short_keys(&self.file(IDENTITIES)?).enumerate() {
            if shorts.contains(&short) {
                let entry = self.get(caches, number as u32)?.entry;
                if keys.contains(&IdentityKey::of(&entry.identity())) {
                    found.push((number as u32, entry.kind()));
                }
            }
        }
        Ok(found)
    }

    /// Reads every file and checks it; how many entries could be read.
    pub fn check(&self) -> Result<u64, Damage> {
        let caches = Caches { columns: Cache::new(0), blocks: Cache::new(4 * BLOCK_BYTES_ABOUT) };
        for name in self.files.keys() {
            let sum = self.sum(name)?;
            if crc32fast::hash(&self.map(name)?) != sum.checksum {
                return Err(self.damage(format!("the checksum of `{name}` is wrong")));
            }
        }
        self.terms()?;
        self.minutes()?;
        let columns = self.columns(&caches)?;
        for number in 0..columns.len() {
            let held = self.get(&caches, number as u32)?;
            if held.entry.time() != columns.time(number) {
                return Err(self.damage(format!("entry {number} is not the one that `{COLUMNS}` describes")));
            }
        }
        Ok(columns.len() as u64)
    }

    /// That something is wrong with it.
    pub fn damage(&self, reason: String) -> Damage {
        Damage { segment: self.number(), reason }
    }

    fn dictionary(&self) -> Result<&DecoderDictionary<'static>, Damage> {
        if let Some(dictionary) = self.dictionary.get() {
            return Ok(dictionary);
        }
        let unpacked = bodies::unpack_dictionary(&self.file(DICTIONARY)?);
        let dictionary = unpacked.map_err(|reason| self.damage(format!("`{DICTIONARY}`: {reason}")))?;
        Ok(self.dictionary.get_or_init(|| dictionary))
    }

    /// A file, checked when it is first used.
    fn file(&self, name: &'static str) -> Result<OwnedBytes, Damage> {
        let cell = self.cell(name)?;
        if let Some(bytes) = cell.get() {
            return Ok(bytes.clone());
        }
        let bytes = match self.open_file(name) {
            Ok(bytes) => bytes,
            // It was removed meanwhile; then it was held open first.
            Err(damage) => return cell.get().cloned().ok_or(damage),
        };
        if crc32fast::hash(&bytes) != self.sum(name)?.checksum {
            return Err(self.damage(format!("the checksum of `{name}` is wrong")));
        }
        Ok(cell.get_or_init(|| bytes).clone())
    }

    /// A file that has checksums of its own within.
    fn map(&self, name: &'static str) -> Result<OwnedBytes, Damage> {
        let cell = self.cell(name)?;
        if let Some(bytes) = cell.get() {
            return Ok(bytes.clone());
        }
        let bytes = match self.open_file(name) {
            Ok(bytes) => bytes,
            Err(damage) => return cell.get().cloned().ok_or(damage),
        };
        Ok(cell.get_or_init(|| bytes).clone())
    }

    fn cell(&self, name: &'static str) -> Result<&OnceLock<OwnedBytes>, Damage> {
        self.files.get(name).ok_or_else(|| self.damage(format!("there is no file `{name}`")))
    }

    fn open_file(&self, name: &'static str) -> Result<OwnedBytes, Damage> {
        let read =
            self.directory.open_read(Path::new(name)).map_err(|error| self.damage(format!("`{name}`: {error}")))?;
        read.read_bytes().map_err(|error| self.damage(format!("`{name}`: {error}")))
    }

    fn sum(&self, name: &str) -> Result<&manifest::FileSum, Damage> {
        let found = self.manifest.files.iter().find(|file| file.name == name);
        found.ok_or_else(|| self.damage(format!("the manifest lacks `{name}`")))
    }
}

fn short_keys(identities: &[u8]) -> impl ExactSizeIterator<Item = u32> {
    identities.chunks_exact(4).map(|bytes| u32::from_le_bytes(bytes.try_into().expect("a slice of 4 bytes")))
}
