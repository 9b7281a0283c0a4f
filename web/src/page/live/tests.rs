//! The live page as a person reads it, and its stream.

use std::sync::Arc;

use http_body_util::BodyExt;
use store::memory::Memory;
use store::{Checkpoint, Store, fixture};

use crate::given::{Console, empty};

async fn store() -> Arc<Memory> {
    let store = Memory::new();
    let entries = vec![
        fixture::record("orders", 0, 1).event("OrderPlaced").key("order-1").at(9.0).entry(),
        fixture::span("billing", "charge <card>").failed("timeout").at(11.0).entry(),
        fixture::log("billing", "gave up").severity(17).at(12.0).entry(),
    ];
    store.append(entries, Checkpoint::none("main".into())).await.unwrap();
    Arc::new(store)
}

#[tokio::test]
async fn the_latest_stand_first_and_can_be_filtered() {
    let console = Console::over(store().await);
    console.page("/live").await.shows("OrderPlaced order-1").hides("gave up");
    let text = console.page("/live?kind=all").await.text();
    let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words} is not in {text}"));
    assert!(at("gave up") < at("charge <card>") && at("charge <card>") < at("OrderPlaced order-1"));
    console.page("/live?kind=all&q=service:billing").await.shows("gave up").hides("OrderPlaced");
    console.page("/live?q=(").await.shows("The query can't be read");
}

#[tokio::test]
async fn before_anything_arrives_it_says_so() {
    Console::over(empty()).page("/live").await.shows("New entries show here as they arrive");
}

#[tokio::test]
async fn new_entries_are_sent_as_rows_with_where_they_were() {
    let store = store().await;
    let console = Console::over(store.clone());
    let mut body = console.stream("/live/rows?q=topic:orders&after=3").await;
    let hostile = fixture::record("orders", 0, 2).event("<img src=x>").key("order-2").at(13.0).entry();
    let other = fixture::record("stock", 0, 2).event("StockReserved").at(13.0).entry();
    store.append(vec![hostile, other], Checkpoint::none("main".into())).await.unwrap();
    let sent = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let sent = String::from_utf8(sent.to_vec()).unwrap();
    assert!(
        sent.contains("&#60;img src=x&#62;") && sent.contains("order-2") && !sent.contains("StockReserved"),
        "{sent}"
    );
    assert!(sent.contains("id: 5"), "{sent}");
}
