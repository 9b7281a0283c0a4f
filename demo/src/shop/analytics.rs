//! analytics: works on each order for longer than it takes until the next one comes, so it falls behind for ever.

use std::time::Duration;

use opentelemetry::{logs::Severity, trace::TraceContextExt};
use tokio_util::sync::CancellationToken;

use super::{
    inbox::React,
    messaging::Names,
    record::Record,
    setup::{Desk, Running, Setup},
    telemetry::Line,
    topic,
};
use crate::DemoError;

pub(crate) const SERVICE: &str = "analytics";
const NAMES: Names = Names::Current;

/// The share of the orders that it manages. At 5 orders a second it falls behind by 2 records a second; the mock
/// cluster's 5 MiB a partition hold some hours of that.
const KEEPS_UP_WITH: f64 = 0.6;

/// How many records it handles between two lines in its log.
const LOG_EVERY: u64 = 10;

/// Starts the service.
pub(crate) fn start(setup: &Setup) -> Result<Running, DemoError> {
    let stop = CancellationToken::new();
    let desk = setup.desk(SERVICE, NAMES)?;
    let inbox = setup.inbox(SERVICE, "analytics-1", &[topic::ORDER_PLACED])?;
    let assigned = vec![inbox.assigned()];
    let takes = Duration::from_secs_f64(1.0 / (KEEPS_UP_WITH * setup.config.orders_per_s));
    let token = stop.clone();
    let task = tokio::spawn(async move {
        let mut counting = Counting { desk, takes, counted: 0 };
        inbox.consume(&mut counting, &token).await;
        counting.desk.close().await;
    });
    Ok(Running { stop, task, assigned })
}

/// Counts orders, thoroughly.
struct Counting {
    desk: Desk,
    takes: Duration,
    counted: u64,
}

impl React for &mut Counting {
    async fn react(&mut self, record: &Record) -> Result<(), DemoError> {
        let process = self.desk.telemetry.span(NAMES.process(record, SERVICE), &record.creation_context());
        tokio::time::sleep(self.takes).await;
        self.counted += 1;
        if self.counted.is_multiple_of(LOG_EVERY) {
            let body = format!("cohorts recalculated over {} orders", self.counted);
            let line = Line { severity: Severity::Info, event_id: None, order_id: record.key.as_deref(), body };
            self.desk.telemetry.log(&process, line);
        }
        process.span().end();
        Ok(())
    }
}
