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

mod group; // consumer groups
mod log; // log lines
mod record; // records
mod span; // spans

use std::sync::Arc;
use std::time::Duration;

use crate::groups::{GroupStatus, LagState};
use crate::id::{SpanId, TraceId};
use crate::log::Log;
use crate::position::{Incarnation, Place, Position};
use crate::record::{BodyEncoding, Event, Record, TimestampKind};
use crate::span::{Resource, Scope, Span, SpanKind, SpanStatus};
use crate::time::Timestamp;
use crate::value::Value;

pub use self::group::GroupFixture;
pub use self::log::LogFixture;
pub use self::record::RecordFixture;
pub use self::span::SpanFixture;

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
        decoded: None,
        headers: Vec::new(),
        event: Event::default(),
        failure: None,
        transaction: None,
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
        body: Value::Text(body.into()),
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

/// A consumer group of the source `main` that reads nothing yet, with no member, looked at at second 60.
pub fn group(name: &str) -> GroupFixture {
    GroupFixture(GroupStatus {
        source: "main".into(),
        group: name.to_owned(),
        state: LagState::KeepingUp,
        broker_state: Some("Stable".to_owned()),
        protocol: Some("classic".to_owned()),
        assignor: Some("range".to_owned()),
        members: Some(Vec::new()),
        partitions: Vec::new(),
        trend: None,
        unseen: None,
        at: at(60.0),
    })
}

fn resource(service: &str) -> Arc<Resource> {
    let attributes = vec![("service.name".into(), Value::Text(service.into()))];
    Arc::new(Resource { service: service.to_owned(), attributes })
}
