//! What each attribute of a span or log means, under current and old names.
//!
//! All messaging attributes of OpenTelemetry are still in development, and instrumentations must keep old names by default
//! (open-telemetry/semantic-conventions : docs/messaging/kafka.md), so old names stay on the wire for years.
//! [`TABLE`] has one row a concept. To teach Sillage a name, add it to its row: the tests walk the table.

use std::sync::LazyLock;

use foldhash::HashMap;
use store::Value;
use store::value::{Attributes, Text};

/// What an attribute tells about a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Concept {
    /// Which messaging system.
    System,
    /// The topic, queue, exchange, subject or stream.
    Destination,
    /// What a producer addressed within an exchange.
    RoutingKey,
    /// The partition, as a number or as text that spells one.
    Partition,
    /// The offset, as a number or as text that spells one.
    Offset,
    /// The consumer group.
    Group,
    /// The subscription, where the system has no groups.
    Subscription,
    /// What is done with the message, from a closed list.
    OperationType,
    /// What is done with the message, in the system's own words.
    OperationName,
    /// The client's id.
    Client,
    /// The message's id: the producer's, the broker's, or a coordinate.
    MessageId,
    /// The event's own id.
    EventId,
    /// The conversation or correlation id.
    Conversation,
    /// The message's key.
    Key,
    /// How many messages a batch has.
    Batch,
    /// The broker's id of the cluster.
    Cluster,
}

/// One concept under all its names.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The concept.
    pub concept: Concept,
    /// Its names: the current one first, then older and others; where several are there, the first of these counts.
    pub names: &'static [&'static str],
}

/// Every name that is known.
///
/// Sources: open-telemetry/semantic-conventions : model/messaging/registry.yaml, model/messaging/deprecated/registry-deprecated.yaml,
/// model/cloudevents/registry.yaml, CHANGELOG.md (1.15 to 1.44); spring-projects/spring-kafka : KafkaListenerObservation.java
/// (`source` names); open-telemetry/opentelemetry-python-contrib : instrumentation/*/utils.py (names from before 1.17);
/// openzipkin/brave : KafkaTags.java (`kafka.topic`, `kafka.key`); MassTransit/MassTransit : DiagnosticHeaders.cs;
/// Particular/NServiceBus : ActivityTags.cs. `messaging.header.*` are headers that OpenTelemetry's Java agent was told to capture.
pub const TABLE: &[Row] = &[
    Row { concept: Concept::System, names: &["messaging.system"] },
    Row {
        concept: Concept::Destination,
        names: &["messaging.destination.name", "messaging.destination", "messaging.source.name", "kafka.topic"],
    },
    Row {
        concept: Concept::RoutingKey,
        names: &["messaging.rabbitmq.destination.routing_key", "messaging.rabbitmq.routing_key"],
    },
    Row {
        concept: Concept::Partition,
        names: &[
            "messaging.destination.partition.id",
            "messaging.kafka.destination.partition",
            "messaging.kafka.source.partition",
            "messaging.kafka.partition",
        ],
    },
    Row { concept: Concept::Offset, names: &["messaging.kafka.offset", "messaging.kafka.message.offset"] },
    Row {
        concept: Concept::Group,
        names: &[
            "messaging.consumer.group.name",
            "messaging.kafka.consumer.group",
            "messaging.kafka.consumer_group",
            "messaging.rocketmq.client_group",
            "messaging.eventhubs.consumer.group",
        ],
    },
    Row {
        concept: Concept::Subscription,
        names: &["messaging.destination.subscription.name", "messaging.servicebus.destination.subscription_name"],
    },
    Row { concept: Concept::OperationType, names: &["messaging.operation.type", "messaging.operation"] },
    Row { concept: Concept::OperationName, names: &["messaging.operation.name"] },
    Row {
        concept: Concept::Client,
        names: &[
            "messaging.client.id",
            "messaging.client_id",
            "messaging.kafka.client_id",
            "messaging.consumer.id",
            "messaging.consumer_id",
        ],
    },
    Row { concept: Concept::MessageId, names: &["messaging.message.id", "messaging.message_id", "messaging.id"] },
    Row {
        concept: Concept::EventId,
        names: &[
            "cloudevents.event_id",
            "event.id",
            "eventId",
            "event_id",
            "messaging.masstransit.message_id",
            "nservicebus.message_id",
            "messaging.header.eventId",
            "messaging.header.event_id",
            "messaging.header.event-id",
            "messaging.header.ce_id",
        ],
    },
    Row {
        concept: Concept::Conversation,
        names: &[
            "messaging.message.conversation_id",
            "messaging.conversation_id",
            "messaging.masstransit.correlation_id",
            "nservicebus.correlation_id",
        ],
    },
    Row { concept: Concept::Key, names: &["messaging.kafka.message.key", "messaging.kafka.message_key", "kafka.key"] },
    Row { concept: Concept::Batch, names: &["messaging.batch.message_count"] },
    Row { concept: Concept::Cluster, names: &["messaging.kafka.cluster.id"] },
];

