//! The thread that asks how far consumer groups are behind, with a client of its own: a slow answer never holds back the tail.
//!
//! Every [`POLL_EVERY`]: list the groups, ask what each committed (one request a group, few at once), who its members are (one
//! request a group), and where the partitions concerned begin and end (two requests a broker that leads some). It joins nothing and
//! commits nothing. For 500 groups that is some thousand small requests in ten seconds, over all brokers.
//!
//! Not for: deciding how a group stands (`verdict`), since when it waits (`waiting`).

mod asking; // what a round asks the brokers
mod verdict; // how a group stands
mod waiting; // on which record, and since when

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use store::board::{Board, SourceState};
use store::groups::{GroupStatus, LagState, Member, PartitionLag, TimeLag};
use store::lag_series::{LagKey, LagSample};
use store::{Channel, SourceName, Store, Timestamp};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::admin::{self, Committed, Described, TopicPartition};
use super::client::Hearing;
use super::tail::AllBounds;
use crate::source::selection::Selection;
use verdict::{Look, Window};
use waiting::{Behind, Waiting};

/// How often groups are asked for: Burrow's default, and the shortest step that is kept of the course.
const POLL_EVERY: Duration = Duration::from_secs(10);

/// How long one kind of question may take, and the longest that a stop has to wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// How often we look whether the source is up, or everything stops.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What librdkafka's mock cluster calls itself: it can't list or describe groups, and answers "all partitions" with none.
const MOCK_CLUSTER: &str = "mockCluster";

const NOT_LISTED: &str = "the broker lists no such group: nobody has used the name yet, or it is a share group, which is not visible through this client";
const NOT_ANSWERED: &str = "the broker did not tell what this group committed: grant DESCRIBE on the group, and READ or DESCRIBE on its topics";

/// Whose lag is watched, and with what.
pub struct Watch {
    pub source: SourceName,
    pub client_config: ClientConfig,
    pub groups: Vec<String>,
    pub topics: Selection,
    pub store: Arc<dyn Store>,
    pub board: Arc<Board>,
    pub runtime: Handle,
    pub stop: CancellationToken,
}

/// What is remembered between rounds.
struct Poller {
    watch: Watch,
    selection: Selection,
    windows: HashMap<(String, TopicPartition), Window>,
    /// The sum of the lags of each group at the latest rounds.
    sums: HashMap<String, VecDeque<(Timestamp, u64)>>,
    waiting: Waiting,
    list_after: u32,
    said: Option<String>,
}

/// The groups of a round: by name, and whether the broker listed it.
type Names = BTreeMap<String, bool>;

