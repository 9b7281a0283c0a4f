//! What redriving reads: where partitions end, single records, and whether messages arrived. It reads what isn't committed, too, by `assign()`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use store::position::Incarnation;
use store::redrive::added::number_in;
use store::{Channel, SourceName, Timestamp};
use tokio::task::spawn_blocking;

use crate::redrive::broker::{Search, Sought};
use crate::source::kafka::client::Hearing;
use crate::source::kafka::message::{self, Around};
use crate::source::kafka::token::Tokens;
use crate::source::raw::Raw;

/// How long brokers may take to answer, or to send the next record, the first connection included.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How long one question of several may take before it is asked again: librdkafka gets its tokens between them.
const ASK_WITHIN: Duration = Duration::from_secs(2);

/// How long a topic must be unknown before we believe that it is gone.
const GONE_FOR: Duration = Duration::from_secs(3);

/// How long one poll waits.
const POLL: Duration = Duration::from_millis(100);

/// How long the broker may hold a fetch that finds nothing.
const FETCH_WAIT_MS: &str = "50";

/// After so long all replicas have what one of them took in, or are none any more: `replica.lag.time.max.ms` is 30 s where nobody changed it.
const REPLICATED_AFTER: Duration = Duration::from_secs(40);

/// How long a client that needs a token is given to ask for it.
const TOKEN_WITHIN: Duration = Duration::from_secs(1);

/// For how long it is believed how many partitions a topic has: for some batches.
const KNOWN_FOR: Duration = Duration::from_secs(10);

/// After so long without work its connection is closed.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Reads one cluster. One question at a time.
pub struct Reader {
    source: SourceName,
    client_config: ClientConfig,
    tokens: Option<Arc<Tokens>>,
    consumer: Mutex<Option<(BaseConsumer<Hearing>, Instant)>>,
    /// How many partitions topics have, and when that was told.
    partitions: Mutex<HashMap<String, (u32, Instant)>>,
}

/// What comes next in a partition.
enum Next {
    Record(Box<Raw>, i64),
    End,
    /// What was asked for went from the broker, or its topic did.
    Gone,
}

impl Reader {
    /// With the settings of the source's tail; connects to nothing yet.
    pub fn new(source: SourceName, tail: &ClientConfig, tokens: Option<Arc<Tokens>>) -> Reader {
        let mut client_config = tail.clone();
        client_config
            .set("isolation.level", "read_uncommitted")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", FETCH_WAIT_MS);
        Reader { source, client_config, tokens, consumer: Mutex::default(), partitions: Mutex::default() }
    }

