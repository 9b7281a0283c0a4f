//! The shop: six services that tell each other what happened, over Kafka and nothing else.
//!
//! ```text
//! shop-api --order.placed--> inventory --stock.reserved-----> shipping --parcel.planned--> read-model
//!                      `---> billing ----payment.authorized-^
//!                             |  ^`--payment.failed--> inventory --stock.released-->
//!                             |  |                `--> shop-api ---order.cancelled-->
//!                             |  `--order.placed-retry (1 s, then 2 s)
//!                             `--order.placed-dlt, after 3 attempts; inventory puts unreadable records there too
//! ```
//! `read-model` and `analytics` listen besides: the one without trace context, the other too slowly. `shipping` reads
//! in batches and starts traces of its own, with links. A job from before the events writes to `order.placed` as well.
//!
//! What happens to which order is in `story.rs`; what a service does about it, in the file of that service.

mod event; // what is said about it
mod story; // how each order goes
mod topic; // where it is said

mod analytics; // falls behind
mod billing; // charges cards, retries, gives up
mod inventory; // reserves and releases stock, with an old instrumentation
mod legacy_import; // writes what nobody can read
mod read_model; // forgets the trace context
mod shipping; // reads in batches, with links
mod shop_api; // takes and cancels orders

mod gateway; // what the payment gateway answers, and what follows
mod recent; // what a service remembers
mod spring; // retry and dead-letter headers

mod connection; // what all Kafka clients have in common
mod inbox; // consuming
mod messaging; // what spans say about messages
mod outage; // something is down: said once
mod outbox; // producing
mod record; // a consumed record and its headers
mod setup; // what a service starts with
mod telemetry; // a service's own OpenTelemetry SDK

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::sync::{Mutex, watch};
use tracing::{info, warn};

use self::{
    outage::Outage,
    setup::{Memory, Running, Setup},
};
use crate::DemoError;

/// Every topic of the shop.
pub const TOPICS: [&str; 9] = [
    topic::ORDER_PLACED,
    topic::ORDER_PLACED_RETRY,
    topic::ORDER_PLACED_DLT,
    topic::ORDER_CANCELLED,
    topic::STOCK_RESERVED,
    topic::STOCK_RELEASED,
    topic::PAYMENT_AUTHORIZED,
    topic::PAYMENT_FAILED,
    topic::PARCEL_PLANNED,
];

/// How many partitions each topic has: enough to see that an order stays on one.
pub const PARTITIONS: i32 = 3;

/// Every service, which is also its `service.name`.
pub const SERVICES: [&str; 6] = [
    shop_api::SERVICE,
    billing::SERVICE,
    inventory::SERVICE,
    shipping::SERVICE,
    read_model::SERVICE,
    analytics::SERVICE,
];

/// Every consumer group. Each service has one, of its own name; `billing` has two members.
pub const GROUPS: [&str; 6] = SERVICES;

/// The most orders a second. An order leaves some 2.5 kB on the topics, 640 bytes of it on `order.placed`: at this rate
/// the embedded broker, with 5 MiB a partition, holds the last eight minutes of that topic, and at 5 a second the last
/// eighty. No journey takes longer than some seconds, but a consumer that falls further behind loses records.
pub const ORDERS_PER_S_MAX: f64 = 50.0;

/// How long the shop waits for its groups to form. The mock cluster takes 3 s, a busy Kafka some more; past this the
/// shop opens all the same, and what is published meanwhile is read later.
const ASSIGNED_TIMEOUT: Duration = Duration::from_secs(15);

/// What a shop is started with.
#[derive(Debug, Clone)]
pub struct ShopConfig {
    /// `bootstrap.servers` of any Kafka.
    pub brokers: String,
    /// An OTLP endpoint that takes gRPC. The shop goes on where it doesn't answer.
    pub otlp: String,
    /// Orders a second, more than 0 and at most [`ORDERS_PER_S_MAX`].
    pub orders_per_s: f64,
    /// Services of [`SERVICES`] that are not started.
    pub without: Vec<String>,
    /// Decides customers, items and the first order's number. The stories are the same for all seeds.
    pub seed: u64,
}

impl Default for ShopConfig {
    /// A local Kafka, a local OTLP endpoint, 5 orders a second, all services.
    fn default() -> ShopConfig {
        ShopConfig {
            brokers: "127.0.0.1:9092".into(),
            otlp: "http://127.0.0.1:4317".into(),
            orders_per_s: 5.0,
            without: Vec::new(),
            seed: 38_213,
        }
    }
}

/// A shop that is open. Must be closed with [`Shop::stop`]: dropping it leaves its services running.
pub struct Shop {
    setup: Setup,
    running: Mutex<HashMap<&'static str, Running>>,
}

