//! What a round asks the brokers: which groups there are, what they committed, who their members are, where partitions end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use super::{ANSWER_WITHIN, Poller};
use crate::source::kafka::admin::{self, Committed, Described, TopicPartition};
use crate::source::kafka::client::Hearing;
use crate::source::kafka::tail::{self, AllBounds};

/// How many groups are watched: the design is for 500. Beyond, the last by name are left out, and the log says so.
const GROUPS_MAX: usize = 1_000;

/// Of how many groups a round asks who the members are: those that changed their state first, then those that weren't asked for longest.
/// With 500 groups that have members, each is asked every half minute; whether a group has any is told by the list each time.
const DESCRIBED_A_ROUND_MAX: usize = 170;

/// How many groups are asked about in one call, so that a stop waits for few.
const AT_ONCE: usize = 100;

/// How long a round may take to ask what groups committed: half of it.
const COMMITS_WITHIN: Duration = Duration::from_secs(5);

/// How many partitions are asked for by name of a broker that doesn't answer "all".
const NAMED_PARTITIONS_MAX: usize = 10_000;

/// How many rounds pass before a broker that couldn't list groups is asked again.
const LIST_AGAIN_AFTER: u32 = 30;

/// How many rounds pass before it is asked again which groups there are that librdkafka's group calls don't see.
const OTHERS_EVERY: u32 = 6;

/// The groups of a round.
pub type Names = BTreeMap<String, Listing>;

/// What each group committed, or why that isn't told.
pub type AllCommitted = HashMap<String, Result<Committed, RDKafkaErrorCode>>;

/// What the list of groups says of one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Listing {
    /// It is there, and can be asked about.
    Consumer { state: Option<&'static str>, protocol: Option<&'static str>, is_simple: bool },
    /// It is there, but librdkafka's group calls don't see it: a share or streams group.
    OtherKind,
    /// The configuration names it, and the broker lists none of that name.
    Missing,
    /// The configuration names it, and the broker doesn't list groups.
    Unlisted,
}

/// What was last told of a group's members.
pub struct Kept {
    pub described: Described,
    /// In which round.
    round: u32,
    /// What state the list said then.
    listed: Option<&'static str>,
}

impl Poller {
    /// Finds out which groups are meant: those that are listed and match, and those that are named whether listed or not.
    pub(super) fn list(&mut self, consumer: &BaseConsumer<Hearing>, is_mock: bool) {
        let before = std::mem::take(&mut self.names);
        let mut names = Names::new();
        let mut is_listing = !is_mock && self.list_after == 0;
        self.list_after = self.list_after.saturating_sub(1);
        if is_listing {
            match admin::list_groups(consumer.client(), ANSWER_WITHIN) {
                Ok(all) => {
                    for listed in all.groups.into_iter().filter(|listed| self.is_meant(&listed.group)) {
                        let admin::Listed { group, state, protocol, is_simple } = listed;
                        names.insert(group, Listing::Consumer { state, protocol, is_simple });
                    }
                    self.list_others(consumer, &names);
                    names.extend(self.others.iter().map(|name| (name.clone(), Listing::OtherKind)));
                    if !all.is_complete {
                        for (name, listing) in before {
                            names.entry(name).or_insert(listing);
                        }
                    }
                }
                Err(RDKafkaErrorCode::ClusterAuthorizationFailed | RDKafkaErrorCode::GroupAuthorizationFailed) => {
                    is_listing = false;
                    self.list_after = LIST_AGAIN_AFTER;
                    self.say(
                        "groups can't be listed, those that are named are asked for: grant DESCRIBE on the cluster"
                            .to_owned(),
                    );
                }
                Err(error) => {
                    names = before;
                    self.say(format!("groups could not be listed just now: {error}"));
                }
            }
        }
        for name in self.watch.groups.iter().filter(|name| is_plain(name)) {
            let unlisted = if is_listing { Listing::Missing } else { Listing::Unlisted };
            names.entry(name.clone()).or_insert(unlisted);
        }
        let left_out = names.len().saturating_sub(GROUPS_MAX);
        if left_out > 0 {
            while names.len() > GROUPS_MAX {
                names.pop_last();
            }
            self.say(format!("{left_out} groups are left out beyond {GROUPS_MAX}: narrow `groups` down"));
        }
        self.names = names;
    }

    /// The groups that the oldest call of all lists and the newer ones leave out. A group that just came is no other kind: it is looked
    /// for twice.
    fn list_others(&mut self, consumer: &BaseConsumer<Hearing>, listed: &Names) {
        self.others.retain(|name| !listed.contains_key(name));
        if !self.rounds.is_multiple_of(OTHERS_EVERY) {
            return;
        }
        let Ok(all) = consumer.fetch_group_list(None, ANSWER_WITHIN) else { return };
        // Those of Kafka Connect's workers and of schema registries have a protocol of their own, and read no topics as groups do.
        let unknown =
            all.groups().iter().filter(|group| group.protocol_type().is_empty() && group.members().is_empty());
        self.others = unknown
            .map(|group| group.name().to_owned())
            .filter(|name| !listed.contains_key(name) && self.is_meant(name))
            .collect();
    }

