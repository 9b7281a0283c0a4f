//! What is read from a real Kafka, and what is left alone there.

use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::rig::home::Home;
use crate::rig::kafka::{self, Draft, tally};
use crate::rig::{parts, unique, until};

const PATIENCE: Duration = Duration::from_secs(40);

/// Records of one topic as `((partition, offset), body)`.
fn bodies(entries: &[Value]) -> Vec<((i64, i64), String)> {
    entries.iter().filter(|entry| entry["kind"] == "record").map(|record| (place(record), body(record))).collect()
}

fn place(record: &Value) -> (i64, i64) {
    let place = &record["position"]["place"];
    (place["partition"].as_i64().unwrap(), place["offset"].as_i64().unwrap())
}

fn body(record: &Value) -> String {
    record["body"].as_str().map_or_else(|| record["body"].to_string(), str::to_owned)
}

#[test]
fn a_record_and_the_spans_of_its_trace_are_one_flow() {
    let kafka = kafka::shared();
    let topic = kafka.topic("orders", 3);
    let home = Home::new(&kafka::source(kafka, &[&topic]));
    let sillage = home.serve();
    let trace = hex::encode(rand::random::<[u8; 16]>());
    let event = unique("event");
    let value = json!({"eventId": event, "eventType": "OrderPlaced", "occurredAt": "2026-11-23T10:00:00.123Z",
        "producer": "shop-api", "version": 3, "orderId": "o-77"});
    let draft =
        Draft::json("o-77", &value).header("traceparent", Some(format!("00-{trace}-00f067aa0ba902b7-01").as_bytes()));
    let at = kafka.send(&topic, &[draft])[0];

    let flow = sillage.flow_when(&trace, "the record", |flow| flow["records"][0].is_object());
    let record = &flow["records"][0];
    assert_eq!(record["position"]["source"], "main");
    assert_eq!(record["position"]["channel"], topic);
    assert_eq!(place(record), (i64::from(at.0), at.1));
    assert_eq!(record["eventId"], event);
    assert_eq!(record["eventType"], "OrderPlaced");
    assert_eq!(record["producer"], "shop-api");
    assert_eq!(record["version"], "3");
    assert_eq!(record["key"], "o-77");
    assert_eq!(record["traceId"], trace);
    // The same flow by the event's own id and by its position.
    for path in [format!("event/{event}"), format!("record/main/{topic}/{}@{}", at.0, at.1)] {
        assert_eq!(sillage.api(&path)["records"][0]["eventId"], event, "{path}");
    }
}

#[test]
fn every_kind_of_record_is_kept_and_an_undecodable_one_says_why() {
    let kafka = kafka::shared();
    let topic = kafka.topic("odd", 1);
    let home = Home::new(&kafka::source(kafka, &[&topic]));
    let sillage = home.serve();
    let large = vec![b'x'; 20 << 20];
    let drafts = [
        Draft { key: None, value: Some(b"no key".to_vec()), ..Draft::default() },
        Draft { key: Some(b"tombstone".to_vec()), value: None, ..Draft::default() },
        Draft { key: Some(vec![0xff, 0x00]), value: Some(vec![0xfe, 0xff, 0x00, 0x01]), ..Draft::default() },
        Draft { value: Some(b"{\"eventId\": \"torn".to_vec()), ..Draft::default() },
        Draft { value: Some(Vec::new()), ..Draft::default() },
        Draft { value: Some(b"headers".to_vec()), ..Draft::default() }
            .header("twice", Some(b"1"))
            .header("twice", Some(b"2"))
            .header("null", None)
            .header("traceparent", Some(b"00-wrong")),
        Draft {
            value: Some(b"<script>alert(1)</script>\"'&".to_vec()),
            key: Some(b"</td><script>".to_vec()),
            ..Draft::default()
        },
        Draft { value: Some(large.clone()), ..Draft::default() },
        Draft { value: Some(b"last".to_vec()), ..Draft::default() },
    ];
    kafka.send(&topic, &drafts);
    let entries = sillage.records_when(&topic, drafts.len(), PATIENCE);
    assert_eq!(entries.len(), drafts.len(), "each once");
    let mut records: Vec<&Value> = entries.iter().collect();
    records.sort_by_key(|record| place(record));
    assert_eq!(body(records[0]), "no key");
    assert!(records[0]["key"].is_null());
    assert!(records[1]["body"].is_null(), "a tombstone has no body: {}", records[1]);
    assert!(records[2].to_string().contains("feff0001") || records[2]["bodyEncoding"] == "base64", "{}", records[2]);
    assert_eq!(body(records[3]), "{\"eventId\": \"torn");
    assert_eq!(
        records[5]["headers"],
        json!([["twice", "1"], ["twice", "2"], ["null", null], ["traceparent", "00-wrong"]])
    );
    assert!(records[5]["traceId"].is_null(), "a wrong traceparent is no trace");
    assert_eq!(records[7]["truncated"], true, "a huge body is cut in lists");
    let raw = sillage.get(&format!("/api/v1/record/main/{topic}/0@7/raw"));
    assert_eq!(raw.body.len(), large.len(), "the raw bytes are all there");
    assert!(raw.body == large);
    // Hostile text reaches a page only as text.
    let page = sillage.get(&format!("/record/main/{topic}/0@6")).text();
    assert!(!page.contains("<script>alert(1)"), "unescaped payload in a page");
    assert!(
        page.contains("&lt;script&gt;alert(1)") || page.contains("&#60;script&#62;alert(1)"),
        "the payload is shown"
    );
}

