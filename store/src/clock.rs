//! The wall clock, as something that may be wrong: set by hand, by a time server, by a virtual machine that woke up.
//!
//! Nothing in the store orders entries by it. Only retention goes by it, and there a jump must not remove a week of entries at once:
//! see [`Steady`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use crate::time::Timestamp;

/// This machine's clock, and how far a test has moved it.
#[derive(Clone, Default)]
pub struct Clock {
    moved_nanos: Arc<AtomicI64>,
}

impl Clock {
    /// What it shows now.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_nanos(Timestamp::now().as_nanos().saturating_add(self.moved_nanos.load(Ordering::Relaxed)))
    }

    /// Moves it, to the past where `seconds` is negative; for tests.
    pub fn jump(&self, seconds: i64) {
        self.moved_nanos.fetch_add(seconds.saturating_mul(1_000_000_000), Ordering::Relaxed);
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock at {}", self.now())
    }
}

impl PartialEq for Clock {
    /// Clocks that show the same.
    fn eq(&self, other: &Clock) -> bool {
        self.moved_nanos.load(Ordering::Relaxed) == other.moved_nanos.load(Ordering::Relaxed)
    }
}

impl Eq for Clock {}

/// By how much a clock may gain on the time that passed before that is a jump: time servers slew far less, and set what is more.
const GAIN_MAX: Duration = Duration::from_secs(60);

/// How long a clock that jumped ahead must have gone on before it is believed: long enough for whoever looks after the machine to see
/// that it is wrong, and nothing against a retention of days.
pub const DOUBT: Duration = Duration::from_secs(3_600);

/// Tells when the clock can't be believed, by what time has passed meanwhile.
#[derive(Debug)]
pub struct Steady {
    clock: Clock,
    seen: (Timestamp, Instant),
    doubted_since: Option<Instant>,
}

impl Steady {
    /// Believes what the clock shows now.
    pub fn new(clock: Clock) -> Steady {
        let seen = (clock.now(), Instant::now());
        Steady { clock, seen, doubted_since: None }
    }

    /// What the clock shows; `None` for [`DOUBT`] after it jumped ahead, unless it comes back.
    pub fn now(&mut self) -> Option<Timestamp> {
        self.now_at(Instant::now())
    }

    fn now_at(&mut self, at: Instant) -> Option<Timestamp> {
        let shown = self.clock.now();
        let expected = self.seen.0.plus(at.saturating_duration_since(self.seen.1));
        let jumped = shown > expected.plus(GAIN_MAX);
        let is_doubted = jumped && self.doubted_since.is_none_or(|since| at.saturating_duration_since(since) < DOUBT);
        if is_doubted {
            if self.doubted_since.is_none() {
                tracing::warn!(
                    "the clock jumped ahead to {shown}: nothing is removed by its age until it has gone on from there for an hour"
                );
                self.doubted_since = Some(at);
            }
            return None;
        }
        self.doubted_since = None;
        self.seen = (shown, at);
        Some(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_ahead_is_believed_after_an_hour_and_one_that_comes_back_at_once() {
        let clock = Clock::default();
        let mut steady = Steady::new(clock.clone());
        assert!(steady.now().is_some());
        clock.jump(86_400 * 365);
        assert_eq!(steady.now(), None);
        clock.jump(-86_400 * 365);
        assert!(steady.now().is_some());
        clock.jump(7_200);
        let began = Instant::now();
        assert_eq!(steady.now_at(began), None);
        assert_eq!(steady.now_at(began + DOUBT / 2), None);
        assert!(steady.now_at(began + DOUBT).is_some());
        assert!(steady.now_at(began + DOUBT).is_some());
        clock.jump(-86_400);
        assert!(steady.now_at(began + DOUBT).is_some(), "in the past nothing is too old");
    }
}
