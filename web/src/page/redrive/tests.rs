//! The pages of redriving as a person reads them and acts on them, and the API of it.

use std::sync::Arc;

use serde_json::{Value, json};
use store::board::{ChannelStatus, SourceState, SourceStatus};
use store::fixture::{group, record};
use store::redrive::said::{Said, Sending, Sent, Told};
use store::{Board, Timestamp, redrive};

use crate::config::Config;
use crate::given::{Answer, Console, holding};

/// A board on which `orders` and its dead letters are, and groups that read it.
fn board(groups: &[(&str, i64)]) -> Arc<Board> {
    let channel =
        |name: &str| ChannelStatus { channel: name.to_owned(), partitions: 4, records: None, bounds: Arc::default() };
    let board = Board::default();
    board.post(SourceStatus {
        name: "main".into(),
        kind: "kafka".to_owned(),
        address: String::new(),
        state: SourceState::Up,
        error: None,
        since: Timestamp::default(),
        behind_ms: None,
        received: 0,
        channels: ["orders", "orders.DLT"].map(channel).to_vec(),
        unseen: Vec::new(),
        transactions: Vec::new(),
    });
    let groups = groups.iter().map(|(name, committed)| group(name).reads("orders", 1, Some(*committed), 100).status());
    board.post_groups(&"main".into(), groups.collect());
    Arc::new(board)
}

