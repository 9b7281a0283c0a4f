//! The shop's topics, and how they come to be on a broker that lets clients make them.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::RDKafkaErrorCode,
};
use tracing::info;

use crate::{DemoError, PARTITIONS, TOPICS};

pub(crate) const ORDER_PLACED: &str = "order.placed";
pub(crate) const ORDER_PLACED_RETRY: &str = "order.placed-retry";
pub(crate) const ORDER_PLACED_DLT: &str = "order.placed-dlt";
pub(crate) const ORDER_CANCELLED: &str = "order.cancelled";
pub(crate) const STOCK_RESERVED: &str = "stock.reserved";
pub(crate) const STOCK_RELEASED: &str = "stock.released";
pub(crate) const PAYMENT_AUTHORIZED: &str = "payment.authorized";
pub(crate) const PAYMENT_FAILED: &str = "payment.failed";
pub(crate) const PARCEL_PLANNED: &str = "parcel.planned";

/// How long a broker may take to answer before the shop gives up: a broker that starts together with the shop
/// (docker compose) takes some seconds, one that isn't there shouldn't keep a person waiting.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Makes the topics that are missing. On the embedded broker none is: they came through its handle.
pub(crate) async fn ensure(brokers: &str) -> Result<(), DemoError> {
    let config = client(brokers);
    let missing = {
        let (config, brokers) = (config.clone(), brokers.to_owned());
        let look = move || missing(&config).map_err(|source| DemoError::Unreachable { brokers, source });
        tokio::task::spawn_blocking(look).await.map_err(|_| DemoError::Stopping)??
    };
    if missing.is_empty() {
        return Ok(());
    }
    let cant = |source| DemoError::Client { service: "the shop".into(), doing: "create its topics", source };
    let admin: AdminClient<DefaultClientContext> = config.create().map_err(cant)?;
    // -1 asks for the broker's own default, which suits one broker and many.
    let topics: Vec<_> =
        missing.iter().map(|topic| NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(-1))).collect();
    let options = AdminOptions::new().operation_timeout(Some(ANSWER_TIMEOUT)).request_timeout(Some(ANSWER_TIMEOUT));
    let answers = admin.create_topics(&topics, &options).await.map_err(cant)?;
    for answer in answers {
        match answer {
            Ok(topic) => info!("created the topic {topic}"),
            // Another shop was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, reason)) => return Err(DemoError::Topic { topic, reason }),
        }
    }
    // An admin client joins its thread when it is dropped.
    tokio::task::spawn_blocking(move || drop(admin)).await.map_err(|_| DemoError::Stopping)
}

fn missing(config: &ClientConfig) -> Result<Vec<&'static str>, rdkafka::error::KafkaError> {
    let client: BaseConsumer = config.create()?;
    let metadata = client.fetch_metadata(None, ANSWER_TIMEOUT)?;
    let there = |topic: &&str| metadata.topics().iter().any(|known| known.name() == *topic);
    Ok(TOPICS.into_iter().filter(|topic| !there(topic)).collect())
}

fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("client.id", "shop-topics");
    config
}
