//! What a span says of messaging.
//!
//! Attributes count; the span's name is asked only for what they leave open. Both word orders are on the wire:
//! `orders process` (before 1.26 of the conventions, and still the default of most instrumentations) and `process orders`.

use store::position::Place;
use store::span::{Messaging, Operation, SpanKind};
use store::{Value, value::Attributes};

use crate::correlate::attribute::{Concept, TABLE, concept, text};

/// Reads what a span says of messaging; `None` where it has to do with no message.
pub fn messaging(name: &str, kind: SpanKind, attributes: &Attributes) -> Option<Messaging> {
    let said = Said::read(attributes);
    let named = Named::read(name);
    let carries = matches!(kind, SpanKind::Producer | SpanKind::Consumer);
    let concerned = said.anything || (carries && named.operation.is_some());
    if !concerned {
        return None;
    }
    let system = said.text(Concept::System).or_else(|| said.kafka.then(|| "kafka".to_owned())).unwrap_or_default();
    let operation = operation(&said, &named, kind);
    let told = said.text(Concept::Destination).or(named.destination.map(str::to_owned));
    let mut destination = addressed(told.unwrap_or_default(), &said, &system, operation, kind);
    let mut place = offset_place(said.int(Concept::Partition), said.int(Concept::Offset));
    let mut event_ids = said.event_ids.clone();
    if let Some(id) = said.text(Concept::MessageId) {
        match message_id(id, &system, destination.as_deref()) {
            MessageId::Coordinate { topic, place: told } => {
                destination.get_or_insert(topic);
                place.get_or_insert(told);
            }
            MessageId::Brokers(told) => {
                place.get_or_insert(told);
            }
            MessageId::Events(id) => event_ids.insert(0, id),
        }
    }
    event_ids.dedup();
    Some(Messaging {
        system,
        destination,
        place,
        cluster: said.text(Concept::Cluster),
        group: said.text(Concept::Group).or_else(|| said.text(Concept::Subscription)),
        client_id: said.text(Concept::Client),
        operation,
        event_ids,
        conversation_id: said.text(Concept::Conversation),
        key: said.text(Concept::Key),
        batch: said.int(Concept::Batch).and_then(|count| u32::try_from(count).ok()),
    })
}

/// What the attributes say: of each concept the value under its most current name.
struct Said<'a> {
    values: [Option<(usize, &'a Value)>; TABLE.len()],
    event_ids: Vec<String>,
    anything: bool,
    /// Some name speaks of Kafka, even if the system is not named.
    kafka: bool,
}

impl<'a> Said<'a> {
    fn read(attributes: &'a Attributes) -> Said<'a> {
        let mut said = Said { values: [None; TABLE.len()], event_ids: Vec::new(), anything: false, kafka: false };
        for (name, value) in attributes {
            let Some((concept, rank)) = concept(name) else { continue };
            said.anything = true;
            said.kafka |= name.contains("kafka.");
            if concept == Concept::EventId {
                said.event_ids.extend(text(value));
                continue;
            }
            let slot = &mut said.values[concept as usize];
            if slot.is_none_or(|(known, _)| rank < known) {
                *slot = Some((rank, value));
            }
        }
        said
    }

    fn value(&self, concept: Concept) -> Option<&'a Value> {
        self.values[concept as usize].map(|(_, value)| value)
    }

    fn text(&self, concept: Concept) -> Option<String> {
        self.value(concept).and_then(text)
    }

    fn int(&self, concept: Concept) -> Option<i64> {
        self.value(concept)?.as_int()
    }
}

/// What the span's name says.
#[derive(Default)]
struct Named<'a> {
    operation: Option<Operation>,
    destination: Option<&'a str>,
}

impl<'a> Named<'a> {
    /// `orders process`, `process orders`, or the operation alone (`poll`).
    fn read(name: &'a str) -> Named<'a> {
        let mut words = name.split_ascii_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(word), None, None) => Named { operation: operation_of(word), destination: None },
            (Some(first), Some(second), None) => match (operation_of(second), operation_of(first)) {
                (Some(operation), _) => Named { operation: Some(operation), destination: Some(first) },
                (None, Some(operation)) => Named { operation: Some(operation), destination: Some(second) },
                (None, None) => Named::default(),
            },
            _ => Named::default(),
        }
    }
}

