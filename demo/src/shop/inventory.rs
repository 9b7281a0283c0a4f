//! inventory: reserves the stock of each order once, and releases it when the payment fails.
//!
//! Its instrumentation is an old one: it writes the messaging attributes of 2023. What it can't read it sets aside in
//! the dead-letter topic at once, as Spring's plain recoverer does.

use std::{sync::Arc, time::Duration};

use opentelemetry::{
    Context, KeyValue,
    logs::Severity,
    trace::{SpanBuilder, SpanKind, TraceContextExt},
};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    event::{Event, OrderPlaced, PaymentFailed, StockReleased, StockReserved},
    inbox::React,
    messaging::Names,
    outbox::Outgoing,
    recent::Recent,
    record::Record,
    setup::{Desk, Running, Setup},
    spring::{self, Failure},
    telemetry::{self, Line},
    topic,
};
use crate::DemoError;

pub(crate) const SERVICE: &str = "inventory";
const NAMES: Names = Names::Old;
const CALLED_OFF: &str = "payment failed";

/// What is reserved for whom.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    handled: Recent<String, ()>,
    reservations: Recent<String, String>,
    /// Orders whose payment failed before their stock was reserved.
    called_off: Recent<String, ()>,
}

impl Stock {
    /// Whether this very event was handled before: reserving again would take the goods off the shelf twice.
    fn has_handled(&self, event_id: &String) -> bool {
        self.handled.contains(event_id)
    }

    fn reserve(&mut self, event_id: String, order_id: String, reservation_id: String) {
        self.handled.insert(event_id, ());
        self.reservations.insert(order_id, reservation_id);
    }

    /// What to release now that the order is called off. Where nothing is reserved yet, that is kept in mind.
    fn call_off(&mut self, order_id: &String) -> Option<String> {
        let reservation_id = self.reservations.get(order_id).cloned();
        if reservation_id.is_none() {
            self.called_off.insert(order_id.clone(), ());
        }
        reservation_id
    }

    fn is_called_off(&self, order_id: &String) -> bool {
        self.called_off.contains(order_id)
    }

    fn release(&mut self, order_id: &String) {
        self.reservations.remove(order_id);
        self.called_off.remove(order_id);
    }
}

/// Starts the service.
pub(crate) fn start(setup: &Setup) -> Result<Running, DemoError> {
    let stop = CancellationToken::new();
    let desk = Arc::new(setup.desk(SERVICE, NAMES)?);
    let inbox = setup.inbox(SERVICE, "inventory-1", &[topic::ORDER_PLACED, topic::PAYMENT_FAILED])?;
    let assigned = vec![inbox.assigned()];
    let keeping = Keeping { desk: Arc::clone(&desk), stock: Arc::clone(&setup.memory.stock) };
    let token = stop.clone();
    let task = tokio::spawn(async move {
        inbox.consume(keeping, &token).await;
        if let Some(desk) = Arc::into_inner(desk) {
            desk.close().await;
        }
    });
    Ok(Running { stop, task, assigned })
}

/// Keeps the stock.
struct Keeping {
    desk: Arc<Desk>,
    stock: Arc<Mutex<Stock>>,
}

impl React for Keeping {
    async fn react(&mut self, record: &Record) -> Result<(), DemoError> {
        let process = self.desk.telemetry.span(NAMES.process(record, SERVICE), &record.creation_context());
        let handled = if record.topic == topic::PAYMENT_FAILED {
            match record.read::<Event<PaymentFailed>>() {
                Ok(failed) => self.compensate(&process, &failed).await,
                Err(error) => self.set_aside(&process, record, &error).await,
            }
        } else {
            match record.read::<Event<OrderPlaced>>() {
                Ok(placed) => self.reserve(&process, &placed).await,
                Err(error) => self.set_aside(&process, record, &error).await,
            }
        };
        process.span().end();
        handled
    }
}

impl Keeping {
    async fn reserve(&self, process: &Context, placed: &Event<OrderPlaced>) -> Result<(), DemoError> {
        let order = &placed.data;
        let order_id = &order.order_id;
        if self.stock.lock().has_handled(&placed.event_id) {
            self.log(process, Severity::Info, placed, format!("{order_id} is reserved already, ignored"));
            return Ok(());
        }
        self.desk.work(process, update_stock(), Duration::from_millis(8)).await;
        let reservation_id = format!("res-{}", &placed.event_id[24..]);
        let reserved = StockReserved {
            order_id: order_id.clone(),
            reservation_id: reservation_id.clone(),
            warehouse: warehouse(&order.customer.city).into(),
            quantity: order.items.iter().map(|item| item.quantity).sum(),
        };
        self.desk.outbox.publish(process, reserved).await?;
        self.stock.lock().reserve(placed.event_id.clone(), order_id.clone(), reservation_id.clone());
        self.log(process, Severity::Info, placed, format!("{order_id} reserved as {reservation_id}"));
        if self.stock.lock().is_called_off(order_id) {
            self.release(process, order_id, reservation_id).await?;
        }
        Ok(())
    }

