//! How questions are answered: the live sets and the segments give candidates, which are looked at until the answer is full.

mod count; // how many, by what
mod related; // one step of the walk that makes a flow
mod search; // by the entries' own time, and by arrival
mod whole; // all of it, to be forgotten

use std::time::{Duration, Instant};

use super::segment::Damage;
use crate::query::Query;

pub use count::count;
pub use related::Step;
pub use search::{search, since};
pub use whole::keys;

/// How long one question may take: a person waits that long; what was not looked at by then is said.
const TIME_MAX: Duration = Duration::from_secs(2);

/// How often the clock is looked at, in entries.
const CLOCK_EVERY: usize = 64;

/// What one question may cost.
#[derive(Debug)]
struct Budget {
    began: Instant,
    looked: usize,
    is_spent: bool,
    /// Segments that were damaged, and so were left out.
    damaged: usize,
    /// Segments that the system couldn't read just now.
    unread: usize,
}

impl Budget {
    fn new() -> Budget {
        Budget { began: Instant::now(), looked: 0, is_spent: false, damaged: 0, unread: 0 }
    }

    /// Whether another entry may be looked at.
    fn allows(&mut self) -> bool {
        self.looked += 1;
        if self.looked.is_multiple_of(CLOCK_EVERY) && self.began.elapsed() > TIME_MAX {
            self.is_spent = true;
        }
        !self.is_spent
    }

    /// Counts a segment that is left out of the answer.
    fn leave_out(&mut self, damage: &Damage) {
        *(if damage.is_passing { &mut self.unread } else { &mut self.damaged }) += 1;
    }

    /// Why the answer may be incomplete.
    fn cut(&self) -> Option<String> {
        if self.is_spent {
            return Some(format!(
                "stopped after {} s: ask for a shorter time or for something more exact",
                TIME_MAX.as_secs()
            ));
        }
        if self.unread > 0 {
            return Some(format!("{} segment(s) can't be read now and were left out; the log says why", self.unread));
        }
        (self.damaged > 0).then(|| format!("{} damaged segment(s) were left out", self.damaged))
    }
}

/// The times in which a query can hold, first and last, both included.
fn bounds(query: &Query) -> (i64, i64) {
    match query {
        Query::Time { from, to } => (
            from.map_or(i64::MIN, crate::Timestamp::as_nanos),
            to.map_or(i64::MAX, |to| to.as_nanos().saturating_sub(1)),
        ),
        Query::And(all) => all.iter().map(bounds).fold((i64::MIN, i64::MAX), |a, b| (a.0.max(b.0), a.1.min(b.1))),
        _ => (i64::MIN, i64::MAX),
    }
}
