//! shop-api: takes orders over HTTP, says `OrderPlaced`, and cancels what could not be paid.
//!
//! Its visitors are made up, the rest is real: each order is a SERVER span, a row in a database, and an event that an
//! outbox relay publishes. Now and then the relay loses an acknowledgement and publishes the same event once more.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use opentelemetry::{
    Context, KeyValue,
    logs::Severity,
    trace::{SpanBuilder, SpanKind, TraceContextExt},
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    event::{Customer, Event, Item, OrderCancelled, OrderPlaced, PaymentFailed},
    inbox::{React, chain, pause},
    legacy_import::LegacyImport,
    messaging::Names,
    outbox::Outgoing,
    record::Record,
    setup::{Desk, Running, Setup},
    story::{self, Story},
    telemetry::{self, Line},
    topic,
};
use crate::DemoError;

pub(crate) const SERVICE: &str = "shop-api";
const NAMES: Names = Names::Current;

/// The pause between two orders of the opening.
const OPENING_PAUSE: Duration = Duration::from_millis(60);

/// When the outbox relay publishes an event again whose acknowledgement it has lost.
const RELAY_DELAY: Duration = Duration::from_millis(400);

/// How many events may wait for the relay; one in 25 orders does, for less than a second, so this is never reached at
/// the highest rate. At the limit the oldest is not sent again.
const RELAY_MAX: usize = 64;

const CITIES: [&str; 8] = ["Nantes", "Lyon", "Bremen", "Porto", "Gent", "Turin", "Malmö", "Graz"];
const SKUS: [(&str, u64); 6] = [
    ("KETTLE-1L", 3_490),
    ("LAMP-OAK", 7_950),
    ("CHAIR-02", 12_900),
    ("MUG-SET-4", 2_480),
    ("RUG-140", 18_990),
    ("SHELF-80", 5_460),
];

/// Starts the service.
pub(crate) fn start(setup: &Setup) -> Result<Running, DemoError> {
    let stop = CancellationToken::new();
    let desk = Arc::new(setup.desk(SERVICE, NAMES)?);
    let inbox = setup.inbox(SERVICE, "shop-api-1", &[topic::PAYMENT_FAILED])?;
    let assigned = vec![inbox.assigned()];
    let counter = Counter {
        desk: Arc::clone(&desk),
        legacy_import: LegacyImport::open(setup)?,
        relay: VecDeque::new(),
        every: Duration::from_secs_f64(1.0 / setup.config.orders_per_s),
        seed: setup.config.seed,
        orders_placed: Arc::clone(&setup.memory.orders_placed),
    };
    let cancelling = Cancelling { desk: Arc::clone(&desk) };
    let mut opened = setup.opened.clone();
    let token = stop.clone();
    let task = tokio::spawn(async move {
        let selling = async {
            let open = tokio::select! {
                () = token.cancelled() => false,
                open = opened.wait_for(|open| *open) => open.is_ok(),
            };
            if open {
                counter.sell(&token).await;
            } else {
                counter.legacy_import.close().await;
            }
        };
        tokio::join!(selling, inbox.consume(cancelling, &token));
        if let Some(desk) = Arc::into_inner(desk) {
            desk.close().await;
        }
    });
    Ok(Running { stop, task, assigned })
}

/// Where visitors place their orders.
struct Counter {
    desk: Arc<Desk>,
    legacy_import: LegacyImport,
    relay: VecDeque<Unconfirmed>,
    every: Duration,
    seed: u64,
    orders_placed: Arc<std::sync::atomic::AtomicU64>,
}

/// A published event whose acknowledgement the relay believes lost.
struct Unconfirmed {
    due: Instant,
    context: Context,
    record: Outgoing,
}

impl Counter {
    async fn sell(mut self, stop: &CancellationToken) {
        let mut next_order = Instant::now();
        loop {
            let next_relay = self.relay.front().map(|unconfirmed| unconfirmed.due);
            let next = next_relay.map_or(next_order, |due| due.min(next_order));
            if !pause(next.saturating_duration_since(Instant::now()), stop).await {
                break;
            }
            if next_relay.is_some_and(|due| due <= Instant::now()) {
                self.send_again().await;
                continue;
            }
            let number = self.orders_placed.fetch_add(1, Ordering::Relaxed);
            self.take_order(number).await;
            if story::poison_follows(number) {
                self.legacy_import.write_order(number).await;
            }
            let opening = number < story::OPENING.len() as u64;
            // From the last order, not from now: the rate holds however long an order takes.
            next_order = (next_order + if opening { OPENING_PAUSE } else { self.every }).max(Instant::now());
        }
        self.legacy_import.close().await;
    }

