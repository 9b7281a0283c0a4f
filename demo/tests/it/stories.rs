//! Every story happens in the first seconds, on the topics and in the traces.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use demo::{EmbeddedBroker, PARTITIONS, SERVICES, Shop, ShopConfig, TOPICS};
use opentelemetry_proto::tonic::{common::v1::any_value::Value, trace::v1::span::SpanKind};

use crate::{
    eventually,
    otlp::{Receiver, Span},
    records::{Seen, Watcher, lag},
};

/// On an idle machine all stories have happened 4.5 s after the opening; a busy one gets some more.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn every_story_happens_within_seconds_and_can_be_followed() {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topics(&TOPICS, PARTITIONS).unwrap();
    let receiver = Receiver::start().await;
    let config = ShopConfig {
        brokers: broker.bootstrap(),
        otlp: receiver.endpoint.clone(),
        orders_per_s: 5.0,
        ..ShopConfig::default()
    };
    let shop = Shop::start(config).await.unwrap();
    let opened = Instant::now();
    assert_eq!(shop.running().await, SERVICES);

    let brokers = broker.bootstrap();
    let (mut watcher, receiver, twice) = tokio::task::spawn_blocking(move || {
        let mut watcher = Watcher::new(&brokers);
        let order = eventually("an order that goes well", PATIENCE, || fulfilled(watcher.look()));
        eventually("a payment that succeeds at the second attempt", PATIENCE, || paid_at(2, watcher.look()));
        eventually("a payment that succeeds at the third attempt", PATIENCE, || paid_at(3, watcher.look()));
        eventually("an order that is given up", PATIENCE, || given_up(watcher.look()));
        eventually("an order that is cancelled and released", PATIENCE, || compensated(watcher.look()));
        let twice = eventually("an event that is sent twice", PATIENCE, || sent_twice(watcher.look()));
        let poison = eventually("a record that nobody can read", PATIENCE, || poison(watcher.look()));
        eventually("the unreadable record is set aside", PATIENCE, || set_aside(watcher.look(), &poison));
        println!("every story had happened {:?} after the opening", opened.elapsed());

        eventually("spans and logs of every service", PATIENCE, || every_service_told(&receiver));
        let trace_id = trace_id_of(&order);
        eventually("the whole trace of an order", PATIENCE, || whole_trace(&receiver.spans(), &trace_id));
        eventually("links from shipping", PATIENCE, || linked(&receiver.spans(), &trace_id));
        eventually("the read model's position", PATIENCE, || unlinked(&receiver.spans(), &order, &trace_id));
        eventually("the second delivery counts in the read model", PATIENCE, || {
            let processed = |seen: &&Seen| !at(&receiver.spans(), "read-model", seen).is_empty();
            (twice.iter().filter(processed).count() == 2).then_some(())
        });
        let first = eventually("analytics is behind", PATIENCE, || {
            let lag = lag(&brokers, "analytics", "order.placed");
            (lag > 3).then_some(lag)
        });
        eventually("and falls further behind", PATIENCE, || {
            (lag(&brokers, "analytics", "order.placed") > first).then_some(())
        });
        eventually("while billing keeps up", PATIENCE, || {
            (lag(&brokers, "billing", "order.placed") <= 2).then_some(())
        });
        (watcher, receiver, twice)
    })
    .await
    .unwrap();

    let stopping = Instant::now();
    shop.stop().await;
    assert!(stopping.elapsed() < Duration::from_secs(10), "stopping took {:?}", stopping.elapsed());
    assert!(shop.running().await.is_empty());
    the_old_names_are_the_inventory_s(&receiver.spans());
    tokio::task::spawn_blocking(move || {
        watcher.look();
        had_one_effect(&watcher.seen, &twice[0].key);
        logs_name_their_events(&watcher.seen, &receiver);
        drop((watcher, broker));
    })
    .await
    .unwrap();
}

fn on<'a>(seen: &'a [Seen], topic: &'a str) -> impl Iterator<Item = &'a Seen> {
    seen.iter().filter(move |record| record.topic == topic)
}

fn has(seen: &[Seen], topic: &str, key: &str) -> bool {
    on(seen, topic).any(|record| record.key == key)
}

fn fulfilled(seen: &[Seen]) -> Option<Seen> {
    let paid_at_once = |order: &&Seen| {
        on(seen, "payment.authorized")
            .any(|paid| paid.key == order.key && paid.json.as_ref().is_some_and(|json| json["data"]["attempt"] == 1))
    };
    let order = on(seen, "order.placed")
        .filter(|order| order.field("eventType") == "OrderPlaced")
        .filter(paid_at_once)
        .find(|order| has(seen, "stock.reserved", &order.key) && has(seen, "parcel.planned", &order.key))?;
    assert_eq!(order.field("producer"), "shop-api");
    assert_eq!(order.json.as_ref().unwrap()["version"], 2);
    assert_eq!(order.header("traceparent").len(), 1);
    Some(order.clone())
}

