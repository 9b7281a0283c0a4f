//! How a group stands on a partition, from what was seen of it: Burrow's rules in Burrow's order (linkedin/Burrow :
//! core/internal/evaluator/caching.go, constants named after it), then whether it catches up or falls behind.
//!
//! Burrow reads each commit as it happens; we look every few seconds. So a commit is one that moved, and of a group that owns the
//! partition each look counts as one: it is there, and would commit if it got on. Hence *stopped* is who is gone, *stalled* who is
//! there and gets nowhere. Where its commits are further apart than our looks, it is judged by the commits alone, as Burrow does.
//!
//! What Burrow is weak at: an idle topic is no lag, for we know where it ends. Who commits rarely is judged late, after twice its longest
//! pause. Who was reset on purpose reads as rewound until it has caught up, and its page has a mark that says why.

use std::collections::VecDeque;

use store::Timestamp;
use store::groups::LagState;

/// How many commits, and how many looks, are judged by (Burrow's default).
pub const INTERVALS: usize = 10;

/// The lag that isn't called behind (Burrow's default).
pub const ALLOWED_LAG: u64 = 0;

/// How many commits it takes to call a lag stalled or not falling. Burrow's default is 0, by which the very first look at a busy
/// group finds it stalled.
pub const MINIMUM_COMPLETE: usize = INTERVALS / 2;

/// From how many records on a lag that grew is called falling behind, where it also fell in between: below, it only wavers.
const GROWTH_MIN: u64 = 10;

/// For how long a partition is remembered that nobody looks at any more.
const KEPT_NANOS: i64 = 300_000_000_000;

/// From which pause between two commits on a group is slow: three looks, 10 s apart. Kafka's clients commit every 5 s by default.
const SLOW_NANOS: i64 = 30_000_000_000;

/// A longer pause between two commits excuses nobody.
const SLOWEST_NANOS: i64 = 900_000_000_000;

/// What one look at a partition found.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub at: Timestamp,
    pub committed: Option<i64>,
    pub begin: Option<i64>,
    pub end: Option<i64>,
    /// Whether a member owns the partition; `None` where the broker doesn't tell.
    pub is_owned: Option<bool>,
}

/// What was seen of one group on one partition lately.
#[derive(Debug, Default)]
pub struct Window {
    looked: Timestamp,
    commits: VecDeque<Commit>,
    /// Those commits that moved.
    moves: VecDeque<Commit>,
    ends: VecDeque<i64>,
    lags: VecDeque<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Commit {
    at: Timestamp,
    offset: i64,
    lag: u64,
}

impl Look {
    /// The lag in offsets; `None` where either end is unknown.
    pub fn lag(&self) -> Option<u64> {
        let (end, committed) = (self.end?, self.committed?);
        Some(u64::try_from(end.saturating_sub(committed)).unwrap_or(0))
    }
}

impl Window {
    /// Whether anybody looked at the partition lately: others are gone.
    pub fn is_current(&self, now: Timestamp) -> bool {
        now.nanos_since(self.looked) < KEPT_NANOS
    }

    /// Takes in a look, and says how the group stands.
    pub fn see(&mut self, look: Look) -> LagState {
        self.looked = look.at;
        let Some(committed) = look.committed else {
            self.commits.clear();
            self.moves.clear();
            return LagState::NoCommit;
        };
        let (Some(end), Some(lag)) = (look.end, look.lag()) else { return LagState::Unseen };
        keep(&mut self.ends, end);
        keep(&mut self.lags, lag);
        let commit = Commit { at: look.at, offset: committed, lag };
        let moved = self.commits.back().is_none_or(|last| last.offset != committed);
        if moved {
            keep(&mut self.moves, commit);
        }
        if moved || look.is_owned == Some(true) {
            keep(&mut self.commits, commit);
        }
        if look.begin.is_some_and(|begin| committed < begin) {
            return LagState::BelowStart;
        }
        if lag == ALLOWED_LAG {
            return LagState::KeepingUp;
        }
        self.of_one_behind(look)
    }

