//! The list of flows as a person reads it.

use store::fixture::{at, log, record, span};

use crate::given::{Console, empty, holding, order_journey};

#[tokio::test]
async fn each_flow_is_one_row_with_what_came_of_it() {
    let mut entries = order_journey();
    entries.push(record("order.placed", 0, 1).event("OrderPlaced").key("order-1").trace(2).span(20).at(9.0).entry());
    entries.push(span("shop-api", "POST /orders").trace(2).id(20).at(8.9).entry());
    let page = Console::over(holding(entries).await).page("/flows").await;
    assert_eq!(page.text().matches("OrderPlaced order-48213").count(), 1);
    page.shows("14:00:08.900 OrderPlaced order-1 shop-api ok 1 record · 1 span");
    page.shows("OrderPlaced order-48213").shows("dead-lettered in billing");
    let text = page.text();
    assert!(text.find("order-1 shop-api") < text.find("order-48213"), "newest first");
}

#[tokio::test]
async fn a_log_whose_flow_has_not_arrived_is_found_but_not_listed() {
    let console = Console::over(holding(vec![log("billing", "about to charge").trace(7).at(1.0).entry()]).await);
    console.page("/flows").await.hides("billing INFO").shows("What is held belongs to no flow");
    console.page("/flows?q=charge").await.shows("billing");
}

#[tokio::test]
async fn flows_are_narrowed_down_by_the_address() {
    let mut entries = order_journey();
    entries.push(record("order.placed", 0, 1).event("OrderPlaced").key("order-1").trace(2).at(9.0).entry());
    let console = Console::over(holding(entries).await);
    console.page("/flows?q=key:order-1").await.shows("order-1").hides("dead-lettered");
    console.page("/flows?status=dead").await.shows("order-48213").hides("OrderPlaced order-1 ");
    let by_flow = console.page("/flows?q=type:OrderPlaced+flow:(service:shipping)").await;
    by_flow.shows("order-48213").hides("OrderPlaced order-1 ");
    console.page("/flows?q=key:nobody").await.shows("No flow has an entry for which this holds");
    console.page("/flows?since=15m&q=key:nobody").await.shows("in this time");
}

#[tokio::test]
async fn flows_are_found_by_what_is_wrong_with_them() {
    let mut entries = order_journey();
    let placed = |offset| record("order.placed", 0, offset).event("OrderPlaced").id("twice").key("order-1").trace(2);
    entries.extend([placed(1).at(9.0).entry(), placed(2).at(9.5).entry()]);
    let console = Console::over(holding(entries).await);
    console.page("/flows?q=finding:duplicate").await.shows("OrderPlaced order-1 ").hides("OrderPlaced order-48213");
    console.page("/flows?q=-finding:*").await.shows("OrderPlaced order-48213").hides("OrderPlaced order-1 ");
    console.page("/flows?q=finding:clock").await.shows("No flow has an entry for which this holds");
    let found = console.get("/api/v1/search?q=finding:duplicate+kind:record").await.body;
    assert_eq!(found.matches("\"eventId\":\"twice\"").count(), 2, "{found}");
}

#[tokio::test]
async fn a_query_that_cannot_be_read_says_where() {
    let page = Console::over(empty()).page("/flows?q=type:OrderPlaced+(status:dead").await;
    page.shows("The query can't be read");
    assert!(page.body.contains("<mark>"));
    let hostile = Console::over(empty()).page("/flows?q=%3Cscript%3Ealert(1)%3C/script%3E+(").await;
    assert!(!hostile.body.contains("<script>alert"));
}

#[tokio::test]
async fn every_flow_is_on_one_page_only() {
    let mut entries = Vec::new();
    for number in 0..60 {
        let key = format!("order-{number:03}");
        entries.push(
            record("orders", 0, number)
                .event("OrderPlaced")
                .key(&key)
                .trace(100 + number as u64)
                .at(number as f64)
                .entry(),
        );
        entries.push(
            record("stock", 0, number)
                .event("StockReserved")
                .key(&key)
                .trace(100 + number as u64)
                .at(number as f64 + 30.0)
                .entry(),
        );
    }
    let console = Console::over(holding(entries).await);
    let mut path = "/flows".to_owned();
    let mut seen = Vec::new();
    for _ in 0..4 {
        let page = console.page(&path).await;
        let text = page.text();
        seen.extend(text.match_indices("OrderPlaced order-").map(|(place, _)| text[place + 12..place + 21].to_owned()));
        let Some((_, rest)) = page.body.split_once("rel=\"next\" href=\"") else { break };
        path = rest.split_once('"').unwrap().0.replace("&#38;", "&");
    }
    let expected: Vec<String> = (0..60).rev().map(|number| format!("order-{number:03}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_batch_does_not_hide_its_messages() {
    let mut entries = Vec::new();
    let mut batch = span("billing", "receive orders").trace(50).id(5_000).at(3.0);
    for number in 1..=3_u64 {
        let offset = number as i64;
        let order =
            record("orders", 0, offset).event("OrderPlaced").key(&format!("order-{number}")).trace(number).span(number);
        entries.push(order.at(number as f64 / 10.0).entry());
        entries.push(span("shop-api", "POST /orders").trace(number).id(number).at(number as f64 / 10.0).entry());
        batch = batch.link(number, number);
    }
    entries.push(batch.entry());
    let page = Console::over(holding(entries).await).page("/flows").await;
    for key in ["order-1", "order-2", "order-3"] {
        page.shows(key);
    }
}

#[tokio::test]
async fn an_empty_list_teaches_what_to_do() {
    let page = Console::over(empty()).page("/flows").await;
    page.shows("Nothing has arrived yet").shows("What to do so that it does").shows("service:billing status:failed");
    let alone = vec![log("billing", "started").at(1.0).entry()];
    Console::over(holding(alone).await).page("/flows").await.shows("belongs to no flow");
    assert!(at(1.0) > at(0.0));
}

#[tokio::test]
async fn a_search_goes_straight_to_what_it_names() {
    let console = Console::over(holding(order_journey()).await);
    let goes = async |text: &str| {
        let encoded = percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
        console.get(&format!("/search?q={encoded}")).await.header("location").to_owned()
    };
    assert_eq!(goes("f1000000000000000000000000000001").await, "/flow/f1000000000000000000000000000001");
    assert_eq!(goes("evt-placed-48213").await, "/event/evt-placed-48213");
    assert_eq!(goes("order.placed p3@48213").await, "/record/main/order.placed/3%4048213");
    assert_eq!(goes("key:order-48213").await, "/flows?q=key%3Aorder-48213");
    assert_eq!(goes("f1000000000000000000000000000009").await, "/flows?q=f1000000000000000000000000000009");
    assert_eq!(goes("").await, "/flows");
}