fn paid_at(attempt: i32, seen: &[Seen]) -> Option<()> {
    let paid = on(seen, "payment.authorized")
        .find(|paid| paid.json.as_ref().is_some_and(|json| json["data"]["attempt"] == attempt))?;
    let retries: Vec<&Seen> = on(seen, "order.placed-retry").filter(|retry| retry.key == paid.key).collect();
    assert_eq!(retries.len() as i32, attempt - 1, "{}", paid.key);
    let last = retries.last().unwrap();
    assert_eq!(last.header("kafka_original-topic"), [b"order.placed"]);
    assert_eq!(last.header("retry_topic-attempts").last(), Some(&&attempt.to_be_bytes()[..]));
    // The origin that the headers name is the record that was placed.
    let origin = on(seen, "order.placed").find(|order| order.key == paid.key).unwrap();
    assert_eq!(last.header("kafka_original-partition"), [origin.partition.to_be_bytes()]);
    assert_eq!(last.header("kafka_original-offset"), [origin.offset.to_be_bytes()]);
    assert_eq!(last.payload, origin.payload);
    Some(())
}

fn given_up(seen: &[Seen]) -> Option<()> {
    let letter = on(seen, "order.placed-dlt").find(|letter| letter.json.is_some())?;
    let attempts: Vec<[u8; 4]> = (2..=4_i32).map(i32::to_be_bytes).collect();
    assert_eq!(letter.header("retry_topic-attempts"), attempts);
    assert_eq!(letter.header("kafka_dlt-original-consumer-group"), [b"billing"]);
    assert_eq!(letter.header("kafka_exception-cause-fqcn"), [b"shop.billing.GatewayTimeoutException"]);
    let stack_trace = String::from_utf8(letter.header("kafka_exception-stacktrace")[0].to_vec()).unwrap();
    assert!(stack_trace.contains("GatewayClient.java:87"), "{stack_trace}");
    assert_eq!(on(seen, "order.placed-retry").filter(|retry| retry.key == letter.key).count(), 2);
    assert!(!has(seen, "payment.authorized", &letter.key));
    Some(())
}

fn compensated(seen: &[Seen]) -> Option<()> {
    let cancelled = on(seen, "order.cancelled").next()?;
    on(seen, "stock.released").find(|released| released.key == cancelled.key)?;
    assert!(has(seen, "payment.failed", &cancelled.key));
    assert!(has(seen, "stock.reserved", &cancelled.key));
    assert!(!has(seen, "parcel.planned", &cancelled.key));
    Some(())
}

/// Both deliveries of an event that was sent twice, once its order went well.
fn sent_twice(seen: &[Seen]) -> Option<Vec<Seen>> {
    let orders: Vec<&Seen> = on(seen, "order.placed").filter(|order| order.json.is_some()).collect();
    let (first, second) = orders.iter().enumerate().find_map(|(index, first)| {
        let again = orders[index + 1..].iter().find(|again| again.field("eventId") == first.field("eventId"))?;
        Some((*first, *again))
    })?;
    assert_ne!(first.offset, second.offset);
    assert_eq!(first.payload, second.payload);
    on(seen, "parcel.planned").find(|planned| planned.key == first.key)?;
    Some(vec![first.clone(), second.clone()])
}

fn had_one_effect(seen: &[Seen], key: &str) {
    for topic in ["stock.reserved", "payment.authorized", "parcel.planned"] {
        assert_eq!(on(seen, topic).filter(|record| record.key == key).count(), 1, "{topic}");
    }
}

fn poison(seen: &[Seen]) -> Option<Seen> {
    let poison = on(seen, "order.placed").find(|record| record.json.is_none())?;
    assert!(String::from_utf8(poison.payload.clone()).is_err());
    assert!(poison.headers.is_empty());
    Some(poison.clone())
}

fn set_aside(seen: &[Seen], poison: &Seen) -> Option<()> {
    let letter = on(seen, "order.placed-dlt").find(|letter| letter.json.is_none())?;
    assert_eq!(letter.payload, poison.payload);
    assert_eq!(letter.header("kafka_dlt-original-topic"), [b"order.placed"]);
    assert_eq!(letter.header("kafka_dlt-original-partition"), [poison.partition.to_be_bytes()]);
    assert_eq!(letter.header("kafka_dlt-original-offset"), [poison.offset.to_be_bytes()]);
    assert_eq!(letter.header("kafka_dlt-original-consumer-group"), [b"inventory"]);
    Some(())
}

fn every_service_told(receiver: &Receiver) -> Option<()> {
    let spans: HashSet<String> = receiver.spans().into_iter().map(|span| span.service).collect();
    let logs: HashSet<String> = receiver.logs().into_iter().map(|log| log.service).collect();
    let all: HashSet<String> = SERVICES.into_iter().map(str::to_owned).collect();
    (spans == all && logs == all).then_some(())
}

