//! What died on a real Kafka: grouped by cause, dismissed for good, exported, and told at the terminal while Sillage runs and when it doesn't.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::home::{self, Home};
use crate::rig::kafka::{self, Draft};
use crate::rig::{http, parts, unique};

const PATIENCE: Duration = Duration::from_secs(60);

/// A dead letter as spring-kafka's `DeadLetterPublishingRecoverer` writes it: numbers in bytes, the group as text.
pub fn spring(topic: &str, offset: i64, exception: &str, stack: &str) -> Draft {
    Draft::json(
        &format!("order-{offset}"),
        &json!({ "eventType": "OrderPlaced", "orderId": format!("order-{offset}") }),
    )
    .header("kafka_dlt-original-topic", Some(topic.as_bytes()))
    .header("kafka_dlt-original-partition", Some(&0_i32.to_be_bytes()))
    .header("kafka_dlt-original-offset", Some(&offset.to_be_bytes()))
    .header("kafka_dlt-original-consumer-group", Some(b"billing"))
    .header("kafka_dlt-exception-cause-fqcn", Some(exception.as_bytes()))
    .header("kafka_dlt-exception-message", Some(format!("order {offset} declined").as_bytes()))
    .header("kafka_dlt-exception-stacktrace", Some(stack.as_bytes()))
}

/// What `sillage dead-letters` prints.
pub fn command(home: &Home, arguments: &[&str]) -> String {
    let file = home.file();
    let common = ["--config", file.to_str().unwrap()];
    let mut command = home::program(&[&["dead-letters"], arguments, &common].concat());
    let output = parts::run(command.current_dir(home.folder.path()).stdin(Stdio::null()));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_died_is_grouped_by_cause_and_what_was_dismissed_stays_so_over_a_restart() {
    let kafka = kafka::shared();
    let orders = unique("dying");
    let topic = format!("{orders}.DLT");
    kafka.create(&topic, 1);
    let stack = "com.shop.Declined: no\n\tat org.springframework.kafka.Listener.call(L.java:1)\n\tat com.shop.Billing.charge(Billing.java:4)";
    let huge = format!("{stack}\n{}", "\tat a.b.C.d(E.java:1)\n".repeat(40_000));
    let hostile = "<script>alert(1)</script>";
    let mut drafts: Vec<Draft> = (0..3).map(|offset| spring(&orders, offset, "com.shop.Declined", stack)).collect();
    drafts.push(spring(&orders, 3, hostile, "").header("x", Some(hostile.as_bytes())));
    drafts.push(Draft { value: None, ..spring(&orders, 4, "com.shop.Declined", &huge) });
    drafts.push(Draft::json("order-5", &json!({ "no": "headers" })));
    // One after the other: what died at the same moment has no order.
    let began = store::Timestamp::now().as_millis() - 60_000;
    for (number, draft) in (0..).zip(&mut drafts) {
        draft.timestamp_ms = Some(began + number * 1_000);
    }
    kafka.send(&topic, &drafts);

    let home = Home::new(&kafka::source(kafka, &[&topic]));
    let sillage = home.serve();
    sillage.records_when(&topic, 6, PATIENCE);
    let found = sillage.api(&format!("dead-letters?topic={topic}"));
    let causes: Vec<(String, i64)> = found["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cause| (cause["cause"].as_str().unwrap().to_owned(), cause["count"].as_i64().unwrap()))
        .collect();
    assert_eq!(causes[0], ("Declined at Billing.charge".to_owned(), 4));
    assert!(causes.contains(&("no reason given".to_owned(), 1)), "{causes:?}");
    assert_eq!(found["open"], 6);
    let last = &found["messages"][0];
    assert_eq!((&last["guessed"], &last["reason"], &last["consumer"]), (&true.into(), &Value::Null, &Value::Null));
    let of = &found["messages"][1];
    assert_eq!((&of["origin"]["channel"], &of["origin"]["offset"]), (&orders.clone().into(), &4.into()));

    let page = sillage.get(&format!("/dead-letters/main/{topic}"));
    assert_eq!(page.status, 200);
    let page = page.text();
    assert!(page.contains("Declined at Billing.charge") && !page.contains(hostile), "{page}");
    let export = sillage.get(&format!("/api/v1/dead-letters/export?topic={topic}")).text();
    let lines: Vec<Value> = export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 6);
    assert_eq!(lines[1]["record"]["body"], Value::Null, "a null value stays null");

    // Dismissed by the page's own form.
    let selected = format!("/dead-letters?at=main/{topic}/0@3");
    let shown = sillage.get(&selected).text();
    let value = |name: &str| {
        let (_, rest) = shown.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
        rest.split_once('"').unwrap().0.replace("&#38;", "&")
    };
    let form = [
        ("token", value("token")),
        ("asked", value("asked")),
        ("newest", value("newest")),
        ("note", "known".to_owned()),
    ];
    let form: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", home::encode(value))).collect();
    let origin = format!("http://{}", sillage.web);
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("origin", &origin)];
    let done = http::post(sillage.web, "/dead-letters/decide", &headers, form.join("&").as_bytes()).unwrap();
    assert_eq!(done.status, 303, "{}", done.text());

    let listed = command(&home, &["list", "--topic", &topic]);
    assert!(listed.starts_with("5 open") && listed.contains("Declined at Billing.charge"), "{listed}");
    sillage.stop();
    assert_eq!(command(&home, &["list", "--topic", &topic]), listed, "without a running Sillage the same is told");
    let one = command(&home, &["show", &format!("main/{topic}/0@0")]);
    assert!(one.contains("at com.shop.Billing.charge") && one.contains("\"orderId\": \"order-0\""), "{one}");

    let sillage = home.serve();
    let dismissed = sillage.api(&format!("dead-letters?topic={topic}&state=dismissed"));
    assert_eq!(dismissed["messages"][0]["dismissal"]["note"], "known");
    assert_eq!(dismissed["open"], 5);
}
