//! Removes what was forgotten from every file: segments that hold some of it are made anew without it.

use std::collections::HashSet;
use std::sync::Arc;

use super::retention::{discard, gone};
use super::write;
use crate::engine::StoreError;
use crate::file;
use crate::index::hash::{IdentityKey, knot_terms};
use crate::index::segment::build::Kept;
use crate::index::segment::manifest::Manifest;
use crate::index::segment::{Damage, Segment};
use crate::index::tombstones::Tombstones;
use crate::index::view::Shared;
use crate::index::writer::chain;

/// What went from segments.
#[derive(Debug, Default)]
pub struct Erased {
    /// How many entries went from which.
    pub files: Vec<(String, u64)>,
    /// Which entries those were.
    pub keys: HashSet<IdentityKey>,
}

/// Removes these from every file. Where that fails it is said, `unfinished` stays as it is, and it is to be tried again.
pub fn erase(shared: &Shared, unfinished: &mut HashSet<IdentityKey>) -> Result<Erased, StoreError> {
    let erased = try_erase(shared, unfinished);
    let reason = erased.as_ref().err().map(|error| chain(error));
    let before = std::mem::replace(&mut shared.condition.lock().not_erasing, reason.clone());
    match reason {
        None => unfinished.clear(),
        Some(reason) if before.as_ref() != Some(&reason) => {
            tracing::error!("what was forgotten is hidden, but still stands in files; it is tried again: {reason}");
        }
        Some(_) => {}
    }
    erased
}

fn try_erase(shared: &Shared, keys: &HashSet<IdentityKey>) -> Result<Erased, StoreError> {
    // A live set that couldn't become a segment stands in the log, and what was forgotten with it.
    if let Some(reason) = shared.condition.lock().not_sealing.clone() {
        return Err(StoreError::Internal(reason));
    }
    let mut erased = Erased::default();
    for segment in &shared.look().segments {
        let read = || -> Result<Option<Vec<Kept>>, Damage> {
            if segment.with_keys(&shared.caches, keys)?.is_empty() { Ok(None) } else { read(shared, segment).map(Some) }
        };
        // A damaged segment is set aside; what of it was forgotten goes with its folder.
        let Ok(Some(entries)) = shared.ask(segment, read) else { continue };
        let (goes, stays): (Vec<Kept>, Vec<Kept>) = entries.into_iter().partition(|kept| keys.contains(&kept.key));
        replace(shared, std::slice::from_ref(segment), stays)?;
        erased.files.push((format!("segments/{:016}", segment.number()), goes.len() as u64));
        erased.keys.extend(goes.iter().map(|kept| kept.key));
    }
    remove_leftovers(shared)?;
    // So that no power cut brings a name back.
    [shared.config.log_folder(), shared.config.segments_folder()]
        .iter()
        .try_for_each(|folder| file::sync_folder(folder))?;
    let left: HashSet<IdentityKey> = shared.erasing.keys().difference(keys).copied().collect();
    remember(shared, &left)?;
    shared.erasing.strike_off(keys);
    Ok(erased)
}

/// Writes down what was forgotten, and what of it may still stand in files.
pub fn remember(shared: &Shared, erasing: &HashSet<IdentityKey>) -> Result<(), StoreError> {
    let forgotten = shared.forgotten.read().clone();
    Tombstones::write(&shared.config.tombstones_path(), &forgotten, erasing)
}

fn remove_leftovers(shared: &Shared) -> Result<(), StoreError> {
    let mut leftovers = shared.leftovers.lock();
    while let Some(path) = leftovers.last() {
        if path.is_dir() {
            file::remove_folder(path)?
        } else {
            file::remove(path)?
        }
        leftovers.pop();
    }
    Ok(())
}

/// All entries of a segment.
pub fn read(shared: &Shared, segment: &Segment) -> Result<Vec<Kept>, Damage> {
    let n_entries = u32::try_from(segment.manifest.entries()).unwrap_or(u32::MAX);
    let mut entries = Vec::with_capacity(n_entries as usize);
    for number in 0..n_entries {
        let held = segment.get(&shared.caches, number)?;
        let key = IdentityKey::of(&held.entry.identity());
        let knots = knot_terms(&held.entry);
        entries.push(Kept { held, key, knots });
    }
    Ok(entries)
}

/// Puts one segment of these entries in place of others, at once for everybody, and removes their files.
pub fn replace(shared: &Shared, replaced: &[Arc<Segment>], entries: Vec<Kept>) -> Result<(), StoreError> {
    let numbers: Vec<u64> = replaced.iter().map(|segment| segment.number()).collect();
    let newest = |of: fn(&Manifest) -> u64| replaced.iter().map(|segment| of(&segment.manifest)).max().unwrap_or(0);
    let last = replaced.iter().max_by_key(|segment| segment.manifest.group);
    let new = if entries.is_empty() {
        None
    } else {
        let manifest = Manifest {
            number: shared.number_segment(),
            group: newest(|manifest| manifest.group),
            sequence_last: newest(|manifest| manifest.sequence_last),
            checkpoints: last.map(|segment| segment.manifest.checkpoints.clone()).unwrap_or_default(),
            replaces: numbers.clone(),
            ..Manifest::default()
        };
        Some(write(shared, manifest, &entries, None)?)
    };
    shared.change(|view| {
        view.segments.retain(|segment| !numbers.contains(&segment.number()));
        view.segments.extend(new);
    });
    let mut failed = None;
    for segment in replaced {
        if let Err(error) = discard(shared, segment) {
            shared.leftovers.lock().extend([segment.path().to_owned(), gone(shared, segment)]);
            failed = Some(error);
        }
    }
    failed.map_or(Ok(()), Err)
}
