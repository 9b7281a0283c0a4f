//! billing: charges the card of each order. What times out is tried again over a retry topic, and given up in the end.
//!
//! Its group has two members: one reads the orders, the other the retries, which it holds back until they are due.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use opentelemetry::{
    Context, KeyValue,
    logs::Severity,
    trace::{SpanBuilder, SpanKind, TraceContextExt},
};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    event::{Event, OrderPlaced, PaymentAuthorized, PaymentFailed},
    gateway::{self, Answer, Step},
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

pub(crate) const SERVICE: &str = "billing";
const NAMES: Names = Names::Current;

/// The ids of the events that billing has dealt with, whatever came of it.
pub(crate) type Charged = Recent<String, ()>;

/// Starts the service.
pub(crate) fn start(setup: &Setup) -> Result<Running, DemoError> {
    let stop = CancellationToken::new();
    let desk = Arc::new(setup.desk(SERVICE, NAMES)?);
    let orders = setup.inbox(SERVICE, "billing-1", &[topic::ORDER_PLACED])?;
    let retries = setup.inbox(SERVICE, "billing-retry-1", &[topic::ORDER_PLACED_RETRY])?;
    let assigned = vec![orders.assigned(), retries.assigned()];
    let charging = Charging { desk: Arc::clone(&desk), charged: Arc::clone(&setup.memory.charged) };
    let charging_again = Charging { desk: Arc::clone(&desk), charged: Arc::clone(&setup.memory.charged) };
    let token = stop.clone();
    let task = tokio::spawn(async move {
        tokio::join!(orders.consume(charging, &token), retries.consume(charging_again, &token));
        if let Some(desk) = Arc::into_inner(desk) {
            desk.close().await;
        }
    });
    Ok(Running { stop, task, assigned })
}

/// Charges what an order costs.
struct Charging {
    desk: Arc<Desk>,
    charged: Arc<Mutex<Charged>>,
}

impl React for Charging {
    fn not_before(&self, record: &Record) -> Option<SystemTime> {
        let due_ms = u64::try_from(spring::not_before_ms(record)?).ok()?;
        Some(UNIX_EPOCH + Duration::from_millis(due_ms))
    }

    async fn react(&mut self, record: &Record) -> Result<(), DemoError> {
        let process = self.desk.telemetry.span(NAMES.process(record, SERVICE), &record.creation_context());
        let placed = match record.read::<Event<OrderPlaced>>() {
            Ok(placed) => placed,
            Err(error) => {
                telemetry::fail(&process, "unreadable", error.to_string());
                self.log(&process, Severity::Warn, None, format!("{error}; skipped"));
                return Ok(());
            }
        };
        let attempt = spring::attempt(record);
        let first_attempt = attempt == 1;
        if first_attempt && self.charged.lock().contains(&placed.event_id) {
            self.log(&process, Severity::Info, Some(&placed), "charged before, ignored".into());
            return Ok(());
        }
        let answer = self.charge(&process, &placed.data, attempt).await;
        match gateway::after(answer, attempt) {
            Step::Authorize => self.authorize(&process, &placed, attempt).await?,
            Step::Fail => self.refuse(&process, &placed).await?,
            Step::RetryAfter(backoff) => self.retry(&process, record, &placed, backoff).await?,
            Step::GiveUp => self.give_up(&process, record, &placed).await?,
        }
        self.charged.lock().insert(placed.event_id, ());
        process.span().end();
        Ok(())
    }
}

impl Charging {
    async fn charge(&self, process: &Context, order: &OrderPlaced, attempt: i32) -> Answer {
        let answer = gateway::answer(&order.card, attempt);
        let span = SpanBuilder::from_name("charge card").with_kind(SpanKind::Client).with_attributes([
            KeyValue::new("http.request.method", "POST"),
            KeyValue::new("url.full", "https://gateway.example/v1/charges"),
            KeyValue::new("server.address", "gateway.example"),
            KeyValue::new("payment.attempt", i64::from(attempt)),
        ]);
        let charge = self.desk.begin(process, span, gateway::patience(answer)).await;
        match answer {
            Answer::Authorized => charge.span().set_attribute(KeyValue::new("http.response.status_code", 201)),
            Answer::Declined => charge.span().set_attribute(KeyValue::new("http.response.status_code", 402)),
            Answer::TimedOut => telemetry::fail(&charge, "timeout", no_answer().message),
        }
        charge.span().end();
        answer
    }

