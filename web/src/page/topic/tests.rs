//! What somebody reads of one topic.

use std::sync::Arc;

use axum::http::StatusCode;
use store::board::{ChannelStatus, PartitionBounds, Retention, SourceState, SourceStatus};
use store::groups::LagState;
use store::memory::Memory;
use store::{Board, Checkpoint, Store, fixture};

use crate::given::{Console, empty};
use crate::page::groups::tests::{group, partition};

async fn console() -> Console {
    let store = Memory::new();
    let now = store::Timestamp::now().nanos_since(fixture::START) as f64 / 1e9;
    let entries = (0..120_i32)
        .map(|i| {
            let record = fixture::record("orders", 0, i64::from(i)).event("OrderPlaced").key(&format!("order-{i:03}"));
            record.body(format!("{{\"note\":\"<script>{i}</script>\"}}")).at(now - 200.0 + f64::from(i)).entry()
        })
        .collect();
    store.append(entries, Checkpoint::none("main".into())).await.unwrap();
    Console::over(Arc::new(store))
}

#[tokio::test]
async fn records_are_shown_newest_first_a_page_at_a_time() {
    let console = console().await;
    let page = console.page("/topic/main/orders").await;
    page.shows("order-119").shows("order-070").hides("order-069").shows("OrderPlaced 120");
    let (_, rest) = page.body.split_once("rel=\"next\" href=\"").expect("there is a next page");
    let next = rest.split_once('"').unwrap().0.replace("&#38;", "&");
    console.page(&next).await.shows("order-069").hides("order-119");
}

#[tokio::test]
async fn a_filter_finds_and_a_mistake_in_it_is_said() {
    let console = console().await;
    console.page("/topic/main/orders?q=key:order-017").await.shows("order-017").hides("order-018");
    console.page("/topic/main/orders?q=evnt:1").await.shows("evnt");
}

#[tokio::test]
async fn a_hostile_body_is_only_text() {
    let page = console().await.page("/topic/main/orders").await;
    assert!(!page.body.contains("<script>1"));
    page.shows("<script>119</script>");
}

#[tokio::test]
async fn a_topic_that_nobody_knows_says_where_to_look() {
    let answer = Console::over(empty()).get("/topic/main/nothing").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    answer.shows("No topic nothing is watched").shows("All topics");
}

#[tokio::test]
async fn a_topic_tells_its_partitions_its_retention_and_the_groups_that_read_it() {
    let board = Board::default();
    let bounds = [PartitionBounds { partition: 3, begin: 1_000, end: 48_213 }];
    let channel =
        ChannelStatus { channel: "orders <b>".to_owned(), partitions: 1, records: Some(47_213), bounds: bounds.into() };
    board.post(SourceStatus {
        name: "main".into(),
        kind: "kafka".to_owned(),
        address: "localhost:9092".to_owned(),
        state: SourceState::Up,
        error: None,
        since: fixture::START,
        behind_ms: None,
        received: 3,
        channels: vec![channel],
        transactions: Vec::new(),
        unseen: Vec::new(),
    });
    let board = Arc::new(board);
    let console = Console::beside(empty(), board.clone());
    console.page("/topic/main/orders%20%3Cb%3E").await.shows("47,213").shows("can't be seen").hides("falling behind");
    let behind = vec![partition(0, 1_204, LagState::FallingBehind)];
    board.post_groups(&"main".into(), vec![group("analytics", LagState::FallingBehind, behind)]);
    let week = Retention { ms: Some(604_800_000), bytes: None, is_compacted: false };
    board.post_retentions(&"main".into(), [("orders <b>".to_owned(), week)].into());
    let page = console.page("/topic/main/orders%20%3Cb%3E").await;
    page.shows("retention 7 d").shows("1,000").shows("48,213").shows("analytics falling behind 1,204 3 min 12 s");
    assert!(page.body.contains("href=\"/group/main/analytics\""), "{}", page.body);
    let answer = console.get("/api/v1/topics/main/orders%20%3Cb%3E").await.body;
    let topic = &serde_json::from_str::<serde_json::Value>(&answer).unwrap()["topics"][0];
    assert_eq!(topic["readers"], serde_json::json!(["analytics"]));
    assert_eq!(topic["retention"], serde_json::json!({"ms": 604_800_000, "bytes": null, "compacted": false}));
    assert_eq!(topic["bounds"], serde_json::json!([{"partition": 3, "begin": 1_000, "end": 48_213}]));
    let list = console.get("/api/v1/topics").await.body;
    assert!(list.contains("\"readers\":[\"analytics\"]"), "{list}");
}

#[tokio::test]
async fn a_place_or_a_time_is_jumped_to_and_what_is_not_there_is_said() {
    let console = console().await;
    console.page("/topic/main/orders?at=0@17").await.shows("order-017").shows("order-016").hides("order-018");
    console.page("/topic/main/orders?at=17").await.shows("order-017").hides("order-018");
    console.page("/topic/main/orders?at=0@500").await.shows("Offset 500").shows("isn't kept").shows("order-119");
    console.page("/topic/main/orders?at=-150s").await.shows("order-049").hides("order-060");
    console.page("/topic/main/orders?at=2001-01-01").await.shows("No record");
    console.page("/topic/main/orders?at=soon").await.shows("can't be read").shows("48213");
}
