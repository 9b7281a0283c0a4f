//! Topics: what is in them, who writes them, who reads them, how fast. Computed from the board and the entries of a window.
//!
//! A topic is known because its source watches it, because records of it are kept, or because spans name it. The last kind has no
//! source: nobody watches it, and whoever shows it says so.

mod missing; // what readers of a topic don't get

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::board::Board;
use crate::engine::{CountRow, Facet, Store, StoreError};
use crate::entry::Kind;
use crate::position::SourceName;
use crate::query::{Field, Query};
use crate::time::Timestamp;

pub use missing::{Missing, missing};

/// How many topics of one source, and how many topics that only spans name, are told apart; the busiest come first.
/// More than a page can show, and a bound on what hostile names in spans cost.
pub const TOPICS_MAX: usize = 1_000;

/// Of how many services it is asked which topics they write and read; the busiest come first. Each costs two counts.
pub const SERVICES_MAX: usize = 64;

/// A topic, queue, subject or stream.
#[derive(Clone, PartialEq, Debug)]
pub struct Topic {
    /// Who watches it; `None` where only spans name it.
    pub source: Option<SourceName>,
    /// Its name.
    pub topic: String,
    /// How many partitions it has, where its source tells.
    pub partitions: Option<u32>,
    /// How many records the broker holds, where its source tells.
    pub records: Option<u64>,
    /// How many records of the window are kept.
    pub seen: u64,
    /// Records a second over the window, or over as much of it as anything was kept in.
    pub rate: f64,
    /// The latest of its records in the window.
    pub last: Option<Timestamp>,
    /// Consumer groups that commit or own something of it, and services that consumed from it in the window, by their spans.
    pub readers: Vec<String>,
    /// Services that published to it in the window, by their spans and by what their events say.
    pub writers: Vec<String>,
}

/// All topics.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Topics {
    /// Sorted by source and name; those without a source last.
    pub topics: Vec<Topic>,
    /// True when a count ran out of its budget: figures may be higher, and a reader or writer may be missing.
    pub at_least: bool,
}

/// One topic in detail.
#[derive(Clone, PartialEq, Debug)]
pub struct TopicDetail {
    /// What the list says of it.
    pub topic: Topic,
    /// Its event types in the window, most records first.
    pub types: Vec<(String, u64)>,
    /// The consumer groups that read it in the window, as spans tell them, most spans first.
    pub groups: Vec<(String, u64)>,
    /// Records in each step of the window, oldest first, empty steps included.
    pub steps: Vec<(Timestamp, u64)>,
    /// True when a count ran out of its budget.
    pub at_least: bool,
}

/// All topics, with what went on in the last `window`.
pub async fn list(store: &dyn Store, board: &Board, window: Duration, now: Timestamp) -> Result<Topics, StoreError> {
    let mut counts = Tally { store, from: now.minus(window), at_least: false };
    let mut found: BTreeMap<(SourceName, String), Topic> = BTreeMap::new();
    let seconds = counts.seconds_covered(window, now).await?;
    let mut names: BTreeSet<SourceName> = BTreeSet::new();
    for status in board.sources() {
        for channel in status.channels {
            let topic =
                Topic { partitions: Some(channel.partitions), records: channel.records, ..empty(&channel.channel) };
            let topic = Topic { source: Some(status.name.clone()), ..topic };
            found.insert((status.name.clone(), channel.channel), topic);
        }
        names.insert(status.name);
    }
    // A source that the configuration names no more still has its records.
    names.extend(
        counts
            .by(Query::Kind(Kind::Record), Field::Source, TOPICS_MAX)
            .await?
            .into_iter()
            .map(|row| row.value.as_str().into()),
    );
    for source in names {
        let of_source = Query::Kind(Kind::Record).and(Query::is(Field::Source, source.as_str()));
        for row in counts.by(of_source, Field::Topic, TOPICS_MAX).await? {
            let topic = found.entry((source.clone(), row.value.clone())).or_insert_with(|| empty(&row.value));
            *topic = Topic { source: Some(source.clone()), ..topic.clone() };
            saw(topic, &row, seconds);
        }
    }
    let services = counts.services().await?;
    let groups = groups_by_topic(board);
    let mut topics: Vec<Topic> = found.into_values().collect();
    for name in services.writes.keys().chain(services.reads.keys()) {
        if !topics.iter().any(|topic| topic.topic == *name) && topics.len() < TOPICS_MAX * 2 {
            topics.push(empty(name));
        }
    }
    for topic in &mut topics {
        topic.writers = services.writes.get(&topic.topic).cloned().unwrap_or_default().into_iter().collect();
        let groups = topic.source.as_ref().and_then(|source| groups.get(&(source.clone(), topic.topic.clone())));
        let readers = services.reads.get(&topic.topic).into_iter().chain(groups).flatten().cloned();
        topic.readers = readers.collect::<BTreeSet<String>>().into_iter().collect();
    }
    Ok(Topics { topics, at_least: counts.at_least })
}

