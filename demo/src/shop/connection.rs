//! What every Kafka client of the shop has in common: its settings, and what it says when brokers come and go.

use std::sync::Arc;

use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, ConsumerContext, Rebalance},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::sync::watch;
use tracing::debug;

use super::outage::Outage;

/// The settings that each client starts from.
pub(crate) fn settings(brokers: &str, client_id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("client.id", client_id)
        // A broker that restarts should be found again while a person still watches; the default goes up to 10 s.
        .set("reconnect.backoff.max.ms", "2000")
        .set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// Listens to a client: tells an outage once, and whether its group has given it partitions.
#[derive(Debug)]
pub(crate) struct Connection {
    outage: Arc<Outage>,
    assigned: watch::Sender<bool>,
}

impl Connection {
    pub(crate) fn new(outage: &Arc<Outage>) -> Connection {
        Connection { outage: Arc::clone(outage), assigned: watch::Sender::new(false) }
    }

    /// Turns true when the group has given this client partitions to read.
    pub(crate) fn assigned(&self) -> watch::Receiver<bool> {
        self.assigned.subscribe()
    }
}

impl ClientContext for Connection {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        debug!("librdkafka {facility}: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.outage.failed(&reason);
        } else {
            debug!("librdkafka {error}: {reason}");
        }
    }
}

impl ConsumerContext for Connection {
    fn post_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(_) => {
                self.outage.worked();
                self.assigned.send_replace(true)
            }
            Rebalance::Revoke(_) => self.assigned.send_replace(false),
            Rebalance::Error(_) => false,
        };
    }
}
