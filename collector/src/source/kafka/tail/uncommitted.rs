//! The second reader, of `transactions = "show"`: it reads everything beside the reader of committed records, so that what is aborted and
//! what is open can be shown as such. Brokers are asked for every record twice.
//!
//! It follows the first reader: what that one reads from somewhere, this one reads from there too. Of what it gets, only aborted records
//! are kept; open ones wait here, and are shown from the board. How each is told apart is in [`undecided`](super::undecided).

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::Offset;
use store::Timestamp;
use store::record::Transaction;

use super::undecided::{Fate, Undecided};
use super::{Observer, Stopped};
use crate::source::kafka::client::Hearing;
use crate::source::kafka::message::{self, Around};
use crate::source::raw::Raw;

/// How many messages are taken in a row: some for each of the first reader's, so that this one, which must not fall behind, keeps up.
const AT_ONCE: usize = 64;

/// How many open records of a partition wait to be decided. A hanging transaction may hold millions; at the limit nothing more is read of
/// that partition until it ends, because the first ones tell what it is about.
const OPEN_MAX: usize = 100;

/// How many bytes open records may take in all. At the limit this reader waits until the first one has come by, or transactions end; what
/// the first one reads is kept meanwhile, but our place stays behind what is not decided.
const OPEN_BYTES_MAX: usize = 16 << 20;

/// What an open record takes beside its key, body and headers, about.
const RECORD_BYTES: usize = 256;

/// How many open records are shown of a source.
const OPEN_SHOWN_MAX: usize = 1_000;

/// How many bytes of keys and bodies are shown of them at most: they are copied at every survey.
const OPEN_SHOWN_BYTES_MAX: usize = 8 << 20;

/// How often it is asked how far the first reader has passed markers and aborted records, which it gets nothing of.
const PASSED_EVERY: Duration = Duration::from_millis(100);

/// The second reader.
pub(super) struct Uncommitted {
    consumer: BaseConsumer<Hearing>,
    passed_at: Instant,
    /// What open records take, since it was last counted.
    open_bytes: usize,
    /// Whether open records were shown at the last survey.
    showed: bool,
}

impl Uncommitted {
    /// With the first reader's settings, but for what it reads.
    pub fn new(config: &ClientConfig, hearing: Hearing) -> Result<Uncommitted, KafkaError> {
        let mut config = config.clone();
        config.set("isolation.level", "read_uncommitted");
        let consumer = config.create_with_context(hearing)?;
        Ok(Uncommitted { consumer, passed_at: Instant::now(), open_bytes: 0, showed: false })
    }

    /// Reads these partitions too. How far the first reader is in them isn't asked at once: for a moment librdkafka tells where it
    /// was before.
    pub fn assign(&mut self, list: &TopicPartitionList) {
        self.passed_at = Instant::now();
        if let Err(error) = self.consumer.incremental_assign(list) {
            tracing::warn!(%error, "the reader of uncommitted records did not take {} partitions", list.count());
        }
        // One that was paused when it was let go of would stay so.
        if let Err(error) = self.consumer.resume(list) {
            tracing::debug!(%error, "the reader of uncommitted records goes on as it was");
        }
    }

    /// Lets go of these partitions.
    pub fn unassign(&self, list: &TopicPartitionList) {
        if let Err(error) = self.consumer.incremental_unassign(list) {
            tracing::debug!(%error, "the reader of uncommitted records did not let go of {} partitions", list.count());
        }
    }

    fn pause(&self, topic: &str, partition: i32, pauses: bool) {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let done = if pauses { self.consumer.pause(&list) } else { self.consumer.resume(&list) };
        if let Err(error) = done {
            tracing::debug!(%error, "the reader of uncommitted records goes on as it was");
        }
    }
}

