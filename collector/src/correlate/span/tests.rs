//! Every name of the table, and what real instrumentations send together.

use super::*;

fn attributes(given: &[(&str, Value)]) -> Attributes {
    given.iter().map(|(name, value)| ((*name).into(), value.clone())).collect()
}

fn text_of(value: &str) -> Value {
    Value::Text(value.into())
}

fn read(name: &str, kind: SpanKind, given: &[(&str, Value)]) -> Messaging {
    messaging(name, kind, &attributes(given)).unwrap_or_else(|| panic!("{name} says something of messaging"))
}

fn place(partition: i32, offset: i64) -> Option<Place> {
    Some(Place::Offset { partition, offset })
}

/// What a concept comes out as, to compare with what went in.
fn told(messaging: &Messaging, concept: Concept) -> Option<String> {
    let numbers = match &messaging.place {
        Some(Place::Offset { partition, offset }) => Some((partition.to_string(), offset.to_string())),
        _ => None,
    };
    match concept {
        Concept::System => Some(messaging.system.clone()),
        Concept::Destination | Concept::RoutingKey => messaging.destination.clone(),
        Concept::Partition => numbers.map(|(partition, _)| partition),
        Concept::Offset => numbers.map(|(_, offset)| offset),
        Concept::Group | Concept::Subscription => messaging.group.clone(),
        Concept::OperationType | Concept::OperationName => Some(format!("{:?}", messaging.operation).to_lowercase()),
        Concept::Client => messaging.client_id.clone(),
        Concept::MessageId | Concept::EventId => messaging.event_ids.first().cloned(),
        Concept::Conversation => messaging.conversation_id.clone(),
        Concept::Key => messaging.key.clone(),
        Concept::Batch => messaging.batch.map(|count| count.to_string()),
        Concept::Cluster => messaging.cluster.clone(),
    }
}

#[test]
fn every_name_of_every_row_is_understood_alone() {
    for row in TABLE {
        for name in row.names {
            let (value, with): (&str, &[(&str, &str)]) = match row.concept {
                Concept::System => ("kafka", &[]),
                Concept::Partition => ("3", &[("messaging.kafka.offset", "48213")]),
                Concept::Offset => ("48213", &[("messaging.destination.partition.id", "3")]),
                Concept::OperationType | Concept::OperationName => ("receive", &[]),
                Concept::Batch => ("500", &[]),
                Concept::RoutingKey => {
                    ("billing", &[("messaging.system", "rabbitmq"), ("messaging.destination", "amq.default")])
                }
                _ => ("some-value", &[]),
            };
            let mut given: Vec<(&str, Value)> = with.iter().map(|(name, value)| (*name, text_of(value))).collect();
            given.push((name, text_of(value)));
            let messaging = read("GET /", SpanKind::Client, &given);
            assert_eq!(told(&messaging, row.concept).as_deref(), Some(value), "{name}");
        }
    }
}

#[test]
fn where_current_and_old_names_differ_the_current_one_counts() {
    for row in TABLE.iter().filter(|row| row.names.len() > 1) {
        if matches!(row.concept, Concept::EventId | Concept::RoutingKey | Concept::Partition | Concept::Offset) {
            continue; // several ids are all kept; the others are covered by the instrumentations below
        }
        let (old, current) =
            if row.concept == Concept::OperationType { ("send", "process") } else { ("old", "current") };
        let given = [(row.names[1], text_of(old)), (row.names[0], text_of(current))];
        let messaging = read("x", SpanKind::Internal, &given);
        assert_eq!(told(&messaging, row.concept).as_deref(), Some(current), "{:?}", row.concept);
    }
}

#[test]
fn a_span_without_messages_says_nothing() {
    let http = attributes(&[("http.request.method", text_of("POST")), ("server.address", text_of("shop"))]);
    assert_eq!(messaging("POST /orders", SpanKind::Server, &http), None);
    assert_eq!(messaging("process payment", SpanKind::Internal, &Attributes::new()), None);
}

