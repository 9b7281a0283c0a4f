//! What a group's commits tell of one record: whether they passed it, and between which two looks.

use std::time::Duration;

use crate::flow::{Commit, DeliveryState};
use crate::groups::{LagState, Reader};
use crate::lag_series::{LagKey, LagSeries, Passed};
use crate::record::Record;

/// How far the clock that dated a record may be ahead of ours.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

const NO_COMMIT: &str = "the group has committed nothing on this partition";
const NOT_TOLD: &str = "the broker does not tell what the group has committed";
const CAME_SINCE: &str = "the record came after the group was last looked at";
const MADE_AGAIN: &str = "the topic was made again since, and what the group committed is about its new life";
const BELOW_START: &str = "retention took records that the group had not read, and this may be one of them";

/// What the commits of a group tell of the record at this partition and offset.
pub fn of(record: &Record, at: (i32, i64), reader: Reader<'_>, lags: &LagSeries) -> Commit {
    let (partition, offset) = at;
    let looked_at = reader.group.at;
    let unknown = |why| Commit { stands: DeliveryState::Unknown(why), looked_at, passed: None };
    let Some(lag) = reader.partition else { return unknown(NO_COMMIT) };
    if lag.incarnation != record.position.incarnation {
        return unknown(MADE_AGAIN);
    }
    match lag.committed {
        None if reader.group.unseen.is_some() => unknown(NOT_TOLD),
        None => unknown(NO_COMMIT),
        Some(committed) if committed > offset => {
            let (source, topic) = (record.position.source.clone(), record.position.channel.clone());
            let key = LagKey { source, group: reader.group.group.clone(), topic, partition };
            let passed = lags.passed(&key, offset).filter(|passed| is_of_its_life(passed, record));
            let is_skipped = passed.is_some_and(|passed| passed.without_members && !passed.went_back);
            let stands = if is_skipped { DeliveryState::Skipped } else { DeliveryState::CommittedPast };
            Commit { stands, looked_at, passed }
        }
        Some(_) if lag.end.is_some_and(|end| offset >= end) => unknown(CAME_SINCE),
        Some(_) if lag.state == LagState::BelowStart => unknown(BELOW_START),
        Some(committed) => {
            let ahead = u64::try_from(offset - committed).ok();
            Commit { stands: DeliveryState::Waiting(ahead), looked_at, passed: None }
        }
    }
}

/// Whether the record was there when the commit passed its offset; else that was one at the same offset in an earlier life of the topic.
fn is_of_its_life(passed: &Passed, record: &Record) -> bool {
    passed.by.plus(CLOCKS_DIFFER) >= record.time()
}