/// One topic in detail; `None` when nothing is known of it.
pub async fn detail(
    store: &dyn Store,
    board: &Board,
    source: &SourceName,
    topic: &str,
    period: Period,
) -> Result<Option<TopicDetail>, StoreError> {
    let Period { window, step, now } = period;
    let watched = board.sources().into_iter().find(|status| status.name == *source);
    let channel = watched.and_then(|status| status.channels.into_iter().find(|channel| channel.channel == topic));
    let mut counts = Tally { store, from: now.minus(window), at_least: false };
    let records =
        Query::Kind(Kind::Record).and(Query::is(Field::Source, source.as_str())).and(Query::is(Field::Topic, topic));
    let spans = Query::Kind(Kind::Span).and(Query::is(Field::Topic, topic));
    let all = counts.series(records.clone(), step).await?;
    if channel.is_none() && all.is_none() && !counts.ever(records.clone()).await? {
        return Ok(None);
    }
    let mut known = Topic { source: Some(source.clone()), ..empty(topic) };
    if let Some(channel) = channel {
        (known.partitions, known.records) = (Some(channel.partitions), channel.records);
    }
    let seconds = counts.seconds_covered(window, now).await?;
    if let Some(row) = &all {
        saw(&mut known, row, seconds);
    }
    let published = spans.clone().and(Query::is(Field::Role, "producer"));
    let consumed = spans.and(Query::is(Field::Role, "consumer"));
    let producers = counts.by(records.clone(), Field::Producer, SERVICES_MAX).await?;
    let publishers = counts.by(published, Field::Service, SERVICES_MAX).await?;
    let writers: BTreeSet<String> = producers.into_iter().chain(publishers).map(|row| row.value).collect();
    known.writers = writers.into_iter().collect();
    let consumers = counts.by(consumed.clone(), Field::Service, SERVICES_MAX).await?.into_iter().map(|row| row.value);
    let groups_of = groups_by_topic(board).remove(&(source.clone(), topic.to_owned())).unwrap_or_default();
    let readers: BTreeSet<String> = consumers.chain(groups_of).collect();
    known.readers = readers.into_iter().collect();
    let types = pairs(counts.by(records, Field::Type, TOPICS_MAX).await?);
    let groups = pairs(counts.by(consumed, Field::Group, SERVICES_MAX).await?);
    let steps = dense(all.map(|row| row.steps).unwrap_or_default(), now.minus(window), now, step);
    Ok(Some(TopicDetail { topic: known, types, groups, steps, at_least: counts.at_least }))
}

/// Which time a question is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Period {
    /// How long it reaches back.
    pub window: Duration,
    /// The length of the steps of a series.
    pub step: Duration,
    /// Its end.
    pub now: Timestamp,
}

/// Fills the steps that had nothing, so that a drawing has them all. At most [`STEPS_MAX`], the latest.
pub fn dense(counted: Vec<(Timestamp, u64)>, from: Timestamp, to: Timestamp, step: Duration) -> Vec<(Timestamp, u64)> {
    let step = i64::try_from(step.as_nanos()).unwrap_or(i64::MAX).max(1);
    let counted: BTreeMap<i64, u64> =
        counted.into_iter().map(|(at, count)| (at.as_nanos().div_euclid(step), count)).collect();
    let (first, last) = (from.as_nanos().div_euclid(step), to.as_nanos().div_euclid(step));
    let first = first.max(last.saturating_sub(STEPS_MAX - 1));
    let at = |number: i64| Timestamp::from_nanos(number.saturating_mul(step));
    (first..=last).map(|number| (at(number), counted.get(&number).copied().unwrap_or(0))).collect()
}