#[test]
fn the_trace_id_is_found_in_all_its_spellings() {
    let kafka = kafka::shared();
    let topic = kafka.topic("spelled", 1);
    let home = Home::new(&kafka::source(kafka, &[&topic]));
    let sillage = home.serve();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let header = |name, value: &str| Draft::json("k", &json!({})).header(name, Some(value.as_bytes()));
    let in_body = |value: &str| Draft::json("k", &json!({ "traceId": value }));
    let drafts = [
        header("traceparent", &format!("00-{trace}-b7ad6b7169203331-03")),
        header("Traceparent", &format!("cc-{trace}-b7ad6b7169203331-01-what-the-future-will-be-like")),
        header("b3", &format!("{trace}-b7ad6b7169203331-1")),
        header("uber-trace-id", "af7651916cd43dd8448eb211c80319c:b7ad6b7169203331:0:1"),
        header("MT-Activity-Id", &format!("00-{trace}-b7ad6b7169203331-01")),
        in_body(trace),
        in_body("0AF76519-16CD-43DD-8448-EB211C80319C"),
        in_body(&format!("00-{trace}-b7ad6b7169203331-01")),
    ];
    kafka.send(&topic, &drafts);
    let flow = sillage.flow_when(trace, "all spellings", |flow| {
        flow["records"].as_array().is_some_and(|all| all.len() >= drafts.len())
    });
    assert_eq!(flow["records"].as_array().unwrap().len(), drafts.len());
}

#[test]
fn a_recreated_topic_loses_nothing_of_either_life() {
    let kafka = kafka::shared();
    let topic = kafka.topic("reborn", 2);
    let home = Home::new(&kafka::source(kafka, &[&topic]));
    let life = |name: &'static str, count: usize| -> Vec<Draft> {
        (0..count)
            .map(|number| Draft {
                partition: Some((number % 2) as i32),
                value: Some(format!("{name} {number}").into_bytes()),
                ..Draft::default()
            })
            .collect()
    };
    let sillage = home.serve();
    kafka.send(&topic, &life("first", 40));
    sillage.records_when(&topic, 40, PATIENCE);
    // Recreated while Sillage runs, with more records than before…
    kafka.delete(&topic);
    kafka.create(&topic, 2);
    kafka.send(&topic, &life("second", 60));
    sillage.records_when(&topic, 100, PATIENCE);
    // …and while it is down, with fewer: the end lies below the checkpoint.
    sillage.stop();
    kafka.delete(&topic);
    kafka.create(&topic, 2);
    kafka.send(&topic, &life("third", 10));
    let sillage = home.serve();
    let entries = sillage.records_when(&topic, 110, PATIENCE);
    let expected: Vec<String> = [("first", 40), ("second", 60), ("third", 10)]
        .into_iter()
        .flat_map(|(name, count)| (0..count).map(move |number| format!("{name} {number}")))
        .collect();
    assert_eq!(tally(bodies(&entries).into_iter().map(|(_, body)| body)), tally(expected));
}