    fn of_one_behind(&self, look: Look) -> LagState {
        let is_slow = self.is_between_two_commits(look.at);
        let commits = if is_slow { &self.moves } else { &self.commits };
        let (Some(first), Some(last)) = (commits.front(), commits.back()) else { return LagState::Unseen };
        let silent = look.at.nanos_since(last.at) > last.at.nanos_since(first.at);
        let was_caught_up = self.ends.iter().any(|end| *end <= last.offset);
        // One that may be there, and was seen to commit only once, may just be slow.
        let is_judged = look.is_owned == Some(false) || commits.len() > 1 || self.ends.len() == INTERVALS;
        if silent && !was_caught_up && is_judged {
            return LagState::Stopped;
        }
        if self.is_rewound() {
            return LagState::Rewound;
        }
        if commits.iter().any(|commit| commit.lag == ALLOWED_LAG) {
            return LagState::KeepingUp;
        }
        if commits.len() >= MINIMUM_COMPLETE {
            if commits.iter().all(|commit| commit.offset == first.offset) {
                return LagState::Stalled;
            }
            let steps = commits.iter().zip(commits.iter().skip(1));
            if steps.into_iter().all(|(one, next)| next.lag >= one.lag) {
                return if last.lag > first.lag { LagState::FallingBehind } else { LagState::Behind };
            }
        }
        if is_slow { LagState::KeepingUp } else { self.by_trend() }
    }

    /// Whether commits are so far apart that the looks between them say nothing, and the next one isn't overdue.
    fn is_between_two_commits(&self, now: Timestamp) -> bool {
        // One that had nothing to read was not slow.
        let steps = self.moves.iter().zip(self.moves.iter().skip(1)).filter(|(one, _)| one.lag > ALLOWED_LAG);
        let longest = steps.map(|(one, next)| next.at.nanos_since(one.at)).max();
        let (Some(longest), Some(last)) = (longest, self.moves.back()) else { return false };
        longest >= SLOW_NANOS && now.nanos_since(last.at) <= 2 * longest.min(SLOWEST_NANOS)
    }

    /// Whether a commit went back, and none since reached where it was.
    fn is_rewound(&self) -> bool {
        let offsets: Vec<i64> = self.commits.iter().map(|commit| commit.offset).collect();
        (1..offsets.len()).any(|at| {
            let before = offsets[at - 1];
            offsets[at] < before && offsets[at..].iter().all(|offset| *offset < before)
        })
    }

