//! One redrive, a batch at a time: noted, sent, noted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use store::board::SourceState;
use store::dead_letters::{Decided, Dismissals};
use store::redrive::ledger::{Course, Step as MessageStep};
use store::redrive::said::{self, MESSAGES_PER_LINE, Said, Sending, Sent, Told};
use store::redrive::{Planning, Redrive, Redrives, outcome};
use store::{SourceName, StoreError};

use super::broker::{Broker, Delivered, Search, Sought};
use super::message::{Prepared, Ready, prepare};
use super::pace::Pace;
use super::{LOOK_AGAIN, SETTLED_AFTER, Setup};

/// How many bytes of messages are in memory together at most; one message may be larger.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// In whose name the lines are that nobody asked for.
const US: &str = "sillage";

/// One redrive, and what is needed for its next step.
pub struct Job<'a> {
    pub setup: &'a Setup,
    pub redrives: &'a Redrives,
    pub dismissals: &'a Dismissals,
    pub redrive: &'a Redrive,
}

/// What came of a step.
pub enum Step {
    /// Something was done, and more can be.
    Done,
    /// Messages were sent, and it is known what became of each.
    Sent,
    /// Messages were sent of which nobody knows whether they arrived: why.
    Unsure(String),
    /// The next thing is due in so long.
    Later(Duration),
    /// Nothing can be done now, and why.
    Waits(String),
    /// It stands still, as somebody wants.
    Nothing,
    /// It is over.
    Closed,
}

/// What became of messages that were sent, as far as that is known, and why it isn't of the others.
type SentNoted = (Vec<Told>, Option<String>);

/// Since when nothing more is sent of what may have been sent.
#[derive(Clone, Debug)]
pub struct Settling {
    pub since: Instant,
    pub why: String,
    /// How many batches in a row nobody knew of.
    pub in_a_row: u32,
}

