//! Records from a broker: what they cost to read, decode, correlate and keep.
//!
//! The broker is librdkafka's own mock cluster within this process, so that the figure needs nothing installed and the server's CPU is its own.
//! (A mock partition holds 5 MB, so the records are spread over many.)

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
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
    let home = Home::new(&source);
    let sillage = home.serve();
    let started = Instant::now();
    until("all records are kept", Duration::from_secs(600), || {
        let kept = sillage.api("status")["store"]["entries"].as_u64()?;
        std::thread::sleep(Duration::from_millis(100));
        (kept >= count as u64).then_some(())
    });
    let took = started.elapsed().as_secs_f64();
    // The whole process: a start that finds nothing costs a few hundredths of a second.
    let kept = count as f64 / settled_cpu_seconds(sillage.pid());
    let remark = format!(
        "{} records of {} bytes, {} a second by the clock",
        grouped(count as f64),
        bytes / count,
        grouped(count as f64 / took)
    );
    table.add_bound("Kafka records kept a CPU second", &grouped(kept), "65,000 / 100,000", &remark);
    sillage.stop();
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
