//! What can go wrong in the demonstration, a variant for each thing that the caller can do about it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Why the broker or the shop could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The embedded broker did not come up, or refused a topic.
    #[error("the embedded broker can't {doing}")]
    Embedded {
        /// What it was asked to do.
        doing: String,
        /// librdkafka's own reason.
        #[source]
        source: KafkaError,
    },
    /// The thread that owns the embedded broker is gone, so nothing can be asked of it any more.
    #[error("the embedded broker has stopped")]
    EmbeddedStopped,
    /// No broker answered at the address. Start one, or give another address.
    #[error("no Kafka broker answers at {brokers}: start one, or name another with --brokers")]
    Unreachable {
        /// The addresses that were tried.
        brokers: String,
        /// librdkafka's own reason.
        #[source]
        source: KafkaError,
    },
    /// A topic is missing and the broker would not make it. Make it by hand, or grant the right to create topics.
    #[error("the broker refuses to create the topic {topic}: {reason}")]
    Topic {
        /// The missing topic.
        topic: String,
        /// The broker's answer.
        reason: RDKafkaErrorCode,
    },
    /// A Kafka client could not be made or used.
    #[error("{service} can't {doing}")]
    Client {
        /// The service whose client it is.
        service: String,
        /// What it wanted to do.
        doing: &'static str,
        /// librdkafka's own reason.
        #[source]
        source: KafkaError,
    },
    /// The OTLP address is not one. (An endpoint that is merely down is no error: the shop goes on without it.)
    #[error("{endpoint} is no address for OTLP over gRPC: write it like http://127.0.0.1:4317")]
    Otlp {
        /// The address as given.
        endpoint: String,
        /// The exporter's reason.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// The rate of orders is not one that the shop can keep.
    #[error("{orders_per_s} orders a second is out of range: it takes more than 0 and at most {max}")]
    Rate {
        /// The rate as given.
        orders_per_s: f64,
        /// The highest that works.
        max: f64,
    },
    /// There is no such service.
    #[error("there is no service {name}: the shop has {}", crate::SERVICES.join(", "))]
    UnknownService {
        /// The name as given.
        name: String,
    },
    /// A payload is not what its topic promises.
    #[error("the record {topic} p{partition}@{offset} can't be read")]
    Unreadable {
        /// The record's topic.
        topic: String,
        /// The record's partition.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// The parser's reason.
        #[source]
        source: serde_json::Error,
    },
    /// The async runtime lost a blocking call, which happens only while it shuts down.
    #[error("the runtime is shutting down")]
    Stopping,
}
