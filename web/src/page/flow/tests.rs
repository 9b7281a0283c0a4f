//! The flow page as a person reads it, and as somebody hostile would have it.

use store::fixture::{self, record, span};

use crate::given::{Console, holding, order_journey};

const TRACE: &str = "/flow/f1000000000000000000000000000001";

async fn journey() -> Console {
    Console::over(holding(order_journey()).await)
}

#[tokio::test]
async fn one_page_tells_what_happened_to_an_order() {
    let page = journey().await.page(TRACE).await;
    page.shows("OrderPlaced order-48213").shows("dead-lettered in billing");
    page.shows("Lasted 4.06 s").shows("5 records · 8 spans · 2 logs").shows("2 retries");
    page.shows("2.81 s backing off between retries");
    for step in [
        "+0.060 shop-api published OrderPlaced order.placed p3@48213 read after 30 ms",
        "+0.110 billing attempt 1 · payment gateway did not answer… order.placed p3@48213 310 ms",
        "+0.425 billing will try again: OrderPlaced order.placed-retry p0@77",
        "+0.248 inventory published StockReserved stock.reserved p1@9120 read after 20 ms",
        "+4.060 billing gave up (RuntimeError): dead letter of OrderPlaced order.placed-dlt p0@16",
    ] {
        page.shows(step);
    }
}

#[tokio::test]
async fn a_flow_is_found_by_trace_event_and_record_alike() {
    let console = journey().await;
    let traceparent = "/trace/00-f1000000000000000000000000000001-e100000000000001-01";
    for path in [TRACE, traceparent, "/event/evt-placed-48213", "/record/main/order.placed/3%4048213"] {
        console.page(path).await.shows("OrderPlaced order-48213").shows("5 records · 8 spans · 2 logs");
    }
}

#[tokio::test]
async fn an_entry_is_shown_in_full_and_can_be_linked() {
    let console = journey().await;
    let page = console.page("/record/main/order.placed/3%4048213").await;
    page.shows("eventId evt-placed-48213").shows("key order-48213").shows("position order.placed p3@48213");
    page.shows("Headers tenant acme").shows("\"total\" : 129.90").shows("joined by asked for");
    page.shows("billing dead after 3 attempts").shows("inventory processed");
    assert!(page.body.contains("/api/v1/record/main/order.placed/3%4048213/raw"));
    let dead = console.page(&format!("{TRACE}?tab=records&at=8")).await;
    dead.shows("exception RuntimeError").shows("made from order.placed p3@48213");
    let attempt = console.page(&format!("{TRACE}?at=3")).await;
    attempt.shows("group billing").shows("parent e100000000000001");
    console.page(&format!("{TRACE}?at=999999&tab=nonsense")).await.shows("eventId evt-placed-48213");
}

#[tokio::test]
async fn every_tab_shows_its_part() {
    let console = journey().await;
    let tab = async |name: &str| console.page(&format!("{TRACE}?tab={name}")).await;
    tab("deliveries").await.shows("OrderPlaced order.placed p3@48213 billing group dead after 3 attempts");
    tab("records").await.shows("order.placed-dlt p0@16").shows("joined by ");
    tab("spans").await.shows("plan parcel consumer shipping");
    tab("logs").await.shows("+4.050 ERROR billing payment gateway did not answer in 300 ms, giving up");
    tab("findings").await.shows("Nothing wrong can be proved");
    tab("raw").await.shows("/api/v1/flow/f1000000000000000000000000000001");
}

#[tokio::test]
async fn what_is_not_known_leads_on() {
    let console = journey().await;
    let unknown = console.get("/flow/f1000000000000000000000000000009").await;
    assert_eq!(unknown.status, 404);
    unknown.shows("Nothing is known of this trace").shows("Sillage holds 15 entries").shows("Search for it everywhere");
    console.get("/flow/order-48213").await.shows("This is no trace id");
    console.get("/record/main/order.placed/3%4099").await.shows("This record is not held");
    console.get("/event/evt-other").await.shows("Nothing is known of this event");
}

