//! Where the time of a flow went: working, waiting in a broker, backing off, unknown.
//!
//! Every instant counts once. Where several things went on at a time, the one that moved the flow forward counts:
//! work before back-off, back-off before waiting.

use super::{Budget, Flow, delivery};
use crate::record::Fate;
use crate::span::Operation;
use crate::time::Timestamp;

/// Where the time went, in nanoseconds; the parts add up to the time from start to end.
pub(super) fn budget(flow: &Flow) -> Budget {
    let (mut working, mut backing_off, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    for span in flow.each_span() {
        // A long poll is no work: the consumer waits for the broker.
        let polls = span.messaging.as_ref().is_some_and(|messaging| messaging.operation == Operation::Receive);
        if !polls {
            working.push((span.started_at, span.ended_at));
        }
    }
    for span in flow.each_span().filter(|span| span.processes()) {
        let Some(record) = delivery::record_of(flow, span) else {
            continue;
        };
        let failure = record.failure.as_ref().filter(|failure| failure.fate == Fate::Retry);
        match failure {
            Some(failure) => {
                let until = failure.not_before.unwrap_or(span.started_at).min(span.started_at);
                backing_off.push((record.time(), until));
                waiting.push((until, span.started_at));
            }
            None => waiting.push((record.time(), span.started_at)),
        }
    }
    let total = flow.duration_nanos();
    let worked = covered(&working, flow);
    let worked_or_backing = covered(&[working.as_slice(), &backing_off].concat(), flow);
    let known = covered(&[working.as_slice(), &backing_off, &waiting].concat(), flow);
    Budget {
        working: worked,
        backing_off: worked_or_backing - worked,
        waiting: known - worked_or_backing,
        unknown: total - known,
    }
}

/// How much of the flow's time these intervals cover together.
fn covered(intervals: &[(Timestamp, Timestamp)], flow: &Flow) -> u64 {
    let mut sorted: Vec<(Timestamp, Timestamp)> = intervals
        .iter()
        .map(|(from, to)| ((*from).max(flow.started_at), (*to).min(flow.ended_at)))
        .filter(|(from, to)| from < to)
        .collect();
    sorted.sort();
    let mut reached = flow.started_at;
    let mut nanos = 0;
    for (from, to) in sorted {
        let from = from.max(reached);
        if to > from {
            nanos += u64::try_from(to.nanos_since(from)).unwrap_or(0);
            reached = to;
        }
    }
    nanos
}
