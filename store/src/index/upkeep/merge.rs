//! Makes one segment of several small ones: a quiet day seals one every few minutes, and each costs every question a look.
//!
//! An entry is merged at most a handful of times, and only into a segment of the usual size: merging costs as much as sealing.

use std::sync::Arc;

use super::forget::{read, replace};
use crate::engine::StoreError;
use crate::index::segment::Segment;
use crate::index::segment::build::Kept;
use crate::index::view::Shared;
use crate::time::Timestamp;

/// How many small segments are let stand before they are merged.
pub const SMALL_MAX: usize = 8;

/// A segment with less than this share of a full one's entries is small.
const SMALL_SHARE: u64 = 4;

/// Merges small segments that follow one another, where there are at least so many of them; one new segment at the most.
pub fn once(shared: &Shared, now: Timestamp, small_min: usize) -> Result<(), StoreError> {
    let full = shared.config.seal_entries as u64;
    let view = shared.look();
    // What claims to come from the future would make all of it young for ever.
    let is_small = |segment: &&Arc<Segment>| {
        segment.manifest.entries() < full / SMALL_SHARE && segment.manifest.received_last <= now.as_nanos()
    };
    let mut small: Vec<&Arc<Segment>> = view.segments.iter().filter(is_small).collect();
    if small.len() < small_min {
        return Ok(());
    }
    small.sort_by_key(|segment| segment.manifest.sequences.0);
    let mut together: Vec<Arc<Segment>> = Vec::new();
    let mut entries: Vec<Kept> = Vec::new();
    for segment in small {
        if entries.len() as u64 + segment.manifest.entries() > full {
            break;
        }
        let Ok(more) = shared.ask(segment, || read(shared, segment)) else { continue };
        entries.extend(more);
        together.push(segment.clone());
    }
    if together.len() < 2 {
        return Ok(());
    }
    tracing::debug!("merging {} small segments", together.len());
    let forgotten = shared.forgotten.read().clone();
    entries.retain(|kept| !forgotten.contains(&kept.key));
    replace(shared, &together, entries)?;
    tracing::debug!("merged {} small segments", together.len());
    Ok(())
}