/// By name: the concept, and the name's rank within its row.
static CONCEPTS: LazyLock<HashMap<&'static str, (Concept, usize)>> = LazyLock::new(|| {
    let mut concepts = HashMap::default();
    for row in TABLE {
        for (rank, name) in row.names.iter().enumerate() {
            concepts.insert(*name, (row.concept, rank));
        }
    }
    concepts
});

/// Which concept an attribute's name stands for, and its rank among that concept's names (0 is the current one).
pub fn concept(name: &str) -> Option<(Concept, usize)> {
    // Most attributes have nothing to do with messages: looking at one byte spares them the hash.
    if !matches!(name.as_bytes().first(), Some(b'm' | b'e' | b'c' | b'k' | b'n')) {
        return None;
    }
    CONCEPTS.get(name).copied()
}

/// The text of an attribute: text, a number, or a list of one text (as captured headers are sent); `None` where that is empty.
pub fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::Text(text) => text.to_string(),
        Value::Int(number) => number.to_string(),
        Value::List(values) => match values.as_slice() {
            [Value::Text(text)] => text.to_string(),
            _ => return None,
        },
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// The id of the event that a log is about: from its attributes, else from a body that is a map.
pub fn event_id_of_log(attributes: &Attributes, body: &Value) -> Option<String> {
    let body = match body {
        Value::Map(entries) => entries.as_slice(),
        _ => &[],
    };
    let named = |entries: &[(Text, Value)]| {
        let ranked = entries.iter().filter_map(|(name, value)| match concept(name)? {
            (Concept::EventId, rank) => Some((rank, text(value)?)),
            _ => None,
        });
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, id)| id)
    };
    named(attributes).or_else(|| named(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_for_one_concept_only() {
        let names: Vec<&str> = TABLE.iter().flat_map(|row| row.names).copied().collect();
        assert_eq!(CONCEPTS.len(), names.len(), "a name stands in two rows");
        for row in TABLE {
            for (rank, name) in row.names.iter().enumerate() {
                assert_eq!(concept(name), Some((row.concept, rank)), "{name}");
            }
        }
        assert_eq!(concept("http.request.method"), None);
        assert_eq!(concept("messaging.system.other"), None);
        assert_eq!(concept(""), None);
    }

    #[test]
    fn a_log_names_its_event_in_an_attribute_or_in_its_body() {
        for name in ["event.id", "eventId", "event_id", "cloudevents.event_id"] {
            let attributes = vec![("code".into(), Value::Int(1)), (name.into(), Value::Text("e-1".into()))];
            assert_eq!(event_id_of_log(&attributes, &Value::Empty).as_deref(), Some("e-1"), "{name}");
            let body = Value::Map(attributes);
            assert_eq!(event_id_of_log(&Vec::new(), &body).as_deref(), Some("e-1"), "{name} in the body");
        }
        assert_eq!(event_id_of_log(&vec![("eventId".into(), Value::Text("".into()))], &Value::Empty), None);
    }
}
