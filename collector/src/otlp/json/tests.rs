//! What the specification's own examples say, and what senders make of it.

use serde_json::json;
use store::position::Place;
use store::span::{SpanKind, SpanStatus};
use store::{Entry, Timestamp, Value};

use super::*;

fn read(
    decode: fn(&[u8], &mut Batch, &mut Budget) -> Result<(), DecodeError>,
    request: &serde_json::Value,
) -> Result<Batch, DecodeError> {
    let mut batch = Batch::new(Timestamp::from_nanos(7), std::sync::Arc::default());
    decode(request.to_string().as_bytes(), &mut batch, &mut Budget::new())?;
    Ok(batch)
}

fn span_with(fields: serde_json::Value) -> serde_json::Value {
    let mut span = json!({"traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "eee19b7ec3c1b174", "name": "x"});
    for (name, value) in fields.as_object().unwrap() {
        span[name] = value.clone();
    }
    json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
}

fn one_span(fields: serde_json::Value) -> Span {
    let batch = read(traces, &span_with(fields)).unwrap();
    batch.entries[0].as_span().expect("a span").clone()
}

#[test]
fn a_span_is_read_with_all_it_says() {
    // After open-telemetry/opentelemetry-proto : examples/trace.json
    let request = json!({"resourceSpans": [{
    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "my.service"}}]},
    "schemaUrl": "x",
    "scopeSpans": [{
        "scope": {"name": "my.library", "version": "1.0.0",
            "attributes": [{"key": "my.scope.attribute", "value": {"stringValue": "some scope attribute"}}]},
        "spans": [{
            "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174",
            "parentSpanId": "EEE19B7EC3C1B173", "traceState": "a=b", "flags": 257, "name": "I'm a server span",
            "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": 1544712661000000000_u64, "kind": 2,
            "attributes": [{"key": "my.span.attr", "value": {"stringValue": "some value"}}],
            "droppedAttributesCount": 2,
            "events": [{"timeUnixNano": "1544712660500000000", "name": "exception",
                "attributes": [{"key": "n", "value": {"intValue": "-3"}}]}],
            "links": [{"traceId": "5B8EFFF798038103D269B633813FC60D", "spanId": "EEE19B7EC3C1B175"},
                {"traceId": "", "spanId": ""}],
            "status": {"code": 2, "message": "boom"},
        }]}]}]});
    let batch = read(traces, &request).unwrap();
    let [Entry::Span(span)] = batch.entries.as_slice() else { panic!("{batch:?}") };
    assert_eq!(span.trace_id.to_string(), "5b8efff798038103d269b633813fc60c");
    assert_eq!(span.parent_span_id.unwrap().to_string(), "eee19b7ec3c1b173");
    assert_eq!((span.service(), span.scope.name.as_str()), ("my.service", "my.library"));
    assert_eq!((span.kind, span.flags, span.dropped_attributes), (SpanKind::Server, 257, 2));
    assert_eq!(span.duration_nanos(), 1_000_000_000);
    assert_eq!(span.status, SpanStatus::Error("boom".into()));
    assert_eq!(span.events[0].attributes, [("n".into(), Value::Int(-3))]);
    assert_eq!(span.links.len(), 1, "a link without ids leads nowhere");
}

#[test]
fn enums_are_understood_by_number_by_name_and_by_a_number_in_quotes() {
    for kind in [json!(4), json!("SPAN_KIND_PRODUCER"), json!("producer"), json!("4")] {
        assert_eq!(one_span(json!({"kind": kind})).kind, SpanKind::Producer, "{kind}");
    }
    for kind in [json!(null), json!(99), json!("SPAN_KIND_OF_TOMORROW"), json!(-1)] {
        assert_eq!(one_span(json!({"kind": kind})).kind, SpanKind::Unspecified, "{kind}");
    }
    assert_eq!(one_span(json!({"status": {"code": "STATUS_CODE_OK"}})).status, SpanStatus::Ok);
}

#[test]
fn numbers_of_64_bits_are_understood_as_text_and_as_numbers() {
    for time in [json!("1544712660000000000"), json!(1_544_712_660_000_000_000_u64), json!(1.544_712_66e18 / 10.0)] {
        let started_at = one_span(json!({"startTimeUnixNano": time})).started_at.as_nanos();
        assert!([1_544_712_660_000_000_000, 154_471_266_000_000_000].contains(&started_at), "{time}: {started_at}");
    }
    assert_eq!(one_span(json!({"endTimeUnixNano": u64::MAX.to_string()})).ended_at, Timestamp::MAX);
    for bad in [json!("soon"), json!(-1), json!(1.5), json!(true), json!([])] {
        assert!(read(traces, &span_with(json!({"startTimeUnixNano": bad}))).is_err(), "{bad}");
    }
}

