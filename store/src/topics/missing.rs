//! What readers of a topic don't get: records that expired before we read them, and records that are not committed.

use crate::board::{Board, OpenTransaction};
use crate::engine::{PageRequest, Store, StoreError};
use crate::entry::{Entry, Kind};
use crate::gap::Gap;
use crate::position::SourceName;
use crate::query::{Field, Query};
use crate::record::Record;
use crate::time::Timestamp;

/// How many gaps of a topic are told, the latest: more are found by `status:gap`.
const GAPS_MAX: usize = 20;

/// What readers of a topic don't get.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Missing {
    /// Partitions with an open transaction, the one that has been open for longest first.
    pub transactions: Vec<OpenTransaction>,
    /// Records in or behind open transactions, where their source shows them; none of them is kept.
    pub open: Vec<Record>,
    /// What expired before it was read, and when that was noticed; the latest first.
    pub gaps: Vec<(Timestamp, Gap)>,
}

/// What readers of a topic don't get.
pub async fn missing(
    store: &dyn Store,
    board: &Board,
    source: &SourceName,
    topic: &str,
) -> Result<Missing, StoreError> {
    let query = Query::Kind(Kind::Log)
        .and(Query::is(Field::Status, "gap"))
        .and(Query::is(Field::Source, source.as_str()))
        .and(Query::is(Field::Topic, topic));
    let found = store.search(&query, PageRequest { limit: GAPS_MAX, after: None }).await?;
    let told = |entry: &Entry| entry.as_log().and_then(|log| Some((log.timestamp, Gap::told_by(log)?)));
    let status = board.sources().into_iter().find(|status| status.name == *source);
    let transactions = status.into_iter().flat_map(|status| status.transactions);
    let open = board.open_records();
    let open = open.iter().flat_map(|records| records.iter());
    Ok(Missing {
        transactions: transactions.filter(|open| open.channel == topic).collect(),
        open: open
            .filter(|record| record.position.source == *source && record.position.channel.as_str() == topic)
            .cloned()
            .collect(),
        gaps: found.entries.iter().filter_map(|held| told(&held.entry)).collect(),
    })
}
