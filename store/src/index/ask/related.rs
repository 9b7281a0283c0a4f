//! One step of the walk that makes a flow: the entries that are tied to some knots.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Budget;
use crate::engine::{Cursor, Found, Held};
use crate::index::segment::Segment;
use crate::index::view::Shared;
use crate::knot::{Knot, Tie};

/// With at most so many candidates a step is looked at where it is asked for: a walk has a dozen of them, most with a handful, and for each
/// the wake-up of another thread costs more than they do. This many take about a millisecond.
const BRIEF_ENTRIES_MAX: usize = 128;

/// With more segments than this, even finding the candidates is left to a thread that may take its time.
const BRIEF_SEGMENTS_MAX: usize = 512;

/// A step: what may be tied to the knots, to be looked at.
#[derive(Debug)]
pub struct Step {
    live: Vec<Held>,
    segments: Vec<(Arc<Segment>, Vec<u32>)>,
    budget: Budget,
}

impl Step {
    /// What the live sets and the segments have for these knots.
    pub fn find(shared: &Shared, knots: &[(Tie, Knot)]) -> Step {
        let mut step = Step { live: Vec::new(), segments: Vec::new(), budget: Budget::new() };
        let view = shared.look();
        for live in view.frozen.iter().map(|frozen| &frozen.live).chain([&view.active]) {
            step.live.extend(live.read().tied(knots).map(|entry| entry.held.clone()));
        }
        for segment in &view.segments {
            match shared.ask(segment, || segment.tied(knots)) {
                Ok(numbers) if numbers.is_empty() => {}
                Ok(numbers) => step.segments.push((segment.clone(), numbers)),
                Err(damage) => step.budget.leave_out(&damage),
            }
        }
        step
    }

    /// The same where that is certain to be brief, and so is [`Step::look`]; otherwise `None`.
    pub fn find_brief(shared: &Shared, knots: &[(Tie, Knot)]) -> Option<Step> {
        let is_brief = |step: &Step| {
            let in_segments: usize = step.segments.iter().map(|(_, numbers)| numbers.len()).sum();
            step.live.len() + in_segments <= BRIEF_ENTRIES_MAX
        };
        (shared.look().segments.len() <= BRIEF_SEGMENTS_MAX).then(|| Step::find(shared, knots)).filter(is_brief)
    }

    /// The entries tied to any of these knots, oldest first, at most `limit`.
    pub fn look(mut self, shared: &Shared, knots: &[(Tie, Knot)], limit: usize) -> Found {
        let mut tied = Tied { oldest: BTreeMap::new(), limit, more: false };
        let is_tied = |held: &Held| held.entry.knots().iter().any(|knot| knots.contains(knot));
        for held in self.live {
            if self.budget.allows() && is_tied(&held) {
                tied.add(shared, held);
            }
        }
        for (segment, numbers) in self.segments {
            let look = || {
                let mut found = Vec::new();
                for number in numbers {
                    if !self.budget.allows() {
                        break;
                    }
                    let held = segment.get(&shared.caches, number)?;
                    if is_tied(&held) {
                        found.push(held);
                    }
                }
                Ok(found)
            };
            match shared.ask(&segment, look) {
                Ok(found) => found.into_iter().for_each(|held| tied.add(shared, held)),
                Err(damage) => self.budget.leave_out(&damage),
            }
        }
        let cut = self.budget.cut().or_else(|| tied.more.then(|| format!("only the first {limit} are shown")));
        Found { entries: tied.oldest.into_values().collect(), next: None, cut }
    }
}

/// The oldest entries so far.
struct Tied {
    oldest: BTreeMap<Cursor, Held>,
    limit: usize,
    more: bool,
}

impl Tied {
    fn add(&mut self, shared: &Shared, held: Held) {
        let Some(held) = shared.show(held) else { return };
        let cursor = Cursor { time: held.entry.time(), identity: held.entry.identity() };
        self.oldest.insert(cursor, held);
        if self.oldest.len() > self.limit {
            self.oldest.pop_last();
            self.more = true;
        }
    }
}
