//! A Kafka-protocol broker inside this process: librdkafka's mock cluster, kept alive by a thread of its own.
//!
//! It exists so that a demonstration and a test need nothing installed. Real Kafka clients talk to it over TCP on the
//! loopback, with records, headers, consumer groups, commits and watermarks. It is **not** a small Kafka:
//!
//! * It can't list or describe groups: name them. Committed offsets must be asked for with named partitions (asked for
//!   "all", it answers an empty list without an error).
//! * It can't be searched by time (`offsets_for_times` says "end"), nor tell its configuration.
//! * It can't create or delete topics over the protocol (such a request times out): see [`EmbeddedBroker::create_topics`].
//! * It keeps at most [`PARTITION_BYTES_MAX`] and [`PARTITION_BATCHES_MAX`] of each partition, and drops the oldest
//!   batch when one more would not fit, whatever consumers still wait for it.
//! * A delivery report claims a log-append time of 1234 ms; the record itself carries the producer's time.
//! * The first member of an empty group waits 3 s for company, as a default Kafka broker has it too.
//! * Everything is gone when it is dropped, and the next start is another incarnation: other port, offsets from 0.
//!
//! Sources: librdkafka : src/rdkafka_mock.c, src/rdkafka_mock_cgrp.c, src/rdkafka_mock_handlers.c (2.12.1).

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
};

use rdkafka::{error::KafkaError, mocking::MockCluster};

use crate::DemoError;

/// How many bytes of record batches a partition keeps; the oldest batch goes when one more would not fit.
///
/// Fixed by librdkafka : src/rdkafka_mock.c (`rd_kafka_mock_partition_init`), named here because consumers that fall
/// further behind than this lose records.
pub const PARTITION_BYTES_MAX: usize = 5 * 1024 * 1024;

/// How many record batches a partition keeps, whatever their size. Fixed where [`PARTITION_BYTES_MAX`] is.
pub const PARTITION_BATCHES_MAX: usize = 100_000;

/// One broker is enough: the shop has no use for replicas, and each further one costs every client a connection.
const BROKERS: i32 = 1;

/// A Kafka-protocol broker on a free loopback port, which lives as long as this value.
#[derive(Debug)]
pub struct EmbeddedBroker {
    bootstrap: String,
    orders: Option<Sender<CreateTopic>>,
    thread: Option<JoinHandle<()>>,
}

/// What can be asked of the thread that owns the cluster.
struct CreateTopic {
    topic: String,
    partitions: i32,
    answer: Sender<Result<(), KafkaError>>,
}

impl EmbeddedBroker {
    /// Starts the broker; takes some milliseconds. Fails where no loopback port can be opened.
    pub fn start() -> Result<EmbeddedBroker, DemoError> {
        let (orders, inbox) = channel();
        let (started, start) = channel();
        // The handle to the cluster may not cross threads, so one thread makes it, uses it and drops it.
        let thread = std::thread::Builder::new()
            .name("embedded-broker".into())
            .spawn(move || own(&inbox, &started))
            .map_err(|_| DemoError::EmbeddedStopped)?;
        let bootstrap = start
            .recv()
            .map_err(|_| DemoError::EmbeddedStopped)?
            .map_err(|source| DemoError::Embedded { doing: "start".into(), source })?;
        Ok(EmbeddedBroker { bootstrap, orders: Some(orders), thread: Some(thread) })
    }

    /// The address to give to clients as `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        self.bootstrap.clone()
    }

    /// Creates topics, each with that many partitions. Fails for a topic that exists already.
    pub fn create_topics(&self, topics: &[&str], partitions: i32) -> Result<(), DemoError> {
        let orders = self.orders.as_ref().ok_or(DemoError::EmbeddedStopped)?;
        for topic in topics {
            let (answer, done) = channel();
            let order = CreateTopic { topic: (*topic).to_owned(), partitions, answer };
            orders.send(order).map_err(|_| DemoError::EmbeddedStopped)?;
            done.recv()
                .map_err(|_| DemoError::EmbeddedStopped)?
                .map_err(|source| DemoError::Embedded { doing: format!("create the topic {topic}"), source })?;
        }
        Ok(())
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        // The thread ends when nobody can ask it anything any more.
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn own(inbox: &Receiver<CreateTopic>, started: &Sender<Result<String, KafkaError>>) {
    let cluster = match MockCluster::new(BROKERS) {
        Ok(cluster) => cluster,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let _ = started.send(Ok(cluster.bootstrap_servers()));
    while let Ok(order) = inbox.recv() {
        let replicas = 1;
        let _ = order.answer.send(cluster.create_topic(&order.topic, order.partitions, replicas));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rdkafka::{
        ClientConfig,
        consumer::{BaseConsumer, Consumer},
    };

    use super::*;

    #[test]
    fn topics_made_through_the_handle_are_seen_by_a_client() {
        let broker = EmbeddedBroker::start().unwrap();
        broker.create_topics(&["first", "second"], 3).unwrap();
        let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", broker.bootstrap()).create().unwrap();
        let metadata = client.fetch_metadata(None, Duration::from_secs(10)).unwrap();
        let mut topics: Vec<_> =
            metadata.topics().iter().map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect();
        topics.sort();
        assert_eq!(topics, [("first".to_owned(), 3), ("second".to_owned(), 3)]);
    }

    #[test]
    fn a_topic_that_exists_is_an_error_that_names_it() {
        let broker = EmbeddedBroker::start().unwrap();
        broker.create_topics(&["first"], 1).unwrap();
        let error = broker.create_topics(&["first"], 1).unwrap_err();
        assert_eq!(error.to_string(), "the embedded broker can't create the topic first");
    }

    #[test]
    fn two_brokers_live_side_by_side() {
        let first = EmbeddedBroker::start().unwrap();
        let second = EmbeddedBroker::start().unwrap();
        assert_ne!(first.bootstrap(), second.bootstrap());
    }
}
