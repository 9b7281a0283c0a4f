//! shipping: waits until an order's stock is reserved and its payment authorized, in either order, and plans a parcel.
//!
//! It reads in batches, so its traces are its own: one poll span links to the creation of every record of the batch,
//! and each process span links to the creation of its record.

use std::{sync::Arc, time::Duration};

use opentelemetry::{
    Context, KeyValue,
    logs::Severity,
    trace::{Link, SpanBuilder, SpanKind, TraceContextExt},
};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    event::{Event, ParcelPlanned, PaymentAuthorized, StockReserved},
    inbox::{Inbox, chain, pause},
    messaging::{self, Names},
    recent::Recent,
    record::Record,
    setup::{Desk, Running, Setup},
    telemetry::Line,
    topic,
};
use crate::DemoError;

pub(crate) const SERVICE: &str = "shipping";
const NAMES: Names = Names::Current;

/// How many records one poll brings at most; also the number of links of a poll span.
const BATCH_MAX: usize = 50;

/// How long a poll gathers records. At 5 orders a second a batch then holds two or three, of several orders.
const BATCH_LINGER: Duration = Duration::from_millis(300);

/// What shipping knows of an order.
#[derive(Debug, Default, Clone, PartialEq)]
struct Pair {
    warehouse: Option<String>,
    is_paid: bool,
    is_planned: bool,
}

/// The orders that wait for their other half.
#[derive(Debug, Default)]
pub(crate) struct Pairs(Recent<String, Pair>);

impl Pairs {
    /// The stock is reserved. Returns the warehouse to ship from, if the order is complete now.
    fn reserved(&mut self, order_id: &str, warehouse: &str) -> Option<String> {
        let pair = self.0.entry(order_id.to_owned(), Pair::default);
        pair.warehouse = Some(warehouse.to_owned());
        complete(pair)
    }

    /// The payment is authorized. Returns the warehouse to ship from, if the order is complete now.
    fn paid(&mut self, order_id: &str) -> Option<String> {
        let pair = self.0.entry(order_id.to_owned(), Pair::default);
        pair.is_paid = true;
        complete(pair)
    }

    /// The parcel is planned: however often the halves come again, there won't be another.
    fn planned(&mut self, order_id: &str) {
        self.0.entry(order_id.to_owned(), Pair::default).is_planned = true;
    }
}

fn complete(pair: &Pair) -> Option<String> {
    if pair.is_paid && !pair.is_planned { pair.warehouse.clone() } else { None }
}

/// Starts the service.
pub(crate) fn start(setup: &Setup) -> Result<Running, DemoError> {
    let stop = CancellationToken::new();
    let desk = setup.desk(SERVICE, NAMES)?;
    let inbox = setup.inbox(SERVICE, "shipping-1", &[topic::STOCK_RESERVED, topic::PAYMENT_AUTHORIZED])?;
    let assigned = vec![inbox.assigned()];
    let planning = Planning { desk, pairs: Arc::clone(&setup.memory.pairs) };
    let token = stop.clone();
    let task = tokio::spawn(async move {
        planning.run(&inbox, &token).await;
        inbox.leave().await;
        planning.desk.close().await;
    });
    Ok(Running { stop, task, assigned })
}

/// Plans parcels.
struct Planning {
    desk: Desk,
    pairs: Arc<Mutex<Pairs>>,
}

impl Planning {
    async fn run(&self, inbox: &Inbox, stop: &CancellationToken) {
        loop {
            let batch = inbox.receive_batch(BATCH_MAX, BATCH_LINGER, stop).await;
            if batch.is_empty() {
                return;
            }
            for topic in [topic::STOCK_RESERVED, topic::PAYMENT_AUTHORIZED] {
                let records: Vec<&Record> = batch.iter().filter(|record| record.topic == topic).collect();
                if records.is_empty() {
                    continue;
                }
                let links = records.iter().filter_map(|record| creation_link(record)).collect();
                let poll = messaging::poll(topic, inbox.group, links, records.len());
                let poll = self.desk.telemetry.span(poll, &Context::new());
                for record in records {
                    while let Err(error) = self.plan(&poll, record).await {
                        tracing::info!(group = inbox.group, "will handle {topic} again: {}", chain(&error));
                        if !pause(Duration::from_secs(1), stop).await {
                            return;
                        }
                    }
                    inbox.handled(record);
                }
                poll.span().end();
            }
        }
    }

