//! What a round asks the brokers: which groups there are, what they committed, who their members are, where partitions end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::Consumer;

use super::{ANSWER_WITHIN, Names, Poller};
use crate::source::kafka::admin::{self, Committed, Described, TopicPartition};
use crate::source::kafka::client::Hearing;
use crate::source::kafka::tail::{self, AllBounds};

/// How many groups are watched: the design is for 500. Beyond, the last by name are left out, and Status says so.
const GROUPS_MAX: usize = 1_000;

/// How many groups are asked about in one call.
const DESCRIBED_AT_ONCE: usize = 100;

/// How many partitions are asked for by name of a broker that doesn't answer "all".
const NAMED_PARTITIONS_MAX: usize = 10_000;

/// How many rounds pass before a broker that couldn't list groups is asked again.
const LIST_AGAIN_AFTER: u32 = 30;

impl Poller {
    /// Which groups are meant: those that are listed and match, and those that are named whether listed or not.
    pub(super) fn names(&mut self, consumer: &BaseConsumer<Hearing>, is_mock: bool) -> Names {
        let mut names: Names =
            self.watch.groups.iter().filter(|name| is_plain(name)).map(|name| (name.clone(), is_mock)).collect();
        if is_mock {
            return names;
        }
        if self.list_after > 0 {
            self.list_after -= 1;
            return names;
        }
        match admin::list_groups(consumer.client(), ANSWER_WITHIN) {
            Ok(listed) => {
                for listed in listed.into_iter().filter(|listed| self.selection.takes(&listed.group)) {
                    names.insert(listed.group, true);
                }
            }
            Err(error) => {
                self.list_after = LIST_AGAIN_AFTER;
                self.say(format!("groups can't be listed, those that are named are asked for: {error}"));
            }
        }
        let left_out = names.len().saturating_sub(GROUPS_MAX);
        if left_out > 0 {
            while names.len() > GROUPS_MAX {
                names.pop_last();
            }
            self.say(format!("{left_out} groups are left out beyond {GROUPS_MAX}: narrow `groups` down"));
        }
        names
    }

    /// What is said once in the log.
    fn say(&mut self, sentence: String) {
        if self.said.as_deref() != Some(sentence.as_str()) {
            tracing::warn!(source.name = self.watch.source.as_str(), "source `{}`: {sentence}", self.watch.source);
            self.said = Some(sentence);
        }
    }

    pub(super) fn committed(
        &self,
        consumer: &BaseConsumer<Hearing>,
        names: &Names,
        all: &BTreeSet<TopicPartition>,
    ) -> HashMap<String, Result<Committed, ()>> {
        let asked: Vec<&str> = names.keys().map(String::as_str).collect();
        let answers = admin::committed(consumer.client(), &asked, None, ANSWER_WITHIN);
        let mut committed: HashMap<String, Result<Committed, ()>> =
            asked.iter().zip(answers).map(|(name, answer)| ((*name).to_owned(), answer.map_err(drop))).collect();
        // Some answer "all" with none (librdkafka's mock cluster): named groups are asked for once more, by partition.
        let silent = |name: &&str| {
            is_plain(name)
                && !committed.get(*name).is_some_and(|answer| answer.as_ref().is_ok_and(|all| !all.is_empty()))
        };
        let again: Vec<&str> = asked
            .iter()
            .copied()
            .filter(silent)
            .filter(|name| self.watch.groups.iter().any(|group| group == name))
            .collect();
        let partitions: Vec<TopicPartition> = all
            .iter()
            .filter(|(topic, _)| self.watch.topics.takes(topic))
            .take(NAMED_PARTITIONS_MAX)
            .cloned()
            .collect();
        if !again.is_empty() && !partitions.is_empty() && !self.is_stopping() {
            let answers = admin::committed(consumer.client(), &again, Some(&partitions), ANSWER_WITHIN);
            committed
                .extend(again.iter().zip(answers).map(|(name, answer)| ((*name).to_owned(), answer.map_err(drop))));
        }
        committed
    }

    pub(super) fn described(&self, consumer: &BaseConsumer<Hearing>, names: &Names) -> HashMap<String, Described> {
        let listed: Vec<&str> =
            names.iter().filter(|(_, is_listed)| **is_listed).map(|(name, _)| name.as_str()).collect();
        let mut described = HashMap::new();
        let deadline = Instant::now() + ANSWER_WITHIN;
        for some in listed.chunks(DESCRIBED_AT_ONCE) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.is_stopping() {
                break;
            }
            for group in admin::describe_groups(consumer.client(), some, left) {
                described.insert(group.group.clone(), group);
            }
        }
        described
    }
}

/// Where the partitions that groups read begin and end; `None` where the brokers don't answer.
pub(super) fn bounds(
    consumer: &BaseConsumer<Hearing>,
    all: &BTreeSet<TopicPartition>,
    committed: &HashMap<String, Result<Committed, ()>>,
    described: &HashMap<String, Described>,
) -> Option<AllBounds> {
    let read = committed.values().flatten().flat_map(|committed| committed.keys());
    let owned = described.values().flat_map(|group| &group.members).flat_map(|member| &member.owns);
    let mut listed: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in read.chain(owned).filter(|partition| all.contains(partition)).collect::<BTreeSet<_>>() {
        listed.entry(topic.clone()).or_default().push(*partition);
    }
    match tail::bounds(consumer, &listed) {
        Ok(bounds) => Some(bounds),
        Err(error) => {
            tracing::debug!(%error, "no offsets for groups"); // a leader just moved: the next round sees it
            None
        }
    }
}

/// Whether a pattern names one group.
fn is_plain(pattern: &str) -> bool {
    !pattern.starts_with('!') && !pattern.contains(['*', '?']) && !pattern.is_empty()
}