fn trace_id_of(order: &Seen) -> Vec<u8> {
    let hex = order.field("traceId");
    let traceparent = String::from_utf8(order.header("traceparent")[0].to_vec()).unwrap();
    assert_eq!(&traceparent[3..35], hex);
    (0..32).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// The order's own trace: the request, what it caused in inventory and billing, each below its creation.
fn whole_trace(spans: &[Span], trace_id: &[u8]) -> Option<()> {
    let trace: Vec<&Span> = spans.iter().filter(|span| span.trace_id == trace_id).collect();
    let named =
        |service: &str, name: &str| trace.iter().copied().find(|span| span.service == service && span.name == name);
    let request = named("shop-api", "POST /orders")?;
    let sent = named("shop-api", "send order.placed")?;
    let charged = named("billing", "process order.placed")?;
    let reserved = named("inventory", "order.placed process")?;
    let card = named("billing", "charge card")?;
    named("billing", "send payment.authorized")?;
    named("inventory", "stock.reserved publish")?;
    assert_eq!((request.kind, request.parent_span_id.len()), (SpanKind::Server, 0));
    assert_eq!((sent.kind, &sent.parent_span_id), (SpanKind::Producer, &request.span_id));
    assert_eq!((charged.kind, &charged.parent_span_id), (SpanKind::Consumer, &sent.span_id));
    assert_eq!((reserved.kind, &reserved.parent_span_id), (SpanKind::Consumer, &sent.span_id));
    assert_eq!((card.kind, &card.parent_span_id), (SpanKind::Client, &charged.span_id));
    assert_eq!(charged.text("messaging.consumer.group.name"), Some("billing"));
    assert!(!trace.iter().any(|span| ["shipping", "read-model"].contains(&span.service.as_str())));
    Some(())
}

/// shipping: traces of its own, which link to what they process.
fn linked(spans: &[Span], trace_id: &[u8]) -> Option<()> {
    let links_here = |span: &&Span| span.links.iter().any(|(linked, _)| linked == trace_id);
    let process =
        spans.iter().filter(|span| span.service == "shipping" && span.name.starts_with("process ")).find(links_here)?;
    let poll = spans.iter().find(|span| span.span_id == process.parent_span_id)?;
    assert_ne!(process.trace_id, trace_id);
    assert_eq!(process.links.len(), 1);
    assert!(poll.name.starts_with("poll "), "{}", poll.name);
    assert_eq!(poll.kind, SpanKind::Client);
    assert!(poll.parent_span_id.is_empty());
    assert_eq!(poll.number("messaging.batch.message_count"), Some(poll.links.len() as i64));
    assert!(poll.links.contains(&process.links[0]));
    // Some poll of these seconds brought records of several orders.
    spans.iter().find(|span| span.service == "shipping" && span.name.starts_with("poll ") && span.links.len() > 1)?;
    Some(())
}

/// read-model: traces of its own without parent or link, but with the record's position.
fn unlinked(spans: &[Span], order: &Seen, trace_id: &[u8]) -> Option<()> {
    let process = at(spans, "read-model", order).into_iter().next()?;
    assert_ne!(process.trace_id, trace_id);
    assert!(process.parent_span_id.is_empty());
    assert!(process.links.is_empty());
    Some(())
}

/// The spans of a service that process the record at this very position.
fn at(spans: &[Span], service: &str, record: &Seen) -> Vec<Span> {
    let partition = record.partition.to_string();
    spans
        .iter()
        .filter(|span| {
            span.service == service
                && span.text("messaging.destination.name") == Some(&record.topic)
                && span.text("messaging.destination.partition.id") == Some(&partition)
                && span.number("messaging.kafka.offset") == Some(record.offset)
        })
        .cloned()
        .collect()
}

fn the_old_names_are_the_inventory_s(spans: &[Span]) {
    let old = ["messaging.kafka.message.offset", "messaging.kafka.destination.partition", "messaging.operation"];
    let messaging = spans.iter().filter(|span| span.attributes.contains_key("messaging.system"));
    let (old_style, current): (Vec<&Span>, Vec<&Span>) = messaging.partition(|span| span.service == "inventory");
    assert!(!old_style.is_empty() && !current.is_empty());
    for span in old_style {
        assert!(old.iter().all(|name| span.attributes.contains_key(*name)), "{span:?}");
        assert!(!span.attributes.contains_key("messaging.kafka.offset"), "{span:?}");
    }
    for span in current {
        assert!(!old.iter().any(|name| span.attributes.contains_key(*name)), "{span:?}");
    }
    assert!(spans.iter().any(|span| span.service == "billing" && span.name == "charge card" && span.is_error));
}

/// Each log line with an event id names an event that was really sent, and belongs to a trace.
fn logs_name_their_events(seen: &[Seen], receiver: &Receiver) {
    let event_ids: HashSet<&str> = seen.iter().map(|record| record.field("eventId")).collect();
    let mut n_named = 0;
    for log in receiver.logs() {
        assert_eq!(log.trace_id.len(), 16, "{}", log.body);
        if let Some(Value::StringValue(event_id)) = log.attributes.get("event.id") {
            // The last ones may have come after the watcher's last look.
            n_named += usize::from(event_ids.contains(event_id.as_str()));
        }
    }
    assert!(n_named > 20, "{n_named}");
}
