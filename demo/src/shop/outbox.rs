//! Where a service publishes: its own producer, a PRODUCER span around every record, the trace context in its headers.

use std::{sync::Arc, time::Duration};

use opentelemetry::{Context, trace::TraceContextExt};
use rdkafka::{
    error::KafkaError,
    producer::{FutureProducer, FutureRecord, Producer},
};

use super::{
    connection::{self, Connection},
    event::{Event, Fact},
    messaging::Names,
    outage::Outage,
    record::Headers,
    telemetry::{self, Telemetry},
};
use crate::DemoError;

/// How long a record may wait for its acknowledgement; after that the service tries again, or says so.
const DELIVERY_TIMEOUT_MS: &str = "5000";

/// How many records a producer holds while the broker is away. The shop publishes one at a time for each record that
/// it consumes, so a full queue means a fault, and publishing fails.
const QUEUE_RECORDS_MAX: &str = "1000";

/// How long a stopping service waits for its last acknowledgements.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// A service's way to tell the others.
pub(crate) struct Outbox {
    producer: FutureProducer<Connection>,
    client_id: String,
    names: Names,
    telemetry: Arc<Telemetry>,
    outage: Arc<Outage>,
}

/// A record to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) topic: &'static str,
    /// `None` leaves it to the key.
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<String>,
    pub(crate) payload: Vec<u8>,
    pub(crate) headers: Headers,
}

/// An event that was acknowledged, and the record that carried it.
pub(crate) struct Published<F> {
    pub(crate) event: Event<F>,
    pub(crate) record: Outgoing,
}

impl Outbox {
    pub(crate) fn open(
        brokers: &str,
        telemetry: &Arc<Telemetry>,
        names: Names,
        outage: &Arc<Outage>,
    ) -> Result<Outbox, DemoError> {
        let service = telemetry.service;
        let client_id = format!("{service}-producer");
        let producer = connection::settings(brokers, &client_id)
            .set("acks", "all")
            .set("linger.ms", "0")
            .set("message.timeout.ms", DELIVERY_TIMEOUT_MS)
            .set("queue.buffering.max.messages", QUEUE_RECORDS_MAX)
            .create_with_context(Connection::new(outage))
            .map_err(|source| DemoError::Client { service: service.into(), doing: "make a producer", source })?;
        Ok(Outbox { producer, client_id, names, telemetry: Arc::clone(telemetry), outage: Arc::clone(outage) })
    }

    /// Says that something has happened, below the span of `parent`.
    pub(crate) async fn publish<F: Fact>(&self, parent: &Context, fact: F) -> Result<Published<F>, DemoError> {
        let key = fact.order_id().to_owned();
        let span = self.telemetry.span(self.names.send(F::TOPIC, Some(&key), &self.client_id), parent);
        let trace_id = span.span().span_context().trace_id().to_string();
        let event = Event::now(self.telemetry.service, trace_id, fact);
        let payload = serde_json::to_vec(&event).expect("an event has only string keys, so it is always JSON");
        let record =
            Outgoing { topic: F::TOPIC, partition: None, key: Some(key), payload, headers: Headers::default() };
        self.send(&span, record.clone()).await?;
        Ok(Published { event, record })
    }

    /// Sends a record as it is, below the span of `parent`: a copy for a retry or dead-letter topic, or once more.
    pub(crate) async fn forward(&self, parent: &Context, record: Outgoing) -> Result<(), DemoError> {
        let span = self.telemetry.span(self.names.send(record.topic, record.key.as_deref(), &self.client_id), parent);
        self.send(&span, record).await
    }

    async fn send(&self, span: &Context, mut record: Outgoing) -> Result<(), DemoError> {
        record.headers.carry(span);
        match deliver(&self.producer, &record).await {
            Ok((partition, offset)) => {
                self.outage.worked();
                span.span().set_attributes(self.names.landed(partition, offset));
                span.span().end();
                Ok(())
            }
            Err(source) => {
                telemetry::fail(span, "publish_failed", source.to_string());
                span.span().end();
                Err(DemoError::Client { service: self.telemetry.service.into(), doing: "publish", source })
            }
        }
    }

    /// Waits for the last acknowledgements, for at most [`FLUSH_TIMEOUT`], and disconnects.
    pub(crate) async fn close(self) {
        let producer = self.producer;
        let close = move || {
            let flushed = producer.flush(FLUSH_TIMEOUT);
            drop(producer);
            flushed
        };
        if let Ok(Err(error)) = tokio::task::spawn_blocking(close).await {
            tracing::warn!(service.name = self.telemetry.service, "the last records were not acknowledged: {error}");
        }
    }
}

/// Sends the record and waits for its acknowledgement. Returns its partition and offset.
pub(crate) async fn deliver(
    producer: &FutureProducer<Connection>,
    record: &Outgoing,
) -> Result<(i32, i64), KafkaError> {
    let mut future_record =
        FutureRecord::<[u8], [u8]>::to(record.topic).payload(&record.payload).headers(record.headers.to_kafka());
    if let Some(key) = &record.key {
        future_record = future_record.key(key.as_bytes());
    }
    if let Some(partition) = record.partition {
        future_record = future_record.partition(partition);
    }
    match producer.send(future_record, Duration::ZERO).await {
        Ok(delivery) => Ok((delivery.partition, delivery.offset)),
        Err((error, _)) => Err(error),
    }
}
