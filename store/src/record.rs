//! One message as the broker holds it, and what it says: its event.

mod schema; // schemas in a registry, and what was read with their help

use std::sync::Arc;

use bytes::Bytes;

use crate::id::{SpanId, TraceId};
use crate::position::Position;
use crate::time::Timestamp;

pub use schema::{Decoded, Schema, SchemaId};

/// One message as the broker holds it.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    /// Where it is.
    pub position: Position,
    /// The broker's id of the cluster it was read from, where it tells one. Tells apart equal topic names of two clusters.
    pub cluster: Option<Arc<str>>,
    /// The broker's time for it; `None` where it has none.
    pub timestamp: Option<Timestamp>,
    /// Whose clock [`Record::timestamp`] is.
    pub timestamp_kind: TimestampKind,
    /// When we received it, by our clock.
    pub received_at: Timestamp,
    /// The key; `None` is the broker's null.
    pub key: Option<Bytes>,
    /// The body, byte for byte; `None` is the broker's null (a tombstone on a compacted topic).
    pub body: Option<Bytes>,
    /// What the body is, once what frames and packs it is taken off.
    pub encoding: BodyEncoding,
    /// What stands in it, where its bytes don't show it by themselves.
    pub decoded: Option<Box<Decoded>>,
    /// Headers in the broker's order; names may repeat, a value may be null.
    pub headers: Vec<Header>,
    /// What the record says.
    pub event: Event,
    /// Set where the record is a retry copy or a dead letter.
    pub failure: Option<Failure>,
    /// Set where readers of committed records don't get it. A committed record can't be told from one without a transaction.
    pub transaction: Option<Transaction>,
    /// Why the record could not be decoded in whole. It is kept all the same.
    pub problem: Option<Box<str>>,
}

/// One header of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// Its name, as sent.
    pub name: String,
    /// Its bytes; `None` is null, which is legal in Kafka.
    pub value: Option<Bytes>,
}

/// Whose clock a record's timestamp is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TimestampKind {
    /// The producer's clock (Kafka's CreateTime).
    Producer,
    /// The broker's clock (Kafka's LogAppendTime).
    Broker,
    /// The broker doesn't say, or has no timestamp.
    #[default]
    Unknown,
}

/// What a body is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BodyEncoding {
    /// Null: no body at all.
    #[default]
    Null,
    /// JSON that parses.
    Json,
    /// UTF-8 text that is no JSON.
    Text,
    /// Neither: shown as hexadecimal.
    Binary,
    /// Avro, decoded by its schema.
    Avro,
    /// Protobuf, decoded by its schema.
    Protobuf,
    /// MessagePack, decoded.
    MessagePack,
    /// CBOR, decoded.
    Cbor,
}

impl BodyEncoding {
    /// Its name in the JSON API and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            BodyEncoding::Null => "null",
            BodyEncoding::Json => "json",
            BodyEncoding::Text => "text",
            BodyEncoding::Binary => "binary",
            BodyEncoding::Avro => "avro",
            BodyEncoding::Protobuf => "protobuf",
            BodyEncoding::MessagePack => "messagepack",
            BodyEncoding::Cbor => "cbor",
        }
    }
}

/// What a record says: the event's own metadata, read from headers or body by the collector's precedence.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Event {
    /// `eventId` or its equivalent.
    pub id: Option<String>,
    /// `eventType` or its equivalent, such as `OrderPlaced`.
    pub event_type: Option<String>,
    /// When it happened, by its producer.
    pub occurred_at: Option<Timestamp>,
    /// Who says so.
    pub producer: Option<String>,
    /// The version of the event's contract.
    pub version: Option<String>,
    /// The trace it was published in.
    pub trace: Option<TraceContext>,
    /// Another trace that the body names (CloudEvents keep the starting trace there), where it differs.
    pub origin_trace: Option<TraceId>,
    /// What caused it, and what it belongs to.
    pub causes: Vec<Cause>,
}

/// The trace context that a record carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span that published it (its creation context), where it is told.
    pub span_id: Option<SpanId>,
    /// Where it was read: a header's name, or `body`.
    pub found_in: Arc<str>,
}

/// One thing that a record names as its cause or as what it belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cause {
    /// Which relation.
    pub kind: CauseKind,
    /// The id it names.
    pub id: String,
}

