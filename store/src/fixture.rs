//! Entries for tests, with sensible defaults: say what the test is about, and nothing else.
//!
//! ```
//! use store::fixture;
//! let placed = fixture::record("orders", 0, 17).event("OrderPlaced").id("evt-1").key("order-1").trace(1).at(1.0).entry();
//! let charged = fixture::span("billing", "process orders").trace(1).consumed("orders", 0, 17).group("billing").at(1.2).took(0.3).entry();
//! let refused = fixture::record("orders.DLT", 0, 0).event("OrderPlaced").id("evt-1").trace(1).dead("billing", "card declined").from("orders", 0, 17).entry();
//! let said = fixture::log("billing", "card declined").trace(1).severity(17).at(1.4).entry();
//! # assert!(placed.time() < charged.time() && charged.time() < said.time() && refused.as_record().is_some());
//! ```
//!
//! Times are seconds after [`START`]; traces and spans are named by small numbers ([`trace`], [`span_id`]).
//! Only for tests: behind the feature `fixture`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::entry::Entry;
use crate::id::{SpanId, TraceId};
use crate::log::Log;
use crate::position::{Incarnation, Place, Position};
use crate::record::{
    BodyEncoding, Cause, CauseKind, Event, Failure, Fate, Header, Origin, Record, TimestampKind, TraceContext,
};
use crate::span::{Messaging, Operation, Resource, Scope, Span, SpanKind, SpanLink, SpanStatus};
use crate::time::Timestamp;
use crate::value::Value;

/// Second 0 of all fixtures: 2026-11-23T14:00:00Z.
pub const START: Timestamp = Timestamp::from_millis(1_795_442_400_000);

/// This many seconds after [`START`].
pub fn at(seconds: f64) -> Timestamp {
    if seconds < 0.0 {
        START.minus(Duration::from_secs_f64(-seconds))
    } else {
        START.plus(Duration::from_secs_f64(seconds))
    }
}

/// The trace of that number (1 and up).
pub fn trace(number: u64) -> TraceId {
    TraceId::from_bytes(&(u128::from(number) | (0xF1 << 120)).to_be_bytes()).expect("it isn't all zero")
}

/// The span of that number (1 and up).
pub fn span_id(number: u64) -> SpanId {
    SpanId::from_bytes(&(number | (0xE1 << 56)).to_be_bytes()).expect("it isn't all zero")
}

/// A record on a topic of the source `main`, without key, body or event, at second 0.
pub fn record(topic: &str, partition: i32, offset: i64) -> RecordFixture {
    RecordFixture(Record {
        position: Position {
            source: "main".into(),
            channel: topic.into(),
            incarnation: Incarnation(0),
            place: Place::Offset { partition, offset },
        },
        cluster: None,
        timestamp: Some(START),
        timestamp_kind: TimestampKind::Producer,
        received_at: START,
        key: None,
        body: None,
        encoding: BodyEncoding::Null,
        headers: Vec::new(),
        event: Event::default(),
        failure: None,
        problem: None,
    })
}

