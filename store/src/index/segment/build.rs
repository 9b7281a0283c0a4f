//! Builds a segment: from entries in any order to a folder that is whole and durable.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::bodies::{self, BodiesWriter};
use super::manifest::{self, FileSum, Manifest, hour};
use super::pairs;
use super::terms::TermsWriter;
use crate::engine::{Held, StoreError};
use crate::entry::Entry;
use crate::file;
use crate::index::columns::{self, Columns, Minutes};
use crate::index::hash::IdentityKey;
use crate::index::tokens::Tokens;

/// How many entries of one trace stand in one bundle: what finding one of them costs, against how many terms repeat.
const BUNDLE_ENTRIES_MAX: usize = 256;

/// An entry that is to be kept, with its key, which is known already.
#[derive(Debug)]
pub struct Kept {
    /// The entry.
    pub held: Held,
    /// What stands for its identity.
    pub key: IdentityKey,
    /// Its knots, by [`knot_term`](crate::index::hash::knot_term).
    pub knots: Box<[u32]>,
}

/// The names of a segment's files. The manifest is written last: without it the folder is no segment.
pub const MANIFEST: &str = "manifest";
/// See [`super::bodies`].
pub const BODIES: &str = "bodies";
/// What the blocks of [`BODIES`] are packed with.
pub const DICTIONARY: &str = "dictionary";
/// See [`super::bodies::BlockTable`].
pub const BLOCKS: &str = "blocks";
/// Each bundle's first entry, in 4 bytes, little endian.
pub const BUNDLES: &str = "bundles";
/// Each entry's short key, in 4 bytes, little endian.
pub const IDENTITIES: &str = "identities";
/// A table of [`super::pairs`], by the knots of [`Kept`].
pub const KNOTS: &str = "knots";
/// See [`crate::index::columns`].
pub const COLUMNS: &str = "columns";
/// See [`Minutes`]; empty where the entries are too different for them.
pub const MINUTES: &str = "minutes";
/// See [`super::terms`].
pub const TERMS: &str = "terms";
/// A table of [`super::pairs`], by the ids of [`Tokens`].
pub const IDS: &str = "ids";

/// The folder of a segment.
pub fn folder(segments: &Path, number: u64) -> PathBuf {
    segments.join(format!("{number:016}"))
}

/// Writes a segment of these entries (at least one), and publishes it by renaming its folder. The manifest comes with what concerns the whole store;
/// what concerns the entries is filled in here.
///
/// `columns` are those of the entries, in their order, where they are at hand.
pub fn build(
    segments: &Path,
    mut manifest: Manifest,
    entries: &[Kept],
    columns: Option<&Columns>,
) -> Result<Manifest, StoreError> {
    let building = segments.join(format!("building-{:016}", manifest.number));
    file::remove_folder(&building)?;
    file::make_folder(&building)?;
    let parts = parts(entries, columns)
        .map_err(|reason| StoreError::Internal(format!("a segment can't be built: {reason}")))?;
    manifest.format = manifest::FORMAT;
    describe(&mut manifest, entries);
    for (name, bytes) in &parts {
        file::write_synced(&building.join(name), bytes)?;
        let checksum = crc32fast::hash(bytes);
        manifest.files.push(FileSum { name: (*name).to_owned(), length: bytes.len() as u64, checksum });
    }
    file::write_synced(&building.join(MANIFEST), &manifest.to_bytes())?;
    file::sync_folder(&building)?;
    file::rename(&building, &folder(segments, manifest.number))?;
    Ok(manifest)
}

fn describe(manifest: &mut Manifest, entries: &[Kept]) {
    let mut hours = BTreeSet::new();
    manifest.times = (i64::MAX, i64::MIN);
    manifest.sequences = (u64::MAX, 0);
    manifest.received_last = i64::MIN;
    for Kept { held, .. } in entries {
        let nanos = held.entry.time().as_nanos();
        hours.insert(hour(nanos));
        manifest.times = (manifest.times.0.min(nanos), manifest.times.1.max(nanos));
        manifest.sequences = (manifest.sequences.0.min(held.sequence.0), manifest.sequences.1.max(held.sequence.0));
        manifest.received_last = manifest.received_last.max(held.entry.received_at().as_nanos());
        manifest.kinds[match &*held.entry {
            Entry::Record(_) => 0,
            Entry::Span(_) => 1,
            Entry::Log(_) => 2,
        }] += 1;
    }
    manifest.hours = hours.into_iter().collect();
}

