//! The thread that reads one cluster.
//!
//! Every few seconds a *survey* asks which topics and partitions there are, where each log begins and ends, and puts every
//! partition where it belongs; in between it polls. Whatever goes wrong ends in a survey: there is one place where decisions are made.

mod ask; // what a survey asks the brokers
mod partition; // what we know of a topic and its partitions
mod rights; // which topics we may not read
mod survey; // where decisions are made
mod transactions; // what readers of committed records wait for
mod uncommitted; // the second reader, which sees open and aborted records
mod undecided; // what became of the records that it sees

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use store::{Channel, Checkpoint, Gap, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(super) use ask::{AllBounds, bounds};

use crate::source::Batch;
use crate::source::from::From;
use crate::source::kafka::Transactions;
use crate::source::kafka::client::{Hearing, advice};
use crate::source::kafka::message::{self, Around};
use crate::source::kafka::token::Tokens;
use crate::source::notice::Notice;
use crate::source::raw::Raw;
use partition::{Partition, Seen, State, Topic};
use store::selection::Selection;
use uncommitted::Uncommitted;

/// How often we look for new topics and partitions, and measure how far behind we are: new ones are read within 10 s.
const SURVEY_EVERY: Duration = Duration::from_secs(3);

/// How soon we look again after something went wrong.
const SURVEY_AGAIN: Duration = Duration::from_secs(1);

/// How long the brokers may take to answer a question of a survey.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How much longer for each partition that they are asked about: a small broker needs seconds for ten thousand, and to take it for one
/// that is down would have all of them checked anew.
const ANSWER_A_PARTITION: Duration = Duration::from_millis(1);

/// How many partitions make the brokers' time longer at most.
const PATIENT_PARTITIONS_MAX: usize = 20_000;

/// How long the brokers may take to answer a question about so many partitions.
fn answer_within(partitions: usize) -> Duration {
    ANSWER_WITHIN + ANSWER_A_PARTITION * partitions.min(PATIENT_PARTITIONS_MAX) as u32
}

/// How long a poll waits when nothing has come: the longest that a stop has to wait.
const POLL_IDLE: Duration = Duration::from_millis(100);

/// How many records a batch holds at most: enough to spread the cost of one fsync, few enough to be decoded in a tenth of a second.
const BATCH_RECORDS_MAX: usize = 4_096;

/// How many bytes of keys, bodies and header values a batch holds before it is closed: with one batch kept, one waiting and one
/// being filled, three times this and at most one huge record each.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// How long a batch waits for company: long enough for many records under load, too short to be seen.
const BATCH_LINGER: Duration = Duration::from_millis(15);

/// How much is heard of librdkafka in a row beside the reading.
const HEARD_AT_ONCE: usize = 100;

/// What the thread is to watch.
pub struct Watch {
    pub brokers: Vec<String>,
    pub client_config: ClientConfig,
    pub selection: Selection,
    pub from: From,
    pub transactions: Transactions,
    pub tokens: Option<Arc<Tokens>>,
    pub optional: bool,
    pub checkpoint: Checkpoint,
    pub notice: Notice,
    pub stop: CancellationToken,
    pub batches: mpsc::Sender<Batch>,
}

/// Why the thread ends.
struct Stopped;

/// Reads one cluster until it is told to stop.
pub struct Observer {
    watch: Watch,
    hearing: Hearing,
    topics: HashMap<String, Topic>,
    cluster: Option<Arc<str>>,
    batch: Vec<Raw>,
    batch_bytes: usize,
    batch_began: Instant,
    survey_at: Instant,
    surveyed: bool,
    /// The brokers didn't answer the last survey: when they do again, everything is checked anew.
    was_down: bool,
    /// librdkafka stopped reading some partition and doesn't say which.
    stuck: bool,
    /// Nothing was waiting at some poll since the last survey.
    drained: bool,
    /// When the last message came.
    last_taken: Instant,
    /// The brokers refuse to let us read some topic, and don't say which.
    refused: bool,
    /// What is wrong with a record, since the last survey.
    damaged: Option<String>,
    cannot_seek_by_time: bool,
    probed_time: bool,
    probed_groups: bool,
    /// How many surveys in a row told no topic's id.
    idless_surveys: u32,
    /// Where we read on since the last batch.
    touched: Vec<(Channel, i32)>,
    /// What expired before it was read, since the last batch.
    gaps: Vec<Gap>,
    /// Where last stable offsets stand still.
    standing: transactions::Standing,
    /// The second reader, where open and aborted records are to be shown.
    uncommitted: Option<Uncommitted>,
}

impl Observer {
    pub fn new(watch: Watch) -> Observer {
        let mut topics: HashMap<String, Topic> = HashMap::new();
        for ((channel, number), reached) in &watch.checkpoint.partitions {
            let topic = topics.entry(channel.as_str().to_owned()).or_insert_with(|| Topic::new(channel.clone()));
            topic.incarnation = topic.incarnation.max(reached.incarnation);
            topic.partitions.insert(*number, Partition::new(reached.clone(), State::Waiting));
        }
        let now = Instant::now();
        Observer {
            hearing: Hearing::new(watch.tokens.clone()),
            watch,
            topics,
            cluster: None,
            batch: Vec::new(),
            batch_bytes: 0,
            batch_began: now,
            survey_at: now,
            surveyed: false,
            was_down: false,
            stuck: false,
            drained: false,
            last_taken: now,
            refused: false,
            damaged: None,
            cannot_seek_by_time: false,
            probed_time: false,
            probed_groups: false,
            idless_surveys: 0,
            touched: Vec::new(),
            gaps: Vec::new(),
            standing: transactions::Standing::new(),
            uncommitted: None,
        }
    }

    /// Reads until told to stop, or until librdkafka gives up: then the source is opened anew.
    pub fn run(mut self) {
        let consumer = match self.consumer() {
            Ok(consumer) => consumer,
            Err(error) => return self.watch.notice.down(format!("librdkafka can't start: {error}")),
        };
        while !self.watch.stop.is_cancelled() {
            if self.step(&consumer).is_err() {
                return;
            }
        }
    }

    fn consumer(&mut self) -> Result<BaseConsumer<Hearing>, KafkaError> {
        if self.watch.transactions == Transactions::Show {
            self.uncommitted = Some(Uncommitted::new(&self.watch.client_config, self.hearing.clone())?);
        }
        self.watch.client_config.create_with_context(self.hearing.clone())
    }

    fn step(&mut self, consumer: &BaseConsumer<Hearing>) -> Result<(), Stopped> {
        if Instant::now() >= self.survey_at {
            self.survey(consumer)?;
        }
        let wait = if self.batch.is_empty() {
            POLL_IDLE.min(self.survey_at.saturating_duration_since(Instant::now()))
        } else {
            BATCH_LINGER.saturating_sub(self.batch_began.elapsed())
        };
        match consumer.poll(wait) {
            Some(Ok(message)) => self.take(&message),
            Some(Err(error)) => return self.trouble(&error),
            None => self.drained = true,
        }
        self.read_uncommitted(consumer)?;
        let full = self.batch.len() >= BATCH_RECORDS_MAX || self.batch_bytes >= BATCH_BYTES_MAX;
        if full || (!self.batch.is_empty() && self.batch_began.elapsed() >= BATCH_LINGER) {
            self.hand_over(Checkpoint::none(self.watch.checkpoint.source.clone()), None)?;
        }
        Ok(())
    }

    /// Lets librdkafka say what it has to say: why it reaches nobody, that it needs a token.
    fn hear(&mut self, consumer: &BaseConsumer<Hearing>) -> Result<(), Stopped> {
        for _ in 0..HEARD_AT_ONCE {
            match consumer.poll(Duration::ZERO) {
                Some(Ok(message)) => self.take(&message),
                Some(Err(error)) => self.trouble(&error)?,
                None => break,
            }
        }
        Ok(())
    }

    /// Puts a message into the batch, unless it only proves that the topic is the same, or isn't.
    fn take(&mut self, message: &BorrowedMessage<'_>) {
        let Some(topic) = self.topics.get_mut(message.topic()) else { return };
        let Some(partition) = topic.partitions.get_mut(&message.partition()) else { return };
        let seen = Seen::of(message);
        match partition.state {
            State::New { .. } | State::Waiting => return, // left over from before it was put elsewhere
            State::Reading => {}
            State::Checking => {
                partition.state = State::Reading;
                if seen.offset == partition.reached.next - 1 && !partition.knows_again(&seen) {
                    topic.reborn = true;
                    for partition in topic.partitions.values_mut() {
                        partition.state = State::Waiting;
                    }
                    self.survey_at = Instant::now();
                    return;
                }
            }
        }
        if seen.offset < partition.reached.next {
            return; // kept already
        }
        let is_kept = partition.kept_in_an_earlier_life(&seen);
        partition.reach(seen, topic.id.is_some());
        if let Some(undecided) = &mut partition.undecided {
            undecided.committed(seen.offset);
        }
        if !std::mem::replace(&mut partition.touched, true) {
            self.touched.push((topic.channel.clone(), message.partition()));
        }
        self.last_taken = Instant::now();
        if is_kept {
            return;
        }
        let raw = message::raw(
            message,
            Around {
                source: &self.watch.checkpoint.source,
                cluster: self.cluster.as_ref(),
                channel: &topic.channel,
                incarnation: topic.incarnation,
                received_at: Timestamp::now(),
            },
        );
        self.keep(raw);
    }

    /// Puts a message into the batch.
    fn keep(&mut self, raw: Raw) {
        if self.batch.is_empty() {
            self.batch_began = Instant::now();
        }
        self.batch_bytes += raw.bytes();
        self.batch.push(raw);
    }

    /// Hands the batch to the store's side, and waits while that is busy. `beside` is what else the checkpoint is to say,
    /// `open` what is to be shown of open transactions.
    fn hand_over(&mut self, beside: Checkpoint, open: Option<Vec<Raw>>) -> Result<(), Stopped> {
        let mut checkpoint = beside;
        checkpoint.cluster = self.cluster.as_deref().map(str::to_owned);
        for (channel, number) in std::mem::take(&mut self.touched) {
            let topic = self.topics.get_mut(channel.as_str());
            let Some(partition) = topic.and_then(|topic| topic.partitions.get_mut(&number)) else { continue };
            if !partition.is_decided() {
                self.touched.push((channel, number)); // its aborted records come with a later batch, and so does its place
                continue;
            }
            partition.touched = false;
            checkpoint.partitions.insert((channel, number), partition.reached.clone());
        }
        let (raws, gaps) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.gaps));
        self.batch_bytes = 0;
        if raws.is_empty() && gaps.is_empty() && open.is_none() && checkpoint.partitions.is_empty() {
            return Ok(());
        }
        self.watch.batches.blocking_send(Batch { raws, gaps, open, checkpoint }).map_err(|_| Stopped)
    }

    /// librdkafka says that something is wrong.
    fn trouble(&mut self, error: &KafkaError) -> Result<(), Stopped> {
        if let KafkaError::MessageConsumptionFatal(_) = error {
            self.watch.notice.down(format!("librdkafka gave up and is started anew: {error}"));
            return Err(Stopped);
        }
        match error.rdkafka_error_code() {
            // It reads no further in some partition until it is put elsewhere, and doesn't say which.
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                self.stuck = true;
                self.survey_at = Instant::now();
            }
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                self.refused = true;
                self.survey_at = self.survey_at.min(Instant::now() + SURVEY_AGAIN);
            }
            // Reading goes on without: we are in no group.
            Some(RDKafkaErrorCode::GroupAuthorizationFailed) => self.watch.notice.unseen(rights::NO_GROUPS),
            Some(RDKafkaErrorCode::BadMessage) => {
                let trouble = self.hearing.trouble(Instant::now() - SURVEY_EVERY);
                self.damaged = Some(advice(&self.watch.brokers.join(","), trouble.as_ref()));
                self.survey_at = self.survey_at.min(Instant::now() + SURVEY_AGAIN);
            }
            // A topic is gone, or is another one already: whatever we read is checked.
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::UnknownTopicId,
            ) => {
                self.stuck = true;
                self.survey_at = self.survey_at.min(Instant::now() + SURVEY_AGAIN);
            }
            // Brokers that are gone: the survey finds out which.
            _ => self.survey_at = self.survey_at.min(Instant::now() + SURVEY_AGAIN),
        }
        Ok(())
    }
}
