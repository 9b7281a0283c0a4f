//! Sends dead letters back to Kafka: an idempotent producer, and a reader of everything that looks whether something arrived.
//!
//! The producer has credentials of its own, where they are given; whatever is read is read with those of the tail.

mod reading; // ends of partitions, single records, and what arrived

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer};
use store::SourceName;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::Config;
use super::client::{self, Hearing};
use super::token::Tokens;
use crate::error::CollectorError;
use crate::redrive::DELIVERY_TIMEOUT;
use crate::redrive::broker::{Broker, Delivered, Outgoing, Search, Sought};
use crate::source::raw::Raw;
use reading::Reader;

/// How much longer than a message may take we wait for librdkafka to say what became of it: it looks about once a second.
const REPORT_LATE: Duration = Duration::from_secs(2);

/// What sends dead letters back to one cluster.
pub struct Redriver {
    sending: ClientConfig,
    tokens: Option<Arc<Tokens>>,
    reader: Arc<Reader>,
    /// Made when something is sent first, and anew after anything of which nobody knows whether it arrived.
    producer: Mutex<Option<Sender>>,
    /// For people to read.
    brokers: String,
}

/// A producer, and what it hears.
#[derive(Clone)]
struct Sender {
    producer: FutureProducer<Hearing>,
    hearing: Hearing,
}

impl Redriver {
    /// Checks the configuration and reads its secrets; connects to nothing yet.
    pub fn new(config: &Config) -> Result<Redriver, CollectorError> {
        let (options, _) = config.sending_options();
        Ok(Redriver {
            sending: client::sending(config)?,
            tokens: Tokens::read(&config.name, options)?.map(Arc::new),
            reader: Arc::new(Reader::new(
                SourceName::from(config.name.as_str()),
                &client::settings(config)?,
                Tokens::read(&config.name, &config.options)?.map(Arc::new),
            )),
            producer: Mutex::default(),
            brokers: config.brokers.join(","),
        })
    }

    /// The producer, and whether it was made just now.
    fn sender(&self) -> Result<(Sender, bool), KafkaError> {
        let mut kept = self.producer.lock();
        if let Some(sender) = &*kept {
            return Ok((sender.clone(), false));
        }
        let hearing = Hearing::new(self.tokens.clone());
        let producer = self.sending.create_with_context(hearing.clone())?;
        Ok((kept.insert(Sender { producer, hearing }).clone(), true))
    }

    /// Why nobody knows whether messages arrived, in the broker's words where it has any.
    fn why_unsure(&self, sender: &Sender, begun: std::time::Instant) -> Option<String> {
        sender.hearing.trouble(begun).map(|trouble| client::advice(&self.brokers, Some(&trouble)))
    }

    /// Lets go of the producer, and with it of all that it may still want to send.
    async fn let_go(&self, sender: Sender) {
        let kept = self.producer.lock().take();
        // It waits for its thread.
        let gone = spawn_blocking(move || drop((sender, kept))).await;
        if let Err(panicked) = gone {
            tracing::error!(%panicked, "a producer ended by a fault of ours: please report it");
        }
    }
}

#[async_trait]
impl Broker for Redriver {
    async fn partitions(&self, topic: String) -> Result<u32, String> {
        self.reader.clone().off_the_runtime(move |reader| reader.partitions(&topic)).await
    }

    async fn ends(&self, partitions: Vec<(String, i32)>) -> Result<Vec<i64>, String> {
        self.reader.clone().off_the_runtime(move |reader| reader.ends(&partitions)).await
    }

    async fn fetch(&self, topic: String, partition: i32, offset: i64) -> Result<Option<Raw>, String> {
        self.reader.clone().off_the_runtime(move |reader| reader.fetch(&topic, partition, offset)).await
    }

    async fn find(&self, sought: Sought) -> Result<Search, String> {
        self.reader.clone().off_the_runtime(move |reader| reader.find(&sought)).await
    }