    async fn compensate(&self, process: &Context, failed: &Event<PaymentFailed>) -> Result<(), DemoError> {
        let order_id = &failed.data.order_id;
        let reservation_id = self.stock.lock().call_off(order_id);
        let Some(reservation_id) = reservation_id else {
            self.log(process, Severity::Info, failed, format!("{order_id} was never reserved"));
            return Ok(());
        };
        self.desk.work(process, update_stock(), Duration::from_millis(8)).await;
        self.release(process, order_id, reservation_id).await?;
        self.log(process, Severity::Warn, failed, format!("{order_id} released: {CALLED_OFF}"));
        Ok(())
    }

    async fn release(&self, process: &Context, order_id: &String, reservation_id: String) -> Result<(), DemoError> {
        let released = StockReleased { order_id: order_id.clone(), reservation_id, reason: CALLED_OFF.into() };
        self.desk.outbox.publish(process, released).await?;
        self.stock.lock().release(order_id);
        Ok(())
    }

    /// What can't be read will not become readable: it goes to the dead-letter topic without a retry.
    async fn set_aside(&self, process: &Context, record: &Record, error: &DemoError) -> Result<(), DemoError> {
        let failure = Failure {
            class: "org.springframework.kafka.support.serializer.DeserializationException",
            message: "failed to deserialize".into(),
            frames: &[
                "org.springframework.kafka.support.serializer.SerializationUtils.deserializationException(SerializationUtils.java:158)",
                "org.springframework.kafka.support.serializer.ErrorHandlingDeserializer.deserialize(ErrorHandlingDeserializer.java:218)",
            ],
        };
        let copy = Outgoing {
            topic: topic::ORDER_PLACED_DLT,
            partition: Some(record.partition),
            key: record.key.clone(),
            payload: record.payload.clone(),
            headers: spring::dead_letter(record, &failure, SERVICE),
        };
        self.desk.outbox.forward(process, copy).await?;
        telemetry::fail(process, "unreadable", error.to_string());
        let body = format!("{error}; set aside in {}", topic::ORDER_PLACED_DLT);
        let line = Line { severity: Severity::Error, event_id: None, order_id: record.key.as_deref(), body };
        self.desk.telemetry.log(process, line);
        Ok(())
    }

    fn log<F>(&self, process: &Context, severity: Severity, event: &Event<F>, body: String) {
        let line = Line { severity, event_id: Some(&event.event_id), order_id: None, body };
        self.desk.telemetry.log(process, line);
    }
}

fn update_stock() -> SpanBuilder {
    SpanBuilder::from_name("UPDATE stock").with_kind(SpanKind::Client).with_attributes([
        KeyValue::new("db.system", "postgresql"),
        KeyValue::new("db.operation", "UPDATE"),
        KeyValue::new("db.sql.table", "stock"),
    ])
}

/// The nearest warehouse, by the length of the city's name: the shop's logistics are what they are.
fn warehouse(city: &str) -> &'static str {
    if city.len().is_multiple_of(2) { "WH-NORTH" } else { "WH-SOUTH" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_event_reserves_once() {
        let mut stock = Stock::default();
        assert!(!stock.has_handled(&"event-1".into()));
        stock.reserve("event-1".into(), "order-1".into(), "res-1".into());
        assert!(stock.has_handled(&"event-1".into()));
    }

    #[test]
    fn a_failed_payment_releases_what_was_reserved() {
        let mut stock = Stock::default();
        stock.reserve("event-1".into(), "order-1".into(), "res-1".into());
        assert_eq!(stock.call_off(&"order-1".into()), Some("res-1".into()));
        stock.release(&"order-1".into());
        assert_eq!(stock.call_off(&"order-1".into()), None);
    }

    #[test]
    fn a_payment_that_fails_before_the_reservation_releases_it_later() {
        let mut stock = Stock::default();
        assert_eq!(stock.call_off(&"order-1".into()), None);
        stock.reserve("event-1".into(), "order-1".into(), "res-1".into());
        assert!(stock.is_called_off(&"order-1".into()));
        stock.release(&"order-1".into());
        assert!(!stock.is_called_off(&"order-1".into()));
    }

    #[test]
    fn a_release_that_could_not_be_said_is_tried_again() {
        let mut stock = Stock::default();
        stock.reserve("event-1".into(), "order-1".into(), "res-1".into());
        let first = stock.call_off(&"order-1".into());
        assert_eq!(stock.call_off(&"order-1".into()), first);
    }
}
