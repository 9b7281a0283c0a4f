//! What a person relies on when a flow is shown: it is whole, and it is only theirs.

use super::*;
use crate::checkpoint::Checkpoint;
use crate::fixture::{at, log, record, span, trace};
use crate::memory::Memory;
use crate::span::{Operation, SpanKind};

async fn held(entries: Vec<Entry>) -> Memory {
    let store = Memory::new();
    store.append(entries, Checkpoint::none("test".into())).await.unwrap();
    store
}

async fn flow_of(store: &Memory, start: Start) -> Flow {
    assemble(store, &Board::default(), start, at(3_600.0)).await.unwrap().expect("the flow is known")
}

fn at_record(topic: &str, partition: i32, offset: i64) -> Start {
    Start::Record { source: "main".into(), channel: topic.into(), place: Place::Offset { partition, offset } }
}

/// What is in a flow, in words, sorted: `orders 0@1`, `billing: process orders`, `log: ...`.
fn contents(flow: &Flow) -> Vec<String> {
    let mut contents: Vec<String> = flow
        .entries()
        .map(|joined| match &*joined.held.entry {
            Entry::Record(record) => format!("{} {}", record.position.channel, record.position.place),
            Entry::Span(span) => format!("{}: {}", span.service(), span.name),
            Entry::Log(log) => format!("log: {}", log.body),
        })
        .collect();
    contents.sort();
    contents
}

fn delivery<'a>(flow: &'a Flow, consumer: &str) -> &'a Delivery {
    flow.deliveries.iter().find(|delivery| delivery.consumer == consumer).expect("that consumer has a delivery")
}

/// `POST /orders` publishes OrderPlaced (trace 1), and billing processes it in the same trace.
fn chain() -> Vec<Entry> {
    vec![
        span("shop", "POST /orders").kind(SpanKind::Server).id(1).at(0.0).took(0.1).entry(),
        span("shop", "send orders").id(2).parent(1).published("orders").at(0.05).took(0.01).entry(),
        record("orders", 0, 7).event("OrderPlaced").id("event-0001").key("o-1").trace(1).span(2).at(0.06).entry(),
        span("billing", "process orders")
            .id(3)
            .parent(2)
            .consumed("orders", 0, 7)
            .group("billing")
            .at(0.2)
            .took(0.3)
            .entry(),
        log("billing", "charged").trace(1).span(3).at(0.3).entry(),
    ]
}

