//! Makes segments of an older format anew when a folder is opened, from their bodies: everything else in a segment can be made of those.
//!
//! So a new format only needs its number in `segment/manifest.rs`, as long as bodies can still be read; where even those change,
//! `rebuild::read` must go on reading the older ones.

use std::path::Path;

use super::rebuild;
use super::segment::Damage;
use super::segment::build::{self, Entries};
use super::segment::manifest::Manifest;
use crate::engine::StoreError;

/// Writes a segment of the current format with this number, which stands in for the older one; its folder is removed by whoever opens segments next.
/// Where its bodies can't be read whole, it is damaged: what of them can be is then saved by `sillage store rebuild`.
pub fn migrate(segments: &Path, older: &Manifest, number: u64) -> Result<Result<Manifest, Damage>, StoreError> {
    let path = build::folder(segments, older.number);
    let (entries, lost) = rebuild::read(&path)?;
    let damage = |reason: String| Ok(Err(Damage::new(older.number, reason)));
    if let Some(first) = lost.first() {
        return damage(first.clone());
    }
    if entries.is_empty() || entries.len() as u64 != older.entries() {
        return damage(format!("it holds {} entries, not {}", entries.len(), older.entries()));
    }
    tracing::info!(
        "making segment {} anew as segment {number}: it has the older format {}",
        older.number,
        older.format
    );
    let newer = Manifest {
        number,
        group: older.group,
        sequence_last: older.sequence_last,
        checkpoints: older.checkpoints.clone(),
        replaces: [&older.replaces[..], &[older.number]].concat(),
        ..Manifest::default()
    };
    build::build(segments, newer, &Entries::at_hand(&entries), None).map(Ok)
}
