//! Removes what was forgotten from every file: segments that hold some of it are made anew without it.

use std::collections::HashSet;

use super::discard;
use super::replace::{Remaining, unreadable};
use crate::engine::StoreError;
use crate::file;
use crate::index::hash::IdentityKey;
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
        // A damaged segment is set aside; what of it was forgotten goes with its folder.
        match shared.ask(segment, || segment.with_keys(&shared.caches, keys)) {
            Ok(found) if found.is_empty() => continue,
            Err(damage) if damage.is_passing => return Err(unreadable(damage)),
            Err(_) => continue,
            Ok(_) => {}
        }
        let remaining = match Remaining::of(shared, std::slice::from_ref(segment), |key| keys.contains(&key)) {
            Ok(remaining) => remaining,
            Err(damage) if damage.is_passing => return Err(unreadable(damage)),
            Err(_) => continue,
        };
        let gone = remaining.gone().to_vec();
        remaining.replace()?;
        erased.files.push((format!("segments/{:016}", segment.number()), gone.len() as u64));
        erased.keys.extend(gone);
    }
    discard::again(shared)?;
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
