//! One test a framework, with the headers and bodies that it writes.

use bytes::Bytes;
use store::record::{CauseKind, Event, Header};
use store::{Timestamp, TraceId};

use super::*;
use crate::correlate::event::{Told, read};
use crate::decode::fields::Fields;

fn told(channel: &str, headers: &[(&str, &str)], body: &str) -> Told {
    let headers: Vec<Header> = headers
        .iter()
        .map(|(name, value)| Header { name: (*name).to_owned(), value: Some(Bytes::from(value.to_string())) })
        .collect();
    read(channel, &headers, &Fields::read(body).unwrap())
}

fn check(headers: &[(&str, &str)], body: &str) -> Event {
    told("orders", headers, body).event
}

fn at(text: &str) -> Option<Timestamp> {
    Some(Timestamp::from_rfc3339(text).unwrap())
}

fn causes(event: &Event) -> Vec<(CauseKind, &str)> {
    event.causes.iter().map(|cause| (cause.kind, cause.id.as_str())).collect()
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[test]
fn the_six_plain_fields_are_read_from_a_body() {
    let event = check(
        &[],
        r#"{"eventId":"e-1","eventType":"OrderPlaced","occurredAt":"2026-11-23T14:02:11.541Z","producer":"shop","version":2,
            "traceId":"0af7651916cd43dd8448eb211c80319c","correlationId":"c-1","causationId":"e-0","sagaId":"s-1"}"#,
    );
    assert_eq!((event.id.as_deref(), event.event_type.as_deref()), (Some("e-1"), Some("OrderPlaced")));
    assert_eq!(event.occurred_at, at("2026-11-23T14:02:11.541Z"));
    assert_eq!((event.producer.as_deref(), event.version.as_deref()), (Some("shop"), Some("2")));
    let trace = event.trace.as_ref().unwrap();
    assert_eq!((trace.trace_id.to_string().as_str(), &*trace.found_in, trace.span_id), (TRACE, "body", None));
    assert_eq!(
        causes(&event),
        [(CauseKind::Correlation, "c-1"), (CauseKind::Causation, "e-0"), (CauseKind::Saga, "s-1")]
    );
}

#[test]
fn headers_go_before_the_body() {
    let event = check(
        &[("eventId", "h"), ("eventType", "H"), ("version", "3")],
        r#"{"eventId":"b","eventType":"B","version":"1"}"#,
    );
    assert_eq!(
        (event.id.as_deref(), event.event_type.as_deref(), event.version.as_deref()),
        (Some("h"), Some("H"), Some("3"))
    );
    assert_eq!(
        check(&[("NServiceBus.MessageId", "n")], r#"{"eventId":"b"}"#).id.as_deref(),
        Some("b"),
        "but not every framework's"
    );
}

#[test]
fn cloud_events_in_binary_mode() {
    for (prefix, source) in [("ce_", "/shop"), ("cloudEvents:", "/shop"), ("cloudEvents_", "/shop"), ("ce-", "%2Fshop")]
    {
        let names: Vec<String> =
            ["id", "type", "time", "source"].iter().map(|name| format!("{prefix}{name}")).collect();
        let event = check(
            &[
                (&names[0], "e-1"),
                (&names[1], "com.acme.order.placed.v2"),
                (&names[2], "2026-11-23T14:02:11Z"),
                (&names[3], source),
            ],
            "{}",
        );
        assert_eq!(event.id.as_deref(), Some("e-1"), "{prefix}");
        assert_eq!(event.event_type.as_deref(), Some("com.acme.order.placed.v2"));
        assert_eq!(event.occurred_at, at("2026-11-23T14:02:11Z"));
        assert_eq!(event.producer.as_deref(), Some("/shop"), "{prefix}");
        assert_eq!(event.version.as_deref(), Some("2"), "the type's suffix");
    }
    let event = check(&[("ce_dataschema", "https://acme.org/schemas/order-placed/1.2")], "{}");
    assert_eq!(event.version.as_deref(), Some("1.2"));
}

#[test]
fn cloud_events_in_structured_mode_keep_the_starting_trace() {
    let body = r#"{"specversion":"1.0","id":"e-1","type":"order.placed","source":"/shop","time":"2026-11-23T14:02:11Z",
        "traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","dataschema":"https://acme.org/v3/order.json",
        "data":{"eventId":"inner","orderId":7}}"#;
    let event = check(&[], body);
    assert_eq!(
        (event.id.as_deref(), event.event_type.as_deref()),
        (Some("e-1"), Some("order.placed")),
        "the envelope's own"
    );
    assert_eq!(event.producer.as_deref(), Some("/shop"));
    assert_eq!(event.version.as_deref(), Some("3"));
    assert_eq!(event.trace.unwrap().trace_id.to_string(), TRACE);
    let hop = "00-11111111111111111111111111111111-b7ad6b7169203331-01";
    let event = check(&[("traceparent", hop)], body);
    assert_eq!(event.trace.unwrap().trace_id.to_string(), "1".repeat(32), "the current hop");
    assert_eq!(event.origin_trace, TRACE.parse::<TraceId>().ok());
}

