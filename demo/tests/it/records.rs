//! What is on the topics, read by a consumer that assigns itself the partitions and belongs to no service.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
};
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(5);

/// A record as a reader outside the shop sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub key: String,
    pub payload: Vec<u8>,
    /// `None` where the payload is no JSON.
    pub json: Option<Value>,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Seen {
    pub fn field(&self, name: &str) -> &str {
        self.json.as_ref().and_then(|json| json[name].as_str()).unwrap_or_default()
    }

    pub fn header(&self, key: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_slice()).collect()
    }
}

/// Reads every topic from its start.
pub struct Watcher {
    consumer: BaseConsumer,
    pub seen: Vec<Seen>,
}

impl Watcher {
    pub fn new(brokers: &str) -> Watcher {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", "watcher")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "50")
            .create()
            .unwrap();
        let mut assignment = TopicPartitionList::new();
        for topic in demo::TOPICS {
            for partition in 0..demo::PARTITIONS {
                assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
            }
        }
        consumer.assign(&assignment).unwrap();
        Watcher { consumer, seen: Vec::new() }
    }

    /// Reads what has arrived.
    pub fn look(&mut self) -> &[Seen] {
        while let Some(message) = self.consumer.poll(Duration::from_millis(20)) {
            let message = message.unwrap();
            let payload = message.payload().unwrap_or_default().to_vec();
            let headers = message.headers().map_or_else(Vec::new, |headers| {
                headers
                    .iter()
                    .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
                    .collect()
            });
            self.seen.push(Seen {
                topic: message.topic().to_owned(),
                partition: message.partition(),
                offset: message.offset(),
                key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
                json: serde_json::from_slice(&payload).ok(),
                payload,
                headers,
            });
        }
        &self.seen
    }

    pub fn count(&mut self, topic: &str) -> usize {
        self.look().iter().filter(|seen| seen.topic == topic).count()
    }
}

/// How many records of a topic a group has not committed yet, asked with named partitions as the mock cluster wants it.
pub fn lag(brokers: &str, group: &str, topic: &str) -> i64 {
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_range(topic, 0, demo::PARTITIONS - 1);
    let committed = client.committed_offsets(partitions, TIMEOUT).unwrap();
    (0..demo::PARTITIONS)
        .map(|partition| {
            let (_, end) = client.fetch_watermarks(topic, partition, TIMEOUT).unwrap();
            let committed = match committed.find_partition(topic, partition).unwrap().offset() {
                Offset::Offset(offset) => offset,
                _ => 0,
            };
            end - committed
        })
        .sum()
}
