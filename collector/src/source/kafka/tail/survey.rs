//! The survey: which topics and partitions there are, where each log begins and ends, and where we read on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::Metadata;
use rdkafka::topic_partition_list::Offset;
use store::board::{ChannelStatus, PartitionBounds};
use store::checkpoint::Reached;
use store::position::Incarnation;
use store::{Checkpoint, Gap, Timestamp};

use super::ask::{self, AllBounds};
use super::partition::{Partition, State, Topic};
use super::undecided::Undecided;
use super::{Observer, SURVEY_AGAIN, SURVEY_EVERY, Stopped, answer_within};
use crate::source::from::From;
use crate::source::kafka::client::{Hearing, Trouble, advice, advice_on_delay, advice_on_silence};
use crate::source::kafka::place::{self, Place};

/// When nothing has come for so long although we polled, nothing is left to come: some fetches' worth of waiting.
const QUIET_FOR: Duration = Duration::from_millis(1_500);

/// From so many partitions on, surveys are less frequent: brokers are asked for three offsets of each.
const MANY_PARTITIONS: usize = 2_000;

/// How often we look at a cluster with so many: new topics and partitions are still read within 10 s.
const SURVEY_EVERY_OF_MANY: Duration = Duration::from_secs(8);

impl Observer {
    /// Looks at the cluster, and puts every partition where it belongs.
    pub(super) fn survey(&mut self, consumer: &BaseConsumer<Hearing>) -> Result<(), Stopped> {
        let began = Instant::now();
        self.survey_at = began + SURVEY_EVERY;
        if self.watch.optional && !self.surveyed && !self.somebody_listens() {
            self.watch.notice.absent(self.absence());
            return Ok(());
        }
        if !self.surveyed {
            self.hear(consumer)?;
        }
        let patience = answer_within(self.topics.values().map(|topic| topic.partitions.len()).sum());
        let listed = match consumer.fetch_metadata(None, patience) {
            Ok(metadata) if !metadata.brokers().is_empty() => self.listed(&metadata),
            answer => {
                self.hear(consumer)?;
                tracing::debug!(?answer, "no metadata");
                let reason = self.why_down(began, patience);
                self.watch.notice.down(reason);
                self.was_down = true;
                self.survey_at = Instant::now() + SURVEY_AGAIN;
                return Ok(());
            }
        };
        if listed.values().map(Vec::len).sum::<usize>() > MANY_PARTITIONS {
            self.survey_at = began + SURVEY_EVERY_OF_MANY;
        }
        let another_cluster = self.is_another_cluster(consumer);
        self.enter(&listed);
        self.leave_unlisted(consumer, &listed);
        self.identify(consumer, &listed);
        let ends = self.high_watermarks(consumer, &listed);
        let bounds = match ask::bounds(consumer, &listed) {
            Ok(bounds) => bounds,
            Err(error) => {
                tracing::debug!(%error, "no offsets"); // a leader just moved, or the topic just went: the next survey sees it
                self.survey_at = Instant::now() + SURVEY_AGAIN;
                return Ok(());
            }
        };
        self.probe(consumer, &bounds);
        self.settle(consumer, &bounds, another_cluster)?;
        self.surveyed = true;
        self.was_down = false;
        self.stuck = false;
        let missing = self.missing(consumer, &listed);
        match self.damaged.take().into_iter().chain(missing).reduce(|one, other| format!("{one}; {other}")) {
            Some(reason) => self.watch.notice.up_but(reason),
            None => self.watch.notice.up(),
        }
        self.measure(&bounds);
        self.look_for_transactions(&bounds, ends);
        Ok(())
    }

    fn why_down(&self, began: Instant, waited: Duration) -> String {
        let brokers = self.watch.brokers.join(",");
        let trouble = self.hearing.trouble(began - SURVEY_EVERY * 10);
        let protocol = self.watch.client_config.get("security.protocol");
        let is_plain = protocol.is_none_or(|protocol| protocol.eq_ignore_ascii_case("plaintext"));
        if is_plain && trouble.as_ref().is_none_or(Trouble::is_silence) && self.somebody_listens() {
            return if self.surveyed { advice_on_delay(&brokers, waited) } else { advice_on_silence(&brokers) };
        }
        advice(&brokers, trouble.as_ref())
    }

    fn absence(&self) -> String {
        format!(
            "no Kafka listens on {}, which is only tried because no source is configured: start one there, \
             or add a `[[source]]` with your own `brokers` to sillage.toml",
            self.watch.brokers.join(",")
        )
    }

    /// The topics that are meant, each with those of its partitions that somebody leads.
    fn listed(&mut self, metadata: &Metadata) -> BTreeMap<String, Vec<i32>> {
        let mut listed = BTreeMap::new();
        for topic in metadata.topics().iter().filter(|topic| self.watch.selection.takes(topic.name())) {
            if topic.error().is_some() {
                continue;
            }
            let led = topic.partitions().iter().filter(|partition| partition.leader() >= 0);
            listed.insert(topic.name().to_owned(), led.map(|partition| partition.id()).collect());
        }
        listed
    }

