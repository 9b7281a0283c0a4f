//! The API as a script meets it: the whole console over a store in memory.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use store::board::{ChannelStatus, SourceState, SourceStatus};
use store::memory::Memory;
use store::record::{BodyEncoding, Schema, SchemaId};
use store::{Board, Checkpoint, Entry, Store, fixture};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::config::Config;
use crate::given::Console;
use crate::{routes, state};

async fn holding(entries: Vec<Entry>) -> Arc<Memory> {
    let store = Arc::new(Memory::new());
    store.append(entries, Checkpoint::none("main".into())).await.unwrap();
    store
}

/// An order that went through, after a retry, and one that died.
async fn shop() -> Arc<Memory> {
    let body = r#"{"orderId":"order-1","total":12.50,"id":12345678901234567890}"#;
    holding(vec![
        fixture::record("orders", 3, 17)
            .event("OrderPlaced")
            .id("evt-1")
            .key("order-1")
            .trace(1)
            .span(1)
            .body(body)
            .at(1.0)
            .entry(),
        fixture::span("shop-api", "publish orders").trace(1).id(1).published("orders").at(0.9).took(0.2).entry(),
        fixture::span("billing", "process orders")
            .trace(1)
            .id(2)
            .parent(1)
            .consumed("orders", 3, 17)
            .group("billing")
            .at(1.5)
            .took(0.25)
            .entry(),
        fixture::log("billing", "charged order-1").trace(1).span(2).at(1.6).entry(),
        fixture::record("orders", 3, 18).event("OrderPlaced").id("evt-2").key("order-2").trace(2).at(2.0).entry(),
        fixture::record("orders.DLT", 0, 0)
            .event("OrderPlaced")
            .id("evt-2")
            .trace(2)
            .dead("billing", "card declined")
            .from("orders", 3, 18)
            .at(3.0)
            .entry(),
    ])
    .await
}

async fn json(console: &Console, path: &str) -> Value {
    let answer = console.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    assert_eq!(answer.header("content-type"), "application/json");
    serde_json::from_str(&answer.body).unwrap()
}

async fn problem(console: &Console, path: &str, status: u16) -> Value {
    let answer = console.get(path).await;
    assert_eq!(answer.status, status, "{path}: {}", answer.body);
    assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
    let problem: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(problem["status"], status);
    problem
}

#[tokio::test]
async fn a_decoded_body_is_json_with_its_schema_and_its_bytes_are_one_link_away() {
    let schema = Schema {
        subject: Some("orders-value".to_owned()),
        version: Some("3".to_owned()),
        name: Some("shop.OrderPlaced".to_owned()),
        ..Schema::unknown(SchemaId::Number(7))
    };
    let record = fixture::record("orders", 0, 1).trace(1).body(&b"\0\0\0\0\x07\x06e-1"[..]).decoded(
        BodyEncoding::Avro,
        r#"{"eventId":"e-1","total":12.50}"#,
        schema,
    );
    let console = Console::over(holding(vec![record.entry()]).await);
    let record = &json(&console, "/api/v1/flow/f1000000000000000000000000000001").await["records"][0];
    assert_eq!((&record["bodyEncoding"], &record["body"]["eventId"]), (&json!("avro"), &json!("e-1")));
    let schema =
        json!({"id": "7", "idKind": "id", "subject": "orders-value", "version": "3", "name": "shop.OrderPlaced"});
    assert_eq!((&record["schema"], &record["keySchema"]), (&schema, &Value::Null));
    assert_eq!(json(&console, "/api/v1/search?q=body.total:%3E12").await["entries"].as_array().unwrap().len(), 1);
    let raw = console.get("/api/v1/record/main/orders/0@1/raw").await;
    assert_eq!(raw.body.as_bytes(), b"\0\0\0\0\x07\x06e-1");
    let page = console.page("/record/main/orders/0%401").await;
    page.shows("Avro · 9 B").shows("schema id 7, orders-value version 3, shop.OrderPlaced").shows("\"total\" : 12.50");
}

