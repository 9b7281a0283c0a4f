//! Entries that a query holds for, by their own time (newest first) or by arrival (oldest first).
//!
//! Both go the same way: each live set and segment names its candidates in order, by what its columns say; the best are looked at until
//! the answer is full and nothing that was not looked at can be better.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::{Budget, bounds};
use crate::engine::{Cursor, Found, Held, PAGE_MAX, PageRequest, Sequence};
use crate::index::columns::{Columns, Predicate, Verdict};
use crate::index::plan::Plan;
use crate::index::segment::{Damage, Segment};
use crate::index::view::Shared;
use crate::query::Query;
use crate::time::Timestamp;

/// With so few entries left by a segment's terms, reading them costs less than its columns, which are unpacked whole.
const FEW: usize = 64;

/// Entries that a query holds for, newest first, a page at a time.
pub fn search(shared: &Shared, query: &Query, page: &PageRequest) -> Found {
    let limit = page.limit.min(PAGE_MAX);
    let (first, mut last) = bounds(query);
    if let Some(after) = &page.after {
        last = last.min(after.time.as_nanos());
    }
    let mut page_of = Page { best: BTreeMap::new(), size: limit + 1, after: page.after.clone() };
    let mut budget = Budget::new();
    let question = Question { query, plan: Plan::new(query), now: Timestamp::now() };
    let view = shared.look();
    for live in [&view.active].into_iter().chain(view.frozen.iter().rev().map(|frozen| &frozen.live)) {
        let mut candidates: BinaryHeap<(i64, usize, Verdict)> = BinaryHeap::new();
        let mut entries: Vec<Option<Held>> = Vec::new();
        {
            let live = live.read();
            let predicate = Predicate::new(query, &live.columns, question.now);
            for number in live.candidates(query) {
                let number = number as usize;
                let time = live.columns.time(number).as_nanos();
                if time < first || time > last {
                    continue;
                }
                let verdict = predicate.of(&live.columns, number);
                if verdict != Verdict::No {
                    candidates.push((time, entries.len(), verdict));
                    entries.push(Some(live.entries()[number].held.clone()));
                }
            }
        }
        while let Some((time, place, verdict)) = candidates.pop() {
            if page_of.is_full_before(time) || !budget.allows() {
                break;
            }
            let Some(held) = entries[place].take() else { continue };
            if verdict == Verdict::Yes || query.matches(&held.entry, question.now) {
                page_of.add(shared, held);
            }
        }
    }
    let mut segments: Vec<_> = view.segments.iter().collect();
    segments.sort_by_key(|segment| Reverse(segment.manifest.times.1));
    for segment in segments {
        let times = segment.manifest.times;
        if budget.is_spent || page_of.is_full_before(times.1) {
            break;
        }
        if times.1 < first || times.0 > last {
            continue;
        }
        let look = || {
            let narrowed = question.narrow(segment)?;
            if let Some(few) = narrowed.as_ref().filter(|numbers| numbers.len() <= FEW) {
                for number in few {
                    if !budget.allows() {
                        break;
                    }
                    let held = segment.get(&shared.caches, *number)?;
                    let is_within = (first..=last).contains(&held.entry.time().as_nanos());
                    if is_within && query.matches(&held.entry, question.now) {
                        page_of.add(shared, held);
                    }
                }
                return Ok(());
            }
            let columns = segment.columns(&shared.caches)?;
            let within = |number: usize| (first..=last).contains(&columns.time(number).as_nanos());
            let mut candidates: BinaryHeap<(i64, Reverse<u32>, Verdict)> = BinaryHeap::new();
            question.candidates(&columns, narrowed, within, |number, verdict| {
                candidates.push((columns.time(number as usize).as_nanos(), Reverse(number), verdict));
            });
            while let Some((time, Reverse(number), verdict)) = candidates.pop() {
                if page_of.is_full_before(time) || !budget.allows() {
                    break;
                }
                let held = segment.get(&shared.caches, number)?;
                if verdict == Verdict::Yes || query.matches(&held.entry, question.now) {
                    page_of.add(shared, held);
                }
            }
            Ok(())
        };
        if let Err(damage) = shared.ask(segment, look) {
            budget.leave_out(&damage);
        }
    }
    page_of.finish(limit, &budget)
}

