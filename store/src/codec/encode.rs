//! From entries to bytes. Tags as in [`wire`](super::wire).

use std::collections::HashMap;
use std::sync::Arc;

use super::write::Message;
use crate::checkpoint::Checkpoint;
use crate::engine::Held;
use crate::entry::Entry;
use crate::log::Log;
use crate::position::Place;
use crate::record::{BodyEncoding, CauseKind, Event, Failure, Fate, Record, TimestampKind};
use crate::span::{Messaging, Operation, Resource, Scope, Span, SpanKind, SpanStatus};
use crate::time::Timestamp;
use crate::value::Value;

/// Entries that are being written together. What they share (resources and scopes) is written once.
#[derive(Debug, Default)]
pub struct BlockWriter {
    message: Message,
    resources: Shared<Resource>,
    scopes: Shared<Scope>,
    entries: u32,
}

/// Things that several entries share, numbered in the order in which they were met.
#[derive(Debug)]
struct Shared<T> {
    /// By address. Each is held in `met`, or is equal to one that is, and the caller's entries outlive the block.
    numbers: HashMap<usize, u32>,
    met: Vec<Arc<T>>,
}

/// How many of the things met last a new one is compared with: requests of a handful of services come in turn.
const COMPARED_MAX: usize = 16;

impl BlockWriter {
    /// Writes into a buffer that was used before; what is in it goes.
    pub fn reusing(buffer: Vec<u8>) -> BlockWriter {
        BlockWriter { message: Message::reusing(buffer), ..BlockWriter::default() }
    }

    /// Adds an entry at the end.
    pub fn add(&mut self, held: &Held) {
        let (resource, scope) = match &*held.entry {
            Entry::Record(_) => (0, 0),
            Entry::Span(span) => self.share(&span.resource, &span.scope),
            Entry::Log(log) => self.share(&log.resource, &log.scope),
        };
        self.entries += 1;
        self.message.nested(3, |stored| {
            stored.number(1, held.sequence.0);
            stored.number(2, held.copies.into());
            time(stored, 3, held.entry.received_at());
            match &*held.entry {
                Entry::Record(entry) => stored.nested(4, |message| record(message, entry)),
                Entry::Span(entry) => stored.nested(5, |message| span(message, entry, resource, scope)),
                Entry::Log(entry) => stored.nested(6, |message| log(message, entry, resource, scope)),
            }
        });
    }

    /// How many entries were added.
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// How many bytes they take so far.
    pub fn len(&self) -> usize {
        self.message.len()
    }

    /// The whole block.
    pub fn finish(self) -> Vec<u8> {
        self.message.into_bytes()
    }

    fn share(&mut self, resource: &Arc<Resource>, scope: &Arc<Scope>) -> (u32, u32) {
        let (resource_number, is_new) = self.resources.number(resource);
        if is_new {
            self.message.nested(1, |message| {
                message.text(1, &resource.service);
                attributes(message, 2, &resource.attributes);
            });
        }
        let (scope_number, is_new) = self.scopes.number(scope);
        if is_new {
            self.message.nested(2, |message| {
                message.text(1, &scope.name);
                message.text(2, &scope.version);
                attributes(message, 3, &scope.attributes);
            });
        }
        (resource_number, scope_number)
    }
}

impl<T> Default for Shared<T> {
    fn default() -> Shared<T> {
        Shared { numbers: HashMap::new(), met: Vec::new() }
    }
}

impl<T: PartialEq> Shared<T> {
    /// Its number, and whether it is met for the first time.
    fn number(&mut self, thing: &Arc<T>) -> (u32, bool) {
        let address = Arc::as_ptr(thing).addr();
        if let Some(number) = self.numbers.get(&address) {
            return (*number, false);
        }
        let equal = self.met.iter().enumerate().rev().take(COMPARED_MAX).find(|(_, met)| *met == thing);
        let (number, is_new) = match equal {
            Some((number, _)) => (number, false),
            None => {
                self.met.push(thing.clone());
                (self.met.len() - 1, true)
            }
        };
        self.numbers.insert(address, number as u32);
        (number as u32, is_new)
    }
}

/// A checkpoint as the log and the segments keep it.
pub fn checkpoint(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut message = Message::default();
    message.text(1, checkpoint.source.as_str());
    message.maybe_text(2, checkpoint.cluster.as_deref());
    for ((channel, partition), reached) in &checkpoint.partitions {
        message.nested(3, |message| {
            message.text(1, channel.as_str());
            message.signed(2, (*partition).into());
            message.number(3, reached.incarnation.0.into());
            message.signed(4, reached.next);
            maybe_time(message, 5, reached.last_timestamp);
            if let Some(checksum) = reached.last_checksum {
                message.number_present(6, checksum.into());
            }
        });
    }
    message.into_bytes()
}

