//! A span as OpenTelemetry sends it, with what it says of messaging read once at the door.

use std::sync::Arc;

use crate::id::{SpanId, TraceId};
use crate::position::Place;
use crate::time::Timestamp;
use crate::value::Attributes;

/// A span.
#[derive(Clone, PartialEq, Debug)]
pub struct Span {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// Its parent; `None` for a root.
    pub parent_span_id: Option<SpanId>,
    /// The W3C trace state, as sent.
    pub trace_state: String,
    /// The W3C trace flags and OTLP's span flags, as sent.
    pub flags: u32,
    /// What it is called.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// When it began, by its service's clock.
    pub started_at: Timestamp,
    /// When it ended, by its service's clock.
    pub ended_at: Timestamp,
    /// How it ended.
    pub status: SpanStatus,
    /// What it says about itself.
    pub attributes: Attributes,
    /// How many attributes its SDK dropped.
    pub dropped_attributes: u32,
    /// What happened during it.
    pub events: Vec<SpanEvent>,
    /// Other spans that it refers to.
    pub links: Vec<SpanLink>,
    /// Who sent it.
    pub resource: Arc<Resource>,
    /// Which library made it.
    pub scope: Arc<Scope>,
    /// What it says of messaging; `None` for a span that has to do with no message.
    pub messaging: Option<Messaging>,
    /// When we received it, by our clock.
    pub received_at: Timestamp,
}

/// Who sent spans or logs.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Resource {
    /// `service.name`, or `unknown_service` as the specification has it.
    pub service: String,
    /// All of its attributes.
    pub attributes: Attributes,
}

/// The library that made spans or logs.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Scope {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its attributes.
    pub attributes: Attributes,
}

/// A span's kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum SpanKind {
    /// The SDK didn't say.
    #[default]
    Unspecified,
    /// Inside one service.
    Internal,
    /// The serving side of a call.
    Server,
    /// The calling side of a call.
    Client,
    /// Publishes a message.
    Producer,
    /// Processes a message.
    Consumer,
}

impl SpanKind {
    /// Its name in the JSON API, on pages and in queries (`role:`).
    pub fn as_str(self) -> &'static str {
        match self {
            SpanKind::Unspecified => "unspecified",
            SpanKind::Internal => "internal",
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            SpanKind::Producer => "producer",
            SpanKind::Consumer => "consumer",
        }
    }
}

/// How a span ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum SpanStatus {
    /// Nothing was said.
    #[default]
    Unset,
    /// Said to be well.
    Ok,
    /// Failed, with what the SDK says of it (may be empty).
    Error(String),
}

/// Something that happened during a span.
#[derive(Clone, PartialEq, Debug)]
pub struct SpanEvent {
    /// When.
    pub at: Timestamp,
    /// What it is called; `exception` for recorded exceptions.
    pub name: String,
    /// What it says.
    pub attributes: Attributes,
}

/// Another span that a span refers to.
#[derive(Clone, PartialEq, Debug)]
pub struct SpanLink {
    /// The other span's trace.
    pub trace_id: TraceId,
    /// The other span.
    pub span_id: SpanId,
    /// What the link says.
    pub attributes: Attributes,
}

/// What a span says of messaging, under current and old attribute names alike.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Messaging {
    /// `kafka`, `rabbitmq`, `nats`, ... as sent.
    pub system: String,
    /// The topic, queue, subject or stream.
    pub destination: Option<String>,
    /// Where the message is, as far as partition and offset (or another id of the broker's) are told.
    pub place: Option<Place>,
    /// The broker's id of the cluster, where it is told.
    pub cluster: Option<String>,
    /// The consumer group or subscription.
    pub group: Option<String>,
    /// The client's id.
    pub client_id: Option<String>,
    /// What is done with the message.
    pub operation: Operation,
    /// Event ids that it names (`messaging.message.id`, `cloudevents.event_id`, `event.id`), never a coordinate.
    pub event_ids: Vec<String>,
    /// The conversation or correlation id.
    pub conversation_id: Option<String>,
    /// The message's key.
    pub key: Option<String>,
    /// How many messages the span is about, where it is a batch.
    pub batch: Option<u32>,
}

/// What a span does with a message (semantic-conventions : docs/messaging/messaging-spans.md, old names mapped to new).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Operation {
    /// It doesn't say.
    #[default]
    Unknown,
    /// Makes a message.
    Create,
    /// Hands messages to the broker (`publish` before 1.26).
    Send,
    /// Asks the broker for messages.
    Receive,
    /// Works on a message (`deliver` before 1.26).
    Process,
    /// Acknowledges or rejects.
    Settle,
}

impl Span {
    /// The service that sent it.
    pub fn service(&self) -> &str {
        &self.resource.service
    }

    /// How long it took in nanoseconds; 0 where its clock went backwards.
    pub fn duration_nanos(&self) -> u64 {
        u64::try_from(self.ended_at.nanos_since(self.started_at)).unwrap_or(0)
    }

    /// Whether it ended in an error.
    pub fn failed(&self) -> bool {
        matches!(self.status, SpanStatus::Error(_))
    }

    /// Whether it is one service's work on a message: a process span, or a consumer span that doesn't say.
    pub fn processes(&self) -> bool {
        self.messaging.as_ref().is_some_and(|messaging| match messaging.operation {
            Operation::Process => true,
            Operation::Unknown => self.kind == SpanKind::Consumer,
            Operation::Create | Operation::Send | Operation::Receive | Operation::Settle => false,
        })
    }
}
