//! What generated encoders write is read as it was meant; what nobody should write does no harm.

use std::io::Read;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::common::v1::{self as common, ArrayValue, InstrumentationScope, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1 as proto_metrics;
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_proto::tonic::trace::v1::{self as proto, ResourceSpans, ScopeSpans};
use proptest::prelude::*;
use prost::Message;
use store::Entry;

use super::*;

fn wrap(value: AnyValue) -> common::AnyValue {
    common::AnyValue { value: Some(value) }
}

fn key_value_of(key: &str, value: AnyValue) -> common::KeyValue {
    common::KeyValue { key: key.to_owned(), value: Some(wrap(value)), ..Default::default() }
}

fn request_of(spans: Vec<proto::Span>) -> ExportTraceServiceRequest {
    let attributes = vec![key_value_of("service.name", AnyValue::StringValue("shop".into()))];
    let scope = InstrumentationScope { name: "lib".into(), version: "1".into(), ..Default::default() };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(ProtoResource { attributes, ..Default::default() }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, schema_url: "x".into() }],
            schema_url: "y".into(),
        }],
    }
}

fn read(request: &[u8]) -> Decoded<Batch> {
    let mut batch = Batch::new(Timestamp::from_nanos(1), std::sync::Arc::default());
    traces(request, &mut batch, &mut Budget::new())?;
    Ok(batch)
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        ".*".prop_map(AnyValue::StringValue),
        any::<bool>().prop_map(AnyValue::BoolValue),
        any::<i64>().prop_map(AnyValue::IntValue),
        any::<i32>().prop_map(|number| AnyValue::DoubleValue(f64::from(number) / 8.0)),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(AnyValue::BytesValue),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(|values| AnyValue::ArrayValue(ArrayValue { values: values.into_iter().map(wrap).collect() })),
            prop::collection::vec((".*", inner), 0..5).prop_map(|entries| AnyValue::KvlistValue(KeyValueList {
                values: entries.iter().map(|(key, value)| key_value_of(key, value.clone())).collect()
            })),
        ]
    })
}

fn expected_value(value: &AnyValue) -> Value {
    match value {
        AnyValue::StringValue(text) => Value::Text(text.as_str().into()),
        AnyValue::BoolValue(truth) => Value::Bool(*truth),
        AnyValue::IntValue(number) => Value::Int(*number),
        AnyValue::DoubleValue(number) => Value::Double(*number),
        AnyValue::BytesValue(bytes) => Value::Bytes(bytes.clone()),
        AnyValue::ArrayValue(array) => Value::List(
            array.values.iter().map(|value| value.value.as_ref().map_or(Value::Empty, expected_value)).collect(),
        ),
        AnyValue::KvlistValue(entries) => Value::Map(expected(&entries.values)),
        AnyValue::StringValueStrindex(_) => Value::Empty,
    }
}

fn expected(attributes: &[common::KeyValue]) -> Attributes {
    let value = |entry: &common::KeyValue| match &entry.value {
        Some(common::AnyValue { value: Some(value) }) => expected_value(value),
        _ => Value::Empty,
    };
    attributes.iter().map(|entry| (entry.key.as_str().into(), value(entry))).collect()
}