    /// Takes up topics and partitions that are new to us.
    fn enter(&mut self, listed: &BTreeMap<String, Vec<i32>>) {
        // `from` speaks of the first look at a source. What appears later is read from its beginning: it is news from its first record on.
        let by_config = !self.surveyed && self.watch.checkpoint.partitions.is_empty();
        for (name, numbers) in listed {
            let topic = self.topics.entry(name.clone()).or_insert_with(|| Topic::new(name.as_str().into()));
            for number in numbers {
                topic.partitions.entry(*number).or_insert_with(|| {
                    let reached = Reached { incarnation: topic.incarnation, ..Reached::default() };
                    Partition::new(reached, State::New { by_config })
                });
            }
        }
    }

    /// Stops reading what is gone, or led by nobody; it stays known, and is checked when it comes back.
    fn leave_unlisted(&mut self, consumer: &BaseConsumer<Hearing>, listed: &BTreeMap<String, Vec<i32>>) {
        for (name, topic) in &mut self.topics {
            let present = listed.get(name);
            for (number, partition) in &mut topic.partitions {
                if partition.assigned && !present.is_some_and(|numbers| numbers.contains(number)) {
                    partition.bounds = None;
                    partition.leave();
                }
            }
        }
        self.unassign(consumer);
    }

    /// Decides for every partition where it belongs, and puts it there.
    fn settle(
        &mut self,
        consumer: &BaseConsumer<Hearing>,
        bounds: &AllBounds,
        another_cluster: bool,
    ) -> Result<(), Stopped> {
        // What was read before a decision belongs to the time before it.
        self.hand_over(self.nothing(), None)?;
        let check_all = self.was_down || self.stuck;
        let now = Instant::now();
        for (name, topic) in &mut self.topics {
            for (number, partition) in &mut topic.partitions {
                partition.bounds = bounds.get(&(name.clone(), *number)).copied();
                let Some(bounds) = partition.bounds else { continue };
                let short = !matches!(partition.state, State::New { .. }) && bounds.end < partition.reached.next;
                if !short {
                    partition.short_since = None;
                } else if place::stays_short(&mut partition.short_since, now, topic.is_same && partition.was_read) {
                    topic.reborn = true;
                }
                let expired = bounds.begin > partition.reached.next;
                if partition.assigned && (check_all || short || expired) {
                    partition.leave();
                }
            }
            topic.reborn |= another_cluster;
        }
        let mut beside = self.nothing();
        self.begin_again(&mut beside, another_cluster);
        self.unassign(consumer);
        self.assign(consumer, &mut beside);
        let open = self.open_records();
        self.hand_over(beside, open)
    }

    /// Topics that were made again start over, all their partitions together, as another life.
    fn begin_again(&mut self, beside: &mut Checkpoint, another_cluster: bool) {
        if another_cluster {
            self.watch.notice.noticed(format!(
                "another cluster answers at {}: its topics are read from their beginning, beside what is kept of the old ones",
                self.watch.brokers.join(",")
            ));
        }
        for (name, topic) in &mut self.topics {
            if !std::mem::take(&mut topic.reborn) {
                continue;
            }
            topic.incarnation = Incarnation(topic.incarnation.0 + 1);
            for (number, partition) in &mut topic.partitions {
                let next = partition.bounds.map_or(0, |bounds| bounds.begin);
                partition.begin_again(topic.incarnation, next);
                beside.partitions.insert((topic.channel.clone(), *number), partition.reached.clone());
            }
            if !another_cluster {
                self.watch.notice.noticed(format!(
                    "topic `{name}` was deleted and made again: it is read from its beginning, beside what is kept of the old one"
                ));
            }
        }
    }

    /// Lets go of the partitions that were left.
    fn unassign(&mut self, consumer: &BaseConsumer<Hearing>) {
        let mut list = TopicPartitionList::new();
        for (name, topic) in &mut self.topics {
            for (number, partition) in &mut topic.partitions {
                if partition.assigned && matches!(partition.state, State::Waiting) {
                    partition.assigned = false;
                    list.add_partition(name, *number);
                }
            }
        }
        if list.count() == 0 {
            return;
        }
        if let Err(error) = consumer.incremental_unassign(&list) {
            tracing::warn!(%error, "librdkafka did not let go of {} partitions", list.count());
        }
        if let Some(uncommitted) = &self.uncommitted {
            uncommitted.unassign(&list);
        }
    }

