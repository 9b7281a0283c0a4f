//! Everything that hangs together with one cause.
//!
//! A flow is computed when asked for, never stored: late spans, retries and restarts need no repair.
//!
//! ```text
//! start -> walk: ask the store for what is tied to what we have, until nothing new comes or a limit is reached
//!            each trace that is reached: which of its entries are ours? (the guard against batches)
//!       -> deliveries -> outcome, time budget, findings
//! ```

use crate::board::Board;
use crate::engine::{Held, Store, StoreError};
use crate::entry::Entry;
use crate::id::TraceId;
use crate::knot::Knot;
use crate::lag_series::Passed;
use crate::position::{Channel, Place, Position, SourceName};
use crate::record::Record;
use crate::span::Span;
use crate::time::Timestamp;

mod budget; // where the time went
mod delivery; // each event and each consumer
pub mod finding; // what is wrong and can be proved
mod origin; // which record each copy goes back to
mod ours; // what is known to belong to the flow
mod outcome; // what came of it
pub(crate) mod owner; // which record a span means by a position
mod trace; // which entries of a trace belong to the flow
mod walk; // from one entry to all that hang together with it

/// What a flow is asked by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Start {
    /// A trace id.
    Trace(TraceId),
    /// An event id.
    Event(String),
    /// A record's place; of several incarnations the latest.
    Record {
        /// Which broker.
        source: SourceName,
        /// Which topic, queue, subject or stream.
        channel: Channel,
        /// Where in it.
        place: Place,
    },
}

/// Everything that hangs together with what is asked for; `None` when the store knows nothing of it.
/// What consumer groups have committed is read from the board.
pub async fn assemble(
    store: &dyn Store,
    board: &Board,
    start: Start,
    now: Timestamp,
) -> Result<Option<Flow>, StoreError> {
    let Some(gathered) = walk::gather(store, start).await? else {
        return Ok(None);
    };
    let mut flow = Flow { cut: gathered.cut, neighbours: gathered.neighbours, ..Flow::default() };
    for joined in gathered.entries {
        match &*joined.held.entry {
            Entry::Record(_) => flow.records.push(joined),
            Entry::Span(_) => flow.spans.push(joined),
            Entry::Log(_) => flow.logs.push(joined),
        }
    }
    for entries in [&mut flow.records, &mut flow.spans, &mut flow.logs] {
        entries.sort_by_key(|joined| (joined.held.entry.time(), joined.held.sequence));
    }
    flow.trace_ids = traces_by_time(&flow);
    (flow.started_at, flow.ended_at) = extent(&flow);
    let (deliveries, left_out) = delivery::deliveries(&flow, board);
    flow.deliveries = deliveries;
    flow.cut = [flow.cut.take(), left_out].into_iter().flatten().reduce(|cut, left_out| format!("{cut}; {left_out}"));
    flow.retries = flow.deliveries.iter().map(|delivery| delivery.attempts.saturating_sub(1)).sum();
    flow.dead_letters = outcome::dead_letters(&flow);
    flow.outcome = outcome::outcome(&flow);
    flow.budget = budget::budget(&flow);
    flow.findings = finding::findings(&flow, board, now);
    Ok(Some(flow))
}

impl Flow {
    /// All of its entries: records, then spans, then logs.
    pub fn entries(&self) -> impl Iterator<Item = &Joined> {
        self.records.iter().chain(&self.spans).chain(&self.logs)
    }

    /// Its records.
    pub fn each_record(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().filter_map(|joined| joined.held.entry.as_record())
    }

    /// Its spans.
    pub fn each_span(&self) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter_map(|joined| joined.held.entry.as_span())
    }

    /// Which of its records a process span is about: by position, by the context that it links to, by its parent.
    pub fn record_of(&self, span: &Span) -> Option<&Record> {
        delivery::record_of(self, span)
    }

    /// For each of its records the one that it goes back to: a retry copy or dead letter to the record that failed first,
    /// every other one to itself. By their sequences.
    pub fn firsts(&self) -> std::collections::HashMap<crate::engine::Sequence, crate::engine::Sequence> {
        origin::firsts(self)
    }

    /// From its earliest to its latest time, in nanoseconds.
    pub fn duration_nanos(&self) -> u64 {
        u64::try_from(self.ended_at.nanos_since(self.started_at)).unwrap_or(0)
    }
}

fn traces_by_time(flow: &Flow) -> Vec<TraceId> {
    let mut dated: Vec<(Timestamp, TraceId)> =
        flow.entries().filter_map(|joined| Some((joined.held.entry.time(), joined.held.entry.trace_id()?))).collect();
    dated.sort();
    let mut seen = std::collections::HashSet::new();
    dated.into_iter().map(|(_, trace_id)| trace_id).filter(|trace_id| seen.insert(*trace_id)).collect()
}

fn extent(flow: &Flow) -> (Timestamp, Timestamp) {
    let started_at = flow.entries().map(|joined| joined.held.entry.time()).min().unwrap_or_default();
    let ended_at = flow
        .entries()
        .map(|joined| match &*joined.held.entry {
            Entry::Span(span) => span.ended_at.max(span.started_at),
            Entry::Record(_) | Entry::Log(_) => joined.held.entry.time(),
        })
        .max()
        .unwrap_or_default();
    (started_at, ended_at)
}

