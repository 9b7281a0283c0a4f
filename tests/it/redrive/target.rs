//! What is at a target, as somebody reads it who reads uncommitted.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::rig::kafka::Kafka;
use crate::rig::unique;

/// A record, but for its time.
#[derive(Clone, PartialEq, Debug)]
pub struct Arrived {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// All records of a topic now, by partition and offset, with what isn't committed.
pub fn arrived(kafka: &Kafka, topic: &str) -> Vec<Arrived> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.address)
        .set("group.id", unique("reader"))
        .set("isolation.level", "read_uncommitted")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let mut places = TopicPartitionList::new();
    let mut many = 0;
    for partition in metadata.topics()[0].partitions() {
        let (begin, end) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE).unwrap();
        many += (end - begin) as usize;
        places.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
    }
    consumer.assign(&places).unwrap();
    let mut arrived = Vec::new();
    while arrived.len() < many {
        let message = consumer.poll(PATIENCE).expect("the broker sends what it has").unwrap();
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        arrived.push(Arrived {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect(),
        });
    }
    arrived.sort_by_key(|arrived| (arrived.partition, arrived.offset));
    arrived
}

/// How long the broker may take.
const PATIENCE: Duration = Duration::from_secs(30);
