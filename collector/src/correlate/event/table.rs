//! The names under which frameworks keep an event's metadata, each with its rank: where several are there, the lowest wins.
//!
//! Sources: cloudevents/spec : cloudevents/bindings · NServiceBus : src/NServiceBus.Core/Headers.cs · MassTransit :
//! src/MassTransit.Abstractions/MessageHeaders.cs, JsonMessageEnvelope.cs · spring-kafka : AbstractJavaTypeMapper.java · debezium :
//! EventRouterConfigDefinition.java · axon-messaging : Headers.java · eventuate-tram-core : Message.java, EventMessageHeaders.java ·
//! Rebus : Rebus/Messages/Headers.cs · dotnetcore/CAP : Headers.cs · wolverine : EnvelopeConstants.cs · watermill : correlation.go ·
//! dapr/components-contrib : pubsub/envelope.go.

use store::record::CauseKind;

/// What a name means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// The event's id.
    Id,
    /// The event's type.
    Type,
    /// When it happened.
    OccurredAt,
    /// Who says so.
    Producer,
    /// The version of its contract.
    Version,
    /// Its trace, in a body.
    Trace,
    /// Nothing by itself: it helps to know what the body is.
    Shape,
    /// What caused it, or what it belongs to: all that are there are kept.
    Cause(CauseKind),
}

impl Field {
    /// How many fields have one value.
    pub const SINGLE: usize = 7;

    /// Its place among those that have one value.
    pub fn index(self) -> usize {
        match self {
            Field::Id => 0,
            Field::Type => 1,
            Field::OccurredAt => 2,
            Field::Producer => 3,
            Field::Version => 4,
            Field::Trace => 5,
            Field::Shape | Field::Cause(_) => 6,
        }
    }
}

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// As it is meant.
    Plain,
    /// Percent-encoded.
    Percent,
    /// The name of a class, with its namespace and perhaps more.
    Class,
    /// A URI whose last part counts.
    Address,
    /// A schema's URI that may end in a version.
    Schema,
}

/// When a row counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Only {
    /// Always.
    Always,
    /// Only in exactly this case of letters: the name is too usual otherwise.
    ThisCase,
    /// Only in a CloudEvent in structured mode.
    CloudEvent,
    /// Only on an outbox topic, or where the value is a UUID: the name is too usual otherwise.
    Outbox,
}

/// One name.
#[derive(Debug)]
pub struct Row {
    /// The name, as it is written.
    pub name: &'static str,
    /// What it means.
    pub field: Field,
    /// The lower, the sooner it is believed.
    pub rank: u8,
    /// How its value is written.
    pub written: Written,
    /// When it counts.
    pub only: Only,
    /// In a body: whether it is looked for one level down too, in `data` (CloudEvents), `message` (MassTransit), `metadata`, `meta` and `payload`.
    pub inner: bool,
}

const fn row(name: &'static str, field: Field, rank: u8) -> Row {
    Row { name, field, rank, written: Written::Plain, only: Only::Always, inner: false }
}

const fn written(row: Row, written: Written) -> Row {
    Row { written, ..row }
}

const fn only(row: Row, only: Only) -> Row {
    Row { only, ..row }
}

const fn inner(row: Row) -> Row {
    Row { inner: true, ..row }
}

const CAUSATION: Field = Field::Cause(CauseKind::Causation);
const CORRELATION: Field = Field::Cause(CauseKind::Correlation);
const SAGA: Field = Field::Cause(CauseKind::Saga);

