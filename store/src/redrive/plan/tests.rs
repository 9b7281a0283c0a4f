use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::fixture::record;

/// What Spring and Connect add, as their headers are on the wire.
const CONVENTIONS: [(&str, &[&str]); 3] = [
    (
        "Spring dead letter",
        &[
            "kafka_dlt-original-topic",
            "kafka_dlt-original-offset",
            "kafka_dlt-exception-stacktrace",
            "retry_topic-attempts",
        ],
    ),
    ("Kafka Connect", &["__connect.errors.topic", "__connect.errors.task.id", "__connect.errors.exception.message"]),
    ("Karafka", &["source_topic", "source_partition", "source_offset", "source_attempts"]),
];

fn header(name: &str, value: Option<&[u8]>) -> Header {
    Header { name: name.to_owned(), value: value.map(Bytes::copy_from_slice) }
}

fn letter_of(origin: &Record, convention: &str, added: &[&str]) -> Record {
    let Place::Offset { partition, offset } = origin.position.place else { panic!("a place on Kafka") };
    let letter = record("orders.DLT", 0, 4).dead("billing", "declined");
    let mut letter = letter.from(origin.position.channel.as_str(), partition, offset).record();
    letter.failure.as_mut().unwrap().convention = convention.into();
    (letter.key, letter.body) = (origin.key.clone(), origin.body.clone());
    letter.headers = origin.headers.clone();
    letter.headers.extend(added.iter().map(|name| header(name, Some(b"\x00\x00\x00\x07"))));
    letter
}

fn given<'a>(letter: &'a Record, partitions: &'a dyn Fn(&str) -> Option<u32>) -> Given<'a> {
    Given { letter, origin: None, retry_topic: None, to: None, partitions, redrives_max: 3, sent_before: 0 }
}

const FOUR: &dyn Fn(&str) -> Option<u32> = &|topic: &str| (topic != "gone").then_some(4);

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40)
}

proptest! {
    #[test]
    fn a_redriven_record_equals_its_origin_but_for_our_own_headers(
        partition in 0..4_i32,
        key in option::of(bytes()),
        value in option::of(bytes()),
        headers in vec(("[a-z]{1,8}", option::of(bytes())), 0..5),
        which in 0..CONVENTIONS.len(),
        is_kept in any::<bool>(),
    ) {
        let mut origin = record("orders", partition, 17).record();
        (origin.key, origin.body) = (key.map(Bytes::from), value.map(Bytes::from));
        origin.headers = headers.iter().map(|(name, value)| header(name, value.as_deref())).collect();
        origin.headers.push(header("traceparent", Some(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")));
        let (convention, added) = CONVENTIONS[which];
        let letter = letter_of(&origin, convention, added);
        let kept = is_kept.then_some(&origin);
        let plan = plan(&Given { origin: kept, ..given(&letter, FOUR) }).unwrap();
        prop_assert_eq!(&plan.topic, "orders");
        prop_assert_eq!((plan.partition, plan.chosen_by), (partition, ChosenBy::Origin));
        prop_assert_eq!(&plan.key, &origin.key);
        prop_assert_eq!(&plan.value, &origin.body);
        let (ours, theirs) = plan.headers.split_last().unwrap();
        prop_assert_eq!(theirs, &origin.headers[..]);
        prop_assert_eq!(ours, &header(REDRIVE_COUNT, Some(b"1")));
        prop_assert_eq!(plan.removed.len(), added.len());
    }
}

#[test]
fn it_goes_to_the_named_topic_else_the_groups_retry_topic_else_the_origins() {
    let origin = record("orders", 1, 17).key("order-1").record();
    let letter = letter_of(&origin, "Spring dead letter", &[]);
    let to = |retry_topic, to| {
        let plan = plan(&Given { retry_topic, to, ..given(&letter, FOUR) });
        plan.map(|plan| (plan.topic, plan.target))
    };
    assert_eq!(to(None, None), Ok(("orders".to_owned(), Target::OriginTopic)));
    assert_eq!(to(Some("orders-retry"), None), Ok(("orders-retry".to_owned(), Target::RetryTopic)));
    assert_eq!(to(Some("orders-retry"), Some("repair")), Ok(("repair".to_owned(), Target::Named)));
    assert_eq!(to(None, Some("orders.DLT")), Err(Obstacle::SameTopic("orders.DLT".to_owned())));
    assert_eq!(to(None, Some("gone")), Err(Obstacle::UnknownTopic("gone".to_owned())));
}

#[test]
fn where_the_origins_partition_is_gone_java_producers_would_choose_the_same() {
    let origin = record("orders", 9, 17).key("foobar").record();
    let letter = letter_of(&origin, "Spring dead letter", &[]);
    let chosen = |letter: &Record| plan(&given(letter, FOUR)).map(|plan| (plan.partition, plan.chosen_by));
    // murmur2("foobar") is -790332482, and that without its sign, over 4 partitions, leaves 2.
    assert_eq!(chosen(&letter), Ok((2, ChosenBy::Key)));
    let wider = plan(&given(&letter, FOUR)).unwrap().among(12);
    assert_eq!((wider.partition, wider.chosen_by), (9, ChosenBy::Origin), "it is there, but nobody led it just then");
    assert_eq!(chosen(&Record { key: None, ..letter }), Ok((0, ChosenBy::Nothing)));
}

#[test]
fn what_was_redriven_too_often_is_not_sent_again_unless_that_is_asked_for() {
    let origin = record("orders", 1, 17).record();
    let mut letter = letter_of(&origin, "Spring dead letter", &[REDRIVE_COUNT]);
    letter.headers.last_mut().unwrap().value = Some(Bytes::from_static(b"3"));
    assert_eq!(plan(&given(&letter, FOUR)), Err(Obstacle::TooOften(3)));
    let overridden = plan(&Given { redrives_max: u32::MAX, ..given(&letter, FOUR) }).unwrap();
    assert_eq!(overridden.redrive, 4);
    assert_eq!(overridden.headers, [header(REDRIVE_COUNT, Some(b"4"))], "the older count goes");
    let again = Given { sent_before: 2, redrives_max: u32::MAX, ..given(&letter, FOUR) };
    assert_eq!(plan(&again).unwrap().redrive, 6, "what the journal knows counts, too");
}

#[test]
fn what_was_taken_out_before_it_was_kept_comes_from_the_broker() {
    let origin = record("orders", 9, 17).key("[redacted]").body(r#"{"card":"[redacted]"}"#).record();
    let letter = letter_of(&origin, "Spring dead letter", &["kafka_dlt-original-topic"]);
    let kept = plan(&given(&letter, FOUR)).unwrap();
    assert!(kept.is_redacted && kept.bytes_at == letter.position);
    let of_broker = [&letter.headers[..], &[header("password", Some(b"secret"))]].concat();
    let exact = kept.with_bytes(Some("foobar".into()), Some("whole".into()), &of_broker);
    assert_eq!((exact.partition, exact.chosen_by, exact.is_redacted), (2, ChosenBy::Key, false));
    assert_eq!(exact.headers, [header("password", Some(b"secret")), header(REDRIVE_COUNT, Some(b"1"))]);
}

#[test]
fn what_can_not_be_sent_is_told() {
    let mut nowhere = letter_of(&record("orders", 1, 17).record(), "topic name", &[]);
    nowhere.failure.as_mut().unwrap().origin = None;
    assert_eq!(plan(&given(&nowhere, FOUR)), Err(Obstacle::NoOrigin));
    nowhere.position.place = Place::Sequence(7);
    assert_eq!(plan(&given(&nowhere, FOUR)), Err(Obstacle::NotKafka));
}