#[tokio::test]
async fn a_record_without_a_body_or_with_one_that_is_no_text_is_shown() {
    let entries = vec![
        record("users", 0, 1).key("u-1").trace(1).entry(),
        record("users", 0, 2).body(vec![0_u8, 159, 146, 150]).problem("it is no UTF-8").trace(2).entry(),
    ];
    let console = Console::over(holding(entries).await);
    console.page("/record/main/users/0%401").await.shows("a tombstone").shows("No spans have arrived for this flow");
    console.page("/record/main/users/0%402").await.shows("00 9f 92 96").shows("it is no UTF-8").shows("key null");
}

const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{7*7}}\u{202e}\u{0}";

#[tokio::test]
async fn hostile_text_in_every_field_stays_text() {
    let entries = vec![
        record(HOSTILE, 0, 1)
            .event(HOSTILE)
            .id(HOSTILE)
            .key(HOSTILE)
            .producer(HOSTILE)
            .version(HOSTILE)
            .trace(1)
            .header(HOSTILE, HOSTILE)
            .correlation(HOSTILE)
            .problem(HOSTILE)
            .body(format!("{{\"{HOSTILE}\": \"{HOSTILE}\"}}"))
            .entry(),
        record(HOSTILE, 0, 2).trace(1).id(HOSTILE).dead(HOSTILE, HOSTILE).from(HOSTILE, 0, 1).at(1.0).entry(),
        span(HOSTILE, HOSTILE)
            .trace(1)
            .failed(HOSTILE)
            .attribute(HOSTILE, HOSTILE)
            .consumed(HOSTILE, 0, 1)
            .group(HOSTILE)
            .entry(),
        fixture::log(HOSTILE, HOSTILE).trace(1).attribute(HOSTILE, HOSTILE).entry(),
    ];
    let console = Console::over(holding(entries).await);
    for tab in ["", "deliveries", "records", "spans", "logs", "findings", "raw"] {
        for at in 1..=4 {
            let page = console.page(&format!("{TRACE}?tab={tab}&at={at}")).await;
            assert!(!page.body.contains("<img"), "{tab} {at}");
            assert!(!page.body.contains("alert(1)</script>"), "{tab} {at}");
            assert!(!page.body.contains('\u{202e}') && !page.body.contains('\0'), "{tab} {at}");
        }
    }
}

/// A batch of a thousand: what a page may weigh is bounded, and what is left out is said.
#[tokio::test]
async fn a_flow_of_a_thousand_entries_stays_a_page() {
    let mut entries = Vec::new();
    for number in 0..500 {
        let at = number as f64 / 100.0;
        entries.push(record("orders", 0, number).event("OrderPlaced").key("k").trace(1).at(at).entry());
        let worker = span("billing", "process orders").trace(1).id(1_000 + number as u64).consumed("orders", 0, number);
        entries.push(worker.group("billing").at(at + 0.05).took(0.3).entry());
    }
    let console = Console::over(holding(entries).await);
    let began = std::time::Instant::now();
    let page = console.page(TRACE).await;
    page.shows("500 records · 500 spans · 0 logs").shows("400 more are not drawn");
    assert!(page.body.len() < 1_000_000, "{} bytes", page.body.len());
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_page_of_one_order_is_light() {
    let page = journey().await.page(TRACE).await;
    assert!(page.body.len() < 64 * 1024, "{} bytes", page.body.len());
}

#[tokio::test]
async fn an_entry_says_that_something_was_taken_out_of_it() {
    let record =
        |offset, body: &'static str| store::fixture::record("orders", 0, offset).trace(1).body(body).at(offset as f64);
    let entries = vec![record(1, r#"{"password":"[redacted]"}"#).entry(), record(2, r#"{"password":"x"}"#).entry()];
    let console = Console::over(holding(entries).await);
    console.page("/record/main/orders/0%401").await.shows("redacted some of it was taken out before it was kept");
    console.page("/record/main/orders/0%402").await.hides("taken out");
}
