//! The [`Store`] trait: what every engine promises.
//!
//! Two engines keep the promises: `memory` is the specification, `index` (tantivy) the default. They pass the same contract suite.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::checkpoint::Checkpoint;
use crate::entry::{Entry, Identity};
use crate::histogram::Histogram;
use crate::knot::{Knot, Tie};
use crate::position::SourceName;
use crate::query::{Field, Query};
use crate::time::Timestamp;

/// Counts entries in the order in which they were kept, from 1. Never given twice, not even after a restart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Sequence(pub u64);

/// What keeps entries and finds them again.
///
/// ```text
/// loop { let batch = source.next().await; store.append(batch.entries, batch.checkpoint).await?; /* now acknowledge */ }
/// ```
#[async_trait]
pub trait Store: Send + Sync {
    /// Keeps entries together with the checkpoint that covers them, durably, or not at all. When it returns `Ok`, all of it can be found.
    /// An entry that is held already (see [`Entry::identity`]) is not kept again, but counted in [`Held::copies`].
    async fn append(&self, entries: Vec<Entry>, checkpoint: Checkpoint) -> Result<Sequence, StoreError>;

    /// How far a source has been kept; empty where nothing was.
    async fn checkpoint(&self, source: &SourceName) -> Result<Checkpoint, StoreError>;

    /// Entries tied to any of these knots in the given way: one step of the walk that makes a flow.
    /// At most `limit`, oldest (by own time) first; says in [`Found::cut`] when there were more.
    async fn related(&self, knots: &[(Tie, Knot)], limit: usize) -> Result<Found, StoreError>;

    /// Entries that a query holds for, newest first by their own time (ties broken by identity), a page at a time.
    async fn search(&self, query: &Query, page: PageRequest) -> Result<Found, StoreError>;

    /// Entries that a query holds for and that were kept after `sequence`, in the order in which they were kept: live, alerts.
    async fn since(&self, sequence: Sequence, query: &Query, limit: usize) -> Result<Found, StoreError>;

    /// How many entries a query holds for, by a facet.
    async fn count(&self, query: &Query, by: Facet) -> Result<Counts, StoreError>;

    /// The same, with what was held once and was removed by its age or size: for charts and rates, which need no entry. As far as an engine
    /// still knows it, by the hour.
    async fn count_with_past(&self, query: &Query, by: Facet) -> Result<Counts, StoreError> {
        self.count(query, by).await
    }

    /// Hides and then removes what a query holds for, from every file.
    async fn forget(&self, query: &Query) -> Result<Forgotten, StoreError>;

    /// The sequence up to which entries can be found; grows when new ones can.
    fn generation(&self) -> watch::Receiver<Sequence>;

    /// What is held, and how the store fares.
    async fn stats(&self) -> Result<Stats, StoreError>;

    /// Comes back when the store can't go on and must be started again, and says why. Most never do.
    async fn failed(&self) -> String {
        std::future::pending().await
    }

    /// Finishes what was begun and lets go of the files; afterwards everything is refused as closed. Does nothing where nothing is open.
    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// An entry as the store holds it.
#[derive(Clone, PartialEq, Debug)]
pub struct Held {
    /// The entry.
    pub entry: Arc<Entry>,
    /// When in the order of arrival it was kept.
    pub sequence: Sequence,
    /// How often the same thing was sent, 1 and up.
    pub copies: u32,
}

/// What was found.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Found {
    /// The entries, in the order that the question promises.
    pub entries: Vec<Held>,
    /// Where the next page begins; `None` when there is none.
    pub next: Option<Cursor>,
    /// Why the answer may be incomplete, in words; `None` for a whole answer.
    pub cut: Option<String>,
}

/// Which page of an answer.
#[derive(Clone, PartialEq, Debug)]
pub struct PageRequest {
    /// How many entries at most; engines cut it to [`PAGE_MAX`].
    pub limit: usize,
    /// Where the page begins: what the page before gave as `next`.
    pub after: Option<Cursor>,
}

/// How many entries one page holds at the most: what a browser shows without effort, and a bound on memory.
pub const PAGE_MAX: usize = 1_000;

