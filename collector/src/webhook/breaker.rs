//! Lets a receiver alone that fails again and again, or that asks for a rest, and then tries it with one notification.
//!
//! ```text
//! closed --5 failures in a row--> open for 30 s --> one try --failed--> open for 60 s, 120 s, ... 10 min
//!                                                   one try --went well--> closed
//! ```

use std::time::Duration;

use store::Timestamp;

/// After how many failures in a row: one restart of a receiver fails two or three.
const FAILURES_MAX: u32 = 5;

/// How long it is let alone at first, and at the most: somebody who brings it back waits no longer than that.
const OPEN_FIRST: Duration = Duration::from_secs(30);
const OPEN_MAX: Duration = Duration::from_secs(600);

/// How many notifications are on their way to one receiver at once, each of another group.
const IN_FLIGHT_MAX: usize = 4;

/// Whether one receiver is let alone.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: u32,
    open_until: Option<Timestamp>,
}

impl Breaker {
    /// It took something.
    pub fn succeeded(&mut self) {
        *self = Breaker::default();
    }

    /// It failed, and maybe wants a rest.
    pub fn failed(&mut self, now: Timestamp, rest: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        let times = self.failures.checked_sub(FAILURES_MAX);
        let open = times.map(|times| OPEN_FIRST.saturating_mul(1 << times.min(10)).min(OPEN_MAX));
        if let Some(wait) = open.max(rest) {
            self.open_until = self.open_until.max(Some(now.plus(wait)));
        }
    }

    /// Until when it is let alone; `None` where it isn't.
    pub fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.open_until.filter(|until| *until > now)
    }

    /// How many notifications may be on their way at once: after a rest only one shows whether it is well again.
    pub fn room(&self) -> usize {
        if self.failures < FAILURES_MAX { IN_FLIGHT_MAX } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(0).plus(Duration::from_secs(seconds))
    }

    #[test]
    fn five_failures_in_a_row_open_it_for_longer_and_longer_and_one_success_closes_it() {
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            breaker.failed(at(0), None);
        }
        assert_eq!((breaker.open_until(at(0)), breaker.room()), (None, IN_FLIGHT_MAX));
        breaker.failed(at(0), None);
        assert_eq!((breaker.open_until(at(0)), breaker.room()), (Some(at(30)), 1));
        assert_eq!(breaker.open_until(at(30)), None, "one may be tried");
        breaker.failed(at(30), None);
        assert_eq!(breaker.open_until(at(31)), Some(at(90)));
        for _ in 0..60 {
            breaker.failed(at(100), None);
        }
        assert_eq!(breaker.open_until(at(100)), Some(at(700)));
        breaker.succeeded();
        assert_eq!((breaker.open_until(at(100)), breaker.room()), (None, IN_FLIGHT_MAX));
    }

    #[test]
    fn a_rest_that_is_asked_for_is_given_at_once() {
        let mut breaker = Breaker::default();
        breaker.failed(at(0), Some(Duration::from_secs(8)));
        assert_eq!(breaker.open_until(at(1)), Some(at(8)));
        breaker.failed(at(1), Some(Duration::from_secs(1)));
        assert_eq!(breaker.open_until(at(1)), Some(at(8)), "a shorter one doesn't end it");
    }
}
