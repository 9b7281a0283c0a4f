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
//! | `identities` | an identity | the entry that may be it, or that there is none |
//! | `manifest` | the segment | what is in it, and its files' checksums |
//!
//! A file is checked when it is first used, and now and then in the background. What is damaged is an error ([`Damage`]), upon which the
//! segment is set aside; never a panic.

pub mod bodies; // whole entries in compressed blocks
pub mod build; // makes a segment of entries
pub mod caches; // what was read lately
pub mod damage; // why a segment can't be read
pub mod entries; // what a segment is made of
mod files; // maps and checks them
pub mod filter; // tells for certain that an identity isn't there
pub mod manifest; // what a segment says of itself
pub mod pairs; // tables of hashes
pub mod terms; // the inverted index

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use tantivy::directory::OwnedBytes;
use zstd::dict::DecoderDictionary;

use self::bodies::BlockTable;
use self::build::{BLOCKS, BODIES, BUNDLES, COLUMNS, DICTIONARY, IDENTITIES, IDS, KNOTS, MANIFEST, MINUTES, TERMS};
pub use self::caches::Caches;
pub use self::damage::Damage;
use self::files::Files;
use self::filter::Filter;
use self::manifest::Manifest;
use self::terms::Terms;
use super::columns::{self, Columns, Minutes};
use super::hash::{IdentityKey, knot_term};
use super::tokens::Token;
use crate::checkpoint::Checkpoint;
use crate::engine::Held;
use crate::entry::{Identity, Kind};
use crate::file;
use crate::knot::{Knot, Tie};

/// Entries that don't change any more.
pub struct Segment {
    /// What it says of itself.
    pub manifest: Manifest,
    files: Files,
    terms: OnceLock<Terms>,
    filter: OnceLock<Filter>,
    /// What it takes of memory all the time.
    own_bytes: u64,
}

/// How many times as many bytes the minutes take in memory as in their file.
const MINUTES_GROWTH: usize = 4;

/// How much memory a dictionary takes that is ready to unpack with: its content, and zstd's tables.
const DICTIONARY_BYTES_ABOUT: usize = 160 * 1024;

/// How much memory an open segment takes beside what it says of itself: its folder, and places for ten files.
const OPEN_BYTES_ABOUT: usize = 4 * 1024;

/// How much memory tantivy takes to read an index: what says where in the file its parts are.
const TERMS_BYTES_ABOUT: u64 = 16 * 1024;

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("number", &self.manifest.number).finish_non_exhaustive()
    }
}

impl Segment {
    /// Opens a segment's folder. Nothing of its content is read before somebody asks for it.
    pub fn open(path: &Path, mut manifest: Manifest) -> Result<Segment, Damage> {
        let files = Files::open(path, &manifest)?;
        // Needed once, when a store is opened, and long where there are many partitions: whoever needs them again reads the file again.
        manifest.checkpoints = Vec::new();
        let own_bytes = OPEN_BYTES_ABOUT + manifest.hours.len() * 8;
        Ok(Segment { manifest, files, terms: OnceLock::new(), filter: OnceLock::new(), own_bytes: own_bytes as u64 })
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.manifest.number
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.files.path()
    }

    /// About how much memory it takes whether it is asked or not; what it was asked for lately is in [`Caches`], and its files are the
    /// operating system's to keep or drop.
    pub fn memory_bytes(&self) -> u64 {
        self.own_bytes + if self.terms.get().is_some() { TERMS_BYTES_ABOUT } else { 0 }
    }

    /// How far every source had been kept when it was made.
    pub fn checkpoints(&self) -> Result<Vec<Checkpoint>, Damage> {
        let path = self.path().join(MANIFEST);
        let read = file::before_reading(&path).and_then(|()| std::fs::read(&path));
        let bytes = read.map_err(|error| self.files.unread(MANIFEST, &error))?;
        let manifest = Manifest::from_bytes(&bytes);
        manifest.map(|manifest| manifest.checkpoints).map_err(|_| self.damage(format!("`{MANIFEST}` can't be read")))
    }

    /// Opens all of its files, so that questions which are under way can still read them when their names are gone.
    pub fn hold_open(&self) {
        self.files.hold_open();
    }

    /// Its columns.
    pub fn columns(&self, caches: &Caches) -> Result<Arc<Columns>, Damage> {
        caches.columns.get(&self.number(), || {
            let columns = columns::read(&self.files.get(COLUMNS)?)
                .map_err(|reason| self.damage(format!("`{COLUMNS}`: {reason}")))?;
            if columns.len() as u64 != self.manifest.entries() {
                return Err(self.damage(format!("`{COLUMNS}` doesn't list every entry")));
            }
            let bytes = columns.bytes();
            Ok((columns, bytes))
        })
    }

    /// How many entries alike it has in each minute; `None` where they are too different.
    pub fn minutes(&self, caches: &Caches) -> Result<Arc<Option<Minutes>>, Damage> {
        caches.minutes.get(&self.number(), || {
            let bytes = self.files.get(MINUTES)?;
            let minutes = if bytes.is_empty() { None } else { Some(Minutes::read(&bytes)) };
            let minutes = minutes.transpose().map_err(|reason| self.damage(format!("`{MINUTES}`: {reason}")))?;
            Ok((minutes, size_of::<Minutes>() + bytes.len() * MINUTES_GROWTH))
        })
    }