#[tokio::test]
async fn a_flow_tells_of_an_order_from_whatever_it_is_reached() {
    let console = Console::over(shop().await);
    let flow = json(&console, &format!("/api/v1/flow/{}", fixture::trace(1))).await;
    assert_eq!(flow["traceId"], fixture::trace(1).to_string());
    assert_eq!((&flow["outcome"], &flow["next"], &flow["cut"]), (&json!("ok"), &json!(null), &json!(null)));
    assert_eq!(flow["startedAt"], "2026-11-23T14:00:00.900000000Z");
    assert_eq!(flow["durationMs"], 850.0);
    let budget: f64 = ["workingMs", "waitingMs", "backingOffMs", "unknownMs"]
        .iter()
        .map(|part| flow["budget"][part].as_f64().unwrap())
        .sum();
    assert!((budget - 850.0).abs() < 1e-6, "{}", flow["budget"]);
    let record = &flow["records"][0];
    assert_eq!(record["kind"], "record");
    assert_eq!(
        record["position"],
        json!({"source": "main", "channel": "orders", "incarnation": 0, "place": {"partition": 3, "offset": 17}})
    );
    assert_eq!(
        (&record["eventId"], &record["eventType"], &record["key"]),
        (&json!("evt-1"), &json!("OrderPlaced"), &json!("order-1"))
    );
    assert_eq!((&record["bodyEncoding"], &record["body"]["orderId"]), (&json!("json"), &json!("order-1")));
    let span = &flow["spans"][1];
    assert_eq!(
        (&span["service"], &span["parentSpanId"], &span["durationMs"]),
        (&json!("billing"), &json!(fixture::span_id(1).to_string()), &json!(250.0))
    );
    assert_eq!((&flow["logs"][0]["severity"], &flow["logs"][0]["body"]), (&json!("INFO"), &json!("charged order-1")));
    assert_eq!(flow["deliveries"][0]["consumer"], "billing");
    for path in ["/api/v1/event/evt-1", "/api/v1/record/main/orders/3@17", "/api/v1/record/main/orders/3%4017"] {
        let same = json(&console, path).await;
        assert_eq!(same["spans"].as_array().unwrap().len(), 2, "{path}");
        assert_eq!(same["traceId"], flow["traceId"]);
        assert!(same["records"][0]["joinedBy"].is_string());
    }
    let dead = json(&console, &format!("/api/v1/flow/{}", fixture::trace(2))).await;
    assert_eq!((&dead["outcome"], &dead["deadLetters"]), (&json!("dead"), &json!(1)));
    assert_eq!(dead["records"][1]["failure"]["message"], "card declined");
}

#[tokio::test]
async fn what_is_not_known_or_not_readable_is_told_apart() {
    let console = Console::over(shop().await);
    problem(&console, &format!("/api/v1/flow/{}", fixture::trace(9)), 404).await;
    problem(&console, "/api/v1/event/no-such-event", 404).await;
    problem(&console, "/api/v1/record/main/orders/3@99", 404).await;
    problem(&console, "/api/v1/record/other/orders/3@17", 404).await;
    problem(&console, "/api/v1/record/main/orders/3@99/raw", 404).await;
    problem(&console, "/api/v1/topics/main/no-such-topic", 404).await;
    problem(&console, "/api/v1/no/such/address", 404).await;
    problem(&console, "/api/v1/flow/zzz", 400).await;
    problem(&console, "/api/v1/search?limit=many", 400).await;
    problem(&console, "/api/v1/search?cursor=x", 400).await;
    problem(&console, "/api/v1/search?from=yesterday", 400).await;
    problem(&console, "/api/v1/topics?window=0s", 400).await;
    problem(&console, "/api/v1/live?q=flow:(status:dead)", 400).await;
    let unreadable = problem(&console, "/api/v1/search?q=key:a%20evnt:b", 400).await;
    assert_eq!(unreadable["at"], 6);
    assert_eq!(unreadable["detail"], "no field `evnt`: did you mean `event`?");
}

#[tokio::test]
async fn what_the_guard_refuses_is_told_in_problem_details_too() {
    let rebound = Console::over(shop().await).sending("host", "evil.example");
    problem(&rebound, "/api/v1/status", 421).await;
    let locked = Console::locked(shop().await);
    let refused = problem(&locked, "/api/v1/status", 401).await;
    assert!(refused["detail"].as_str().unwrap().starts_with("Log in first: "), "{refused}");
    assert_eq!(locked.get("/api/v1/status").await.header("www-authenticate"), "Bearer");
    assert_eq!(locked.get("/metrics").await.status, StatusCode::UNAUTHORIZED);
    json(&locked.sending("authorization", "Bearer view secret"), "/api/v1/status").await;
}

