//! The page of dead letters as a person reads it and acts on it, and the same for scripts.

use serde_json::Value;
use store::fixture::{RecordFixture, record};

use crate::given::{Console, empty, holding, order_journey};

fn dead(topic: &str, offset: i64, group: &str, message: &str) -> RecordFixture {
    let event =
        record(topic, 0, offset).event("OrderPlaced").id(&format!("evt-{offset}")).key(&format!("order-{offset}"));
    event.trace(1).body(format!("{{\n  \"orderId\": \"order-{offset}\"\n}}")).dead(group, message).at(offset as f64)
}

async fn console() -> Console {
    let mut entries: Vec<store::Entry> = (1..=3)
        .map(|offset| dead("orders.DLT", offset, "billing", &format!("order {offset} declined")).entry())
        .collect();
    entries.push(dead("stock.DLT", 4, "shipping", "no <b>stock</b>").entry());
    let mut silent = dead("poison", 5, "", "").record();
    let failure = silent.failure.as_mut().unwrap();
    (failure.group, failure.exception, failure.message, failure.guessed) = (None, None, None, true);
    entries.push(store::Entry::Record(silent));
    Console::over(holding(entries).await)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

async fn api(console: &Console, query: &str) -> Value {
    json(&console.get(&format!("/api/v1/dead-letters{query}")).await.body)
}

#[tokio::test]
async fn the_page_says_what_died_why_and_in_whose_hands() {
    let page = console().await.page("/dead-letters").await;
    page.shows("Dead letters 5 open").shows("the oldest open one died");
    page.shows("RuntimeError: order # declined orders.DLT billing 3");
    page.shows("RuntimeError: no <b>stock</b> stock.DLT shipping 1").shows("no reason given poison not told 1");
    page.shows("0@2 orders.DLT OrderPlaced order-2 order 2 declined").shows("guessed by its topic's name");
    assert!(page.body.contains("/record/main/orders.DLT/0%402"), "each leads to its flow");
    Console::over(empty()).page("/dead-letters").await.shows("Nothing died, as far as what is kept reaches");
}

#[tokio::test]
async fn a_cause_a_topic_or_a_selection_has_an_address_of_its_own() {
    let console = console().await;
    let all = api(&console, "").await;
    let cause = all["causes"][0]["id"].as_str().unwrap();
    let of_cause = console.page(&format!("/dead-letters?cause={cause}")).await;
    of_cause
        .shows("RuntimeError: order # declined in billing 3 dead letters")
        .hides("order-4")
        .shows("no reason given");
    console.page("/dead-letters/main/stock.DLT").await.shows("stock.DLT 1 open").shows("order-4").hides("order-1");
    let one = console.page("/dead-letters?at=main%2Forders.DLT%2F0%402").await;
    one.shows("Selected 1 dead letter").shows("\"orderId\" : \"order-2\"").shows("Its flow").hides("order-3");
    let two = console.page("/dead-letters?at=main/orders.DLT/0@2&at=main/stock.DLT/0@4").await;
    two.shows("Selected 2 dead letters").shows("order-4").hides("order-1");
    console.page("/dead-letters?type=Other").await.shows("None that is asked for");
    assert_eq!(console.get("/dead-letters?state=blue").await.status, 400);
}

#[tokio::test]
async fn what_needs_no_more_attention_is_dismissed_with_a_note_and_can_be_opened_again() {
    let console = console().await;
    let page = console.page("/dead-letters?at=main%2Forders.DLT%2F0%402&at=main%2Forders.DLT%2F0%403").await;
    let value = |name: &str| {
        let (_, rest) = page.body.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
        rest.split_once('"').unwrap().0.replace("&#38;", "&").replace("&amp;", "&")
    };
    let (token, asked, newest) = (page.token().to_owned(), value("asked"), value("newest"));
    let fields = [("token", token.as_str()), ("asked", &asked), ("newest", &newest)];
    let gone = console.post("/dead-letters/decide", &[&fields[..], &[("note", "refunded by hand")]].concat()).await;
    assert_eq!(gone.status, 303, "{}", gone.body);
    console.page(gone.header("location")).await.shows("2 dead letters decided").shows("3 open").hides("order-2");
    let dismissed = console.page("/dead-letters?state=dismissed").await;
    dismissed.shows("order-2").shows("refunded by hand").shows("Open 2 dead letters again");
    assert_eq!(api(&console, "?state=dismissed").await["messages"][0]["dismissal"]["note"], "refunded by hand");
    assert!(console.journal().contains("refunded by hand"));
    let asked = format!("{asked}&state=dismissed");
    let fields = [("token", token.as_str()), ("asked", &asked), ("newest", &newest), ("opens", "yes")];
    assert_eq!(console.post("/dead-letters/decide", &fields).await.status, 303);
    assert_eq!(api(&console, "").await["open"], 5);
    // Nobody decides of what they were not shown, nor without our form.
    assert_eq!(console.post("/dead-letters/decide", &fields[..2]).await.status, 400);
    assert_eq!(console.post("/dead-letters/decide", &fields[1..]).await.status, 403);
}

#[tokio::test]
async fn scripts_page_through_causes_and_messages() {
    let console = console().await;
    let first = api(&console, "?limit=2").await;
    assert_eq!((&first["open"], first["causes"].as_array().unwrap().len()), (&5.into(), 3));
    let places = |page: &Value| {
        let messages = page["messages"].as_array().unwrap();
        messages.iter().map(|message| message["position"]["place"]["offset"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(places(&first), [5, 4]);
    let rest = api(&console, &format!("?limit=10&cursor={}", first["next"].as_str().unwrap())).await;
    assert_eq!((places(&rest), &rest["next"]), (vec![3, 2, 1], &Value::Null));
    let message = &rest["messages"][0];
    assert_eq!((&message["reason"], &message["state"]), (&"order 3 declined".into(), &"new".into()));
    assert_eq!((&message["consumer"], &message["key"]), (&"billing".into(), &"order-3".into()));
    assert_eq!(first["messages"][0]["reason"], Value::Null, "no reason is no text");
    assert_eq!(console.get("/api/v1/dead-letters?cursor=x").await.status, 400);
}

#[tokio::test]
async fn the_export_has_a_line_for_each_with_the_whole_record() {
    let mut entries = order_journey();
    let long = format!("{{\"text\": \"{}\"}}", "x".repeat(100_000));
    entries.push(dead("orders.DLT", 9, "billing", "too long").body(long.clone()).entry());
    entries.push(dead("orders.DLT", 10, "billing", "null").entry());
    let console = Console::over(holding(entries).await);
    let answer = console.get("/api/v1/dead-letters/export?consumer=billing").await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = answer.body.lines().map(json).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["record"]["body"]["orderId"], "order-10", "a body over several lines is still one line");
    assert_eq!(lines[1]["bodyHex"], hex::encode(long));
    assert_eq!(lines[2]["deadLetter"]["origin"]["offset"], 48_213);
    assert!(console.get("/api/v1/dead-letters/export?topic=nothing").await.body.is_empty());
}

#[tokio::test]
async fn hostile_text_stays_text() {
    let hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'\u{202e}\u{0}";
    let stack = format!("{}\n{hostile}", "\tat a.b.C.d(E.java:1)\n".repeat(40_000));
    let mut letter = dead(hostile, 1, hostile, hostile).record();
    letter.failure.as_mut().unwrap().stack_trace = Some(stack);
    letter.failure.as_mut().unwrap().exception = Some(hostile.to_owned());
    let console = Console::over(holding(vec![store::Entry::Record(letter)]).await);
    let listed = console.page("/dead-letters").await;
    let (_, rest) = listed.body.split_once("name=\"at\" value=\"").unwrap();
    assert!(!rest.split_once('"').unwrap().0.contains('<'));
    assert!(!listed.body.contains("<img") && !listed.body.contains('\u{202e}') && !listed.body.contains('\0'));
    assert!(listed.body.len() < 64 * 1024, "a stack trace is not in the list");
}