prop_compose! {
    fn any_span()(
        trace_id in prop::array::uniform16(1_u8..),
        span_id in prop::array::uniform8(1_u8..),
        parent in prop::option::of(prop::array::uniform8(1_u8..)),
        texts in (".*", ".*", ".*"),
        kind in 0..6_i32,
        times in any::<(u32, u32)>(),
        code in 0..3_i32,
        flags in any::<u32>(),
        dropped in any::<u32>(),
        attributes in prop::collection::vec((".*", any_value()), 0..6),
    ) -> proto::Span {
        let attributes: Vec<_> = attributes.iter().map(|(key, value)| key_value_of(key, value.clone())).collect();
        let nanos = |number: u32| u64::from(number) << 20;
        proto::Span {
            trace_id: trace_id.to_vec(),
            span_id: span_id.to_vec(),
            parent_span_id: parent.map(|id| id.to_vec()).unwrap_or_default(),
            trace_state: texts.0,
            name: texts.1,
            flags,
            kind,
            start_time_unix_nano: nanos(times.0),
            end_time_unix_nano: nanos(times.1),
            dropped_attributes_count: dropped,
            dropped_events_count: 1,
            dropped_links_count: 2,
            events: vec![proto::span::Event {
                time_unix_nano: nanos(times.1),
                name: texts.2.clone(),
                attributes: attributes.clone(),
                dropped_attributes_count: 1,
            }],
            links: vec![proto::span::Link {
                trace_id: trace_id.to_vec(),
                span_id: span_id.to_vec(),
                trace_state: "a=b".into(),
                attributes: attributes.clone(),
                dropped_attributes_count: 1,
                flags: 1,
            }],
            status: Some(proto::Status { message: texts.2, code }),
            attributes,
        }
    }
}

fn check(sent: &proto::Span, span: &Span) {
    assert_eq!(span.trace_id.as_bytes().as_slice(), sent.trace_id);
    assert_eq!(span.span_id.as_bytes().as_slice(), sent.span_id);
    assert_eq!(span.parent_span_id.map(|id| id.as_bytes().to_vec()).unwrap_or_default(), sent.parent_span_id);
    assert_eq!((&span.trace_state, &span.name, span.flags), (&sent.trace_state, &sent.name, sent.flags));
    assert_eq!(span.kind, span_kind(u32::try_from(sent.kind).unwrap()));
    let nanos = |at: Timestamp| u64::try_from(at.as_nanos()).unwrap();
    assert_eq!((nanos(span.started_at), nanos(span.ended_at)), (sent.start_time_unix_nano, sent.end_time_unix_nano));
    assert_eq!(span.attributes, expected(&sent.attributes));
    assert_eq!(span.dropped_attributes, sent.dropped_attributes_count);
    let status = sent.status.as_ref().unwrap();
    assert_eq!(span.status, status_of(u32::try_from(status.code).unwrap(), status.message.clone()));
    let (event, told) = (&span.events[0], &sent.events[0]);
    assert_eq!((nanos(event.at), &event.name), (told.time_unix_nano, &told.name));
    assert_eq!(event.attributes, expected(&told.attributes));
    assert_eq!((span.links[0].trace_id, span.links[0].span_id), (span.trace_id, span.span_id));
    assert_eq!(span.links[0].attributes, expected(&sent.links[0].attributes));
}

proptest! {
    #[test]
    fn whatever_a_generated_encoder_writes_is_read_as_it_was_meant(
        sent in prop::collection::vec(any_span(), 0..4),
    ) {
        let batch = read(&request_of(sent.clone()).encode_to_vec()).unwrap();
        prop_assert_eq!(batch.entries.len(), sent.len());
        for (sent, entry) in sent.iter().zip(&batch.entries) {
            let span = entry.as_span().expect("a span");
            check(sent, span);
            assert_eq!((span.service(), span.scope.name.as_str(), span.scope.version.as_str()), ("shop", "lib", "1"));
        }
    }

    #[test]
    fn a_request_with_a_broken_byte_or_end_never_panics(
        sent in any_span(),
        cut in any::<prop::sample::Index>(),
        broken in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let whole = request_of(vec![sent]).encode_to_vec();
        let mut bad = whole.clone();
        bad[broken.index(whole.len())] = byte;
        let _ = read(&bad);
        let end = cut.index(whole.len());
        prop_assert!(end == 0 || read(&whole[..end]).is_err(), "a request cut at {} of {} was taken", end, whole.len());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
        let mut batch = Batch::new(Timestamp::default(), std::sync::Arc::default());
        let _ = logs(&bytes, &mut batch, &mut Budget::new());
        let _ = metrics(&bytes, &mut batch);
    }
}

