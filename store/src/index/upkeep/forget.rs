//! Rewrites the segments that hold what was forgotten, so that it is gone from every file.

use std::collections::HashSet;
use std::sync::Arc;

use super::retention::discard;
use super::write;
use crate::engine::{Forgotten, StoreError};
use crate::index::hash::{IdentityKey, knot_terms};
use crate::index::segment::build::Kept;
use crate::index::segment::manifest::Manifest;
use crate::index::segment::{Damage, Segment};
use crate::index::view::Shared;

/// Rewrites the segments that hold one of these, and says how many entries went from which.
pub fn rewrite(shared: &Shared, keys: &[IdentityKey]) -> Result<Forgotten, StoreError> {
    let keys: HashSet<IdentityKey> = keys.iter().copied().collect();
    let shorts: HashSet<u32> = keys.iter().map(|key| key.short()).collect();
    let mut forgotten = Forgotten::default();
    for segment in &shared.look().segments {
        let read = || -> Result<Option<Vec<Kept>>, Damage> {
            if segment.may_hold_any(&shorts)? { read(shared, segment).map(Some) } else { Ok(None) }
        };
        // A damaged segment is set aside; what of it was forgotten goes with its folder.
        let Ok(Some(entries)) = shared.ask(segment, read) else { continue };
        let n_before = entries.len();
        let stays: Vec<Kept> = entries.into_iter().filter(|kept| !keys.contains(&kept.key)).collect();
        let n_gone = (n_before - stays.len()) as u64;
        if n_gone == 0 {
            continue;
        }
        replace(shared, std::slice::from_ref(segment), stays)?;
        forgotten.entries += n_gone;
        forgotten.files.push((format!("segments/{:016}", segment.number()), n_gone));
    }
    Ok(forgotten)
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
    for segment in replaced {
        discard(shared, segment)?;
    }
    Ok(())
}
