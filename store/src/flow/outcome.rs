//! What came of a flow.

use std::collections::HashSet;

use super::{DeliveryState, Flow, Outcome};
use crate::id::{SpanId, TraceId};
use crate::record::Fate;

/// How many events of the flow were set aside: deliveries that ended so, or dead letters that no delivery tells of.
pub(super) fn dead_letters(flow: &Flow) -> u32 {
    let delivered = flow.deliveries.iter().filter(|delivery| delivery.state == DeliveryState::DeadLettered).count();
    let copies = flow.each_record().filter(|record| record.role() == "dead").count();
    u32::try_from(if delivered > 0 { delivered } else { copies }).unwrap_or(u32::MAX)
}

/// The worst that is known: set aside, failed, under way, retried, well.
pub(super) fn outcome(flow: &Flow) -> Outcome {
    let stands = |state: DeliveryState| flow.deliveries.iter().any(|delivery| delivery.state == state);
    if flow.dead_letters > 0 {
        return Outcome::DeadLettered;
    }
    if stands(DeliveryState::Failed) || failed_elsewhere(flow) {
        return Outcome::Failed;
    }
    let waiting = flow.deliveries.iter().any(|delivery| matches!(delivery.state, DeliveryState::Waiting(_)));
    if waiting || stands(DeliveryState::Retrying) {
        return Outcome::Waiting;
    }
    let retried = flow.retries > 0
        || flow.each_record().any(|record| record.failure.as_ref().is_some_and(|failure| failure.fate == Fate::Retry));
    if retried { Outcome::Retried } else { Outcome::Ok }
}

/// Whether a span failed that is no attempt at a delivery, nor part of one: those are judged by their delivery.
/// A failed part of a span that ended well was handled, and counts for nothing.
fn failed_elsewhere(flow: &Flow) -> bool {
    let attempts: HashSet<(TraceId, SpanId)> =
        flow.each_span().filter(|span| span.processes()).map(|span| (span.trace_id, span.span_id)).collect();
    let held: HashSet<(TraceId, SpanId)> = flow.each_span().map(|span| (span.trace_id, span.span_id)).collect();
    let judged_by_delivery: HashSet<&str> =
        flow.deliveries.iter().filter_map(|delivery| delivery.service.as_deref()).collect();
    flow.each_span().filter(|span| span.failed()).any(|span| {
        let is_root = span.parent_span_id.is_none_or(|parent| !held.contains(&(span.trace_id, parent)));
        let is_attempt = attempts.contains(&(span.trace_id, span.span_id));
        is_root && !(is_attempt && judged_by_delivery.contains(span.service()))
    })
}