#[test]
fn the_java_agents_old_and_new_names_say_the_same() {
    let old = read(
        "orders process",
        SpanKind::Consumer,
        &[
            ("messaging.system", text_of("kafka")),
            ("messaging.destination.name", text_of("orders")),
            ("messaging.operation", text_of("process")),
            ("messaging.destination.partition.id", text_of("2")),
            ("messaging.kafka.message.offset", Value::Int(41)),
            ("messaging.kafka.consumer.group", text_of("billing")),
            ("messaging.kafka.message.key", text_of("order-7")),
            ("messaging.client_id", text_of("consumer-1")),
        ],
    );
    let new = read(
        "process orders",
        SpanKind::Consumer,
        &[
            ("messaging.system", text_of("kafka")),
            ("messaging.destination.name", text_of("orders")),
            ("messaging.operation.type", text_of("process")),
            ("messaging.operation.name", text_of("process")),
            ("messaging.destination.partition.id", text_of("2")),
            ("messaging.kafka.offset", Value::Int(41)),
            ("messaging.consumer.group.name", text_of("billing")),
            ("messaging.kafka.message.key", text_of("order-7")),
            ("messaging.client.id", text_of("consumer-1")),
        ],
    );
    assert_eq!(old, new);
    assert_eq!(old.place, place(2, 41));
    assert_eq!((old.operation, old.group.as_deref()), (Operation::Process, Some("billing")));
}

#[test]
fn pythons_message_ids_for_kafka_are_coordinates_and_no_event_ids() {
    let messaging = read(
        "order.placed.v1 process",
        SpanKind::Consumer,
        &[
            ("messaging.system", text_of("kafka")),
            ("messaging.destination", text_of("order.placed.v1")),
            ("messaging.destination_kind", text_of("queue")),
            ("messaging.kafka.partition", Value::Int(3)),
            ("messaging.message.id", text_of("order.placed.v1.3.48213")),
        ],
    );
    assert_eq!(messaging.place, place(3, 48213));
    assert_eq!(messaging.event_ids, Vec::<String>::new());
    let alone = read(
        "recv",
        SpanKind::Consumer,
        &[("messaging.system", text_of("kafka")), ("messaging.message_id", text_of("orders.0.5"))],
    );
    assert_eq!((alone.destination.as_deref(), alone.place), (Some("orders"), place(0, 5)));
}

#[test]
fn an_event_id_with_dots_and_numbers_stays_an_event_id_where_it_is_no_coordinate() {
    for (system, id) in
        [("rabbitmq", "shop.1.2"), ("kafka", "1.2"), ("kafka", "a.b.c"), ("kafka", ".1.2"), ("kafka", "a.-1.2")]
    {
        let messaging = read(
            "x",
            SpanKind::Producer,
            &[("messaging.system", text_of(system)), ("messaging.message.id", text_of(id))],
        );
        assert_eq!((messaging.event_ids.as_slice(), messaging.place), ([id.to_owned()].as_slice(), None), "{id}");
    }
}

#[test]
fn a_brokers_own_message_id_is_a_place() {
    let messaging = read(
        "orders receive",
        SpanKind::Consumer,
        &[("messaging.system", text_of("pulsar")), ("messaging.message.id", text_of("57:1:0"))],
    );
    assert_eq!(messaging.place, Some(Place::MessageId("57:1:0".into())));
    assert!(messaging.event_ids.is_empty());
}

#[test]
fn offsets_and_partitions_are_understood_as_numbers_and_as_text() {
    for (partition, offset) in [
        (Value::Int(3), Value::Int(48213)),
        (text_of("3"), Value::Int(48213)),
        (text_of("3"), text_of("48213")), // kafkajs
    ] {
        let messaging = read(
            "poll orders",
            SpanKind::Client,
            &[("messaging.destination.partition.id", partition), ("messaging.kafka.offset", offset)],
        );
        assert_eq!(messaging.place, place(3, 48213));
    }
    for (partition, offset) in
        [(Value::Int(-1), Value::Int(1)), (Value::Int(0), Value::Int(-1001)), (text_of("x"), Value::Int(1))]
    {
        let messaging = read(
            "x",
            SpanKind::Client,
            &[("messaging.kafka.partition", partition), ("messaging.kafka.offset", offset)],
        );
        assert_eq!(messaging.place, None);
    }
}

