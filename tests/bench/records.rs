//! Records from a broker: what they cost to read, decode, correlate and keep.
//!
//! The broker is librdkafka's own mock cluster within this process, so that the figure needs nothing installed and the server's CPU is its own.
//! (A mock partition holds 5 MB, so the records are spread over many.)

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::json;

use crate::process::settled_cpu_seconds;
use crate::rig::home::Home;
use crate::rig::waiting::until;
use crate::table::{Table, grouped};

/// How many partitions the topic has: 5 MB in each.
const PARTITIONS: i32 = 60;

/// Sends records, and measures the server that keeps them.
pub fn records(table: &mut Table, count: usize) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("bench", PARTITIONS, 1).unwrap();
    let bytes = produce(&cluster.bootstrap_servers(), count);
    let source = format!(
        "[[source]]\nname = \"bench\"\ntype = \"kafka\"\nbrokers = [\"{}\"]\nfrom = \"earliest\"\n",
        cluster.bootstrap_servers()
    );
    let raw = raw_rate(&cluster.bootstrap_servers(), count);
    let home = Home::new(&source);
    let started = Instant::now();
    let sillage = home.serve();
    until("all records are kept", Duration::from_secs(600), || {
        let kept = sillage.api("status")["store"]["entries"].as_u64()?;
        std::thread::sleep(Duration::from_millis(100));
        (kept >= count as u64).then_some(())
    });
    let took = started.elapsed().as_secs_f64();
    // The whole process: a start that finds nothing costs a few hundredths of a second.
    let cpu_seconds = settled_cpu_seconds(sillage.pid());
    let kept = count as f64 / cpu_seconds;
    let remark = format!(
        "{} records of {} bytes, {} a second by the clock",
        grouped(count as f64),
        bytes / count,
        grouped(count as f64 / took)
    );
    table.add_bound("Kafka records kept a CPU second", &grouped(kept), "65,000 / 100,000", &remark);
    let a_million = cpu_seconds * 1e6 / count as f64;
    table.add("CPU seconds a million Kafka records", &format!("{a_million:.1}"), "read, decoded, indexed, on the disk");
    let rate = count as f64 / took;
    let remark = format!(
        "{} a second kept and searchable, start included, against {} that librdkafka reads and drops",
        grouped(rate),
        grouped(raw)
    );
    table.add("Kafka tail against raw librdkafka", &format!("{:.2}", rate / raw), &remark);
    sillage.stop();
}

/// How many records a second librdkafka by itself reads of the same topic, for somebody who looks at none of them.
fn raw_rate(brokers: &str, count: usize) -> f64 {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "raw")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        all.add_partition_offset("bench", partition, Offset::Beginning).unwrap();
    }
    let started = Instant::now();
    consumer.assign(&all).unwrap();
    let mut read = 0;
    while read < count {
        if let Some(message) = consumer.poll(Duration::from_secs(30)) {
            message.unwrap();
            read += 1;
        }
    }
    count as f64 / started.elapsed().as_secs_f64()
}

/// Produces so many records, and gives the bytes of their bodies.
fn produce(brokers: &str, count: usize) -> usize {
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("queue.buffering.max.messages", "1000000")
        .create()
        .unwrap();
    let mut bytes = 0;
    for number in 0..count {
        let key = format!("order-{number:08}");
        let lines: Vec<_> = (0..6)
            .map(|line| {
                json!({"sku": format!("SKU-{:05}", (number + line) % 9_000), "name": "A thing that one may order in this shop",
                    "quantity": line + 1, "price": 1990 + line})
            })
            .collect();
        let body = json!({"eventId": format!("{:032x}", rand::random::<u128>()), "eventType": "OrderPlaced", "producer": "shop-api",
            "version": 2, "occurredAt": "2026-11-23T10:00:00.123456Z", "orderId": key,
            "customer": {"id": number * 7 % 40_000, "address": "12 Quai des Chartrons, Bordeaux"}, "lines": lines})
        .to_string();
        bytes += body.len();
        let traceparent = format!("00-{:032x}-{:016x}-01", rand::random::<u128>(), rand::random::<u64>());
        let headers = OwnedHeaders::new().insert(Header { key: "traceparent", value: Some(&traceparent) });
        let record =
            BaseRecord::to("bench").key(&key).payload(&body).headers(headers).partition(number as i32 % PARTITIONS);
        let mut unsent = producer.send(record);
        while let Err((_, record)) = unsent {
            std::thread::sleep(Duration::from_millis(5));
            unsent = producer.send(record);
        }
    }
    producer.flush(Duration::from_secs(120)).unwrap();
    bytes
}
