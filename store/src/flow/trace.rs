//! Which entries of a trace belong to a flow: the guard against batches.
//!
//! A batch-receive span links to 500 messages, and its children publish under the batch's own trace. Followed naively, 500 orders
//! become one. So below a span with causes that are not ours only what is tied to *our* cause (by link, position, event id or key)
//! is taken; a span that names only other messages is left out with all below it.

use std::collections::{HashMap, HashSet};

use super::Neighbours;
use super::ours::{Ours, Relation};
use crate::engine::Held;
use crate::entry::Entry;
use crate::id::{SpanId, TraceId};
use crate::span::Span;

/// The deepest nesting of spans that is followed; deeper ones (or a cycle, which a hostile sender can make) count as roots.
const DEPTH_MAX: usize = 512;

/// A trace that the walk has reached.
pub(super) struct Trace {
    /// Its entries, as far as the store gave them.
    pub entries: Vec<Held>,
    /// True where the question itself named the trace: everything in it belongs to the answer.
    pub asked: bool,
    /// Spans by which it was reached, as an effect or as a cause of what we have.
    pub entered: HashSet<SpanId>,
    /// Of these, the ones that are causes: their own causes are ours too.
    pub causes: HashSet<SpanId>,
    /// True where it was reached by a record or log without a span, or through no batch: it belongs to the flow as a whole.
    pub whole: bool,
    spans: HashMap<SpanId, usize>,
}

/// What a span of a trace is to the flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    /// Above or beside everything tied: ours if the trace is ours as a whole.
    Free,
    /// Tied to our cause, or below something that is.
    Tied,
    /// A batch with a message of ours, or above one: shown, but gives what is below it no tie.
    Context,
    /// Below a batch, tied to nothing.
    Governed,
    /// About other messages.
    Excluded,
}

impl Trace {
    /// A trace with these entries.
    pub fn new(entries: Vec<Held>, asked: bool) -> Trace {
        let mut spans = HashMap::new();
        for (index, held) in entries.iter().enumerate() {
            if let Entry::Span(span) = &*held.entry {
                spans.entry(span.span_id).or_insert(index);
            }
        }
        Trace { entries, asked, entered: HashSet::new(), causes: HashSet::new(), whole: asked, spans }
    }

    /// The span of that id.
    pub fn span(&self, span_id: SpanId) -> Option<&Span> {
        self.entries[*self.spans.get(&span_id)?].entry.as_span()
    }

    /// The span and those above it, itself first.
    pub fn lineage(&self, span_id: SpanId) -> Vec<&Span> {
        let mut lineage = Vec::new();
        let mut next = self.span(span_id);
        while let Some(span) = next
            && lineage.len() < DEPTH_MAX
        {
            lineage.push(span);
            next = span.parent_span_id.and_then(|parent| self.span(parent));
        }
        lineage
    }

    /// Notes that the trace was reached by a span (as a cause of what we have, or as its effect), or by something without one.
    /// Returns whether that was new.
    pub fn enter(&mut self, span_id: Option<SpanId>, as_cause: bool, ours: &Ours) -> bool {
        let before = (self.entered.len(), self.causes.len(), self.whole);
        match span_id.filter(|span_id| self.spans.contains_key(span_id)) {
            None => self.whole = true,
            Some(span_id) => {
                let through_batch = self.lineage(span_id).into_iter().any(|span| {
                    ours.divided(span) || (span.span_id != span_id && ours.relation(span) == Relation::Foreign)
                });
                self.whole |= !through_batch;
                self.entered.insert(span_id);
                if as_cause {
                    self.causes.insert(span_id);
                }
            }
        }
        before != (self.entered.len(), self.causes.len(), self.whole)
    }

