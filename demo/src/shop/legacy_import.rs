//! The old import job: writes orders to `order.placed` in its own way, without headers, and sometimes cuts one off.

use std::time::Duration;

use rdkafka::producer::{FutureProducer, Producer};

use super::{connection::Connection, outbox, outbox::Outgoing, record::Headers, setup::Setup, shop_api, topic};
use crate::DemoError;

/// A producer that knows neither event metadata nor tracing.
pub(crate) struct LegacyImport {
    producer: FutureProducer<Connection>,
    seed: u64,
}

impl LegacyImport {
    pub(crate) fn open(setup: &Setup) -> Result<LegacyImport, DemoError> {
        let producer = setup
            .client("legacy-import")
            .set("message.timeout.ms", "5000")
            .create_with_context(Connection::new(&setup.kafka))
            .map_err(|source| DemoError::Client {
                service: "legacy-import".into(),
                doing: "make a producer",
                source,
            })?;
        Ok(LegacyImport { producer, seed: setup.config.seed })
    }

    /// Writes the n-th order once more, cut off in the middle and in an encoding of its own: a poison message.
    pub(crate) async fn write_order(&self, number: u64) {
        let order_id = shop_api::order_id(self.seed, number);
        let mut payload =
            format!("{{\"order\":\"{order_id}\",\"lines\":[{{\"sku\":\"MUG-SET-4\",\"qty\":1}},{{\"note\":\"f")
                .into_bytes();
        payload.push(0xfc); // "ü" in Latin-1, which is no UTF-8
        payload.extend_from_slice(b"r Oma");
        let record = Outgoing {
            topic: topic::ORDER_PLACED,
            partition: None,
            key: Some(order_id),
            payload,
            headers: Headers::default(),
        };
        if let Err(error) = outbox::deliver(&self.producer, &record).await {
            tracing::debug!("the import job could not write: {error}");
        }
    }

    pub(crate) async fn close(self) {
        let close = move || drop(self.producer.flush(Duration::from_secs(1)));
        let _ = tokio::task::spawn_blocking(close).await;
    }
}
