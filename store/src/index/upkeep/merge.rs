//! Makes one segment of several small ones: a quiet day seals one every few minutes, and each costs every question a look.
//!
//! ```text
//! received  |        a window         |        a window         |  now
//! segments  [merged][merged][......]  | [merged] [small][small][small]
//! ```
//! Only neighbours of one window are merged, so that what is due by its age goes when it is due, and not with what came long after it.
//! Each merge makes much more of what goes into it, and a full segment is never touched again: an entry is written anew once where much
//! comes in, and a handful of times where little does. While it is busy nothing is merged, unless there are very many.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::replace::Remaining;
use crate::engine::StoreError;
use crate::index::segment::Segment;
use crate::index::view::Shared;
use crate::time::Timestamp;

/// How many small segments of the current window are let stand before they are merged.
const FEW: usize = 8;

/// How many windows the retention has: what is due goes at most so much of it too late.
const WINDOWS: u32 = 8;

/// A segment with more than this share of what a full one may have stays as it is.
const SMALL_SHARE: u64 = 2;

/// How many times as much as the largest of them a merge must make: without it, one large segment would be written anew for each small one.
const GROWTH_MIN: u64 = 3;

/// While more entries come in a second, over the last minute, the processors have better things to do: about a tenth of what one can keep.
const BUSY_PER_SECOND: f64 = 10_000.0;

/// With more segments than this they are merged however busy it is: each has up to eleven files mapped, and Linux allows a process 65,530
/// maps (proc(5): vm.max_map_count). What can't be mapped is left out of an answer, which says so.
const SEGMENTS_MAX: usize = 4_000;

/// How much a full segment has.
#[derive(Clone, Copy, Debug)]
struct Full {
    entries: u64,
    bytes: u64,
}

/// What is told of a segment to decide.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Candidate {
    entries: u64,
    bytes: u64,
    window: i64,
}

/// Whether merging, and whatever else can wait, is put off.
pub fn is_busy(shared: &Shared) -> bool {
    let (per_second, _) = shared.condition.lock().pace.last_minute();
    per_second > BUSY_PER_SECOND || !shared.look().frozen.is_empty()
}

/// Whether there are so many segments that merging can't be put off.
pub fn is_urgent(shared: &Shared) -> bool {
    shared.look().segments.len() > SEGMENTS_MAX
}

/// Merges small segments, where there are enough; one new segment at the most. `is_eager` merges what can be, however few there are.
pub fn once(shared: &Shared, now: Timestamp, is_eager: bool) -> Result<(), StoreError> {
    let window_nanos = window_nanos(shared.config.retention);
    let full = Full { entries: shared.config.seal_entries as u64, bytes: shared.config.seal_bytes() };
    // What claims to come from the future would make all of it young for ever.
    let is_past = |segment: &&Arc<Segment>| segment.manifest.received_last <= now.as_nanos();
    let mut segments: Vec<Arc<Segment>> = shared.look().segments.iter().filter(is_past).cloned().collect();
    segments.sort_by_key(|segment| segment.manifest.sequences.0);
    let candidates: Vec<Candidate> = segments
        .iter()
        .map(|segment| Candidate {
            entries: segment.manifest.entries(),
            bytes: segment.manifest.bytes(),
            window: segment.manifest.received_last.div_euclid(window_nanos),
        })
        .collect();
    let current = if is_eager { i64::MAX } else { now.as_nanos().div_euclid(window_nanos) };
    let Some(chosen) = choose(&candidates, full, current) else { return Ok(()) };
    let chosen = &segments[chosen];
    tracing::debug!("merging {} small segments", chosen.len());
    let forgotten = shared.forgotten.read().clone();
    // A damaged one was set aside; the others are merged with the next round.
    let Ok(remaining) = Remaining::of(shared, chosen, |key| forgotten.contains(&key)) else { return Ok(()) };
    remaining.replace()?;
    tracing::debug!("merged {} small segments", chosen.len());
    Ok(())
}

