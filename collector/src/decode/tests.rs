use std::collections::HashMap;

use bytes::Bytes;
use proptest::prelude::*;
use store::position::Incarnation;
use store::record::{Header, SchemaId, TimestampKind};
use store::{Place, Position, Timestamp};

use super::contract::{Contract, Document};
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

/// Without any registry.
fn record(raw: Raw) -> Record {
    Decoder::default().record(raw, &mut Room::of_batch())
}

/// What a registry told, as one that is always there.
#[derive(Default)]
struct Told(HashMap<SchemaId, Arc<Contract>>);

impl Told {
    fn with(mut self, id: SchemaId, kind: &str, text: &str) -> Told {
        let document = Document {
            kind: kind.to_owned(),
            text: text.to_owned(),
            references: Vec::new(),
            subjects: vec![("other-value".to_owned(), "1".to_owned()), ("orders-value".to_owned(), "3".to_owned())],
        };
        self.0.insert(id.clone(), Arc::new(Contract::read(&id, &document).unwrap()));
        self
    }

    fn record(&self, raw: Raw) -> Record {
        Decoder::default().record_by(self, raw, &mut Room::of_batch())
    }
}

impl Schemas for Told {
    fn find(&self, id: &SchemaId, _: &str) -> Result<Arc<Contract>, String> {
        self.0.get(id).cloned().ok_or_else(|| "isn't known".to_owned())
    }
}

fn header(name: &str, value: &'static [u8]) -> Header {
    Header { name: name.to_owned(), value: Some(Bytes::from_static(value)) }
}

fn text(bytes: Option<&Bytes>) -> &str {
    std::str::from_utf8(bytes.unwrap()).unwrap()
}

fn check(body: &[u8]) -> (BodyEncoding, Option<Box<str>>) {
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
    let problem = problem.unwrap();
    assert!(problem.contains("its schema, id 7, can't be asked for: no registry is configured"), "{problem}");
    let record = record(raw(Some(b"\0\0\0\0\x07{\"eventId\":\"e-1\"}"), Vec::new()));
    assert_eq!(record.event.id.as_deref(), Some("e-1"));
    assert_eq!((record.encoding, text(record.decoded_body())), (BodyEncoding::Json, "{\"eventId\":\"e-1\"}"));
    assert_eq!((&record.body_schema().unwrap().id, &record.problem), (&SchemaId::Number(7), &None));
}

const PLACED: &str = r#"{"type":"record","name":"shop.OrderPlaced","fields":[{"name":"eventId","type":"string"},{"name":"password","type":["null","string"]}]}"#;
const PROTO: &str =
    r#"syntax = "proto3"; package shop; message Other { string a = 1; } message Placed { string event_id = 1; }"#;
const GUID: &[u8] = b"\x01\0\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";

fn guid() -> SchemaId {
    SchemaId::read("guid", "00112233-4455-6677-8899-aabbccddeeff").unwrap()
}

