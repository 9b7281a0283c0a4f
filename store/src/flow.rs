//! Everything that hangs together with one cause.
//!
//! A flow is computed when asked for, never stored: late spans, retries and restarts need no repair.

use crate::engine::Held;
use crate::id::TraceId;
use crate::knot::Knot;
use crate::position::Position;
use crate::time::Timestamp;

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
    /// How many attempts are known.
    pub attempts: u32,
    /// When the first attempt began.
    pub started_at: Option<Timestamp>,
    /// When the last known thing happened to it.
    pub ended_at: Option<Timestamp>,
    /// What the last failure says.
    pub error: Option<String>,
}

/// How a delivery stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeliveryState {
    /// Not read yet; this many records are ahead of it, where that is known.
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
    /// The group's commit moved past it while nobody could have read it.
    Skipped,
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