/// How a record relates to an id that it names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CauseKind {
    /// The message that directly caused this one.
    Causation,
    /// A correlation or conversation id, shared by all messages of one exchange.
    Correlation,
    /// The saga instance it belongs to.
    Saga,
}

/// What a retry copy or a dead letter says of the failure that led to it.
#[derive(Clone, PartialEq, Debug)]
pub struct Failure {
    /// What became of the event.
    pub fate: Fate,
    /// The record that failed first, as far as it is told.
    pub origin: Option<Origin>,
    /// The consumer group that failed.
    pub group: Option<String>,
    /// How many attempts were made so far, as told; see [`Failure::attempts_from`].
    pub attempts: Option<u32>,
    /// The raw name of the header that counted the attempts, because frameworks count different things.
    pub attempts_from: Option<String>,
    /// Not to be tried again before.
    pub not_before: Option<Timestamp>,
    /// The exception's or error's type.
    pub exception: Option<String>,
    /// Its message.
    pub message: Option<String>,
    /// Its stack trace.
    pub stack_trace: Option<String>,
    /// By which convention this was recognised, such as `Spring`.
    pub convention: Arc<str>,
    /// True where only the channel's name says so.
    pub guessed: bool,
}

/// Why readers of committed records don't get a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transaction {
    /// It is in a transaction that is open, or behind one. That changes: such a record is on the board, and is kept once it is decided.
    Open,
    /// Its transaction was aborted: its producer took it back.
    Aborted,
}

impl Transaction {
    /// Its name in the JSON API and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Transaction::Open => "open",
            Transaction::Aborted => "aborted",
        }
    }
}

/// What became of an event that failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fate {
    /// It is to be tried again.
    Retry,
    /// It was set aside.
    DeadLetter,
}

/// The record that a retry copy or dead letter was made from, as its headers tell.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// The channel it was on.
    pub channel: Option<String>,
    /// Its partition.
    pub partition: Option<i32>,
    /// Its offset.
    pub offset: Option<i64>,
    /// Its timestamp.
    pub timestamp: Option<Timestamp>,
}

impl Record {
    /// The entry's own time: the broker's, else the event's, else when we received it.
    pub fn time(&self) -> Timestamp {
        self.timestamp.or(self.event.occurred_at).unwrap_or(self.received_at)
    }

    /// What kind of record it is: `event`, `retry` or `dead`.
    pub fn role(&self) -> &'static str {
        match self.failure.as_ref().map(|failure| failure.fate) {
            None => "event",
            Some(Fate::Retry) => "retry",
            Some(Fate::DeadLetter) => "dead",
        }
    }

    /// The first value of the header of that name, names compared without regard to case.
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?.value.as_ref()
    }

    /// The key as people read it: decoded where that was needed, else its own bytes.
    pub fn readable_key(&self) -> Option<&Bytes> {
        self.decoded.as_ref().and_then(|decoded| decoded.key.as_ref()).or(self.key.as_ref())
    }

    /// The key as text, where it can be read as that.
    pub fn key_text(&self) -> Option<&str> {
        std::str::from_utf8(self.readable_key()?).ok()
    }

    /// The body as people read it: decoded where that was needed, else its own bytes.
    pub fn readable_body(&self) -> Option<&Bytes> {
        self.decoded_body().or(self.body.as_ref())
    }

    /// The body as it was decoded, where that was needed and done.
    pub fn decoded_body(&self) -> Option<&Bytes> {
        self.decoded.as_ref()?.body.as_ref()
    }

    /// The schema that the body names.
    pub fn body_schema(&self) -> Option<&Schema> {
        self.decoded.as_ref()?.body_schema.as_deref()
    }

    /// The schema that the key names.
    pub fn key_schema(&self) -> Option<&Schema> {
        self.decoded.as_ref()?.key_schema.as_deref()
    }

    /// What [`Record::readable_body`] is: JSON, text or binary.
    pub fn readable_encoding(&self) -> BodyEncoding {
        match self.encoding {
            BodyEncoding::Null | BodyEncoding::Json | BodyEncoding::Text | BodyEncoding::Binary => self.encoding,
            _ if self.decoded_body().is_some() => BodyEncoding::Json,
            _ => BodyEncoding::Binary,
        }
    }
}
