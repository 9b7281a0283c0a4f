//! What a survey asks the brokers: whether it is the same cluster, which topics are the same ones, where logs begin and end,
//! where a time lies, and what these brokers can't do.

use std::collections::{BTreeMap, HashMap};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::Offset;
use store::Timestamp;

use super::partition::{State, Topic};
use super::{ANSWER_WITHIN, Observer, SURVEY_AGAIN, answer_within};
use crate::source::from::From;
use crate::source::kafka::admin;
use crate::source::kafka::client::Hearing;
use crate::source::kafka::place::Bounds;

/// Where each partition that can be read now begins and ends.
pub(in crate::source::kafka) type AllBounds = HashMap<(String, i32), Bounds>;

/// What librdkafka's mock cluster calls itself: it lets DescribeTopics wait for ever, and its topics are never made again.
const MOCK_CLUSTER: &str = "mockCluster";

/// How long the broker may take to tell the ids of topics. We don't poll meanwhile.
const IDS_WITHIN: Duration = Duration::from_secs(2);

/// After so many surveys in a row without any id, this broker is taken for one that doesn't tell (Kafka before 2.8): asking costs us pauses.
const IDLESS_SURVEYS_MAX: u32 = 3;

impl Observer {
    /// Whether anything takes a connection at one of the brokers: asked first where nobody asked for this source.
    pub(super) fn somebody_listens(&self) -> bool {
        self.watch
            .brokers
            .iter()
            .filter_map(|broker| broker.to_socket_addrs().ok())
            .flatten()
            .any(|address| TcpStream::connect_timeout(&address, Duration::from_millis(300)).is_ok())
    }

    /// Whether the cluster has another id than the one that our places are of.
    pub(super) fn is_another_cluster(&mut self, consumer: &BaseConsumer<Hearing>) -> bool {
        let Some(id) = consumer.client().fetch_cluster_id(SURVEY_AGAIN) else { return false };
        let before = self.cluster.as_deref().map(str::to_owned).or_else(|| self.watch.checkpoint.cluster.clone());
        let is_another = before.is_some_and(|before| before != id);
        if self.cluster.as_deref() != Some(id.as_str()) {
            self.cluster = Some(id.into());
        }
        is_another
    }

    /// Asks for each topic's id: one with another id than before was made again.
    pub(super) fn identify(&mut self, consumer: &BaseConsumer<Hearing>, listed: &BTreeMap<String, Vec<i32>>) {
        let is_mock = self.cluster.as_deref().is_some_and(|cluster| cluster.starts_with(MOCK_CLUSTER));
        if is_mock || listed.is_empty() || self.idless_surveys >= IDLESS_SURVEYS_MAX {
            return;
        }
        let names: Vec<&str> = listed.keys().map(String::as_str).collect();
        let ids = admin::topic_ids(consumer.client(), &names, IDS_WITHIN);
        self.idless_surveys = if ids.is_empty() { self.idless_surveys + 1 } else { 0 };
        if self.idless_surveys >= IDLESS_SURVEYS_MAX {
            self.topics.values_mut().for_each(Topic::forget_id);
        }
        for (name, id) in ids {
            if let Some(topic) = self.topics.get_mut(&name) {
                topic.identify(id);
            }
        }
    }

    /// Where the time that `from` names lies in each partition that begins by it.
    pub(super) fn offsets_by_time(&self, consumer: &BaseConsumer<Hearing>) -> HashMap<(String, i32), i64> {
        let time = match self.watch.from {
            From::Latest | From::Earliest => return HashMap::new(),
            From::Ago(ago) => Timestamp::now().minus(ago),
            From::At(time) => time,
        };
        if self.cannot_seek_by_time {
            return HashMap::new();
        }
        let mut list = TopicPartitionList::new();
        for (name, topic) in &self.topics {
            for (number, partition) in &topic.partitions {
                if partition.bounds.is_some() && partition.state == (State::New { by_config: true }) {
                    let millis = Offset::Offset(time.as_millis().max(0));
                    list.add_partition_offset(name, *number, millis).expect("a time since the epoch is not negative");
                }
            }
        }
        if list.count() == 0 {
            return HashMap::new();
        }
        let patience = answer_within(list.count());
        let Ok(found) = consumer.offsets_for_times(list, patience) else { return HashMap::new() };
        let mut offsets = HashMap::new();
        for element in found.elements() {
            let key = (element.topic().to_owned(), element.partition());
            let end = self.topics[element.topic()].partitions[&element.partition()].bounds.map(|bounds| bounds.end);
            match (element.error(), element.offset()) {
                (Ok(()), Offset::Offset(offset)) => drop(offsets.insert(key, offset)),
                (Ok(()), Offset::End) => drop(end.and_then(|end| offsets.insert(key, end))), // nothing is as young
                _ => {}
            }
        }
        offsets
    }

    /// Finds out once what this broker can't do, and says so.
    pub(super) fn probe(&mut self, consumer: &BaseConsumer<Hearing>, bounds: &AllBounds) {
        if !self.probed_time
            && let Some(((name, number), _)) = bounds.iter().find(|(_, bounds)| bounds.begin < bounds.end)
        {
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(name, *number, Offset::Offset(0)).expect("the epoch is not negative");
            if let Ok(found) = consumer.offsets_for_times(list, ANSWER_WITHIN) {
                self.probed_time = true;
                // Everything is younger than 1970: a broker that finds nothing can't seek by time (librdkafka's mock cluster).
                self.cannot_seek_by_time = found.elements().iter().all(|found| found.offset() == Offset::End);
            }
            if self.cannot_seek_by_time {
                self.watch
                    .notice
                    .unseen("this broker can't seek by time: a `from` that names a time reads all that it holds");
            }
        }
        if !self.probed_groups && self.surveyed {
            self.probed_groups = true;
            let own = self.watch.client_config.get("group.id");
            if consumer.fetch_group_list(own, SURVEY_AGAIN).is_err() {
                self.watch
                    .notice
                    .unseen("this broker can't list consumer groups: only those named in `groups` are asked for");
            }
        }
    }
}

/// Where the log of each partition begins and ends, asked of each leader at once.
/// `offsets_for_times` passes the numbers that stand for "beginning" and "end" through to ListOffsets
/// (librdkafka : src/rdkafka.c, rd_kafka_offsets_for_times), and with `read_committed` the end is the last stable offset.
pub(in crate::source::kafka) fn bounds(
    consumer: &BaseConsumer<Hearing>,
    listed: &BTreeMap<String, Vec<i32>>,
) -> Result<AllBounds, KafkaError> {
    let ask = |place: Offset| -> Result<HashMap<(String, i32), i64>, KafkaError> {
        let mut list = TopicPartitionList::new();
        for (name, numbers) in listed {
            for number in numbers {
                list.add_partition_offset(name, *number, place)?;
            }
        }
        if list.count() == 0 {
            return Ok(HashMap::new());
        }
        let patience = answer_within(list.count());
        let found = consumer.offsets_for_times(list, patience)?;
        let known = found.elements().into_iter().filter_map(|element| match (element.error(), element.offset()) {
            (Ok(()), Offset::Offset(offset)) => Some(((element.topic().to_owned(), element.partition()), offset)),
            _ => None,
        });
        Ok(known.collect())
    };
    let begins = ask(Offset::Beginning)?;
    let ends = ask(Offset::End)?;
    let both = begins.into_iter().filter_map(|(key, begin)| {
        let end = *ends.get(&key)?;
        Some((key, Bounds { begin, end: end.max(begin) }))
    });
    Ok(both.collect())
}
