//! What is written reads back the same, whatever it holds.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::checkpoint::{Checkpoint, Reached};
use crate::engine::{Held, Sequence};
use crate::entry::Entry;
use crate::id::{SpanId, TraceId};
use crate::log::Log;
use crate::position::{Incarnation, Place, Position};
use crate::record::*;
use crate::span::*;
use crate::time::Timestamp;
use crate::value::{Attributes, Text, Value};

fn any_text() -> impl Strategy<Value = Text> {
    any::<String>().prop_map(Text::from)
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Empty),
        any_text().prop_map(Value::Text),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-1e300..1e300).prop_map(Value::Double),
        any::<Vec<u8>>().prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::vec((any_text(), inner), 0..4).prop_map(Value::Map),
        ]
    })
}

fn any_attributes() -> impl Strategy<Value = Attributes> {
    prop::collection::vec((any_text(), any_value()), 0..4)
}

fn any_trace() -> impl Strategy<Value = TraceId> {
    any::<[u8; 16]>().prop_filter_map("all zero", |bytes| TraceId::from_bytes(&bytes))
}

fn any_span_id() -> impl Strategy<Value = SpanId> {
    any::<[u8; 8]>().prop_filter_map("all zero", |bytes| SpanId::from_bytes(&bytes))
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_nanos)
}

fn any_place() -> impl Strategy<Value = Place> {
    prop_oneof![
        any::<(i32, i64)>().prop_map(|(partition, offset)| Place::Offset { partition, offset }),
        any::<u64>().prop_map(Place::Sequence),
        any::<String>().prop_map(|id| Place::MessageId(id.into())),
        any::<u64>().prop_map(Place::Arrival),
    ]
}

fn any_bytes() -> impl Strategy<Value = Option<Bytes>> {
    prop::option::of(any::<Vec<u8>>().prop_map(Bytes::from))
}

fn any_record() -> impl Strategy<Value = Entry> {
    let position = (any::<(String, String, u32)>(), any_place());
    let times = (prop::option::of(any_time()), any_time(), prop::option::of(any_time()));
    let says = any::<(Option<String>, Option<String>, Option<String>, Option<String>, Option<String>)>();
    let ids = (prop::option::of((any_trace(), prop::option::of(any_span_id()))), prop::option::of(any_trace()));
    let headers = prop::collection::vec((any::<String>(), any_bytes()), 0..4);
    let failure =
        prop::option::of((any::<(bool, Option<u32>, bool)>(), any::<(Option<String>, Option<i32>, Option<i64>)>()));
    (position, times, says, ids, headers, failure, (any_bytes(), any_bytes())).prop_map(
        |(((source, channel, life), place), times, says, (trace, origin_trace), headers, failure, (key, body))| {
            Entry::Record(Record {
                position: Position {
                    source: source.into(),
                    channel: channel.into(),
                    incarnation: Incarnation(life),
                    place,
                },
                cluster: says.0.clone().map(Arc::from),
                timestamp: times.0,
                timestamp_kind: TimestampKind::Broker,
                received_at: times.1,
                key,
                body,
                encoding: BodyEncoding::Avro,
                decoded: Decoded {
                    body: says.0.clone().map(Bytes::from),
                    key: says.1.clone().map(Bytes::from),
                    body_schema: says.2.clone().map(|name| {
                        let id = SchemaId::Guid(*b"0123456789abcdef");
                        Arc::new(Schema { subject: says.3.clone(), name: Some(name), ..Schema::unknown(id) })
                    }),
                    key_schema: says.4.clone().map(|hash| Arc::new(Schema::unknown(SchemaId::ContentHash(hash)))),
                }
                .boxed(),
                headers: headers.into_iter().map(|(name, value)| Header { name, value }).collect(),
                event: Event {
                    id: says.0.clone(),
                    event_type: says.1.clone(),
                    occurred_at: times.2,
                    producer: says.2.clone(),
                    version: says.3.clone(),
                    trace: trace.map(|(trace_id, span_id)| TraceContext { trace_id, span_id, found_in: "b3".into() }),
                    origin_trace,
                    causes: says.4.iter().map(|id| Cause { kind: CauseKind::Saga, id: id.clone() }).collect(),
                },
                transaction: [None, Some(Transaction::Open), Some(Transaction::Aborted)][life as usize % 3],
                failure: failure.map(|((dead, attempts, guessed), (channel, partition, offset))| Failure {
                    fate: if dead { Fate::DeadLetter } else { Fate::Retry },
                    origin: Some(Origin { channel, partition, offset, timestamp: times.2 }),
                    group: says.1.clone(),
                    attempts,
                    attempts_from: says.2.clone(),
                    not_before: times.0,
                    exception: says.3.clone(),
                    message: says.4.clone(),
                    stack_trace: says.0.clone(),
                    convention: "Spring".into(),
                    guessed,
                }),
                problem: says.4.map(String::into_boxed_str),
            })
        },
    )
}

fn any_messaging() -> impl Strategy<Value = Messaging> {
    (any::<(String, Option<String>, Option<String>, Vec<String>, Option<u32>)>(), prop::option::of(any_place()))
        .prop_map(|((system, destination, group, event_ids, batch), place)| Messaging {
            system,
            destination: destination.clone(),
            place,
            cluster: group.clone(),
            group,
            client_id: destination.clone(),
            operation: Operation::Settle,
            event_ids,
            conversation_id: destination.clone(),
            key: destination,
            batch,
        })
}

fn any_sender() -> impl Strategy<Value = (Arc<Resource>, Arc<Scope>)> {
    (any::<(String, String)>(), any_attributes()).prop_map(|((service, version), attributes)| {
        let scope = Scope { name: service.clone(), version, attributes: attributes.clone() };
        (Arc::new(Resource { service, attributes }), Arc::new(scope))
    })
}