#[test]
fn the_spans_name_fills_what_attributes_leave_open_in_both_word_orders() {
    for (name, operation, destination) in [
        ("orders process", Operation::Process, Some("orders")),
        ("process orders", Operation::Process, Some("orders")),
        ("orders publish", Operation::Send, Some("orders")),
        ("send orders", Operation::Send, Some("orders")),
        ("poll orders", Operation::Receive, Some("orders")),
        ("recv", Operation::Receive, None),
        ("unknown publish", Operation::Send, None),
        ("settle orders", Operation::Settle, Some("orders")),
        ("POST /orders", Operation::Unknown, None),
        ("work on process orders", Operation::Unknown, None),
    ] {
        let messaging = read(name, SpanKind::Client, &[("messaging.system", text_of("kafka"))]);
        assert_eq!((messaging.operation, messaging.destination.as_deref()), (operation, destination), "{name}");
    }
    let bare = messaging("orders send", SpanKind::Producer, &Attributes::new()).unwrap();
    assert_eq!((bare.operation, bare.destination.as_deref()), (Operation::Send, Some("orders")));
}

#[test]
fn a_producer_that_says_nothing_sends_and_a_consumer_that_says_nothing_is_left_open() {
    let system = [("messaging.system", text_of("nats"))];
    assert_eq!(read("x", SpanKind::Producer, &system).operation, Operation::Send);
    assert_eq!(read("x", SpanKind::Consumer, &system).operation, Operation::Unknown);
}

#[test]
fn the_operations_type_counts_before_its_name_in_the_systems_words() {
    let given = [("messaging.operation.name", text_of("ack")), ("messaging.operation.type", text_of("settle"))];
    assert_eq!(read("x", SpanKind::Client, &given).operation, Operation::Settle);
    assert_eq!(read("x", SpanKind::Client, &given[..1]).operation, Operation::Settle);
    let odd = [("messaging.operation.type", text_of("frobnicate")), ("messaging.operation.name", text_of("poll"))];
    assert_eq!(read("x", SpanKind::Client, &odd).operation, Operation::Receive);
}

#[test]
fn rabbitmq_producers_name_the_exchange_and_consumers_the_queue() {
    for (kind, told, routing_key, expected) in [
        (SpanKind::Producer, "shop:order.placed", None, Some("shop")),
        (SpanKind::Producer, "shop", Some("order.placed"), Some("shop")),
        (SpanKind::Producer, "amq.default:billing", None, Some("billing")),
        (SpanKind::Producer, "<default>", Some("billing"), Some("billing")),
        (SpanKind::Producer, "", Some("billing"), Some("billing")),
        (SpanKind::Consumer, "", Some("order.placed"), None),
        (SpanKind::Consumer, "shop:order.placed:billing", None, Some("billing")),
        (SpanKind::Consumer, "shop:billing", None, Some("billing")),
        (SpanKind::Consumer, "billing", None, Some("billing")),
        (SpanKind::Consumer, "(temporary)", None, None),
    ] {
        let mut given = vec![("messaging.system", text_of("rabbitmq")), ("messaging.destination.name", text_of(told))];
        given.extend(routing_key.map(|key| ("messaging.rabbitmq.destination.routing_key", text_of(key))));
        assert_eq!(read("x", kind, &given).destination.as_deref(), expected, "{kind:?} {told}");
    }
}

#[test]
fn springs_listener_observation_is_understood() {
    let messaging = read(
        "orders process",
        SpanKind::Consumer,
        &[
            ("messaging.system", text_of("kafka")),
            ("messaging.operation", text_of("process")),
            ("messaging.source.name", text_of("orders")),
            ("messaging.source.kind", text_of("topic")),
            ("messaging.kafka.source.partition", text_of("1")),
            ("messaging.kafka.message.offset", text_of("9")),
            ("messaging.kafka.consumer.group", text_of("billing")),
        ],
    );
    assert_eq!((messaging.destination.as_deref(), messaging.place), (Some("orders"), place(1, 9)));
}

#[test]
fn braves_tags_are_understood() {
    let messaging =
        read("poll", SpanKind::Consumer, &[("kafka.topic", text_of("orders")), ("kafka.key", text_of("o-7"))]);
    assert_eq!(messaging.system, "kafka");
    assert_eq!((messaging.destination.as_deref(), messaging.key.as_deref()), (Some("orders"), Some("o-7")));
    assert_eq!(messaging.operation, Operation::Receive);
}

#[test]
fn every_event_id_that_a_span_names_is_kept() {
    let captured = Value::List(vec![text_of("e-2")]);
    let messaging = read(
        "x",
        SpanKind::Consumer,
        &[
            ("cloudevents.event_id", text_of("e-1")),
            ("messaging.header.ce_id", captured),
            ("messaging.message.id", text_of("e-3")),
        ],
    );
    assert_eq!(messaging.event_ids, ["e-3", "e-1", "e-2"]);
}