fn operation(said: &Said<'_>, named: &Named<'_>, kind: SpanKind) -> Operation {
    let of = |concept| said.text(concept).as_deref().and_then(operation_of);
    let by_kind = match kind {
        SpanKind::Producer => Operation::Send,
        // A consumer span that doesn't say may receive or process; see `Span::processes`.
        SpanKind::Consumer | SpanKind::Client | SpanKind::Server | SpanKind::Internal | SpanKind::Unspecified => {
            Operation::Unknown
        }
    };
    of(Concept::OperationType).or_else(|| of(Concept::OperationName)).or(named.operation).unwrap_or(by_kind)
}

/// The operation that a word stands for: the conventions' closed list with its older words
/// (semantic-conventions : model/messaging/deprecated/registry-deprecated.yaml), then the words of systems and instrumentations.
fn operation_of(word: &str) -> Option<Operation> {
    Some(match word {
        "create" => Operation::Create,
        "send" | "publish" | "produce" => Operation::Send,
        "receive" | "poll" | "recv" | "fetch" => Operation::Receive,
        "process" | "deliver" | "consume" | "handle" => Operation::Process,
        "settle" | "ack" | "nack" | "reject" | "commit" | "complete" | "abandon" => Operation::Settle,
        _ => return None,
    })
}

/// The destination by the name that its broker has for it; `None` where it is not told, or the name is a stand-in for one that is not known.
fn addressed(
    destination: String,
    said: &Said<'_>,
    system: &str,
    operation: Operation,
    kind: SpanKind,
) -> Option<String> {
    // Written by OpenTelemetry's Java instrumentations for queues without a lasting name, and where they see none.
    if matches!(destination.as_str(), "(temporary)" | "(anonymous)" | "unknown") {
        return None;
    }
    if system != "rabbitmq" {
        return (!destination.is_empty()).then_some(destination);
    }
    let consumes = match operation {
        Operation::Receive | Operation::Process | Operation::Settle => true,
        Operation::Create | Operation::Send => false,
        Operation::Unknown => kind == SpanKind::Consumer,
    };
    // `{exchange}:{routing key}` from producers, `{exchange}:{routing key}:{queue}` from consumers, empty parts left out
    // (semantic-conventions : docs/messaging/rabbitmq.md). The default exchange sends to the queue that the key names.
    let mut parts = destination.split(':').filter(|part| !part.is_empty());
    if consumes {
        return parts.next_back().map(str::to_owned);
    }
    let told = parts.find(|part| !is_default_exchange(part)).map(str::to_owned);
    told.or_else(|| said.text(Concept::RoutingKey))
}

fn is_default_exchange(name: &str) -> bool {
    matches!(name, "amq.default" | "<default>")
}

fn offset_place(partition: Option<i64>, offset: Option<i64>) -> Option<Place> {
    let partition = i32::try_from(partition?).ok().filter(|partition| *partition >= 0)?;
    let offset = offset?;
    (offset >= 0).then_some(Place::Offset { partition, offset })
}

/// What a message id is.
enum MessageId {
    /// Where the message is: OpenTelemetry's Python instrumentations for Kafka write `topic.partition.offset`.
    Coordinate { topic: String, place: Place },
    /// The broker's own id, by which it finds the message.
    Brokers(Place),
    /// The producer's: the id of the event.
    Events(String),
}

fn message_id(id: String, system: &str, destination: Option<&str>) -> MessageId {
    if matches!(system, "pulsar" | "aws_sqs" | "gcp_pubsub") {
        return MessageId::Brokers(Place::MessageId(id.into()));
    }
    match coordinate(&id) {
        Some((topic, place)) if system == "kafka" || destination == Some(topic) => {
            MessageId::Coordinate { topic: topic.to_owned(), place }
        }
        _ => MessageId::Events(id),
    }
}

fn coordinate(id: &str) -> Option<(&str, Place)> {
    let (rest, offset) = id.rsplit_once('.')?;
    let (topic, partition) = rest.rsplit_once('.')?;
    let place = offset_place(partition.parse().ok(), offset.parse().ok())?;
    (!topic.is_empty()).then_some((topic, place))
}

#[cfg(test)]
mod tests;
