//! The overview as a person reads it, before and after the first entry.

use std::sync::Arc;
use std::time::Duration;

use store::board::{SourceState, SourceStatus};
use store::fixture::record;
use store::{Board, Entry, Timestamp};

use crate::given::{Console, empty, holding, order_journey};

fn source(name: &str, kind: &str, address: &str, state: SourceState) -> SourceStatus {
    SourceStatus {
        name: name.into(),
        kind: kind.to_owned(),
        address: address.to_owned(),
        state,
        error: None,
        since: Timestamp::now(),
        behind_ms: None,
        received: 0,
        channels: Vec::new(),
        unseen: Vec::new(),
        transactions: Vec::new(),
    }
}

/// The same entries, as if they had happened just now.
fn just_now(entries: Vec<Entry>) -> Vec<Entry> {
    let later = Timestamp::now().minus(Duration::from_secs(60)).nanos_since(store::fixture::START);
    let moved = |at: Timestamp| Timestamp::from_nanos(at.as_nanos() + later);
    entries
        .into_iter()
        .map(|mut entry| {
            match &mut entry {
                Entry::Record(record) => record.timestamp = record.timestamp.map(moved),
                Entry::Span(span) => (span.started_at, span.ended_at) = (moved(span.started_at), moved(span.ended_at)),
                Entry::Log(log) => log.timestamp = moved(log.timestamp),
            }
            entry
        })
        .collect()
}

#[tokio::test]
async fn what_went_wrong_lately_is_one_click_away() {
    let page = Console::over(holding(just_now(order_journey())).await).page("/").await;
    page.shows("OrderPlaced order-48213").shows("dead-lettered in billing");
    page.shows("1 dead letter ").shows("40 % of records are retries").shows("3 of 8");
    page.shows("order.placed read by billing, inventory, read-model");
    assert!(page.body.contains("href=\"/flow/f1000000000000000000000000000001\""));
}

#[tokio::test]
async fn dead_letters_come_before_what_was_tried_again_since() {
    let mut entries = order_journey();
    for number in 0..12_u64 {
        let key = format!("order-{number}");
        let (trace, at) = (50 + number, 30.0 + number as f64);
        let offset = i64::try_from(number).unwrap();
        entries.push(record("later", 0, offset).event("Later").key(&key).trace(trace).at(at).entry());
        let copy = record("later-retry", 0, offset).event("Later").key(&key).trace(trace).at(at + 0.5);
        entries.push(copy.retry("billing", 1).entry());
    }
    let page = Console::over(holding(just_now(entries)).await).page("/").await;
    let text = page.text();
    let [dead, newest] = ["order-48213", "order-11"].map(|key| text.find(key).unwrap());
    assert!(dead < newest, "{text}");
    page.shows("order-5").hides("order-4 ");
}

#[tokio::test]
async fn old_trouble_is_not_shown_as_new() {
    let page = Console::over(holding(order_journey()).await).page("/").await;
    page.shows("None in the last 15 min: nothing failed").shows("0 dead letters").hides("order-48213");
}

#[tokio::test]
async fn before_anything_arrives_it_says_what_to_do() {
    let board = Arc::new(Board::default());
    board.post(source("otlp", "otlp", "gRPC on 127.0.0.1:14317, HTTP on 127.0.0.1:14318", SourceState::Up));
    let mut kafka = source("kafka", "kafka", "localhost:9092", SourceState::Absent);
    kafka.error = Some("nobody listens on localhost:9092".to_owned());
    board.post(kafka);
    let page = Console::beside(empty(), board).page("/").await;
    page.shows("Nothing has arrived yet")
        .shows("OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:14317")
        .shows("listening");
    page.shows("no broker on localhost:9092").shows("[[source]]").shows("sillage demo").hides("dead letters");
    assert!(page.body.contains("<live-region id=\"overview\""), "it updates by itself");
}

#[tokio::test]
async fn a_source_that_is_down_is_said_first() {
    let board = Arc::new(Board::default());
    let mut kafka = source("main", "kafka", "broker:9092", SourceState::Down);
    kafka.error = Some("nobody answers at broker:9092: is it running?".to_owned());
    board.post(kafka);
    let page = Console::beside(holding(order_journey()).await, board).page("/").await;
    page.shows("Source main : nobody answers at broker:9092: is it running?").shows("no source is up");
}