/// Names of headers. They are compared without regard to case, unless the row says otherwise.
pub const HEADERS: &[Row] = &[
    // Plain names.
    row("eventId", Field::Id, 0),
    row("event-id", Field::Id, 1),
    row("event_id", Field::Id, 1),
    row("eventType", Field::Type, 0),
    row("event_type", Field::Type, 1),
    row("event-type", Field::Type, 1), // also Eventuate
    row("occurredAt", Field::OccurredAt, 0),
    row("occurred-at", Field::OccurredAt, 1),
    row("occurred_at", Field::OccurredAt, 1),
    row("producer", Field::Producer, 0),
    row("version", Field::Version, 0),
    row("eventVersion", Field::Version, 1),
    row("event-version", Field::Version, 1),
    row("event_version", Field::Version, 1),
    row("correlationId", CORRELATION, 0),  // also Axon
    row("correlation-id", CORRELATION, 0), // also Wolverine, AMQP
    row("correlation_id", CORRELATION, 0), // also Watermill
    row("causationId", CAUSATION, 0),
    row("causation-id", CAUSATION, 0), // also Wolverine
    row("causation_id", CAUSATION, 0),
    row("sagaId", SAGA, 0),
    // CloudEvents, binary mode: Kafka, NATS and HTTP, AMQP twice.
    row("ce_id", Field::Id, 2),
    row("ce_type", Field::Type, 2),
    row("ce_time", Field::OccurredAt, 2),
    row("ce_source", Field::Producer, 2),
    written(row("ce_dataschema", Field::Version, 30), Written::Schema),
    row("ce_correlationid", CORRELATION, 0),
    row("ce_causationid", CAUSATION, 0),
    written(row("ce-id", Field::Id, 2), Written::Percent),
    written(row("ce-type", Field::Type, 2), Written::Percent),
    written(row("ce-time", Field::OccurredAt, 2), Written::Percent),
    written(row("ce-source", Field::Producer, 2), Written::Percent),
    written(row("ce-dataschema", Field::Version, 30), Written::Schema),
    row("cloudEvents_id", Field::Id, 2),
    row("cloudEvents_type", Field::Type, 2),
    row("cloudEvents_time", Field::OccurredAt, 2),
    row("cloudEvents_source", Field::Producer, 2),
    row("cloudEvents:id", Field::Id, 2),
    row("cloudEvents:type", Field::Type, 2),
    row("cloudEvents:time", Field::OccurredAt, 2),
    row("cloudEvents:source", Field::Producer, 2),
    // NServiceBus. `NServiceBus.Version` is the framework's own version and says nothing of the event.
    row("NServiceBus.MessageId", Field::Id, 20),
    written(row("NServiceBus.EnclosedMessageTypes", Field::Type, 20), Written::Class),
    row("NServiceBus.TimeSent", Field::OccurredAt, 20),
    row("NServiceBus.OriginatingEndpoint", Field::Producer, 20),
    row("NServiceBus.RelatedTo", CAUSATION, 0),
    row("NServiceBus.ConversationId", CORRELATION, 0),
    row("NServiceBus.CorrelationId", CORRELATION, 0),
    row("NServiceBus.SagaId", SAGA, 0),
    row("NServiceBus.OriginatingSagaId", SAGA, 0),
    // MassTransit.
    row("MessageId", Field::Id, 21),
    written(row("MT-MessageType", Field::Type, 21), Written::Class),
    written(row("MT-Source-Address", Field::Producer, 21), Written::Address),
    row("ConversationId", CORRELATION, 0),
    row("conversation-id", CORRELATION, 0), // Wolverine
    row("MT-InitiatorId", CAUSATION, 0),
    // Spring.
    written(row("__TypeId__", Field::Type, 22), Written::Class),
    row("kafka_correlationId", CORRELATION, 0),
    // Axon.
    row("axon-message-id", Field::Id, 22),
    written(row("axon-message-type", Field::Type, 22), Written::Class),
    row("axon-message-timestamp", Field::OccurredAt, 22),
    row("axon-message-aggregate-type", Field::Producer, 22),
    row("axon-message-revision", Field::Version, 22),
    // Eventuate.
    only(row("ID", Field::Id, 23), Only::ThisCase),
    only(row("DATE", Field::OccurredAt, 23), Only::ThisCase),
    row("event-aggregate-type", Field::Producer, 23),
    row("reply_to_message_id", CAUSATION, 0),
    // Rebus.
    row("rbs2-msg-id", Field::Id, 24),
    written(row("rbs2-msg-type", Field::Type, 24), Written::Class),
    row("rbs2-senttime", Field::OccurredAt, 24),
    row("rbs2-sender-address", Field::Producer, 24),
    row("rbs2-corr-id", CORRELATION, 0),
    row("rbs2-in-reply-to", CAUSATION, 0),
    // CAP.
    row("cap-msg-id", Field::Id, 25),
    row("cap-msg-name", Field::Type, 25),
    written(row("cap-msg-type", Field::Type, 26), Written::Class),
    row("cap-senttime", Field::OccurredAt, 25),
    row("cap-exec-instance-id", Field::Producer, 25),
    row("cap-corr-id", CORRELATION, 0),
    // Wolverine.
    written(row("message-type", Field::Type, 27), Written::Class),
    row("sent-at", Field::OccurredAt, 27),
    only(row("source", Field::Producer, 27), Only::ThisCase),
    row("saga-id", SAGA, 0),
    // What the broker or the protocol knows.
    row("Nats-Msg-Id", Field::Id, 30),
    row("message-id", Field::Id, 31),
    // Debezium's outbox, Wolverine and Spring's messaging id.
    only(row("id", Field::Id, 32), Only::Outbox),
];

/// Names in a JSON body, exactly as written.
pub const BODY: &[Row] = &[
    inner(row("eventId", Field::Id, 10)),
    inner(row("event_id", Field::Id, 11)),
    inner(row("eventType", Field::Type, 10)),
    inner(row("event_type", Field::Type, 11)),
    inner(row("occurredAt", Field::OccurredAt, 10)),
    inner(row("occurred_at", Field::OccurredAt, 11)),
    inner(row("producer", Field::Producer, 10)),
    inner(row("version", Field::Version, 10)),
    inner(row("eventVersion", Field::Version, 11)),
    inner(row("schemaVersion", Field::Version, 12)),
    inner(row("traceparent", Field::Trace, 0)),
    inner(row("traceId", Field::Trace, 1)),
    inner(row("traceid", Field::Trace, 1)), // Dapr: a whole traceparent, despite its name
    inner(row("trace_id", Field::Trace, 1)),
    inner(row("correlationId", CORRELATION, 0)),
    inner(row("correlation_id", CORRELATION, 0)),
    inner(row("correlationid", CORRELATION, 0)),
    inner(row("causationId", CAUSATION, 0)),
    inner(row("causation_id", CAUSATION, 0)),
    inner(row("causationid", CAUSATION, 0)),
    inner(row("sagaId", SAGA, 0)),
    // CloudEvents, structured mode.
    row("specversion", Field::Shape, 0),
    only(row("id", Field::Id, 12), Only::CloudEvent),
    only(row("type", Field::Type, 12), Only::CloudEvent),
    only(row("time", Field::OccurredAt, 12), Only::CloudEvent),
    only(row("source", Field::Producer, 12), Only::CloudEvent),
    written(only(row("dataschema", Field::Version, 31), Only::CloudEvent), Written::Schema),
    // MassTransit's envelope.
    row("messageId", Field::Id, 39),
    written(row("messageType", Field::Type, 39), Written::Class),
    row("sentTime", Field::OccurredAt, 39),
    written(row("sourceAddress", Field::Producer, 39), Written::Address),
    row("conversationId", CORRELATION, 0),
    row("initiatorId", CAUSATION, 0),
    row("requestId", CORRELATION, 0),
    // What else may be an id or a type.
    row("id", Field::Id, 40),
    row("type", Field::Type, 40),
];

#[cfg(test)]
mod tests;