fn window_nanos(retention: Duration) -> i64 {
    i64::try_from((retention / WINDOWS).as_nanos()).unwrap_or(i64::MAX).max(1_000_000_000)
}

/// Which neighbours are to be merged, in order of arrival: the oldest first. In a window before the current one nothing more comes, so there
/// all that fits together is merged, for the last time.
fn choose(candidates: &[Candidate], full: Full, current: i64) -> Option<Range<usize>> {
    let is_small = |candidate: &Candidate| {
        candidate.entries <= full.entries / SMALL_SHARE && candidate.bytes <= full.bytes / SMALL_SHARE
    };
    (0..candidates.len()).find_map(|begin| {
        let first = candidates[begin];
        let (mut entries, mut bytes, mut largest) = (0, 0, 0);
        let mut end = begin;
        let mut is_filled = false;
        for candidate in candidates[begin..].iter().take_while(|next| next.window == first.window && is_small(next)) {
            is_filled = entries + candidate.entries > full.entries || bytes + candidate.bytes > full.bytes;
            if is_filled {
                break;
            }
            (entries, bytes) = (entries + candidate.entries, bytes + candidate.bytes);
            largest = largest.max(candidate.entries);
            end += 1;
        }
        let many = end - begin;
        let is_worth_it = (is_filled || many >= FEW) && entries >= GROWTH_MIN * largest;
        (many >= 2 && (first.window < current || is_worth_it)).then_some(begin..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Full = Full { entries: 50_000, bytes: 40 << 20 };

    fn of(entries: u64, window: i64) -> Candidate {
        Candidate { entries, bytes: entries * 120, window }
    }

    /// Seals so many entries each time, and merges what is chosen, as a store does it round by round; how many entries were written anew
    /// for each one, and how many segments there were at the most.
    fn live(seals: usize, entries: u64, seals_a_window: usize) -> (f64, usize) {
        let mut segments: Vec<Candidate> = Vec::new();
        let (mut rewritten, mut most) = (0, 0);
        for seal in 0..seals {
            let window = (seal / seals_a_window) as i64;
            segments.push(of(entries, window));
            if let Some(chosen) = choose(&segments, FULL, window) {
                assert!(segments[chosen.clone()].iter().all(|one| one.window == segments[chosen.start].window));
                let total: u64 = segments[chosen.clone()].iter().map(|one| one.entries).sum();
                assert!(total <= FULL.entries);
                rewritten += total;
                let merged = of(total, segments[chosen.start].window);
                segments.splice(chosen, [merged]);
            }
            most = most.max(segments.len());
        }
        (rewritten as f64 / (seals as u64 * entries) as f64, most)
    }

    #[test]
    fn much_is_written_anew_once_and_little_a_handful_of_times() {
        let (rewritten, most) = live(4_000, 12_400, 500);
        assert!(rewritten <= 1.0 && most < 1_300, "{rewritten} {most}");
        let (rewritten, most) = live(4_000, 100, 144);
        assert!(rewritten <= 3.5 && most < 80, "{rewritten} {most}");
        let (rewritten, most) = live(8_000, 1, 144);
        assert!(rewritten <= 3.5 && most < 90, "{rewritten} {most}");
    }

    #[test]
    fn large_entries_make_no_segment_small() {
        let large = |window| Candidate { entries: 300, bytes: 39 << 20, window };
        assert_eq!(choose(&[large(1); 20], FULL, 2), None);
        let half = Candidate { bytes: 15 << 20, ..large(1) };
        assert_eq!(choose(&[half; 20], FULL, 2), Some(0..2), "two of them fill one");
    }

    #[test]
    fn neighbours_of_different_windows_are_never_merged() {
        assert_eq!(choose(&[of(10, 1), of(10, 2), of(10, 3)], FULL, 9), None);
        assert_eq!(choose(&[of(10, 1), of(10, 2), of(10, 2), of(10, 3)], FULL, 3), Some(1..3));
        assert_eq!(choose(&[of(10, 3); 7], FULL, 3), None, "few may stand for now");
        assert_eq!(choose(&[of(10, 3); 8], FULL, 3), Some(0..8));
    }
}
