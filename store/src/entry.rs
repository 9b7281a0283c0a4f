//! Anything that is kept: a record, a span or a log.

mod content; // everything that a sender said, as a hash

use crate::id::TraceId;
use crate::log::Log;
use crate::position::Position;
use crate::record::Record;
use crate::span::{Span, SpanKind};
use crate::time::Timestamp;

/// Anything that is kept.
#[derive(Clone, PartialEq, Debug)]
pub enum Entry {
    /// One message as the broker holds it.
    Record(Record),
    /// A span.
    Span(Span),
    /// A log line.
    Log(Log),
}

/// What an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A record.
    Record,
    /// A span.
    Span,
    /// A log.
    Log,
}

/// What makes two entries the same thing: the same thing sent ten times is kept once.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Identity {
    /// A record is where it is: no two records share a position within one incarnation.
    Record(Position),
    /// A span is its ids, its kind and a hash of its content: the same id with other content is another entry, and both are kept.
    Span([u8; 16], [u8; 8], u8, u64),
    /// A log is a hash of its content and its ordinal among equals in its request.
    Log([u8; 16], u32),
}

impl Kind {
    /// Its name in the JSON API and in queries (`kind:`).
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Record => "record",
            Kind::Span => "span",
            Kind::Log => "log",
        }
    }
}

impl Entry {
    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Entry::Record(_) => Kind::Record,
            Entry::Span(_) => Kind::Span,
            Entry::Log(_) => Kind::Log,
        }
    }

    /// The entry's own time: the broker's or the service's, which a re-send keeps.
    pub fn time(&self) -> Timestamp {
        match self {
            Entry::Record(record) => record.time(),
            Entry::Span(span) => span.started_at,
            Entry::Log(log) => log.timestamp,
        }
    }

    /// When we received it, by our clock.
    pub fn received_at(&self) -> Timestamp {
        match self {
            Entry::Record(record) => record.received_at,
            Entry::Span(span) => span.received_at,
            Entry::Log(log) => log.received_at,
        }
    }

    /// Its trace, where it has one.
    pub fn trace_id(&self) -> Option<TraceId> {
        match self {
            Entry::Record(record) => record.event.trace.as_ref().map(|trace| trace.trace_id),
            Entry::Span(span) => Some(span.trace_id),
            Entry::Log(log) => log.trace_id,
        }
    }

    /// What makes it the same thing as another.
    pub fn identity(&self) -> Identity {
        match self {
            Entry::Record(record) => Identity::Record(record.position.clone()),
            Entry::Span(span) => Identity::Span(
                *span.trace_id.as_bytes(),
                *span.span_id.as_bytes(),
                kind_number(span.kind),
                content::of_span(span),
            ),
            Entry::Log(log) => Identity::Log(content::of_log(log), log.ordinal),
        }
    }

    /// The record, where it is one.
    pub fn as_record(&self) -> Option<&Record> {
        match self {
            Entry::Record(record) => Some(record),
            Entry::Span(_) | Entry::Log(_) => None,
        }
    }

    /// The span, where it is one.
    pub fn as_span(&self) -> Option<&Span> {
        match self {
            Entry::Span(span) => Some(span),
            Entry::Record(_) | Entry::Log(_) => None,
        }
    }

    /// The log, where it is one.
    pub fn as_log(&self) -> Option<&Log> {
        match self {
            Entry::Log(log) => Some(log),
            Entry::Record(_) | Entry::Span(_) => None,
        }
    }
}

fn kind_number(kind: SpanKind) -> u8 {
    match kind {
        SpanKind::Unspecified => 0,
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}
