//! What a span says about the message that it is about: the current names of OpenTelemetry's messaging conventions,
//! or the older ones that most instrumentations in the field still send.
//!
//! Source: open-telemetry/semantic-conventions : model/messaging/registry.yaml (1.44) and, for the older names,
//! model/messaging/deprecated/registry-deprecated.yaml.

use opentelemetry::{
    KeyValue,
    trace::{Link, SpanBuilder, SpanKind},
};

use super::record::Record;

/// Which names a service's instrumentation writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// Since 1.28: `messaging.consumer.group.name`, `messaging.kafka.offset`, a partition as text.
    Current,
    /// Until 1.24 or so: `messaging.kafka.consumer.group`, `messaging.kafka.message.offset`, a partition as a number.
    Old,
}

impl Names {
    /// The span of a producer that sends to `topic`. Where the message landed is added by [`Names::landed`].
    pub(crate) fn send(self, topic: &str, key: Option<&str>, client_id: &str) -> SpanBuilder {
        let (name, mut attributes) = match self {
            Names::Current => (
                format!("send {topic}"),
                vec![
                    KeyValue::new("messaging.operation.type", "send"),
                    KeyValue::new("messaging.operation.name", "send"),
                    KeyValue::new("messaging.client.id", client_id.to_owned()),
                ],
            ),
            Names::Old => (
                format!("{topic} publish"),
                vec![
                    KeyValue::new("messaging.operation", "publish"),
                    KeyValue::new("messaging.client_id", client_id.to_owned()),
                ],
            ),
        };
        attributes.push(KeyValue::new("messaging.system", "kafka"));
        attributes.push(KeyValue::new("messaging.destination.name", topic.to_owned()));
        if let Some(key) = key {
            attributes.push(KeyValue::new("messaging.kafka.message.key", key.to_owned()));
        }
        SpanBuilder::from_name(name).with_kind(SpanKind::Producer).with_attributes(attributes)
    }

    /// Where a message is in its topic.
    pub(crate) fn landed(self, partition: i32, offset: i64) -> [KeyValue; 2] {
        match self {
            Names::Current => [
                KeyValue::new("messaging.destination.partition.id", partition.to_string()),
                KeyValue::new("messaging.kafka.offset", offset),
            ],
            Names::Old => [
                KeyValue::new("messaging.kafka.destination.partition", i64::from(partition)),
                KeyValue::new("messaging.kafka.message.offset", offset),
            ],
        }
    }

    /// The span of a consumer that processes one record.
    pub(crate) fn process(self, record: &Record, group: &str) -> SpanBuilder {
        let topic = &record.topic;
        let (name, mut attributes) = match self {
            Names::Current => (
                format!("process {topic}"),
                vec![
                    KeyValue::new("messaging.operation.type", "process"),
                    KeyValue::new("messaging.operation.name", "process"),
                    KeyValue::new("messaging.consumer.group.name", group.to_owned()),
                ],
            ),
            Names::Old => (
                format!("{topic} process"),
                vec![
                    KeyValue::new("messaging.operation", "process"),
                    KeyValue::new("messaging.kafka.consumer.group", group.to_owned()),
                ],
            ),
        };
        attributes.push(KeyValue::new("messaging.system", "kafka"));
        attributes.push(KeyValue::new("messaging.destination.name", topic.clone()));
        attributes.extend(self.landed(record.partition, record.offset));
        if let Some(key) = &record.key {
            attributes.push(KeyValue::new("messaging.kafka.message.key", key.clone()));
        }
        SpanBuilder::from_name(name).with_kind(SpanKind::Consumer).with_attributes(attributes)
    }
}

/// The span of one poll that brought several records of a topic, linked to the creation of each. Current names only.
pub(crate) fn poll(topic: &str, group: &str, links: Vec<Link>, n_records: usize) -> SpanBuilder {
    let count = i64::try_from(n_records).unwrap_or(i64::MAX);
    SpanBuilder::from_name(format!("poll {topic}")).with_kind(SpanKind::Client).with_links(links).with_attributes([
        KeyValue::new("messaging.system", "kafka"),
        KeyValue::new("messaging.operation.type", "receive"),
        KeyValue::new("messaging.operation.name", "poll"),
        KeyValue::new("messaging.destination.name", topic.to_owned()),
        KeyValue::new("messaging.consumer.group.name", group.to_owned()),
        KeyValue::new("messaging.batch.message_count", count),
    ])
}

#[cfg(test)]
mod tests {
    use opentelemetry::Value;

    use super::*;
    use crate::shop::record::Headers;

    fn check(names: Names, name: &str, expected: &[(&str, Value)]) {
        let record = Record {
            topic: "order.placed".into(),
            partition: 3,
            offset: 48_213,
            timestamp_ms: 0,
            key: Some("order-1".into()),
            payload: Vec::new(),
            headers: Headers::default(),
        };
        let span = names.process(&record, "billing");
        assert_eq!(span.name, name);
        assert_eq!(span.span_kind, Some(SpanKind::Consumer));
        let attributes = span.attributes.unwrap();
        for (key, value) in expected {
            let found = attributes.iter().find(|attribute| attribute.key.as_str() == *key);
            assert_eq!(found.map(|attribute| &attribute.value), Some(value), "{key}");
        }
    }

    #[test]
    fn current_names_have_the_partition_as_text() {
        check(
            Names::Current,
            "process order.placed",
            &[
                ("messaging.destination.partition.id", "3".into()),
                ("messaging.kafka.offset", 48_213.into()),
                ("messaging.consumer.group.name", "billing".into()),
                ("messaging.operation.type", "process".into()),
            ],
        );
    }

    #[test]
    fn old_names_have_the_partition_as_a_number() {
        check(
            Names::Old,
            "order.placed process",
            &[
                ("messaging.kafka.destination.partition", 3.into()),
                ("messaging.kafka.message.offset", 48_213.into()),
                ("messaging.kafka.consumer.group", "billing".into()),
                ("messaging.operation", "process".into()),
            ],
        );
    }
}