impl Job<'_> {
    /// Does the next thing.
    pub async fn step(&self, pace: &mut Pace, settling: &Settling) -> Result<Step, StoreError> {
        let is_sending = |step: &MessageStep| matches!(step, MessageStep::Sending(_));
        if self.redrive.messages.iter().any(|message| is_sending(&message.step)) {
            if settling.since.elapsed() < SETTLED_AFTER {
                let why =
                    format!("{}: what may have been sent is looked for once nothing more can arrive", settling.why);
                return Ok(Step::Waits(why));
            }
            return self.resolve(settling.since).await;
        }
        let has_more = !self.waiting().is_empty();
        match self.redrive.course {
            Course::Incomplete | Course::Paused { .. } => Ok(Step::Nothing),
            Course::Going if has_more => self.send(pace).await,
            Course::Going | Course::Cancelled { .. } | Course::Finished => self.close().await,
        }
    }

    /// What plans for its messages are made with.
    pub fn planning(&self) -> Planning<'_> {
        Planning {
            store: &*self.setup.store,
            board: &self.setup.board,
            decided: Decided { dismissals: self.dismissals, redrives: self.redrives },
            redrives_max: self.setup.config.max_redrives,
            overrides: self.redrive.asked.overrides,
            to: self.redrive.asked.to.as_deref(),
            id: &self.redrive.id,
        }
    }

    /// The numbers of those whose turn has not come.
    fn waiting(&self) -> Vec<usize> {
        let messages = self.redrive.messages.iter().enumerate();
        messages.filter(|(_, message)| message.step == MessageStep::Waiting).map(|(number, _)| number).collect()
    }

    /// Sends the next ones.
    async fn send(&self, pace: &mut Pace) -> Result<Step, StoreError> {
        let allowed = match pace.allowed(Instant::now(), self.redrive.asked.rate) {
            Ok(allowed) => allowed,
            Err(wait) => return Ok(Step::Later(wait)),
        };
        if pace.begins() && self.too_many_died().await? {
            return Ok(Step::Done);
        }
        let waiting = self.waiting();
        let Some(first) = waiting.first() else { return Ok(Step::Done) };
        let source = self.redrive.messages[*first].letter.source.clone();
        let broker = match self.broker(&source) {
            Ok(broker) => broker,
            Err(step) => return Ok(step),
        };
        let allowed = usize::try_from(allowed).unwrap_or(MESSAGES_PER_LINE);
        let (mut ready, mut told, mut bytes): (Vec<Ready>, Vec<Told>, usize) = (Vec::new(), Vec::new(), 0);
        let mut not_yet = None;
        for number in waiting {
            // A batch is of one source.
            let is_of_another = self.redrive.messages[number].letter.source != source;
            if is_of_another
                || ready.len() == allowed
                || ready.len() + told.len() == MESSAGES_PER_LINE
                || bytes >= BATCH_BYTES_MAX
            {
                break;
            }
            match prepare(self, broker, number).await? {
                Prepared::Ready(one) => {
                    bytes += one.outgoing.value.as_ref().map_or(0, |value| value.len());
                    ready.push(*one);
                }
                Prepared::Refused(why) => told.push(Told { number, fate: Sent::Refused { why: said::why(&why) } }),
                Prepared::NotYet(why) => {
                    not_yet = Some(why);
                    break;
                }
            }
        }
        let many = u32::try_from(ready.len()).unwrap_or(u32::MAX);
        if let (true, true, Some(why)) = (ready.is_empty(), told.is_empty(), not_yet) {
            return Ok(Step::Waits(why));
        }
        let mut unsure = None;
        if !ready.is_empty() {
            match self.send_noted(broker, ready).await? {
                Ok((known, why)) => {
                    told.extend(known);
                    unsure = why;
                }
                Err(why) => return Ok(Step::Waits(why)),
            }
            pace.spend(many);
        }
        self.tell(told).await;
        Ok(unsure.map_or(Step::Sent, Step::Unsure))
    }

    /// Notes where messages go, sends them, and says what became of those of which that is known, and why it isn't of others. Nothing is
    /// sent where the broker doesn't tell where partitions end.
    async fn send_noted(
        &self,
        broker: &dyn Broker,
        ready: Vec<Ready>,
    ) -> Result<Result<SentNoted, String>, StoreError> {
        let mut partitions: Vec<(String, i32)> =
            ready.iter().map(|one| (one.outgoing.topic.clone(), one.outgoing.partition)).collect();
        partitions.sort();
        partitions.dedup();
        let ends: BTreeMap<(String, i32), i64> = match broker.ends(partitions.clone()).await {
            Ok(ends) => partitions.into_iter().zip(ends).collect(),
            Err(why) => return Ok(Err(why)),
        };
        let sending = |one: &Ready| {
            let (topic, partition) = (one.outgoing.topic.clone(), one.outgoing.partition);
            let end = ends.get(&(topic.clone(), partition)).copied().unwrap_or_default();
            Sending { number: one.number, topic, partition, end, group: one.group.clone() }
        };
        let messages = ready.iter().map(sending).collect();
        Said::Sending { messages }.append(&self.setup.journal, &self.redrive.id, US).await?;
        let (numbers, outgoing): (Vec<usize>, Vec<_>) = ready.into_iter().map(|one| (one.number, one.outgoing)).unzip();
        let delivered = broker.send(outgoing).await;
        let (mut told, mut unsure) = (Vec::new(), None);
        for (number, delivered) in numbers.into_iter().zip(delivered) {
            let fate = match delivered {
                Delivered::At(offset) => Sent::There { offset },
                Delivered::Refused(why) => Sent::Refused { why: said::why(&why) },
                Delivered::Unsure(why) => {
                    unsure = Some(why);
                    continue;
                }
            };
            told.push(Told { number, fate });
        }
        Ok(Ok((told, unsure)))
    }

    /// Looks for messages that may have been sent.
    async fn resolve(&self, since: Instant) -> Result<Step, StoreError> {
        let mut by_partition: BTreeMap<(SourceName, String, i32), Vec<(usize, i64)>> = BTreeMap::new();
        for (number, message) in self.redrive.messages.iter().enumerate() {
            if let MessageStep::Sending(target) = &message.step {
                let key = (message.letter.source.clone(), target.topic.clone(), target.partition);
                by_partition.entry(key).or_default().push((number, target.end));
            }
        }
        for ((source, topic, partition), sought) in by_partition {
            let broker = match self.broker(&source) {
                Ok(broker) => broker,
                Err(step) => return Ok(step),
            };
            let from = sought.iter().map(|(_, end)| *end).min().unwrap_or_default();
            let sought_at = Sought { id: self.redrive.id.clone(), topic: topic.clone(), partition, from, since };
            let search = match broker.find(sought_at).await {
                Ok(search) => search,
                Err(why) => return Ok(Step::Waits(why)),
            };
            let (found, is_whole) = match search {
                Search::Whole(found) => (found, true),
                Search::Lost(found) => (found, false),
            };
            let fate = |(number, end): (usize, i64)| {
                let there = found.iter().find(|(found, offset)| *found == number && *offset >= end);
                let fate = match there {
                    Some((_, offset)) => Sent::There { offset: *offset },
                    None if is_whole => Sent::NotThere,
                    None => {
                        let why = format!("records of `{topic}` went before we could look for it there");
                        Sent::Unknown { why: said::why(&why) }
                    }
                };
                Told { number, fate }
            };
            let told: Vec<Told> = sought.into_iter().map(fate).collect();
            for some in told.chunks(MESSAGES_PER_LINE) {
                self.tell(some.to_vec()).await;
            }
        }
        Ok(Step::Done)
    }

    /// Says what became of messages, however long the journal refuses: what isn't said has to be looked for after a restart.
    async fn tell(&self, messages: Vec<Told>) {
        if messages.is_empty() {
            return;
        }
        let said = Said::Told { messages };
        while let Err(error) = said.append(&self.setup.journal, &self.redrive.id, US).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what became of messages can't be written down yet"
            );
            tokio::select! {
                () = self.setup.stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Pauses it where so many died again that somebody should look first.
    async fn too_many_died(&self) -> Result<bool, StoreError> {
        let followed = outcome::follow(&*self.setup.store, &self.setup.board, self.redrive).await?;
        let [.., dead, _] = followed.tally();
        let borne = u64::from(self.redrive.asked.stop_after.max(1)) * u64::from(self.redrive.resumed + 1);
        if (dead as u64) < borne {
            return Ok(false);
        }
        self.pause(format!("{dead} of its messages died again: resume it once that is repaired, or cancel it")).await?;
        Ok(true)
    }

    /// Pauses it in our own name.
    pub async fn pause(&self, why: String) -> Result<(), StoreError> {
        Said::Paused { why }.append(&self.setup.journal, &self.redrive.id, US).await
    }

    /// Writes the line for the audit.
    async fn close(&self) -> Result<Step, StoreError> {
        let mut from: Vec<String> =
            self.redrive.messages.iter().map(|message| message.letter.channel.to_string()).collect();
        let targets = self.redrive.messages.iter().filter_map(|message| match &message.step {
            MessageStep::There { target, .. } | MessageStep::Unknown(target, _) => Some(target.topic.clone()),
            _ => None,
        });
        let mut to: Vec<String> = targets.collect();
        for topics in [&mut from, &mut to] {
            topics.sort();
            topics.dedup();
            topics.truncate(TOPICS_TOLD_MAX);
        }
        let result = match &self.redrive.course {
            Course::Cancelled { by } => format!("{}; cancelled by {by}", self.redrive.progress()),
            _ => self.redrive.progress().to_string(),
        };
        tracing::info!("redrive {} is over: {result}", self.redrive.id);
        let said = Said::Closed { what: self.redrive.asked.filter.clone(), from, to, result };
        said.append(&self.setup.journal, &self.redrive.id, &self.redrive.by).await?;
        Ok(Step::Closed)
    }

    /// The cluster of a source, once its topics are known.
    fn broker(&self, source: &SourceName) -> Result<&dyn Broker, Step> {
        let Some(broker) = self.setup.brokers.get(source) else {
            return Err(Step::Waits(format!("source `{source}` isn't configured any more, or is no Kafka")));
        };
        // Its topics are told a moment after it is up.
        let is_up = self
            .setup
            .board
            .sources()
            .iter()
            .any(|status| status.name == *source && status.state == SourceState::Up && !status.channels.is_empty());
        if is_up { Ok(broker.as_ref()) } else { Err(Step::Waits(format!("source `{source}` doesn't answer now"))) }
    }
}

/// How many topics the audit names.
const TOPICS_TOLD_MAX: usize = 50;
