//! One step of the walk that makes a flow: the entries that are tied to some knots.

use std::collections::BTreeMap;

use super::Budget;
use crate::engine::{Cursor, Found, Held};
use crate::index::view::Shared;
use crate::knot::{Knot, Tie};

/// Entries tied to any of these knots, oldest first, at most `limit`.
pub fn related(shared: &Shared, knots: &[(Tie, Knot)], limit: usize) -> Found {
    let mut tied = Tied { oldest: BTreeMap::new(), limit, more: false };
    let mut budget = Budget::new();
    let is_tied = |held: &Held| held.entry.knots().iter().any(|knot| knots.contains(knot));
    let view = shared.look();
    for live in view.frozen.iter().map(|frozen| &frozen.live).chain([&view.active]) {
        let candidates: Vec<Held> = live.read().tied(knots).map(|entry| entry.held.clone()).collect();
        for held in candidates {
            if budget.allows() && is_tied(&held) {
                tied.add(shared, held);
            }
        }
    }
    for segment in &view.segments {
        let look = || {
            let mut found = Vec::new();
            for number in segment.tied(knots)? {
                if !budget.allows() {
                    break;
                }
                let held = segment.get(&shared.caches, number)?;
                if is_tied(&held) {
                    found.push(held);
                }
            }
            Ok(found)
        };
        match shared.ask(segment, look) {
            Ok(found) => found.into_iter().for_each(|held| tied.add(shared, held)),
            Err(damage) => budget.leave_out(&damage),
        }
    }
    let cut = budget.cut().or_else(|| tied.more.then(|| format!("only the first {limit} are shown")));
    Found { entries: tied.oldest.into_values().collect(), next: None, cut }
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
