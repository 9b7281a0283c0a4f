//! The gap between the high watermark and the last stable offset: records that nobody who reads committed ones gets, because a
//! transaction is open. A hanging one freezes every such reader, us included, and looks like silence otherwise.

use std::collections::{BTreeMap, HashMap};

use rdkafka::consumer::{BaseConsumer, Consumer};
use store::Timestamp;
use store::board::OpenTransaction;

use super::ask::AllBounds;
use super::{Observer, answer_within};
use crate::source::kafka::admin::{self, TopicPartition};
use crate::source::kafka::client::Hearing;

/// How many partitions with an open transaction are told of: a page shows no more, and they are copied at every look.
const OPEN_MAX: usize = 1_000;

/// The last stable offsets that stood below their high watermark at the last look, and since when.
pub(super) type Standing = HashMap<TopicPartition, (i64, Timestamp)>;

/// Where partitions end for those who read everything.
pub(super) type Ends = HashMap<TopicPartition, i64>;

impl Observer {
    /// Where partitions end for those who read everything; `None` where the brokers don't tell now. To be asked before where they end for
    /// readers of committed records: what is committed in between must not look as if it were open.
    pub(super) fn high_watermarks(
        &self,
        consumer: &BaseConsumer<Hearing>,
        listed: &BTreeMap<String, Vec<i32>>,
    ) -> Option<Ends> {
        let patience = answer_within(listed.values().map(Vec::len).sum());
        let ends = admin::high_watermarks(consumer.client(), listed, patience);
        // A leader just moved: the next survey tells.
        ends.inspect_err(|error| tracing::debug!(%error, "no high watermarks")).ok()
    }

    /// Puts up which partitions hold records that are not committed.
    pub(super) fn look_for_transactions(&mut self, bounds: &AllBounds, ends: Option<Ends>) {
        if let Some(ends) = ends {
            let open = open(&mut self.standing, bounds, &ends, Timestamp::now());
            self.watch.notice.transactions(open);
        }
    }
}

/// Which partitions end before their high watermark for readers of committed records; those that have for longest first.
fn open(standing: &mut Standing, bounds: &AllBounds, ends: &Ends, now: Timestamp) -> Vec<OpenTransaction> {
    let mut still = Standing::new();
    let mut open = Vec::new();
    for (key, bounds) in bounds {
        let Some(end) = ends.get(key).copied().filter(|end| *end > bounds.end) else { continue };
        let since = standing.get(key).filter(|(stable, _)| *stable == bounds.end).map_or(now, |(_, since)| *since);
        still.insert(key.clone(), (bounds.end, since));
        let (channel, partition) = key.clone();
        open.push(OpenTransaction { channel, partition, since, last_stable: bounds.end, end });
    }
    *standing = still;
    open.sort_by(|one, other| {
        (one.since, &one.channel, one.partition).cmp(&(other.since, &other.channel, other.partition))
    });
    open.truncate(OPEN_MAX);
    open
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::kafka::place::Bounds;

    #[test]
    fn a_transaction_is_open_since_its_last_stable_offset_stands_still() {
        let key = ("orders".to_owned(), 0);
        let mut standing = Standing::new();
        let mut look = |stable: i64, high: i64, second: i64| {
            let bounds = AllBounds::from([(key.clone(), Bounds { begin: 0, end: stable })]);
            let ends = HashMap::from([(key.clone(), high)]);
            let found = open(&mut standing, &bounds, &ends, Timestamp::from_millis(second * 1_000));
            found.first().map(|open| (open.waiting(), open.since.as_millis() / 1_000))
        };
        assert_eq!(look(10, 10, 0), None);
        assert_eq!(look(10, 13, 3), Some((3, 3)));
        assert_eq!(look(10, 20, 6), Some((10, 3)));
        assert_eq!(look(15, 20, 9), Some((5, 9)), "the first one ended, another is open");
        assert_eq!(look(20, 20, 12), None);
        assert_eq!(look(20, 21, 15), Some((1, 15)));
    }
}
