//! What OpenTelemetry's own instrumentations sent (tests/recordings), sent once more: the same OTLP bodies, the same records on a real
//! Kafka at the same offsets. Each flow must have its own entries, all of them, and nothing of a neighbour.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::RangeInclusive;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use rdkafka::message::{Header, OwnedHeaders};
use serde_json::Value;

use crate::rig::home::{Home, Sillage};
use crate::rig::http;
use crate::rig::kafka::{self, Draft, Kafka};
use crate::rig::parts;

const PATIENCE: Duration = Duration::from_secs(60);

/// One recording, decoded from its lines.
struct Recording {
    /// (signal, body) in the order of arrival.
    otlp: Vec<(String, Vec<u8>)>,
    records: Vec<Recorded>,
}

struct Recorded {
    topic: String,
    partition: i32,
    offset: i64,
    draft: Draft,
}

impl Recording {
    fn read(scenario: &str) -> Recording {
        let file = parts::repository().join(format!("tests/recordings/{scenario}.jsonl.gz"));
        let bytes = |value: &Value| value.as_str().map(|text| STANDARD.decode(text).unwrap());
        let mut recording = Recording { otlp: Vec::new(), records: Vec::new() };
        for line in BufReader::new(GzDecoder::new(File::open(file).unwrap())).lines() {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if let Some(signal) = line["otlp"].as_str() {
                recording.otlp.push((signal.to_owned(), bytes(&line["protobuf"]).unwrap()));
            } else if let Some(record) = line["record"].as_object() {
                let partition = record["partition"].as_i64().unwrap() as i32;
                let mut headers = OwnedHeaders::new();
                for header in record["headers"].as_array().unwrap() {
                    let value = bytes(&header[1]);
                    headers = headers.insert(Header { key: header[0].as_str().unwrap(), value: value.as_deref() });
                }
                recording.records.push(Recorded {
                    topic: record["topic"].as_str().unwrap().to_owned(),
                    partition,
                    offset: record["offset"].as_i64().unwrap(),
                    draft: Draft {
                        partition: Some(partition),
                        key: bytes(&record["key"]),
                        value: bytes(&record["value"]),
                        headers,
                        timestamp_ms: record["timestampMs"].as_i64(),
                    },
                });
            }
        }
        recording
    }

