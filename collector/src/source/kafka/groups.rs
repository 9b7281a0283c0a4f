//! The thread that asks how far consumer groups are behind, with a client of its own: a slow answer never holds back the tail.
//!
//! Every [`POLL_EVERY`]:
//!
//! ```text
//! list the groups                    1 request a broker
//! who their members are              2 or 3 requests a group that has any, some groups at a time (`asking`)
//! what each committed                2 requests a group: who coordinates it, and the offsets; 16 at once
//! where their partitions end         2 requests a broker that leads some
//! -> how each stands (`verdict`), on which record it waits (`waiting`, `fetching`), what happened to it (`happened`)
//! ```
//!
//! It joins nothing and commits nothing. Ends are asked for last, so that no lag is too small.
//!
//! Another thread fetches the records that are waited on and that we don't hold.

mod asking; // what a round asks the brokers
mod fetching; // records whose time nobody told us
mod happened; // what happened between two looks
mod retention; // how long topics keep their records
mod status; // how a group stands, put together
mod verdict; // how it stands on one partition
mod waiting; // on which record, and since when

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use store::board::{Board, SourceState};
use store::groups::{GroupStatus, Round, TimeLag};
use store::lag_series::{LagKey, LagSample, Level, Mark};
use store::{SourceName, Store, Timestamp};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::admin::TopicPartition;
use super::client::Hearing;
use super::token::Tokens;
use crate::decode::Decoder;
use asking::{Kept, Listing, Names};
use fetching::Fetching;
use store::selection::Selection;
use verdict::Window;
use waiting::{Behind, Waiting};

/// How often groups are asked for: Burrow's default, and the shortest step that is kept of the course.
const POLL_EVERY: Duration = Duration::from_secs(10);

/// How long one kind of question may take, and the longest that a stop has to wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// How often we look whether the source is up, or everything stops.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How often librdkafka tells how many requests it sent.
const COUNT_EVERY_MS: u32 = 5_000;

/// What librdkafka's mock cluster calls itself: it can't list or describe groups, and answers "all partitions" with none.
const MOCK_CLUSTER: &str = "mockCluster";

/// Whose lag is watched, and with what.
pub struct Watch {
    pub source: SourceName,
    pub client_config: ClientConfig,
    pub tokens: Option<Arc<Tokens>>,
    pub groups: Vec<String>,
    pub topics: Selection,
    pub store: Arc<dyn Store>,
    pub board: Arc<Board>,
    pub decoder: Arc<Decoder>,
    pub runtime: Handle,
    pub stop: CancellationToken,
}

/// What is remembered between rounds.
struct Poller {
    watch: Watch,
    selection: Selection,
    /// The groups of the latest round.
    names: Names,
    /// Those that brokers list, and that librdkafka's group calls don't see.
    others: BTreeSet<String>,
    described: HashMap<String, Kept>,
    windows: HashMap<(String, TopicPartition), Window>,
    /// The sum of the lags of each group at the latest rounds.
    sums: HashMap<String, VecDeque<(Timestamp, u64)>>,
    waiting: Waiting,
    rounds: u32,
    list_after: u32,
    said: Option<String>,
}

/// Polls until told to stop. Blocks; for a thread of its own.
pub fn run(watch: Watch) {
    let mut config = watch.client_config.clone();
    config.set("statistics.interval.ms", COUNT_EVERY_MS.to_string());
    let hearing = Hearing::new(watch.tokens.clone());
    let consumer: BaseConsumer<Hearing> = match config.create_with_context(hearing) {
        Ok(consumer) => consumer,
        Err(error) => {
            tracing::warn!(source.name = watch.source.as_str(), %error, "consumer groups can't be asked for");
            return;
        }
    };
    let mut poller = Poller {
        selection: Selection::new("\0", &watch.groups),
        watch,
        names: Names::new(),
        others: BTreeSet::new(),
        described: HashMap::new(),
        windows: HashMap::new(),
        sums: HashMap::new(),
        waiting: Waiting::default(),
        rounds: 0,
        list_after: 0,
        said: None,
    };
    let fetching = Fetching {
        source: poller.watch.source.clone(),
        client_config: poller.watch.client_config.clone(),
        tokens: poller.watch.tokens.clone(),
        decoder: poller.watch.decoder.clone(),
        desk: poller.waiting.desk.clone(),
        stop: poller.watch.stop.clone(),
    };
    std::thread::scope(|scope| {
        scope.spawn(|| fetching::run(&fetching));
        poller.run(&consumer);
    });
}