/// A span of a service, in trace 1, at second 0, taking 0.1 s. Its own id is told by [`SpanFixture::id`], else made from its name.
pub fn span(service: &str, name: &str) -> SpanFixture {
    let own_id = name.bytes().fold(17_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
    SpanFixture(Span {
        trace_id: trace(1),
        span_id: span_id(own_id >> 8),
        parent_span_id: None,
        trace_state: String::new(),
        flags: 0,
        name: name.to_owned(),
        kind: SpanKind::Internal,
        started_at: START,
        ended_at: at(0.1),
        status: SpanStatus::Unset,
        attributes: Vec::new(),
        dropped_attributes: 0,
        events: Vec::new(),
        links: Vec::new(),
        resource: resource(service),
        scope: Arc::new(Scope::default()),
        messaging: None,
        received_at: at(0.1),
    })
}

/// A log line of a service, of severity INFO, without a trace, at second 0.
pub fn log(service: &str, body: &str) -> LogFixture {
    LogFixture(Log {
        timestamp: START,
        severity: 9,
        severity_text: String::new(),
        body: Value::Text(body.to_owned()),
        attributes: Vec::new(),
        dropped_attributes: 0,
        trace_id: None,
        span_id: None,
        event_id: None,
        flags: 0,
        event_name: String::new(),
        resource: resource(service),
        scope: Arc::new(Scope::default()),
        ordinal: 0,
        received_at: START,
    })
}

fn resource(service: &str) -> Arc<Resource> {
    let attributes = vec![("service.name".to_owned(), Value::Text(service.to_owned()))];
    Arc::new(Resource { service: service.to_owned(), attributes })
}

/// A record under construction.
#[derive(Clone, Debug)]
pub struct RecordFixture(Record);

impl RecordFixture {
    /// The finished entry.
    pub fn entry(self) -> Entry {
        Entry::Record(self.0)
    }

    /// The finished record.
    pub fn record(self) -> Record {
        self.0
    }

    /// In another source than `main`.
    pub fn source(mut self, name: &str) -> Self {
        self.0.position.source = name.into();
        self
    }

    /// In another life of its topic.
    pub fn incarnation(mut self, number: u32) -> Self {
        self.0.position.incarnation = Incarnation(number);
        self
    }

    /// At another place than partition and offset.
    pub fn place(mut self, place: Place) -> Self {
        self.0.position.place = place;
        self
    }

    /// At this many seconds.
    pub fn at(mut self, seconds: f64) -> Self {
        self.0.timestamp = Some(at(seconds));
        self.0.received_at = at(seconds);
        self
    }

    /// With this event type.
    pub fn event(mut self, event_type: &str) -> Self {
        self.0.event.event_type = Some(event_type.to_owned());
        self
    }

    /// With this event id.
    pub fn id(mut self, event_id: &str) -> Self {
        self.0.event.id = Some(event_id.to_owned());
        self
    }

    /// From this producer.
    pub fn producer(mut self, service: &str) -> Self {
        self.0.event.producer = Some(service.to_owned());
        self
    }

    /// Of this version.
    pub fn version(mut self, version: &str) -> Self {
        self.0.event.version = Some(version.to_owned());
        self
    }

    /// Published in this trace.
    pub fn trace(mut self, number: u64) -> Self {
        let span_id = self.0.event.trace.take().and_then(|context| context.span_id);
        self.0.event.trace = Some(TraceContext { trace_id: trace(number), span_id, found_in: "traceparent".into() });
        self
    }

    /// Published by this span of its trace; say the trace first.
    pub fn span(mut self, number: u64) -> Self {
        self.0.event.trace.as_mut().expect("say the trace first").span_id = Some(span_id(number));
        self
    }

    /// With this key.
    pub fn key(mut self, key: &str) -> Self {
        self.0.key = Some(Bytes::copy_from_slice(key.as_bytes()));
        self
    }

    /// With this body; its encoding is found out.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        self.0.encoding = match std::str::from_utf8(&body) {
            Ok(text) if serde_json::from_str::<serde_json::Value>(text).is_ok() => BodyEncoding::Json,
            Ok(text) if text.trim_start().starts_with('{') => BodyEncoding::Json,
            Ok(_) => BodyEncoding::Text,
            Err(_) => BodyEncoding::Binary,
        };
        self.0.body = Some(body);
        self
    }

    /// With a further header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.0.headers.push(Header { name: name.to_owned(), value: Some(Bytes::copy_from_slice(value.as_bytes())) });
        self
    }

    /// Caused directly by the message of this id.
    pub fn caused_by(mut self, id: &str) -> Self {
        self.0.event.causes.push(Cause { kind: CauseKind::Causation, id: id.to_owned() });
        self
    }

    /// Belonging to this exchange.
    pub fn correlation(mut self, id: &str) -> Self {
        self.0.event.causes.push(Cause { kind: CauseKind::Correlation, id: id.to_owned() });
        self
    }

    /// A retry copy made after the group failed for the `attempts`-th time.
    pub fn retry(self, group: &str, attempts: u32) -> Self {
        self.failure(Fate::Retry, group, |failure| failure.attempts = Some(attempts))
    }

    /// A dead letter that the group set aside.
    pub fn dead(self, group: &str, message: &str) -> Self {
        self.failure(Fate::DeadLetter, group, |failure| {
            failure.message = Some(message.to_owned());
            failure.exception = Some("RuntimeError".to_owned());
        })
    }

    /// Where the retry copy or dead letter was made from; say which of the two first.
    pub fn from(mut self, topic: &str, partition: i32, offset: i64) -> Self {
        let origin = Origin {
            channel: Some(topic.to_owned()),
            partition: Some(partition),
            offset: Some(offset),
            timestamp: None,
        };
        self.0.failure.as_mut().expect("say whether it is a retry or dead first").origin = Some(origin);
        self
    }

    /// What could not be decoded.
    pub fn problem(mut self, problem: &str) -> Self {
        self.0.problem = Some(problem.to_owned());
        self
    }

    fn failure(mut self, fate: Fate, group: &str, change: impl FnOnce(&mut Failure)) -> Self {
        let mut failure = Failure {
            fate,
            origin: None,
            group: Some(group.to_owned()),
            attempts: None,
            attempts_from: None,
            not_before: None,
            exception: None,
            message: None,
            stack_trace: None,
            convention: "Spring".into(),
            guessed: false,
        };
        change(&mut failure);
        self.0.failure = Some(failure);
        self
    }
}

