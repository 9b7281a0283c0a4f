//! A small event-driven shop, and a broker to run it on where there is none.
//!
//! The shop is what Sillage is for: six services that tell each other what happened over Kafka topics, with
//! retries, a dead letter, a saga that compensates, a duplicate, a consumer that falls behind, and the gaps in tracing
//! that real systems have. It is an ordinary program: it knows a Kafka address and an OTLP address, and nothing of
//! Sillage's store, collector or console.
//!
//! ```no_run
//! # async fn demo() -> Result<(), demo::DemoError> {
//! let broker = demo::EmbeddedBroker::start()?;
//! broker.create_topics(&demo::TOPICS, demo::PARTITIONS)?;
//! let config = demo::ShopConfig { brokers: broker.bootstrap(), ..demo::ShopConfig::default() };
//! let shop = demo::Shop::start(config).await?;
//! // orders flow ...
//! shop.stop_service("billing").await?;
//! // order.placed piles up ...
//! shop.stop().await;
//! # Ok(()) }
//! ```

mod error; // what can go wrong, by what the caller can do about it

pub mod broker; // a Kafka-protocol broker inside this process
pub mod shop; // the services, their topics and groups

pub use broker::EmbeddedBroker;
pub use error::DemoError;
pub use shop::{GROUPS, PARTITIONS, SERVICES, Shop, ShopConfig, TOPICS};
