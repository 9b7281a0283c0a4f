//! A real Apache Kafka: one for all tests of this process, or one of a test's own that it may stop and start.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::home::free_port;
use super::parts;
use super::waiting::unique;

pub struct Kafka {
    pub address: String,
    pub(super) port: u16,
    pub(super) controller: u16,
    pub(super) folder: PathBuf,
    /// How many brokers hold each topic.
    pub(super) copies: i32,
}

/// One record to be sent.
#[derive(Clone)]
pub struct Draft {
    pub partition: Option<i32>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: OwnedHeaders,
    pub timestamp_ms: Option<i64>,
}

/// The broker that all tests share. It ends with this process (`SILLAGE_OWNER` in tests/parts/place.sh).
pub fn shared() -> &'static Kafka {
    static SHARED: OnceLock<Kafka> = OnceLock::new();
    SHARED.get_or_init(|| {
        sweep();
        Kafka::start("shared")
    })
}

/// Removes the folders of brokers whose test run is over.
fn sweep() {
    for entry in fs::read_dir(env!("CARGO_TARGET_TMPDIR")).unwrap().flatten() {
        let owner = entry.file_name().to_string_lossy().rsplit_once("-of-").map(|(_, owner)| owner.to_owned());
        if owner.is_some_and(|owner| !PathBuf::from(format!("/proc/{owner}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// `tests/parts/kafka` with a folder and ports; what it starts ends with this process.
pub(super) fn script(verb: &str, folder: &Path, ports: &[u16]) {
    let mut command = Command::new(parts::script("kafka"));
    command.env("SILLAGE_OWNER", std::process::id().to_string()).arg(verb).arg(folder);
    parts::run(command.args(ports.iter().map(u16::to_string)));
}

impl Kafka {
    /// A broker of the caller's own, its data in a folder of that name.
    pub fn start(name: &str) -> Kafka {
        let kafka = Kafka::planned(name);
        kafka.up();
        kafka
    }

    /// A broker that has its address already but does not run yet.
    pub fn planned(name: &str) -> Kafka {
        parts::installed("kafka/lib");
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-of-{}", std::process::id()));
        let (port, controller) = (free_port(), free_port());
        Kafka { address: format!("127.0.0.1:{port}"), port, controller, folder, copies: 1 }
    }

    pub fn up(&self) {
        script("start", &self.folder, &[self.port, self.controller]);
    }

    pub fn down(&self) {
        parts::run(Command::new(parts::script("kafka")).arg("stop").arg(&self.folder));
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address).set("message.max.bytes", "33000000");
        config
    }

    /// A new topic with a name that no other test has.
    pub fn topic(&self, prefix: &str, partitions: i32) -> String {
        let name = unique(prefix);
        self.create(&name, partitions);
        name
    }

    pub fn create(&self, name: &str, partitions: i32) {
        self.create_with(name, partitions, &[]);
    }

    /// A topic with settings of its own.
    pub fn create_with(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(self.copies));
        let topic = settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let made = block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
        made.into_iter().for_each(|result| {
            result.unwrap();
        });
    }

    /// Gives a topic more partitions, so many in all.
    pub fn widen(&self, name: &str, partitions: usize) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let wider = NewPartitions::new(name, partitions);
        block_on(admin.create_partitions([&wider], &AdminOptions::new())).unwrap().remove(0).unwrap();
    }

    /// Deletes a topic and returns when the broker no longer knows it.
    pub fn delete(&self, name: &str) {
        parts::wire(&["delete", &self.address, name]);
    }

    /// The consumer groups that the broker knows, as Kafka's own admin protocol tells them.
    pub fn groups(&self) -> Vec<String> {
        parts::wire(&["groups", &self.address]).lines().map(str::to_owned).collect()
    }

    /// What every group committed, as Kafka's own admin protocol tells it.
    pub fn offsets(&self) -> Vec<String> {
        parts::wire(&["offsets", &self.address]).lines().map(str::to_owned).collect()
    }

    /// Sends all in one transaction and commits it, or aborts it.
    pub fn transact(&self, topic: &str, drafts: &[Draft], commits: bool) {
        let transaction = self.transaction(topic, drafts);
        if commits { transaction.commit() } else { transaction.abort() }
    }

    /// Sends all in one transaction, which stays open.
    pub fn transaction(&self, topic: &str, drafts: &[Draft]) -> OpenTransaction {
        let mut client = self.client();
        client.set("transactional.id", unique("transaction")).set("transaction.timeout.ms", "600000");
        let producer: FutureProducer = client.create().unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        producer.begin_transaction().unwrap();
        block_on(async {
            for draft in drafts {
                producer.send(draft.record(topic), PATIENCE).await.map_err(|(error, _)| error).unwrap();
            }
        });
        OpenTransaction { producer }
    }

    /// Deletes all records of a partition below an offset, as retention does.
    pub fn expire(&self, topic: &str, partition: i32, below: i64) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, partition, Offset::Offset(below)).unwrap();
        block_on(admin.delete_records(&offsets, &AdminOptions::new())).unwrap();
    }

    /// Sends all and returns when the broker has acknowledged every one: (partition, offset) in the order given.
    pub fn send(&self, topic: &str, drafts: &[Draft]) -> Vec<(i32, i64)> {
        self.sender().send(topic, drafts)
    }

    /// A producer that is kept, for those who send often.
    pub fn sender(&self) -> Sender {
        Sender { producer: self.client().set("linger.ms", "5").create().unwrap() }
    }
}

