//! Which record a span, or a retry copy's header, means by a position.
//!
//! A span names a channel and a place, but no source and no incarnation. Its record is found by cluster id, else by trace,
//! else by time; what stays ambiguous is not joined.

use std::time::Duration;

use crate::position::{Channel, Place};
use crate::record::Record;
use crate::span::Span;
use crate::time::Timestamp;

/// How far a consumer's clock may be behind its broker's and still be believed when an incarnation is told by time.
const SKEW_MAX: Duration = Duration::from_secs(10 * 60);

/// The record among `candidates` that the span means by its position; all of them are at that channel and place.
pub(super) fn of_span<'a>(span: &Span, candidates: &[&'a Record]) -> Option<&'a Record> {
    let messaging = span.messaging.as_ref()?;
    let (channel, place) = (Channel::from(messaging.destination.as_deref()?), messaging.place.as_ref()?);
    let mut fits: Vec<&Record> = candidates.iter().copied().filter(|record| is_at(record, &channel, place)).collect();
    if let Some(cluster) = &messaging.cluster
        && fits.iter().any(|record| record.cluster.is_some())
    {
        fits.retain(|record| record.cluster.as_deref().is_none_or(|held| held == cluster));
    }
    let same_trace: Vec<&Record> = fits.iter().copied().filter(|record| shares_trace(span, record)).collect();
    if let [record] = same_trace.as_slice() {
        return Some(record);
    }
    latest_before(fits, span.started_at)
}

/// The record among `candidates` that a copy made at `time` from this source means by its origin.
pub(crate) fn of_copy<'a>(
    copy: &Record,
    channel: &Channel,
    place: &Place,
    candidates: &[&'a Record],
) -> Option<&'a Record> {
    let fits = candidates
        .iter()
        .copied()
        .filter(|record| is_at(record, channel, place) && record.position.source == copy.position.source)
        .collect();
    latest_before(fits, copy.time())
}

fn is_at(record: &Record, channel: &Channel, place: &Place) -> bool {
    record.position.channel == *channel && record.position.place == *place
}

fn shares_trace(span: &Span, record: &Record) -> bool {
    record.event.trace.as_ref().is_some_and(|trace| {
        trace.trace_id == span.trace_id || span.links.iter().any(|link| link.trace_id == trace.trace_id)
    })
}

/// The latest incarnation that was there already; `None` where two sources remain.
fn latest_before(mut fits: Vec<&Record>, time: Timestamp) -> Option<&Record> {
    fits.retain(|record| record.time() <= time.plus(SKEW_MAX));
    fits.sort_by_key(|record| record.position.incarnation);
    let latest = fits.pop()?;
    fits.iter().all(|other| other.position.source == latest.position.source).then_some(latest)
}
