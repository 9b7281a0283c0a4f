//! Dead letters that are sent back on a real Kafka: byte for byte, with whose rights, what became of them, and each once whatever kills us.

mod target; // what is at the target, read by somebody who reads uncommitted

use std::fs;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};

use self::target::{Arrived, arrived};
use crate::dead_letters::{command, spring};
use crate::operator::{fails, succeeds};
use crate::rig::home::{Home, Sillage};
use crate::rig::http::{self, Answer};
use crate::rig::kafka::{self, Draft, Kafka};
use crate::rig::{parts, secure, until};

const PATIENCE: Duration = Duration::from_secs(60);

/// How often a redrive of how many messages is killed: more in tests/nightly.
fn asked(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

/// A source that reads these topics, and may send dead letters back.
fn enabled(source: &str, rate: usize) -> String {
    format!("[redrive]\nenabled = true\nrate = {rate}\n\n{source}")
}

/// As a script does it where nobody logs in: with the token of one of our pages.
fn post(sillage: &Sillage, path: &str, body: &Value) -> Answer {
    let page = sillage.get("/forget").text();
    let (_, rest) = page.split_once("name=\"token\" value=\"").unwrap();
    let origin = format!("http://{}", sillage.web);
    let headers = [
        ("content-type", "application/json"),
        ("origin", &origin),
        ("x-sillage-token", rest.split_once('"').unwrap().0),
    ];
    http::post(sillage.web, &format!("/api/v1/{path}"), &headers, body.to_string().as_bytes()).unwrap()
}

/// Has dead letters sent back whoever gets them again, and gives the redrive's id.
fn send_back(sillage: &Sillage, which: &Value) -> String {
    let mut body = json!({ "dryRun": false, "againUnknown": true });
    body.as_object_mut().unwrap().extend(which.as_object().unwrap().clone());
    let answer = post(sillage, "redrives", &body);
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn when(sillage: &Sillage, id: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let started = std::time::Instant::now();
    while started.elapsed() < PATIENCE {
        last = sillage.api(&format!("redrives/{id}"));
        if holds(&last) {
            return last;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("redrive {id} never was {what}: {last}\n{}", sillage.log());
}

fn finished(sillage: &Sillage, id: &str) -> Value {
    when(sillage, id, "finished", |redrive| redrive["state"] == "finished")
}

fn commit(kafka: &Kafka, group: &str, topic: &str, offset: i64) {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", &kafka.address).set("group.id", group).create().unwrap();
    let mut places = TopicPartitionList::new();
    places.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
    consumer.commit(&places, CommitMode::Sync).unwrap();
}

#[test]
fn what_died_goes_back_byte_for_byte_and_what_becomes_of_it_is_told() {
    let kafka = kafka::shared();
    let orders = kafka.topic("redriven", 3);
    let dead = format!("{orders}.DLT");
    kafka.create(&dead, 1);
    let trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let bytes = Draft { key: Some(vec![0, 255]), value: Some(vec![0, 159, 146, 150]), ..Draft::default() };
    let origins = [
        Draft { partition: Some(0), ..bytes.header("traceparent", Some(trace)).header("empty", None) },
        Draft { partition: Some(0), ..Draft { value: None, ..Draft::json("order-1", &json!({})) } },
    ];
    kafka.send(&orders, &origins);
    let stack = "\tat a.b.C.d(E.java:1)\n".repeat(45_000);
    let own = |offset, draft: Draft| Draft {
        key: draft.key,
        value: draft.value,
        ..spring(&orders, offset, "com.shop.Declined", &stack)
    };
    let [first, second] = origins;
    let guarded = spring(&orders, 40, "com.shop.Declined", "").header("sillage-redrive-count", Some(b"3"));
    let gone = spring("never-made", 0, "com.shop.Declined", "");
    kafka.send(&dead, &[own(0, first.clone()), own(1, second), guarded, gone]);
    let group = crate::rig::unique("billing");

    let home = Home::new(&enabled(&kafka::source(kafka, &[&orders, &dead]), 100));
    let sillage = home.serve();
    sillage.records_when(&orders, 2, PATIENCE);
    sillage.records_when(&dead, 4, PATIENCE);
    let id = send_back(&sillage, &json!({ "topic": dead }));
    let redrive = finished(&sillage, &id);
    assert_eq!(
        (&redrive["messages"], &redrive["sent"]),
        (&2.into(), &2.into()),
        "one is too often, one has nowhere to go: {redrive}"
    );

    let there = arrived(kafka, &orders);
    assert_eq!(there.len(), 4);
    for (number, draft) in [first, Draft::json("order-1", &json!({}))].iter().enumerate() {
        let (Arrived { headers, .. }, origin) = (&there[number + 2], &there[number]);
        let ours = [("sillage-redrive-count", "1".to_owned()), ("sillage-redrive-id", format!("{id}/{number}"))];
        let ours = ours.map(|(name, value)| (name.to_owned(), Some(value.into_bytes())));
        assert_eq!(headers, &[&origin.headers[..], &ours].concat(), "{:?}", draft.key);
        assert_eq!(
            there[number + 2],
            Arrived { headers: headers.clone(), offset: number as i64 + 2, ..origin.clone() }
        );
        assert_eq!(redrive["items"][number]["to"]["offset"], number + 2);
    }
    assert_eq!((there[2].value.as_deref(), there[3].value.as_deref()), (Some(&[0, 159, 146, 150][..]), None));

    // One was processed, the other dies again, by hand: only the header tells of it.
    kafka.send(
        &dead,
        &[Draft::json("order-1", &json!({})).header("sillage-redrive-id", Some(format!("{id}/1").as_bytes()))],
    );
    commit(kafka, "billing", &orders, 4);
    commit(kafka, &group, &orders, 4);
    let told = when(&sillage, &id, "followed", |redrive| {
        redrive["outcome"]["untold"] == 0 && redrive["outcome"]["deadAgain"] == 1
    });
    assert_eq!(told["outcome"]["says"], "2 redriven: 1 processed, 1 dead again");
    assert_eq!(sillage.api(&format!("dead-letters?topic={dead}"))["open"], 3);
    let redriven = sillage.api(&format!("dead-letters?topic={dead}&state=redriven"));
    assert_eq!(redriven["messages"][0]["redriven"]["redrive"], id.as_str());

    // The group has processed the origin now, and another one, too: it must be said who may get it again.
    let named = format!("main/{dead}/0@2");
    let body = json!({ "dryRun": false, "at": [format!("main/{dead}/0@0")], "override": true });
    let refused = post(&sillage, "redrives", &body);
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains(&group), "{}", refused.text());
    let sent = post(&sillage, "redrives", &json!({ "dryRun": false, "at": [named], "override": false }));
    assert!(sent.status == 409 && sent.text().contains("redriven 3 times already"), "{}", sent.text());
    let id = send_back(&sillage, &json!({ "at": [named], "override": true, "again": [group] }));
    finished(&sillage, &id);
    let there = arrived(kafka, &orders);
    assert!(there[4].headers.contains(&("sillage-redrive-count".to_owned(), Some(b"4".to_vec()))), "{:?}", there[4]);

    let journal = fs::read_to_string(home.data().join("journal")).unwrap();
    let audit = journal.lines().filter(|line| line.contains("\"kind\":\"audit\"")).collect::<Vec<_>>();
    assert!(audit.len() == 2 && audit[0].contains("\"result\":\"2 sent\"") && audit[0].contains("\"by\":\"operator\""));
}

#[test]
fn a_dry_run_says_where_each_would_go_and_where_it_is_off_nothing_is_sent() {
    let kafka = kafka::shared();
    let orders = kafka.topic("redriven", 3);
    let dead = format!("{orders}.DLT");
    kafka.create(&dead, 1);
    let body = json!({ "eventType": "OrderPlaced", "orderId": "order-0" });
    kafka.send(&orders, &[Draft { partition: Some(0), ..Draft::json("order-0", &body) }]);
    kafka.send(&dead, &[spring(&orders, 0, "com.shop.Declined", ""), spring("never-made", 1, "com.shop.Declined", "")]);

    let home = Home::new(&kafka::source(kafka, &[&orders, &dead]));
    let sillage = home.serve();
    sillage.records_when(&orders, 1, PATIENCE);
    sillage.records_when(&dead, 2, PATIENCE);
    let told: Value = serde_json::from_str(&command(&home, &["redrive", "--topic", &dead, "--json"])).unwrap();
    assert_eq!((&told["messages"], &told["wouldBeSent"]), (&2.into(), &1.into()), "{told}");
    let of = |place: i64| {
        let items = told["items"].as_array().unwrap();
        items.iter().find(|item| item["position"]["place"]["offset"] == place).unwrap()
    };
    let to = &of(0)["to"];
    assert_eq!((&to["topic"], &to["target"]), (&orders.clone().into(), &"originTopic".into()));
    assert_eq!((&to["partition"], &to["partitionBy"], &to["bytesOf"]), (&0.into(), &"origin".into(), &"origin".into()));
    assert!(of(1)["obstacle"].as_str().unwrap().contains("`never-made` is gone"), "{told}");

    let named = format!("main/{dead}/0@1");
    let text = command(&home, &["redrive", &named, "--to", &orders]);
    assert!(text.contains("1 of 1 would be") && text.contains(&format!("to main/{orders}")), "{text}");
    let refused = post(&sillage, "redrives", &json!({ "dryRun": false, "topic": dead }));
    assert!(refused.status == 403 && refused.text().contains("[redrive]"), "{}", refused.text());
    sillage.stop();

    home.configure(&enabled(&kafka::source(kafka, &[&orders, &dead]), 20));
    let sillage = home.serve();
    until("the topics are known again", PATIENCE, || {
        let told = command(&home, &["redrive", &named, "--to", &orders]);
        told.contains("1 of 1 would be").then_some(())
    });
    assert_eq!(arrived(kafka, &orders).len(), 1, "nothing was sent so far");
    let text = command(&home, &["redrive", &named, "--to", &orders, "--send", "--again-unknown"]);
    assert!(text.contains("1 message"), "{text}");
    until("it is sent", PATIENCE, || (arrived(kafka, &orders).len() == 2).then_some(()));
    drop(sillage);
}

#[test]
fn one_message_is_sent_back_as_somebody_edited_it_once_and_what_was_edited_goes_when_its_dead_letter_is_forgotten() {
    let kafka = kafka::shared();
    let orders = kafka.topic("redriven", 3);
    let dead = format!("{orders}.DLT");
    kafka.create(&dead, 1);
    let body = json!({ "eventType": "OrderPlaced", "orderId": "order-0", "currency": "XXX" });
    let origin = Draft { partition: Some(0), ..Draft::json("order-0", &body).header("tenant", Some(b"a")) };
    kafka.send(&orders, &[origin]);
    kafka.send(&dead, &[Draft { partition: Some(0), ..spring(&orders, 0, "com.shop.Unknown", "") }]);
    let home = Home::new(&enabled(&kafka::source(kafka, &[&orders, &dead]), 20));
    let sillage = home.serve();
    sillage.records_when(&orders, 1, PATIENCE);
    sillage.records_when(&dead, 1, PATIENCE);
    let named = format!("main/{dead}/0@0");
    let file = home.folder.path().join("value.json");
    let given = ["redrive", &named, "--to", &orders, "--value-file", file.to_str().unwrap()];
    let refused = post(
        &sillage,
        "redrives",
        &json!({ "dryRun": false, "topic": dead, "againUnknown": true, "value": "x".repeat(300_000) }),
    );
    assert!(refused.status == 409 && refused.text().contains("256 KiB"), "{}", refused.text());

    fs::write(&file, [0xff, 0xfe]).unwrap();
    fails(&home, &[&["dead-letters"], &given[..]].concat(), "is no UTF-8 text");

    let value = json!({ "eventType": "OrderPlaced", "orderId": "order-0", "currency": "EUR" }).to_string();
    fs::write(&file, &value).unwrap();
    let shown = command(&home, &given);
    assert!(shown.contains("-   \"currency\": \"XXX\"") && shown.contains("+   \"currency\": \"EUR\""), "{shown}");
    assert_eq!(arrived(kafka, &orders).len(), 1, "nothing is sent yet");
    let begun = command(&home, &[&given[..], &["--send", "--again-unknown", "--json"]].concat());
    let id = serde_json::from_str::<Value>(&begun).unwrap()["id"].as_str().unwrap().to_owned();
    let redrive = finished(&sillage, &id);
    assert_eq!((&redrive["sent"], &redrive["edited"]), (&1.into(), &true.into()), "{redrive}");
    let there = arrived(kafka, &orders);
    let [origin, sent] = &there[..] else { panic!("{there:?}") };
    assert_eq!(sent.value.as_deref(), Some(value.as_bytes()));
    assert_eq!((sent.partition, &sent.key), (origin.partition, &origin.key));
    assert!(sent.headers.starts_with(&origin.headers) && sent.headers.len() == origin.headers.len() + 2, "{sent:?}");

    let edit = home.data().join("edits").join(&id);
    assert!(edit.exists() && fs::read_to_string(home.data().join("journal")).unwrap().contains("\"edited\":\""));
    assert!(!fs::read_to_string(home.data().join("journal")).unwrap().contains("EUR"), "the journal holds no payload");
    let backup = home.folder.path().join("backup");
    succeeds(&home, &["store", "backup", backup.to_str().unwrap()]);
    assert!(backup.join("edits").join(&id).exists());
    let forgotten = succeeds(&home, &["forget", "--query", &format!("topic:{dead}"), "--yes"]);
    assert!(forgotten.contains("1 entry gone"), "{forgotten}");
    assert!(!edit.exists(), "what was edited went with it");
    assert_eq!(sillage.api(&format!("redrives/{id}"))["edit"], Value::Null);
}

#[test]
fn dead_letters_go_with_credentials_of_their_own_and_the_tail_may_only_read() {
    let secure = secure::shared();
    parts::wire(&["grant", &secure.kafka.address, "writer", "topic:open-*:WRITE"]);
    let orders = secure.kafka.topic("open-orders", 1);
    let dead = format!("{orders}.DLT");
    secure.kafka.create(&dead, 1);
    secure.kafka.send(&dead, &[spring(&orders, 0, "com.shop.Declined", "")]);
    let source = secure::source("main", &secure.sasl, &[&orders, &dead], &secure.by_password("PLAIN"));
    let home = Home::new(&enabled(&source, 20));
    let sillage = home.serve();
    sillage.records_when(&dead, 1, PATIENCE);
    let id = send_back(&sillage, &json!({ "topic": dead }));
    let refused = finished(&sillage, &id);
    assert!(refused["items"][0]["why"].as_str().unwrap().contains("grant WRITE"), "{refused}");
    sillage.stop();

    let writer = secure.by_password("PLAIN").into_iter().map(|(key, value)| match key {
        "sasl.username" => (key, "writer".to_owned()),
        "sasl.password" => (key, secure.secret("writer-password", "writer-secret")),
        _ => (key, value),
    });
    let writer: Vec<String> = writer.map(|(key, value)| format!("{key:?} = {value:?}")).collect();
    home.configure(&enabled(&format!("{source}redrive_options = {{ {} }}\n", writer.join(", ")), 20));
    let sillage = home.serve();
    until("the topics are known again", PATIENCE, || {
        let answer = post(&sillage, "redrives", &json!({ "topic": dead })).json();
        (answer["wouldBeSent"] == 1).then_some(())
    });
    let id = send_back(&sillage, &json!({ "topic": dead }));
    assert_eq!(finished(&sillage, &id)["sent"], 1);
    assert_eq!(arrived(&secure.kafka, &orders).len(), 1);
}

#[test]
fn killed_in_the_middle_each_message_is_at_its_target_exactly_once() {
    let (many, kills) = (asked("IT_REDRIVES", 100), asked("IT_REDRIVE_KILLS", 2));
    let kafka = kafka::shared();
    let orders = kafka.topic("redriven", 3);
    let dead = format!("{orders}.DLT");
    kafka.create(&dead, 3);
    let letter = |number: usize| Draft {
        partition: Some(number as i32 % 3),
        ..spring(&orders, number as i64, "com.shop.Declined", "")
    };
    kafka.send(&dead, &(0..many).map(letter).collect::<Vec<_>>());
    let rate = (many / (2 * kills).max(5)).max(20);
    let home = Home::new(&enabled(&kafka::source(kafka, &[&orders, &dead]), rate));
    let mut sillage = home.serve();
    sillage.records_when(&dead, many, PATIENCE);
    let id = send_back(&sillage, &json!({ "topic": dead }));
    let journal = || fs::read_to_string(home.data().join("journal")).unwrap();
    let noted = |says: &str| journal().matches(&format!("\"says\":\"{says}\"")).count();
    let mut amid = 0;
    for kill in 0..kills {
        let before = noted("sending");
        // Past the slow beginning, and then as soon as something is about to be sent.
        until("a batch is sent", PATIENCE, || (noted("sending") >= before + 2 + kill % 3).then_some(()));
        std::thread::sleep(Duration::from_micros(rand::random_range(0..12_000)));
        sillage.kill_9();
        amid += usize::from(noted("sending") > noted("told"));
        sillage = home.serve();
    }
    let redrive = when(&sillage, &id, "finished", |redrive| redrive["state"] == "finished");
    println!("{many} messages, {kills} kills, {amid} of them before it was known what became of a batch");
    assert_eq!((redrive["sent"].as_u64(), redrive["unknown"].as_u64()), (Some(many as u64), Some(0)), "{redrive}");
    let there = arrived(kafka, &orders);
    let counts = kafka::tally(there.iter().map(|arrived| arrived.key.clone().unwrap()));
    assert!(counts.values().all(|count| *count == 1), "some are there more than once: {counts:?}");
    assert_eq!(counts.len(), many);
}