#[test]
fn an_avro_body_is_json_beside_its_bytes_in_every_way_that_it_is_framed() {
    let datum = b"\x06e-1\x00";
    let nine = b"\0\0\0\0\0\0\0\x09";
    let ids = [SchemaId::Number(7), SchemaId::Legacy(7), SchemaId::ContentId(9), SchemaId::GlobalId(9), guid()];
    let told = ids.into_iter().fold(Told::default(), |told, id| told.with(id, "AVRO", PLACED));
    for (prefix, headers) in [
        (&b"\0\0\0\0\x07"[..], vec![]),
        (b"\0\0\0\0\0\0\0\0\x07", vec![]),
        (GUID, vec![]),
        (b"", vec![header("__value_schema_id", GUID)]),
        (b"", vec![header("apicurio.value.globalId", nine)]),
        (b"", vec![header("apicurio.value.contentId", nine), header("apicurio.value.encoding", b"BINARY")]),
    ] {
        let bytes = [prefix, datum].concat();
        let record = told.record(raw(Some(&bytes), headers));
        assert_eq!(record.body.as_deref(), Some(&*bytes), "the bytes stay, for a redrive");
        assert_eq!(
            (record.encoding, text(record.decoded_body())),
            (BodyEncoding::Avro, r#"{"eventId":"e-1","password":null}"#)
        );
        assert_eq!(
            (record.event.id.as_deref(), record.event.event_type.as_deref()),
            (Some("e-1"), Some("OrderPlaced"))
        );
        assert_eq!(record.problem, None);
        let schema = record.body_schema().unwrap();
        assert_eq!((schema.subject.as_deref(), schema.version.as_deref()), (Some("orders-value"), Some("3")));
    }
}

#[test]
fn a_protobuf_body_is_json_by_indexes_by_name_and_by_reference() {
    let told = [SchemaId::Number(7), SchemaId::ContentId(9), guid()]
        .into_iter()
        .fold(Told::default(), |told, id| told.with(id, "PROTOBUF", PROTO));
    let nine = b"\0\0\0\0\0\0\0\x09";
    const GUID_AND_INDEXES: &[u8] = b"\x01\0\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x02\x02";
    for (prefix, headers) in [
        (&b"\0\0\0\0\x07\x02\x02"[..], vec![]),
        (b"\0\0\0\0\x07\x08\x0a\x06Placed", vec![]),
        (b"", vec![header("__value_schema_id", GUID_AND_INDEXES)]),
        (b"", vec![header("apicurio.value.contentId", nine), header("apicurio.protobuf.type", b"Placed")]),
        (b"\0\0\0\0\x07", vec![header("apicurio.protobuf.type", b"Placed")]),
    ] {
        let bytes = [prefix, b"\x0a\x03e-1"].concat();
        let record = told.record(raw(Some(&bytes), headers));
        assert_eq!((record.encoding, text(record.decoded_body())), (BodyEncoding::Protobuf, r#"{"eventId":"e-1"}"#));
        assert_eq!((record.event.id.as_deref(), record.event.event_type.as_deref()), (Some("e-1"), Some("Placed")));
        assert_eq!(record.body_schema().unwrap().name.as_deref(), Some("shop.Placed"));
    }
    let first = told.record(raw(Some(b"\0\0\0\0\x07\0\x0a\x01x"), Vec::new()));
    assert_eq!((text(first.decoded_body()), first.event.event_type.as_deref()), (r#"{"a":"x"}"#, Some("Other")));
}

#[test]
fn a_framed_key_is_the_text_that_it_holds() {
    let told =
        Told::default().with(SchemaId::Number(1), "AVRO", "\"string\"").with(SchemaId::Number(7), "AVRO", PLACED);
    let mut raw = raw(Some(b"{}"), Vec::new());
    raw.key = Some(Bytes::from_static(b"\0\0\0\0\x01\x0eorder-1"));
    let record = told.record(raw.clone());
    assert_eq!((record.key_text(), &record.key), (Some("order-1"), &raw.key));
    raw.key = Some(Bytes::from_static(b"\0\0\0\0\x07\x06e-1\x00"));
    assert_eq!(told.record(raw.clone()).key_text(), Some(r#"{"eventId":"e-1","password":null}"#));
    raw.key = Some(Bytes::from_static(b"\0\0\0\0\x63\x06e-1\x00"));
    let record = told.record(raw);
    assert!(record.problem.unwrap().contains("of its key: it can't be decoded: its schema, id 99, isn't known"));
}

#[test]
fn what_is_taken_out_of_a_decoded_body_is_not_in_its_bytes_either() {
    let told = Told::default().with(SchemaId::Number(7), "AVRO", PLACED);
    let record = told.record(raw(Some(b"\0\0\0\0\x07\x06e-1\x02\x0ehunter2"), Vec::new()));
    assert_eq!(text(record.body.as_ref()), r#"{"eventId":"e-1","password":"[redacted]"}"#);
    assert_eq!((record.encoding, record.decoded_body()), (BodyEncoding::Json, None));
    assert_eq!((record.event.id.as_deref(), record.event.event_type.as_deref()), (Some("e-1"), Some("OrderPlaced")));
    let packed = zstd::encode_all(&br#"{"eventId":"e-1","password":"hunter2"}"#[..], 3).unwrap();
    let record = told.record(raw(Some(&packed), Vec::new()));
    assert_eq!(text(record.body.as_ref()), r#"{"eventId":"e-1","password":"[redacted]"}"#);
}

#[test]
fn a_body_that_does_not_fit_its_schema_is_kept_and_says_why() {
    let told = Told::default().with(SchemaId::Number(7), "AVRO", PLACED).with(SchemaId::Number(8), "JSON", "{}");
    for (bytes, says) in [
        (&b"\0\0\0\0\x07\x06e-"[..], "it ends where 3 bytes more are wanted"),
        (b"\0\0\0\0\x08no json", "it is no JSON"),
        (b"\0\0\0\0\x09\x06e-1\x00", "its schema, id 9, isn't known"),
    ] {
        let record = told.record(raw(Some(bytes), Vec::new()));
        assert_eq!((record.encoding, record.body.as_deref()), (BodyEncoding::Binary, Some(bytes)));
        assert!(record.decoded_body().is_none() && record.body_schema().is_some());
        assert!(record.problem.as_deref().unwrap().contains(says), "{:?}", record.problem);
    }
}

#[test]
fn packed_and_compact_bodies_are_read_when_they_are_what_they_say() {
    let gzip = {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packed, br#"{"eventId":"e-1"}"#).unwrap();
        packed.finish().unwrap()
    };
    let cbor = b"\xa1\x67eventId\x63e-1";
    let marked = [&b"\xd9\xd9\xf7"[..], cbor].concat();
    for (bytes, headers, encoding) in [
        (&gzip[..], vec![], BodyEncoding::Json),
        (b"\x81\xa7eventId\xa3e-1", vec![header("content-type", b"application/msgpack")], BodyEncoding::MessagePack),
        (
            b"\x81\xa7eventId\xa3e-1",
            vec![header("Content-Type", b"application/vnd.masstransit+msgpack; v=1")],
            BodyEncoding::MessagePack,
        ),
        (cbor, vec![header("content-type", b"application/cbor")], BodyEncoding::Cbor),
        (&marked, vec![], BodyEncoding::Cbor),
    ] {
        let record = record(raw(Some(bytes), headers));
        assert_eq!(
            (record.encoding, record.event.id.as_deref(), record.problem.as_deref()),
            (encoding, Some("e-1"), None)
        );
        assert_eq!((text(record.decoded_body()), record.body.as_deref()), (r#"{"eventId":"e-1"}"#, Some(bytes)));
    }
    for (bytes, headers, problem) in [
        (&gzip[..gzip.len() - 1], vec![], None),
        (
            &gzip[..gzip.len() - 1],
            vec![header("content-encoding", b"gzip")],
            Some("says gzip, but it can't be unpacked"),
        ),
        (b"\xc1\x00", vec![header("content-type", b"application/msgpack")], Some("says messagepack, but")),
        (b"\xd9\xd9\xf7\x1c\x00", vec![], None),
        (b"\x81\xa7eventId\xa3e-1", vec![], None),
    ] {
        let record = record(raw(Some(bytes), headers));
        assert_eq!((record.encoding, record.decoded_body()), (BodyEncoding::Binary, None));
        match problem {
            Some(says) => assert!(record.problem.as_deref().unwrap().contains(says), "{:?}", record.problem),
            None => assert_eq!(record.problem, None),
        }
    }
}

#[test]
fn a_batch_is_decoded_to_so_many_bytes_and_no_more() {
    let told = Told::default().with(
        SchemaId::Number(7),
        "AVRO",
        r#"{"type":"array","items":{"type":"array","items":"null"}}"#,
    );
    // A million nulls in each of two lists, from a few bytes.
    let bomb = b"\0\0\0\0\x07\x04\x80\x89\x7a\x00\x80\x89\x7a\x00\x00";
    let (decoder, mut room) = (Decoder::default(), Room::of_batch());
    let mut decoded = 0;
    let mut refused = 0;
    for _ in 0..12 {
        let record = decoder.record_by(&told, raw(Some(bomb), Vec::new()), &mut room);
        decoded += record.decoded_body().map_or(0, Bytes::len);
        refused += usize::from(record.problem.is_some_and(|says| says.contains("more than")));
    }
    assert!(decoded <= opened::BATCH_DECODED_BYTES_MAX && refused > 0, "{decoded} {refused}");
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
            "__value_schema_id",
            "apicurio.value.globalId",
            "apicurio.value.artifactId",
            "content-encoding",
            "content-type",
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
    let framed = (
        proptest::sample::select(vec![
            &b"\0\0\0\0\x07"[..],
            b"\0\0\0\0\x08\0",
            GUID,
            b"\x1f\x8b\x08",
            b"\x28\xb5\x2f\xfd",
            b"\xd9\xd9\xf7",
        ]),
        proptest::collection::vec(any::<u8>(), 0..60),
    )
        .prop_map(|(prefix, rest)| [prefix, &rest].concat());
    prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), json.prop_map(String::into_bytes), framed]
}

proptest! {
    #[test]
    fn any_bytes_decode_without_a_panic_and_are_kept(
        body in proptest::option::of(bodies()),
        key in proptest::option::of(bodies()),
        headers in proptest::collection::vec((names(), values()), 0..12),
        channel in ".{0,40}",
    ) {
        let headers: Vec<Header> =
            headers.into_iter().map(|(name, value)| Header { name, value: value.map(Bytes::from) }).collect();
        let mut raw = raw(body.as_deref(), headers.clone());
        raw.position.channel = channel.as_str().into();
        raw.key = key.clone().map(Bytes::from);
        let told = Told::default().with(SchemaId::Number(7), "AVRO", PLACED).with(SchemaId::Number(8), "PROTOBUF", PROTO);
        let record = told.record(raw);
        prop_assert_eq!(record.body.as_deref(), body.as_deref());
        prop_assert_eq!(record.key.as_deref(), key.as_deref());
        prop_assert_eq!(record.headers, headers);
    }
}
