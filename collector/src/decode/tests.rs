use bytes::Bytes;
use proptest::prelude::*;
use store::position::Incarnation;
use store::record::TimestampKind;
use store::{Place, Position, Timestamp};

use super::*;

fn raw(body: Option<&[u8]>, headers: Vec<Header>) -> Raw {
    Raw {
        position: Position {
            source: "main".into(),
            channel: "orders".into(),
            incarnation: Incarnation(0),
            place: Place::Offset { partition: 0, offset: 0 },
        },
        cluster: None,
        timestamp: None,
        timestamp_kind: TimestampKind::Unknown,
        received_at: Timestamp::from_nanos(0),
        key: None,
        body: body.map(Bytes::copy_from_slice),
        headers,
        transaction: None,
        problem: None,
    }
}

fn check(body: &[u8]) -> (BodyEncoding, Option<String>) {
    let record = record(raw(Some(body), Vec::new()));
    assert_eq!(record.body.as_deref(), Some(body), "kept byte for byte");
    (record.encoding, record.problem)
}

#[test]
fn bodies_are_told_apart() {
    assert_eq!(record(raw(None, Vec::new())).encoding, BodyEncoding::Null);
    assert_eq!(check(b"{\"a\":1}"), (BodyEncoding::Json, None));
    assert_eq!(check(b" \n[1,2]"), (BodyEncoding::Json, None));
    assert_eq!(check(b"\xef\xbb\xbf{}"), (BodyEncoding::Json, None));
    assert_eq!(check("grüß dich".as_bytes()), (BodyEncoding::Text, None));
    assert_eq!(check(b"42"), (BodyEncoding::Text, None));
    assert_eq!(check(b""), (BodyEncoding::Text, None));
    assert_eq!(check(b"[INFO] started"), (BodyEncoding::Text, None));
    assert_eq!(check(b"{not json either}"), (BodyEncoding::Text, None));
    assert_eq!(check(&[0xff, 0xfe, 1]), (BodyEncoding::Binary, None));
    assert_eq!(check(&[8, 0, 0, 0]), (BodyEncoding::Binary, None));
}

#[test]
fn what_should_have_been_json_says_where_it_breaks() {
    let (encoding, problem) = check(b"{\"a\": 1,\n \"b\": }");
    assert_eq!(encoding, BodyEncoding::Text);
    let problem = problem.unwrap();
    assert!(problem.contains("looks like JSON") && problem.contains("line 2 column 7"), "{problem}");
    let (encoding, problem) = check(b"{\"a\":\"\xff\"}");
    assert_eq!(encoding, BodyEncoding::Binary);
    assert!(problem.unwrap().contains("byte 6"));
    let (_, problem) = check(&b"{\"a\":".repeat(100_000));
    assert!(problem.unwrap().contains("EOF"), "however deep, it ends without a crash");
}

#[test]
fn a_framed_body_names_its_schema_and_its_ids_still_stitch() {
    let (encoding, problem) = check(b"\0\0\0\0\x07\x02\x08abcd");
    assert_eq!(encoding, BodyEncoding::Binary);
    assert_eq!(problem.as_deref(), Some("Confluent framed, schema id 7, no registry configured"));
    let record = record(raw(Some(b"\0\0\0\0\x07{\"eventId\":\"e-1\"}"), Vec::new()));
    assert_eq!(record.event.id.as_deref(), Some("e-1"));
}

#[test]
fn a_wrong_trace_context_is_a_problem_of_a_record_that_is_kept() {
    let header = Header { name: "traceparent".into(), value: Some(Bytes::from_static(b"nonsense")) };
    let record = record(raw(Some(b"{\"eventId\":\"e-1\"}"), vec![header.clone()]));
    assert!(record.problem.unwrap().contains("traceparent"));
    assert_eq!((record.event.id.as_deref(), record.headers), (Some("e-1"), vec![header]));
}

#[test]
fn null_headers_and_repeated_ones_stay_as_they_are() {
    let headers = vec![
        Header { name: "a".into(), value: None },
        Header { name: "a".into(), value: Some(Bytes::from_static(b"1")) },
        Header { name: "a".into(), value: Some(Bytes::new()) },
    ];
    assert_eq!(record(raw(Some(b"x"), headers.clone())).headers, headers);
}

/// Names that mean something, so that random bytes meet every reader.
fn names() -> impl Strategy<Value = String> {
    let known: Vec<String> = crate::correlate::event::table::HEADERS
        .iter()
        .map(|row| row.name)
        .chain(
            crate::correlate::failure::table::CONVENTIONS
                .iter()
                .flat_map(|convention| convention.rows)
                .map(|row| row.name),
        )
        .chain([
            "traceparent",
            "b3",
            "uber-trace-id",
            "x-datadog-trace-id",
            "x-datadog-tags",
            "_datadog",
            "AWSTraceHeader",
            "MT-Activity-Id",
        ])
        .map(str::to_owned)
        .collect();
    prop_oneof![proptest::sample::select(known), ".*"]
}

/// Bytes, some of which are nearly what they should be.
fn values() -> impl Strategy<Value = Option<Vec<u8>>> {
    let text = "[0-9a-f]{0,33}[-:;,=. é]?[0-9a-fZ]{0,20}[-:;=]?.{0,9}".prop_map(String::into_bytes);
    proptest::option::of(prop_oneof![proptest::collection::vec(any::<u8>(), 0..40), text])
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let json =
        r#"\{("(eventId|traceId|type|data|version|occurredAt)":("[^"]{0,9}"|[0-9.e-]{1,9}|\{|\}|\[|null),?){0,6}\}?"#;
    prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), json.prop_map(String::into_bytes)]
}

proptest! {
    #[test]
    fn any_bytes_decode_without_a_panic_and_are_kept(
        body in proptest::option::of(bodies()),
        headers in proptest::collection::vec((names(), values()), 0..12),
        channel in ".{0,40}",
    ) {
        let headers: Vec<Header> =
            headers.into_iter().map(|(name, value)| Header { name, value: value.map(Bytes::from) }).collect();
        let mut raw = raw(body.as_deref(), headers.clone());
        raw.position.channel = channel.as_str().into();
        let record = record(raw);
        prop_assert_eq!(record.body.as_deref(), body.as_deref());
        prop_assert_eq!(record.headers, headers);
    }
}
