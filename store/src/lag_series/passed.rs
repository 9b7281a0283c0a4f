//! When a commit passed an offset.
//!
//! We look every few seconds, so it lies between two looks: the last that found the commit at or below the offset, and the first that
//! found it above. The longer ago, the fewer looks are kept, and the wider the bounds: never a false instant.
//!
//! Not for: what became of the event. Committed is not processed.

use super::line::Point;
use super::mark::Mark;
use crate::position::Channel;
use crate::time::Timestamp;

/// When a commit passed an offset, for the last time if it did so more than once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Passed {
    /// The last look that found the commit at or below the offset; `None` where the first one found it above already.
    pub after: Option<Timestamp>,
    /// The first look that found it above.
    pub by: Timestamp,
    /// No member was seen when it moved: somebody set it there, and nobody needs to have read what lies between.
    pub without_members: bool,
    /// It had been above the offset before, and went back.
    pub went_back: bool,
}

/// Whether the last of these points is past an offset, and since when.
pub(super) fn passed(points: &[Point], marks: &[Mark], partition: (&Channel, i32), offset: i64) -> Option<Passed> {
    let is_past = |point: &Point| point.values()[0].is_some_and(|committed| committed > offset);
    let n_past = points.iter().rev().take_while(|point| is_past(point)).count();
    let (before, past) = points.split_at(points.len() - n_past);
    let by = past.first()?.at();
    let after = before.last().map(Point::until);
    // Points are kept to the millisecond, and a mark has the very instant of the look that found it.
    let found_at = |mark: &Mark| Timestamp::from_millis(mark.at.as_millis());
    let between = marks.iter().filter(|mark| found_at(mark) <= by && after.is_none_or(|after| found_at(mark) > after));
    Some(Passed {
        after,
        by,
        without_members: between.into_iter().any(|mark| mark.skips(partition, offset)),
        went_back: before.iter().any(is_past),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::lag_series::{Change, LagKey, LagSample, LagSeries, Move};

    fn key() -> LagKey {
        LagKey { source: "main".into(), group: "billing".into(), topic: "orders".into(), partition: 0 }
    }

    /// Looks 10 s apart, each a commit; the answer in seconds.
    fn check(commits: &[Option<i64>], mark: Option<Mark>, offset: i64) -> Option<(Option<i64>, i64, bool, bool)> {
        let series = LagSeries::default();
        for (number, committed) in (0..).zip(commits) {
            series.add(&key(), LagSample { at: at(number * 10), committed: *committed, end: Some(100) });
        }
        if let Some(mark) = mark {
            series.mark((&key().source, "billing"), mark);
        }
        let Passed { after, by, without_members, went_back } = series.passed(&key(), offset)?;
        let seconds = |at: Timestamp| at.as_millis() / 1_000;
        Some((after.map(seconds), seconds(by), without_members, went_back))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn an_offset_was_passed_between_the_last_look_below_and_the_first_above() {
        let commits = [Some(5), Some(5), Some(5), Some(9), Some(9)];
        assert_eq!(check(&commits, None, 5), Some((Some(20), 30, false, false)), "the next to read is not passed");
        assert_eq!(check(&commits, None, 8), Some((Some(20), 30, false, false)));
        assert_eq!(check(&commits, None, 9), None, "it waits");
        assert_eq!(check(&commits, None, 4), Some((None, 0, false, false)), "passed before anybody looked");
        assert_eq!(check(&[None, None, Some(3)], None, 2), Some((Some(10), 20, false, false)));
        assert_eq!(check(&[], None, 2), None);
    }

    #[test]
    fn what_a_reset_jumped_over_was_skipped_and_what_was_read_before_it_was_not() {
        let moves = vec![Move { partition: 0, from: 5, to: 50 }];
        let reset = Mark { at: at(20), change: Change::Reset { topic: "orders".into(), moves } };
        let commits = [Some(3), Some(5), Some(50), Some(60)];
        assert_eq!(check(&commits, Some(reset.clone()), 20), Some((Some(10), 20, true, false)));
        assert_eq!(check(&commits, Some(reset.clone()), 4), Some((Some(0), 10, false, false)));
        assert_eq!(check(&commits, Some(reset), 55), Some((Some(20), 30, false, false)));
    }

    #[test]
    fn a_look_between_two_milliseconds_finds_a_reset_and_its_commit_at_the_same_time() {
        let series = LagSeries::default();
        let looks =
            [(10, 5), (20, 50)].map(|(seconds, committed)| (at(seconds).plus(Duration::from_micros(300)), committed));
        for (at, committed) in looks {
            series.add(&key(), LagSample { at, committed: Some(committed), end: Some(100) });
        }
        let moves = vec![Move { partition: 0, from: 5, to: 50 }];
        let reset = Mark { at: looks[1].0, change: Change::Reset { topic: "orders".into(), moves } };
        series.mark((&key().source, "billing"), reset);
        assert!(series.passed(&key(), 20).is_some_and(|passed| passed.without_members));
    }

    #[test]
    fn a_commit_that_went_back_waits_again_until_it_has_passed_once_more() {
        assert_eq!(check(&[Some(1), Some(9), Some(2)], None, 5), None);
        assert_eq!(check(&[Some(1), Some(9), Some(2), Some(8)], None, 5), Some((Some(20), 30, false, true)));
    }
}