    /// Which entries belong to the flow, by index, as far as is known now; and whether what refers to them is ours too,
    /// or they are only shown because something below them is.
    pub fn admitted(&self, ours: &Ours) -> Vec<(usize, bool)> {
        if self.asked {
            return (0..self.entries.len()).map(|index| (index, true)).collect();
        }
        let standings = self.standings(ours);
        let context = self.context(&standings);
        let belongs = |span_id: SpanId| match standings.get(&span_id) {
            Some(Standing::Tied) => true,
            Some(Standing::Free) => self.whole || context.contains(&span_id),
            Some(Standing::Context) => true,
            Some(Standing::Governed | Standing::Excluded) => context.contains(&span_id),
            None => self.whole,
        };
        let governed = |span_id: SpanId| {
            matches!(standings.get(&span_id), Some(Standing::Context | Standing::Governed | Standing::Excluded))
        };
        let admitted = |held: &Held| match &*held.entry {
            Entry::Span(span) => belongs(span.span_id),
            Entry::Record(record) => match record.event.trace.as_ref().and_then(|trace| trace.span_id) {
                Some(span_id) if governed(span_id) => ours.claims(record),
                Some(span_id) => belongs(span_id) || ours.claims(record),
                None => self.whole || ours.claims(record),
            },
            Entry::Log(log) => match (&log.event_id, log.span_id) {
                (Some(event_id), _) if ours.events.contains(event_id) => true,
                (_, Some(span_id)) => belongs(span_id) && !governed(span_id),
                (_, None) => self.whole,
            },
        };
        let tied = |held: &Held| match &*held.entry {
            Entry::Span(span) => match standings.get(&span.span_id) {
                Some(Standing::Tied) => true,
                Some(Standing::Free) => self.whole,
                Some(Standing::Context | Standing::Governed | Standing::Excluded) | None => false,
            },
            Entry::Record(_) | Entry::Log(_) => true,
        };
        (0..self.entries.len())
            .filter(|index| admitted(&self.entries[*index]))
            .map(|index| (index, tied(&self.entries[index])))
            .collect()
    }

    /// The batches of this trace that share a message with the flow, and how many others each has.
    pub fn neighbours(&self, ours: &Ours) -> Vec<Neighbours> {
        let mut neighbours = Vec::new();
        for held in &self.entries {
            if let Entry::Span(span) = &*held.entry
                && let Relation::Mixed { others } = ours.relation(span)
                && others > 0
            {
                neighbours.push(Neighbours { shared: format!("{}: {}", span.service(), span.name), others });
            }
        }
        neighbours
    }

    fn standings(&self, ours: &Ours) -> HashMap<SpanId, Standing> {
        let tied_by_entry = self.tied_by_entry(ours);
        let mut standings: HashMap<SpanId, Standing> = HashMap::new();
        for span_id in self.spans.keys() {
            let mut path = Vec::new();
            let mut above = None;
            for span in self.lineage(*span_id) {
                if let Some(known) = standings.get(&span.span_id) {
                    above = Some(*known);
                    break;
                }
                path.push(span);
            }
            let mut standing = above.unwrap_or(Standing::Free);
            for span in path.into_iter().rev() {
                standing = below(standing, span, tied_by_entry.contains(&span.span_id), ours);
                standings.insert(span.span_id, standing);
            }
        }
        standings
    }

    /// The spans by which the trace was reached, and those above them up to the first batch.
    fn tied_by_entry(&self, ours: &Ours) -> HashSet<SpanId> {
        let mut tied = HashSet::new();
        for entered in &self.entered {
            for span in self.lineage(*entered) {
                let foreign = ours.relation(span) == Relation::Foreign && !self.causes.contains(entered);
                if foreign || ours.divided(span) {
                    break;
                }
                tied.insert(span.span_id);
            }
        }
        tied
    }

    /// Everything above what is tied: shown, so that a span is never without its parents.
    fn context(&self, standings: &HashMap<SpanId, Standing>) -> HashSet<SpanId> {
        let mut context = HashSet::new();
        for (span_id, standing) in standings {
            if *standing == Standing::Tied {
                for span in self.lineage(*span_id).into_iter().skip(1) {
                    if !context.insert(span.span_id) {
                        break;
                    }
                }
            }
        }
        context
    }
}

/// What a span is to the flow, given what its parent is.
fn below(parent: Standing, span: &Span, tied_by_entry: bool, ours: &Ours) -> Standing {
    match ours.relation(span) {
        Relation::Mixed { .. } => return Standing::Context,
        Relation::Ours => return Standing::Tied,
        _ if tied_by_entry => return Standing::Tied,
        Relation::Foreign => return Standing::Excluded,
        Relation::Silent => {}
    }
    let ours_by_record = || {
        let key = span.messaging.as_ref().and_then(|messaging| messaging.key.as_ref());
        key.is_some_and(|key| ours.keys.contains(key)) || ours.contexts.contains(&(span.trace_id, span.span_id))
    };
    match parent {
        Standing::Free => Standing::Free,
        Standing::Tied => Standing::Tied,
        Standing::Context | Standing::Governed if ours_by_record() => Standing::Tied,
        Standing::Context | Standing::Governed => Standing::Governed,
        Standing::Excluded => Standing::Excluded,
    }
}

/// Which trace and span an entry belongs to, where it does.
pub(super) fn membership(entry: &Entry) -> Option<(TraceId, Option<SpanId>)> {
    match entry {
        Entry::Record(record) => record.event.trace.as_ref().map(|trace| (trace.trace_id, trace.span_id)),
        Entry::Span(span) => Some((span.trace_id, Some(span.span_id))),
        Entry::Log(log) => Some((log.trace_id?, log.span_id)),
    }
}
