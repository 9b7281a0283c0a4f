//! From bytes to entries. What can't be understood is an error with its reason, never a guess and never a panic.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;

use super::wire;
use crate::checkpoint::{Checkpoint, Reached};
use crate::engine::{Held, Sequence};
use crate::entry::Entry;
use crate::id::{SpanId, TraceId};
use crate::log::Log;
use crate::position::{Incarnation, Place, Position};
use crate::record::{
    BodyEncoding, Cause, CauseKind, Decoded, Event, Failure, Fate, Header, Origin, Record, Schema, SchemaId,
    TimestampKind, TraceContext, Transaction,
};
use crate::span::{Messaging, Operation, Resource, Scope, Span, SpanEvent, SpanKind, SpanLink, SpanStatus};
use crate::time::Timestamp;
use crate::value::{Attributes, Text, Value};

/// Bytes that are no entry, and why.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// They are no protobuf message.
    #[error("not a message")]
    Message(#[from] prost::DecodeError),
    /// A field holds what it can't.
    #[error("a field `{0}` is missing or out of range")]
    Field(&'static str),
}

/// How deep values may nest: what any sender can get through protobuf's and JSON's own limits, with room.
const VALUE_DEPTH_MAX: usize = 256;

/// Entries that were written together; each is decoded when it is asked for.
#[derive(Debug)]
pub struct BlockReader {
    resources: Vec<Arc<Resource>>,
    scopes: Vec<Arc<Scope>>,
    entries: Vec<Bytes>,
    /// How long the whole block is.
    length: usize,
}

impl BlockReader {
    /// Reads what [`BlockWriter`](super::BlockWriter) wrote.
    pub fn new(bytes: Bytes) -> Result<BlockReader, DecodeError> {
        let length = bytes.len();
        let block = wire::Block::decode(bytes)?;
        let resources = block.resources.into_iter().map(|resource| {
            Ok(Arc::new(Resource { service: resource.service, attributes: attributes(resource.attributes, 0)? }))
        });
        let scopes = block.scopes.into_iter().map(|scope| {
            let attributes = attributes(scope.attributes, 0)?;
            Ok(Arc::new(Scope { name: scope.name, version: scope.version, attributes }))
        });
        Ok(BlockReader {
            resources: resources.collect::<Result<_, DecodeError>>()?,
            scopes: scopes.collect::<Result<_, DecodeError>>()?,
            entries: block.entries,
            length,
        })
    }

    /// About how much memory it takes: the block's bytes, and half as much for its tables.
    pub fn bytes(&self) -> usize {
        self.length + self.length / 2
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entry at this place, from 0.
    pub fn get(&self, place: usize) -> Result<Held, DecodeError> {
        let bytes = self.entries.get(place).ok_or(DecodeError::Field("place"))?;
        let stored = wire::Stored::decode(bytes.clone())?;
        let received_at = Timestamp::from_nanos(stored.received_at);
        let entry = match (stored.record, stored.span, stored.log) {
            (Some(message), None, None) => Entry::Record(record(message, received_at)?),
            (None, Some(message), None) => Entry::Span(self.span(message, received_at)?),
            (None, None, Some(message)) => Entry::Log(self.log(message, received_at)?),
            _ => return Err(DecodeError::Field("entry")),
        };
        Ok(Held { entry: Arc::new(entry), sequence: Sequence(stored.sequence), copies: stored.copies })
    }

    fn resource(&self, number: u32) -> Result<Arc<Resource>, DecodeError> {
        self.resources.get(number as usize).cloned().ok_or(DecodeError::Field("resource"))
    }

    fn scope(&self, number: u32) -> Result<Arc<Scope>, DecodeError> {
        self.scopes.get(number as usize).cloned().ok_or(DecodeError::Field("scope"))
    }

    fn span(&self, message: wire::Span, received_at: Timestamp) -> Result<Span, DecodeError> {
        Ok(Span {
            trace_id: TraceId::from_bytes(&message.trace_id).ok_or(DecodeError::Field("trace_id"))?,
            span_id: SpanId::from_bytes(&message.span_id).ok_or(DecodeError::Field("span_id"))?,
            parent_span_id: SpanId::from_bytes(&message.parent_span_id),
            trace_state: message.trace_state,
            flags: message.flags,
            name: message.name,
            kind: match message.kind {
                0 => SpanKind::Unspecified,
                1 => SpanKind::Internal,
                2 => SpanKind::Server,
                3 => SpanKind::Client,
                4 => SpanKind::Producer,
                5 => SpanKind::Consumer,
                _ => return Err(DecodeError::Field("kind")),
            },
            started_at: Timestamp::from_nanos(message.started_at),
            ended_at: Timestamp::from_nanos(message.ended_at),
            status: match message.status {
                0 => SpanStatus::Unset,
                1 => SpanStatus::Ok,
                2 => SpanStatus::Error(message.status_message),
                _ => return Err(DecodeError::Field("status")),
            },
            attributes: attributes(message.attributes, 0)?,
            dropped_attributes: message.dropped_attributes,
            events: message.events.into_iter().map(span_event).collect::<Result<_, _>>()?,
            links: message.links.into_iter().map(span_link).collect::<Result<_, _>>()?,
            resource: self.resource(message.resource)?,
            scope: self.scope(message.scope)?,
            messaging: message.messaging.map(messaging).transpose()?,
            received_at,
        })
    }

    fn log(&self, message: wire::Log, received_at: Timestamp) -> Result<Log, DecodeError> {
        Ok(Log {
            timestamp: Timestamp::from_nanos(message.timestamp),
            severity: u8::try_from(message.severity).map_err(|_| DecodeError::Field("severity"))?,
            severity_text: message.severity_text,
            body: message.body.map_or(Ok(Value::Empty), |body| value(body, 0))?,
            attributes: attributes(message.attributes, 0)?,
            dropped_attributes: message.dropped_attributes,
            trace_id: TraceId::from_bytes(&message.trace_id),
            span_id: SpanId::from_bytes(&message.span_id),
            event_id: message.event_id,
            flags: message.flags,
            event_name: message.event_name,
            resource: self.resource(message.resource)?,
            scope: self.scope(message.scope)?,
            ordinal: message.ordinal,
            received_at,
        })
    }
}

/// A checkpoint as the log and the segments keep it.
pub fn checkpoint(bytes: &[u8]) -> Result<Checkpoint, DecodeError> {
    let message = wire::Checkpoint::decode(bytes)?;
    let partitions = message.partitions.into_iter().map(|reached| {
        let key = (reached.channel.into(), reached.partition);
        let value = Reached {
            incarnation: Incarnation(reached.incarnation),
            next: reached.next,
            last_timestamp: reached.last_timestamp.map(Timestamp::from_nanos),
            last_checksum: reached.last_checksum,
        };
        (key, value)
    });
    Ok(Checkpoint { source: message.source.into(), cluster: message.cluster, partitions: partitions.collect() })
}

/// The fields of a place, of which one kind is set.
struct PlaceFields {
    partition: Option<i32>,
    offset: Option<i64>,
    sequence: Option<u64>,
    message_id: Option<String>,
    arrival: Option<u64>,
}

impl PlaceFields {
    fn place(self) -> Option<Place> {
        match self {
            PlaceFields { partition: Some(partition), offset: Some(offset), .. } => {
                Some(Place::Offset { partition, offset })
            }
            PlaceFields { sequence: Some(number), .. } => Some(Place::Sequence(number)),
            PlaceFields { message_id: Some(id), .. } => Some(Place::MessageId(id.into())),
            PlaceFields { arrival: Some(number), .. } => Some(Place::Arrival(number)),
            _ => None,
        }
    }
}

fn record(message: wire::Record, received_at: Timestamp) -> Result<Record, DecodeError> {
    let place = PlaceFields {
        partition: message.partition,
        offset: message.offset,
        sequence: message.sequence,
        message_id: message.message_id,
        arrival: message.arrival,
    };
    Ok(Record {
        position: Position {
            source: message.source.into(),
            channel: message.channel.into(),
            incarnation: Incarnation(message.incarnation),
            place: place.place().ok_or(DecodeError::Field("place"))?,
        },
        cluster: message.cluster.map(Arc::from),
        timestamp: message.timestamp.map(Timestamp::from_nanos),
        timestamp_kind: match message.timestamp_kind {
            0 => TimestampKind::Unknown,
            1 => TimestampKind::Producer,
            2 => TimestampKind::Broker,
            _ => return Err(DecodeError::Field("timestamp_kind")),
        },
        received_at,
        key: message.key,
        body: message.body,
        encoding: match message.encoding {
            0 => BodyEncoding::Null,
            1 => BodyEncoding::Json,
            2 => BodyEncoding::Text,
            3 => BodyEncoding::Binary,
            4 => BodyEncoding::Avro,
            5 => BodyEncoding::Protobuf,
            6 => BodyEncoding::MessagePack,
            7 => BodyEncoding::Cbor,
            _ => return Err(DecodeError::Field("encoding")),
        },
        decoded: Decoded {
            body: message.decoded_body,
            key: message.decoded_key,
            body_schema: message.body_schema.map(schema).transpose()?,
            key_schema: message.key_schema.map(schema).transpose()?,
        }
        .boxed(),
        headers: message.headers.into_iter().map(|header| Header { name: header.name, value: header.value }).collect(),
        event: message.event.map(event).transpose()?.unwrap_or_default(),
        failure: message.failure.map(failure).transpose()?,
        transaction: match message.transaction {
            0 => None,
            1 => Some(Transaction::Open),
            2 => Some(Transaction::Aborted),
            _ => return Err(DecodeError::Field("transaction")),
        },
        problem: message.problem.map(String::into_boxed_str),
    })
}

fn schema(message: wire::Schema) -> Result<Arc<Schema>, DecodeError> {
    Ok(Arc::new(Schema {
        id: SchemaId::read(&message.kind, &message.id).ok_or(DecodeError::Field("schema"))?,
        subject: message.subject,
        version: message.version,
        name: message.name,
    }))
}

fn event(message: wire::Event) -> Result<Event, DecodeError> {
    let causes = message.causes.into_iter().map(|cause| {
        let kind = match cause.kind {
            0 => CauseKind::Causation,
            1 => CauseKind::Correlation,
            2 => CauseKind::Saga,
            _ => return Err(DecodeError::Field("cause")),
        };
        Ok(Cause { kind, id: cause.id })
    });
    Ok(Event {
        id: message.id,
        event_type: message.event_type,
        occurred_at: message.occurred_at.map(Timestamp::from_nanos),
        producer: message.producer,
        version: message.version,
        trace: TraceId::from_bytes(&message.trace_id).map(|trace_id| TraceContext {
            trace_id,
            span_id: SpanId::from_bytes(&message.span_id),
            found_in: message.found_in.into(),
        }),
        origin_trace: TraceId::from_bytes(&message.origin_trace),
        causes: causes.collect::<Result<_, DecodeError>>()?,
    })
}

fn failure(message: wire::Failure) -> Result<Failure, DecodeError> {
    Ok(Failure {
        fate: match message.fate {
            0 => Fate::Retry,
            1 => Fate::DeadLetter,
            _ => return Err(DecodeError::Field("fate")),
        },
        origin: message.origin.map(|origin| Origin {
            channel: origin.channel,
            partition: origin.partition,
            offset: origin.offset,
            timestamp: origin.timestamp.map(Timestamp::from_nanos),
        }),
        group: message.group,
        attempts: message.attempts,
        attempts_from: message.attempts_from,
        not_before: message.not_before.map(Timestamp::from_nanos),
        exception: message.exception,
        message: message.message,
        stack_trace: message.stack_trace,
        convention: message.convention.into(),
        guessed: message.guessed,
    })
}

fn span_event(message: wire::SpanEvent) -> Result<SpanEvent, DecodeError> {
    let at = Timestamp::from_nanos(message.at);
    Ok(SpanEvent { at, name: message.name, attributes: attributes(message.attributes, 0)? })
}

fn span_link(message: wire::SpanLink) -> Result<SpanLink, DecodeError> {
    Ok(SpanLink {
        trace_id: TraceId::from_bytes(&message.trace_id).ok_or(DecodeError::Field("link"))?,
        span_id: SpanId::from_bytes(&message.span_id).ok_or(DecodeError::Field("link"))?,
        attributes: attributes(message.attributes, 0)?,
    })
}

fn messaging(message: wire::Messaging) -> Result<Messaging, DecodeError> {
    let place = PlaceFields {
        partition: message.partition,
        offset: message.offset,
        sequence: message.sequence,
        message_id: message.message_id,
        arrival: message.arrival,
    };
    Ok(Messaging {
        system: message.system,
        destination: message.destination,
        place: place.place(),
        cluster: message.cluster,
        group: message.group,
        client_id: message.client_id,
        operation: match message.operation {
            0 => Operation::Unknown,
            1 => Operation::Create,
            2 => Operation::Send,
            3 => Operation::Receive,
            4 => Operation::Process,
            5 => Operation::Settle,
            _ => return Err(DecodeError::Field("operation")),
        },
        event_ids: message.event_ids,
        conversation_id: message.conversation_id,
        key: message.key,
        batch: message.batch,
    })
}

fn attributes(entries: Vec<wire::KeyValue>, depth: usize) -> Result<Attributes, DecodeError> {
    let mut attributes = Vec::with_capacity(entries.len());
    for entry in entries {
        let said = entry.value.map_or(Ok(Value::Empty), |message| value(message, depth))?;
        attributes.push((text(&entry.key)?, said));
    }
    Ok(attributes)
}

fn text(bytes: &[u8]) -> Result<Text, DecodeError> {
    std::str::from_utf8(bytes).map(Text::from).map_err(|_| DecodeError::Field("text"))
}

fn value(message: wire::Value, depth: usize) -> Result<Value, DecodeError> {
    if depth > VALUE_DEPTH_MAX {
        return Err(DecodeError::Field("value"));
    }
    Ok(match message {
        wire::Value { text: Some(bytes), .. } => Value::Text(text(&bytes)?),
        wire::Value { truth: Some(truth), .. } => Value::Bool(truth),
        wire::Value { int: Some(number), .. } => Value::Int(number),
        wire::Value { double: Some(number), .. } => Value::Double(number),
        wire::Value { bytes: Some(bytes), .. } => Value::Bytes(bytes.to_vec()),
        wire::Value { list: Some(bytes), .. } => {
            let values = wire::List::decode(bytes)?.values.into_iter();
            Value::List(values.map(|message| value(message, depth + 1)).collect::<Result<_, _>>()?)
        }
        wire::Value { map: Some(bytes), .. } => Value::Map(attributes(wire::Map::decode(bytes)?.entries, depth + 1)?),
        _ => Value::Empty,
    })
}
