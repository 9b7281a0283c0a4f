//! `[[source]]`: one table, told apart by its `type`.

use std::sync::Arc;

use serde::Deserialize;
use store::SourceName;

use crate::error::CollectorError;
use crate::redrive::broker::Broker;
use crate::source::{Source, kafka, nats};

/// A `[[source]]` table. Every type is known in every build, so that `sillage check` can read any file.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Config {
    /// Apache Kafka, or what speaks its protocol.
    Kafka(kafka::Config),
    /// NATS JetStream.
    Nats(nats::Config),
    /// RabbitMQ.
    Rabbitmq(Unbuilt),
    /// Apache Pulsar.
    Pulsar(Unbuilt),
    /// Amazon SQS, or what speaks its protocol.
    Sqs(Unbuilt),
}

/// The keys of a type that can be checked, but not run yet.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unbuilt {
    /// Its name.
    pub name: String,
    /// Where it is.
    #[serde(default)]
    pub url: Option<String>,
    /// The region, for SQS.
    #[serde(default)]
    pub region: Option<String>,
    /// Another endpoint than the region's, for SQS.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Which queues, topics or exchanges.
    #[serde(default)]
    pub topics: Vec<String>,
    /// Where to begin.
    #[serde(default)]
    pub from: Option<String>,
    /// Which groups or subscriptions.
    #[serde(default)]
    pub groups: Vec<String>,
}

impl Config {
    /// What is watched when nothing is configured: a Kafka on this machine, if there is one.
    pub fn found_by_default() -> Config {
        Config::Kafka(kafka::Config::local())
    }

    /// Its name.
    pub fn name(&self) -> SourceName {
        match self {
            Config::Kafka(config) => config.name.as_str().into(),
            Config::Nats(config) => config.name.as_str().into(),
            Config::Rabbitmq(config) | Config::Pulsar(config) | Config::Sqs(config) => config.name.as_str().into(),
        }
    }

    /// Checks every key as far as that goes without asking the broker: that its secrets can be read, too.
    pub fn check(&self) -> Result<(), CollectorError> {
        let name = self.name();
        if name.as_str().is_empty() || name.as_str().contains('/') {
            return Err(CollectorError::Config(
                "a source's `name` must not be empty or contain `/`, because it stands in URLs".to_owned(),
            ));
        }
        match self {
            Config::Kafka(config) => config.check(),
            Config::Nats(config) => config.check(),
            Config::Rabbitmq(_) | Config::Pulsar(_) | Config::Sqs(_) => Ok(()),
        }
    }

    /// What sends dead letters back there; `None` where that can't be done on such a broker.
    pub fn redriver(&self) -> Result<Option<Arc<dyn Broker>>, CollectorError> {
        match self {
            Config::Kafka(config) => Ok(Some(Arc::new(kafka::redrive::Redriver::new(config)?))),
            Config::Nats(_) | Config::Rabbitmq(_) | Config::Pulsar(_) | Config::Sqs(_) => Ok(None),
        }
    }

    /// Makes the source, reading its secrets.
    pub(super) fn build(self) -> Result<Arc<dyn Source>, CollectorError> {
        self.check()?;
        match self {
            Config::Kafka(config) => Ok(Arc::new(kafka::Kafka::new(config)?)),
            Config::Nats(config) => nats::build(config),
            Config::Rabbitmq(config) => Err(not_yet(config.name, "rabbitmq")),
            Config::Pulsar(config) => Err(not_yet(config.name, "pulsar")),
            Config::Sqs(config) => Err(not_yet(config.name, "sqs")),
        }
    }
}

fn not_yet(name: String, kind: &str) -> CollectorError {
    let reason = format!(
        "this version doesn't read `type = \"{kind}\"` yet, only `kafka` and `nats`: remove the table, \
         or send that part's spans and logs over OTLP meanwhile"
    );
    CollectorError::Unavailable { name, reason }
}
