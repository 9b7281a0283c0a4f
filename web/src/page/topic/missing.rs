//! What readers of the topic don't get, as the page says it: open transactions, and what expired before it was read.

use store::Timestamp;
use store::board::{OPEN_FOR_LONG, OpenTransaction};
use store::topics::Missing;

use super::{Row, row};
use crate::page::Frame;
use crate::wording;

/// How many open records are shown: the first ones tell what the transaction is about.
const OPEN_ROWS: usize = 20;

/// What readers of the topic don't get.
pub struct MissingView {
    /// One sentence for each partition whose readers wait.
    pub waits: Vec<String>,
    /// What is open, as far as its source shows it.
    pub open: Vec<Row>,
    /// How many more are open than are shown.
    pub open_left: usize,
    /// What expired: when it was noticed, and what.
    pub gaps: Vec<(String, String)>,
}

impl MissingView {
    pub fn new(missing: &Missing, frame: &Frame, now: Timestamp) -> MissingView {
        let long = missing.transactions.iter().filter(|open| open.open_for(now) >= OPEN_FOR_LONG);
        MissingView {
            waits: long.map(|open| wait(open, now)).collect(),
            open: missing.open.iter().take(OPEN_ROWS).map(|record| row(record, frame, now)).collect(),
            open_left: missing.open.len().saturating_sub(OPEN_ROWS),
            gaps: missing.gaps.iter().map(|(at, gap)| (wording::clock_short(*at, now), gap.sentence())).collect(),
        }
    }
}

/// What one partition's readers wait for.
pub fn wait(open: &OpenTransaction, now: Timestamp) -> String {
    format!(
        "A transaction has been open since at least {}: readers of committed records wait at offset {} of `{}` partition {}, with {} \
         behind it. It ends when its producer ends it, or when the broker does.",
        wording::clock_short(open.since, now),
        open.last_stable,
        open.channel,
        open.partition,
        wording::many(open.waiting(), "offset"),
    )
}