#[test]
fn a_body_that_only_looks_a_little_like_a_cloud_event_is_none() {
    let event = check(&[], r#"{"id":"7","source":"web","time":"2026-11-23T14:02:11Z"}"#);
    assert_eq!((event.id.as_deref(), event.producer, event.occurred_at), (Some("7"), None, None));
}

#[test]
fn dapr_hides_a_whole_traceparent_in_traceid() {
    let body = r#"{"specversion":"1.0","id":"1","type":"com.dapr.event.sent","source":"shop",
        "traceid":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#;
    let trace = check(&[], body).trace.unwrap();
    assert_eq!(
        (trace.trace_id.to_string().as_str(), trace.span_id.unwrap().to_string().as_str()),
        (TRACE, "b7ad6b7169203331")
    );
}

#[test]
fn a_trace_id_in_a_body_has_five_spellings() {
    for spelling in [
        TRACE.to_owned(),
        TRACE.to_uppercase(),
        "0af76519-16cd-43dd-8448-eb211c80319c".to_owned(),
        format!("00-{TRACE}-b7ad6b7169203331-01"),
    ] {
        let event = check(&[], &format!(r#"{{"traceId":"{spelling}"}}"#));
        assert_eq!(event.trace.unwrap().trace_id.to_string(), TRACE, "{spelling}");
    }
    let event = check(&[], r#"{"traceId":"8448eb211c80319c"}"#);
    assert_eq!(event.trace.unwrap().trace_id.to_string(), "00000000000000008448eb211c80319c");
    let wrong = told("orders", &[], r#"{"traceId":"none"}"#);
    assert!(wrong.event.trace.is_none() && wrong.problems[0].contains("none"));
}

#[test]
fn nservicebus() {
    let event = check(
        &[
            ("NServiceBus.MessageId", "m-1"),
            (
                "NServiceBus.EnclosedMessageTypes",
                "Acme.Orders.OrderPlaced, Acme.Orders, Version=1.0.0.0, Culture=neutral;Acme.IEvent, Acme",
            ),
            ("NServiceBus.TimeSent", "2026-11-23 14:02:11:541000 Z"),
            ("NServiceBus.OriginatingEndpoint", "Shop"),
            ("NServiceBus.ConversationId", "conv"),
            ("NServiceBus.CorrelationId", "m-1"),
            ("NServiceBus.RelatedTo", "m-0"),
            ("NServiceBus.SagaId", "saga"),
            ("NServiceBus.Version", "9.0.0"),
        ],
        "{}",
    );
    assert_eq!((event.id.as_deref(), event.event_type.as_deref()), (Some("m-1"), Some("OrderPlaced")));
    assert_eq!(event.occurred_at, at("2026-11-23T14:02:11.541Z"));
    assert_eq!(event.producer.as_deref(), Some("Shop"));
    assert_eq!(event.version, None, "the framework's version is not the event's");
    assert_eq!(
        causes(&event),
        [(CauseKind::Correlation, "conv"), (CauseKind::Causation, "m-0"), (CauseKind::Saga, "saga")],
        "an event is not its own cause"
    );
}

#[test]
fn masstransit_in_its_envelope() {
    let event = check(
        &[("MT-Activity-Id", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")],
        r#"{"messageId":"m-1","conversationId":"conv","initiatorId":"m-0","correlationId":null,
            "sourceAddress":"rabbitmq://localhost/shop/Api","messageType":["urn:message:Acme.Orders:OrderPlaced","urn:message:Acme:IEvent"],
            "sentTime":"2026-11-23T14:02:11.541Z","message":{"orderId":7,"version":4}}"#,
    );
    assert_eq!((event.id.as_deref(), event.event_type.as_deref()), (Some("m-1"), Some("OrderPlaced")));
    assert_eq!((event.producer.as_deref(), event.version.as_deref()), (Some("Api"), Some("4")));
    assert_eq!(causes(&event), [(CauseKind::Correlation, "conv"), (CauseKind::Causation, "m-0")]);
    assert_eq!(&*event.trace.unwrap().found_in, "MT-Activity-Id");
}

#[test]
fn spring_and_debezium() {
    let event = check(&[("__TypeId__", "com.acme.orders.OrderPlaced")], "{}");
    assert_eq!(event.event_type.as_deref(), Some("OrderPlaced"));
    let uuid = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    assert_eq!(check(&[("id", uuid)], "{}").id.as_deref(), Some(uuid));
    assert_eq!(check(&[("id", "7")], "{}").id, None, "anything may be called id");
    assert_eq!(told("outbox.event.order", &[("id", "7")], "{}").event.id.as_deref(), Some("7"));
}

#[test]
fn axon_eventuate_rebus_cap_wolverine_watermill_and_brokers() {
    let id = |headers: &[(&str, &str)]| check(headers, "{}").id;
    assert_eq!(id(&[("axon-message-id", "a")]).as_deref(), Some("a"));
    assert_eq!(id(&[("ID", "e")]).as_deref(), Some("e"));
    assert_eq!(id(&[("Id", "e")]), None, "only in capitals");
    assert_eq!(id(&[("rbs2-msg-id", "r")]).as_deref(), Some("r"));
    assert_eq!(id(&[("cap-msg-id", "c")]).as_deref(), Some("c"));
    assert_eq!(id(&[("Nats-Msg-Id", "n")]).as_deref(), Some("n"));
    assert_eq!(id(&[("message-id", "q")]).as_deref(), Some("q"));
    let axon = check(
        &[
            ("axon-message-type", "com.acme.OrderPlaced"),
            ("axon-message-revision", "3"),
            ("axon-message-timestamp", "2026-11-23T14:02:11Z"),
        ],
        "{}",
    );
    assert_eq!((axon.event_type.as_deref(), axon.version.as_deref()), (Some("OrderPlaced"), Some("3")));
    assert_eq!(axon.occurred_at, at("2026-11-23T14:02:11Z"));
    let eventuate = check(
        &[("event-type", "OrderPlaced"), ("DATE", "Mon, 23 Nov 2026 14:02:11 GMT"), ("reply_to_message_id", "m")],
        "{}",
    );
    assert_eq!(
        (eventuate.event_type.as_deref(), eventuate.occurred_at),
        (Some("OrderPlaced"), at("2026-11-23T14:02:11Z"))
    );
    assert_eq!(causes(&eventuate), [(CauseKind::Causation, "m")]);
    let rebus = check(
        &[
            ("rbs2-msg-type", "Acme.OrderPlaced, Acme"),
            ("rbs2-senttime", "2026-11-23T14:02:11.0000000+00:00"),
            ("rbs2-corr-id", "c"),
            ("rbs2-in-reply-to", "m"),
        ],
        "{}",
    );
    assert_eq!((rebus.event_type.as_deref(), rebus.occurred_at), (Some("OrderPlaced"), at("2026-11-23T14:02:11Z")));
    assert_eq!(causes(&rebus), [(CauseKind::Correlation, "c"), (CauseKind::Causation, "m")]);
    let cap =
        check(&[("cap-msg-name", "order.placed"), ("cap-msg-type", "Acme.OrderPlaced"), ("cap-corr-id", "c")], "{}");
    assert_eq!((cap.event_type.as_deref(), causes(&cap)), (Some("order.placed"), vec![(CauseKind::Correlation, "c")]));
    let wolverine = check(
        &[
            ("message-type", "Acme.OrderPlaced"),
            ("sent-at", "2026-11-23 14:02:11:541000 Z"),
            ("source", "shop"),
            ("saga-id", "s"),
            ("causation-id", "m"),
        ],
        "{}",
    );
    assert_eq!((wolverine.event_type.as_deref(), wolverine.producer.as_deref()), (Some("OrderPlaced"), Some("shop")));
    assert_eq!(wolverine.occurred_at, at("2026-11-23T14:02:11.541Z"));
    assert_eq!(causes(&wolverine), [(CauseKind::Saga, "s"), (CauseKind::Causation, "m")]);
    assert_eq!(causes(&check(&[("correlation_id", "c")], "{}")), [(CauseKind::Correlation, "c")]);
}

#[test]
fn a_time_that_can_not_be_read_is_told_and_not_lost_silently() {
    let told = told("orders", &[("occurredAt", "soon\n")], "{}");
    assert_eq!(told.event.occurred_at, None);
    assert!(told.problems[0].contains("soon"), "{:?}", told.problems);
}

#[test]
fn a_payload_in_place_of_an_id_is_none() {
    assert_eq!(check(&[("eventId", &"x".repeat(5_000))], "{}").id, None);
}

#[test]
fn every_name_of_a_header_is_found_by_itself() {
    for row in HEADERS.iter().filter(|row| matches!(row.field, Field::Id)) {
        let uuid = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
        assert_eq!(check(&[(row.name, uuid)], "{}").id.as_deref(), Some(uuid), "{}", row.name);
    }
}