#[test]
fn spans_with_ids_that_are_none_are_left_out_and_counted() {
    let span = |trace_id: Vec<u8>, span_id: Vec<u8>| proto::Span { trace_id, span_id, ..Default::default() };
    let spans = vec![
        span(vec![0; 16], vec![1; 8]),
        span(vec![1; 16], vec![0; 8]),
        span(vec![1; 15], vec![1; 8]),
        span(Vec::new(), Vec::new()),
        span(vec![1; 16], vec![1; 8]),
    ];
    let batch = read(&request_of(spans).encode_to_vec()).unwrap();
    assert_eq!((batch.entries.len(), batch.rejected), (1, 4));
}

#[test]
fn a_log_is_read_with_all_it_says() {
    let record = LogRecord {
        time_unix_nano: 5,
        observed_time_unix_nano: 6,
        severity_number: 17,
        severity_text: "error".into(),
        body: Some(wrap(AnyValue::StringValue("boom".into()))),
        attributes: vec![key_value_of("event.id", AnyValue::StringValue("e-1".into()))],
        dropped_attributes_count: 3,
        flags: 1,
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        event_name: "failure".into(),
    };
    let scope_logs = vec![ScopeLogs { log_records: vec![record.clone(), record], ..Default::default() }];
    let request = ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }] };
    let mut batch = Batch::new(Timestamp::from_nanos(9), std::sync::Arc::default());
    logs(&request.encode_to_vec(), &mut batch, &mut Budget::new()).unwrap();
    let [Entry::Log(log), Entry::Log(again)] = batch.entries.as_slice() else { panic!("{batch:?}") };
    assert_eq!((log.timestamp.as_nanos(), log.severity, log.severity_text.as_str()), (5, 17, "error"));
    assert_eq!(log.body, Value::Text("boom".into()));
    assert_eq!((log.event_id.as_deref(), log.event_name.as_str(), log.flags), (Some("e-1"), "failure", 1));
    assert_eq!(log.trace_id, TraceId::from_bytes(&[1; 16]));
    assert_eq!((log.service(), log.dropped_attributes), ("unknown_service", 3));
    assert_eq!((log.ordinal, again.ordinal), (0, 1));
}

#[test]
fn text_that_is_no_utf8_costs_a_character_and_not_the_span() {
    let mut request = request_of(vec![proto::Span {
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        name: "caf?".into(),
        ..Default::default()
    }])
    .encode_to_vec();
    let at = request.windows(4).position(|bytes| bytes == b"caf?").unwrap();
    request[at + 3] = 0xe9;
    let batch = read(&request).unwrap();
    assert_eq!(batch.entries[0].as_span().unwrap().name, "caf\u{fffd}");
}

#[test]
fn a_resource_that_follows_its_spans_is_theirs_all_the_same() {
    let group = &request_of(vec![proto::Span { trace_id: vec![1; 16], span_id: vec![1; 8], ..Default::default() }])
        .resource_spans[0];
    let without = ResourceSpans { resource: None, ..group.clone() };
    let only = ResourceSpans { resource: group.resource.clone(), ..Default::default() };
    // Concatenated messages are one message with the fields in this order.
    let group = [without.encode_to_vec(), only.encode_to_vec()].concat();
    let mut request = vec![0x0a];
    prost::encode_length_delimiter(group.len(), &mut request).unwrap();
    request.extend(group);
    assert_eq!(read(&request).unwrap().entries[0].as_span().unwrap().service(), "shop");
}

