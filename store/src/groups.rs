//! How consumer groups stand now: what the collector last saw of each, for pages and the API.
//!
//! In memory only: it is asked for anew every few seconds. The course over time is in [`LagSeries`](crate::LagSeries).
//! What isn't known is `None` with a reason, never 0.

mod readers; // who reads a partition

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::position::{Channel, Incarnation, SourceName};
use crate::record::Record;
use crate::time::Timestamp;

pub use readers::{Reader, Readers};

/// A `[[consumer]]` table of the configuration: which group a service consumes as. Needed only where its spans name no group, and no
/// member of the group has the spans' client id.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consumer {
    /// The service, as its spans name it.
    pub service: String,
    /// The consumer group.
    pub group: String,
}

/// What it took to ask for all groups of a source once.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Round {
    /// How long it took.
    pub took: Duration,
    /// How many groups were asked for.
    pub groups: usize,
    /// How many partitions of theirs there are.
    pub partitions: usize,
    /// How many requests the brokers got for groups since the start, by kind.
    pub requests: BTreeMap<String, u64>,
}

/// One consumer group.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupStatus {
    /// The broker.
    pub source: SourceName,
    /// Its name.
    pub group: String,
    /// How it stands: as its worst partition does.
    pub state: LagState,
    /// What the broker calls its state, such as `Stable` or `Empty`; `None` where it doesn't tell.
    pub broker_state: Option<String>,
    /// Its protocol: `classic` or `consumer` (KIP-848); `None` where the broker doesn't tell.
    pub protocol: Option<String>,
    /// How partitions are shared out, such as `range`; `None` where the broker doesn't tell.
    pub assignor: Option<String>,
    /// Its members; `None` where the broker doesn't tell.
    pub members: Option<Vec<Member>>,
    /// What it has committed in or owns, by topic and partition.
    pub partitions: Vec<PartitionLag>,
    /// How the sum of its lags changes, in records a second; `None` while too little was seen.
    pub trend: Option<f64>,
    /// Why nothing is told of it, where nothing is.
    pub unseen: Option<String>,
    /// When it was looked at.
    pub at: Timestamp,
}

/// One member of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The id that the broker gave it.
    pub id: String,
    /// The name it gave itself.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
}

/// One group on one partition.
#[derive(Clone, PartialEq, Debug)]
pub struct PartitionLag {
    /// The topic.
    pub topic: Channel,
    /// The partition.
    pub partition: i32,
    /// Which life of the topic the offsets are of, as far as it has been read.
    pub incarnation: Incarnation,
    /// The committed offset; `None` where none is.
    pub committed: Option<i64>,
    /// Where what can be read ends (the last stable offset); `None` where the broker didn't tell.
    pub end: Option<i64>,
    /// How many offsets lie between the two; transaction markers and compaction holes count. `None` where either is unknown.
    pub lag: Option<u64>,
    /// How long the first record that waits has been there, or why that isn't known.
    pub time: TimeLag,
    /// How it stands.
    pub state: LagState,
    /// Which member owns it: the place in [`GroupStatus::members`].
    pub owner: Option<usize>,
}

/// How far behind in time.
#[derive(Clone, PartialEq, Debug)]
pub enum TimeLag {
    /// Nothing waits.
    Nothing,
    /// This record waits, since so many milliseconds.
    Waits {
        /// For how long.
        ms: u64,
        /// The record.
        on: WaitingOn,
    },
    /// It can't be said, and why.
    Unknown(&'static str),
}

/// The first record that a group has yet to read on a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WaitingOn {
    /// Its offset.
    pub offset: i64,
    /// Its time.
    pub at: Timestamp,
    /// Whose time that is.
    pub clock: Clock,
    /// Whether it is kept, so that there is a flow to look at; one that was only fetched for its time is not.
    pub is_held: bool,
    /// What happened, by its event type.
    pub event_type: Option<String>,
    /// Its key, where it is text.
    pub key: Option<String>,
}

/// Whose time a record's time is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// The record's own, as the producer or the broker set it.
    Record,
    /// Ours, when we received it: the record tells none, or one that can't be.
    Receipt,
}

/// How a group stands on a partition, from harmless to grave; a group stands as its worst partition does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LagState {
    /// Nothing can be told of it.
    Unseen,
    /// It reads as fast as records come.
    KeepingUp,
    /// It is behind, and its lag falls.
    CatchingUp,
    /// It never committed here.
    NoCommit,
    /// It is behind, and its lag didn't fall for a while.
    Behind,
    /// It is behind, and its lag grows.
    FallingBehind,
    /// It is behind, and commits no more.
    Stopped,
    /// It is behind and owned, and its commit doesn't move.
    Stalled,
    /// Its commit went back, and hasn't reached where it was.
    Rewound,
    /// Retention took records that it had not read.
    BelowStart,
}

