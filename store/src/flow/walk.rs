//! From one entry to all that hang together with it.
//!
//! Effects are followed forward (record to consumers) and causes backward, never from an effect to another of its causes.
//! The walk is bounded; a cut is said, not hidden.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::ours::Ours;
use super::trace::{Trace, membership};
use super::{Joined, JoinedBy, Neighbours, Start};
use crate::engine::{Held, Sequence, Store, StoreError};
use crate::entry::Entry;
use crate::id::{SpanId, TraceId};
use crate::knot::{Knot, Tie};

mod causes; // backward
mod effects; // forward

/// The most entries of one flow: what a page can still show, and a bound on memory. Beyond it the flow is cut, and says so.
pub const ENTRIES_MAX: usize = 5_000;

/// The most steps of a walk: a saga of 32 hops is beyond what people build, a cycle ends here.
const STEPS_MAX: usize = 32;

/// The most knots that one question to the store may name.
const KNOTS_PER_QUESTION: usize = 1_000;

/// An event id or cause shared by more entries than this identifies nothing (a constant, a tenant), and doesn't join.
const SHARED_MAX: usize = 200;

/// A span with more links than this is a batch whose causes aren't followed one by one, unless a key ties one to the flow.
const CAUSES_FOLLOWED_MAX: usize = 8;

/// The most links followed backward in one flow: a trace that works through a day's messages one by one has thousands.
const CAUSE_TRACES_MAX: usize = 64;

/// An id shorter than this (`17`, `ord-1`) is likely to be used by others too: it joins only within one event type.
const WEAK_ID_BYTES: usize = 8;

/// What a walk brought together.
pub(super) struct Gathered {
    pub entries: Vec<Joined>,
    pub neighbours: Vec<Neighbours>,
    pub cut: Option<String>,
}

/// Everything that hangs together with `start`; `None` when nothing is known of it.
pub(super) async fn gather(store: &dyn Store, start: Start) -> Result<Option<Gathered>, StoreError> {
    let mut walk = Walk::new(store);
    walk.begin(start).await?;
    if walk.joined.is_empty() {
        return Ok(None);
    }
    for _ in 0..STEPS_MAX {
        if walk.fresh.is_empty() {
            return Ok(Some(walk.finish()));
        }
        walk.step().await?;
    }
    walk.cut.get_or_insert_with(|| format!("the flow goes on after {STEPS_MAX} steps; only these are shown"));
    Ok(Some(walk.finish()))
}

struct Walk<'a> {
    store: &'a dyn Store,
    joined: BTreeMap<Sequence, Joined>,
    /// Joined since the last step, and not asked about yet.
    fresh: Vec<Sequence>,
    traces: HashMap<TraceId, Trace>,
    /// Shown because something below them is ours; not followed from.
    context: HashSet<Sequence>,
    /// Joined and followed from, or about to be.
    followed: HashSet<Sequence>,
    /// Asked forward already.
    asked: HashSet<(Tie, Knot)>,
    /// What ties a span that its trace has yet to let in.
    ties: HashMap<Sequence, Knot>,
    ours: Ours,
    /// Entries whose causes are followed: what the question named, and what caused that.
    causes: HashSet<Sequence>,
    /// How many links were followed backward.
    cause_traces: usize,
    neighbours: Vec<Neighbours>,
    cut: Option<String>,
}

