//! Knots: typed terms by which entries hang together, and whether an entry *is* that thing or *refers* to it.
//!
//! | Knot | on a record | on a span | on a log |
//! |---|---|---|---|
//! | trace | is: its trace; refers: the starting trace in its body | is: its trace; refers: the traces of its links | is: its trace |
//! | span | refers: its creation context | is: itself; refers: its parent, its links | refers: its span |
//! | position | is: its own; refers: the origin of a retry copy or dead letter | refers: destination and place | – |
//! | event | is: its event id | refers: the event ids it names | refers: its event id |
//! | cause | refers: causation, correlation, saga ids | refers: the conversation id | – |
//!
//! A position knot names no source and no incarnation, because a span knows neither: whoever joins by it checks both.

use std::collections::HashSet;
use std::fmt;

use crate::entry::Entry;
use crate::id::{SpanId, TraceId};
use crate::position::{Channel, Place};

/// A thing that entries are or refer to.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Knot {
    /// A trace.
    Trace(TraceId),
    /// A span of a trace.
    Span(TraceId, SpanId),
    /// A place in a channel, of whichever source and incarnation.
    Position(Channel, Place),
    /// An event id.
    Event(String),
    /// A causation, correlation, conversation or saga id.
    Cause(String),
}

/// How an entry is tied to a knot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Tie {
    /// It is that thing.
    Is,
    /// It names that thing.
    Refers,
}

/// How many knots one entry may have: a batch span with more links than this is tied by the first ones only.
/// 500 links are usual for Kafka's default `max.poll.records`; the limit leaves room and bounds the index.
pub const KNOTS_MAX: usize = 2_048;

/// The longest event or cause id that makes a knot, in bytes; a longer one is no id but a payload.
pub const ID_BYTES_MAX: usize = 512;

impl Entry {
    /// Everything that this entry is or refers to, without repetition, at most [`KNOTS_MAX`].
    pub fn knots(&self) -> Vec<(Tie, Knot)> {
        let mut knots = Knots::default();
        match self {
            Entry::Record(record) => {
                let position = &record.position;
                knots.add(Tie::Is, Knot::Position(position.channel.clone(), position.place.clone()));
                if let Some(trace) = &record.event.trace {
                    knots.add(Tie::Is, Knot::Trace(trace.trace_id));
                    if let Some(span_id) = trace.span_id {
                        knots.add(Tie::Refers, Knot::Span(trace.trace_id, span_id));
                    }
                }
                if let Some(origin) = record.event.origin_trace {
                    knots.add(Tie::Refers, Knot::Trace(origin));
                }
                knots.add_id(Tie::Is, Knot::Event, record.event.id.as_deref());
                for cause in &record.event.causes {
                    knots.add_id(Tie::Refers, Knot::Cause, Some(&cause.id));
                }
                if let Some(origin) = record.failure.as_ref().and_then(|failure| failure.origin.as_ref())
                    && let (Some(channel), Some(partition), Some(offset)) =
                        (&origin.channel, origin.partition, origin.offset)
                {
                    let place = Place::Offset { partition, offset };
                    knots.add(Tie::Refers, Knot::Position(channel.as_str().into(), place));
                }
            }
            Entry::Span(span) => {
                knots.add(Tie::Is, Knot::Trace(span.trace_id));
                knots.add(Tie::Is, Knot::Span(span.trace_id, span.span_id));
                if let Some(parent) = span.parent_span_id {
                    knots.add(Tie::Refers, Knot::Span(span.trace_id, parent));
                }
                if let Some(messaging) = &span.messaging {
                    if let (Some(destination), Some(place)) = (&messaging.destination, &messaging.place) {
                        knots.add(Tie::Refers, Knot::Position(destination.as_str().into(), place.clone()));
                    }
                    for id in &messaging.event_ids {
                        knots.add_id(Tie::Refers, Knot::Event, Some(id));
                    }
                    knots.add_id(Tie::Refers, Knot::Cause, messaging.conversation_id.as_deref());
                }
                for link in &span.links {
                    knots.add(Tie::Refers, Knot::Span(link.trace_id, link.span_id));
                    knots.add(Tie::Refers, Knot::Trace(link.trace_id));
                }
            }
            Entry::Log(log) => {
                if let Some(trace_id) = log.trace_id {
                    knots.add(Tie::Is, Knot::Trace(trace_id));
                    if let Some(span_id) = log.span_id {
                        knots.add(Tie::Refers, Knot::Span(trace_id, span_id));
                    }
                }
                knots.add_id(Tie::Refers, Knot::Event, log.event_id.as_deref());
            }
        }
        knots.found
    }
}

#[derive(Default)]
struct Knots {
    found: Vec<(Tie, Knot)>,
    /// The same, once there are many.
    seen: HashSet<(Tie, Knot)>,
}

/// Up to so many knots are compared one by one, which costs less than a set of them; most entries have four.
const COMPARED_MAX: usize = 16;

impl Knots {
    fn add(&mut self, tie: Tie, knot: Knot) {
        if self.found.len() >= KNOTS_MAX {
            return;
        }
        let knot = (tie, knot);
        if self.found.len() < COMPARED_MAX {
            if !self.found.contains(&knot) {
                self.found.push(knot);
            }
            return;
        }
        if self.seen.is_empty() {
            self.seen.extend(self.found.iter().cloned());
        }
        if self.seen.insert(knot.clone()) {
            self.found.push(knot);
        }
    }

    fn add_id(&mut self, tie: Tie, knot: fn(String) -> Knot, id: Option<&str>) {
        if let Some(id) = id
            && !id.is_empty()
            && id.len() <= ID_BYTES_MAX
        {
            self.add(tie, knot(id.to_owned()));
        }
    }
}

impl fmt::Display for Knot {
    /// As people read it: `position order.placed 3@48213`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Knot::Trace(id) => write!(f, "trace {id}"),
            Knot::Span(_, id) => write!(f, "span {id}"),
            Knot::Position(channel, place) => write!(f, "position {channel} {place}"),
            Knot::Event(id) => write!(f, "event id {id}"),
            Knot::Cause(id) => write!(f, "cause {id}"),
        }
    }
}