fn time(message: &mut Message, tag: u64, at: Timestamp) {
    message.fixed(tag, at.as_nanos().to_le_bytes());
}

fn maybe_time(message: &mut Message, tag: u64, at: Option<Timestamp>) {
    if let Some(at) = at {
        time(message, tag, at);
    }
}

/// The place's fields at this tag and the four after it.
fn place(message: &mut Message, tag: u64, place: &Place) {
    match place {
        Place::Offset { partition, offset } => {
            message.signed(tag, (*partition).into());
            message.signed(tag + 1, *offset);
        }
        Place::Sequence(number) => message.number_present(tag + 2, *number),
        Place::MessageId(id) => message.bytes(tag + 3, id.as_bytes()),
        Place::Arrival(number) => message.number_present(tag + 4, *number),
    }
}

fn record(message: &mut Message, record: &Record) {
    message.text(1, record.position.source.as_str());
    message.text(2, record.position.channel.as_str());
    message.number(3, record.position.incarnation.0.into());
    place(message, 4, &record.position.place);
    message.maybe_text(9, record.cluster.as_deref());
    maybe_time(message, 10, record.timestamp);
    message.number(
        11,
        match record.timestamp_kind {
            TimestampKind::Unknown => 0,
            TimestampKind::Producer => 1,
            TimestampKind::Broker => 2,
        },
    );
    if let Some(key) = &record.key {
        message.bytes(12, key);
    }
    if let Some(body) = &record.body {
        message.bytes(13, body);
    }
    message.number(
        14,
        match record.encoding {
            BodyEncoding::Null => 0,
            BodyEncoding::Json => 1,
            BodyEncoding::Text => 2,
            BodyEncoding::Binary => 3,
            BodyEncoding::Avro => 4,
            BodyEncoding::Protobuf => 5,
        },
    );
    for header in &record.headers {
        message.nested(15, |message| {
            message.text(1, &header.name);
            if let Some(value) = &header.value {
                message.bytes(2, value);
            }
        });
    }
    message.nested(16, |message| event(message, &record.event));
    if let Some(set_aside) = &record.failure {
        message.nested(17, |message| failure(message, set_aside));
    }
    message.maybe_text(18, record.problem.as_deref());
}

fn event(message: &mut Message, event: &Event) {
    message.maybe_text(1, event.id.as_deref());
    message.maybe_text(2, event.event_type.as_deref());
    maybe_time(message, 3, event.occurred_at);
    message.maybe_text(4, event.producer.as_deref());
    message.maybe_text(5, event.version.as_deref());
    if let Some(trace) = &event.trace {
        message.bytes(6, trace.trace_id.as_bytes());
        if let Some(span_id) = &trace.span_id {
            message.bytes(7, span_id.as_bytes());
        }
        message.text(8, &trace.found_in);
    }
    if let Some(origin) = &event.origin_trace {
        message.bytes(9, origin.as_bytes());
    }
    for cause in &event.causes {
        message.nested(10, |message| {
            message.number(
                1,
                match cause.kind {
                    CauseKind::Causation => 0,
                    CauseKind::Correlation => 1,
                    CauseKind::Saga => 2,
                },
            );
            message.text(2, &cause.id);
        });
    }
}

fn failure(message: &mut Message, failure: &Failure) {
    message.number(
        1,
        match failure.fate {
            Fate::Retry => 0,
            Fate::DeadLetter => 1,
        },
    );
    if let Some(origin) = &failure.origin {
        message.nested(2, |message| {
            message.maybe_text(1, origin.channel.as_deref());
            if let Some(partition) = origin.partition {
                message.signed(2, partition.into());
            }
            if let Some(offset) = origin.offset {
                message.signed(3, offset);
            }
            maybe_time(message, 4, origin.timestamp);
        });
    }
    message.maybe_text(3, failure.group.as_deref());
    if let Some(attempts) = failure.attempts {
        message.number_present(4, attempts.into());
    }
    message.maybe_text(5, failure.attempts_from.as_deref());
    maybe_time(message, 6, failure.not_before);
    message.maybe_text(7, failure.exception.as_deref());
    message.maybe_text(8, failure.message.as_deref());
    message.maybe_text(9, failure.stack_trace.as_deref());
    message.text(10, &failure.convention);
    message.number(11, failure.guessed.into());
}

