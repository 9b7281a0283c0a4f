//! What one request brings, as the store keeps it.

use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::sync::Arc;

use store::value::Text;
use store::{Entry, Log, Span, Timestamp, Value};

use crate::correlate::{attribute, span};
use crate::redact::Redactor;

/// `service.name` where none is told (open-telemetry/opentelemetry-specification : specification/resource/sdk.md).
pub(super) const UNKNOWN_SERVICE: &str = "unknown_service";

/// The entries of one request, and what had to be left out.
#[derive(Debug)]
pub(super) struct Batch {
    /// What is to be kept.
    pub entries: Vec<Entry>,
    /// How many spans were left out because their ids are no ids.
    pub rejected: u64,
    /// Data points of metrics, which are not kept.
    pub data_points: u64,
    /// When the request came, by our clock.
    pub received_at: Timestamp,
    /// What takes out what nobody may read, before anything is read out of an entry.
    pub redactor: Arc<Redactor>,
    /// How often each log was seen in this request, by a hash of its content.
    seen: HashMap<u64, u32>,
    hashes: RandomState,
}

impl Batch {
    pub(super) fn new(received_at: Timestamp, redactor: Arc<Redactor>) -> Batch {
        Batch {
            entries: Vec::new(),
            rejected: 0,
            data_points: 0,
            received_at,
            redactor,
            seen: HashMap::new(),
            hashes: RandomState::new(),
        }
    }

    /// Takes in a span, and reads what it says of messaging.
    pub(super) fn add_span(&mut self, mut span: Span) {
        self.redactor.span(&mut span);
        span.messaging = span::messaging(&span.name, span.kind, &span.attributes);
        self.entries.push(Entry::Span(span));
    }

    /// Leaves out a span whose trace id or span id is none: nothing could ever lead to it.
    pub(super) fn reject_span(&mut self) {
        self.rejected += 1;
    }

    /// Takes in a log, reads which event it is about, and counts it among its equals.
    pub(super) fn add_log(&mut self, mut log: Log) {
        self.redactor.log(&mut log);
        log.event_id = attribute::event_id_of_log(&log.attributes, &log.body);
        let times = self.seen.entry(self.hash(&log)).or_default();
        log.ordinal = *times;
        *times += 1;
        self.entries.push(Entry::Log(log));
    }

    /// Over the same content that makes logs equal in the store. The keys are random for each request, so that nobody can choose collisions.
    fn hash(&self, log: &Log) -> u64 {
        let mut hasher = self.hashes.build_hasher();
        (log.timestamp, log.severity, &log.severity_text, log.dropped_attributes).hash(&mut hasher);
        (log.trace_id, log.span_id, log.flags, &log.event_name).hash(&mut hasher);
        hash_value(&log.body, &mut hasher);
        hash_attributes(&log.attributes, &mut hasher);
        (&log.resource.service, &log.scope.name, &log.scope.version).hash(&mut hasher);
        hash_attributes(&log.resource.attributes, &mut hasher);
        hash_attributes(&log.scope.attributes, &mut hasher);
        hasher.finish()
    }
}

fn hash_attributes(attributes: &[(Text, Value)], hasher: &mut DefaultHasher) {
    attributes.len().hash(hasher);
    for (name, value) in attributes {
        name.hash(hasher);
        hash_value(value, hasher);
    }
}

fn hash_value(value: &Value, hasher: &mut DefaultHasher) {
    std::mem::discriminant(value).hash(hasher);
    match value {
        Value::Empty => {}
        Value::Text(text) => text.hash(hasher),
        Value::Bool(truth) => truth.hash(hasher),
        Value::Int(number) => number.hash(hasher),
        Value::Double(number) => number.to_bits().hash(hasher),
        Value::Bytes(bytes) => bytes.hash(hasher),
        Value::List(values) => {
            values.len().hash(hasher);
            for value in values {
                hash_value(value, hasher);
            }
        }
        Value::Map(entries) => hash_attributes(entries, hasher),
    }
}

/// A time as OTLP sends it, nanoseconds since 1970; what lies beyond 2262 is cut to it.
pub(super) fn timestamp(nanos: u64) -> Timestamp {
    i64::try_from(nanos).map_or(Timestamp::MAX, Timestamp::from_nanos)
}

/// When a log was written: as told, else when it was observed, else when we received it.
pub(super) fn log_time(written: u64, observed: u64, received_at: Timestamp) -> Timestamp {
    match (written, observed) {
        (0, 0) => received_at,
        (0, observed) => timestamp(observed),
        (written, _) => timestamp(written),
    }
}

/// The service that a resource names.
pub(super) fn service(attributes: &[(Text, Value)]) -> String {
    let named = store::value::attribute(attributes, "service.name").and_then(attribute::text);
    named.unwrap_or_else(|| UNKNOWN_SERVICE.to_owned())
}