    async fn authorize(&self, process: &Context, placed: &Event<OrderPlaced>, attempt: i32) -> Result<(), DemoError> {
        let order = &placed.data;
        let authorized = PaymentAuthorized {
            order_id: order.order_id.clone(),
            authorization_id: format!("auth-{}", &placed.event_id[24..]),
            amount_cents: order.total_cents,
            currency: order.currency.clone(),
            attempt,
        };
        self.desk.outbox.publish(process, authorized).await?;
        self.log(process, Severity::Info, Some(placed), format!("authorized at attempt {attempt}"));
        Ok(())
    }

    async fn refuse(&self, process: &Context, placed: &Event<OrderPlaced>) -> Result<(), DemoError> {
        let order = &placed.data;
        let failed = PaymentFailed {
            order_id: order.order_id.clone(),
            amount_cents: order.total_cents,
            reason: "card declined".into(),
        };
        self.desk.outbox.publish(process, failed).await?;
        self.log(process, Severity::Warn, Some(placed), "card declined".into());
        Ok(())
    }

    async fn retry(
        &self,
        process: &Context,
        record: &Record,
        placed: &Event<OrderPlaced>,
        backoff: Duration,
    ) -> Result<(), DemoError> {
        let failure = no_answer();
        let due_ms = now_ms() + i64::try_from(backoff.as_millis()).unwrap_or(i64::MAX);
        self.forward(process, topic::ORDER_PLACED_RETRY, record, &failure, due_ms).await?;
        let seconds = backoff.as_secs();
        self.log(process, Severity::Warn, Some(placed), format!("{}; again in {seconds} s", failure.message));
        telemetry::fail(process, "timeout", failure.message);
        Ok(())
    }

    async fn give_up(&self, process: &Context, record: &Record, placed: &Event<OrderPlaced>) -> Result<(), DemoError> {
        let failure = no_answer();
        self.forward(process, topic::ORDER_PLACED_DLT, record, &failure, now_ms()).await?;
        let attempts = gateway::ATTEMPTS_MAX;
        self.log(
            process,
            Severity::Error,
            Some(placed),
            format!("given up after {attempts} attempts: {}", failure.message),
        );
        telemetry::fail(process, "timeout", failure.message);
        Ok(())
    }

    /// Sends the record on, to the partition with the same number, as Spring does.
    async fn forward(
        &self,
        process: &Context,
        topic: &'static str,
        record: &Record,
        failure: &Failure,
        not_before_ms: i64,
    ) -> Result<(), DemoError> {
        let copy = Outgoing {
            topic,
            partition: Some(record.partition),
            key: record.key.clone(),
            payload: record.payload.clone(),
            headers: spring::forwarded(record, failure, SERVICE, not_before_ms),
        };
        self.desk.outbox.forward(process, copy).await
    }

    fn log(&self, process: &Context, severity: Severity, placed: Option<&Event<OrderPlaced>>, what: String) {
        let order_id = placed.map(|placed| placed.data.order_id.as_str());
        self.desk.telemetry.log(
            process,
            Line {
                severity,
                event_id: placed.map(|placed| placed.event_id.as_str()),
                order_id,
                body: match order_id {
                    Some(order_id) => format!("payment of {order_id}: {what}"),
                    None => what,
                },
            },
        );
    }
}

fn no_answer() -> Failure {
    Failure {
        class: "shop.billing.GatewayTimeoutException",
        message: "no answer from gateway.example within 200 ms".into(),
        frames: &[
            "shop.billing.GatewayClient.charge(GatewayClient.java:87)",
            "shop.billing.PaymentListener.onOrderPlaced(PaymentListener.java:41)",
        ],
    }
}

fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