    /// Asks it something on a thread that may block.
    pub async fn off_the_runtime<T: Send + 'static>(
        self: Arc<Self>,
        ask: impl FnOnce(&Reader) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        spawn_blocking(move || ask(&self)).await.unwrap_or_else(|panicked| Err(panicked.to_string()))
    }

    /// How many partitions a topic has.
    pub fn partitions(&self, topic: &str) -> Result<u32, String> {
        let mut known = self.partitions.lock();
        known.retain(|_, (_, told_at)| told_at.elapsed() < KNOWN_FOR);
        if let Some((partitions, _)) = known.get(topic) {
            return Ok(*partitions);
        }
        let partitions = self.with(|consumer| {
            let metadata = consumer.fetch_metadata(Some(topic), ANSWER_WITHIN).map_err(said)?;
            let of_topic = metadata.topics().iter().find(|told| told.name() == topic && told.error().is_none());
            let partitions = of_topic.map_or(0, |told| told.partitions().len());
            u32::try_from(partitions)
                .ok()
                .filter(|many| *many > 0)
                .ok_or_else(|| format!("the broker doesn't know `{topic}` just now"))
        })?;
        known.insert(topic.to_owned(), (partitions, Instant::now()));
        Ok(partitions)
    }

    /// Where partitions end.
    pub fn ends(&self, partitions: &[(String, i32)]) -> Result<Vec<i64>, String> {
        self.with(|consumer| {
            let ends = partitions.iter().map(|(topic, partition)| Ok(bounds(consumer, topic, *partition)?.1));
            ends.collect::<Result<_, KafkaError>>().map_err(said)
        })
    }

    /// The record at an offset.
    pub fn fetch(&self, topic: &str, partition: i32, offset: i64) -> Result<Option<Raw>, String> {
        self.with(|consumer| {
            let mut reading = self.read_from(consumer, topic, partition, offset)?;
            Ok(match reading()? {
                Next::Record(raw, at) if at == offset => Some(*raw),
                Next::Record(..) | Next::End | Next::Gone => None,
            })
        })
    }

    /// Messages of a redrive, from an offset to the end.
    pub fn find(&self, sought: &Sought) -> Result<Search, String> {
        // With a client of its own: an end that is told late, of what was read before, would hide what is there.
        *self.consumer.lock() = None;
        self.with(|consumer| {
            let Sought { id, topic, partition, from, since } = sought;
            let (begin, end) = match bounds(consumer, topic, *partition) {
                Ok(bounds) => bounds,
                Err(error) if is_gone(&error) => return Ok(Search::Lost(Vec::new())),
                Err(error) => return Err(said(error)),
            };
            if since.elapsed() < REPLICATED_AFTER && is_replicated(consumer, topic, *partition)? {
                return Err(format!(
                    "what may have been sent to `{topic}` is looked for once all its replicas must have it"
                ));
            }
            // A log that ends below is that of another topic of this name.
            let mut is_whole = begin <= *from && end >= *from;
            let (mut found, mut next, mut ends_seen) = (Vec::new(), (*from).max(begin), 0);
            // A leader that has just taken over may not know yet how far its log is committed: its end is asked for twice.
            while next < end && ends_seen < 2 {
                if bounds(consumer, topic, *partition).map_err(said)?.1 < end {
                    return Err(format!("another broker leads `{topic}` now, and doesn't know yet where it ends"));
                }
                let mut reading = self.read_from(consumer, topic, *partition, next)?;
                while next < end {
                    match reading()? {
                        Next::Record(raw, at) => {
                            found.extend(number_in(&raw.headers, id).map(|number| (number, at)));
                            next = at + 1;
                        }
                        Next::End => {
                            ends_seen += 1;
                            break;
                        }
                        Next::Gone => {
                            is_whole = false;
                            ends_seen = 2;
                            break;
                        }
                    }
                }
            }
            Ok(if is_whole { Search::Whole(found) } else { Search::Lost(found) })
        })
    }

    /// Reads on and on from an offset; each call gives the next record.
    fn read_from<'a>(
        &'a self,
        consumer: &'a BaseConsumer<Hearing>,
        topic: &'a str,
        partition: i32,
        offset: i64,
    ) -> Result<impl FnMut() -> Result<Next, String> + 'a, String> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).map_err(said)?;
        consumer.assign(&list).map_err(said)?;
        let channel = Channel::from(topic);
        Ok(move || {
            let deadline = Instant::now() + ANSWER_WITHIN;
            while Instant::now() < deadline {
                match consumer.poll(POLL) {
                    None => {}
                    Some(Ok(message)) => {
                        // What was fetched for another question may still come.
                        let is_of_it = message.topic() == topic && message.partition() == partition;
                        if is_of_it && message.offset() >= offset {
                            let around = Around {
                                source: &self.source,
                                cluster: None,
                                channel: &channel,
                                incarnation: Incarnation::default(),
                                received_at: Timestamp::now(),
                            };
                            return Ok(Next::Record(Box::new(message::raw(&message, around)), message.offset()));
                        }
                    }
                    Some(Err(KafkaError::PartitionEOF(_))) => return Ok(Next::End),
                    Some(Err(error)) if is_gone(&error) => return Ok(Next::Gone),
                    Some(Err(error)) => tracing::debug!(%error, "reading for a redrive goes on"),
                }
            }
            Err(format!("the broker did not send what is in `{topic}` in time"))
        })
    }

    fn client(&self) -> Result<BaseConsumer<Hearing>, String> {
        let consumer: BaseConsumer<Hearing> =
            self.client_config.create_with_context(Hearing::new(self.tokens.clone())).map_err(said)?;
        if self.tokens.is_some() {
            // It asks for its first token at once, and gets it while we poll.
            drop(consumer.poll(TOKEN_WITHIN));
        }
        Ok(consumer)
    }

    /// With the consumer, made where there is none. After an error it is let go, so that the next question begins anew.
    fn with<T>(&self, ask: impl FnOnce(&BaseConsumer<Hearing>) -> Result<T, String>) -> Result<T, String> {
        let mut kept = self.consumer.lock();
        let consumer = match kept.take().filter(|(_, used_at)| used_at.elapsed() < IDLE_MAX) {
            Some((consumer, _)) => consumer,
            None => self.client()?,
        };
        let told = ask(&consumer)?;
        consumer.unassign().map_err(said)?; // else it would go on to read
        *kept = Some((consumer, Instant::now()));
        Ok(told)
    }
}

/// Where a partition begins and ends. Asked again while nobody answers: a client may wait for a token, which it gets while we poll. That a
/// topic is gone is believed once it stays so, because a broker that has just started may not know it yet.
fn bounds(consumer: &BaseConsumer<Hearing>, topic: &str, partition: i32) -> Result<(i64, i64), KafkaError> {
    let begun = Instant::now();
    loop {
        let error = match consumer.fetch_watermarks(topic, partition, ASK_WITHIN) {
            Ok(bounds) => return Ok(bounds),
            Err(error) => error,
        };
        let patience = if is_gone(&error) { GONE_FOR } else { ANSWER_WITHIN };
        if begun.elapsed() >= patience {
            return Err(error);
        }
        drop(consumer.poll(POLL));
    }
}

/// Whether a partition is held by more than one broker: then what one has taken in is seen by readers only once the others have it, too.
fn is_replicated(consumer: &BaseConsumer<Hearing>, topic: &str, partition: i32) -> Result<bool, String> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER_WITHIN).map_err(said)?;
    let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
    Ok(partitions.filter(|of_topic| of_topic.id() == partition).any(|of_topic| of_topic.replicas().len() > 1))
}

fn is_gone(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::AutoOffsetReset
                | RDKafkaErrorCode::OffsetOutOfRange
        )
    )
}

fn said(error: KafkaError) -> String {
    format!("the broker doesn't tell what is at the target: {error}")
}