/// Everything that hangs together with one cause.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    /// All traces in it, the one with the earliest entry first.
    pub trace_ids: Vec<TraceId>,
    /// The earliest time of any entry.
    pub started_at: Timestamp,
    /// The latest time of any entry.
    pub ended_at: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
    /// Where the time went.
    pub budget: Budget,
    /// Its records, oldest first.
    pub records: Vec<Joined>,
    /// Its spans, oldest first.
    pub spans: Vec<Joined>,
    /// Its logs, oldest first.
    pub logs: Vec<Joined>,
    /// Each event and each consumer that has to do with it.
    pub deliveries: Vec<Delivery>,
    /// How many further attempts were made.
    pub retries: u32,
    /// How many of its events were set aside.
    pub dead_letters: u32,
    /// What is wrong and can be proved from the entries.
    pub findings: Vec<Finding>,
    /// Other messages that share a batch with this flow and were not followed.
    pub neighbours: Vec<Neighbours>,
    /// Why the flow may be incomplete, in words; `None` for a whole one.
    pub cut: Option<String>,
}

/// An entry of a flow, and what joined it.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The entry.
    pub held: Held,
    /// What joined it.
    pub by: JoinedBy,
}

/// What joined an entry to its flow: shown, so that people trust it and mend their headers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JoinedBy {
    /// The question itself named it.
    Asked,
    /// A knot that it shares with an entry which was there already.
    Knot(Knot),
    /// A record's key, within a batch that has no finer tie.
    Key(String),
}

impl std::fmt::Display for JoinedBy {
    /// As people read it, and as the JSON API's `joinedBy`: `position order.placed 3@48213`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            JoinedBy::Asked => f.write_str("asked for"),
            JoinedBy::Knot(knot) => write!(f, "{knot}"),
            JoinedBy::Key(key) => write!(f, "key {key}"),
        }
    }
}

/// What came of a flow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Outcome {
    /// Nothing is known to be wrong.
    #[default]
    Ok,
    /// Something is under way: a delivery is waiting or to be tried again.
    Waiting,
    /// It came through, after retries.
    Retried,
    /// A span or delivery failed, and no later attempt is known to have succeeded.
    Failed,
    /// An event of it was set aside.
    DeadLettered,
}

/// Where the time went, in nanoseconds. Adds up to the time from start to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Budget {
    /// Some span was at work.
    pub working: u64,
    /// Nobody worked and a record waited in a broker to be read.
    pub waiting: u64,
    /// Nobody worked and a retry waited for its time.
    pub backing_off: u64,
    /// None of these is known.
    pub unknown: u64,
}

/// One event and one consumer.
#[derive(Clone, PartialEq, Debug)]
pub struct Delivery {
    /// The record that was first delivered.
    pub position: Position,
    /// Its event id.
    pub event_id: Option<String>,
    /// Its event type.
    pub event_type: Option<String>,
    /// Who consumes: a consumer group where one is told, else a service.
    pub consumer: String,
    /// True where [`Delivery::consumer`] is a group.
    pub is_group: bool,
    /// The service that did the work, where a span shows it.
    pub service: Option<String>,
    /// How it stands.
    pub state: DeliveryState,
    /// How many attempts are known; 0 where only the commits tell of it.
    pub attempts: u32,
    /// When the first attempt began.
    pub started_at: Option<Timestamp>,
    /// When the last known thing happened to it.
    pub ended_at: Option<Timestamp>,
    /// What the last failure says.
    pub error: Option<String>,
    /// What the group's commits tell; `None` for a service, and for a group that no broker tells of.
    pub commit: Option<Commit>,
}

/// What the commits of a consumer group tell of one record. Committed is not processed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Commit {
    /// How the record stands by them alone.
    pub stands: DeliveryState,
    /// When the group was last looked at.
    pub looked_at: Timestamp,
    /// Between which looks the commit passed the record; `None` where it hasn't, and where the history doesn't tell.
    pub passed: Option<Passed>,
}

/// How a delivery stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeliveryState {
    /// The group's commit hasn't reached it; so many offsets are ahead of it, where that is known.
    Waiting(Option<u64>),
    /// The group committed past it. Committed is not processed.
    CommittedPast,
    /// A span or a reaction proves that it was processed.
    Processed,
    /// The last known attempt failed, and no other is known to follow.
    Failed,
    /// It is to be tried again.
    Retrying,
    /// It was set aside.
    DeadLettered,
    /// The group's commit was set past it while nobody could have read it.
    Skipped,
    /// A group that reads the topic, of which this can't be said; and why.
    Unknown(&'static str),
}

/// Something wrong that can be proved from the entries.
#[derive(Clone, PartialEq, Debug)]
pub struct Finding {
    /// A short name, such as `duplicate`, for links and the API.
    pub kind: &'static str,
    /// What is wrong, in a sentence.
    pub says: String,
    /// The record it is about, where it is about one.
    pub position: Option<Position>,
}

/// Other messages that share a batch with a flow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Neighbours {
    /// What they share, in words: the service and name of the batch's span.
    pub shared: String,
    /// How many others there are.
    pub others: usize,
}

#[cfg(test)]
mod tests;