    async fn plan(&self, poll: &Context, record: &Record) -> Result<(), DemoError> {
        let process = NAMES.process(record, SERVICE).with_links(creation_link(record).into_iter().collect());
        let process = self.desk.telemetry.span(process, poll);
        let Some((event_id, order_id, complete)) = self.note(record) else {
            return Ok(());
        };
        let Some(warehouse) = complete else {
            let body = format!("{order_id}: {} noted", record.topic);
            self.log(&process, Severity::Debug, &event_id, &order_id, body);
            return Ok(());
        };
        let route = SpanBuilder::from_name("plan route").with_kind(SpanKind::Internal).with_attributes([
            KeyValue::new("shipping.warehouse", warehouse.clone()),
            KeyValue::new("shipping.carrier", "Marée Express"),
        ]);
        self.desk.work(&process, route, Duration::from_millis(12)).await;
        let planned = ParcelPlanned {
            order_id: order_id.clone(),
            parcel_id: format!("parcel-{}", &event_id[24..]),
            carrier: "Marée Express".into(),
            warehouse,
        };
        let published = self.desk.outbox.publish(&process, planned).await?;
        self.pairs.lock().planned(&order_id);
        let body = format!("{order_id} leaves as {}", published.event.data.parcel_id);
        self.log(&process, Severity::Info, &event_id, &order_id, body);
        process.span().end();
        Ok(())
    }

    /// Keeps this half of an order in mind: event id, order id, and the warehouse to ship from if it was the last half.
    /// `None` for what can't be read.
    fn note(&self, record: &Record) -> Option<(String, String, Option<String>)> {
        if record.topic == topic::STOCK_RESERVED {
            let Event { event_id, data, .. } = record.read::<Event<StockReserved>>().ok()?;
            let complete = self.pairs.lock().reserved(&data.order_id, &data.warehouse);
            Some((event_id, data.order_id, complete))
        } else {
            let Event { event_id, data, .. } = record.read::<Event<PaymentAuthorized>>().ok()?;
            let complete = self.pairs.lock().paid(&data.order_id);
            Some((event_id, data.order_id, complete))
        }
    }

    fn log(&self, process: &Context, severity: Severity, event_id: &str, order_id: &str, body: String) {
        let line = Line { severity, event_id: Some(event_id), order_id: Some(order_id), body };
        self.desk.telemetry.log(process, line);
    }
}

/// A link to the span that created the record, where its producer told.
fn creation_link(record: &Record) -> Option<Link> {
    let context = record.creation_context();
    let creation = context.span().span_context().clone();
    creation.is_valid().then(|| Link::new(creation, NAMES.landed(record.partition, record.offset).to_vec(), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parcel_waits_for_both_halves_in_either_order() {
        let mut pairs = Pairs::default();
        assert_eq!(pairs.reserved("order-1", "WH-NORTH"), None);
        assert_eq!(pairs.paid("order-1"), Some("WH-NORTH".into()));
        assert_eq!(pairs.paid("order-2"), None);
        assert_eq!(pairs.reserved("order-2", "WH-SOUTH"), Some("WH-SOUTH".into()));
    }

    #[test]
    fn a_half_that_comes_again_plans_no_second_parcel() {
        let mut pairs = Pairs::default();
        pairs.reserved("order-1", "WH-NORTH");
        pairs.paid("order-1");
        pairs.planned("order-1");
        assert_eq!(pairs.paid("order-1"), None);
        assert_eq!(pairs.reserved("order-1", "WH-NORTH"), None);
    }

    #[test]
    fn a_parcel_that_could_not_be_announced_is_planned_again() {
        let mut pairs = Pairs::default();
        pairs.reserved("order-1", "WH-NORTH");
        assert!(pairs.paid("order-1").is_some());
        assert!(pairs.paid("order-1").is_some());
    }
}