/// Polls until told to stop. Blocks; for a thread of its own.
pub fn run(watch: Watch) {
    let selection = Selection::new("\0", &watch.groups);
    let consumer: BaseConsumer<Hearing> = match watch.client_config.create_with_context(Hearing::default()) {
        Ok(consumer) => consumer,
        Err(error) => {
            tracing::warn!(source.name = watch.source.as_str(), %error, "consumer groups can't be asked for");
            return;
        }
    };
    let mut poller = Poller {
        watch,
        selection,
        windows: HashMap::new(),
        sums: HashMap::new(),
        waiting: Waiting::default(),
        list_after: 0,
        said: None,
    };
    let mut next = Instant::now();
    while !poller.watch.stop.is_cancelled() {
        if Instant::now() >= next && poller.is_up() {
            next = Instant::now() + POLL_EVERY;
            poller.round(&consumer);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

impl Poller {
    fn is_up(&self) -> bool {
        let sources = self.watch.board.sources();
        sources.iter().any(|status| status.name == self.watch.source && status.state == SourceState::Up)
    }

    fn is_stopping(&self) -> bool {
        self.watch.stop.is_cancelled()
    }

    fn round(&mut self, consumer: &BaseConsumer<Hearing>) {
        let Ok(metadata) = consumer.fetch_metadata(None, ANSWER_WITHIN) else { return };
        let is_mock =
            consumer.client().fetch_cluster_id(ANSWER_WITHIN).is_some_and(|cluster| cluster.starts_with(MOCK_CLUSTER));
        let all: BTreeSet<TopicPartition> = metadata
            .topics()
            .iter()
            .flat_map(|topic| {
                let led = topic.partitions().iter().filter(|partition| partition.leader() >= 0);
                led.map(|partition| (topic.name().to_owned(), partition.id()))
            })
            .collect();
        let names = self.names(consumer, is_mock);
        let committed = self.committed(consumer, &names, &all);
        let described = if is_mock { HashMap::new() } else { self.described(consumer, &names) };
        if self.is_stopping() {
            return;
        }
        let Some(bounds) = asking::bounds(consumer, &all, &committed, &described) else { return };
        let at = Timestamp::now();
        let mut groups: Vec<GroupStatus> = names
            .iter()
            .map(|(name, is_listed)| {
                let answer = committed.get(name).and_then(|answer| answer.as_ref().ok());
                self.status(name, *is_listed, answer, described.get(name), &bounds, at)
            })
            .collect();
        self.look_for_waiting(&mut groups, at);
        self.remember(&groups, at);
        self.watch.board.post_groups(&self.watch.source, groups);
    }

    fn status(
        &mut self,
        name: &str,
        is_listed: bool,
        committed: Option<&Committed>,
        described: Option<&Described>,
        bounds: &AllBounds,
        at: Timestamp,
    ) -> GroupStatus {
        let mut keys: BTreeSet<TopicPartition> = committed.into_iter().flat_map(|all| all.keys().cloned()).collect();
        let mut owners: HashMap<TopicPartition, usize> = HashMap::new();
        for (number, member) in described.into_iter().flat_map(|described| described.members.iter().enumerate()) {
            for owned in &member.owns {
                keys.insert(owned.clone());
                owners.insert(owned.clone(), number);
            }
        }
        let mut partitions = Vec::new();
        for key in keys {
            let owner = owners.get(&key).copied();
            let bounds = bounds.get(&key);
            let look = Look {
                at,
                committed: committed.and_then(|all| all.get(&key).copied()),
                begin: bounds.map(|bounds| bounds.begin),
                end: bounds.map(|bounds| bounds.end),
                is_owned: described.map(|_| owner.is_some()),
            };
            let state = match committed {
                Some(_) => self.windows.entry((name.to_owned(), key.clone())).or_default().see(look),
                None => LagState::Unseen,
            };
            partitions.push(PartitionLag {
                topic: Channel::from(key.0),
                partition: key.1,
                committed: look.committed,
                end: look.end,
                lag: look.lag(),
                time: TimeLag::Unknown("nothing is committed"),
                state,
                owner,
            });
        }
        let unseen = match committed {
            None => Some(NOT_ANSWERED.to_owned()),
            Some(_) if !is_listed && partitions.is_empty() => Some(NOT_LISTED.to_owned()),
            Some(_) => None,
        };
        let state = match (&unseen, partitions.iter().map(|partition| partition.state).max()) {
            (Some(_), _) => LagState::Unseen,
            (None, None) => LagState::NoCommit,
            (None, Some(worst)) => worst,
        };
        let members = described.map(|described| {
            let member = |member: &admin::DescribedMember| Member {
                id: member.id.clone(),
                client_id: member.client_id.clone(),
                host: member.host.clone(),
            };
            described.members.iter().map(member).collect()
        });
        let mut status = GroupStatus {
            source: self.watch.source.clone(),
            group: name.to_owned(),
            state,
            broker_state: described.and_then(|described| described.state).map(str::to_owned),
            protocol: described.and_then(|described| described.protocol).map(str::to_owned),
            assignor: described.map(|described| described.assignor.clone()).filter(|assignor| !assignor.is_empty()),
            members,
            partitions,
            trend: None,
            unseen,
            at,
        };
        status.trend = self.trend(&status);
        status
    }

    /// How the sum of a group's lags changed over the latest rounds, in records a second.
    fn trend(&mut self, status: &GroupStatus) -> Option<f64> {
        let lag = status.lag()?;
        let sums = self.sums.entry(status.group.clone()).or_default();
        verdict::keep(sums, (status.at, lag));
        let ((first_at, first), (last_at, last)) = (*sums.front()?, *sums.back()?);
        let seconds = last_at.nanos_since(first_at) as f64 / 1e9;
        (seconds > 0.0).then(|| (last as f64 - first as f64) / seconds)
    }

    /// Fills in since when partitions wait.
    fn look_for_waiting(&mut self, groups: &mut [GroupStatus], now: Timestamp) {
        let (store, source) = (self.watch.store.clone(), self.watch.source.clone());
        let status = self.watch.board.sources().into_iter().find(|status| status.name == source);
        let is_caught_up = status.is_some_and(|status| status.behind_ms == Some(0));
        let mut places = Vec::new();
        let mut behind = Vec::new();
        for (group, status) in groups.iter_mut().enumerate() {
            for (number, partition) in status.partitions.iter_mut().enumerate() {
                let (Some(committed), Some(lag)) = (partition.committed, partition.lag) else {
                    if partition.committed.is_some() {
                        partition.time = TimeLag::Unknown("the broker doesn't tell where the partition ends");
                    }
                    continue;
                };
                if lag == 0 {
                    partition.time = TimeLag::Nothing;
                    continue;
                }
                if !self.watch.topics.takes(partition.topic.as_str()) {
                    partition.time = TimeLag::Unknown("Sillage does not read this topic: see `topics` of the source");
                    continue;
                }
                let window =
                    self.windows.get(&(status.group.clone(), (partition.topic.to_string(), partition.partition)));
                places.push((group, number));
                behind.push(Behind {
                    topic: partition.topic.clone(),
                    partition: partition.partition,
                    committed,
                    is_read_out: is_caught_up && window.is_some_and(Window::end_rests),
                });
            }
        }
        let waiting = &mut self.waiting;
        let found = self.watch.runtime.block_on(async {
            let checkpoint = store.checkpoint(&source).await.unwrap_or_else(|_| waiting::unread(&source));
            waiting.look(&*store, &checkpoint, &behind, now).await
        });
        for ((group, number), time) in places.into_iter().zip(found) {
            groups[group].partitions[number].time = time;
        }
    }

    /// Adds the round to the course, and forgets what is gone.
    fn remember(&mut self, groups: &[GroupStatus], at: Timestamp) {
        let lags = self.watch.board.lags();
        for status in groups {
            for partition in &status.partitions {
                let key = LagKey {
                    source: status.source.clone(),
                    group: status.group.clone(),
                    topic: partition.topic.clone(),
                    partition: partition.partition,
                };
                let (committed, end) = (partition.committed, partition.end);
                lags.add(&key, LagSample { at, committed, end, lag_ms: partition.lag_ms() });
            }
        }
        if let Err(error) = lags.save() {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "the course of consumer lag could not be written");
        }
        let present: BTreeMap<&str, &GroupStatus> =
            groups.iter().map(|status| (status.group.as_str(), status)).collect();
        self.windows.retain(|(group, _), _| present.contains_key(group.as_str()));
        self.sums.retain(|group, _| present.contains_key(group.as_str()));
    }
}