impl Poller {
    fn run(&mut self, consumer: &BaseConsumer<Hearing>) {
        let mut next = Instant::now();
        while !self.is_stopping() {
            if Instant::now() >= next && self.is_up() {
                next = Instant::now() + POLL_EVERY;
                self.round(consumer);
                self.rounds += 1;
            }
            let _ = consumer.poll(Duration::ZERO); // hands over what librdkafka has to say; nothing is assigned
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn is_up(&self) -> bool {
        let sources = self.watch.board.sources();
        sources.iter().any(|status| status.name == self.watch.source && status.state == SourceState::Up)
    }

    fn is_stopping(&self) -> bool {
        self.watch.stop.is_cancelled()
    }

    fn round(&mut self, consumer: &BaseConsumer<Hearing>) {
        let begun = Instant::now();
        let Ok(metadata) = consumer.fetch_metadata(None, ANSWER_WITHIN) else { return };
        let is_mock =
            consumer.client().fetch_cluster_id(ANSWER_WITHIN).is_some_and(|cluster| cluster.starts_with(MOCK_CLUSTER));
        let mut all: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for topic in metadata.topics() {
            let led = topic.partitions().iter().filter(|partition| partition.leader() >= 0);
            all.insert(topic.name().to_owned(), led.map(|partition| partition.id()).collect());
        }
        self.list(consumer, is_mock);
        if !is_mock {
            self.describe(consumer);
        }
        let committed = self.committed(consumer, &all, is_mock);
        let names = self.names.clone();
        let mut read: HashMap<&str, BTreeSet<TopicPartition>> =
            names.keys().map(|name| (name.as_str(), self.read_by(name, committed.get(name), &all))).collect();
        let Some(bounds) = asking::bounds(consumer, read.values().flatten(), &all) else { return };
        if self.is_stopping() {
            return;
        }
        let at = Timestamp::now();
        let before = self.watch.board.groups_of(&self.watch.source);
        let mut groups: Vec<GroupStatus> = Vec::with_capacity(names.len());
        for (name, listing) in &names {
            let look = status::GroupLook {
                name,
                listing,
                committed: committed.get(name),
                described: self.described.get(name).map(|kept| kept.described.clone()),
                keys: read.remove(name.as_str()).unwrap_or_default(),
                is_mock,
            };
            groups.push(self.status(look, &bounds, of_group(&before, name), at));
        }
        self.look_for_waiting(&mut groups, &bounds, at);
        self.remember(&groups, &before, at);
        let partitions = groups.iter().map(|status| status.partitions.len()).sum();
        let round = Round {
            took: begun.elapsed(),
            groups: groups.len(),
            partitions,
            requests: consumer.client().context().requests(),
        };
        self.watch.board.post_groups(&self.watch.source, groups);
        self.watch.board.post_round(&self.watch.source, round);
        if !is_mock && self.rounds.is_multiple_of(retention::EVERY_ROUNDS) {
            let topics = all.keys().filter(|topic| self.watch.topics.takes(topic)).map(String::as_str);
            let told = retention::told(consumer.client(), topics, ANSWER_WITHIN);
            self.watch.board.post_retentions(&self.watch.source, told);
        }
    }

    /// Fills in since when partitions wait.
    fn look_for_waiting(&mut self, groups: &mut [GroupStatus], bounds: &super::tail::AllBounds, now: Timestamp) {
        let (store, source) = (self.watch.store.clone(), self.watch.source.clone());
        let mut places = Vec::new();
        let mut behind = Vec::new();
        for (group, status) in groups.iter_mut().enumerate() {
            for (number, partition) in status.partitions.iter_mut().enumerate() {
                let (Some(committed), Some(end)) = (partition.committed, partition.end) else {
                    if partition.committed.is_some() {
                        partition.time = TimeLag::Unknown("the broker doesn't tell where the partition ends");
                    }
                    continue;
                };
                let key = (partition.topic.as_str().to_owned(), partition.partition);
                let from = bounds.get(&key).map_or(committed, |bounds| committed.max(bounds.begin));
                if from >= end {
                    partition.time = TimeLag::Nothing;
                    continue;
                }
                places.push((group, number));
                behind.push(Behind {
                    topic: partition.topic.clone(),
                    partition: partition.partition,
                    from,
                    end,
                    is_read: self.watch.topics.takes(partition.topic.as_str()),
                });
            }
        }
        let waiting = &mut self.waiting;
        let (checkpoint, found) = self.watch.runtime.block_on(async {
            let checkpoint = store.checkpoint(&source).await.unwrap_or_else(|_| waiting::unread(&source));
            let found = waiting.look(&*store, &checkpoint, &behind, now).await;
            (checkpoint, found)
        });
        for partition in groups.iter_mut().flat_map(|status| &mut status.partitions) {
            partition.incarnation = waiting::life(&checkpoint, &partition.topic, partition.partition);
        }
        for ((group, number), time) in places.into_iter().zip(found) {
            groups[group].partitions[number].time = time;
        }
    }

    /// Adds what the round saw to the course, and forgets what is gone.
    fn remember(&mut self, groups: &[GroupStatus], before: &[GroupStatus], at: Timestamp) {
        let lags = self.watch.board.lags();
        let seen = groups.iter().filter(|status| status.at == at && status.unseen.is_none());
        for status in seen {
            let group = (&status.source, status.group.as_str());
            for partition in &status.partitions {
                let key = LagKey {
                    source: status.source.clone(),
                    group: status.group.clone(),
                    topic: partition.topic.clone(),
                    partition: partition.partition,
                };
                lags.add(&key, LagSample { at, committed: partition.committed, end: partition.end });
            }
            lags.add_level(group, at, Level { lag: status.lag(), lag_ms: status.lag_ms() });
            let is_simple = matches!(self.names.get(&status.group), Some(Listing::Consumer { is_simple: true, .. }));
            let was = of_group(before, &status.group);
            for change in was.into_iter().flat_map(|was| happened::happened(was, status, is_simple)) {
                lags.mark(group, Mark { at, change });
            }
        }
        if let Err(error) = lags.save() {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "the course of consumer lag could not be written");
        }
        let names = &self.names;
        self.windows.retain(|_, window| window.is_current(at));
        self.sums.retain(|group, _| names.contains_key(group.as_str()));
        self.described.retain(|group, _| names.contains_key(group.as_str()));
    }
}

/// What a round said of a group; they are in order of their names.
fn of_group<'a>(groups: &'a [GroupStatus], name: &str) -> Option<&'a GroupStatus> {
    groups.binary_search_by(|status| status.group.as_str().cmp(name)).ok().map(|place| &groups[place])
}