    fn is_meant(&self, group: &str) -> bool {
        self.selection.takes(group) || self.watch.groups.iter().any(|name| name == group)
    }

    /// What is said once in the log.
    fn say(&mut self, sentence: String) {
        if self.said.as_deref() != Some(sentence.as_str()) {
            tracing::warn!(source.name = self.watch.source.as_str(), "source `{}`: {sentence}", self.watch.source);
            self.said = Some(sentence);
        }
    }

    /// Asks who the members of some groups are.
    pub(super) fn describe(&mut self, consumer: &BaseConsumer<Hearing>) {
        let mut due: Vec<(u32, &str, Option<&'static str>)> = Vec::new();
        for (name, listing) in &self.names {
            let state = match listing {
                Listing::Consumer { state: Some("Empty" | "Dead"), .. } => {
                    self.described.remove(name);
                    continue;
                }
                Listing::Consumer { state, .. } => *state,
                Listing::Unlisted => None,
                Listing::OtherKind | Listing::Missing => continue,
            };
            let asked = self.described.get(name).filter(|kept| kept.listed == state).map_or(0, |kept| kept.round + 1);
            due.push((asked, name, state));
        }
        due.sort_unstable();
        due.truncate(DESCRIBED_A_ROUND_MAX);
        let states: HashMap<&str, Option<&'static str>> = due.iter().map(|(_, name, state)| (*name, *state)).collect();
        let deadline = Instant::now() + ANSWER_WITHIN;
        for some in due.chunks(AT_ONCE) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.watch.stop.is_cancelled() {
                break;
            }
            let some: Vec<&str> = some.iter().map(|(_, name, _)| *name).collect();
            for described in admin::describe_groups(consumer.client(), &some, left) {
                let listed = states.get(described.group.as_str()).copied().flatten();
                let kept = Kept { round: self.rounds, listed, described };
                self.described.insert(kept.described.group.clone(), kept);
            }
        }
    }

    /// Asks what each group committed.
    pub(super) fn committed(
        &self,
        consumer: &BaseConsumer<Hearing>,
        all: &BTreeMap<String, Vec<i32>>,
        is_mock: bool,
    ) -> AllCommitted {
        // librdkafka's mock cluster answers "all" with none, so it is asked by partition.
        let named: Option<Vec<TopicPartition>> = is_mock.then(|| {
            let read = all.iter().filter(|(topic, _)| self.watch.topics.takes(topic));
            let partitions = read.flat_map(|(topic, numbers)| numbers.iter().map(|number| (topic.clone(), *number)));
            partitions.take(NAMED_PARTITIONS_MAX).collect()
        });
        let asked: Vec<&str> = self.names.keys().map(String::as_str).collect();
        let mut committed = AllCommitted::new();
        let deadline = Instant::now() + COMMITS_WITHIN;
        for some in asked.chunks(AT_ONCE) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.is_stopping() {
                break;
            }
            let answers = admin::committed(consumer.client(), some, named.as_deref(), left);
            committed.extend(some.iter().zip(answers).map(|(name, answer)| {
                let answer = match answer {
                    Err(RDKafkaErrorCode::GroupIdNotFound) => Ok(Committed::new()),
                    answer => answer,
                };
                ((*name).to_owned(), answer)
            }));
        }
        committed
    }

    /// The partitions that a group reads: where it has committed, what its members own, and what else there is of those topics.
    pub(super) fn read_by(
        &self,
        name: &str,
        committed: Option<&Result<Committed, RDKafkaErrorCode>>,
        all: &BTreeMap<String, Vec<i32>>,
    ) -> BTreeSet<TopicPartition> {
        let mut keys: BTreeSet<TopicPartition> = committed
            .and_then(|answer| answer.as_ref().ok())
            .into_iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect();
        let described = self.described.get(name).map(|kept| &kept.described);
        let owned = described.into_iter().flat_map(|described| &described.members).flat_map(|member| &member.owns);
        for (topic, partition) in owned {
            keys.insert((topic.clone(), *partition));
        }
        let assigned: BTreeSet<&String> = described
            .into_iter()
            .flat_map(|group| &group.members)
            .flat_map(|member| &member.owns)
            .map(|(topic, _)| topic)
            .collect();
        for topic in assigned {
            keys.extend(all.get(topic).into_iter().flatten().map(|number| (topic.clone(), *number)));
        }
        keys
    }
}

/// Where the partitions that groups read begin and end; `None` where the brokers don't answer.
pub fn bounds<'a>(
    consumer: &BaseConsumer<Hearing>,
    read: impl Iterator<Item = &'a TopicPartition>,
    all: &BTreeMap<String, Vec<i32>>,
) -> Option<AllBounds> {
    let mut listed: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in read.collect::<BTreeSet<_>>() {
        if all.get(topic).is_some_and(|numbers| numbers.contains(partition)) {
            listed.entry(topic.clone()).or_default().push(*partition);
        }
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
