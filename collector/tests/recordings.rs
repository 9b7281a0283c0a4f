//! What OpenTelemetry's own instrumentations and real frameworks sent (tests/recordings), through the real OTLP receiver and the
//! real record decoder into the memory engine: each order's flow must hold its own entries, all of them, and nothing of a neighbour.
//!
//! The same recordings go through the built program and a real Kafka in `tests/it`; here the whole set takes seconds and needs no broker.
#![expect(clippy::unwrap_used, reason = "in a test that can't go on, the panic is the report")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::RangeInclusive;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use collector::decode::Decoder;
use collector::decode::opened::Room;
use collector::otlp::{Config, Setup};
use collector::source::raw::Raw;
use flate2::read::GzDecoder;
use serde_json::Value;
use store::flow::{DeliveryState, Flow, Start, assemble};
use store::memory::Memory;
use store::position::Incarnation;
use store::record::{Fate, Header, TimestampKind};
use store::{Board, Checkpoint, Entry, Place, Position, Record, Store, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// One scenario in a store of its own.
struct Replayed {
    store: Arc<dyn Store>,
    orders: Vec<Record>,
}

async fn replay(scenario: &str) -> Replayed {
    let file = format!("{}/../tests/recordings/{scenario}.jsonl.gz", env!("CARGO_MANIFEST_DIR"));
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let shutdown = CancellationToken::new();
    let free = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let otlp = collector::otlp::start(Setup {
        config: Config { grpc: free, http: free, ..Config::default() },
        store: store.clone(),
        board: Arc::new(Board::default()),
        allow: None,
        memory_limit_bytes: 512 << 20,
        redactor: Arc::default(),
        limits: serve::Limits::default(),
        shutdown: shutdown.clone(),
    })
    .await
    .unwrap();
    let decoder = Decoder::default();
    let mut records = Vec::new();
    for line in BufReader::new(GzDecoder::new(File::open(file).unwrap())).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if let Some(signal) = line["otlp"].as_str() {
            post(otlp.http, signal, &bytes(&line["protobuf"]).unwrap()).await;
        } else if line["record"].is_object() {
            records.push(decoder.record(raw(&line["record"]), &mut Room::of_batch()));
        }
    }
    let entries = records.iter().cloned().map(Entry::Record).collect();
    store.append(entries, Checkpoint::none("main".into())).await.unwrap();
    shutdown.cancel();
    otlp.stopped().await;
    let orders = records.into_iter().filter(|record| record.position.channel.as_str() == "orders").collect();
    Replayed { store, orders }
}

async fn post(address: std::net::SocketAddr, signal: &str, body: &[u8]) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/{signal} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    value.as_str().map(|text| STANDARD.decode(text).unwrap())
}

fn raw(record: &Value) -> Raw {
    let number = |name: &str| record[name].as_i64().unwrap();
    let headers = record["headers"].as_array().unwrap().iter();
    Raw {
        position: Position {
            source: "main".into(),
            channel: record["topic"].as_str().unwrap().into(),
            incarnation: Incarnation(0),
            place: Place::Offset { partition: number("partition").try_into().unwrap(), offset: number("offset") },
        },
        cluster: Some(CLUSTER.into()),
        timestamp: record["timestampMs"].as_i64().map(Timestamp::from_millis),
        timestamp_kind: TimestampKind::Producer,
        received_at: Timestamp::now(),
        key: bytes(&record["key"]).map(Into::into),
        body: bytes(&record["value"]).map(Into::into),
        headers: headers
            .map(|header| Header {
                name: header[0].as_str().unwrap().to_owned(),
                value: bytes(&header[1]).map(Into::into),
            })
            .collect(),
        transaction: None,
        problem: None,
    }
}

impl Replayed {
    async fn flow(&self, order: &Record) -> Flow {
        let Position { source, channel, place, .. } = order.position.clone();
        let start = Start::Record { source, channel, place };
        assemble(&*self.store, &Board::default(), start, Timestamp::now())
            .await
            .unwrap()
            .expect("the flow of a record that is there")
    }
}

fn key(record: &Record) -> &str {
    record.key_text().expect("orders have keys of text")
}

