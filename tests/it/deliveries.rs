//! For one event, which consumer group has it: told from what real groups have committed, and from spans.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;

use crate::rig::home::{Home, Sillage, encode};
use crate::rig::kafka::{self, Draft, Kafka};
use crate::rig::{otlp, unique, until};

/// Groups are asked for every ten seconds; a rebalance and a busy machine take some more.
const PATIENCE: Duration = Duration::from_secs(60);

/// The record that everybody is asked about, of [`RECORDS`] on one partition.
const WANTED: i64 = 12;
const RECORDS: i64 = 20;

fn client(kafka: &Kafka, group: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", &kafka.address)
        .set("group.id", group)
        .set("client.id", format!("{group}-member"))
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap()
}

fn commit(consumer: &BaseConsumer, topic: &str, offset: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
    consumer.commit(&list, CommitMode::Sync).unwrap();
}

/// A member that joins the group, reads so many records, and commits up to `offset`.
fn read_and_commit(kafka: &Kafka, group: &str, topic: &str, many: usize, offset: i64) -> BaseConsumer {
    let consumer = client(kafka, group);
    consumer.subscribe(&[topic]).unwrap();
    let mut read = 0;
    until("the member reads", PATIENCE, || {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            message.unwrap();
            read += 1;
        }
        (read >= many).then_some(())
    });
    commit(&consumer, topic, offset);
    consumer
}

/// Sets the commit of a group without members, as `kafka-consumer-groups --reset-offsets` does.
fn reset(kafka: &Kafka, group: &str, topic: &str, offset: i64) {
    commit(&client(kafka, group), topic, offset);
}

/// How the delivery of the wanted record to a consumer stands, once it is as said.
fn delivery_when(sillage: &Sillage, topic: &str, consumer: &str, state: &str) -> Value {
    let path = format!("/api/v1/record/main/{topic}/0@{WANTED}");
    until(&format!("{consumer}: {state}"), PATIENCE, || {
        std::thread::sleep(Duration::from_millis(200));
        let answer = sillage.get(&path);
        let flow = (answer.status == 200).then(|| answer.json())?;
        let deliveries = flow["deliveries"].as_array()?;
        let delivery = deliveries.iter().find(|delivery| delivery["consumer"] == consumer)?;
        (delivery["state"] == state).then(|| delivery.clone())
    })
}

fn time(value: &Value) -> i64 {
    store::Timestamp::from_rfc3339(value.as_str().unwrap()).unwrap().as_millis()
}

fn now_ms() -> i64 {
    store::Timestamp::now().as_millis()
}

/// One test for all of it: each look at the groups takes ten seconds, and they share them.
#[test]
fn an_event_waits_is_committed_past_between_two_looks_is_skipped_by_a_reset_or_proved_processed() {
    let kafka = kafka::shared();
    let topic = kafka.topic("delivered", 1);
    let draft =
        |number: i64| Draft::json(&format!("order-{number}"), &serde_json::json!({ "eventType": "OrderPlaced" }));
    kafka.send(&topic, &(0..RECORDS).map(draft).collect::<Vec<_>>());
    let [stopped, jumped, proven] = ["stopped", "jumped", "proven"].map(unique);
    for group in [&stopped, &jumped, &proven] {
        drop(read_and_commit(kafka, group, &topic, 5, 5));
    }

    let home = Home::new(&kafka::source(kafka, &[&topic]));
    let sillage = home.serve();
    for group in [&stopped, &jumped, &proven] {
        assert_eq!(delivery_when(&sillage, &topic, group, "waiting")["ahead"], WANTED - 5);
    }
    let waiting = sillage.search_all(&format!("status:waiting topic:{topic}"));
    assert_eq!(waiting.len() as i64, RECORDS - 5, "everything from the commit to the end");
    let page = |path: &str| sillage.get(path).text();
    assert!(page(&format!("/record/main/{topic}/0@{WANTED}")).contains("waiting in 3 consumers"));
    assert!(page(&format!("/flows?q={}&status=waiting", encode(&format!("topic:{topic}")))).contains("order-12"));

    let begun = now_ms();
    let member = read_and_commit(kafka, &stopped, &topic, 15, RECORDS);
    let done = now_ms();
    reset(kafka, &jumped, &topic, RECORDS);
    let mut span = otlp::span(rand::random(), rand::random(), "process order");
    span.kind = 5;
    span.attributes = vec![
        otlp::string("messaging.system", "kafka"),
        otlp::string("messaging.operation.type", "process"),
        otlp::string("messaging.destination.name", &topic),
        otlp::string("messaging.destination.partition.id", "0"),
        otlp::int("messaging.kafka.offset", WANTED),
        otlp::string("messaging.consumer.group.name", &proven),
    ];
    otlp::post_all(home.http, "traces", &otlp::traces("billing", vec![span]));

    let processed = delivery_when(&sillage, &topic, &proven, "processed");
    assert_eq!((&processed["service"], &processed["attempts"]), (&"billing".into(), &1.into()));
    let past = delivery_when(&sillage, &topic, &stopped, "committedPast");
    drop(member);
    let (after, by) = (time(&past["commit"]["passedAfter"]), time(&past["commit"]["passedBy"]));
    assert!(after <= done && begun <= by, "{after} to {by} has no moment of {begun} to {done}");
    assert!(by - after < 60_000, "bounds that tell something: {past}");
    assert_eq!((&past["attempts"], &past["startedAt"]), (&0.into(), &Value::Null));
    let skipped = delivery_when(&sillage, &topic, &jumped, "skipped");
    assert!(skipped["commit"]["passedBy"].is_string(), "{skipped}");

    let told = page(&format!("/record/main/{topic}/0@{WANTED}"));
    for words in ["Committed is not processed", "between", "while nobody was there to read it", "processed"] {
        assert!(told.contains(words), "{words} is not on the page: {told}");
    }
    assert!(sillage.search_all(&format!("status:waiting topic:{topic} offset:<5")).is_empty());
}
