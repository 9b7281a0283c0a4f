//! Fetches single records whose time nobody has told us: those that groups wait on and that we don't hold, of topics that we don't read
//! too. One at a time, at most [`A_SECOND`], by `assign()` with a client of its own, in a thread of its own.
//!
//! The broker answers a fetch at an offset with the first record that can be read there: markers, aborted transactions and the holes of
//! compaction are stepped over, and where nothing comes until the last stable offset, nothing waits.
//!
//! Not for: keeping records. What is fetched is looked at and let go.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use store::groups::WaitingOn;
use store::position::Incarnation;
use store::{Channel, SourceName, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::decode::Decoder;
use crate::decode::opened::Room;
use crate::source::kafka::client::Hearing;
use crate::source::kafka::message::{self, Around};
use crate::source::kafka::token::Tokens;

/// How many records are fetched in a second, for all groups of a source: nothing that a broker feels.
const A_SECOND: u32 = 20;

/// How many wait to be fetched: what can be had in a minute and a half. What is beyond is asked for again after the next round.
pub const WANTED_MAX: usize = 2_000;

/// How long one fetch may take, the first connection to its broker included.
const FETCH_WITHIN: Duration = Duration::from_secs(3);

/// How much a fetch asks for: one record is all that we want. Brokers send a whole batch, however large.
const FETCH_BYTES: u32 = 16 << 10;

/// How long the broker may hold a fetch that finds nothing.
const FETCH_WAIT_MS: u32 = 50;

/// How often we look whether something is wanted, or everything stops.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A place in a topic: partition and offset.
pub type At = (Channel, i32, i64);

/// A place whose first record is wanted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Wanted {
    pub at: At,
    /// Where the partition ended when it was asked for: nothing found means nothing up to there.
    pub end: i64,
}

/// What a fetch at a place found.
#[derive(Clone, PartialEq, Debug)]
pub enum Fetched {
    /// The first record that can be read from there on.
    Record(WaitingOn),
    /// Nothing can be read from there on.
    Nothing,
    /// It can't be told, and why.
    Failed(&'static str),
}

/// What is wanted, and what was found: the one side of it is the thread's.
#[derive(Clone, Default)]
pub struct Desk {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    wanted: VecDeque<Wanted>,
    found: Vec<(Wanted, Fetched)>,
}

impl Desk {
    /// Asks for these in place of what was asked for before, as many as fit.
    pub fn want(&self, wanted: impl Iterator<Item = Wanted>) {
        self.inner.lock().wanted = wanted.take(WANTED_MAX).collect();
    }

    /// What was found since the last time.
    pub fn take(&self) -> Vec<(Wanted, Fetched)> {
        std::mem::take(&mut self.inner.lock().found)
    }

    fn next(&self) -> Option<Wanted> {
        self.inner.lock().wanted.pop_front()
    }

    /// Puts what was found where [`Desk::take`] finds it.
    pub fn put(&self, wanted: Wanted, fetched: Fetched) {
        let mut inner = self.inner.lock();
        if inner.found.len() < WANTED_MAX {
            inner.found.push((wanted, fetched));
        }
    }
}

#[cfg(test)]
impl Desk {
    /// What is wanted now.
    pub fn wanted(&self) -> Vec<Wanted> {
        self.inner.lock().wanted.iter().cloned().collect()
    }
}

/// What fetching needs.
pub struct Fetching {
    pub source: SourceName,
    pub client_config: ClientConfig,
    pub tokens: Option<Arc<Tokens>>,
    pub decoder: Arc<Decoder>,
    pub desk: Desk,
    pub stop: CancellationToken,
}

/// Fetches until told to stop. Blocks; for a thread of its own. It connects to nothing before something is wanted.
pub fn run(fetching: &Fetching) {
    let mut consumer: Option<BaseConsumer<Hearing>> = None;
    while !fetching.stop.is_cancelled() {
        let Some(wanted) = fetching.desk.next() else {
            std::thread::sleep(LOOK_EVERY);
            continue;
        };
        let begun = Instant::now();
        if consumer.is_none() {
            consumer = fetching.client();
        }
        let Some(consumer) = &consumer else { return };
        let fetched = fetching.fetch(consumer, &wanted.at);
        fetching.desk.put(wanted, fetched);
        std::thread::sleep((Duration::from_secs(1) / A_SECOND).saturating_sub(begun.elapsed()));
    }
}

impl Fetching {
    fn client(&self) -> Option<BaseConsumer<Hearing>> {
        let mut config = self.client_config.clone();
        config
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", FETCH_WAIT_MS.to_string())
            .set("fetch.message.max.bytes", FETCH_BYTES.to_string())
            .set("queued.min.messages", "1");
        match config.create_with_context(Hearing::new(self.tokens.clone())) {
            Ok(consumer) => Some(consumer),
            Err(error) => {
                tracing::warn!(source.name = self.source.as_str(), %error, "records that groups wait on can't be fetched");
                None
            }
        }
    }

    fn fetch(&self, consumer: &BaseConsumer<Hearing>, (topic, partition, offset): &At) -> Fetched {
        let mut list = TopicPartitionList::new();
        let place = list.add_partition_offset(topic.as_str(), *partition, Offset::Offset(*offset));
        if place.and_then(|()| consumer.assign(&list)).is_err() {
            return Fetched::Failed("the record can't be asked for");
        }
        let deadline = Instant::now() + FETCH_WITHIN;
        let fetched = loop {
            if self.stop.is_cancelled() || Instant::now() >= deadline {
                break Fetched::Failed("the broker did not send the record in time");
            }
            match consumer.poll(LOOK_EVERY) {
                None => {}
                Some(Ok(message)) => {
                    let is_it = message.topic() == topic.as_str() && message.partition() == *partition;
                    if is_it && message.offset() >= *offset {
                        let around = Around {
                            source: &self.source,
                            cluster: None,
                            channel: topic,
                            incarnation: Incarnation::default(),
                            received_at: Timestamp::now(),
                        };
                        let raw = message::raw(&message, around);
                        let record = self.decoder.record(raw, &mut Room::of_batch());
                        break Fetched::Record(WaitingOn::new(&record, message.offset(), false));
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => break Fetched::Nothing,
                Some(Err(error)) => {
                    if let Some(why) = reason(&error) {
                        break Fetched::Failed(why);
                    }
                }
            }
        };
        let _ = consumer.unassign(); // else it would go on to read; fails only for a client that is closed
        fetched
    }
}

/// Why nothing will come; `None` for what passes by itself.
fn reason(error: &KafkaError) -> Option<&'static str> {
    match error.rdkafka_error_code()? {
        RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::GroupAuthorizationFailed => {
            Some("we may not read this topic: grant READ on it to know since when its records wait")
        }
        RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownPartition => Some("the topic is gone"),
        RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange => {
            Some("retention took the record just now")
        }
        _ => None,
    }
}