/// The longest series that [`dense`] makes: more steps than a drawing has pixels to show.
pub const STEPS_MAX: i64 = 2_000;

/// Which groups read a topic, by what they committed or own.
fn groups_by_topic(board: &Board) -> BTreeMap<(SourceName, String), BTreeSet<String>> {
    let mut by_topic: BTreeMap<(SourceName, String), BTreeSet<String>> = BTreeMap::new();
    for group in board.groups().iter().flat_map(|groups| groups.iter()) {
        for topic in group.topics() {
            let key = (group.source.clone(), topic.to_owned());
            by_topic.entry(key).or_default().insert(group.group.clone());
        }
    }
    by_topic
}

fn empty(topic: &str) -> Topic {
    Topic {
        source: None,
        topic: topic.to_owned(),
        partitions: None,
        records: None,
        seen: 0,
        rate: 0.0,
        last: None,
        readers: Vec::new(),
        writers: Vec::new(),
    }
}

fn saw(topic: &mut Topic, row: &CountRow, seconds: f64) {
    topic.seen = row.count;
    topic.rate = row.count as f64 / seconds;
    topic.last = Some(row.last);
}

fn pairs(rows: Vec<CountRow>) -> Vec<(String, u64)> {
    rows.into_iter().map(|row| (row.value, row.count)).collect()
}

/// Which services write and read which topics.
#[derive(Default)]
struct Services {
    writes: BTreeMap<String, BTreeSet<String>>,
    reads: BTreeMap<String, BTreeSet<String>>,
}

/// Counts entries of the window, and remembers whether any count was cut short.
struct Tally<'a> {
    store: &'a dyn Store,
    from: Timestamp,
    at_least: bool,
}