    /// Begins to read the partitions that wait and can be read.
    fn assign(&mut self, consumer: &BaseConsumer<Hearing>, beside: &mut Checkpoint) {
        let by_time = self.offsets_by_time(consumer);
        let (mut list, mut everything) = (TopicPartitionList::new(), TopicPartitionList::new());
        for (name, topic) in &mut self.topics {
            for (number, partition) in &mut topic.partitions {
                let (false, Some(bounds)) = (partition.assigned, partition.bounds) else { continue };
                if let State::New { by_config } = partition.state {
                    let timed = by_time.get(&(name.clone(), *number)).copied();
                    partition.reached.next = match (by_config, self.watch.from) {
                        (false, _) | (true, From::Earliest) => bounds.begin,
                        (true, From::Latest) => bounds.end,
                        (true, From::Ago(_) | From::At(_)) => timed.unwrap_or(bounds.begin),
                    };
                    partition.state = State::Waiting;
                    beside.partitions.insert((topic.channel.clone(), *number), partition.reached.clone());
                }
                let offset = match place::place(&partition.reached, bounds) {
                    Place::Short => continue,
                    Place::Check(offset) => {
                        partition.state = State::Checking;
                        offset
                    }
                    Place::On(offset) => {
                        partition.state = State::Reading;
                        partition.reached.next = offset;
                        offset
                    }
                    Place::Gap(offset) => {
                        let gap = Gap {
                            source: self.watch.checkpoint.source.clone(),
                            channel: topic.channel.clone(),
                            partition: *number,
                            first: partition.reached.next,
                            last: offset - 1,
                        };
                        self.watch.notice.lost_sight(
                            "expired before they were read",
                            u64::try_from(offset - gap.first).unwrap_or_default(),
                            gap.advice(),
                        );
                        self.gaps.push(gap);
                        partition.state = State::Reading;
                        partition.undecided = None;
                        partition.reached =
                            Reached { incarnation: topic.incarnation, next: offset, ..Reached::default() };
                        beside.partitions.insert((topic.channel.clone(), *number), partition.reached.clone());
                        offset
                    }
                };
                partition.assigned = true;
                list.add_partition_offset(name, *number, Offset::Offset(offset))
                    .expect("an offset of the broker's is not negative");
                if self.uncommitted.is_some() {
                    let next = partition.reached.next;
                    let undecided = partition.undecided.get_or_insert_with(|| Undecided::at(next));
                    let from = undecided.again().clamp(bounds.begin, next.max(bounds.begin));
                    everything
                        .add_partition_offset(name, *number, Offset::Offset(from))
                        .expect("an offset of the broker's is not negative");
                }
            }
        }
        if list.count() == 0 {
            return;
        }
        if let Err(error) = consumer.incremental_assign(&list) {
            tracing::warn!(%error, "librdkafka did not take {} partitions, which are tried again", list.count());
            for element in list.elements() {
                let topic = self.topics.get_mut(element.topic());
                if let Some(partition) = topic.and_then(|topic| topic.partitions.get_mut(&element.partition())) {
                    partition.assigned = false;
                    partition.state = State::Waiting;
                }
            }
        } else if let Some(uncommitted) = &mut self.uncommitted {
            uncommitted.assign(&everything);
        }
    }

    /// Puts up what is watched, and how far behind we are.
    fn measure(&mut self, bounds: &AllBounds) {
        let now = Timestamp::now();
        let drained = std::mem::take(&mut self.drained);
        let quiet = drained && self.last_taken.elapsed() >= QUIET_FOR;
        let mut behind_ms = Some(0);
        let mut channels = Vec::new();
        for (name, topic) in &mut self.topics {
            let mut status =
                ChannelStatus { channel: name.clone(), partitions: 0, records: Some(0), bounds: [].into() };
            let mut all_bounds = Vec::new();
            for (number, partition) in &mut topic.partitions {
                let Some(bounds) = bounds.get(&(name.clone(), *number)) else { continue };
                status.partitions += 1;
                all_bounds.push(PartitionBounds { partition: *number, begin: bounds.begin, end: bounds.end });
                let held = u64::try_from(bounds.end - bounds.begin).unwrap_or_default();
                status.records = status.records.map(|records| records + held);
                // Transaction markers take offsets at the end of a log and never arrive: a partition with nothing to come is not behind.
                let caught_up = partition.reached.next >= bounds.end || quiet || (drained && !partition.moved);
                if !caught_up {
                    let since = partition.reached.last_timestamp.map(|last| now.nanos_since(last).max(0));
                    let since_ms = since.and_then(|nanos| u64::try_from(nanos / 1_000_000).ok());
                    behind_ms = behind_ms.zip(since_ms).map(|(one, other): (u64, u64)| one.max(other));
                }
                partition.moved = false;
            }
            if status.partitions > 0 {
                status.bounds = all_bounds.into();
                channels.push(status);
            }
        }
        channels.sort_by(|one, other| one.channel.cmp(&other.channel));
        self.watch.notice.measured(behind_ms, channels);
    }

    fn nothing(&self) -> Checkpoint {
        Checkpoint::none(self.watch.checkpoint.source.clone())
    }
}