    fn topics(&self) -> Vec<&str> {
        let mut topics: Vec<&str> = self.records.iter().map(|record| record.topic.as_str()).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    /// Makes it happen again.
    fn replay(&self, kafka: &Kafka, home: &Home, sillage: &Sillage) {
        for (signal, body) in &self.otlp {
            let headers = [("content-type", "application/x-protobuf")];
            let answer = http::post(home.http, &format!("/v1/{signal}"), &headers, body).unwrap();
            assert_eq!((answer.status, answer.body.len()), (200, 0), "{}", answer.text());
        }
        for topic in self.topics() {
            let of_topic: Vec<&Recorded> = self.records.iter().filter(|record| record.topic == topic).collect();
            let drafts: Vec<Draft> = of_topic.iter().map(|record| record.draft.clone()).collect();
            for (at, record) in kafka.send(topic, &drafts).into_iter().zip(&of_topic) {
                assert_eq!(at, (record.partition, record.offset), "the record is where it was recorded");
            }
        }
        for topic in self.topics() {
            let count = self.records.iter().filter(|record| record.topic == topic).count();
            sillage.records_when(topic, count, PATIENCE);
        }
    }
}

/// How much a flow holds: exactly so many records; spans in a range where the batch's own spans may be shown or summed up.
struct Holds {
    records: RangeInclusive<usize>,
    spans: RangeInclusive<usize>,
    logs: usize,
}

/// Replays a scenario and looks at the flow of every order (of 500, at every 50th). `holds` may depend on the order's amount.
fn check(scenario: &str, partitions: i32, holds: impl Fn(i64) -> Holds) {
    let recording = Recording::read(scenario);
    // A broker of its own: recorded topics have plain names, and recorded spans name its cluster.
    let kafka = Kafka::start(&format!("recorded-{scenario}"));
    for topic in recording.topics() {
        let most = recording
            .records
            .iter()
            .filter(|record| record.topic == topic)
            .map(|record| record.partition)
            .max()
            .unwrap();
        kafka.create(topic, partitions.max(most + 1));
    }
    let home = Home::new(&kafka::source(&kafka, &["*"]));
    let sillage = home.serve();
    recording.replay(&kafka, &home, &sillage);

    let orders: Vec<&Recorded> = recording.records.iter().filter(|record| record.topic == "orders").collect();
    let step = if orders.len() > 100 { 50 } else { 1 };
    for order in orders.into_iter().step_by(step) {
        let body: Value = serde_json::from_slice(order.draft.value.as_ref().unwrap()).unwrap();
        let key = String::from_utf8(order.draft.key.clone().unwrap()).unwrap();
        let expected = holds(body["amount"].as_i64().unwrap());
        let path = format!("record/main/orders/{}@{}", order.partition, order.offset);
        let flow = sillage.api(&path);
        let told = || format!("{scenario}, {key}: {}", crate::rig::home::cut(&flow.to_string()));

        let records = flow["records"].as_array().unwrap();
        assert!(records.iter().all(|record| record["key"] == key.as_str()), "a neighbour's record: {}", told());
        assert!(expected.records.contains(&records.len()), "{} records: {}", records.len(), told());
        let spans = flow["spans"].as_array().unwrap();
        for span in spans {
            let named = &span["attributes"]["messaging.kafka.message.key"];
            assert!(named.is_null() || *named == key.as_str(), "a neighbour's span {span}: {}", told());
        }
        assert!(expected.spans.contains(&spans.len()), "{} spans: {}", spans.len(), told());
        assert_eq!(flow["logs"].as_array().unwrap().len(), expected.logs, "{}", told());
        // The span that made a record is in the flow with it.
        for record in records {
            if let Some(span_id) = record["spanId"].as_str() {
                assert!(
                    spans.iter().any(|span| span["spanId"] == span_id),
                    "the sender of {} is missing: {}",
                    record["position"],
                    told()
                );
            }
        }
    }
    sillage.stop();
    kafka.down();
}

fn holds(records: usize, spans: RangeInclusive<usize>, logs: usize) -> Holds {
    Holds { records: records..=records, spans, logs }
}

#[test]
fn java_agent_with_old_names() {
    check("java-chain", 3, |_| holds(2, 4..=4, 0));
}

#[test]
fn java_agent_with_new_names() {
    check("java-chain-new-names", 3, |_| holds(2, 4..=4, 0));
}

#[test]
fn java_agent_with_a_receive_span_and_links() {
    check("java-receive-links", 1, |_| holds(2, 3..=4, 0));
}

#[test]
fn kafkajs_each_message() {
    check("js-chain", 3, |_| holds(2, 5..=5, 0));
}

#[test]
fn kafkajs_batch_of_500() {
    check("js-batch-500", 3, |_| holds(2, 3..=4, 0));
}

#[test]
fn python_with_new_traces_and_logs() {
    check("python-links", 3, |_| holds(2, 5..=7, 3));
}

#[test]
fn python_batch_span_with_500_links() {
    check("python-batch-500", 3, |_| holds(2, 3..=4, 0));
}

#[test]
fn python_batch_span_that_dropped_links() {
    check("python-batch-links-dropped", 1, |_| Holds { records: 1..=2, spans: 1..=4, logs: 0 });
}

#[test]
fn three_languages() {
    check("mixed-chain", 3, |_| holds(2, 5..=6, 1));
}

#[test]
fn spring_retries_and_dead_letters() {
    check("spring-retries", 2, |amount| match amount {
        // Fails twice, then succeeds: three process spans, two copies, an answer, its booking.
        11 => holds(4, 8..=8, 0),
        // Fails for good: original, two copies, the dead letter.
        12 => holds(4, 8..=8, 0),
        // Processed; its answer fails twice and dies in ledger.
        13 => holds(3, 6..=6, 0),
        _ => holds(2, 4..=4, 0),
    });
}