#[test]
fn a_topic_that_appears_later_is_read_from_its_first_record() {
    let kafka = kafka::shared();
    let prefix = unique("later");
    let home = Home::new(&kafka::source(kafka, &[&format!("{prefix}*")]));
    let sillage = home.serve();
    let topic = format!("{prefix}-new");
    kafka.create(&topic, 1);
    kafka.send(&topic, &vec![Draft { value: Some(b"early".to_vec()), ..Draft::default() }; 5]);
    let entries = sillage.records_when(&topic, 5, PATIENCE);
    assert_eq!(entries.len(), 5);
}

#[test]
fn partitions_that_are_added_are_read_within_ten_seconds_from_their_first_record() {
    let kafka = kafka::shared();
    let topic = kafka.topic("widened", 1);
    let home = Home::new(&kafka::source(kafka, &[&topic]));
    let sillage = home.serve();
    kafka.send(&topic, &[Draft { value: Some(b"old".to_vec()), ..Draft::default() }]);
    sillage.records_when(&topic, 1, PATIENCE);
    kafka.widen(&topic, 3);
    let new = |partition| Draft { partition: Some(partition), value: Some(b"new".to_vec()), ..Draft::default() };
    kafka.send(&topic, &[new(1), new(2)]);
    let sent = Instant::now();
    assert_eq!(sillage.records_when(&topic, 3, PATIENCE).len(), 3);
    assert!(sent.elapsed() < Duration::from_secs(10), "{:?}", sent.elapsed());
}

#[test]
fn reading_begins_where_from_says() {
    let kafka = kafka::shared();
    let topic = kafka.topic("begun", 1);
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let aged = |minutes: i64| Draft {
        value: Some(format!("{minutes} minutes ago").into_bytes()),
        timestamp_ms: Some(now_ms - minutes * 60_000),
        ..Draft::default()
    };
    kafka.send(&topic, &[aged(180), aged(90), aged(30)]);
    let two_hours_ago = rfc3339(now_ms / 1_000 - 2 * 3_600);
    let froms = [("end", "latest", 0), ("start", "earliest", 3), ("hour", "-1h", 1), ("time", &two_hours_ago, 2)];
    let sources = froms.map(|(name, from, _)| {
        kafka::source(kafka, &[&topic]).replace("\"main\"", &format!("{name:?}")).replace("earliest", from)
    });
    let home = Home::new(&sources.concat());
    let sillage = home.serve();
    let is_up = |status: &Value| status["type"] != "kafka" || (status["state"] == "up" && status["channels"] == 1);
    until("all are up", PATIENCE, || {
        sillage.api("status")["sources"].as_array().unwrap().iter().all(is_up).then_some(())
    });
    kafka.send(&topic, &[aged(0)]);
    for (name, from, old) in froms {
        let found = sillage.search_when(&format!("source:{name} topic:{topic}"), old + 1, PATIENCE);
        assert_eq!(found.len(), old + 1, "from = {from:?}");
    }
}