/// Entries that a query holds for and that were kept after `sequence`, in that order.
pub fn since(shared: &Shared, sequence: Sequence, query: &Query, limit: usize) -> Found {
    let limit = limit.min(PAGE_MAX);
    let mut first: BTreeMap<u64, Held> = BTreeMap::new();
    let question = Question { query, plan: Plan::new(query), now: Timestamp::now() };
    let mut budget = Budget::new();
    let view = shared.look();
    let mut segments: Vec<_> =
        view.segments.iter().filter(|segment| segment.manifest.sequences.1 > sequence.0).collect();
    segments.sort_by_key(|segment| segment.manifest.sequences.0);
    let is_full = |first: &BTreeMap<u64, Held>, before: u64| {
        first.len() >= limit && first.last_key_value().is_none_or(|(last, _)| *last < before)
    };
    for segment in segments {
        if budget.is_spent || is_full(&first, segment.manifest.sequences.0) {
            break;
        }
        let look = || {
            let narrowed = question.narrow(segment)?;
            if narrowed.as_ref().is_some_and(Vec::is_empty) {
                return Ok(());
            }
            let columns = segment.columns(&shared.caches)?;
            let mut candidates: BinaryHeap<Reverse<(u64, u32, Verdict)>> = BinaryHeap::new();
            question.candidates(
                &columns,
                narrowed,
                |number| columns.sequence(number) > sequence.0,
                |number, verdict| {
                    candidates.push(Reverse((columns.sequence(number as usize), number, verdict)));
                },
            );
            while let Some(Reverse((arrived, number, verdict))) = candidates.pop() {
                if is_full(&first, arrived) || !budget.allows() {
                    break;
                }
                let held = segment.get(&shared.caches, number)?;
                if (verdict == Verdict::Yes || query.matches(&held.entry, question.now))
                    && let Some(held) = shared.show(held)
                {
                    first.insert(arrived, held);
                }
            }
            Ok(())
        };
        if let Err(damage) = shared.ask(segment, look) {
            budget.leave_out(&damage);
        }
    }
    for live in view.frozen.iter().map(|frozen| &frozen.live).chain([&view.active]) {
        let later: Vec<Held> = {
            let live = live.read();
            let begin = live.entries().partition_point(|entry| entry.held.sequence <= sequence);
            live.entries()[begin..].iter().map(|entry| entry.held.clone()).collect()
        };
        for held in later {
            let arrived = held.sequence.0;
            if is_full(&first, arrived) || !budget.allows() {
                break;
            }
            if query.matches(&held.entry, question.now)
                && let Some(held) = shared.show(held)
            {
                first.insert(arrived, held);
            }
        }
    }
    Found { entries: first.into_values().take(limit).collect(), next: None, cut: budget.cut() }
}

/// A query made ready to be asked of many segments.
pub struct Question<'a> {
    /// The query.
    pub query: &'a Query,
    /// How it narrows.
    pub plan: Plan,
    /// What ages are counted from.
    pub now: Timestamp,
}

impl Question<'_> {
    /// The entries of a segment that may match, as far as its terms tell; `None` for all of them.
    pub fn narrow(&self, segment: &Segment) -> Result<Option<Vec<u32>>, Damage> {
        let bundles = match &self.plan {
            Plan::Every => None,
            plan => plan.bundles(segment)?,
        };
        bundles.map(|bundles| segment.entries(&bundles)).transpose()
    }

    /// The entries that may match, as far as columns tell, among those that are left by [`Question::narrow`].
    pub fn candidates(
        &self,
        columns: &Columns,
        narrowed: Option<Vec<u32>>,
        within: impl Fn(usize) -> bool,
        mut each: impl FnMut(u32, Verdict),
    ) {
        let predicate = Predicate::new(self.query, columns, self.now);
        let mut consider = |number: u32| {
            if within(number as usize) {
                let verdict = predicate.of(columns, number as usize);
                if verdict != Verdict::No {
                    each(number, verdict);
                }
            }
        };
        match narrowed {
            None => (0..columns.len() as u32).for_each(&mut consider),
            Some(numbers) => numbers.into_iter().for_each(&mut consider),
        }
    }
}

/// The newest entries so far: a page, and one more that tells whether there is a next one.
struct Page {
    best: BTreeMap<Cursor, Held>,
    size: usize,
    after: Option<Cursor>,
}

impl Page {
    /// Whether nothing of this time or before can be on the page any more.
    fn is_full_before(&self, nanos: i64) -> bool {
        let worst = self.best.first_key_value();
        self.best.len() >= self.size && worst.is_some_and(|(worst, _)| nanos < worst.time.as_nanos())
    }

    fn add(&mut self, shared: &Shared, held: Held) {
        let Some(held) = shared.show(held) else { return };
        let cursor = Cursor { time: held.entry.time(), identity: held.entry.identity() };
        if self.after.as_ref().is_some_and(|after| cursor >= *after) {
            return;
        }
        self.best.insert(cursor, held);
        if self.best.len() > self.size {
            self.best.pop_first();
        }
    }

    fn finish(self, limit: usize, budget: &Budget) -> Found {
        let more = self.best.len() > limit;
        let mut shown: Vec<(Cursor, Held)> = self.best.into_iter().rev().take(limit).collect();
        let next = if more { shown.last().map(|(cursor, _)| cursor.clone()) } else { None };
        Found { entries: shown.drain(..).map(|(_, held)| held).collect(), next, cut: budget.cut() }
    }
}