    async fn send(&self, messages: Vec<Outgoing>) -> Vec<Delivered> {
        let (sender, is_new) = match self.sender() {
            Ok(sender) => sender,
            Err(error) => {
                return messages.iter().map(|_| Delivered::Refused(format!("no producer: {error}"))).collect();
            }
        };
        let begun = std::time::Instant::now();
        let deadline = Instant::now() + DELIVERY_TIMEOUT + REPORT_LATE;
        let enqueued: Vec<(&Outgoing, Result<DeliveryFuture, KafkaError>)> =
            messages.iter().map(|message| (message, enqueue(&sender.producer, message))).collect();
        let mut delivered = Vec::with_capacity(enqueued.len());
        for (message, report) in enqueued {
            delivered.push(match report {
                Err(error) => refused_or_unsure(&error, &message.topic),
                Ok(report) => match timeout_at(deadline, report).await {
                    Ok(Ok(Ok(at))) => Delivered::At(at.offset),
                    Ok(Ok(Err((error, _)))) => refused_or_unsure(&error, &message.topic),
                    Ok(Err(_)) | Err(_) => Delivered::Unsure("the producer doesn't say what became of it".to_owned()),
                },
            });
        }
        if delivered.iter().all(|delivered| matches!(delivered, Delivered::At(_))) {
            return delivered;
        }
        // One that was let in nowhere yet has no producer id, and without it nothing was sent.
        let is_kept_out = is_new && sender.producer.client().fatal_error().is_some_and(|(code, _)| is_forbidden(code));
        let why = self.why_unsure(&sender, begun);
        self.let_go(sender).await;
        for (message, delivered) in messages.iter().zip(&mut delivered) {
            match delivered {
                Delivered::Unsure(_) if is_kept_out => *delivered = Delivered::Refused(forbidden(&message.topic)),
                Delivered::Unsure(said) => *said = why.clone().unwrap_or_else(|| std::mem::take(said)),
                Delivered::At(_) | Delivered::Refused(_) => {}
            }
        }
        delivered
    }
}

fn enqueue(producer: &FutureProducer<Hearing>, message: &Outgoing) -> Result<DeliveryFuture, KafkaError> {
    let room = OwnedHeaders::new_with_capacity(message.headers.len());
    let headers = message
        .headers
        .iter()
        .fold(room, |headers, header| headers.insert(Header { key: &header.name, value: header.value.as_deref() }));
    let mut record: FutureRecord<'_, [u8], [u8]> =
        FutureRecord::to(&message.topic).partition(message.partition).headers(headers);
    record.key = message.key.as_deref();
    record.payload = message.value.as_deref();
    producer.send_result(record).map_err(|(error, _)| error)
}

/// Whether an error says that a message is surely not at its target. Whatever else there is may come after the broker has kept it.
fn refused_or_unsure(error: &KafkaError, topic: &str) -> Delivered {
    use RDKafkaErrorCode as Code;
    let refused = |why: String| Delivered::Refused(why);
    match error.rdkafka_error_code() {
        Some(code) if is_forbidden(code) => refused(forbidden(topic)),
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => {
            refused(format!("it is larger than `{topic}` takes: raise its max.message.bytes"))
        }
        Some(Code::UnknownTopic | Code::UnknownPartition) => {
            refused(format!("`{topic}`, or that partition of it, is gone"))
        }
        Some(Code::PolicyViolation | Code::InvalidRecord) => refused(format!("`{topic}` doesn't take it: {error}")),
        _ => Delivered::Unsure(error.to_string()),
    }
}

fn is_forbidden(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed)
}

fn forbidden(topic: &str) -> String {
    format!(
        "`{topic}` may not be written to: grant WRITE on it (before Kafka 2.8 also IDEMPOTENT_WRITE) to who `redrive_options` names"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_surely_did_not_arrive_is_refused() {
        let of = |code| refused_or_unsure(&KafkaError::MessageProduction(code), "orders");
        for code in [RDKafkaErrorCode::TopicAuthorizationFailed, RDKafkaErrorCode::MessageSizeTooLarge] {
            assert!(matches!(of(code), Delivered::Refused(why) if why.contains("orders")));
        }
        for code in
            [RDKafkaErrorCode::MessageTimedOut, RDKafkaErrorCode::RequestTimedOut, RDKafkaErrorCode::PurgeInflight]
        {
            assert!(matches!(of(code), Delivered::Unsure(_)));
        }
    }
}