/// A time in seconds since the epoch as RFC 3339 has it.
fn rfc3339(seconds: i64) -> String {
    let output = parts::run(Command::new("date").args(["-u", "-d", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%SZ"]));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn holes_that_compaction_leaves_are_no_loss() {
    let kafka = kafka::shared();
    let topic = unique("compacted");
    let settings = [("cleanup.policy", "compact"), ("segment.ms", "100"), ("min.cleanable.dirty.ratio", "0.01")];
    kafka.create_with(&topic, 1, &settings);
    let round = |number: usize| -> Vec<Draft> {
        (0..10)
            .map(|key| Draft {
                key: Some(format!("key {key}").into_bytes()),
                value: Some(format!("round {number}").into_bytes()),
                ..Draft::default()
            })
            .collect()
    };
    for number in 0..5 {
        kafka.send(&topic, &round(number));
        std::thread::sleep(Duration::from_millis(150)); // so that the next one begins another segment, and this one can be cleaned
    }
    let held = || parts::wire(&["dump", &kafka.address, &topic]).lines().count();
    until("the cleaner came by", PATIENCE, || {
        std::thread::sleep(Duration::from_millis(500));
        (held() < 50).then_some(())
    });
    let home = Home::new(&kafka::source(kafka, &[&topic]));
    let sillage = home.serve();
    let last = sillage.search_when(&format!("topic:{topic} \"round 4\""), 10, PATIENCE);
    assert_eq!(last.len(), 10, "the latest of each key");
    until("it is not behind", PATIENCE, || (sillage.api("status")["sources"][0]["behindMs"] == 0).then_some(()));
    assert!(sillage.records_when(&topic, 10, PATIENCE).len() < 50);
    assert_eq!(sillage.search_all("status:gap").len(), 0);
}

#[test]
fn what_a_transaction_took_back_is_not_shown_and_what_it_committed_is() {
    let kafka = kafka::shared();
    let topic = kafka.topic("transacted", 1);
    let home = Home::new(&kafka::source(kafka, &[&topic]));
    let sillage = home.serve();
    let text = |body: &str| Draft { value: Some(body.as_bytes().to_vec()), ..Draft::default() };
    kafka.transact(&topic, &[text("taken back"), text("taken back")], false);
    kafka.transact(&topic, &[text("committed"), text("committed")], true);
    kafka.send(&topic, &[text("plain")]);
    let entries = sillage.records_when(&topic, 3, PATIENCE);
    // Markers take offsets of their own: two records and a marker, twice, then the plain one.
    let expected = [((0, 3), "committed"), ((0, 4), "committed"), ((0, 6), "plain")];
    let mut found = bodies(&entries);
    found.sort();
    assert_eq!(found, expected.map(|(place, body)| (place, body.to_owned())));
}

#[test]
fn records_that_expired_before_they_were_read_are_told_as_a_gap_and_reading_goes_on() {
    let kafka = kafka::shared();
    let topic = kafka.topic("expired", 1);
    let home = Home::new(&kafka::source(kafka, &[&topic]));
    let numbered = |from: usize, to: usize| -> Vec<Draft> {
        (from..to).map(|number| Draft { value: Some(number.to_string().into_bytes()), ..Draft::default() }).collect()
    };
    let sillage = home.serve();
    kafka.send(&topic, &numbered(0, 10));
    sillage.records_when(&topic, 10, PATIENCE);
    sillage.stop();
    kafka.send(&topic, &numbered(10, 30));
    kafka.expire(&topic, 0, 20);
    let sillage = home.serve();
    let entries = sillage.records_when(&topic, 20, PATIENCE);
    let mut found: Vec<i64> = bodies(&entries).into_iter().map(|((_, offset), _)| offset).collect();
    found.sort_unstable();
    assert_eq!(found, (0..10).chain(20..30).collect::<Vec<i64>>());
    // What is gone stands where people look: in the search, on the topic's page, and at the place itself.
    let says = format!("offsets 10 to 19 of `{topic}` partition 0 expired before they were read");
    sillage.await_log(&says);
    let gaps = sillage.search_when(&format!("status:gap topic:{topic}"), 1, PATIENCE);
    assert_eq!((gaps.len(), &gaps[0]["kind"], &gaps[0]["service"]), (1, &"log".into(), &"sillage".into()));
    assert!(gaps[0]["body"].as_str().unwrap().starts_with(&says), "{}", gaps[0]);
    let gap = &sillage.api(&format!("topics/main/{topic}"))["topics"][0]["gaps"][0];
    assert_eq!((&gap["partition"], &gap["firstOffset"], &gap["lastOffset"]), (&0.into(), &10.into(), &19.into()));
    let words = "partition 0 expired before they were read";
    assert!(sillage.get(&format!("/topic/main/{topic}")).text().contains(words));
    assert!(sillage.get(&format!("/record/main/{topic}/0@15")).text().contains(words));
    // It is told once, however often we start.
    sillage.stop();
    let sillage = home.serve();
    let again = sillage.search_when(&format!("status:gap topic:{topic}"), 1, PATIENCE);
    assert_eq!((again.len(), &again[0]["copies"]), (1, &1.into()));
}