#[tokio::test]
async fn search_goes_page_by_page_newest_first_and_to_the_end() {
    let console = Console::over(shop().await);
    let mut path = "/api/v1/search?limit=4".to_owned();
    let mut kinds = Vec::new();
    loop {
        let page = json(&console, &path).await;
        assert!(page["tookMs"].as_f64().unwrap() >= 0.0);
        kinds
            .extend(page["entries"].as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/search?limit=4&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(kinds, ["record", "record", "log", "span", "record", "span"]);
    let found = json(&console, "/api/v1/search?q=key:order-1").await;
    assert_eq!(found["entries"].as_array().unwrap().len(), 1);
    let found = json(&console, "/api/v1/search?from=2026-11-23T14:00:01.5Z&to=2026-11-23T15:00:02%2B01:00").await;
    assert_eq!(found["entries"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_asked_of_the_flow_is_decided_by_the_flow() {
    let console = Console::over(shop().await);
    let ids = async |query: &str| -> Vec<String> {
        let found = json(&console, &format!("/api/v1/search?q={query}")).await;
        found["entries"].as_array().unwrap().iter().map(|entry| entry["eventId"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("topic:orders%20flow:(status:dead)").await, ["evt-2"]);
    assert_eq!(ids("topic:orders%20kind:record%20-flow:(status:dead)").await, ["evt-1"]);
    assert_eq!(ids("kind:record%20flow:(service:billing%20kind:log)").await, ["evt-1"]);
}

#[tokio::test]
async fn more_flows_than_one_answer_looks_into_come_page_by_page() {
    let entries = (0..150_u64).map(|number| {
        let record = fixture::record("orders", 0, number as i64).trace(number + 1).at(number as f64);
        if number % 50 == 0 { record.dead("billing", "card declined").entry() } else { record.entry() }
    });
    let console = Console::over(holding(entries.collect()).await);
    let (mut offsets, mut cursor, mut n_pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = json(&console, &format!("/api/v1/search?limit=1000&q=flow:(status:dead)&cursor={cursor}")).await;
        let entries = page["entries"].as_array().unwrap().clone();
        offsets.extend(entries.iter().map(|entry| entry["position"]["place"]["offset"].as_i64().unwrap()));
        n_pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        assert!(page["cut"].as_str().unwrap().contains("flows were looked into"), "{}", page["cut"]);
        cursor = next.to_owned();
    }
    assert_eq!((offsets, n_pages >= 3), (vec![100, 50, 0], true));
}

#[tokio::test]
async fn a_body_is_shown_as_it_was_sent_and_its_bytes_are_there() {
    let numbers = r#"{"total":12.50,"id":12345678901234567890}"#;
    let long = format!("{{\"text\":\"{}\"}}", "é".repeat(40_000));
    let deep = format!("{}{}", "[".repeat(120), "]".repeat(120));
    let console = Console::over(
        holding(vec![
            fixture::record("t", 0, 0).body(numbers).at(0.0).entry(),
            fixture::record("t", 0, 1).body(long.clone()).incarnation(1).at(1.0).entry(),
            fixture::record("t", 0, 1).body("the first life").at(1.0).entry(),
            fixture::record("t", 0, 2)
                .body(&b"\xfe\xff\x00\x01"[..])
                .header("n", "\0\0\0\u{2}")
                .header("a", "b")
                .at(2.0)
                .entry(),
            fixture::record("t", 0, 3).at(3.0).entry(),
            fixture::record("t", 0, 4).body(deep.clone()).at(4.0).entry(),
        ])
        .await,
    );
    let answer = console.get("/api/v1/search?q=topic:t").await;
    assert!(answer.body.contains(numbers), "numbers keep their digits");
    let found: Value = serde_json::from_str(&answer.body).unwrap();
    let entry = |number: usize| &found["entries"][number];
    assert_eq!(entry(0)["body"], deep);
    assert_eq!(
        (&entry(1)["body"], &entry(1)["bodyEncoding"], &entry(1)["truncated"]),
        (&json!(null), &json!("null"), &json!(false))
    );
    assert_eq!(
        (&entry(2)["body"], &entry(2)["headers"]),
        (&json!("feff0001"), &json!([["n", {"hex": "00000002"}], ["a", "b"]]))
    );
    let cut = found["entries"].as_array().unwrap().iter().find(|entry| entry["truncated"] == true).unwrap();
    assert!(long.starts_with(cut["body"].as_str().unwrap()));
    assert!(cut["body"].as_str().unwrap().len() <= 65_536);
    let raw = console.get(cut["rawUrl"].as_str().unwrap()).await;
    assert_eq!((raw.header("content-type"), raw.body == long), ("application/octet-stream", true));
    assert!(raw.header("content-disposition").starts_with("attachment"));
    assert_eq!(console.get("/api/v1/record/main/t/0@1/raw").await.body, long, "the latest life of the topic");
    assert_eq!(console.get("/api/v1/record/main/t/0@1/raw?incarnation=0").await.body, "the first life");
    assert_eq!(console.get("/api/v1/record/main/t/0@3/raw").await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_large_flow_comes_in_pages_that_miss_and_repeat_nothing() {
    let entries = (0..2_500_u64).map(|number| {
        let name = format!("span {number}");
        fixture::span("worker", &name).trace(7).id(number + 1).at(number as f64 / 7.0).entry()
    });
    let console = Console::over(holding(entries.collect()).await);
    let path = format!("/api/v1/flow/{}", fixture::trace(7));
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    for _ in 0..10 {
        let flow = json(&console, &format!("{path}?cursor={cursor}")).await;
        let spans = flow["spans"].as_array().unwrap();
        assert!(spans.len() <= 1_000);
        ids.extend(spans.iter().map(|span| span["spanId"].as_str().unwrap().to_owned()));
        let Some(next) = flow["next"].as_str() else { break };
        cursor = next.to_owned();
    }
    let n_shown = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((n_shown, ids.len()), (2_500, 2_500));
}

#[tokio::test]
async fn an_answer_of_long_bodies_ends_before_it_is_too_long() {
    let body = "x".repeat(64 << 10);
    let entries = (0..300).map(|offset| fixture::record("t", 0, offset).body(body.clone()).at(offset as f64).entry());
    let console = Console::over(holding(entries.collect()).await);
    let answer = console.get("/api/v1/search?limit=1000").await;
    assert!(answer.body.len() < 10 << 20, "{}", answer.body.len());
    let page: Value = serde_json::from_str(&answer.body).unwrap();
    let n_first = page["entries"].as_array().unwrap().len();
    let rest = json(&console, &format!("/api/v1/search?limit=1000&cursor={}", page["next"].as_str().unwrap())).await;
    let last = &page["entries"][n_first - 1]["position"]["place"]["offset"];
    assert_eq!(rest["entries"][0]["position"]["place"]["offset"].as_i64().unwrap(), last.as_i64().unwrap() - 1);
}

fn status(state: SourceState, error: Option<&str>) -> SourceStatus {
    SourceStatus {
        name: "main".into(),
        kind: "kafka".to_owned(),
        address: "localhost:9092".to_owned(),
        state,
        error: error.map(str::to_owned),
        since: fixture::START,
        behind_ms: Some(1_500),
        received: 6,
        channels: vec![ChannelStatus {
            channel: "orders".to_owned(),
            partitions: 4,
            records: Some(2),
            bounds: [].into(),
        }],
        unseen: Vec::new(),
        transactions: Vec::new(),
    }
}

#[tokio::test]
async fn status_readiness_and_metrics_say_how_sillage_fares() {
    let board = Arc::new(Board::default());
    let console = Console::beside(shop().await, Arc::clone(&board));
    assert_eq!(console.get("/readyz").await.body, "ready\n");
    board.post(status(SourceState::Starting, None));
    let waiting = console.get("/readyz").await;
    assert_eq!(
        (waiting.status, &*waiting.body),
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\nsource `main` has not answered yet\n")
    );
    board.post(status(SourceState::Down, Some("refused \"x\"\n")));
    board.count_refused("too large", 3);
    assert_eq!(
        console.get("/readyz").await.status,
        StatusCode::OK,
        "a broker that is down is no reason to hide the console"
    );

    let status = json(&console, "/api/v1/status").await;
    assert_eq!((&status["sources"][0]["state"], &status["sources"][0]["behindMs"]), (&json!("down"), &json!(1_500)));
    assert_eq!((&status["store"]["entries"], &status["refused"]), (&json!(6), &json!({"too large": 3})));
    assert_eq!(status["store"]["oldest"], "2026-11-23T14:00:00.900000000Z");

    let metrics = console.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    for line in [
        "sillage_store_entries{kind=\"record\"} 3",
        "sillage_source_up{source=\"main\",type=\"kafka\"} 0",
        "sillage_source_behind_seconds{source=\"main\"} 1.5",
        "sillage_refused_total{reason=\"too large\"} 3",
    ] {
        assert!(metrics.body.lines().any(|found| found == line), "{line} in {}", metrics.body);
    }
    assert!(metrics.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn topics_tell_who_writes_and_reads_them() {
    let board = Arc::new(Board::default());
    board.post(status(SourceState::Up, None));
    let console = Console::beside(shop().await, board);
    let listed = json(&console, "/api/v1/topics").await;
    assert_eq!((&listed["topics"][0]["topic"], &listed["topics"][0]["partitions"]), (&json!("orders"), &json!(4)));
    assert_eq!(listed["next"], json!(null));
    let one = json(&console, "/api/v1/topics/main/orders?window=7d").await;
    let topic = &one["topics"][0];
    assert_eq!((&topic["topic"], &topic["records"]), (&json!("orders"), &json!(2)));
    assert_eq!(topic["steps"].as_array().unwrap().len(), 61);
}

/// The next events of a stream, as text, up to one that has these words.
async fn read_until(body: &mut Body, words: &str) -> String {
    let mut text = String::new();
    while !text.contains(words) {
        let frame = tokio::time::timeout(Duration::from_secs(10), body.frame()).await;
        let frame =
            frame.unwrap_or_else(|_| panic!("{words} never came: {text}")).expect("the stream goes on").unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    text
}

async fn open(store: Arc<Memory>, path: &str, last_event_id: Option<&str>) -> Body {
    open_until(CancellationToken::new(), store, path, last_event_id).await
}

async fn open_until(stopping: CancellationToken, store: Arc<Memory>, path: &str, last_event_id: Option<&str>) -> Body {
    let folder = tempfile::tempdir().unwrap();
    let journal = store::Journal::open(folder.path()).unwrap();
    let state = state(&Config::default(), &[], store, journal, Arc::default(), stopping).unwrap();
    let mut request = Request::get(path).header("host", "localhost:7455");
    if let Some(id) = last_event_id {
        request = request.header("last-event-id", id);
    }
    let response = routes::app(state).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response.into_body()
}

#[tokio::test]
async fn live_shows_what_comes_from_now_on_and_resumes_where_it_was_left() {
    let store = shop().await;
    let place = |offset: i64| fixture::record("orders", 0, offset).id(&format!("live-{offset}")).entry();
    let mut live = open(Arc::clone(&store), "/api/v1/live?q=topic:orders", None).await;
    read_until(&mut live, "live").await;
    let other = fixture::record("other", 0, 0).id("not-asked-for").entry();
    store.append(vec![place(100), other, place(101)], Checkpoint::none("main".into())).await.unwrap();
    let text = read_until(&mut live, "live-101").await;
    assert!(text.contains("live-100") && !text.contains("not-asked-for") && !text.contains("evt-1"), "{text}");
    let first_id = text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    drop(live);
    let mut resumed = open(Arc::clone(&store), "/api/v1/live?q=topic:orders", Some(first_id)).await;
    let text = read_until(&mut resumed, "live-101").await;
    assert!(!text.contains("live-100"), "{text}");
}

#[tokio::test]
async fn a_stream_that_lies_far_behind_skips_and_says_how_many() {
    let store = Arc::new(Memory::new());
    let entries = (0..25_000).map(|offset| fixture::record("orders", 0, offset).entry());
    store.append(entries.collect(), Checkpoint::none("main".into())).await.unwrap();
    let mut live = open(Arc::clone(&store), "/api/v1/live", Some("0")).await;
    let text = read_until(&mut live, "\"offset\":24999}").await;
    assert!(text.contains("event: dropped"), "{}", &text[..500]);
    assert!(text.contains("{\"skipped\":24500}"), "{}", &text[..500]);
    assert_eq!(text.matches("\"kind\":\"record\"").count(), 500);
}

#[tokio::test]
async fn a_stream_ends_when_the_console_stops() {
    let stopping = CancellationToken::new();
    let live = open_until(stopping.clone(), shop().await, "/api/v1/live", None).await;
    stopping.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), live.collect()).await;
    assert!(ended.expect("it ends by itself").is_ok());
}
