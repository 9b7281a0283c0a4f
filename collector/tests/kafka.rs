//! The Kafka tail against librdkafka's mock cluster: real sockets, real protocol, no Java.
//!
//! What the mock can't do (transactions, retention by time, groups, deleted topics) is tested in `tests/it` against a real Kafka.
#![expect(clippy::unwrap_used, reason = "in a test that can't go on, the panic is the report")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use collector::source::{self, Config, Running};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use store::board::{SourceState, SourceStatus};
use store::engine::{Counts, Facet, Forgotten, Found, PageRequest, Sequence, Stats};
use store::knot::{Knot, Tie};
use store::memory::Memory;
use store::{Board, Checkpoint, Entry, Place, Query, Record, SourceName, Store, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// A source at work over a store that outlives it.
struct Watching {
    board: Arc<Board>,
    stop: CancellationToken,
    running: Running,
}

impl Watching {
    fn start(brokers: &str, more: &str, store: Arc<dyn Store>) -> Watching {
        let mut config: serde_json::Value = serde_json::from_str(more).unwrap();
        config["type"] = "kafka".into();
        config["name"] = "main".into();
        config["brokers"] = vec![brokers].into();
        let config: Config = serde_json::from_value(config).unwrap();
        Watching::of(config, store)
    }

    fn of(config: Config, store: Arc<dyn Store>) -> Watching {
        let (board, stop) = (Arc::new(Board::default()), CancellationToken::new());
        let running = source::start(vec![config], store, board.clone(), Arc::default(), stop.clone()).unwrap();
        Watching { board, stop, running }
    }

    fn status(&self) -> SourceStatus {
        self.board.sources().remove(0)
    }

    async fn reaches(&self, state: SourceState) -> SourceStatus {
        until(&format!("the source is {}", state.as_str()), || {
            let status = self.status();
            (status.state == state).then_some(status)
        })
        .await
    }

    async fn stop(self) {
        self.stop.cancel();
        let begun = Instant::now();
        self.running.stopped().await;
        assert!(begun.elapsed() < Duration::from_secs(8), "stopping took {:?}", begun.elapsed());
    }
}

/// Waits for something, at most as long as a new topic may take to be found and then some.
async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn records(store: &dyn Store) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    let mut after = None;
    loop {
        let found = store.search(&Query::All, PageRequest { limit: 1_000, after }).await.unwrap();
        records.extend(found.entries.iter().filter_map(|held| {
            let record = held.entry.as_record()?;
            assert_eq!(held.copies, 1, "{} came twice", record.position);
            Some(record.clone())
        }));
        after = found.next;
        if after.is_none() {
            records.sort_by(|one, other| one.position.cmp(&other.position));
            return records;
        }
    }
}

