//! Builds a segment: from entries in any order to a folder that is whole and durable.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use foldhash::fast::RandomState;

use super::bodies::{self, BodiesWriter};
pub use super::entries::{Entries, Kept};
use super::entries::{Outline, Together};
use super::filter;
use super::manifest::{self, FileSum, Manifest, hour};
use super::pairs;
use super::short_keys;
use super::terms;
use crate::engine::StoreError;
use crate::file;
use crate::index::columns::{self, Columns, Minutes};
use crate::index::tokens::Tokens;

/// How many entries of one trace stand in one bundle: what finding one of them costs, against how many terms repeat.
const BUNDLE_ENTRIES_MAX: usize = 256;

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
/// Each entry's short key, in 4 bytes, little endian, and the bits of [`super::filter`] over them.
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
    entries: &Entries<'_>,
    columns: Option<&Columns>,
) -> Result<Manifest, StoreError> {
    let building = segments.join(format!("building-{:016}", manifest.number));
    file::remove_folder(&building)?;
    file::make_folder(&building)?;
    let parts = parts(entries, columns).map_err(|reason| match reason.downcast::<StoreError>() {
        Ok(error) => *error,
        Err(reason) => StoreError::Internal(format!("a segment can't be built: {reason}")),
    })?;
    manifest.format = manifest::FORMAT;
    describe(&mut manifest, &entries.outlines);
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

fn describe(manifest: &mut Manifest, outlines: &[Outline]) {
    let mut hours = BTreeSet::new();
    manifest.times = (i64::MAX, i64::MIN);
    manifest.sequences = (u64::MAX, 0);
    manifest.received_last = i64::MIN;
    for outline in outlines {
        hours.insert(hour(outline.time));
        manifest.times = (manifest.times.0.min(outline.time), manifest.times.1.max(outline.time));
        manifest.sequences = (manifest.sequences.0.min(outline.sequence), manifest.sequences.1.max(outline.sequence));
        manifest.received_last = manifest.received_last.max(outline.received);
        manifest.kinds[outline.kind] += 1;
    }
    manifest.hours = hours.into_iter().collect();
}

/// The entries' places, bundle by bundle: the latest bundle first, each in the order of time.
fn bundles(outlines: &[Outline]) -> Vec<Vec<usize>> {
    let mut by_cause: HashMap<Together, Vec<usize>, RandomState> = HashMap::default();
    let mut bundles: Vec<Vec<usize>> = Vec::with_capacity(outlines.len() / 4);
    for (place, outline) in outlines.iter().enumerate() {
        match outline.together {
            Together::Alone => bundles.push(vec![place]),
            together => by_cause.entry(together).or_default().push(place),
        }
    }
    let time = |place: &usize| (outlines[*place].time, outlines[*place].sequence);
    for mut places in by_cause.into_values() {
        places.sort_unstable_by_key(time);
        bundles.extend(places.chunks(BUNDLE_ENTRIES_MAX).map(<[usize]>::to_vec));
    }
    bundles.sort_unstable_by_key(|places| std::cmp::Reverse(places.last().map(time)));
    bundles
}

type Parts = Vec<(&'static str, Vec<u8>)>;

fn parts(entries: &Entries<'_>, columns: Option<&Columns>) -> Result<Parts, Box<dyn std::error::Error>> {
    let bundles = bundles(&entries.outlines);
    let ordered: Vec<usize> = bundles.iter().flatten().copied().collect();
    let dictionary = bodies::dictionary(ordered.len(), |number| (entries.get)(ordered[number]))?;
    // Whoever reads entries back from segments has no columns of them at hand.
    let level = if columns.is_some() { bodies::LEVEL_OF_SEAL } else { bodies::LEVEL_OF_MERGE };
    let mut bodies = BodiesWriter::new(level, &dictionary)?;
    let mut tokens = Tokens::default();
    let mut knot_pairs = Vec::new();
    let mut id_pairs = Vec::new();
    let mut firsts = Vec::new();
    let mut identities = Vec::with_capacity(ordered.len() * 4);
    let mut ordered_columns = columns.map(|columns| columns.in_order(&ordered));
    let mut read_columns = Columns::default();
    let mut n_entries = 0_u32;
    for (bundle, places) in bundles.into_iter().enumerate() {
        let bundle = u32::try_from(bundle)?;
        firsts.extend_from_slice(&n_entries.to_le_bytes());
        let mut bundle_knots = Vec::new();
        for place in places {
            let kept = (entries.get)(place)?;
            let Kept { held, key, knots } = &*kept;
            bodies.add(held)?;
            if ordered_columns.is_none() {
                read_columns.add(held);
            }
            tokens.add(&held.entry);
            bundle_knots.extend(knots.iter().map(|knot| (*knot, bundle)));
            identities.extend_from_slice(&key.short().to_le_bytes());
            n_entries += 1;
        }
        bundle_knots.sort_unstable();
        bundle_knots.dedup();
        knot_pairs.append(&mut bundle_knots);
        id_pairs.extend(tokens.finish_bundle().into_iter().map(|id| (id, bundle)));
    }
    let (packed, blocks) = bodies.finish()?;
    let (postings, n_bundles) = tokens.finish();
    let columns = ordered_columns.take().unwrap_or(read_columns);
    identities.extend(filter::write(short_keys(&identities)));
    Ok(vec![
        (BODIES, packed),
        (BLOCKS, blocks),
        (DICTIONARY, bodies::pack_dictionary(&dictionary)?),
        (BUNDLES, firsts),
        (IDENTITIES, identities),
        (KNOTS, pairs::write(knot_pairs)),
        (COLUMNS, columns::write(&columns)?),
        (MINUTES, Minutes::of(&columns).map_or(Ok(Vec::new()), |minutes| minutes.write())?),
        (TERMS, terms::write(&postings, n_bundles)?),
        (IDS, pairs::write(id_pairs)),
    ])
}