#[test]
fn values_of_every_kind_are_read_and_unknown_fields_are_ignored() {
    let values = [
        (json!({"stringValue": "a"}), Value::Text("a".into())),
        (json!({"boolValue": false}), Value::Bool(false)),
        (json!({"intValue": "9007199254740993"}), Value::Int(9_007_199_254_740_993)),
        (json!({"intValue": i64::MIN}), Value::Int(i64::MIN)),
        (json!({"doubleValue": 0.5}), Value::Double(0.5)),
        (json!({"doubleValue": 3}), Value::Double(3.0)),
        (json!({"doubleValue": "-Infinity"}), Value::Double(f64::NEG_INFINITY)),
        (json!({"bytesValue": "aGk="}), Value::Bytes(b"hi".to_vec())),
        (json!({"bytesValue": "_-8"}), Value::Bytes(vec![0xff, 0xef])),
        (json!({"arrayValue": {"values": [{"intValue": 1}, {}]}}), Value::List(vec![Value::Int(1), Value::Empty])),
        (json!({"arrayValue": {}}), Value::List(vec![])),
        (
            json!({"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": true}}]}}),
            Value::Map(vec![("k".into(), Value::Bool(true))]),
        ),
        (json!({}), Value::Empty),
        (json!(null), Value::Empty),
        (json!({"valueOfTomorrow": {"deep": [1, 2]}, "stringValue": "a"}), Value::Text("a".into())),
    ];
    for (sent, expected) in values {
        let span = one_span(json!({"attributes": [{"key": "v", "value": sent, "keyRef": 3}], "fieldOfTomorrow": {}}));
        assert_eq!(span.attributes, [("v".into(), expected)], "{sent}");
    }
}

#[test]
fn null_counts_as_not_set() {
    let span =
        one_span(json!({"attributes": null, "events": null, "status": null, "traceState": null, "parentSpanId": null}));
    assert_eq!((span.attributes.len(), span.parent_span_id, span.status), (0, None, SpanStatus::Unset));
    assert!(read(traces, &json!({"resourceSpans": null})).unwrap().entries.is_empty());
    assert!(read(traces, &json!({"resourceSpans": [{"resource": null, "scopeSpans": [{"scope": null}]}]})).is_ok());
}

#[test]
fn a_span_whose_ids_are_none_is_left_out_alone() {
    for id in ["", "00000000000000000000000000000000", "5b8efff7", "zz8efff798038103d269b633813fc60c"] {
        let batch = read(traces, &span_with(json!({"traceId": id}))).unwrap();
        assert_eq!((batch.entries.len(), batch.rejected), (0, 1), "{id}");
    }
}

#[test]
fn what_a_span_says_of_messaging_is_read() {
    let attributes = json!([
        {"key": "messaging.system", "value": {"stringValue": "kafka"}},
        {"key": "messaging.destination.name", "value": {"stringValue": "orders"}},
        {"key": "messaging.destination.partition.id", "value": {"stringValue": "3"}},
        {"key": "messaging.kafka.offset", "value": {"stringValue": "48213"}}]);
    let messaging = one_span(json!({"attributes": attributes})).messaging.unwrap();
    assert_eq!(messaging.place, Some(Place::Offset { partition: 3, offset: 48213 }));
}

#[test]
fn logs_are_read_and_equal_lines_are_told_apart() {
    let line = json!({"timeUnixNano": "5", "severityNumber": "SEVERITY_NUMBER_WARN", "severityText": "warning",
        "body": {"stringValue": "late"}, "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
        "attributes": [{"key": "eventId", "value": {"stringValue": "e-1"}}], "eventName": "lateness"});
    let other = json!({"observedTimeUnixNano": 6, "severityNumber": 9});
    let group = json!({"resource": {"attributes": []}, "scopeLogs": [{"logRecords": [line, other, line]}]});
    let batch = read(logs, &json!({"resourceLogs": [group, group]})).unwrap();
    let logs: Vec<&Log> = batch.entries.iter().filter_map(Entry::as_log).collect();
    assert_eq!(logs.iter().map(|log| log.ordinal).collect::<Vec<_>>(), [0, 0, 1, 2, 1, 3]);
    assert_eq!((logs[0].severity, logs[0].severity_text.as_str()), (13, "warning"));
    assert_eq!((logs[0].event_id.as_deref(), logs[0].event_name.as_str()), (Some("e-1"), "lateness"));
    assert_eq!(logs[0].service(), "unknown_service");
    assert_eq!((logs[1].timestamp.as_nanos(), logs[1].severity), (6, 9));
}

#[test]
fn data_points_of_metrics_are_counted() {
    let request = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "a", "sum": {"dataPoints": [{}, {"asInt": "1"}], "isMonotonic": true}},
        {"name": "b", "exponentialHistogram": {"dataPoints": [{}]}},
        {"name": "c"}]}]}]});
    assert_eq!(read(metrics, &request).unwrap().data_points, 3);
}

#[test]
fn a_flood_of_empty_objects_runs_out_of_budget_and_not_out_of_memory() {
    let mut request = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{}"#.to_vec();
    for _ in 0..2_000_000 {
        request.extend_from_slice(b",{}");
    }
    request.extend_from_slice(b"]}]}]}");
    let mut batch = Batch::new(Timestamp::default(), std::sync::Arc::default());
    assert_eq!(traces(&request, &mut batch, &mut Budget::new()), Err(DecodeError::TooLarge));
    // The thread is not spoilt for the next request.
    assert!(read(traces, &span_with(json!({}))).is_ok());
}

#[test]
fn values_nested_without_end_are_refused() {
    let mut value = json!({"intValue": 1});
    for _ in 0..200 {
        value = json!({"arrayValue": {"values": [value]}});
    }
    assert!(matches!(
        read(traces, &span_with(json!({"attributes": [{"key": "v", "value": value}]}))),
        Err(DecodeError::Malformed(_))
    ));
}
