//! All that a query holds for, however long it takes: what is forgotten must not be half of it.

use super::bounds;
use super::search::Question;
use crate::index::columns::Verdict;
use crate::index::hash::IdentityKey;
use crate::index::plan::Plan;
use crate::index::view::Shared;
use crate::query::Query;
use crate::time::Timestamp;

/// The keys of all entries that a query holds for and that aren't forgotten yet. A damaged segment is set aside, and can't be looked into.
pub fn keys(shared: &Shared, query: &Query) -> Vec<IdentityKey> {
    let (first, last) = bounds(query);
    let question = Question { query, plan: Plan::new(query), now: Timestamp::now() };
    let mut keys = Vec::new();
    let view = shared.look();
    for live in view.frozen.iter().map(|frozen| &frozen.live).chain([&view.active]) {
        let entries: Vec<_> = live.read().entries().iter().map(|entry| entry.held.entry.clone()).collect();
        let holds = entries.iter().filter(|entry| query.matches(entry, question.now));
        keys.extend(holds.map(|entry| IdentityKey::of(&entry.identity())));
    }
    for segment in &view.segments {
        if segment.manifest.times.1 < first || segment.manifest.times.0 > last {
            continue;
        }
        let look = || {
            let narrowed = question.narrow(segment)?;
            if narrowed.as_ref().is_some_and(Vec::is_empty) {
                return Ok(Vec::new());
            }
            let columns = segment.columns(&shared.caches)?;
            let within = |number: usize| (first..=last).contains(&columns.time(number).as_nanos());
            let mut candidates: Vec<(u32, Verdict)> = Vec::new();
            question.candidates(&columns, narrowed, within, |number, verdict| candidates.push((number, verdict)));
            let mut found = Vec::new();
            for (number, verdict) in candidates {
                let held = segment.get(&shared.caches, number)?;
                if verdict == Verdict::Yes || query.matches(&held.entry, question.now) {
                    found.push(IdentityKey::of(&held.entry.identity()));
                }
            }
            Ok(found)
        };
        keys.extend(shared.ask(segment, look).unwrap_or_default());
    }
    let forgotten = shared.forgotten.read();
    keys.retain(|key| !forgotten.contains(key));
    keys
}
