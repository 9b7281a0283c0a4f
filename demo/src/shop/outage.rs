//! Something outside that is down: said once when it starts and once when it is over, however often it is noticed.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use tracing::{info, warn};

/// One thing that the shop depends on and does without for a while.
#[derive(Debug)]
pub(crate) struct Outage {
    what: String,
    meanwhile: &'static str,
    down: AtomicBool,
}

impl Outage {
    /// `what` doesn't answer; `meanwhile` this is what the shop does.
    pub(crate) fn watch(what: String, meanwhile: &'static str) -> Outage {
        Outage { what, meanwhile, down: AtomicBool::new(false) }
    }

    /// It failed. Returns whether this is news.
    pub(crate) fn failed(&self, reason: &dyn fmt::Display) -> bool {
        let news = !self.down.swap(true, Ordering::Relaxed);
        if news {
            warn!("{} does not answer ({reason}); {}", self.what, self.meanwhile);
        }
        news
    }

    /// It worked. Returns whether this ends an outage.
    pub(crate) fn worked(&self) -> bool {
        let news = self.down.swap(false, Ordering::Relaxed);
        if news {
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
        assert!(!outage.worked());
        assert!(outage.failed(&"refused"));
        assert!(!outage.failed(&"refused"));
        assert!(outage.worked());
        assert!(!outage.worked());
        assert!(outage.failed(&"refused"));
    }
}