/// Looks at the flow of each order (of 500, at every 50th): records, spans, logs, and no neighbour's.
async fn check(scenario: &str, records: RangeInclusive<usize>, spans: RangeInclusive<usize>, logs: usize) {
    let replayed = replay(scenario).await;
    assert!(!replayed.orders.is_empty());
    let step = if replayed.orders.len() > 100 { 50 } else { 1 };
    for order in replayed.orders.iter().step_by(step) {
        let flow = replayed.flow(order).await;
        let names: Vec<&str> = flow.each_span().map(|span| span.name.as_str()).collect();
        let told = format!("{scenario}, {}: {names:?}, cut: {:?}", key(order), flow.cut);
        assert!(flow.each_record().all(|record| key(record) == key(order)), "a neighbour's record: {told}");
        for span in flow.each_span() {
            let named = span.messaging.as_ref().and_then(|messaging| messaging.key.as_deref());
            assert!(named.is_none_or(|named| named == key(order)), "a neighbour's span: {told}");
        }
        assert!(records.contains(&flow.records.len()), "{} records: {told}", flow.records.len());
        assert!(spans.contains(&flow.spans.len()), "{} spans: {told}", flow.spans.len());
        assert_eq!(flow.logs.len(), logs, "{told}");
        assert!(flow.each_record().all(|record| record.problem.is_none() && record.event.id.is_some()), "{told}");
    }
}

#[tokio::test]
async fn java_agent_with_old_and_new_names() {
    check("java-chain", 2..=2, 4..=4, 0).await;
    check("java-chain-new-names", 2..=2, 4..=4, 0).await;
}

#[tokio::test]
async fn java_agent_with_a_receive_span_and_links() {
    check("java-receive-links", 2..=2, 3..=4, 0).await;
}

#[tokio::test]
async fn kafkajs_message_by_message_and_in_a_batch_of_500() {
    check("js-chain", 2..=2, 5..=5, 0).await;
    check("js-batch-500", 2..=2, 3..=4, 0).await;
}

#[tokio::test]
async fn python_with_new_traces_links_and_logs() {
    check("python-links", 2..=2, 5..=7, 3).await;
}

#[tokio::test]
async fn python_batches_whose_links_are_whole_or_dropped() {
    check("python-batch-500", 2..=2, 3..=4, 0).await;
    check("python-batch-links-dropped", 1..=2, 1..=4, 0).await;
}

#[tokio::test]
async fn three_languages() {
    check("mixed-chain", 2..=2, 5..=6, 1).await;
}

#[tokio::test]
async fn spring_retries_and_dead_letters_with_springs_own_headers() {
    let replayed = replay("spring-retries").await;
    for order in &replayed.orders {
        let flow = replayed.flow(order).await;
        let body: Value = serde_json::from_slice(order.body.as_ref().unwrap()).unwrap();
        let mut roles: Vec<(&str, &str)> =
            flow.each_record().map(|record| (record.position.channel.as_str(), record.role())).collect();
        roles.sort_unstable();
        let amount = body["amount"].as_i64().unwrap();
        let copies = [("orders", "event"), ("orders-retry-200", "retry"), ("orders-retry-400", "retry")];
        match amount {
            11 => assert_eq!(roles, [copies.as_slice(), &[("payments", "event")]].concat()),
            12 => assert_eq!(roles, [&copies[..1], &[("orders-dlt", "dead")], &copies[1..]].concat()),
            13 => assert_eq!(roles, [("orders", "event"), ("payments", "event"), ("payments-dlt", "dead")]),
            _ => assert_eq!(roles, [("orders", "event"), ("payments", "event")]),
        }
        for copy in flow.each_record() {
            let Some(failure) = &copy.failure else { continue };
            let origin = failure.origin.as_ref().expect("Spring names the origin");
            let (group, cause, from) = match copy.position.channel.as_str() {
                "payments-dlt" => ("ledger", "LedgerClosed", "payments"),
                _ => ("billing", "CardDeclined", "orders"),
            };
            assert_eq!((failure.group.as_deref(), origin.channel.as_deref()), (Some(group), Some(from)));
            assert!(origin.partition.is_some() && origin.offset.is_some() && origin.timestamp.is_some());
            let exception = failure.exception.as_deref().unwrap();
            assert!(exception.ends_with(cause) || amount == 11, "{exception}, not Spring's wrapper");
            assert!(!failure.guessed);
            if failure.fate == Fate::Retry {
                let attempt = if copy.position.channel.as_str() == "orders-retry-200" { 1 } else { 2 };
                assert_eq!(failure.attempts, Some(attempt), "{}", copy.position);
                assert!(failure.not_before.unwrap() > copy.timestamp.unwrap().minus(std::time::Duration::from_secs(1)));
            }
        }
        let dead = flow.deliveries.iter().filter(|delivery| delivery.state == DeliveryState::DeadLettered).count();
        assert_eq!(dead, usize::from(matches!(amount, 12 | 13)), "{:?}", flow.deliveries);
        assert_eq!(flow.dead_letters, u32::from(matches!(amount, 12 | 13)));
        assert_eq!(flow.retries > 0, matches!(amount, 11..=13), "amount {amount}: {} retries", flow.retries);
    }
}
