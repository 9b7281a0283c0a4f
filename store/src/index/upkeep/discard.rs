//! Removes the files of segments that are no longer part of the store.

use crate::engine::StoreError;
use crate::file;
use crate::index::segment::{Segment, build};
use crate::index::view::Shared;

/// Removes a segment's files; after a crash in between, the next start finishes it. What can't be removed is tried again.
pub fn discard(shared: &Shared, segment: &Segment) -> Result<(), StoreError> {
    segment.hold_open();
    let removed = remove(shared, segment.number());
    if removed.is_err() {
        shared.leftovers.lock().insert(segment.number());
    }
    removed
}

/// Tries again what couldn't be removed.
pub fn again(shared: &Shared) -> Result<(), StoreError> {
    let leftovers = shared.leftovers.lock().clone();
    for number in leftovers {
        remove(shared, number)?;
        shared.leftovers.lock().remove(&number);
    }
    Ok(())
}

fn remove(shared: &Shared, number: u64) -> Result<(), StoreError> {
    let segments = shared.config.segments_folder();
    let (folder, gone) = (build::folder(&segments, number), segments.join(format!("gone-{number:016}")));
    if folder.exists() {
        file::rename(&folder, &gone)?;
    }
    file::remove_folder(&gone)
}