#[tokio::test]
async fn a_flow_is_the_same_by_trace_event_and_record() {
    let store = held(chain()).await;
    let by_trace = flow_of(&store, Start::Trace(trace(1))).await;
    assert_eq!(contents(&by_trace).len(), 5);
    for start in [Start::Event("event-0001".to_owned()), at_record("orders", 0, 7)] {
        assert_eq!(contents(&flow_of(&store, start).await), contents(&by_trace));
    }
    assert!(assemble(&store, &Board::default(), Start::Trace(trace(99)), at(0.0)).await.unwrap().is_none());
    assert!(assemble(&store, &Board::default(), Start::Event("nobody".to_owned()), at(0.0)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_delivery_that_a_span_proves_is_processed_and_its_time_is_told() {
    let flow = flow_of(&held(chain()).await, Start::Trace(trace(1))).await;
    let delivery = delivery(&flow, "billing");
    assert_eq!((delivery.state, delivery.attempts, delivery.is_group), (DeliveryState::Processed, 1, true));
    assert_eq!(delivery.ended_at, Some(at(0.5)));
    assert_eq!(flow.outcome, Outcome::Ok);
    assert_eq!((flow.retries, flow.dead_letters), (0, 0));
    assert_eq!((flow.started_at, flow.ended_at), (at(0.0), at(0.5)));
}

#[tokio::test]
async fn the_time_budget_adds_up_to_the_whole() {
    let flow = flow_of(&held(chain()).await, Start::Trace(trace(1))).await;
    let Budget { working, waiting, backing_off, unknown } = flow.budget;
    assert_eq!(working + waiting + backing_off + unknown, flow.duration_nanos());
    assert_eq!((working, waiting, backing_off, unknown), (400_000_000, 100_000_000, 0, 0));
}

#[tokio::test]
async fn a_consumer_that_starts_a_new_trace_joins_by_its_link() {
    let mut entries = chain();
    entries.push(span("shipping", "process orders").trace(2).id(20).link(1, 2).at(0.4).entry());
    entries.push(span("shipping", "plan parcel").trace(2).id(21).parent(20).at(0.45).entry());
    let store = held(entries).await;
    let flow = flow_of(&store, Start::Trace(trace(1))).await;
    assert!(contents(&flow).contains(&"shipping: plan parcel".to_owned()), "{:?}", contents(&flow));
    assert_eq!(flow.trace_ids, vec![trace(1), trace(2)]);
    let back = flow_of(&store, Start::Trace(trace(2))).await;
    assert_eq!(contents(&back), contents(&flow), "asked by the consumer's trace, the flow is the same");
}

#[tokio::test]
async fn a_consumer_without_links_joins_by_position_and_says_so() {
    let mut entries = chain();
    entries.push(span("read-model", "process orders").trace(3).id(30).consumed("orders", 0, 7).at(0.2).entry());
    let store = held(entries).await;
    let flow = flow_of(&store, Start::Trace(trace(1))).await;
    let joined =
        flow.spans.iter().find(|joined| joined.held.entry.as_span().unwrap().service() == "read-model").unwrap();
    assert_eq!(joined.by.to_string(), "position orders 0@7");
    assert_eq!(contents(&flow_of(&store, Start::Trace(trace(3))).await), contents(&flow));
}

#[tokio::test]
async fn a_producer_without_tracing_joins_by_event_id_and_position() {
    let store = held(vec![
        record("orders", 0, 7).event("OrderPlaced").id("event-0001").at(0.0).entry(),
        span("billing", "process orders").trace(2).id(20).consumed("orders", 0, 7).at(0.1).entry(),
        log("billing", "charged").event_id("event-0001").at(0.2).entry(),
        span("audit", "note").trace(4).id(40).event_id("event-0001").at(0.2).entry(),
    ])
    .await;
    let flow = flow_of(&store, Start::Event("event-0001".to_owned())).await;
    assert_eq!(contents(&flow), ["audit: note", "billing: process orders", "log: charged", "orders 0@7"]);
}

/// `n` orders, each published in its own trace (100 + i); one poll span in trace 1 links to all of them.
fn batch(n: u64, child: impl Fn(u64) -> Vec<Entry>) -> Vec<Entry> {
    let mut poll = span("billing", "poll orders").trace(1).id(1).at(1.0).took(5.0);
    let mut entries = Vec::new();
    for i in 0..n {
        let key = format!("order-{i:04}");
        entries.push(span("shop", "send orders").trace(100 + i).id(10_000 + i).published("orders").at(0.1).entry());
        entries.push(
            record("orders", 0, i as i64)
                .event("OrderPlaced")
                .id(&format!("placed-{i:04}"))
                .key(&key)
                .trace(100 + i)
                .span(10_000 + i)
                .at(0.2)
                .entry(),
        );
        poll = poll.link(100 + i, 10_000 + i);
        entries.extend(child(i));
    }
    let mut poll = poll.span();
    poll.messaging.get_or_insert_default().operation = Operation::Receive;
    entries.push(Entry::Span(poll));
    entries
}

fn follow_up(i: u64, made_in: u64) -> Entry {
    record("payments", 0, i as i64)
        .event("PaymentAuthorized")
        .id(&format!("paid-{i:04}"))
        .key(&format!("order-{i:04}"))
        .trace(1)
        .span(made_in)
        .at(2.0)
        .entry()
}

#[tokio::test]
async fn five_hundred_orders_of_one_poll_stay_five_hundred_flows() {
    let store = held(batch(500, |i| {
        vec![
            span("billing", &format!("process {i}"))
                .trace(1)
                .id(20_000 + i)
                .parent(1)
                .link(100 + i, 10_000 + i)
                .at(1.5)
                .entry(),
            span("billing", &format!("send {i}"))
                .trace(1)
                .id(30_000 + i)
                .parent(20_000 + i)
                .published("payments")
                .at(1.6)
                .entry(),
            follow_up(i, 30_000 + i),
        ]
    }))
    .await;
    let own = [
        "billing: poll orders",
        "billing: process 250",
        "billing: send 250",
        "orders 0@250",
        "payments 0@250",
        "shop: send orders",
    ];
    for start in [
        Start::Trace(trace(350)),
        at_record("orders", 0, 250),
        at_record("payments", 0, 250),
        Start::Event("paid-0250".to_owned()),
    ] {
        let flow = flow_of(&store, start.clone()).await;
        assert_eq!(contents(&flow), own, "asked by {start:?}");
        assert_eq!(flow.neighbours, [Neighbours { shared: "billing: poll orders".to_owned(), others: 499 }]);
    }
}

#[tokio::test]
async fn what_only_the_key_ties_to_an_order_of_a_batch_is_told_apart_by_it() {
    let store = held(batch(500, |i| {
        vec![
            span("billing", &format!("send {i}"))
                .trace(1)
                .id(30_000 + i)
                .parent(1)
                .published("payments")
                .at(1.6)
                .entry(),
            follow_up(i, 30_000 + i),
        ]
    }))
    .await;
    let own = ["billing: poll orders", "billing: send 250", "orders 0@250", "payments 0@250", "shop: send orders"];
    for start in [Start::Trace(trace(350)), at_record("orders", 0, 250), at_record("payments", 0, 250)] {
        assert_eq!(contents(&flow_of(&store, start.clone()).await), own, "asked by {start:?}");
    }
}

#[tokio::test]
async fn a_consumer_that_works_through_messages_in_one_long_trace_doesnt_join_them() {
    let mut entries = vec![span("billing", "loop").trace(1).id(1).at(0.0).took(60.0).entry()];
    for i in 0..20 {
        entries.push(
            record("orders", 0, i as i64)
                .event("OrderPlaced")
                .id(&format!("placed-{i:04}"))
                .trace(100 + i)
                .span(9_000 + i)
                .at(1.0)
                .entry(),
        );
        entries.push(
            span("billing", &format!("process {i}"))
                .trace(1)
                .id(20_000 + i)
                .parent(1)
                .consumed("orders", 0, i as i64)
                .at(2.0)
                .entry(),
        );
        entries
            .push(span("billing", &format!("charge {i}")).trace(1).id(30_000 + i).parent(20_000 + i).at(2.1).entry());
    }
    let store = held(entries).await;
    let flow = flow_of(&store, Start::Trace(trace(105))).await;
    assert_eq!(contents(&flow), ["billing: charge 5", "billing: loop", "billing: process 5", "orders 0@5"]);
}

#[tokio::test]
async fn a_join_of_two_events_of_one_order_belongs_to_it_whole() {
    let store = held(vec![
        span("shop", "send orders").trace(1).id(1).published("orders").entry(),
        record("stock", 0, 1).event("StockReserved").id("stock-0001").key("o-1").trace(1).span(2).at(0.2).entry(),
        span("inventory", "send stock").trace(1).id(2).parent(1).published("stock").at(0.1).entry(),
        record("paid", 0, 1).event("PaymentAuthorized").id("paid-0001").key("o-1").trace(1).span(3).at(0.3).entry(),
        span("billing", "send paid").trace(1).id(3).parent(1).published("paid").at(0.2).entry(),
        span("shipping", "plan").trace(2).id(20).link(1, 2).link(1, 3).at(0.5).entry(),
        span("shipping", "send parcels").trace(2).id(21).parent(20).published("parcels").at(0.6).entry(),
        record("parcels", 0, 1).event("ParcelPlanned").id("parcel-01").key("p-77").trace(2).span(21).at(0.7).entry(),
    ])
    .await;
    let whole = contents(&flow_of(&store, Start::Trace(trace(1))).await);
    assert_eq!(whole.len(), 8);
    assert_eq!(contents(&flow_of(&store, at_record("parcels", 0, 1)).await), whole);
}

fn retried_and_set_aside() -> Vec<Entry> {
    let copy =
        |topic: &str, offset: i64| record(topic, 0, offset).event("OrderPlaced").id("event-0001").key("o-1").trace(1);
    vec![
        record("orders", 0, 7).event("OrderPlaced").id("event-0001").key("o-1").trace(1).span(2).at(0.0).entry(),
        span("billing", "process orders")
            .id(3)
            .consumed("orders", 0, 7)
            .group("billing")
            .at(0.1)
            .took(0.3)
            .failed("timeout")
            .entry(),
        copy("orders-retry", 1).retry("billing", 1).from("orders", 0, 7).at(0.4).entry(),
        span("billing", "process retry")
            .id(4)
            .consumed("orders-retry", 0, 1)
            .group("billing")
            .at(1.4)
            .took(0.3)
            .failed("timeout")
            .entry(),
        copy("orders-retry", 2).retry("billing", 2).from("orders-retry", 0, 1).at(1.7).entry(),
        span("billing", "process retry again")
            .id(5)
            .consumed("orders-retry", 0, 2)
            .group("billing")
            .at(3.7)
            .took(0.3)
            .failed("timeout")
            .entry(),
        copy("orders-dlt", 0).dead("billing", "gateway timed out").from("orders", 0, 7).at(4.0).entry(),
        span("inventory", "process orders")
            .id(6)
            .consumed("orders", 0, 7)
            .group("inventory")
            .at(0.1)
            .took(0.05)
            .entry(),
    ]
}

#[tokio::test]
async fn retries_and_the_dead_letter_are_one_delivery_with_its_attempts() {
    let flow = flow_of(&held(retried_and_set_aside()).await, Start::Event("event-0001".to_owned())).await;
    assert_eq!(flow.deliveries.len(), 2, "{:#?}", flow.deliveries);
    let billing = delivery(&flow, "billing");
    assert_eq!((billing.state, billing.attempts), (DeliveryState::DeadLettered, 3));
    assert_eq!(billing.error.as_deref(), Some("RuntimeError: gateway timed out"));
    assert_eq!(delivery(&flow, "inventory").state, DeliveryState::Processed);
    assert_eq!((flow.outcome, flow.retries, flow.dead_letters), (Outcome::DeadLettered, 2, 1));
    assert_eq!(flow.budget.backing_off, 3_000_000_000);
    assert!(flow.findings.iter().all(|finding| finding.kind != "duplicate"), "copies are no duplicates");
}

#[tokio::test]
async fn a_retry_that_succeeds_ends_well_and_one_under_way_waits() {
    let mut entries = retried_and_set_aside();
    entries.truncate(3);
    let under_way = flow_of(&held(entries.clone()).await, Start::Trace(trace(1))).await;
    assert_eq!((delivery(&under_way, "billing").state, under_way.outcome), (DeliveryState::Retrying, Outcome::Waiting));
    entries
        .push(span("billing", "process retry").id(4).consumed("orders-retry", 0, 1).group("billing").at(1.4).entry());
    let recovered = flow_of(&held(entries).await, Start::Trace(trace(1))).await;
    assert_eq!(
        (delivery(&recovered, "billing").state, recovered.outcome),
        (DeliveryState::Processed, Outcome::Retried)
    );
    assert_eq!(recovered.retries, 1);
}

#[tokio::test]
async fn a_duplicate_is_said_and_so_is_who_handled_it_twice() {
    let store = held(vec![
        record("orders", 0, 7).event("OrderPlaced").id("event-0001").trace(1).span(2).at(0.0).entry(),
        record("orders", 0, 8).event("OrderPlaced").id("event-0001").trace(1).span(2).at(0.5).entry(),
        span("read-model", "process a").id(3).consumed("orders", 0, 7).at(0.1).entry(),
        span("read-model", "process b").id(4).consumed("orders", 0, 8).at(0.6).entry(),
    ])
    .await;
    let flow = flow_of(&store, Start::Event("event-0001".to_owned())).await;
    let finding = flow.findings.iter().find(|finding| finding.kind == "duplicate").expect("it is found");
    assert_eq!(finding.says, "OrderPlaced event-0001 was published 2 times; handled more than once by read-model");
}

#[tokio::test]
async fn equal_positions_of_two_brokers_are_not_mixed_up() {
    let elsewhere = |entry: crate::fixture::RecordFixture| entry.source("other").event("OrderPlaced");
    let store = held(vec![
        record("orders", 0, 7).event("OrderPlaced").id("event-0001").at(0.0).entry(),
        elsewhere(record("orders", 0, 7)).id("event-9999").at(0.0).entry(),
        span("billing", "process orders").trace(2).id(20).consumed("orders", 0, 7).at(0.1).entry(),
    ])
    .await;
    let flow = flow_of(&store, at_record("orders", 0, 7)).await;
    assert_eq!(contents(&flow), ["orders 0@7"], "nothing tells which of the two was processed");
}

#[tokio::test]
async fn of_a_recreated_topic_a_span_means_the_record_of_its_time() {
    let store = held(vec![
        record("orders", 0, 7).incarnation(0).event("OrderPlaced").id("event-old1").at(0.0).entry(),
        record("orders", 0, 7).incarnation(1).event("OrderPlaced").id("event-new1").at(5_000.0).entry(),
        span("billing", "process old").trace(2).id(20).consumed("orders", 0, 7).at(0.1).entry(),
        span("billing", "process new").trace(3).id(30).consumed("orders", 0, 7).at(5_000.1).entry(),
    ])
    .await;
    let old = flow_of(&store, Start::Event("event-old1".to_owned())).await;
    assert_eq!(contents(&old), ["billing: process old", "orders 0@7"]);
    let new = flow_of(&store, at_record("orders", 0, 7)).await;
    assert_eq!(contents(&new), ["billing: process new", "orders 0@7"], "a place means the latest life of its topic");
}

#[tokio::test]
async fn an_event_id_that_everybody_uses_joins_nobody() {
    let mut entries: Vec<Entry> = (0..300)
        .map(|i| record("orders", 0, i).event("Ping").id("constant-id").trace(100 + i as u64).span(1).entry())
        .collect();
    entries.push(record("orders", 1, 0).event("OrderPlaced").id("17").trace(1).span(1).entry());
    entries.push(record("users", 0, 0).event("UserAdded").id("17").trace(2).span(1).entry());
    let store = held(entries).await;
    assert_eq!(contents(&flow_of(&store, Start::Trace(trace(105))).await), ["orders 0@5"]);
    assert_eq!(contents(&flow_of(&store, Start::Trace(trace(1))).await), ["orders 1@0"]);
}

#[tokio::test]
async fn a_hostile_cycle_ends() {
    let store = held(vec![
        record("a", 0, 0).event("E").id("event-0001").retry("g", 1).from("b", 0, 0).entry(),
        record("b", 0, 0).event("E").id("event-0001").retry("g", 1).from("a", 0, 0).entry(),
        span("s", "x").trace(1).id(1).parent(2).entry(),
        span("s", "y").trace(1).id(2).parent(1).link(1, 1).entry(),
    ])
    .await;
    assert_eq!(contents(&flow_of(&store, Start::Event("event-0001".to_owned())).await).len(), 2);
    assert_eq!(contents(&flow_of(&store, Start::Trace(trace(1))).await).len(), 2);
}

#[tokio::test]
async fn a_flow_without_end_is_cut_and_says_so() {
    let entries = (0..6_000).map(|i| span("s", &format!("{i}")).id(i + 1).at(0.001 * i as f64).entry()).collect();
    let flow = flow_of(&held(entries).await, Start::Trace(trace(1))).await;
    assert_eq!(flow.spans.len(), walk::ENTRIES_MAX);
    assert!(flow.cut.is_some());
}

#[tokio::test]
async fn late_and_shuffled_entries_give_the_same_flow() {
    let mut entries = retried_and_set_aside();
    let ordered = flow_of(&held(entries.clone()).await, Start::Event("event-0001".to_owned())).await;
    for turn in 1..entries.len() {
        entries.rotate_left(turn);
        entries.swap(0, turn);
        let store = Memory::new();
        for entry in entries.clone() {
            store.append(vec![entry], Checkpoint::none("test".into())).await.unwrap();
        }
        let flow = flow_of(&store, Start::Event("event-0001".to_owned())).await;
        assert_eq!((contents(&flow), flow.outcome, flow.budget), (contents(&ordered), ordered.outcome, ordered.budget));
        assert_eq!(flow.deliveries, ordered.deliveries);
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_named() {
    let store = held(vec![
        span("shop", "call").id(1).at(10.0).took(1.0).entry(),
        span("billing", "serve").id(2).parent(1).at(8.0).took(0.5).entry(),
    ])
    .await;
    let flow = flow_of(&store, Start::Trace(trace(1))).await;
    assert_eq!(flow.findings[0].says, "the clock of billing is at least 2000 ms behind that of shop");
}
