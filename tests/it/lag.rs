//! How far consumer groups are behind, against what Kafka's own tool says, and that asking leaves them as they were.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;

use crate::rig::home::{Home, Sillage};
use crate::rig::kafka::{self, Draft, Kafka};
use crate::rig::{parts, unique, until};

/// Groups are asked for every ten seconds; a rebalance and a busy machine take some more.
const PATIENCE: Duration = Duration::from_secs(60);

/// A member of a group that has read `many` records, and committed nothing yet.
fn member(kafka: &Kafka, group: &str, topic: &str, many: usize) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.address)
        .set("group.id", group)
        .set("client.id", format!("{group}-member"))
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let mut read = 0;
    until("the member reads", PATIENCE, || {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            message.unwrap();
            read += 1;
        }
        (read >= many).then_some(())
    });
    consumer
}

fn commit(consumer: &BaseConsumer, topic: &str, offsets: &[i64]) {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in (0..).zip(offsets) {
        list.add_partition_offset(topic, partition, Offset::Offset(*offset)).unwrap();
    }
    consumer.commit(&list, CommitMode::Sync).unwrap();
}

/// What Kafka's own tool says: `(committed, end, lag)` by partition, where `-` is nothing.
fn told_by_kafka(kafka: &Kafka, group: &str) -> BTreeMap<String, [String; 3]> {
    let classpath = ["kafka/lib", "kafka-tools"].map(|part| parts::installed(part).join("*"));
    let mut command = Command::new("java");
    command.arg("-cp").arg(std::env::join_paths(classpath).unwrap());
    command.arg("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand");
    command.args(["--bootstrap-server", &kafka.address, "--describe", "--group", group]);
    let output = parts::run(&mut command);
    let text = String::from_utf8(output.stdout).unwrap();
    let rows = text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<String>>());
    rows.filter(|row| row.first().is_some_and(|first| first == group))
        .map(|row| (row[2].clone(), [row[3].clone(), row[4].clone(), row[5].clone()]))
        .collect()
}

/// The same as Sillage tells it.
fn told_by_us(group: &Value) -> BTreeMap<String, [String; 3]> {
    let text = |value: &Value| value.as_i64().map_or_else(|| "-".to_owned(), |number| number.to_string());
    let partitions = group["partitions"].as_array().unwrap().iter();
    let row = |partition: &Value| ["committed", "end", "lag"].map(|field| text(&partition[field]));
    partitions.map(|partition| (partition["partition"].to_string(), row(partition))).collect()
}

fn group_when(sillage: &Sillage, group: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    until(&format!("{group}: {what}"), PATIENCE, || {
        std::thread::sleep(Duration::from_millis(300));
        let answer = sillage.get(&format!("/api/v1/groups/main/{group}"));
        let group = (answer.status == 200).then(|| answer.json()["groups"][0].clone())?;
        holds(&group).then_some(group)
    })
}

#[test]
fn a_group_is_as_far_behind_as_kafkas_own_tool_says_and_asking_changes_nothing() {
    let kafka = kafka::shared();
    let topic = kafka.topic("lagging", 2);
    let drafts: Vec<Draft> = (0..20)
        .map(|number| Draft { partition: Some(number % 2), value: Some(b"x".to_vec()), ..Draft::default() })
        .collect();
    kafka.send(&topic, &drafts);
    let (half, none) = (unique("half"), unique("none"));
    let half_member = member(kafka, &half, &topic, 10);
    commit(&half_member, &topic, &[5, 6]);
    let _none_member = member(kafka, &none, &topic, 1);
    let before = (kafka.groups(), told_by_kafka(kafka, &half), told_by_kafka(kafka, &none));

    let home = Home::new(&kafka::source(kafka, &[&topic]));
    let sillage = home.serve();
    let behind = group_when(&sillage, &half, "its lag in time", |group| group["lagMs"].is_u64());
    assert_eq!(told_by_us(&behind), before.1);
    assert_eq!(behind["lag"], 9);
    assert_eq!(behind["members"], 1);
    assert_eq!(behind["topics"], serde_json::json!([topic]));
    let partition = &behind["partitions"][1];
    assert_eq!(partition["waitingOn"]["place"], "1@6");
    assert_eq!(partition["owner"]["clientId"], format!("{half}-member"));
    // The message that it waits on is a record that can be looked at.
    assert_eq!(sillage.get(&format!("/record/main/{topic}/1@6")).status, 200);

    let without = group_when(&sillage, &none, "is seen", |group| {
        group["partitions"].as_array().is_some_and(|all| all.len() == 2)
    });
    assert_eq!(told_by_us(&without), before.2);
    assert_eq!((&without["state"], &without["lag"]), (&"noCommit".into(), &Value::Null));

    let metrics = sillage.get("/metrics").text();
    let labels = format!("{{source=\"main\",group=\"{half}\",topic=\"{topic}\"}}");
    assert!(metrics.contains(&format!("sillage_consumer_lag_records{labels} 9")), "{metrics}");
    assert!(metrics.contains(&format!("sillage_consumer_lag_seconds{labels} ")), "{metrics}");
    for page in ["/groups".to_owned(), format!("/group/main/{half}"), format!("/group/main/{none}?window=7d")] {
        assert_eq!(sillage.get(&page).status, 200, "{page}");
    }
    assert_eq!((kafka.groups(), told_by_kafka(kafka, &half), told_by_kafka(kafka, &none)), before);

    // It reads on, and the lag follows.
    commit(&half_member, &topic, &[10, 10]);
    let caught_up = group_when(&sillage, &half, "caught up", |group| group["lag"] == 0);
    assert_eq!((&caught_up["state"], &caught_up["lagMs"]), (&"keepingUp".into(), &0.into()));
}

#[test]
fn the_demos_slow_consumer_is_seen_to_be_behind() {
    let home = Home::new("");
    let mut sillage = home.spawn("demo");
    sillage.await_answer("/readyz");
    let group = until("analytics is behind", PATIENCE, || {
        std::thread::sleep(Duration::from_millis(300));
        let answer = sillage.get("/api/v1/groups/demo/analytics");
        let group = (answer.status == 200).then(|| answer.json()["groups"][0].clone())?;
        (group["lag"].as_u64()? >= 10 && group["lagMs"].is_u64()).then_some(group)
    });
    assert!(group["members"].is_null(), "this broker doesn't tell: {group}");
    let waits =
        group["partitions"].as_array().unwrap().iter().find(|partition| partition["waitingOn"].is_object()).unwrap();
    assert_eq!(waits["topic"], "order.placed");
    assert_eq!(sillage.get("/group/demo/analytics").status, 200);
}
