//! The notice board: what the collector reports of itself and of consumer groups, and pages and `/readyz` read.
//! In memory only; nothing here must outlive the process, but for the course of lag, which has its own file.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::watch;

use crate::alert::Alerts;
use crate::alert::deliveries::Deliveries;
use crate::alert::webhook::WebhookStatus;
use crate::groups::{Consumer, GroupStatus, Readers, Round};
use crate::lag_series::LagSeries;
use crate::position::SourceName;
use crate::record::Record;
use crate::redacted::Redaction;
use crate::time::Timestamp;

/// What the collector reports of itself.
#[derive(Debug, Default)]
pub struct Board {
    groups: RwLock<BTreeMap<SourceName, Arc<Readers>>>,
    rounds: RwLock<BTreeMap<SourceName, Round>>,
    retentions: RwLock<BTreeMap<SourceName, Arc<BTreeMap<String, Retention>>>>,
    /// Which group a service consumes as, as the configuration tells.
    consumers: RwLock<BTreeMap<String, String>>,
    lags: LagSeries,
    sources: RwLock<BTreeMap<SourceName, SourceStatus>>,
    open_records: RwLock<BTreeMap<SourceName, Arc<Vec<Record>>>>,
    undecoded: RwLock<BTreeMap<SourceName, u64>>,
    refused: RwLock<BTreeMap<String, u64>>,
    refused_elsewhere: RwLock<Vec<Gauge>>,
    memory: RwLock<Vec<Gauge>>,
    queues: RwLock<Vec<Gauge>>,
    webhooks: RwLock<BTreeMap<String, WebhookStatus>>,
    deliveries: Deliveries,
    alerts: watch::Sender<Arc<Alerts>>,
    /// What redrives wait for, by id.
    redrives_wait: RwLock<BTreeMap<String, String>>,
    redaction: RwLock<Arc<Redaction>>,
}

/// What is counted outside the store, and how to ask how much it is.
struct Gauge {
    what: &'static str,
    ask: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, (self.ask)())
    }
}

/// How one source fares.
#[derive(Clone, PartialEq, Debug)]
pub struct SourceStatus {
    /// Its name in the configuration.
    pub name: SourceName,
    /// Its type: `kafka`, `nats`, `otlp`.
    pub kind: String,
    /// Where it listens or connects to, for people to read.
    pub address: String,
    /// How it fares.
    pub state: SourceState,
    /// What is wrong, and what to do about it; `None` when nothing is.
    pub error: Option<String>,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// How far behind the broker's end our reading is, in milliseconds; `None` where that can't be said.
    pub behind_ms: Option<u64>,
    /// Entries received since the start.
    pub received: u64,
    /// The channels that are watched.
    pub channels: Vec<ChannelStatus>,
    /// What this broker can't tell, in sentences for people, such as "groups can't be listed".
    pub unseen: Vec<String>,
    /// Partitions that hold records which are not committed now; those that have waited longest first.
    pub transactions: Vec<OpenTransaction>,
}

/// A partition that holds records which are not committed: readers of committed records wait at its last stable offset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenTransaction {
    /// The topic.
    pub channel: String,
    /// The partition.
    pub partition: i32,
    /// Since when its last stable offset stands still, as far as we have seen.
    pub since: Timestamp,
    /// Where readers of committed records wait.
    pub last_stable: i64,
    /// The high watermark: where readers of all records are.
    pub end: i64,
}

/// After so long a transaction is worth a word: they usually take milliseconds, and a broker ends them after a minute (`transaction.timeout.ms`).
pub const OPEN_FOR_LONG: Duration = Duration::from_secs(10);

impl OpenTransaction {
    /// How many offsets readers of committed records can't reach.
    pub fn waiting(&self) -> u64 {
        u64::try_from(self.end.saturating_sub(self.last_stable)).unwrap_or(0)
    }

    /// How long it has been open, at least.
    pub fn open_for(&self, now: Timestamp) -> Duration {
        Duration::from_nanos(u64::try_from(now.nanos_since(self.since)).unwrap_or(0))
    }
}

/// One watched channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelStatus {
    /// The topic, queue, subject or stream.
    pub channel: String,
    /// How many partitions it has; 1 where the broker has none.
    pub partitions: u32,
    /// How many records the broker holds, by first and end offsets; `None` where that can't be said.
    pub records: Option<u64>,
    /// Where each partition begins and ends, by number; empty where the broker has none, or doesn't tell.
    pub bounds: Arc<[PartitionBounds]>,
}

