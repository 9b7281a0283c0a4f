//! How far consumer groups are behind, against what Kafka's own tool says, and that asking leaves them as they were.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;

use crate::rig::home::{Home, Sillage};
use crate::rig::kafka::{self, Draft, Kafka};
use crate::rig::{parts, unique, until};

/// Groups are asked for every ten seconds; a rebalance and a busy machine take some more.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of a group, which joins nothing by itself.
fn client(kafka: &Kafka, group: &str, protocol: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &kafka.address)
        .set("group.id", group)
        .set("client.id", format!("{group}-member"))
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("group.protocol", protocol);
    config.create().unwrap()
}

/// A member of a group that has read `many` records, and committed nothing yet.
fn member(kafka: &Kafka, group: &str, topic: &str, many: usize) -> BaseConsumer {
    joined(client(kafka, group, "classic"), topic, many)
}

fn joined(consumer: BaseConsumer, topic: &str, many: usize) -> BaseConsumer {
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

/// Kafka's own console consumer of a share group; it ends with the test.
struct Sharing(Child);

impl Sharing {
    fn start(kafka: &Kafka, group: &str, topic: &str) -> Sharing {
        let classpath = ["kafka/lib", "kafka-tools"].map(|part| parts::installed(part).join("*"));
        let mut command = Command::new("java");
        command.arg("-cp").arg(std::env::join_paths(classpath).unwrap());
        command.arg("org.apache.kafka.tools.consumer.ConsoleShareConsumer");
        command.args(["--bootstrap-server", &kafka.address, "--topic", topic, "--group", group]);
        Sharing(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Sharing {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn groups_of_every_protocol_are_told_and_a_share_group_is_neither_dead_nor_without_lag() {
    let kafka = kafka::shared();
    let topic = kafka.topic("protocols", 1);
    kafka.send(&topic, &vec![Draft { value: Some(b"x".to_vec()), ..Draft::default() }; 10]);
    let [classic, newer, simple, share, nobody] = ["classic", "newer", "simple", "share", "nobody"].map(unique);
    let classic_member = joined(client(kafka, &classic, "classic"), &topic, 10);
    let newer_member = joined(client(kafka, &newer, "consumer"), &topic, 10);
    commit(&classic_member, &topic, &[3]);
    commit(&newer_member, &topic, &[4]);
    commit(&client(kafka, &simple, "classic"), &topic, &[5]);
    let _sharing = Sharing::start(kafka, &share, &topic);

    let groups = [&classic, &newer, &simple, &share, &nobody];
    let home = Home::new(&format!("{}groups = {groups:?}\n", kafka::source(kafka, &[&topic])));
    let sillage = home.serve();
    for (group, protocol, members, lag) in
        [(&classic, "classic", 1, 7), (&newer, "consumer", 1, 6), (&simple, "classic", 0, 5)]
    {
        let told = group_when(&sillage, group, "its lag in time", |group| group["lagMs"].is_u64());
        assert_eq!(
            (&told["protocol"], &told["members"], &told["lag"]),
            (&protocol.into(), &members.into(), &lag.into())
        );
        assert_eq!(told_by_us(&told), told_by_kafka(kafka, group), "{group}");
    }
    let told = group_when(&sillage, &share, "is known to be there", |group| {
        group["unseen"].as_str().is_some_and(|why| why.contains("not visible through this client"))
    });
    assert_eq!((&told["state"], &told["lag"], &told["lagMs"]), (&"unseen".into(), &Value::Null, &Value::Null));
    assert_eq!((&told["members"], &told["brokerState"]), (&Value::Null, &Value::Null), "never dead");
    assert!(sillage.get(&format!("/group/main/{share}")).text().contains("not visible through this client"));
    // One that nobody has used is told apart.
    let told = group_when(&sillage, &nobody, "is told", |_| true);
    assert!(told["unseen"].as_str().unwrap().contains("nobody has used it yet"), "{told}");
}

#[test]
fn the_time_of_what_sillage_does_not_hold_is_fetched_and_what_cannot_be_true_is_marked() {
    let kafka = kafka::shared();
    let (read, unread) = (kafka.topic("read", 4), kafka.topic("unread", 1));
    let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let draft = |partition: i32, ago_ms: i64| Draft {
        partition: Some(partition),
        value: Some(b"{\"eventType\":\"Waited\"}".to_vec()),
        timestamp_ms: Some(now_ms - ago_ms),
        ..Draft::default()
    };
    let minutes = |many: i64| many * 60_000;
    // Partition 0: as usual. 1: only a marker is left. 2: retention took what was to be read. 3: a time in the future.
    kafka.send(&read, &[draft(0, minutes(30)), draft(0, minutes(20)), draft(0, minutes(10))]);
    kafka.transact(&read, &[draft(1, minutes(5))], true);
    kafka.send(&read, &[draft(2, minutes(30)), draft(2, minutes(20)), draft(2, minutes(10)), draft(3, -minutes(60))]);
    kafka.expire(&read, 2, 2);
    kafka.send(&unread, &[draft(0, minutes(40)), draft(0, minutes(7))]);
    let group = unique("waits");
    let consumer = client(kafka, &group, "classic");
    commit(&consumer, &read, &[1, 1, 0, 0]);
    commit(&consumer, &unread, &[1]);

    let source = kafka::source(kafka, &[&read]).replace("\"earliest\"", "\"latest\"");
    let home = Home::new(&format!("{source}groups = [{group:?}]\n"));
    let sillage = home.serve();
    let told = group_when(&sillage, &group, "all times", |group| {
        group["partitions"].as_array().unwrap().iter().all(|partition| partition["lagMs"].is_u64())
    });
    let at = |topic: &str, number: i64| {
        let partitions = told["partitions"].as_array().unwrap();
        partitions.iter().find(|one| one["topic"] == topic && one["partition"] == number).unwrap().clone()
    };
    let waits = |partition: &Value, minutes: u64| {
        let ms = partition["lagMs"].as_u64().unwrap();
        (minutes * 60_000..minutes * 60_000 + 60_000).contains(&ms)
    };
    let usual = at(&read, 0);
    assert!(waits(&usual, 20) && usual["waitingOn"]["held"] == false, "{usual}");
    assert_eq!(usual["waitingOn"]["eventType"], "Waited");
    let marker = at(&read, 1);
    assert_eq!((&marker["lag"], &marker["lagMs"], &marker["waitingOn"]), (&1.into(), &0.into(), &Value::Null));
    let expired = at(&read, 2);
    assert_eq!((&expired["state"], &expired["lag"]), (&"belowStart".into(), &3.into()));
    assert!(waits(&expired, 10), "of what can still be read: {expired}");
    let future = at(&read, 3);
    assert_eq!(future["waitingOn"]["clock"], "receipt");
    assert!(waits(&future, 0), "{future}");
    assert!(waits(&at(&unread, 0), 7), "of a topic that isn't read: {told}");
    assert_eq!(sillage.get(&format!("/group/main/{group}")).status, 200);
    let topic = &sillage.api(&format!("topics/main/{read}"))["topics"][0];
    assert_eq!(topic["readers"], serde_json::json!([group]));
    assert_eq!(topic["bounds"][2], serde_json::json!({"partition": 2, "begin": 2, "end": 3}));
    assert_eq!(topic["retention"]["ms"], 604_800_000);
}

#[test]
fn resets_and_rebalances_are_marked_and_they_and_the_course_outlive_a_restart() {
    let kafka = kafka::shared();
    let topic = kafka.topic("marks", 1);
    kafka.send(&topic, &vec![Draft { value: Some(b"x".to_vec()), ..Draft::default() }; 20]);
    let group = unique("marked");
    let member = member(kafka, &group, &topic, 10);
    commit(&member, &topic, &[4]);
    let home = Home::new(&format!("{}groups = [{group:?}]\n", kafka::source(kafka, &[&topic])));
    let sillage = home.serve();
    group_when(&sillage, &group, "is seen", |group| group["members"] == 1 && group["lag"] == 16);
    member.unsubscribe();
    drop(member);
    group_when(&sillage, &group, "nobody is there", |group| group["members"] == 0);
    // As Kafka's own tool resets a group that nobody is in.
    let tool = client(kafka, &group, "classic");
    commit(&tool, &topic, &[18]);
    group_when(&sillage, &group, "was moved on", |group| group["lag"] == 2);
    commit(&tool, &topic, &[2]);
    let told = group_when(&sillage, &group, "went back", |group| group["lag"] == 18);
    assert_eq!(told["state"], "rewound");
    let changes = |told: &Value| {
        let marks = told["marks"].as_array().unwrap().iter();
        marks.map(|mark| (mark["change"].clone(), mark["moves"].clone())).collect::<Vec<_>>()
    };
    let moves = |from: i64, to: i64| serde_json::json!([{"partition": 0, "from": from, "to": to}]);
    let happened = changes(&told);
    let expected = [("members", Value::Null), ("reset", moves(4, 18)), ("reset", moves(18, 2))];
    assert_eq!(happened, expected.map(|(change, moves)| (change.into(), moves)));
    assert!(sillage.stop().success());

    let sillage = home.serve();
    let told = group_when(&sillage, &group, "is seen again", |group| group["lag"] == 18);
    assert_eq!(changes(&told), happened);
    // In steps of five seconds, for each lag was seen for ten only.
    let told = sillage.api(&format!("groups/main/{group}?window=5m"))["groups"][0].clone();
    let lags: Vec<&Value> = told["course"].as_array().unwrap().iter().map(|level| &level["lag"]).collect();
    assert!(lags.contains(&&16.into()) && lags.contains(&&2.into()), "{lags:?}");
    let page = sillage.get(&format!("/group/main/{group}")).text();
    assert!(page.contains("class=\"course\"") && page.contains("the commit went back"), "{page}");
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
