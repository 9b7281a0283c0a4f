//! What is known to belong to a flow while it is being gathered, and how a span relates to it.

use std::collections::HashSet;

use crate::id::{SpanId, TraceId};
use crate::position::{Channel, Place};
use crate::record::Record;
use crate::span::{Operation, Span};

/// What is known to belong to the flow so far.
#[derive(Default)]
pub(super) struct Ours {
    /// Traces that belong to it as a whole.
    pub traces: HashSet<TraceId>,
    /// Spans that belong to it, held or not: a record's creation context counts even if its span was never sent.
    pub spans: HashSet<(TraceId, SpanId)>,
    /// The spans that its records name as what published them.
    pub contexts: HashSet<(TraceId, SpanId)>,
    /// Where its records are.
    pub positions: HashSet<(Channel, Place)>,
    /// Where records are that we hold and that do not belong to it.
    pub foreign_positions: HashSet<(Channel, Place)>,
    /// Its event ids.
    pub events: HashSet<String>,
    /// The keys of its records.
    pub keys: HashSet<String>,
}

/// How a span relates to the flow, by the messages it says it was caused by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Relation {
    /// It names no message.
    Silent,
    /// All messages it names are ours.
    Ours,
    /// It names messages, and none of them is ours.
    Foreign,
    /// It is a batch: some of its messages are ours, others are not or aren't told.
    Mixed {
        /// How many of its messages are not known to be ours.
        others: usize,
    },
}

impl Ours {
    /// Takes a record in.
    pub fn add_record(&mut self, record: &Record) {
        let position = &record.position;
        self.positions.insert((position.channel.clone(), position.place.clone()));
        if let Some(trace) = &record.event.trace
            && let Some(span_id) = trace.span_id
        {
            self.spans.insert((trace.trace_id, span_id));
            self.contexts.insert((trace.trace_id, span_id));
        }
        self.events.extend(record.event.id.clone());
        self.keys.extend(record.key_text().filter(|key| !key.is_empty()).map(str::to_owned));
    }

    /// Whether a span, named by a link or a record's header, is ours.
    pub fn has_span(&self, trace_id: TraceId, span_id: SpanId) -> bool {
        self.spans.contains(&(trace_id, span_id)) || self.traces.contains(&trace_id)
    }

    /// Whether a record was caused by an event of ours or carries a key of ours.
    pub fn claims(&self, record: &Record) -> bool {
        record.key_text().is_some_and(|key| self.keys.contains(key))
            || record.event.causes.iter().any(|cause| self.events.contains(&cause.id))
            || record.event.id.as_ref().is_some_and(|id| self.events.contains(id))
    }

    /// Whether a span stands for several messages that are not all ours: what is below it needs a finer tie.
    pub fn divided(&self, span: &Span) -> bool {
        match self.relation(span) {
            Relation::Mixed { .. } => true,
            Relation::Foreign => span.links.len() > 1,
            Relation::Ours | Relation::Silent => false,
        }
    }

    /// How a span relates to the flow.
    ///
    /// Links decide where there are any, then the position, then event ids. A link into the span's own trace is no message
    /// from elsewhere unless that trace is divided.
    pub fn relation(&self, span: &Span) -> Relation {
        let targets: HashSet<(TraceId, SpanId)> = span.links.iter().map(|link| (link.trace_id, link.span_id)).collect();
        let here = span
            .messaging
            .as_ref()
            .and_then(|messaging| Some((Channel::from(messaging.destination.as_deref()?), messaging.place.clone()?)));
        if !targets.is_empty() {
            let linked = targets.iter().filter(|(trace_id, span_id)| self.has_span(*trace_id, *span_id)).count();
            // A position that is ours counts as one link of ours, whatever the link names.
            let ours = linked.max(usize::from(here.as_ref().is_some_and(|here| self.positions.contains(here))));
            return match (ours, targets.len() - ours) {
                (0, _) => Relation::Foreign,
                (_, 0) => Relation::Ours,
                (_, others) => Relation::Mixed { others },
            };
        }
        let Some(messaging) = &span.messaging else {
            return Relation::Silent;
        };
        let many = messaging.batch.filter(|batch| *batch > 1);
        if let Some(batch) = many
            && matches!(messaging.operation, Operation::Receive | Operation::Process)
        {
            return Relation::Mixed { others: batch as usize };
        }
        if let Some(position) = here
            && matches!(messaging.operation, Operation::Receive | Operation::Process | Operation::Unknown)
        {
            if self.positions.contains(&position) {
                return Relation::Ours;
            }
            if self.foreign_positions.contains(&position) {
                return Relation::Foreign;
            }
        }
        if messaging.event_ids.iter().any(|id| self.events.contains(id)) {
            return Relation::Ours;
        }
        Relation::Silent
    }
}