    /// Its inverted index.
    pub fn terms(&self) -> Result<&Terms, Damage> {
        if let Some(terms) = self.terms.get() {
            return Ok(terms);
        }
        let terms =
            Terms::open(&self.files.get(TERMS)?).map_err(|reason| self.damage(format!("`{TERMS}`: {reason}")))?;
        if terms.n_bundles() as usize != self.files.get(BUNDLES)?.len() / 4 {
            return Err(self.damage(format!("`{TERMS}` doesn't list every bundle")));
        }
        Ok(self.terms.get_or_init(|| terms))
    }

    /// An entry, by its number.
    pub fn get(&self, caches: &Caches, number: u32) -> Result<Held, Damage> {
        let blocks = self.files.get(BLOCKS)?;
        let table = BlockTable(&blocks);
        let (block, place) =
            table.find(number).ok_or_else(|| self.damage(format!("`{BLOCKS}` lacks entry {number}")))?;
        let key = (self.number(), block);
        let reader = caches.blocks.get(&key, || {
            // The file as a whole was measured when it was opened; each block has its own checksum.
            let reader = table
                .read(&self.files.map(BODIES)?, &*self.dictionary(caches)?, block)
                .map_err(|reason| self.damage(format!("`{BODIES}`: {reason}")))?;
            let bytes = reader.bytes();
            Ok((reader, bytes))
        })?;
        reader.get(place).map_err(|error| self.damage(format!("`{BODIES}`: entry {number}: {error}")))
    }

    /// The numbers of the entries in these bundles, in order.
    pub fn entries(&self, bundles: &[u32]) -> Result<Vec<u32>, Damage> {
        let firsts = self.files.get(BUNDLES)?;
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
        let table = self.files.get(KNOTS)?;
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
                pairs::bundles(&self.files.get(IDS)?, *id).ok_or_else(|| self.damage(format!("`{IDS}` can't be read")))
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
        if !nanos.is_none_or(|nanos| self.manifest.may_hold(nanos)) || !self.filter()?.may_hold(key) {
            return Ok(false);
        }
        let (identities, _) = self.identities()?;
        for (number, short) in short_keys(&identities).enumerate() {
            if short == key.short() && self.get(caches, number as u32)?.entry.identity() == *identity {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether an entry with this key may be in it.
    pub fn may_hold(&self, key: IdentityKey) -> Result<bool, Damage> {
        Ok(self.filter()?.may_hold(key))
    }

    /// The short keys of its entries.
    pub fn shorts(&self) -> Result<HashSet<u32>, Damage> {
        Ok(short_keys(&self.identities()?.0).collect())
    }

    /// The numbers and kinds of the entries that have one of these keys, in order.
    pub fn with_keys(&self, caches: &Caches, keys: &HashSet<IdentityKey>) -> Result<Vec<(u32, Kind)>, Damage> {
        let shorts: HashSet<u32> = keys.iter().map(|key| key.short()).collect();
        let mut found = Vec::new();
        for (number, short) in short_keys(&self.identities()?.0).enumerate() {
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
        let caches = Caches::for_reading();
        self.scrub()?;
        self.terms()?;
        self.filter()?;
        self.minutes(&caches)?;
        let columns = self.columns(&caches)?;
        for number in 0..columns.len() {
            let held = self.get(&caches, number as u32)?;
            if held.entry.time() != columns.time(number) {
                return Err(self.damage(format!("entry {number} is not the one that `{COLUMNS}` describes")));
            }
        }
        Ok(columns.len() as u64)
    }

    /// Reads every file through and compares its checksum.
    pub fn scrub(&self) -> Result<(), Damage> {
        self.files.scrub()
    }

    /// That something is wrong with it.
    pub fn damage(&self, reason: String) -> Damage {
        Damage::new(self.number(), reason)
    }

    fn dictionary(&self, caches: &Caches) -> Result<Arc<DecoderDictionary<'static>>, Damage> {
        caches.dictionaries.get(&self.number(), || {
            let unpacked = bodies::unpack_dictionary(&self.files.get(DICTIONARY)?);
            let dictionary = unpacked.map_err(|reason| self.damage(format!("`{DICTIONARY}`: {reason}")))?;
            Ok((dictionary, DICTIONARY_BYTES_ABOUT))
        })
    }

    /// The short keys of its entries, as bytes, and the filter over them behind it.
    fn identities(&self) -> Result<(OwnedBytes, OwnedBytes), Damage> {
        let identities = self.files.get(IDENTITIES)?;
        let n_entries = self.manifest.entries() as usize;
        let keys = identities.slice(0..identities.len().min(n_entries * 4));
        let behind = identities.slice(keys.len()..identities.len());
        let is_whole = keys.len() == n_entries * 4 && behind.len() == filter::length(n_entries);
        if is_whole { Ok((keys, behind)) } else { Err(self.damage(format!("`{IDENTITIES}` doesn't list every entry"))) }
    }

    fn filter(&self) -> Result<&Filter, Damage> {
        if let Some(filter) = self.filter.get() {
            return Ok(filter);
        }
        let (_, bits) = self.identities()?;
        Ok(self.filter.get_or_init(|| Filter::new(bits)))
    }
}

/// Identities as numbers.
pub fn short_keys(identities: &[u8]) -> impl ExactSizeIterator<Item = u32> {
    identities.chunks_exact(4).map(|bytes| u32::from_le_bytes(bytes.try_into().expect("a slice of 4 bytes")))
}