fn span(message: &mut Message, span: &Span, resource: u32, scope: u32) {
    message.bytes(1, span.trace_id.as_bytes());
    message.bytes(2, span.span_id.as_bytes());
    if let Some(parent) = &span.parent_span_id {
        message.bytes(3, parent.as_bytes());
    }
    message.text(4, &span.trace_state);
    message.number(5, span.flags.into());
    message.text(6, &span.name);
    message.number(
        7,
        match span.kind {
            SpanKind::Unspecified => 0,
            SpanKind::Internal => 1,
            SpanKind::Server => 2,
            SpanKind::Client => 3,
            SpanKind::Producer => 4,
            SpanKind::Consumer => 5,
        },
    );
    time(message, 8, span.started_at);
    time(message, 9, span.ended_at);
    match &span.status {
        SpanStatus::Unset => {}
        SpanStatus::Ok => message.number(10, 1),
        SpanStatus::Error(says) => {
            message.number(10, 2);
            message.text(11, says);
        }
    }
    attributes(message, 12, &span.attributes);
    message.number(13, span.dropped_attributes.into());
    for event in &span.events {
        message.nested(14, |message| {
            time(message, 1, event.at);
            message.text(2, &event.name);
            attributes(message, 3, &event.attributes);
        });
    }
    for link in &span.links {
        message.nested(15, |message| {
            message.bytes(1, link.trace_id.as_bytes());
            message.bytes(2, link.span_id.as_bytes());
            attributes(message, 3, &link.attributes);
        });
    }
    message.number(16, resource.into());
    message.number(17, scope.into());
    if let Some(says) = &span.messaging {
        message.nested(18, |message| messaging(message, says));
    }
}

fn messaging(message: &mut Message, messaging: &Messaging) {
    message.text(1, &messaging.system);
    message.maybe_text(2, messaging.destination.as_deref());
    if let Some(at) = &messaging.place {
        place(message, 3, at);
    }
    message.maybe_text(8, messaging.cluster.as_deref());
    message.maybe_text(9, messaging.group.as_deref());
    message.maybe_text(10, messaging.client_id.as_deref());
    message.number(
        11,
        match messaging.operation {
            Operation::Unknown => 0,
            Operation::Create => 1,
            Operation::Send => 2,
            Operation::Receive => 3,
            Operation::Process => 4,
            Operation::Settle => 5,
        },
    );
    for id in &messaging.event_ids {
        message.bytes(12, id.as_bytes());
    }
    message.maybe_text(13, messaging.conversation_id.as_deref());
    message.maybe_text(14, messaging.key.as_deref());
    if let Some(batch) = messaging.batch {
        message.number_present(15, batch.into());
    }
}

fn log(message: &mut Message, log: &Log, resource: u32, scope: u32) {
    time(message, 1, log.timestamp);
    message.number(2, log.severity.into());
    message.text(3, &log.severity_text);
    message.nested(4, |message| value(message, &log.body));
    attributes(message, 5, &log.attributes);
    message.number(6, log.dropped_attributes.into());
    if let Some(trace_id) = &log.trace_id {
        message.bytes(7, trace_id.as_bytes());
    }
    if let Some(span_id) = &log.span_id {
        message.bytes(8, span_id.as_bytes());
    }
    message.maybe_text(9, log.event_id.as_deref());
    message.number(10, log.flags.into());
    message.text(11, &log.event_name);
    message.number(12, resource.into());
    message.number(13, scope.into());
    message.number(14, log.ordinal.into());
}

fn attributes(message: &mut Message, tag: u64, attributes: &[(String, Value)]) {
    for (name, said) in attributes {
        message.nested(tag, |message| {
            message.text(1, name);
            message.nested(2, |message| value(message, said));
        });
    }
}

fn value(message: &mut Message, said: &Value) {
    match said {
        Value::Empty => {}
        Value::Text(text) => message.bytes(1, text.as_bytes()),
        Value::Bool(truth) => message.number_present(2, (*truth).into()),
        Value::Int(number) => message.signed(3, *number),
        Value::Double(number) => message.fixed(4, number.to_le_bytes()),
        Value::Bytes(bytes) => message.bytes(5, bytes),
        Value::List(values) => message.nested(6, |message| {
            for item in values {
                message.nested(1, |message| value(message, item));
            }
        }),
        Value::Map(entries) => message.nested(7, |message| attributes(message, 1, entries)),
    }
}
