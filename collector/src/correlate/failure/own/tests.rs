//! Conventions as teams write them into the configuration.

use bytes::Bytes;
use serde_json::json;
use store::position::Incarnation;
use store::record::TimestampKind;
use store::{Place, Position, Timestamp};

use super::super::read;
use super::*;
use crate::decode::Decoder;
use crate::decode::opened::Room;
use crate::source::raw::Raw;

fn own(config: serde_json::Value) -> Result<Vec<Own>, String> {
    let config: Config = serde_json::from_value(config).map_err(|error| error.to_string())?;
    Own::all(&[config]).map_err(|error| error.to_string())
}

fn parked() -> Vec<Own> {
    own(json!({
        "name": "parking lot", "topics": ["*.parked"], "reason": "x-why", "exception": "x-error-class", "stack": "x-stack",
        "origin_topic": "x-from-topic", "origin_partition": "x-from-partition", "origin_offset": "x-from-offset",
        "group": "x-group", "attempts": "x-tries",
    }))
    .unwrap()
}

fn header(name: &str, value: &[u8]) -> Header {
    Header { name: name.to_owned(), value: Some(Bytes::copy_from_slice(value)) }
}

#[test]
fn each_header_says_what_the_configuration_calls_it() {
    let headers = [
        header("X-Why", b"no funds"),
        header("x-error-class", b"acme.NoFunds"),
        header("x-stack", b"at acme.Billing"),
        header("x-from-topic", b"orders"),
        header("x-from-partition", b"3"),
        header("x-from-offset", b"48213"),
        header("x-from-topic", b"orders.redo"),
        header("x-group", b"billing"),
        header("x-tries", b"1"),
        header("x-tries", b"4"),
    ];
    let failure = read(&parked(), "orders.parked", &headers).expect("recognised");
    assert_eq!((failure.fate, failure.guessed, &*failure.convention), (Fate::DeadLetter, false, "parking lot"));
    let origin = failure.origin.unwrap();
    assert_eq!((origin.channel.as_deref(), origin.partition, origin.offset), (Some("orders"), Some(3), Some(48_213)));
    assert_eq!((failure.group.as_deref(), failure.attempts), (Some("billing"), Some(4)));
    assert_eq!(failure.attempts_from.as_deref(), Some("x-tries"));
    assert_eq!((failure.message.as_deref(), failure.exception.as_deref()), (Some("no funds"), Some("acme.NoFunds")));
    assert_eq!(failure.stack_trace.as_deref(), Some("at acme.Billing"));
    assert!(read(&parked(), "orders", &headers).is_none(), "on none of its topics");
}

#[test]
fn a_topic_that_is_named_needs_no_header() {
    let failure = read(&parked(), "orders.parked", &[]).expect("recognised");
    assert_eq!((failure.fate, failure.guessed, &*failure.convention), (Fate::DeadLetter, false, "parking lot"));
    assert!(read(&[], "orders.parked", &[]).is_none(), "without the convention it is an ordinary topic");
}

#[test]
fn a_framework_that_writes_to_the_topic_is_still_understood() {
    let headers = [header("kafka_original-topic", b"orders"), header("kafka_exception-message", b"no funds")];
    let failure = read(&parked(), "orders.parked", &headers).expect("recognised");
    assert_eq!((&*failure.convention, failure.message.as_deref()), ("Spring retry topic", Some("no funds")));
    assert_eq!(
        failure.fate,
        Fate::DeadLetter,
        "its headers leave it to the topic, and the configuration tells of that"
    );
}

#[test]
fn headers_alone_tell_where_no_topics_are_named() {
    let own = own(json!({"name": "again", "fate": "retry", "attempts": "x-tries", "numbers": "binary"})).unwrap();
    let failure = read(&own, "orders", &[header("x-tries", &2_i32.to_be_bytes())]).expect("recognised");
    assert_eq!((failure.fate, failure.attempts), (Fate::Retry, Some(2)));
    assert!(read(&own, "orders", &[]).is_none());
}

#[test]
fn what_contradicts_itself_is_refused_with_the_key() {
    for (config, says) in [
        (json!({"name": " ", "reason": "x"}), "`name` of [[convention]] is empty"),
        (json!({"name": "karafka", "reason": "x"}), "Karafka is known without it"),
        (json!({"name": "a"}), "how to recognise it"),
        (json!({"name": "a", "topics": ["!"]}), "`topics` of [[convention]] has an empty pattern"),
        (json!({"name": "a", "reason": ""}), "`reason` of [[convention]] is empty"),
        (
            json!({"name": "a", "reason": "x", "stack": "X"}),
            "`stack` of [[convention]] is the header `X`, like `reason`",
        ),
        (json!({"name": "a", "origin_offset": "x"}), "give `origin_topic` too"),
        (json!({"name": "a", "reasn": "x"}), "unknown field `reasn`"),
    ] {
        let error = own(config).expect_err(says);
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn the_records_own_bytes_are_read_by_it_where_sources_decode() {
    let own = own(json!({
        "name": "parking lot", "topics": ["*.parked"], "reason": "x-why", "origin_topic": "x-from",
        "origin_partition": "x-partition", "origin_offset": "x-offset", "numbers": "binary",
    }));
    let raw = Raw {
        position: Position {
            source: "main".into(),
            channel: "orders.parked".into(),
            incarnation: Incarnation(0),
            place: Place::Offset { partition: 0, offset: 0 },
        },
        cluster: None,
        timestamp: None,
        timestamp_kind: TimestampKind::Unknown,
        received_at: Timestamp::from_nanos(0),
        key: None,
        body: Some(Bytes::from_static(b"{\"eventId\":\"e-1\"}")),
        headers: vec![
            header("x-why", b"no funds"),
            header("x-from", b"orders"),
            header("x-partition", &3_i32.to_be_bytes()),
            header("x-offset", &48_213_i64.to_be_bytes()),
        ],
        transaction: None,
        problem: None,
    };
    let record = Decoder::default().with_conventions(own.unwrap()).record(raw, &mut Room::of_batch());
    let failure = record.failure.expect("recognised");
    let origin = failure.origin.unwrap();
    assert_eq!((&*failure.convention, failure.message.as_deref()), ("parking lot", Some("no funds")));
    assert_eq!((origin.channel.as_deref(), origin.partition, origin.offset), (Some("orders"), Some(3), Some(48_213)));
    assert_eq!(record.event.id.as_deref(), Some("e-1"));
}