/// Where a partition begins and ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PartitionBounds {
    /// The partition.
    pub partition: i32,
    /// Its first offset.
    pub begin: i64,
    /// The offset after its last record that can be read.
    pub end: i64,
}

/// How long a topic keeps its records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention {
    /// For how many milliseconds; `None` for ever.
    pub ms: Option<u64>,
    /// How many bytes of each partition; `None` for any number.
    pub bytes: Option<u64>,
    /// Of each key, the latest stays.
    pub is_compacted: bool,
}

/// How a source fares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceState {
    /// It has not answered yet.
    Starting,
    /// It works.
    Up,
    /// It doesn't, and is tried again.
    Down,
    /// It was only tried because nothing was configured, and isn't there: no reason for alarm.
    Absent,
}

impl SourceState {
    /// Its name in the JSON API.
    pub fn as_str(self) -> &'static str {
        match self {
            SourceState::Starting => "starting",
            SourceState::Up => "up",
            SourceState::Down => "down",
            SourceState::Absent => "absent",
        }
    }
}

impl Board {
    /// A board whose course of lag is kept in a data folder.
    pub fn remembering(lags: LagSeries) -> Board {
        Board { lags, ..Board::default() }
    }

    /// Puts up how the groups of a source stand, in place of what stood there.
    pub fn post_groups(&self, source: &SourceName, groups: Vec<GroupStatus>) {
        self.groups.write().insert(source.clone(), Arc::new(Readers::new(groups)));
    }

    /// How the groups of each source stand, by source.
    pub fn groups(&self) -> Vec<Arc<Vec<GroupStatus>>> {
        self.groups.read().values().map(|readers| readers.groups().clone()).collect()
    }

    /// The groups of a source, found by what they read; none where nothing was looked at yet.
    pub fn readers(&self, source: &SourceName) -> Arc<Readers> {
        self.groups.read().get(source).cloned().unwrap_or_default()
    }

    /// Puts up which group a service consumes as, where its spans don't say.
    pub fn tie(&self, consumer: &Consumer) {
        self.consumers.write().insert(consumer.service.clone(), consumer.group.clone());
    }

    /// The group that a service was told to consume as.
    pub fn tied(&self, service: &str) -> Option<String> {
        self.consumers.read().get(service).cloned()
    }

    /// How one group stands.
    pub fn group(&self, source: &SourceName, group: &str) -> Option<GroupStatus> {
        let readers = self.groups.read().get(source).cloned()?;
        readers.groups().iter().find(|status| status.group == group).cloned()
    }

    /// How the groups of one source stand.
    pub fn groups_of(&self, source: &SourceName) -> Arc<Vec<GroupStatus>> {
        self.readers(source).groups().clone()
    }

    /// Puts up what it took to ask for the groups of a source.
    pub fn post_round(&self, source: &SourceName, round: Round) {
        self.rounds.write().insert(source.clone(), round);
    }

    /// What the latest round took, by source.
    pub fn rounds(&self) -> BTreeMap<SourceName, Round> {
        self.rounds.read().clone()
    }

    /// Puts up how long the topics of a source keep their records, as far as the broker tells.
    pub fn post_retentions(&self, source: &SourceName, retentions: BTreeMap<String, Retention>) {
        self.retentions.write().insert(source.clone(), Arc::new(retentions));
    }

    /// How long a topic keeps its records; `None` where that can't be seen.
    pub fn retention(&self, source: &SourceName, topic: &str) -> Option<Retention> {
        self.retentions.read().get(source)?.get(topic).copied()
    }

    /// How far groups were behind, over time.
    pub fn lags(&self) -> &LagSeries {
        &self.lags
    }

    /// Puts up how a source fares, in place of what stood there.
    pub fn post(&self, status: SourceStatus) {
        self.sources.write().insert(status.name.clone(), status);
    }

    /// Changes what stands there of a source; does nothing where nothing does.
    pub fn amend(&self, name: &SourceName, change: impl FnOnce(&mut SourceStatus)) {
        if let Some(status) = self.sources.write().get_mut(name) {
            change(status);
        }
    }

    /// All sources, by name.
    pub fn sources(&self) -> Vec<SourceStatus> {
        self.sources.read().values().cloned().collect()
    }