#[test]
fn a_flood_of_empty_messages_runs_out_of_budget_and_not_out_of_memory() {
    // Spans of two bytes each: as structs they would take two hundred times as much.
    let spans = [0x12, 0x00].repeat(2_000_000);
    let wrapped = |tag: u8, bytes: &[u8]| {
        let mut message = vec![tag];
        prost::encode_length_delimiter(bytes.len(), &mut message).unwrap();
        message.extend_from_slice(bytes);
        message
    };
    let request = wrapped(0x0a, &wrapped(0x12, &spans));
    assert_eq!(read(&request).unwrap_err(), DecodeError::TooLarge);
    let attributes = [0x4a, 0x00].repeat(8_000_000);
    let request = wrapped(0x0a, &wrapped(0x12, &wrapped(0x12, &attributes)));
    assert_eq!(read(&request).unwrap_err(), DecodeError::TooLarge);
}

#[test]
fn values_nested_without_end_are_refused() {
    let mut value = AnyValue::IntValue(1);
    for _ in 0..VALUE_DEPTH_MAX + 2 {
        value = AnyValue::ArrayValue(ArrayValue { values: vec![wrap(value)] });
    }
    let span = proto::Span { attributes: vec![key_value_of("v", value)], ..Default::default() };
    assert!(matches!(read(&request_of(vec![span]).encode_to_vec()), Err(DecodeError::Malformed(_))));
}

#[test]
fn data_points_of_metrics_are_counted() {
    let data_points = vec![proto_metrics::NumberDataPoint::default(); 3];
    let gauge = proto_metrics::metric::Data::Gauge(proto_metrics::Gauge { data_points });
    let metrics_of = vec![proto_metrics::Metric { data: Some(gauge), ..Default::default() }; 2];
    let scope_metrics = vec![proto_metrics::ScopeMetrics { metrics: metrics_of, ..Default::default() }];
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![proto_metrics::ResourceMetrics { scope_metrics, ..Default::default() }],
    };
    let mut batch = Batch::new(Timestamp::default(), std::sync::Arc::default());
    metrics(&request.encode_to_vec(), &mut batch).unwrap();
    assert_eq!(batch.data_points, 6);
}

/// What real instrumentations sent (see tests/recordings/README.md): each request, decoded.
fn recorded(scenario: &str) -> Vec<Span> {
    let file = format!("{}/../tests/recordings/{scenario}.jsonl.gz", env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    let mut batch = Batch::new(Timestamp::default(), std::sync::Arc::default());
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        if line["otlp"] == "traces" {
            use base64::Engine;
            let request = base64::engine::general_purpose::STANDARD.decode(line["protobuf"].as_str().unwrap()).unwrap();
            traces(&request, &mut batch, &mut Budget::new()).unwrap();
        }
    }
    assert_eq!(batch.rejected, 0);
    batch.entries.iter().filter_map(Entry::as_span).cloned().collect()
}

#[test]
fn recorded_spans_of_java_js_and_python_say_where_their_messages_are() {
    use store::Place;
    use store::span::Operation;
    for (scenario, operation) in [
        ("java-chain", Operation::Process),
        ("java-chain", Operation::Send),
        ("java-chain-new-names", Operation::Process),
        ("java-chain-new-names", Operation::Send),
        ("java-receive-links", Operation::Process),
        ("js-chain", Operation::Process),
        ("js-batch-500", Operation::Process),
        ("python-links", Operation::Process),
        ("mixed-chain", Operation::Process),
    ] {
        let spans = recorded(scenario);
        let messagings: Vec<_> = spans.iter().filter_map(|span| span.messaging.as_ref()).collect();
        let of: Vec<_> = messagings.iter().filter(|messaging| messaging.operation == operation).collect();
        assert!(!of.is_empty(), "{scenario} has {operation:?} spans");
        for messaging in of {
            assert_eq!(messaging.system, "kafka", "{scenario}");
            assert!(
                matches!(messaging.destination.as_deref(), Some("orders" | "payments")),
                "{scenario}: {messaging:?}"
            );
            assert!(matches!(messaging.place, Some(Place::Offset { .. })), "{scenario}: {messaging:?}");
            assert_eq!(messaging.event_ids, Vec::<String>::new(), "{scenario}: {messaging:?}");
        }
    }
}
