//! read-model: keeps the page "my orders" up to date, and has forgotten to pass the trace context on.
//!
//! Each of its spans starts a trace of its own, with neither parent nor link: only the position of the record tells
//! what it belongs to. It doesn't look at event ids either, so an event that comes twice is counted twice.

use std::{sync::Arc, time::Duration};

use opentelemetry::{Context, logs::Severity, trace::TraceContextExt};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    inbox::React,
    messaging::Names,
    recent::Recent,
    record::Record,
    setup::{Desk, Running, Setup},
    telemetry::{self, Line},
    topic,
};
use crate::DemoError;

pub(crate) const SERVICE: &str = "read-model";
const NAMES: Names = Names::Current;

/// How long it takes to write a row.
const ROW_TAKES: Duration = Duration::from_millis(3);

/// How many changes each order's row has seen.
pub(crate) type View = Recent<String, u32>;

/// Starts the service.
pub(crate) fn start(setup: &Setup) -> Result<Running, DemoError> {
    let stop = CancellationToken::new();
    let desk = Arc::new(setup.desk(SERVICE, NAMES)?);
    let topics = [topic::ORDER_PLACED, topic::PAYMENT_AUTHORIZED, topic::PARCEL_PLANNED, topic::ORDER_CANCELLED];
    let inbox = setup.inbox(SERVICE, "read-model-1", &topics)?;
    let assigned = vec![inbox.assigned()];
    let projecting = Projecting { desk: Arc::clone(&desk), view: Arc::clone(&setup.memory.view) };
    let token = stop.clone();
    let task = tokio::spawn(async move {
        inbox.consume(projecting, &token).await;
        if let Some(desk) = Arc::into_inner(desk) {
            desk.close().await;
        }
    });
    Ok(Running { stop, task, assigned })
}

/// Turns events into rows.
struct Projecting {
    desk: Arc<Desk>,
    view: Arc<Mutex<View>>,
}

impl React for Projecting {
    async fn react(&mut self, record: &Record) -> Result<(), DemoError> {
        // Here the creation context should be the parent.
        let process = self.desk.telemetry.span(NAMES.process(record, SERVICE), &Context::new());
        let order_id = record.key.clone().unwrap_or_default();
        let (severity, body) = match record.read::<serde_json::Value>() {
            Ok(_) => {
                tokio::time::sleep(ROW_TAKES).await;
                let mut view = self.view.lock();
                let changes = view.entry(order_id.clone(), || 0);
                *changes += 1;
                (Severity::Info, format!("order_view: {order_id} has {changes} changes"))
            }
            Err(error) => {
                telemetry::fail(&process, "unreadable", error.to_string());
                (Severity::Warn, format!("{error}; skipped"))
            }
        };
        self.desk.telemetry.log(&process, Line { severity, event_id: None, order_id: Some(&order_id), body });
        process.span().end();
        Ok(())
    }
}
