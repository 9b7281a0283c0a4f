//! Removes segments that are too old or too much, whole and oldest first.
//!
//! Age counts from when we received an entry, not from its own time: a clock in 2099 pins nothing, one in 1970 loses nothing.
//! Our own clock may have been wrong, too: what came between two segments was received between them, whatever it says of itself.

use std::path::PathBuf;

use crate::engine::StoreError;
use crate::file;
use crate::index::segment::Segment;
use crate::index::view::Shared;
use crate::time::Timestamp;

/// Removes what the configuration says is too old or too much. Without a clock that can be believed nothing is too old.
pub fn apply(shared: &Shared, now: Option<Timestamp>) -> Result<(), StoreError> {
    let view = shared.look();
    let mut segments: Vec<_> = view.segments.iter().collect();
    segments.sort_by_key(|segment| segment.manifest.sequences);
    let told: Vec<i64> = segments.iter().map(|segment| segment.manifest.received_last).collect();
    let received = now.map(|now| received(&told, now.as_nanos()));
    let oldest = now.map(|now| now.minus(shared.config.retention).as_nanos());
    let mut bytes: u64 = segments.iter().map(|segment| segment.manifest.bytes()).sum();
    for (place, segment) in segments.into_iter().enumerate() {
        let is_old = received.as_ref().zip(oldest).is_some_and(|(received, oldest)| received[place] < oldest);
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

/// Removes a segment's files; after a crash in between, the next start finishes it.
pub fn discard(shared: &Shared, segment: &Segment) -> Result<(), StoreError> {
    segment.hold_open();
    let gone = gone(shared, segment);
    file::rename(segment.path(), &gone)?;
    file::remove_folder(&gone)
}

/// The name under which a segment's folder is removed.
pub fn gone(shared: &Shared, segment: &Segment) -> PathBuf {
    shared.config.segments_folder().join(format!("gone-{:016}", segment.number()))
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
