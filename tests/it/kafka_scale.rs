//! Many partitions, and many records while groups are watched: a few of each in every run, many at night (`tests/nightly`).

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::rig::home::{Home, Sillage};
use crate::rig::kafka::{self, Draft};
use crate::rig::until;

const PATIENCE: Duration = Duration::from_secs(240);

/// So many records are on their way to the broker at once: a producer's queue holds no more than a hundred thousand.
const SENT_AT_ONCE: usize = 20_000;

/// How many partitions a topic of the scale test has.
const PARTITIONS_A_TOPIC: usize = 500;

fn setting(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |many| many.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Waits until so many records of a topic are kept, and a little longer, so that one too many would be seen.
fn kept(sillage: &Sillage, topic: &str, many: usize) -> usize {
    let count = || {
        // A busy broker may not have told of the topic yet.
        let answer = sillage.get(&format!("/api/v1/topics/main/{topic}?window=1d"));
        let seen = || serde_json::from_slice::<serde_json::Value>(&answer.body).ok()?["topics"][0]["seen"].as_u64();
        if answer.status == 200 { seen().map_or(0, |seen| seen as usize) } else { 0 }
    };
    until("all is kept", PATIENCE, || {
        std::thread::sleep(Duration::from_millis(100));
        (count() >= many).then_some(())
    });
    std::thread::sleep(Duration::from_millis(500));
    count()
}

#[test]
fn observing_leaves_no_trace_on_the_broker_and_moves_nobodys_offset() {
    let kafka = kafka::Kafka::start("observed");
    let topic = kafka.topic("watched", 2);
    let filled = Draft { value: Some(b"x".to_vec()), ..Draft::default() };
    let sender = kafka.sender();
    let many = setting("IT_HOUR_RECORDS", 20_000);
    for sent in (0..many).step_by(SENT_AT_ONCE) {
        sender.send(&topic, &vec![filled.clone(); SENT_AT_ONCE.min(many - sent)]);
    }
    // Somebody else's commits, of groups with and without members.
    for (group, offset) in [("billing", 7), ("analytics", 19)] {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &kafka.address)
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        let mut places = TopicPartitionList::new();
        places.add_partition_offset(&topic, 0, Offset::Offset(offset)).unwrap();
        places.add_partition_offset(&topic, 1, Offset::Offset(offset + 1)).unwrap();
        consumer.commit(&places, CommitMode::Sync).unwrap();
    }
    let before = (kafka.groups(), kafka.offsets());
    assert_eq!((before.0.len(), before.1.len()), (2, 4), "{before:?}");

    let internal = kafka::source(&kafka, &["__consumer_*"]).replace("main", "internal");
    let home = Home::new(&[kafka::source(&kafka, &["*"]), internal].concat());
    let sillage = home.serve();
    assert_eq!(kept(&sillage, &topic, many), many);
    until("groups are asked for", PATIENCE, || {
        (sillage.get("/api/v1/groups/main/billing").status == 200).then_some(())
    });
    // Kafka's own topics are read by whoever asks for them, and by nobody else.
    sillage.search_when("source:internal topic:__consumer_offsets", 4, PATIENCE);
    assert_eq!(sillage.search_all("source:main topic:__consumer_offsets").len(), 0);
    assert_eq!((kafka.groups(), kafka.offsets()), before, "while it reads");
    sillage.stop();
    assert_eq!((kafka.groups(), kafka.offsets()), before, "after it has gone");
    let sillage = home.serve();
    sender.send(&topic, &[filled]);
    assert_eq!(kept(&sillage, &topic, many + 1), many + 1, "a restart reads on from where it was");
    assert_eq!((kafka.groups(), kafka.offsets()), before);
    kafka.down();
}

#[test]
fn as_many_partitions_as_there_are_are_all_read_and_none_is_late() {
    let partitions = setting("IT_PARTITIONS", 1_000);
    let kafka = kafka::Kafka::start("scale");
    let topics: Vec<String> =
        (0..partitions.div_ceil(PARTITIONS_A_TOPIC)).map(|_| kafka.topic("wide", PARTITIONS_A_TOPIC as i32)).collect();
    let home = Home::new(&kafka::source(&kafka, &["wide-*"]));
    let sillage = home.serve();
    let sender = kafka.sender();
    let to_each = |body: &str| {
        for topic in &topics {
            let drafts: Vec<Draft> = (0..PARTITIONS_A_TOPIC)
                .map(|number| Draft {
                    partition: Some(number as i32),
                    value: Some(body.as_bytes().to_vec()),
                    ..Draft::default()
                })
                .collect();
            sender.send(topic, &drafts);
        }
    };
    to_each("first");
    for topic in &topics {
        assert_eq!(kept(&sillage, topic, PARTITIONS_A_TOPIC), PARTITIONS_A_TOPIC);
    }
    // Once all are known, what is sent to each of them is soon there.
    let sent = Instant::now();
    to_each("second");
    until("the second of each is kept", PATIENCE, || {
        std::thread::sleep(Duration::from_millis(100));
        (sillage.api("status")["store"]["records"] == 2 * topics.len() * PARTITIONS_A_TOPIC).then_some(())
    });
    assert!(sent.elapsed() < Duration::from_secs(30), "{:?}", sent.elapsed());
    for _ in 0..20 {
        let status = &sillage.api("status")["sources"][0];
        assert_eq!((&status["state"], &status["error"]), (&"up".into(), &serde_json::Value::Null), "{status}");
        std::thread::sleep(Duration::from_millis(500));
    }
    sillage.stop();
    kafka.down();
}