    fn by_trend(&self) -> LagState {
        let (Some(first), Some(last)) = (self.lags.front().copied(), self.lags.back().copied()) else {
            return LagState::KeepingUp;
        };
        match () {
            () if self.lags.len() < MINIMUM_COMPLETE => LagState::KeepingUp,
            () if last.saturating_mul(5) <= first.saturating_mul(4) => LagState::CatchingUp,
            () if last >= first + GROWTH_MIN && last.saturating_mul(4) >= first.saturating_mul(5) => {
                LagState::FallingBehind
            }
            () => LagState::KeepingUp,
        }
    }
}

/// Keeps the latest [`INTERVALS`].
pub fn keep<T>(window: &mut VecDeque<T>, newest: T) {
    if window.len() == INTERVALS {
        window.pop_front();
    }
    window.push_back(newest);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said after looks 10 s apart, each `(committed, end)`.
    fn check(is_owned: Option<bool>, looks: &[(i64, i64)]) -> LagState {
        let mut window = Window::default();
        let mut state = LagState::Unseen;
        for (number, (committed, end)) in looks.iter().enumerate() {
            state = window.see(Look {
                at: Timestamp::from_millis(1_000_000 + number as i64 * 10_000),
                committed: Some(*committed),
                begin: Some(0),
                end: Some(*end),
                is_owned,
            });
        }
        state
    }

    fn course(looks: i64, committed: impl Fn(i64) -> i64, end: impl Fn(i64) -> i64) -> Vec<(i64, i64)> {
        (0..looks).map(|look| (committed(look), end(look))).collect()
    }

    #[test]
    fn a_group_at_the_end_keeps_up_however_long_the_topic_is_idle() {
        assert_eq!(check(Some(true), &[(10, 10); 30]), LagState::KeepingUp);
        assert_eq!(check(Some(false), &[(10, 10); 30]), LagState::KeepingUp);
    }

    #[test]
    fn a_group_that_left_with_records_waiting_has_stopped() {
        assert_eq!(check(Some(false), &[(10, 20), (10, 20)]), LagState::Stopped);
        let mut looks = course(5, |look| look * 10, |look| look * 10 + 5);
        // As long as some look found the end where the commit is, it may just be between two commits.
        looks.extend([(40, 100); 11]);
        assert_eq!(check(Some(false), &looks), LagState::Stopped);
    }

    #[test]
    fn a_group_that_was_at_the_end_a_moment_ago_has_not_stopped() {
        let mut looks = vec![(10, 10); 5];
        looks.push((10, 11));
        assert_eq!(check(Some(false), &looks), LagState::KeepingUp);
    }

    #[test]
    fn a_member_that_gets_nowhere_is_stalled_and_one_that_just_began_is_not() {
        assert_eq!(check(Some(true), &[(10, 20); 6]), LagState::Stalled);
        assert_eq!(check(Some(true), &[(10, 20); 2]), LagState::KeepingUp);
    }

    #[test]
    fn a_lag_that_only_grows_is_falling_behind_and_one_that_falls_is_catching_up() {
        let growing = course(10, |look| look * 6, |look| 20 + look * 10);
        assert_eq!(check(Some(true), &growing), LagState::FallingBehind);
        assert_eq!(check(None, &growing), LagState::FallingBehind, "where members aren't told too");
        let falling = course(10, |look| look * 20, |look| 200 + look * 5);
        assert_eq!(check(Some(true), &falling), LagState::CatchingUp);
        let level = course(10, |look| look * 10, |look| 50 + look * 10);
        assert_eq!(check(Some(true), &level), LagState::Behind);
    }

    #[test]
    fn a_lag_that_wavers_keeps_up() {
        let wavering = course(12, |look| look * 10, |look| look * 10 + 3 + look % 3);
        assert_eq!(check(Some(true), &wavering), LagState::KeepingUp);
    }

    #[test]
    fn a_deliberate_reset_reads_as_rewound_until_it_has_caught_up() {
        let mut looks = course(4, |look| 50 + look * 10, |look| 60 + look * 10);
        looks.push((0, 100));
        assert_eq!(check(Some(true), &looks), LagState::Rewound);
        looks.push((90, 100));
        assert_ne!(check(Some(true), &looks), LagState::Rewound);
    }

    #[test]
    fn one_that_commits_rarely_is_not_called_stopped_between_two_commits() {
        // A commit every two minutes, twelve looks each; what is left at each commit wavers.
        let slow = course(60, |look| look / 12 * 120, |look| 10 + look * 10 + look / 12 % 2);
        assert_eq!(check(None, &slow), LagState::KeepingUp, "where members aren't told");
        assert_eq!(check(Some(true), &slow), LagState::KeepingUp, "nor stalled or falling behind");
    }

    #[test]
    fn a_pause_in_which_nothing_was_to_be_read_makes_nobody_slow() {
        let mut looks = vec![(10, 10)];
        looks.extend([(20, 20); 60]);
        looks.extend([(30, 30); 2]);
        looks.extend([(30, 90); 12]);
        assert_eq!(check(Some(true), &looks), LagState::Stalled);
    }

    #[test]
    fn one_that_commits_rarely_is_judged_once_its_next_commit_is_overdue() {
        let mut looks = course(60, |look| look / 12 * 120, |look| 10 + look * 10);
        looks.extend((60..80).map(|look| (480, 10 + look * 10)));
        assert_eq!(check(Some(true), &looks), LagState::Stalled);
        let mut looks = course(60, |look| look / 12 * 120, |look| 10 + look * 10);
        looks.extend((60..120).map(|look| (480, 10 + look * 10)));
        assert_eq!(check(Some(false), &looks), LagState::Stopped, "as late as Burrow says it");
    }

    #[test]
    fn no_commit_and_a_commit_that_retention_overtook_are_no_lag_of_zero() {
        let look = Look {
            at: Timestamp::from_millis(0),
            committed: None,
            begin: Some(0),
            end: Some(10),
            is_owned: Some(true),
        };
        assert_eq!(Window::default().see(look), LagState::NoCommit);
        assert_eq!(look.lag(), None);
        let overtaken = Look { committed: Some(3), begin: Some(5), ..look };
        assert_eq!(Window::default().see(overtaken), LagState::BelowStart);
        assert_eq!(overtaken.lag(), Some(7));
        let emptied = Look { committed: Some(3), begin: Some(10), ..look };
        assert_eq!(Window::default().see(emptied), LagState::BelowStart, "where nothing is left to read, too");
    }
}