    /// Puts up the records of a source that are not committed yet, in place of what stood there.
    pub fn post_open_records(&self, source: &SourceName, records: Vec<Record>) {
        self.open_records.write().insert(source.clone(), Arc::new(records));
    }

    /// The records that are not committed yet, by source. None of them is in the store.
    pub fn open_records(&self) -> Vec<Arc<Vec<Record>>> {
        self.open_records.read().values().cloned().collect()
    }

    /// Puts up how all alerts stand, in place of what stood there.
    pub fn post_alerts(&self, alerts: Alerts) {
        self.alerts.send_replace(Arc::new(alerts));
    }

    /// How all alerts stand.
    pub fn alerts(&self) -> Arc<Alerts> {
        self.alerts.borrow().clone()
    }

    /// Changes whenever alerts are looked at.
    pub fn watch_alerts(&self) -> watch::Receiver<Arc<Alerts>> {
        self.alerts.subscribe()
    }

    /// Puts up what a redrive waits for, or that it waits for nothing.
    pub fn post_redrive_waits(&self, id: &str, reason: Option<String>) {
        let mut waits = self.redrives_wait.write();
        match reason {
            Some(reason) => drop(waits.insert(id.to_owned(), reason)),
            None => drop(waits.remove(id)),
        }
    }

    /// What a redrive waits for; `None` where it doesn't.
    pub fn redrive_waits(&self, id: &str) -> Option<String> {
        self.redrives_wait.read().get(id).cloned()
    }

    /// Counts something that was refused or dropped, by reason: nothing is ever refused silently.
    pub fn count_refused(&self, reason: &str, many: u64) {
        *self.refused.write().entry(reason.to_owned()).or_default() += many;
    }

    /// Puts up who counts what was refused or dropped for another reason.
    pub fn refused_by(&self, reason: &'static str, ask: impl Fn() -> u64 + Send + Sync + 'static) {
        self.refused_elsewhere.write().push(Gauge { what: reason, ask: Box::new(ask) });
    }

    /// Counts records of a source that could not be read in full. They are kept all the same.
    pub fn count_undecoded(&self, source: &SourceName, many: u64) {
        *self.undecoded.write().entry(source.clone()).or_default() += many;
    }

    /// How many records of each source could not be read in full since the start.
    pub fn undecoded(&self) -> BTreeMap<SourceName, u64> {
        self.undecoded.read().clone()
    }

    /// Puts up who counts the bytes of memory that something outside the store takes.
    pub fn measure(&self, what: &'static str, ask: impl Fn() -> u64 + Send + Sync + 'static) {
        self.memory.write().push(Gauge { what, ask: Box::new(ask) });
    }

    /// Puts up what is taken out of values before they are kept.
    pub fn redacts(&self, redaction: Redaction) {
        *self.redaction.write() = Arc::new(redaction);
    }

    /// What is taken out of values before they are kept.
    pub fn redaction(&self) -> Arc<Redaction> {
        self.redaction.read().clone()
    }

    /// Puts up who counts how much waits in a queue outside the store.
    pub fn queue(&self, what: &'static str, ask: impl Fn() -> u64 + Send + Sync + 'static) {
        self.queues.write().push(Gauge { what, ask: Box::new(ask) });
    }

    /// How much waits in each queue outside the store.
    pub fn queues(&self) -> Vec<(&'static str, u64)> {
        self.queues.read().iter().map(|gauge| (gauge.what, (gauge.ask)())).collect()
    }

    /// What takes how many bytes of memory outside the store.
    pub fn memory(&self) -> Vec<(&'static str, u64)> {
        self.memory.read().iter().map(|gauge| (gauge.what, (gauge.ask)())).collect()
    }

    /// What was refused since the start, by reason.
    pub fn refused(&self) -> BTreeMap<String, u64> {
        let mut refused = self.refused.read().clone();
        for gauge in self.refused_elsewhere.read().iter() {
            *refused.entry(gauge.what.to_owned()).or_default() += (gauge.ask)();
        }
        refused
    }

    /// Puts up how a webhook stands, in place of what stood there.
    pub fn post_webhook(&self, status: WebhookStatus) {
        self.webhooks.write().insert(status.name.clone(), status);
    }

    /// How the configured webhooks stand, by name.
    pub fn webhooks(&self) -> Vec<WebhookStatus> {
        self.webhooks.read().values().cloned().collect()
    }

    /// What became of each notification, as far as the journal was read.
    pub fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }
}
