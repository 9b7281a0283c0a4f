//! Something outside that is down: said once when it starts and once when it is over, however often it is noticed.

use std::{
    fmt,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tracing::{info, warn};

/// How long after its return a failure is no news. Every client has a connection of its own, and the last one still
/// fails when the first one works again.
const SETTLING: Duration = Duration::from_secs(3);

/// One thing that the shop depends on and does without for a while.
#[derive(Debug)]
pub(crate) struct Outage {
    what: String,
    meanwhile: &'static str,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Up { since: Option<Instant> },
    Down,
}

impl Outage {
    /// `what` doesn't answer; `meanwhile` this is what the shop does.
    pub(crate) fn watch(what: String, meanwhile: &'static str) -> Outage {
        Outage { what, meanwhile, state: Mutex::new(State::Up { since: None }) }
    }

    /// It failed. Returns whether this is news.
    pub(crate) fn failed(&self, reason: &dyn fmt::Display) -> bool {
        self.failed_at(Instant::now(), reason)
    }

    /// It worked. Returns whether this ends an outage.
    pub(crate) fn worked(&self) -> bool {
        self.worked_at(Instant::now())
    }

    fn failed_at(&self, now: Instant, reason: &dyn fmt::Display) -> bool {
        let mut state = self.state.lock();
        let news = match *state {
            State::Down => false,
            State::Up { since: Some(since) } => now.duration_since(since) >= SETTLING,
            State::Up { since: None } => true,
        };
        if news {
            *state = State::Down;
            warn!("{} does not answer ({reason}); {}", self.what, self.meanwhile);
        }
        news
    }

    fn worked_at(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        let news = matches!(*state, State::Down);
        if news {
            *state = State::Up { since: Some(now) };
            info!("{} answers again", self.what);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_said_once_and_its_end_once() {
        let outage = Outage::watch("the broker".into(), "waiting");
        let start = Instant::now();
        assert!(!outage.worked_at(start));
        assert!(outage.failed_at(start, &"refused"));
        assert!(!outage.failed_at(start, &"refused"));
        assert!(outage.worked_at(start));
        assert!(!outage.worked_at(start));
    }

    #[test]
    fn a_straggler_s_failure_is_no_new_outage() {
        let outage = Outage::watch("the broker".into(), "waiting");
        let start = Instant::now();
        outage.failed_at(start, &"refused");
        outage.worked_at(start);
        assert!(!outage.failed_at(start + SETTLING / 2, &"refused"));
        assert!(!outage.worked_at(start + SETTLING / 2));
        assert!(outage.failed_at(start + SETTLING, &"refused"));
    }
}
