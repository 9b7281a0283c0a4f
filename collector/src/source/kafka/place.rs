//! Where to read on in a partition, and whether its topic is still the same one.
//!
//! Pure: given what was kept and where the broker's log begins and ends now, it says what follows.
//! A topic that was deleted and made again starts over at offset 0. While we read it, its id tells (`tail/ask.rs`). What happened
//! while we were away, or at a broker without topic ids, shows by three signs: the log ends below what we have read; the record
//! before our place is another one (compared by timestamp and checksum when it is read once more); or the cluster has another id.

use std::time::{Duration, Instant};

use store::checkpoint::Reached;

/// Where a partition's log begins and ends: the first readable offset, and the one after the last committed record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// The first offset that the broker still holds.
    pub begin: i64,
    /// The offset that the next readable record will have or exceed.
    pub end: i64,
}

/// What follows for a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Read the last kept record once more to know it again, then on from our place.
    Check(i64),
    /// Read on from here.
    On(i64),
    /// What is between our place and here expired before we read it: read on from here, and say so.
    Gap(i64),
    /// The log ends below our place: once that stays so, the topic is another one.
    Short,
}

/// How long a log must end below our place before we believe it: a broker that just restarted may for a moment
/// know less than it has (its high watermark is written every 5 s and catches up right after it leads again).
pub const SHORT_FOR: Duration = Duration::from_secs(2);

/// The same where the broker says that the topic is the one which we were reading: then another leader took over that doesn't know yet
/// how far its log is committed. If it stays so, it lost records, and what it takes in now stands where we have been.
pub const SHORT_FOR_SAME: Duration = Duration::from_secs(30);

/// What follows for a partition that is to be read on.
pub fn place(reached: &Reached, bounds: Bounds) -> Place {
    if bounds.end < reached.next {
        return Place::Short;
    }
    if bounds.begin > reached.next {
        // Where nothing was kept yet, nothing was missed.
        let nothing_kept = reached.next == 0 && reached.last_checksum.is_none();
        return if nothing_kept { Place::On(bounds.begin) } else { Place::Gap(bounds.begin) };
    }
    let last = reached.next - 1;
    if reached.last_checksum.is_some() && last >= bounds.begin { Place::Check(last) } else { Place::On(reached.next) }
}

/// Whether a log that is too short has been so for long enough; remembers since when.
pub fn stays_short(since: &mut Option<Instant>, now: Instant, is_same: bool) -> bool {
    let long = if is_same { SHORT_FOR_SAME } else { SHORT_FOR };
    now.duration_since(*since.get_or_insert(now)) >= long
}

#[cfg(test)]
mod tests {
    use store::position::Incarnation;

    use super::*;

    fn check(next: i64, kept: bool, begin: i64, end: i64) -> Place {
        let last_checksum = kept.then_some(7);
        let reached = Reached { incarnation: Incarnation(0), next, last_timestamp: None, last_checksum };
        place(&reached, Bounds { begin, end })
    }

    #[test]
    fn reading_goes_on_where_it_stopped_after_knowing_the_last_record_again() {
        assert_eq!(check(10, true, 0, 20), Place::Check(9));
        assert_eq!(check(10, true, 0, 10), Place::Check(9));
    }

    #[test]
    fn a_place_without_a_record_before_it_needs_no_check() {
        assert_eq!(check(10, false, 0, 20), Place::On(10));
        assert_eq!(check(10, true, 10, 20), Place::On(10), "the record before it expired");
        assert_eq!(check(0, false, 0, 0), Place::On(0));
    }

    #[test]
    fn what_expired_before_it_was_read_is_a_gap_and_not_silence() {
        assert_eq!(check(120, true, 481, 500), Place::Gap(481));
        assert_eq!(check(120, false, 481, 500), Place::Gap(481));
        assert_eq!(check(0, false, 481, 500), Place::On(481), "nothing was ours to miss");
    }

    #[test]
    fn a_log_that_ends_below_our_place_is_believed_only_after_a_while() {
        assert_eq!(check(10, true, 0, 9), Place::Short);
        let (mut since, now) = (None, Instant::now());
        assert!(!stays_short(&mut since, now, false));
        assert!(!stays_short(&mut since, now + SHORT_FOR / 2, false));
        assert!(stays_short(&mut since, now + SHORT_FOR, false));
        assert!(
            !stays_short(&mut since, now + SHORT_FOR, true),
            "the topic is the same: another leader isn't that far yet"
        );
        assert!(stays_short(&mut since, now + SHORT_FOR_SAME, true));
    }
}