/// A span under construction.
#[derive(Clone, Debug)]
pub struct SpanFixture(Span);

impl SpanFixture {
    /// The finished entry.
    pub fn entry(self) -> Entry {
        Entry::Span(self.0)
    }

    /// The finished span.
    pub fn span(self) -> Span {
        self.0
    }

    /// In this trace.
    pub fn trace(mut self, number: u64) -> Self {
        self.0.trace_id = trace(number);
        self
    }

    /// With this id.
    pub fn id(mut self, number: u64) -> Self {
        self.0.span_id = span_id(number);
        self
    }

    /// Below this span.
    pub fn parent(mut self, number: u64) -> Self {
        self.0.parent_span_id = Some(span_id(number));
        self
    }

    /// Linked to a span of a trace.
    pub fn link(mut self, trace_number: u64, span_number: u64) -> Self {
        let link = SpanLink { trace_id: trace(trace_number), span_id: span_id(span_number), attributes: Vec::new() };
        self.0.links.push(link);
        self
    }

    /// Of this kind.
    pub fn kind(mut self, kind: SpanKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Starting at this many seconds; its duration stays.
    pub fn at(mut self, seconds: f64) -> Self {
        let duration = Duration::from_nanos(self.0.duration_nanos());
        self.0.started_at = at(seconds);
        self.0.ended_at = at(seconds).plus(duration);
        self.0.received_at = self.0.ended_at;
        self
    }

    /// Taking this many seconds.
    pub fn took(mut self, seconds: f64) -> Self {
        self.0.ended_at = self.0.started_at.plus(Duration::from_secs_f64(seconds));
        self.0.received_at = self.0.ended_at;
        self
    }

    /// Ended in an error.
    pub fn failed(mut self, message: &str) -> Self {
        self.0.status = SpanStatus::Error(message.to_owned());
        self
    }

    /// With an attribute of text.
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        self.0.attributes.push((name.to_owned(), Value::Text(value.to_owned())));
        self
    }

    /// Publishes to a topic.
    pub fn published(mut self, topic: &str) -> Self {
        self.0.kind = SpanKind::Producer;
        let messaging = self.messaging();
        messaging.operation = Operation::Send;
        messaging.destination = Some(topic.to_owned());
        self
    }

    /// Processes the record at a place.
    pub fn consumed(mut self, topic: &str, partition: i32, offset: i64) -> Self {
        self.0.kind = SpanKind::Consumer;
        let messaging = self.messaging();
        messaging.operation = Operation::Process;
        messaging.destination = Some(topic.to_owned());
        messaging.place = Some(Place::Offset { partition, offset });
        self
    }

    /// In this consumer group.
    pub fn group(mut self, group: &str) -> Self {
        self.messaging().group = Some(group.to_owned());
        self
    }

    /// Naming this event id.
    pub fn event_id(mut self, event_id: &str) -> Self {
        self.messaging().event_ids.push(event_id.to_owned());
        self
    }

    fn messaging(&mut self) -> &mut Messaging {
        self.0.messaging.get_or_insert_with(|| Messaging { system: "kafka".to_owned(), ..Messaging::default() })
    }
}

/// A log line under construction.
#[derive(Clone, Debug)]
pub struct LogFixture(Log);

impl LogFixture {
    /// The finished entry.
    pub fn entry(self) -> Entry {
        Entry::Log(self.0)
    }

    /// The finished log.
    pub fn log(self) -> Log {
        self.0
    }

    /// Written in this trace.
    pub fn trace(mut self, number: u64) -> Self {
        self.0.trace_id = Some(trace(number));
        self
    }

    /// Written in this span.
    pub fn span(mut self, number: u64) -> Self {
        self.0.span_id = Some(span_id(number));
        self
    }

    /// About this event.
    pub fn event_id(mut self, event_id: &str) -> Self {
        self.0.event_id = Some(event_id.to_owned());
        self
    }

    /// Of this OpenTelemetry severity number: 9 is INFO, 17 ERROR.
    pub fn severity(mut self, number: u8) -> Self {
        self.0.severity = number;
        self
    }

    /// With an attribute of text.
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        self.0.attributes.push((name.to_owned(), Value::Text(value.to_owned())));
        self
    }

    /// At this many seconds.
    pub fn at(mut self, seconds: f64) -> Self {
        self.0.timestamp = at(seconds);
        self.0.received_at = at(seconds);
        self
    }
}