/// A place in an answer that is sorted by time, newest first. It survives new data, restarts and rebuilt files, because it names an entry and no file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cursor {
    /// The last entry's own time.
    pub time: Timestamp,
    /// The last entry's identity.
    pub identity: Identity,
}

/// What counts are broken down by.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Facet {
    /// By the value of this field; `None` for one row of all. An entry with several values counts under each.
    pub field: Option<Field>,
    /// And by steps of this length of the entries' own time, whole multiples since the epoch; `None` for no series.
    pub step: Option<Duration>,
    /// At most this many distinct values, those with the most entries; the rest is left out and [`Counts::at_least`] set.
    pub values_max: usize,
}

/// How many entries a query holds for.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Counts {
    /// One row a value, most entries first.
    pub rows: Vec<CountRow>,
    /// True when the real counts may be higher: a budget ran out.
    pub at_least: bool,
}

/// The counts of one value of a facet.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CountRow {
    /// The value; empty where the facet has no field.
    pub value: String,
    /// How many entries.
    pub count: u64,
    /// Time of the latest of them.
    pub last: Timestamp,
    /// How many in each step that has any, oldest first; empty where the facet has no step.
    pub steps: Vec<(Timestamp, u64)>,
}

/// What was forgotten.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Forgotten {
    /// How many entries.
    pub entries: u64,
    /// From which files they went, and how many from each.
    pub files: Vec<(String, u64)>,
    /// Why they are hidden but not gone from every file yet; removing them goes on by itself, and when it is asked for again.
    pub unfinished: Option<String>,
    /// What was set aside as damaged: it can't be looked into, and may hold some of it.
    pub unread: Vec<String>,
}

/// What a store holds, and how it fares.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Stats {
    /// Entries held.
    pub entries: u64,
    /// Of these, records.
    pub records: u64,
    /// Of these, spans.
    pub spans: u64,
    /// Of these, logs.
    pub logs: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Sealed segments.
    pub segments: u64,
    /// Segments and other files set aside because they are damaged.
    pub damaged: u64,
    /// Entries that were forgotten and still stand in files: hidden, and being removed.
    pub erasing: u64,
    /// Why they can't be removed now, where they can't.
    pub not_erasing: Option<String>,
    /// The oldest entry's own time.
    pub oldest: Option<Timestamp>,
    /// Since when entries are counted, where those that were removed since are counted still.
    pub counted_since: Option<Timestamp>,
    /// The latest fsync's duration.
    pub last_fsync: Option<Duration>,
    /// Free bytes on the disk that holds the data.
    pub free_bytes: Option<u64>,
    /// Why the store refuses entries now, where it does.
    pub refusing: Option<String>,
    /// How many appends were refused since the start, for whatever reason.
    pub refused: u64,
    /// Entries kept a second, over the last minute.
    pub per_second: f64,
    /// The slowest fsync of the last minute.
    pub slowest_fsync: Option<Duration>,
    /// How many records, spans and logs were kept since the start, in this order.
    pub kept: [u64; 3],
    /// How long writing to the log took since the start, fsync included.
    pub writes: Histogram,
    /// What takes memory.
    pub memory: MemoryUse,
}

/// What takes memory, as it is counted; and what the operating system says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MemoryUse {
    /// The limit for the whole process; 0 where there is none.
    pub limit: u64,
    /// What takes how many bytes.
    pub parts: Vec<(&'static str, u64)>,
    /// How many bytes of memory the process has in use; `None` where that can't be said.
    pub resident: Option<u64>,
}

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// For now it can't take entries (full disk, memory limit, slow disk): try again later; nothing was kept.
    #[error("the store can't take entries now: {reason}")]
    Refused {
        /// Why, in words, with what to do.
        reason: String,
        /// When it makes sense to try again.
        retry_after: Duration,
    },
    /// A file could not be read or written.
    #[error("{what} `{path}`")]
    File {
        /// What was tried, such as "can't open".
        what: &'static str,
        /// The file, below the data folder.
        path: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// A data folder that this program can't read: newer version, foreign files, or in use by another process.
    #[error("{0}")]
    Unusable(String),
    /// A file is damaged, and how.
    #[error("`{path}` is damaged: {reason}")]
    Damaged {
        /// The file, below the data folder.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The engine failed in a way that is our fault.
    #[error("the store failed: {0}")]
    Internal(String),
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}