impl Tally<'_> {
    async fn by(&mut self, query: Query, field: Field, values_max: usize) -> Result<Vec<CountRow>, StoreError> {
        let query = query.and(Query::Time { from: Some(self.from), to: None });
        let counts = self.store.count_with_past(&query, Facet { field: Some(field), step: None, values_max }).await?;
        self.at_least |= counts.at_least;
        Ok(counts.rows)
    }

    async fn series(&mut self, query: Query, step: Duration) -> Result<Option<CountRow>, StoreError> {
        let query = query.and(Query::Time { from: Some(self.from), to: None });
        let counts = self.store.count_with_past(&query, Facet { field: None, step: Some(step), values_max: 1 }).await?;
        self.at_least |= counts.at_least;
        Ok(counts.rows.into_iter().next().filter(|row| row.count > 0))
    }

    /// Whether anything was ever kept that a query holds for, in the window or before.
    async fn ever(&self, query: Query) -> Result<bool, StoreError> {
        let page = crate::engine::PageRequest { limit: 1, after: None };
        Ok(!self.store.search(&query, page).await?.entries.is_empty())
    }

    /// How much of the window there was anything to keep in, in seconds, at least one: a rate over time before the first start is no rate.
    async fn seconds_covered(&self, window: Duration, now: Timestamp) -> Result<f64, StoreError> {
        let stats = self.store.stats().await?;
        let oldest = [stats.oldest, stats.counted_since].into_iter().flatten().min().unwrap_or(now);
        let since_oldest = Duration::from_nanos(u64::try_from(now.nanos_since(oldest)).unwrap_or(0));
        Ok(window.min(since_oldest).as_secs_f64().max(1.0))
    }

    async fn services(&mut self) -> Result<Services, StoreError> {
        let published = Query::Or(vec![Query::Kind(Kind::Record), Query::is(Field::Role, "producer")]);
        let consumed = Query::is(Field::Role, "consumer");
        let mut services = Services::default();
        for (done, topics) in [(published, &mut services.writes), (consumed, &mut services.reads)] {
            for service in self.by(done.clone(), Field::Service, SERVICES_MAX).await? {
                let by_service = done.clone().and(Query::is(Field::Service, service.value.as_str()));
                for topic in self.by(by_service, Field::Topic, TOPICS_MAX).await? {
                    topics.entry(topic.value).or_default().insert(service.value.clone());
                }
            }
        }
        Ok(services)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{ChannelStatus, PartitionBounds, SourceState, SourceStatus};
    use crate::checkpoint::Checkpoint;
    use crate::fixture;
    use crate::memory::Memory;

    async fn shop() -> (Memory, Board) {
        let store = Memory::new();
        let entries = vec![
            fixture::record("orders", 0, 1).event("OrderPlaced").producer("shop-api").at(10.0).entry(),
            fixture::record("orders", 0, 2).event("OrderPlaced").producer("shop-api").at(11.0).entry(),
            fixture::record("orders", 0, 3).event("OrderCancelled").producer("shop-api").at(12.0).entry(),
            fixture::record("orders", 0, 0).source("old").event("OrderPlaced").at(10.0).entry(),
            fixture::span("billing", "process orders").consumed("orders", 0, 1).group("billing").at(10.1).entry(),
            fixture::span("billing", "publish payments").published("payments").at(10.2).entry(),
        ];
        store.append(entries, Checkpoint::none("main".into())).await.unwrap();
        let board = Board::default();
        let channel = |name: &str| ChannelStatus {
            channel: name.to_owned(),
            partitions: 3,
            records: Some(50),
            bounds: [PartitionBounds { partition: 0, begin: 0, end: 50 }].into(),
        };
        board.post(SourceStatus {
            name: "main".into(),
            kind: "kafka".to_owned(),
            address: "localhost:9092".to_owned(),
            state: SourceState::Up,
            error: None,
            since: fixture::START,
            behind_ms: None,
            received: 3,
            channels: vec![channel("orders"), channel("silent")],
            unseen: Vec::new(),
            transactions: Vec::new(),
        });
        (store, board)
    }

    #[tokio::test]
    async fn topics_tell_who_writes_and_reads_them_and_how_fast() {
        let (store, board) = shop().await;
        let found = list(&store, &board, Duration::from_secs(60), fixture::at(20.0)).await.unwrap();
        let names: Vec<_> =
            found.topics.iter().map(|topic| (topic.source.as_ref().map(SourceName::as_str), &*topic.topic)).collect();
        assert_eq!(
            names,
            [(Some("main"), "orders"), (Some("main"), "silent"), (Some("old"), "orders"), (None, "payments")]
        );
        let orders = &found.topics[0];
        assert_eq!((orders.partitions, orders.records, orders.seen), (Some(3), Some(50), 3));
        // Three records in the ten seconds since the first entry, not in the whole minute.
        assert!((orders.rate - 0.3).abs() < 1e-9, "{}", orders.rate);
        assert_eq!(
            (orders.writers.as_slice(), orders.readers.as_slice()),
            (&["shop-api".to_owned()][..], &["billing".to_owned()][..])
        );
        assert_eq!(orders.last, Some(fixture::at(12.0)));
        assert_eq!((found.topics[1].seen, found.topics[1].rate, found.topics[1].last), (0, 0.0, None));
        assert_eq!(found.topics[3].writers, ["billing"]);
    }

    #[tokio::test]
    async fn one_topic_tells_its_types_groups_and_course() {
        let (store, board) = shop().await;
        let period = Period { window: Duration::from_secs(10), step: Duration::from_secs(1), now: fixture::at(13.0) };
        let found = detail(&store, &board, &"main".into(), "orders", period).await.unwrap().unwrap();
        assert_eq!(found.types, [("OrderPlaced".to_owned(), 2), ("OrderCancelled".to_owned(), 1)]);
        assert_eq!(found.groups, [("billing".to_owned(), 1)]);
        assert_eq!(found.topic.seen, 3);
        let course: Vec<u64> = found.steps.iter().map(|(_, count)| *count).collect();
        assert_eq!(course, [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0]);
        assert!(detail(&store, &board, &"main".into(), "silent", period).await.unwrap().is_some());
        assert_eq!(detail(&store, &board, &"main".into(), "no-such-topic", period).await.unwrap(), None);
    }

    #[test]
    fn a_series_has_every_step_and_an_end() {
        let steps = dense(vec![(fixture::at(2.0), 5)], fixture::at(0.0), fixture::at(3.5), Duration::from_secs(1));
        assert_eq!(steps.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [0, 0, 5, 0]);
        let long = dense(Vec::new(), Timestamp::MIN, Timestamp::MAX, Duration::from_nanos(1));
        assert_eq!(long.len(), 2_000);
    }
}