/// Waits until so many records are kept, and a little longer, so that one too many would be seen.
async fn kept(store: &dyn Store, count: usize) -> Vec<Record> {
    let begun = Instant::now();
    loop {
        let stats = store.stats().await.unwrap();
        if stats.records >= count as u64 {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{} of {count} records were kept within 20 s",
            stats.records
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let records = records(store).await;
    assert_eq!(records.len(), count);
    records
}

fn producer(cluster: &Cluster) -> BaseProducer {
    ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).set("linger.ms", "0").create().unwrap()
}

fn send(producer: &BaseProducer, topic: &str, partition: i32, bodies: impl IntoIterator<Item = Vec<u8>>) {
    for body in bodies {
        let mut record = BaseRecord::<(), Vec<u8>>::to(topic).partition(partition).payload(&body);
        while let Err((_, back)) = producer.send(record) {
            producer.poll(Duration::from_millis(5));
            record = back;
        }
    }
    producer.flush(Duration::from_secs(10)).unwrap();
}

fn numbered(numbers: std::ops::Range<u32>) -> impl Iterator<Item = Vec<u8>> {
    numbers.map(|number| format!("{{\"eventId\":\"e-{number}\"}}").into_bytes())
}

fn ids(records: &[Record]) -> Vec<String> {
    records.iter().filter_map(|record| record.event.id.clone()).collect()
}

fn memory() -> Arc<dyn Store> {
    Arc::new(Memory::new())
}

const EARLIEST: &str = r#"{"from":"earliest"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_record_is_kept_as_the_broker_holds_it() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 2, 1).unwrap();
    cluster.create_topic("private", 1, 1).unwrap();
    let producer = producer(&cluster);
    let headers = OwnedHeaders::new()
        .insert(Header { key: "eventId", value: Some("e-1") })
        .insert(Header { key: "a", value: Some("1") })
        .insert(Header { key: "a", value: Some("2") })
        .insert(Header::<&str> { key: "nothing", value: None })
        .insert(Header { key: "empty", value: Some("") });
    let full = BaseRecord::to("orders").partition(0).key("k").payload("{\"x\":1}").timestamp(1_700_000_000_000);
    producer.send(full.headers(headers)).unwrap();
    producer.send(BaseRecord::<(), ()>::to("orders").partition(0)).unwrap();
    producer.send(BaseRecord::to("orders").partition(1).key(&[0xff_u8, 0][..]).payload(&[0xff_u8, 0, 1][..])).unwrap();
    producer.send(BaseRecord::<(), str>::to("private").payload("x")).unwrap();
    producer.flush(Duration::from_secs(10)).unwrap();

    let store = memory();
    let config = r#"{"from":"earliest","topics":["*","!priv*"]}"#;
    let watching = Watching::start(&cluster.bootstrap_servers(), config, store.clone());
    let records = kept(&*store, 3).await;
    assert!(records.iter().all(|record| record.position.channel.as_str() == "orders"));

    let full = &records[0];
    assert_eq!(full.position.place, Place::Offset { partition: 0, offset: 0 });
    assert_eq!((full.key.as_deref(), full.body.as_deref()), (Some(&b"k"[..]), Some(&b"{\"x\":1}"[..])));
    assert_eq!(full.timestamp.unwrap().as_millis(), 1_700_000_000_000);
    let headers: Vec<(&str, Option<&[u8]>)> =
        full.headers.iter().map(|header| (header.name.as_str(), header.value.as_deref())).collect();
    let expected: Vec<(&str, Option<&[u8]>)> =
        vec![("eventId", Some(b"e-1")), ("a", Some(b"1")), ("a", Some(b"2")), ("nothing", None), ("empty", Some(b""))];
    assert_eq!(headers, expected, "in order, repeated, null and empty");
    assert_eq!(full.event.id.as_deref(), Some("e-1"));
    assert!(full.cluster.is_some());

    assert_eq!((&records[1].key, &records[1].body), (&None, &None), "null key and null body");
    assert_eq!(records[2].body.as_deref(), Some(&[0xff, 0, 1][..]), "what is no text is kept byte for byte");

    let status = watching.reaches(SourceState::Up).await;
    assert_eq!((status.error, status.received), (None, 3));
    until("the channels are put up", || {
        let status = watching.status();
        let orders = status.channels.into_iter().find(|channel| channel.channel == "orders")?;
        (orders.partitions == 2 && orders.records == Some(3) && status.behind_ms == Some(0)).then_some(())
    })
    .await;
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_reading_goes_on_where_it_stopped() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    let (producer, store) = (producer(&cluster), memory());
    send(&producer, "orders", 0, numbered(0..50));
    let watching = Watching::start(&cluster.bootstrap_servers(), EARLIEST, store.clone());
    kept(&*store, 50).await;
    watching.stop().await;
    send(&producer, "orders", 0, numbered(50..80));
    let watching = Watching::start(&cluster.bootstrap_servers(), EARLIEST, store.clone());
    let records = kept(&*store, 80).await;
    assert!(records.iter().all(|record| record.position.incarnation.0 == 0));
    watching.stop().await;
    // And once more, with nothing new.
    let watching = Watching::start(&cluster.bootstrap_servers(), EARLIEST, store.clone());
    watching.reaches(SourceState::Up).await;
    kept(&*store, 80).await;
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_leaves_out_what_was_there_and_misses_nothing_after() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    let (producer, store) = (producer(&cluster), memory());
    send(&producer, "orders", 0, numbered(0..10));
    let watching = Watching::start(&cluster.bootstrap_servers(), "{}", store.clone());
    watching.reaches(SourceState::Up).await;
    watching.stop().await;
    send(&producer, "orders", 0, numbered(10..15)); // while nobody watches
    let watching = Watching::start(&cluster.bootstrap_servers(), "{}", store.clone());
    assert_eq!(ids(&kept(&*store, 5).await), ["e-10", "e-11", "e-12", "e-13", "e-14"]);
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_topic_is_found_within_ten_seconds_and_read_from_its_beginning() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    let (producer, store) = (producer(&cluster), memory());
    let watching = Watching::start(&cluster.bootstrap_servers(), "{}", store.clone());
    watching.reaches(SourceState::Up).await;
    cluster.create_topic("payments", 3, 1).unwrap();
    let begun = Instant::now();
    send(&producer, "payments", 2, numbered(0..7));
    kept(&*store, 7).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_under_the_same_name_loses_nothing_and_mixes_nothing_up() {
    let store = memory();
    for life in 0..3_u32 {
        // As `sillage demo` does when it is started again on one folder.
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders", 1, 1).unwrap();
        send(&producer(&cluster), "orders", 0, numbered(life * 100..life * 100 + 20 + life));
        let watching = Watching::start(&cluster.bootstrap_servers(), EARLIEST, store.clone());
        let count = (0..=life).map(|life| 20 + life as usize).sum();
        let records = kept(&*store, count).await;
        let newest: Vec<&Record> = records.iter().filter(|record| record.position.incarnation.0 == life).collect();
        assert_eq!(newest.len(), 20 + life as usize);
        watching.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_goes_and_comes_back_is_told_and_costs_nothing() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    let (producer, store) = (producer(&cluster), memory());
    send(&producer, "orders", 0, numbered(0..10));
    let watching = Watching::start(&cluster.bootstrap_servers(), EARLIEST, store.clone());
    kept(&*store, 10).await;
    cluster.broker_down(-1).unwrap();
    let status = watching.reaches(SourceState::Down).await;
    let error = status.error.unwrap();
    assert!(error.contains("start it") && error.contains(&cluster.bootstrap_servers()), "{error}");
    cluster.broker_up(-1).unwrap();
    watching.reaches(SourceState::Up).await;
    assert_eq!(watching.status().error, None);
    send(&producer, "orders", 0, numbered(10..25));
    let records = kept(&*store, 25).await;
    assert!(records.iter().all(|record| record.position.incarnation.0 == 0), "the same topic");
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_down_at_the_start_is_waited_for() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    let (producer, store) = (producer(&cluster), memory());
    send(&producer, "orders", 0, numbered(0..5));
    cluster.broker_down(-1).unwrap();
    let watching = Watching::start(&cluster.bootstrap_servers(), EARLIEST, store.clone());
    watching.reaches(SourceState::Down).await;
    cluster.broker_up(-1).unwrap();
    kept(&*store, 5).await;
    watching.reaches(SourceState::Up).await;
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_on_an_unasked_for_address_is_no_alarm() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let Config::Kafka(mut config) = Config::found_by_default() else { panic!("Kafka is what is tried by default") };
    config.brokers = vec![free.to_string()];
    let watching = Watching::of(Config::Kafka(config), memory());
    let status = watching.reaches(SourceState::Absent).await;
    assert!(status.error.unwrap().contains("[[source]]"));
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expired_before_it_was_read_is_seen_as_a_gap() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    let (producer, store) = (producer(&cluster), memory());
    send(&producer, "orders", 0, numbered(0..10));
    let watching = Watching::start(&cluster.bootstrap_servers(), EARLIEST, store.clone());
    kept(&*store, 10).await;
    watching.stop().await;
    // The mock keeps 5 MiB of a partition (librdkafka : src/rdkafka_mock.c).
    send(&producer, "orders", 0, (0..1_000).map(|_| vec![b'x'; 10_000]));
    let watching = Watching::start(&cluster.bootstrap_servers(), EARLIEST, store.clone());
    let gap = until("a gap is told", || {
        watching.status().unseen.into_iter().find(|sentence| sentence.contains("expired before they were read"))
    })
    .await;
    assert!(gap.starts_with("offsets 10 to ") && gap.contains("`orders` partition 0"), "{gap}");
    let missed = watching.board.refused()["expired before they were read"];
    let begun = Instant::now();
    loop {
        let records = records(&*store).await;
        if records.last().unwrap().position.place == (Place::Offset { partition: 0, offset: 1_009 }) {
            assert_eq!(records.len() as u64 + missed, 1_010, "every offset was read or is told as missed");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "the rest was not read");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_broker_can_not_do_is_said() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    send(&producer(&cluster), "orders", 0, numbered(0..5));
    let store = memory();
    let watching = Watching::start(&cluster.bootstrap_servers(), r#"{"from":"-1h"}"#, store.clone());
    kept(&*store, 5).await;
    until("both are said", || {
        let unseen = watching.status().unseen;
        let said = |what: &str| unseen.iter().any(|sentence| sentence.contains(what));
        (said("seek by time") && said("list consumer groups")).then_some(())
    })
    .await;
    watching.stop().await;
}

/// A store that refuses for a while.
struct Refusing {
    inner: Memory,
    refusals: AtomicU32,
}

#[async_trait]
impl Store for Refusing {
    async fn append(&self, entries: Vec<Entry>, checkpoint: Checkpoint) -> Result<Sequence, StoreError> {
        let left = self.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() {
            let retry_after = Duration::from_millis(10);
            return Err(StoreError::Refused { reason: "the disk is full: make room".to_owned(), retry_after });
        }
        self.inner.append(entries, checkpoint).await
    }

    async fn checkpoint(&self, source: &SourceName) -> Result<Checkpoint, StoreError> {
        self.inner.checkpoint(source).await
    }

    async fn related(&self, knots: &[(Tie, Knot)], limit: usize) -> Result<Found, StoreError> {
        self.inner.related(knots, limit).await
    }

    async fn search(&self, query: &Query, page: PageRequest) -> Result<Found, StoreError> {
        self.inner.search(query, page).await
    }

    async fn since(&self, sequence: Sequence, query: &Query, limit: usize) -> Result<Found, StoreError> {
        self.inner.since(sequence, query, limit).await
    }

    async fn count(&self, query: &Query, by: Facet) -> Result<Counts, StoreError> {
        self.inner.count(query, by).await
    }

    async fn forget(&self, query: &Query) -> Result<Forgotten, StoreError> {
        self.inner.forget(query).await
    }

    fn generation(&self) -> watch::Receiver<Sequence> {
        self.inner.generation()
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.inner.stats().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_store_refuses_is_offered_again_and_nothing_is_lost() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    let producer = producer(&cluster);
    send(&producer, "orders", 0, numbered(0..1_000));
    let store = Arc::new(Refusing { inner: Memory::new(), refusals: AtomicU32::new(5) });
    let watching = Watching::start(&cluster.bootstrap_servers(), EARLIEST, store.clone());
    until("the pause is told", || watching.status().error.filter(|error| error.contains("the disk is full"))).await;
    kept(&*store, 1_000).await;
    assert_eq!(watching.status().error, None, "and that it is over");
    watching.stop().await;
}