impl Shop {
    /// Makes the missing topics, starts the services, waits until each of them listens, and opens: from then on
    /// orders come in, each story in the first seconds. On the mock cluster this takes some 3.5 s, because a new group
    /// waits 3 s for members there.
    ///
    /// Fails where no broker answers, a topic can't be made, or the configuration makes no sense.
    pub async fn start(config: ShopConfig) -> Result<Shop, DemoError> {
        if !(config.orders_per_s > 0.0 && config.orders_per_s <= ORDERS_PER_S_MAX) {
            return Err(DemoError::Rate { orders_per_s: config.orders_per_s, max: ORDERS_PER_S_MAX });
        }
        for name in &config.without {
            known(name)?;
        }
        topic::ensure(&config.brokers).await?;
        let (open, opened) = watch::channel(false);
        let kafka = Outage::watch(format!("the Kafka broker at {}", config.brokers), "the shop's services wait for it");
        let collector = Outage::watch(
            format!("the OTLP endpoint {}", config.otlp),
            "spans and logs are dropped until it does, the shop goes on",
        );
        let without = config.without.clone();
        let setup =
            Setup { config, kafka: Arc::new(kafka), collector: Arc::new(collector), memory: Memory::default(), opened };
        let shop = Shop { setup, running: Mutex::new(HashMap::new()) };
        for name in SERVICES {
            if !without.iter().any(|absent| absent == name)
                && let Err(error) = shop.start_service(name).await
            {
                shop.stop().await;
                return Err(error);
            }
        }
        shop.assigned().await;
        open.send_replace(true);
        Ok(shop)
    }

    /// Starts a service that is stopped; does nothing for one that runs. It goes on where its group has committed.
    pub async fn start_service(&self, name: &str) -> Result<(), DemoError> {
        let name = known(name)?;
        let mut running = self.running.lock().await;
        if running.contains_key(name) {
            return Ok(());
        }
        let started = match name {
            shop_api::SERVICE => shop_api::start(&self.setup),
            billing::SERVICE => billing::start(&self.setup),
            inventory::SERVICE => inventory::start(&self.setup),
            shipping::SERVICE => shipping::start(&self.setup),
            read_model::SERVICE => read_model::start(&self.setup),
            _ => analytics::start(&self.setup),
        }?;
        running.insert(name, started);
        info!(service.name = name, "started {name}");
        Ok(())
    }

    /// Stops a service; does nothing for one that doesn't run. When this returns, it has committed what it handled,
    /// left its group and sent its last spans.
    pub async fn stop_service(&self, name: &str) -> Result<(), DemoError> {
        let name = known(name)?;
        let stopping = self.running.lock().await.remove(name);
        if let Some(stopping) = stopping {
            close(name, stopping).await;
        }
        Ok(())
    }

    /// The services that run, in the order of [`SERVICES`].
    pub async fn running(&self) -> Vec<&'static str> {
        let running = self.running.lock().await;
        SERVICES.into_iter().filter(|name| running.contains_key(name)).collect()
    }

    /// How many orders were placed so far.
    pub fn orders_placed(&self) -> u64 {
        self.setup.memory.orders_placed.load(Ordering::Relaxed)
    }

    /// Stops every service, each as [`Shop::stop_service`] does, all at a time.
    pub async fn stop(&self) {
        let stopping: Vec<_> = self.running.lock().await.drain().collect();
        join_all(stopping.into_iter().map(|(name, running)| close(name, running))).await;
    }

    /// Waits until every consumer has partitions to read, for at most [`ASSIGNED_TIMEOUT`].
    async fn assigned(&self) {
        let assigned: Vec<_> = {
            let running = self.running.lock().await;
            running
                .iter()
                .flat_map(|(name, running)| running.assigned.iter().map(|each| (*name, each.clone())))
                .collect()
        };
        let waiting = assigned.into_iter().map(|(name, mut assigned)| async move {
            let wait = tokio::time::timeout(ASSIGNED_TIMEOUT, assigned.wait_for(|assigned| *assigned));
            if wait.await.is_err() {
                warn!(service.name = name, "{name} has no partitions yet; the shop opens without waiting for it");
            }
        });
        join_all(waiting).await;
    }
}

async fn close(name: &'static str, running: Running) {
    running.stop.cancel();
    if let Err(error) = running.task.await {
        warn!(service.name = name, "{name} ended badly: {error}");
    }
    info!(service.name = name, "stopped {name}");
}

fn known(name: &str) -> Result<&'static str, DemoError> {
    let known = SERVICES.into_iter().find(|service| *service == name);
    known.ok_or_else(|| DemoError::UnknownService { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(config: ShopConfig) -> String {
        match Shop::start(config).await {
            Ok(_) => panic!("the shop should not have started"),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn a_service_that_does_not_exist_is_named_with_those_that_do() {
        let config = ShopConfig { without: vec!["biling".into()], ..ShopConfig::default() };
        assert_eq!(
            refused(config).await,
            "there is no service biling: the shop has shop-api, billing, inventory, shipping, read-model, analytics"
        );
    }

    #[tokio::test]
    async fn a_rate_that_can_not_be_kept_is_refused() {
        for orders_per_s in [0.0, -1.0, 50.1, f64::NAN, f64::INFINITY] {
            let config = ShopConfig { orders_per_s, ..ShopConfig::default() };
            assert!(refused(config).await.ends_with("it takes more than 0 and at most 50"));
        }
    }
}