async fn console(enabled: bool) -> Console {
    let letter = |offset: i64| {
        let dead = record("orders.DLT", 0, offset).key(&format!("order-{offset}")).dead("billing", "declined");
        let dead = dead.body(r#"{"orderId":"order-1","currency":"XXX"}"#);
        dead.from("orders", 1, offset + 10).at(offset as f64).entry()
    };
    let lost = record("orders.DLT", 0, 9).dead("billing", "declined").from("lost", 0, 1).at(9.0).entry();
    let redrive = redrive::Config { enabled, ..redrive::Config::default() };
    let store = holding(vec![letter(1), letter(2), letter(3), lost]).await;
    Console::set(&Config { redrive, ..Config::default() }, store, board(&[("billing", 50), ("shipping", 13)]))
}

fn value(page: &Answer, name: &str) -> String {
    let (_, rest) = page.body.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
    rest.split_once('"').unwrap().0.replace("&#38;", "&").replace("&amp;", "&")
}

/// What the console answers to the form of a dry run, with more fields.
async fn send(console: &Console, page: &Answer, more: &[(&str, &str)]) -> Answer {
    let (token, asked, newest) = (value(page, "token"), value(page, "asked"), value(page, "newest"));
    let fields = [("token", token.as_str()), ("asked", &asked), ("newest", &newest), ("to", "")];
    console.post("/redrive", &[&fields[..], more].concat()).await
}

#[tokio::test]
async fn it_is_shown_first_what_goes_where_who_gets_it_again_and_what_stays() {
    let console = console(true).await;
    let page = console.page("/redrive?topic=orders.DLT").await;
    page.shows("Send 4 dead letters back a dry run: nothing is sent yet").shows("main/orders where it came from 3");
    page.shows("lost is gone, or isn't watched").shows("shipping has committed past 2 of them, and gets them again");
    page.shows("0@2 orders.DLT order-2 orders p1 the partition that it had; bytes of the dead letter");
    page.hides("Sending is off");
    let refused = send(&console, &page, &[]).await;
    assert_eq!(refused.status, 409);
    refused.shows("would get it again: shipping");
    let begun = send(&console, &page, &[("again", "shipping"), ("rate", "5")]).await;
    assert_eq!(begun.status, 303, "{}", begun.body);
    let redrive = console.page(begun.header("location")).await;
    redrive.shows("3 waiting").shows("by operator").shows("at most 5 a second").shows("orders.DLT p0@1");
    assert_eq!(redrive.header("refresh"), "3", "it is followed without JavaScript");
    console.page("/dead-letters").await.shows("Redrives").shows("0 sent, 3 waiting");
    let twice = console.page("/redrive?topic=orders.DLT").await;
    twice.shows("is about to send it back").shows("Nothing can be sent");
}

#[tokio::test]
async fn where_it_is_off_the_page_says_how_to_switch_it_on_and_nothing_can_be_sent() {
    let console = console(false).await;
    let page = console.page("/redrive").await;
    page.shows("Sending is off").shows("enabled = true").hides("name=\"rate\"");
    let token = value(&console.page("/dead-letters").await, "token");
    let fields = [("token", token.as_str()), ("asked", ""), ("newest", &value(&page, "newest"))];
    let refused = console.post("/redrive", &fields).await;
    assert_eq!(refused.status, 403);
    refused.shows("set enabled = true in [redrive]");
    assert!(!console.journal().contains("redrive"));
}

/// The value in the form, as a browser has it: less the newline that HTML takes off the beginning.
fn in_form(page: &Answer) -> String {
    let (_, rest) = page.body.split_once("name=\"value\"").unwrap();
    let (_, text) = rest.split_once(">\n").unwrap();
    let text = text.split_once("</textarea>").unwrap().0;
    text.replace("&#34;", "\"").replace("&quot;", "\"").replace("&#38;", "&")
}

#[tokio::test]
async fn one_message_is_edited_shown_as_a_difference_and_sent_so_and_that_is_kept() {
    let console = console(true).await;
    console.page("/redrive?topic=orders.DLT").await.hides("Edit its value").shows("where it is the only one");
    let page = console.page("/redrive?at=main/orders.DLT/0@3").await;
    let value = in_form(&page);
    assert_eq!(value, r#"{"orderId":"order-1","currency":"XXX"}"#);
    let same = send(&console, &page, &[("do", "look"), ("value", &value)]).await;
    same.shows("Nothing is changed").shows("Send 1 message").hides("edited");
    let broken = send(&console, &page, &[("do", "look"), ("value", "{\"<b>\r\n")]).await;
    broken.shows("it was JSON, and isn't any more").shows("+ {\"<b>").shows("Send 1 message, edited");
    assert!(!console.journal().contains("redrive"), "a look is no order");

    let fixed = value.replace("XXX", "EUR");
    let page = send(&console, &page, &[("do", "look"), ("value", &fixed)]).await;
    page.shows("- \"currency\": \"XXX\"").shows("+ \"currency\": \"EUR\"").hides("isn't any more");
    let begun = send(&console, &page, &[("value", &fixed)]).await;
    assert_eq!(begun.status, 303, "{}", begun.body);
    let address = begun.header("location").to_owned();
    let one = console.page(&address).await;
    one.shows("Edited before it was sent").shows("- \"currency\": \"XXX\"").shows("by operator");
    assert!(!console.journal().contains("EUR") && console.journal().contains("\"edited\":\""), "no payload in it");
    let id = address.rsplit('/').next().unwrap();
    let told: Value = serde_json::from_str(&console.get(&format!("/api/v1/redrives/{id}")).await.body).unwrap();
    assert_eq!((&told["edited"], &told["edit"]["warning"]), (&json!(true), &json!(null)), "{told}");
    assert!(told["edit"]["difference"].as_str().unwrap().contains("+   \"currency\": \"EUR\"\n"), "{told}");
    std::fs::remove_dir_all(console.book().folder().join("edits")).unwrap();
    console.page(&address).await.shows("What was edited isn't kept any more");
}

#[tokio::test]
async fn an_edit_that_can_not_be_sent_is_refused_and_what_was_written_is_not_lost() {
    let console = console(true).await;
    let page = console.page("/redrive?at=main/orders.DLT/0@3").await;
    let long = format!("{{\"x\":\"{}\"}}", "é".repeat(140_000));
    let refused = send(&console, &page, &[("do", "look"), ("value", &long)]).await;
    assert_eq!(refused.status, 200);
    refused.shows("values of more than 256 KiB can't be edited").hides("Send 1 message");
    assert!(refused.body.contains(&"é".repeat(140_000)), "it is still in the form");
    assert_eq!(send(&console, &page, &[("value", &long)]).await.status, 409);
    let all = console.page("/redrive?topic=orders.DLT").await;
    let refused = send(&console, &all, &[("again", "shipping"), ("value", "x")]).await;
    assert_eq!(refused.status, 409);
    refused.shows("an edit is of one message, and this is about 4");
    assert!(!console.journal().contains("redrive"));
    let too_much = send(&console, &page, &[("value", &"x".repeat(2 << 20))]).await;
    assert_eq!(too_much.status, 413);
}

#[tokio::test]
async fn it_is_paused_resumed_and_cancelled_and_what_came_of_it_is_told() {
    let console = console(true).await;
    let page = console.page("/redrive?at=main/orders.DLT/0@1&at=main/orders.DLT/0@2&at=main/orders.DLT/0@3").await;
    let begun = send(&console, &page, &[("again", "shipping")]).await;
    let address = begun.header("location").to_owned();
    let id = address.rsplit('/').next().unwrap();
    let page = console.page(&address).await;
    let steer = async |what: &str| {
        let token = value(&page, "token");
        console.post(&address, &[("token", token.as_str()), ("do", what)]).await.status
    };
    assert_eq!(steer("pause").await, 303);
    console.page(&address).await.shows("Paused by operator").shows("Resume");
    assert_eq!(steer("resume").await, 303);
    console.page(&address).await.shows("running").hides("Paused");
    // What the collector does.
    let journal = console.book();
    let sending = |number| Sending {
        number,
        topic: "orders".to_owned(),
        partition: 1,
        end: 40,
        group: Some("billing".to_owned()),
    };
    Said::Sending { messages: vec![sending(0), sending(1)] }.append(journal, id, "sillage").await.unwrap();
    let there = Told { number: 0, fate: Sent::There { offset: 41 } };
    let refused = Told { number: 1, fate: Sent::Refused { why: "too <large>".to_owned() } };
    Said::Told { messages: vec![there, refused] }.append(journal, id, "sillage").await.unwrap();
    assert_eq!(steer("cancel").await, 303);
    assert_eq!(steer("resume").await, 409, "it is over");
    let page = console.page(&address).await;
    page.shows("Cancelled by operator").shows("1 sent, 1 waiting, 1 not sent").shows("1 redriven: 1 processed");
    page.shows("too <large>").shows("orders p1@41 processed after redrive");
    console.page("/dead-letters?state=redriven").await.shows("processed after redrive").shows("its redrive");
    console.page("/dead-letters").await.hides("order-1").shows("order-2");
    let told: Value = serde_json::from_str(&console.get(&format!("/api/v1/redrives/{id}")).await.body).unwrap();
    assert_eq!(
        (&told["state"], &told["sent"], &told["outcome"]["processed"]),
        (&json!("cancelled"), &json!(1), &json!(1))
    );
    assert_eq!(told["items"][0]["to"], json!({ "topic": "orders", "partition": 1, "offset": 41 }));
    let all: Value = serde_json::from_str(&console.get("/api/v1/redrives").await.body).unwrap();
    assert_eq!(all["redrives"][0]["id"], id);
    assert_eq!(console.get("/api/v1/redrives/nothing").await.status, 404);
    assert_eq!(console.get("/redrive/nothing").await.status, 404);
}
