//! Reads segments through in the background, one a round, so that what a disk lost is met before somebody needs it, and while there is
//! still a copy somewhere.

use crate::index::view::Shared;

/// How far it got: by the segments' numbers, from the first to the last that there was when it began, and then anew. 1,000 segments take
/// some eight hours.
#[derive(Debug, Default)]
pub struct Scrub {
    last: u64,
    /// What comes later waits for the next time: or where new ones come fast, the first would never be read again.
    end: u64,
}

impl Scrub {
    /// Reads the next segment through; a damaged one is set aside.
    pub fn next(&mut self, shared: &Shared) {
        let view = shared.look();
        let within = |number: u64| self.last < number && number <= self.end;
        let next =
            view.segments.iter().filter(|segment| within(segment.number())).min_by_key(|segment| segment.number());
        let first = || view.segments.iter().min_by_key(|segment| segment.number());
        let Some(segment) = next.or_else(first) else { return };
        if next.is_none() {
            self.end = view.segments.iter().map(|segment| segment.number()).max().unwrap_or(0);
        }
        self.last = segment.number();
        // What is wrong is said in the log and counted where it is met.
        let _said = shared.ask(segment, || segment.scrub());
    }
}
