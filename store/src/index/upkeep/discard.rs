//! Removes the files of segments that are no longer part of the store, and what else nothing needs any more.

use std::path::Path;

use crate::engine::StoreError;
use crate::file;
use crate::index::segment::Segment;
use crate::index::view::Shared;

/// Removes a segment's files; after a crash in between, the next start finishes it. What can't be removed is tried again.
pub fn discard(shared: &Shared, segment: &Segment) -> Result<(), StoreError> {
    segment.hold_open();
    let removed = remove_folder(segment.path());
    if removed.is_err() {
        shared.leftovers.lock().push(segment.path().to_owned());
    }
    removed
}

/// Tries again what couldn't be removed.
pub fn again(shared: &Shared) -> Result<(), StoreError> {
    let mut leftovers = shared.leftovers.lock();
    while let Some(path) = leftovers.last() {
        if path.parent().is_some_and(|parent| parent == shared.config.segments_folder()) {
            remove_folder(path)?;
        } else {
            file::remove(path)?;
        }
        leftovers.pop();
    }
    Ok(())
}

/// Under another name first: half a segment must never be taken for one.
fn remove_folder(folder: &Path) -> Result<(), StoreError> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let gone = folder.with_file_name(format!("gone-{name}"));
    if folder.exists() {
        file::rename(folder, &gone)?;
    }
    file::remove_folder(&gone)
}
