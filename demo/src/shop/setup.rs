//! What a service is given to start with, and what it gives back.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use opentelemetry::{
    Context,
    trace::{SpanBuilder, TraceContextExt},
};
use parking_lot::Mutex;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    ShopConfig, billing, connection, inbox::Inbox, inventory, messaging::Names, outage::Outage, outbox::Outbox,
    read_model, shipping, telemetry::Telemetry,
};
use crate::DemoError;

/// The rate at which the shop's work takes the time that its sources say; above, it takes less, so that it keeps up.
const ORDERS_PER_S_AT_EASE: f64 = 5.0;

/// What all services have in common.
pub(crate) struct Setup {
    pub(crate) config: ShopConfig,
    pub(crate) kafka: Arc<Outage>,
    pub(crate) collector: Arc<Outage>,
    pub(crate) memory: Memory,
    /// Turns true when every service listens; until then nobody places orders.
    pub(crate) opened: watch::Receiver<bool>,
}

/// What the services would keep in their databases: it survives that a service is stopped and started.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) orders_placed: Arc<AtomicU64>,
    pub(crate) charged: Arc<Mutex<billing::Charged>>,
    pub(crate) stock: Arc<Mutex<inventory::Stock>>,
    pub(crate) pairs: Arc<Mutex<shipping::Pairs>>,
    pub(crate) view: Arc<Mutex<read_model::View>>,
}

/// A service that has started.
pub(crate) struct Running {
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
    /// One for each of its consumers.
    pub(crate) assigned: Vec<watch::Receiver<bool>>,
}

/// A service's own telemetry and producer.
pub(crate) struct Desk {
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) outbox: Outbox,
    haste: f64,
}

impl Setup {
    pub(crate) fn desk(&self, service: &'static str, names: Names) -> Result<Desk, DemoError> {
        let telemetry = Arc::new(Telemetry::start(service, &self.config.otlp, &self.collector)?);
        let outbox = Outbox::open(&self.config.brokers, &telemetry, names, &self.kafka)?;
        let haste = (self.config.orders_per_s / ORDERS_PER_S_AT_EASE).max(1.0);
        Ok(Desk { telemetry, outbox, haste })
    }

    pub(crate) fn inbox(&self, group: &'static str, member: &str, topics: &[&str]) -> Result<Inbox, DemoError> {
        Inbox::join(&self.config.brokers, group, member, topics, &self.kafka)
    }

    /// The settings of a producer that belongs to no service.
    pub(crate) fn client(&self, client_id: &str) -> rdkafka::ClientConfig {
        connection::settings(&self.config.brokers, client_id)
    }
}

impl Desk {
    /// Does a piece of work that takes a while, as a span below `parent`, which has ended when this returns.
    pub(crate) async fn work(&self, parent: &Context, span: SpanBuilder, takes: Duration) {
        self.begin(parent, span, takes).await.span().end();
    }

    /// The same, but the span is still open, for the outcome to be written on it.
    pub(crate) async fn begin(&self, parent: &Context, span: SpanBuilder, takes: Duration) -> Context {
        let context = self.telemetry.span(span, parent);
        tokio::time::sleep(takes.div_f64(self.haste)).await;
        context
    }

    /// Sends what is left, and disconnects.
    pub(crate) async fn close(self) {
        self.outbox.close().await;
        self.telemetry.close().await;
    }
}
