//! Removes segments that are too old or too much, whole and oldest first.
//!
//! Age counts from when we received an entry, not from its own time: a clock in 2099 pins nothing, one in 1970 loses nothing.

use crate::engine::StoreError;
use crate::file;
use crate::index::segment::Segment;
use crate::index::view::Shared;
use crate::time::Timestamp;

/// Removes what the configuration says is too old or too much.
pub fn apply(shared: &Shared) -> Result<(), StoreError> {
    let oldest = Timestamp::now().minus(shared.config.retention).as_nanos();
    let view = shared.look();
    let mut segments: Vec<_> = view.segments.iter().collect();
    segments.sort_by_key(|segment| segment.manifest.received_last);
    let mut bytes: u64 = segments.iter().map(|segment| segment.manifest.bytes()).sum();
    for segment in segments {
        let is_old = segment.manifest.received_last < oldest;
        let is_too_much = bytes > shared.config.retention_size;
        if !is_old && !is_too_much {
            break;
        }
        bytes -= segment.manifest.bytes();
        shared.change(|view| view.segments.retain(|other| other.number() != segment.number()));
        discard(shared, segment)?;
        let why = if is_old { "older than the retention" } else { "more than the retention size allows" };
        tracing::info!(segment.entries = segment.manifest.entries(), "removed segment {}: {why}", segment.number());
    }
    let view = shared.look();
    let is_there = |number: u64| view.segments.iter().any(|segment| segment.number() == number);
    shared.caches.columns.retain(|number| is_there(*number));
    shared.caches.blocks.retain(|(number, _)| is_there(*number));
    Ok(())
}

/// Removes a segment's files; after a crash in between, the next start finishes it.
pub fn discard(shared: &Shared, segment: &Segment) -> Result<(), StoreError> {
    let gone = shared.config.segments_folder().join(format!("gone-{:016}", segment.number()));
    file::rename(segment.path(), &gone)?;
    file::remove_folder(&gone)
}
