//! Removes segments that are too old or too much, or whose room the disk needs, whole and oldest first.
//!
//! Age counts from when we received an entry, not from its own time: a clock in 2099 pins nothing, one in 1970 loses nothing.
//! Our own clock may have been wrong, too: what came between two segments was received between them, whatever it says of itself.

use std::sync::Arc;

use super::discard::{self, discard};
use crate::engine::StoreError;
use crate::file;
use crate::index::disk::Disk;
use crate::index::segment::{Caches, Segment, build};
use crate::index::view::Shared;
use crate::index::writer::chain;
use crate::time::Timestamp;

/// Removes what the configuration says is too old or too much. Without a clock that can be believed nothing is too old.
pub fn apply(shared: &Shared, now: Option<Timestamp>) -> Result<(), StoreError> {
    discard::again(shared)?;
    let mut segments: Vec<Arc<Segment>> = shared.look().segments.clone();
    segments.sort_by_key(|segment| segment.manifest.sequences);
    let told: Vec<i64> = segments.iter().map(|segment| segment.manifest.received_last).collect();
    let received = now.map(|now| received(&told, now.as_nanos()));
    let oldest = now.map(|now| now.minus(shared.config.retention).as_nanos());
    let mut bytes = folder_bytes(shared)?;
    let mut missing = Disk::of(&shared.config.path).map_or(0, Disk::missing);
    let mut due: Vec<(Arc<Segment>, &str)> = Vec::new();
    for (place, segment) in segments.into_iter().enumerate() {
        let is_old = received.as_ref().zip(oldest).is_some_and(|(received, oldest)| received[place] < oldest);
        let why = if is_old || shared.past.took(segment.number()) {
            "older than the retention"
        } else if bytes > shared.config.retention_size {
            "more than the retention size allows"
        } else if missing > 0 {
            "the disk is nearly full"
        } else {
            break;
        };
        bytes = bytes.saturating_sub(segment.manifest.bytes());
        missing = missing.saturating_sub(segment.manifest.bytes());
        due.push((segment, why));
    }
    if !due.is_empty() {
        take_counts(shared, &due, now.unwrap_or_else(|| shared.config.clock.now()));
    }
    let mut removed = Ok(());
    for (segment, why) in due {
        shared.change(|view| view.segments.retain(|other| other.number() != segment.number()));
        forget_repeats(shared, &segment);
        tracing::info!(segment.entries = segment.manifest.entries(), "removed segment {}: {why}", segment.number());
        removed = removed.and(discard(shared, &segment));
    }
    let view = shared.look();
    shared.caches.retain(|number| view.segments.iter().any(|segment| segment.number() == number));
    removed
}

/// Keeps how much there was in them. Where that can't be written they go all the same, for it may be their room that the disk lacks;
/// it is written with the next.
fn take_counts(shared: &Shared, due: &[(Arc<Segment>, &str)], now: Timestamp) {
    let caches = Caches::for_reading();
    for (segment, _) in due {
        if let Ok(columns) = shared.ask(segment, || segment.columns(&caches)) {
            shared.past.take(segment.number(), &columns, now);
        }
    }
    let folder = shared.config.segments_folder();
    if let Err(error) = shared.past.save(now, |number| build::folder(&folder, number).exists()) {
        tracing::error!("counts of what is removed can't be written: {}", chain(&error));
    }
}

/// How many bytes the data folder takes, but for what was set aside as damaged: that is a person's to look at and remove, and must not
/// push out what is good.
pub fn folder_bytes(shared: &Shared) -> Result<u64, StoreError> {
    let segments: u64 = shared.look().segments.iter().map(|segment| segment.manifest.bytes()).sum();
    let mut bytes = segments + file::folder_bytes(&shared.config.log_folder())?;
    for name in file::names(&shared.config.path)? {
        let path = shared.config.path.join(name);
        // Folders are counted above, and the others aren't ours.
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => bytes += metadata.len(),
            _ => {}
        }
    }
    Ok(bytes)
}

/// Forgets how often entries came again that are gone now, so that there is room to count others.
fn forget_repeats(shared: &Shared, removed: &Segment) {
    if shared.repeats.read().is_empty() {
        return;
    }
    let Ok(shorts) = shared.ask(removed, || removed.shorts()) else { return };
    let view = shared.look();
    let is_elsewhere = |key| {
        let may_hold = |segment: &Arc<Segment>| shared.ask(segment, || segment.may_hold(key)).unwrap_or(true);
        view.segments.iter().any(may_hold)
    };
    shared.repeats.write().retain(|key, _| !shorts.contains(&key.short()) || is_elsewhere(*key));
}

/// When segments were received, in the order in which they were: as they tell it, but none before an earlier one, and what claims to come
/// from the future as early as the next that doesn't.
fn received(told: &[i64], now: i64) -> Vec<i64> {
    let mut latest = i64::MIN;
    let mut received: Vec<Option<i64>> = Vec::with_capacity(told.len());
    for told in told {
        if *told <= now {
            latest = latest.max(*told);
        }
        received.push((*told <= now).then_some(latest));
    }
    let mut next = now;
    for place in received.iter_mut().rev() {
        next = place.unwrap_or(next);
        *place = Some(next);
    }
    received.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::received;

    #[test]
    fn a_clock_that_was_wrong_for_a_while_makes_nothing_older_and_pins_nothing() {
        assert_eq!(received(&[10, 20, 30], 40), [10, 20, 30]);
        assert_eq!(received(&[10, 20, 1, 30], 40), [10, 20, 20, 30], "it was in the past");
        assert_eq!(received(&[10, 99, 98, 30], 40), [10, 30, 30, 30], "it was in the future");
        assert_eq!(received(&[10, 99], 40), [10, 40]);
        assert_eq!(received(&[], 40), [0_i64; 0]);
    }
}