impl<'a> Walk<'a> {
    fn new(store: &'a dyn Store) -> Walk<'a> {
        Walk {
            store,
            joined: BTreeMap::new(),
            fresh: Vec::new(),
            traces: HashMap::new(),
            context: HashSet::new(),
            followed: HashSet::new(),
            asked: HashSet::new(),
            ties: HashMap::new(),
            ours: Ours::default(),
            causes: HashSet::new(),
            cause_traces: 0,
            neighbours: Vec::new(),
            cut: None,
        }
    }

    /// Finds what the question names.
    async fn begin(&mut self, start: Start) -> Result<(), StoreError> {
        match start {
            Start::Trace(trace_id) => {
                self.load(trace_id, true).await?;
                self.admit();
                let named: Vec<Sequence> = self.joined.keys().copied().collect();
                self.causes.extend(named);
                if self.joined.is_empty() {
                    // Nothing is in that trace; perhaps a record's body names it as where it all started.
                    for held in self.ask(vec![(Tie::Refers, Knot::Trace(trace_id))], SHARED_MAX).await? {
                        if matches!(&*held.entry, Entry::Record(_)) {
                            self.join_as_start(held).await?;
                        }
                    }
                }
            }
            Start::Event(event_id) => {
                let mut named = self.ask(vec![(Tie::Is, Knot::Event(event_id.clone()))], SHARED_MAX).await?;
                if named.is_empty() {
                    named = self.ask(vec![(Tie::Refers, Knot::Event(event_id))], SHARED_MAX).await?;
                    named.truncate(1);
                } else {
                    keep_one_kind_of_event(&mut named);
                }
                for held in named {
                    self.join_as_start(held).await?;
                }
            }
            Start::Record { source, channel, place } => {
                let knot = Knot::Position(channel, place);
                let mut named = self.ask(vec![(Tie::Is, knot)], SHARED_MAX).await?;
                named.retain(|held| held.entry.as_record().is_some_and(|record| record.position.source == source));
                let latest = named
                    .into_iter()
                    .max_by_key(|held| held.entry.as_record().map(|record| record.position.incarnation));
                if let Some(held) = latest {
                    self.join_as_start(held).await?;
                }
            }
        }
        Ok(())
    }

    async fn join_as_start(&mut self, held: Held) -> Result<(), StoreError> {
        let sequence = held.sequence;
        let entry = held.entry.clone();
        self.causes.insert(sequence);
        self.join(held, JoinedBy::Asked);
        self.reach(&entry, true).await
    }

    /// Asks about everything that joined since the last step, and takes in what belongs.
    async fn step(&mut self) -> Result<(), StoreError> {
        let fresh = std::mem::take(&mut self.fresh);
        let entries: Vec<(Sequence, Held)> =
            fresh.iter().filter_map(|sequence| Some((*sequence, self.joined.get(sequence)?.held.clone()))).collect();
        for (sequence, held) in &entries {
            if self.causes.contains(sequence) {
                self.follow_causes(held).await?;
            }
            if let Entry::Record(record) = &*held.entry {
                self.follow_origin(record).await?;
                self.follow_shared_causes(record).await?;
            }
        }
        self.follow_effects(&entries).await?;
        self.admit();
        Ok(())
    }

    /// Goes into the trace of an entry that is tied to us.
    async fn reach(&mut self, entry: &Entry, as_cause: bool) -> Result<(), StoreError> {
        if let Some((trace_id, span_id)) = membership(entry) {
            self.load(trace_id, false).await?;
            self.enter(trace_id, span_id, as_cause);
        }
        Ok(())
    }

    fn enter(&mut self, trace_id: TraceId, span_id: Option<SpanId>, as_cause: bool) {
        if let Some(trace) = self.traces.get_mut(&trace_id)
            && trace.enter(span_id, as_cause, &self.ours)
            && trace.whole
        {
            self.ours.traces.insert(trace_id);
        }
    }

    async fn load(&mut self, trace_id: TraceId, asked: bool) -> Result<(), StoreError> {
        if self.traces.contains_key(&trace_id) {
            return Ok(());
        }
        let entries = self.ask(vec![(Tie::Is, Knot::Trace(trace_id))], ENTRIES_MAX).await?;
        let trace = Trace::new(entries, asked);
        self.learn_foreign_positions(&trace).await?;
        if asked {
            self.ours.traces.insert(trace_id);
        }
        self.traces.insert(trace_id, trace);
        Ok(())
    }

    /// Learns which positions that the trace's spans name hold records of other traces: such spans are about other messages.
    async fn learn_foreign_positions(&mut self, trace: &Trace) -> Result<(), StoreError> {
        let mut knots = Vec::new();
        for span in trace.entries.iter().filter_map(|held| held.entry.as_span()) {
            if let Some(messaging) = &span.messaging
                && let (Some(destination), Some(place)) = (&messaging.destination, &messaging.place)
                && span.links.is_empty()
            {
                knots.push((Tie::Is, Knot::Position(destination.as_str().into(), place.clone())));
            }
        }
        if knots.len() < 2 {
            return Ok(()); // one message is no batch
        }
        for chunk in knots.chunks(KNOTS_PER_QUESTION) {
            for held in self.store.related(chunk, ENTRIES_MAX).await?.entries {
                if let Entry::Record(record) = &*held.entry {
                    let own = trace.entries.first().and_then(|first| first.entry.trace_id());
                    let position = (record.position.channel.clone(), record.position.place.clone());
                    if record.event.trace.as_ref().map(|trace| trace.trace_id) != own {
                        self.ours.foreign_positions.insert(position);
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes in whatever of the reached traces belongs, until nothing more does: what joins can tie further entries.
    fn admit(&mut self) {
        loop {
            let mut new = Vec::new();
            for (trace_id, trace) in &self.traces {
                for (index, tied) in trace.admitted(&self.ours) {
                    let held = &trace.entries[index];
                    if !self.joined.contains_key(&held.sequence) || (tied && self.context.contains(&held.sequence)) {
                        let is_cause = matches!(membership(&held.entry), Some((_, Some(span_id)))
                            if self.is_above_a_cause(trace, span_id));
                        let knot = self.ties.get(&held.sequence).cloned().unwrap_or(Knot::Trace(*trace_id));
                        new.push((held.clone(), knot, tied, is_cause));
                    }
                }
            }
            if new.is_empty() {
                return;
            }
            new.sort_by_key(|(held, ..)| held.sequence);
            for (held, knot, tied, is_cause) in new {
                if is_cause {
                    self.causes.insert(held.sequence);
                }
                let sequence = held.sequence;
                let joined = if tied || is_cause {
                    self.context.remove(&sequence);
                    self.join(held, JoinedBy::Knot(knot))
                } else {
                    self.context.insert(sequence);
                    self.show(held, JoinedBy::Knot(knot))
                };
                if !joined {
                    return;
                }
            }
        }
    }

    /// Whether a span lies on the way from the trace's root to a span that caused what was asked for.
    fn is_above_a_cause(&self, trace: &Trace, span_id: SpanId) -> bool {
        trace.causes.iter().any(|cause| trace.lineage(*cause).iter().any(|span| span.span_id == span_id))
    }

    /// Takes an entry in, to be followed from; false when the flow is full.
    fn join(&mut self, held: Held, by: JoinedBy) -> bool {
        match &*held.entry {
            Entry::Record(record) => self.ours.add_record(record),
            Entry::Span(span) if !self.ours.divided(span) => {
                self.ours.spans.insert((span.trace_id, span.span_id));
            }
            // What links to a batch isn't ours by that.
            Entry::Span(_) | Entry::Log(_) => {}
        }
        let sequence = held.sequence;
        let joined = self.show(held, by);
        if joined && self.followed.insert(sequence) {
            self.fresh.push(sequence);
        }
        joined
    }

    /// Takes an entry in without following from it; false when the flow is full.
    fn show(&mut self, held: Held, by: JoinedBy) -> bool {
        if self.joined.len() >= ENTRIES_MAX && !self.joined.contains_key(&held.sequence) {
            self.cut = Some(format!("the flow has more than {ENTRIES_MAX} entries; the rest is not shown"));
            self.fresh.clear();
            return false;
        }
        self.joined.entry(held.sequence).or_insert(Joined { held, by });
        true
    }

    /// One question to the store.
    async fn ask(&mut self, knots: Vec<(Tie, Knot)>, limit: usize) -> Result<Vec<Held>, StoreError> {
        let found = self.store.related(&knots, limit).await?;
        if limit == ENTRIES_MAX && found.cut.is_some() {
            self.cut = found.cut;
        }
        Ok(found.entries)
    }

    fn finish(mut self) -> Gathered {
        for trace in self.traces.values() {
            if !trace.asked {
                self.neighbours.extend(trace.neighbours(&self.ours));
            }
        }
        self.neighbours.sort_by(|a, b| a.shared.cmp(&b.shared));
        Gathered { entries: self.joined.into_values().collect(), neighbours: self.neighbours, cut: self.cut }
    }
}

/// Of entries that share an event id, those that speak of the same event as the earliest: a weak id is used by several types.
fn keep_one_kind_of_event(named: &mut Vec<Held>) {
    named.sort_by_key(|held| held.entry.time());
    let Some(Entry::Record(first)) = named.first().map(|held| held.entry.clone()).as_deref().cloned() else {
        return;
    };
    named.retain(|held| {
        held.entry.as_record().is_none_or(|record| {
            record.failure.is_some() || first.failure.is_some() || record.event.event_type == first.event.event_type
        })
    });
}