    async fn take_order(&mut self, number: u64) {
        let story = story::of(number);
        let order = order(self.seed, number, story);
        let order_id = order.order_id.clone();
        let desk = &self.desk;
        let request = desk.telemetry.span(post_orders(), &Context::new());
        let insert = SpanBuilder::from_name("INSERT orders").with_kind(SpanKind::Client).with_attributes([
            KeyValue::new("db.system.name", "postgresql"),
            KeyValue::new("db.operation.name", "INSERT"),
            KeyValue::new("db.collection.name", "orders"),
        ]);
        desk.work(&request, insert, Duration::from_millis(4)).await;
        match desk.outbox.publish(&request, order).await {
            Ok(published) => {
                request.span().set_attribute(KeyValue::new("http.response.status_code", 202));
                let Event { event_id, data, .. } = &published.event;
                desk.telemetry.log(
                    &request,
                    Line {
                        severity: Severity::Info,
                        event_id: Some(event_id),
                        order_id: Some(&order_id),
                        body: format!("{order_id} placed: {} items, {}", data.items.len(), euros(data.total_cents)),
                    },
                );
                if story == Story::SentTwice {
                    let due = Instant::now() + RELAY_DELAY;
                    let unconfirmed = Unconfirmed { due, context: request.clone(), record: published.record };
                    if self.relay.len() == RELAY_MAX {
                        self.relay.pop_front();
                    }
                    self.relay.push_back(unconfirmed);
                }
            }
            Err(error) => {
                request.span().set_attribute(KeyValue::new("http.response.status_code", 503));
                telemetry::fail(&request, "503", chain(&error));
            }
        }
        request.span().end();
    }

    /// The relay's second try: the same bytes, the same event id.
    async fn send_again(&mut self) {
        let Some(unconfirmed) = self.relay.pop_front() else {
            return;
        };
        let Unconfirmed { context, record, .. } = unconfirmed;
        let order_id = record.key.clone().unwrap_or_default();
        match self.desk.outbox.forward(&context, record).await {
            Ok(()) => self.desk.telemetry.log(
                &context,
                Line {
                    severity: Severity::Warn,
                    event_id: None,
                    order_id: Some(&order_id),
                    body: format!("outbox relay: no acknowledgement for {order_id}, sent it again"),
                },
            ),
            Err(error) => tracing::debug!("the relay could not send again: {}", chain(&error)),
        }
    }
}

/// Cancels the orders that could not be paid.
struct Cancelling {
    desk: Arc<Desk>,
}

impl React for Cancelling {
    async fn react(&mut self, record: &Record) -> Result<(), DemoError> {
        let Ok(failed) = record.read::<Event<PaymentFailed>>() else {
            return Ok(());
        };
        let process = self.desk.telemetry.span(NAMES.process(record, SERVICE), &record.creation_context());
        let PaymentFailed { order_id, reason, .. } = failed.data;
        let cancelled = OrderCancelled { order_id: order_id.clone(), reason: format!("payment failed: {reason}") };
        self.desk.outbox.publish(&process, cancelled).await?;
        self.desk.telemetry.log(
            &process,
            Line {
                severity: Severity::Warn,
                event_id: Some(&failed.event_id),
                order_id: Some(&order_id),
                body: format!("{order_id} cancelled: {reason}"),
            },
        );
        process.span().end();
        Ok(())
    }
}

fn post_orders() -> SpanBuilder {
    SpanBuilder::from_name("POST /orders").with_kind(SpanKind::Server).with_attributes([
        KeyValue::new("http.request.method", "POST"),
        KeyValue::new("http.route", "/orders"),
        KeyValue::new("url.path", "/orders"),
        KeyValue::new("url.scheme", "https"),
        KeyValue::new("server.address", "shop.example"),
    ])
}

/// The n-th order. The same seed gives the same orders.
fn order(seed: u64, number: u64, story: Story) -> OrderPlaced {
    let mut random = StdRng::seed_from_u64(seed.wrapping_add(number));
    let n_items = random.random_range(1..=3);
    let items: Vec<Item> = SKUS
        .choose_multiple(&mut random, n_items)
        .map(|(sku, unit_cents)| (sku.to_string(), *unit_cents))
        .collect::<Vec<_>>()
        .into_iter()
        .map(|(sku, unit_cents)| Item { sku, quantity: random.random_range(1..=2), unit_cents })
        .collect();
    let customer = random.random_range(1_000..10_000);
    OrderPlaced {
        order_id: order_id(seed, number),
        customer: Customer {
            id: format!("customer-{customer}"),
            email: format!("customer-{customer}@mail.example"),
            city: CITIES[random.random_range(0..CITIES.len())].to_owned(),
        },
        total_cents: items.iter().map(|item| u64::from(item.quantity) * item.unit_cents).sum(),
        items,
        currency: "EUR".into(),
        card: story.card().to_owned(),
    }
}

/// Runs with other seeds start at other numbers, so that a second run on kept data doesn't repeat the first one's ids.
pub(crate) fn order_id(seed: u64, number: u64) -> String {
    format!("order-{}", 10_000 + seed % 80_000 + number)
}

fn euros(cents: u64) -> String {
    format!("{}.{:02} EUR", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_places_the_same_orders() {
        assert_eq!(order(38_213, 7, Story::Fulfilled), order(38_213, 7, Story::Fulfilled));
        assert_ne!(order(38_213, 7, Story::Fulfilled).customer, order(38_214, 7, Story::Fulfilled).customer);
        assert_eq!(order(38_213, 0, Story::Fulfilled).order_id, "order-48213");
    }

    #[test]
    fn a_total_is_the_sum_of_its_items() {
        for number in 0..100 {
            let order = order(1, number, Story::Fulfilled);
            let total: u64 = order.items.iter().map(|item| u64::from(item.quantity) * item.unit_cents).sum();
            assert_eq!(order.total_cents, total);
            assert!((1..=3).contains(&order.items.len()), "{}", order.items.len());
        }
        assert_eq!(euros(12_905), "129.05 EUR");
    }
}