impl Observer {
    /// Takes some messages of the second reader, where there is one, and decides what became of those that wait.
    pub(super) fn read_uncommitted(&mut self, first: &BaseConsumer<Hearing>) -> Result<(), Stopped> {
        let Some(mut second) = self.uncommitted.take() else { return Ok(()) };
        let mut outcome = Ok(());
        for _ in 0..AT_ONCE {
            if second.open_bytes >= OPEN_BYTES_MAX {
                break;
            }
            match second.consumer.poll(Duration::ZERO) {
                Some(Ok(message)) => second.open_bytes += self.take_uncommitted(&second, &message),
                Some(Err(error)) => outcome = self.trouble(&error),
                None => break,
            }
            if outcome.is_err() {
                break;
            }
        }
        if second.passed_at.elapsed() >= PASSED_EVERY {
            self.see_what_was_passed(first, &second);
            second.passed_at = Instant::now();
            second.open_bytes = self.open().map(|raw| raw.bytes() + RECORD_BYTES).sum();
        }
        self.uncommitted = Some(second);
        outcome
    }

    /// Takes a message of the second reader; how many bytes it takes while it waits.
    fn take_uncommitted(&mut self, second: &Uncommitted, message: &BorrowedMessage<'_>) -> usize {
        let Some(topic) = self.topics.get_mut(message.topic()) else { return 0 };
        let Some(partition) = topic.partitions.get_mut(&message.partition()) else { return 0 };
        let Some(undecided) = partition.undecided.as_mut() else { return 0 };
        let fate = undecided.read(message.offset());
        if fate == Fate::Committed {
            return 0;
        }
        let around = Around {
            source: &self.watch.checkpoint.source,
            cluster: self.cluster.as_ref(),
            channel: &topic.channel,
            incarnation: topic.incarnation,
            received_at: Timestamp::now(),
        };
        let mut raw = message::raw(message, around);
        if fate == Fate::Aborted {
            raw.transaction = Some(Transaction::Aborted);
            self.keep(raw);
            return 0;
        }
        raw.transaction = Some(Transaction::Open);
        let bytes = raw.bytes() + RECORD_BYTES;
        undecided.wait(message.offset(), raw);
        if undecided.n_open() == OPEN_MAX {
            second.pause(message.topic(), message.partition(), true);
        }
        bytes
    }

    /// Moves on where the first reader passed records that it got nothing of.
    fn see_what_was_passed(&mut self, first: &BaseConsumer<Hearing>, second: &Uncommitted) {
        let Ok(places) = first.position() else { return };
        let mut aborted: Vec<Raw> = Vec::new();
        for place in places.elements() {
            let Some(topic) = self.topics.get_mut(place.topic()) else { continue };
            let Some(partition) = topic.partitions.get_mut(&place.partition()) else { continue };
            let Some(undecided) = partition.undecided.as_mut() else { continue };
            if let Offset::Offset(offset) = place.offset() {
                undecided.passed(offset);
            }
            let before = undecided.n_open();
            aborted.extend(undecided.aborted());
            if before >= OPEN_MAX && undecided.n_open() < OPEN_MAX {
                second.pause(place.topic(), place.partition(), false);
            }
            // What was aborted at the end of a log is not read again after a restart.
            let passed = undecided.passed_by().min(undecided.decided());
            if passed > partition.reached.next {
                partition.reached.next = passed;
                if !std::mem::replace(&mut partition.touched, true) {
                    self.touched.push((topic.channel.clone(), place.partition()));
                }
            }
        }
        for mut raw in aborted {
            raw.transaction = Some(Transaction::Aborted);
            self.keep(raw);
        }
    }

    /// The records that are open now, to be shown in place of those shown before; `None` where nothing changes.
    pub(super) fn open_records(&mut self) -> Option<Vec<Raw>> {
        let showed = self.uncommitted.as_ref()?.showed;
        let (mut open, mut bytes) = (Vec::new(), 0);
        for raw in self.open() {
            bytes += raw.bytes();
            if open.len() == OPEN_SHOWN_MAX || bytes > OPEN_SHOWN_BYTES_MAX {
                break;
            }
            open.push(raw.clone());
        }
        let shows = !open.is_empty();
        if let Some(uncommitted) = &mut self.uncommitted {
            uncommitted.showed = shows;
        }
        (shows || showed).then_some(open)
    }

    /// All records that are open.
    fn open(&self) -> impl Iterator<Item = &Raw> {
        let partitions = self.topics.values().flat_map(|topic| topic.partitions.values());
        partitions.filter_map(|partition| partition.undecided.as_ref()).flat_map(Undecided::open)
    }
}