/// How far the clock of a producer may be ahead of ours.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// No record is as old as this (September 2001): who sends seconds where milliseconds are due seems to.
const EARLIEST: Timestamp = Timestamp::from_millis(1_000_000_000_000);

impl LagState {
    /// Its name in the JSON API.
    pub fn as_str(self) -> &'static str {
        match self {
            LagState::Unseen => "unseen",
            LagState::KeepingUp => "keepingUp",
            LagState::CatchingUp => "catchingUp",
            LagState::NoCommit => "noCommit",
            LagState::Behind => "behind",
            LagState::FallingBehind => "fallingBehind",
            LagState::Stopped => "stopped",
            LagState::Stalled => "stalled",
            LagState::Rewound => "rewound",
            LagState::BelowStart => "belowStart",
        }
    }
}

/// How long ago a group may have been looked at for what was seen to count as now: six rounds.
const CURRENT_FOR: Duration = Duration::from_secs(60);

impl GroupStatus {
    /// Whether it was looked at so lately that this is how it stands; not while its source is down.
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.at.plus(CURRENT_FOR) >= now
    }

    /// The sum of the lags that are known; `None` where none is.
    pub fn lag(&self) -> Option<u64> {
        sum(self.partitions.iter())
    }

    /// The longest that a record waits, of those that are known; `None` where none is.
    pub fn lag_ms(&self) -> Option<u64> {
        longest(self.partitions.iter())
    }

    /// The topics it reads, each once, by name.
    pub fn topics(&self) -> Vec<&str> {
        let mut topics: Vec<&str> = self.partitions.iter().map(|partition| partition.topic.as_str()).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    /// The lags of one topic: in records and in milliseconds.
    pub fn of_topic(&self, topic: &str) -> (Option<u64>, Option<u64>) {
        let of_topic = || self.partitions.iter().filter(|partition| partition.topic.as_str() == topic);
        (sum(of_topic()), longest(of_topic()))
    }

    /// After how many seconds nothing waits any more if all goes on like this; `None` where the lag doesn't fall.
    pub fn clears_in_s(&self) -> Option<f64> {
        let (lag, trend) = (self.lag()?, self.trend?);
        (trend < 0.0 && lag > 0).then(|| lag as f64 / -trend)
    }
}

impl PartitionLag {
    /// For how long the first record waits, in milliseconds; 0 where none does.
    pub fn lag_ms(&self) -> Option<u64> {
        match &self.time {
            TimeLag::Nothing => Some(0),
            TimeLag::Waits { ms, .. } => Some(*ms),
            TimeLag::Unknown(_) => None,
        }
    }
}

impl WaitingOn {
    /// What is told of a record. A time that lies in the future, or before there was a Kafka, is taken for no time.
    pub fn new(record: &Record, offset: i64, is_held: bool) -> WaitingOn {
        let latest = record.received_at.plus(CLOCKS_DIFFER);
        let told = record.timestamp.filter(|at| (EARLIEST..=latest).contains(at));
        WaitingOn {
            offset,
            at: told.unwrap_or(record.received_at),
            clock: if told.is_some() { Clock::Record } else { Clock::Receipt },
            is_held,
            event_type: record.event.event_type.clone(),
            key: record.key_text().map(str::to_owned),
        }
    }
}

fn sum<'a>(partitions: impl Iterator<Item = &'a PartitionLag>) -> Option<u64> {
    partitions.filter_map(|partition| partition.lag).reduce(u64::saturating_add)
}

fn longest<'a>(partitions: impl Iterator<Item = &'a PartitionLag>) -> Option<u64> {
    partitions.filter_map(PartitionLag::lag_ms).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Entry;
    use crate::fixture;

    #[test]
    fn a_time_in_the_future_or_of_another_unit_is_replaced_by_our_receipt_and_says_so() {
        let Entry::Record(mut record) = fixture::record("orders", 0, 1).at(10.0).entry() else { panic!("a record") };
        let mut check = |timestamp: Option<Timestamp>| {
            record.timestamp = timestamp;
            let on = WaitingOn::new(&record, 1, true);
            assert!(on.clock == Clock::Record || on.at == record.received_at);
            on.clock
        };
        let received = fixture::at(10.0);
        assert_eq!(check(Some(received.minus(Duration::from_secs(3_600)))), Clock::Record);
        assert_eq!(check(Some(received.plus(Duration::from_secs(30)))), Clock::Record, "clocks differ a little");
        assert_eq!(check(Some(received.plus(Duration::from_secs(3_600)))), Clock::Receipt);
        assert_eq!(check(Some(Timestamp::from_millis(1_795_442_531))), Clock::Receipt, "seconds, not milliseconds");
        assert_eq!(check(None), Clock::Receipt);
    }
}