/// What belongs together: the entries of one trace, else of one event id, else an entry alone.
#[derive(PartialEq, Eq, Hash)]
enum Together<'a> {
    Trace([u8; 16]),
    Event(&'a str),
    Alone(usize),
}

/// The entries' places, bundle by bundle: the latest bundle first, each in the order of time.
fn bundles(entries: &[Kept]) -> Vec<Vec<usize>> {
    let mut by_cause: HashMap<Together<'_>, Vec<usize>> = HashMap::new();
    for (place, Kept { held, .. }) in entries.iter().enumerate() {
        let event_id = match &*held.entry {
            Entry::Record(record) => record.event.id.as_deref(),
            Entry::Log(log) => log.event_id.as_deref(),
            Entry::Span(_) => None,
        };
        let together = match (held.entry.trace_id(), event_id) {
            (Some(trace_id), _) => Together::Trace(*trace_id.as_bytes()),
            (None, Some(event_id)) => Together::Event(event_id),
            (None, None) => Together::Alone(place),
        };
        by_cause.entry(together).or_default().push(place);
    }
    let time = |place: &usize| (entries[*place].held.entry.time(), entries[*place].held.sequence);
    let mut bundles: Vec<Vec<usize>> = Vec::with_capacity(by_cause.len());
    for mut places in by_cause.into_values() {
        places.sort_unstable_by_key(time);
        bundles.extend(places.chunks(BUNDLE_ENTRIES_MAX).map(<[usize]>::to_vec));
    }
    bundles.sort_unstable_by_key(|places| std::cmp::Reverse(places.last().map(time)));
    bundles
}

type Parts = Vec<(&'static str, Vec<u8>)>;

fn parts(entries: &[Kept], columns: Option<&Columns>) -> Result<Parts, Box<dyn std::error::Error>> {
    let bundles = bundles(entries);
    let ordered: Vec<usize> = bundles.iter().flatten().copied().collect();
    let dictionary = bodies::dictionary(ordered.len(), |number| &entries[ordered[number]].held);
    let mut bodies = BodiesWriter::new(&dictionary)?;
    let mut terms = TermsWriter::new()?;
    let mut tokens = Tokens::default();
    let mut knot_pairs = Vec::new();
    let mut id_pairs = Vec::new();
    let mut firsts = Vec::new();
    let mut identities = Vec::with_capacity(entries.len() * 4);
    let mut n_entries = 0_u32;
    for (bundle, places) in bundles.into_iter().enumerate() {
        let bundle = u32::try_from(bundle)?;
        firsts.extend_from_slice(&n_entries.to_le_bytes());
        let mut bundle_knots = Vec::new();
        for place in places {
            let Kept { held, key, knots } = &entries[place];
            bodies.add(held)?;
            tokens.add(&held.entry);
            bundle_knots.extend(knots.iter().map(|knot| (*knot, bundle)));
            identities.extend_from_slice(&key.short().to_le_bytes());
            n_entries += 1;
        }
        bundle_knots.sort_unstable();
        bundle_knots.dedup();
        knot_pairs.append(&mut bundle_knots);
        let (bundle_terms, ids) = tokens.finish_bundle();
        terms.add(bundle_terms)?;
        id_pairs.extend(ids.into_iter().map(|id| (id, bundle)));
    }
    let (packed, blocks) = bodies.finish()?;
    let columns = match columns {
        Some(columns) => columns.in_order(&ordered),
        None => {
            let mut columns = Columns::default();
            ordered.iter().for_each(|place| columns.add(&entries[*place].held));
            columns
        }
    };
    Ok(vec![
        (BODIES, packed),
        (BLOCKS, blocks),
        (DICTIONARY, bodies::pack_dictionary(&dictionary)?),
        (BUNDLES, firsts),
        (IDENTITIES, identities),
        (KNOTS, pairs::write(knot_pairs)),
        (COLUMNS, columns::write(&columns)?),
        (MINUTES, Minutes::of(&columns).map_or(Ok(Vec::new()), |minutes| minutes.write())?),
        (TERMS, terms.finish()?),
        (IDS, pairs::write(id_pairs)),
    ])
}