fn any_span() -> impl Strategy<Value = Entry> {
    let ids = (any_trace(), any_span_id(), prop::option::of(any_span_id()));
    let events = prop::collection::vec((any_time(), any::<String>(), any_attributes()), 0..3);
    let links = prop::collection::vec((any_trace(), any_span_id(), any_attributes()), 0..3);
    let says = any::<(String, String, u32, u32)>();
    (
        ids,
        says,
        (any_time(), any_time(), any_time()),
        any_attributes(),
        events,
        links,
        any_sender(),
        prop::option::of(any_messaging()),
    )
        .prop_map(|(ids, says, times, attributes, events, links, (resource, scope), messaging)| {
            Entry::Span(Span {
                trace_id: ids.0,
                span_id: ids.1,
                parent_span_id: ids.2,
                trace_state: says.0.clone(),
                flags: says.2,
                name: says.1.clone(),
                kind: SpanKind::Consumer,
                started_at: times.0,
                ended_at: times.1,
                status: if says.3 % 2 == 0 { SpanStatus::Error(says.1) } else { SpanStatus::Ok },
                attributes,
                dropped_attributes: says.3,
                events: events.into_iter().map(|(at, name, attributes)| SpanEvent { at, name, attributes }).collect(),
                links: links
                    .into_iter()
                    .map(|(trace_id, span_id, attributes)| SpanLink { trace_id, span_id, attributes })
                    .collect(),
                resource,
                scope,
                messaging,
                received_at: times.2,
            })
        })
}

fn any_log() -> impl Strategy<Value = Entry> {
    let ids = (prop::option::of(any_trace()), prop::option::of(any_span_id()));
    (
        ids,
        any_value(),
        any_attributes(),
        any_sender(),
        (any_time(), any_time()),
        any::<(u8, String, Option<String>, u32)>(),
    )
        .prop_map(|(ids, body, attributes, (resource, scope), times, says)| {
            Entry::Log(Log {
                timestamp: times.0,
                severity: says.0,
                severity_text: says.1.clone(),
                body,
                attributes,
                dropped_attributes: says.3,
                trace_id: ids.0,
                span_id: ids.1,
                event_id: says.2,
                flags: says.3,
                event_name: says.1,
                resource,
                scope,
                ordinal: says.3,
                received_at: times.1,
            })
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_entry_reads_back_as_it_was(
        entries in prop::collection::vec(prop_oneof![any_record(), any_span(), any_log()], 1..4),
        copies in 1_u32..9,
    ) {
        let held: Vec<Held> = entries
            .into_iter()
            .enumerate()
            .map(|(number, entry)| Held { entry: Arc::new(entry), sequence: Sequence(number as u64), copies })
            .collect();
        let mut block = BlockWriter::default();
        held.iter().for_each(|held| block.add(held));
        let read = BlockReader::new(block.finish().into()).unwrap();
        prop_assert_eq!(read.len(), held.len());
        for (place, held) in held.iter().enumerate() {
            let back = read.get(place).unwrap();
            prop_assert_eq!(&back, held);
            prop_assert_eq!(back.entry.identity(), held.entry.identity());
        }
    }

    #[test]
    fn damaged_bytes_are_an_error_and_never_a_panic(entry in prop_oneof![any_record(), any_span(), any_log()], at: usize, mask in 1_u8..) {
        let mut block = BlockWriter::default();
        block.add(&Held { entry: Arc::new(entry), sequence: Sequence(1), copies: 1 });
        let mut bytes = block.finish();
        let at = at % bytes.len();
        bytes[at] ^= mask;
        if let Ok(read) = BlockReader::new(bytes.into()) {
            for place in 0..read.len() {
                let _either_way = read.get(place);
            }
        }
    }

    #[test]
    fn a_checkpoint_reads_back_as_it_was(
        source: String, cluster: Option<String>, partitions: Vec<(String, i32, u32, i64, Option<i64>, Option<u32>)>,
    ) {
        let mut checkpoint = Checkpoint { source: source.into(), cluster, ..Checkpoint::none("".into()) };
        for (channel, partition, incarnation, next, last_timestamp, last_checksum) in partitions {
            let last_timestamp = last_timestamp.map(Timestamp::from_nanos);
            let reached = Reached { incarnation: Incarnation(incarnation), next, last_timestamp, last_checksum };
            checkpoint.partitions.insert((channel.into(), partition), reached);
        }
        prop_assert_eq!(decode_checkpoint(&encode_checkpoint(&checkpoint)).unwrap(), checkpoint);
    }
}

#[test]
fn values_as_deep_as_any_sender_can_send_them_read_back() {
    let mut body = Value::Text("deep".into());
    for _ in 0..120 {
        body = Value::Map(vec![("in".into(), Value::List(vec![body]))]);
    }
    let resource = Arc::new(Resource::default());
    let log = Log {
        timestamp: Timestamp::default(),
        severity: 9,
        severity_text: String::new(),
        body,
        attributes: Vec::new(),
        dropped_attributes: 0,
        trace_id: None,
        span_id: None,
        event_id: None,
        flags: 0,
        event_name: String::new(),
        resource,
        scope: Arc::default(),
        ordinal: 0,
        received_at: Timestamp::default(),
    };
    let held = Held { entry: Arc::new(Entry::Log(log)), sequence: Sequence(1), copies: 1 };
    let mut block = BlockWriter::default();
    block.add(&held);
    assert_eq!(BlockReader::new(block.finish().into()).unwrap().get(0).unwrap(), held);
}
