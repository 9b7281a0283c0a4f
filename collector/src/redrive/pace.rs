//! How many messages a second: it begins with 1, 2, 5, 20, so that a mistake shows before it has hit thousands.

use std::time::{Duration, Instant};

/// How many in each second from the first one on; the last holds from then on, and the redrive's own rate caps all.
const RAMP: [u32; 9] = [1, 2, 5, 20, 50, 100, 200, 500, 1_000];

/// How long each step of the ramp lasts.
const SECOND: Duration = Duration::from_secs(1);

/// The pace of one redrive.
#[derive(Clone, Debug)]
pub struct Pace {
    second: usize,
    began: Instant,
    sent: u32,
}

impl Pace {
    /// From the beginning.
    pub fn new(now: Instant) -> Pace {
        Pace { second: 0, began: now, sent: 0 }
    }

    /// How many may be sent now, at least one; else how long to wait.
    pub fn allowed(&mut self, now: Instant, rate: u32) -> Result<u32, Duration> {
        let passed = now.saturating_duration_since(self.began);
        if passed >= SECOND && self.sent > 0 {
            (self.second, self.began, self.sent) = (self.second + 1, now, 0);
        }
        let most = RAMP[self.second.min(RAMP.len() - 1)].min(rate.max(1));
        match most.saturating_sub(self.sent) {
            0 => Err(SECOND.saturating_sub(passed).max(Duration::from_millis(1))),
            left => Ok(left),
        }
    }

    /// Whether nothing was sent in this second yet.
    pub fn begins(&self) -> bool {
        self.sent == 0
    }

    /// So many were sent.
    pub fn spend(&mut self, many: u32) {
        self.sent += many;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_slowly_and_never_exceeds_its_rate() {
        let began = Instant::now();
        let mut pace = Pace::new(began);
        let mut sent = Vec::new();
        for millis in (0..9_000).step_by(100) {
            let now = began + Duration::from_millis(millis);
            while let Ok(left) = pace.allowed(now, 30) {
                let some = left.min(16);
                pace.spend(some);
                let second = (millis / 1_000) as usize;
                sent.resize(second + 1, 0);
                sent[second] += some;
            }
        }
        assert_eq!(sent, [1, 2, 5, 20, 30, 30, 30, 30, 30]);
    }

    #[test]
    fn it_waits_no_longer_than_a_second_and_ramps_only_over_what_was_sent() {
        let began = Instant::now();
        let mut pace = Pace::new(began);
        assert_eq!(pace.allowed(began + Duration::from_secs(60), 20), Ok(1), "nothing was tried yet");
        pace.spend(1);
        assert_eq!(pace.allowed(began + Duration::from_secs(60), 20), Ok(2));
        pace.spend(2);
        assert_eq!(pace.allowed(began + Duration::from_millis(60_400), 20), Err(Duration::from_millis(600)));
    }
}