/// How long a broker may take to begin or end a transaction.
const PATIENCE: Duration = Duration::from_secs(30);

/// A transaction that was begun.
pub struct OpenTransaction {
    producer: FutureProducer,
}

impl OpenTransaction {
    pub fn commit(self) {
        self.producer.commit_transaction(PATIENCE).unwrap();
    }

    pub fn abort(self) {
        self.producer.abort_transaction(PATIENCE).unwrap();
    }
}

/// A producer that is kept.
pub struct Sender {
    producer: FutureProducer,
}

impl Sender {
    /// Sends all and returns when the broker has acknowledged every one: (partition, offset) in the order given.
    pub fn send(&self, topic: &str, drafts: &[Draft]) -> Vec<(i32, i64)> {
        block_on(async {
            let mut acknowledged = Vec::with_capacity(drafts.len());
            for draft in drafts {
                acknowledged.push(self.producer.send_result(draft.record(topic)).map_err(|(error, _)| error).unwrap());
            }
            let mut positions = Vec::with_capacity(drafts.len());
            for delivery in acknowledged {
                let at = delivery.await.unwrap().map_err(|(error, _)| error).unwrap();
                positions.push((at.partition, at.offset));
            }
            positions
        })
    }
}

impl Draft {
    pub fn json(key: &str, value: &serde_json::Value) -> Draft {
        Draft { key: Some(key.into()), value: Some(value.to_string().into_bytes()), ..Draft::default() }
    }

    /// One more header, after those that it has.
    pub fn header(mut self, name: &str, value: Option<&[u8]>) -> Draft {
        self.headers = self.headers.insert(Header { key: name, value });
        self
    }

    fn record<'a>(&'a self, topic: &'a str) -> FutureRecord<'a, [u8], [u8]> {
        let mut record = FutureRecord::to(topic).headers(self.headers.clone());
        record.key = self.key.as_deref();
        record.payload = self.value.as_deref();
        record.partition = self.partition;
        record.timestamp = self.timestamp_ms;
        record
    }
}

impl Default for Draft {
    fn default() -> Draft {
        Draft { partition: None, key: None, value: None, headers: OwnedHeaders::new(), timestamp_ms: None }
    }
}

/// A test is a plain function; where a client is asynchronous it waits here.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A `[[source]]` that reads these topics from the first record on.
pub fn source(kafka: &Kafka, topics: &[&str]) -> String {
    format!(
        "[[source]]\nname = \"main\"\ntype = \"kafka\"\nbrokers = [\"{}\"]\ntopics = {topics:?}\nfrom = \"earliest\"\n",
        kafka.address
    )
}

/// How often each thing is there.
pub fn tally<T: Ord>(things: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for thing in things {
        *counts.entry(thing).or_default() += 1;
    }
    counts
}
