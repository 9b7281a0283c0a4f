//! What is wrong with a flow and can be proved from its entries.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::{Finding, Flow};
use crate::id::{SpanId, TraceId};
use crate::record::Record;
use crate::span::Span;
use crate::time::Timestamp;

/// How much earlier than its parent in another service a span may begin before a clock is said to be wrong:
/// clocks that are kept by NTP differ by less.
const SKEW_TOLERATED: Duration = Duration::from_millis(50);

/// The most findings of one kind in one flow: the first ones tell it, and the page stays a page.
const FINDINGS_PER_KIND_MAX: usize = 20;

/// What can be proved, most serious kinds first.
pub(super) fn findings(flow: &Flow, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    for mut kind in [duplicates(flow), undecodable(flow), skewed_clocks(flow), from_the_future(flow, now)] {
        kind.truncate(FINDINGS_PER_KIND_MAX);
        findings.append(&mut kind);
    }
    findings
}

/// The same event published more than once; retry copies and dead letters of it are no duplicates, nor is what was taken back.
fn duplicates(flow: &Flow) -> Vec<Finding> {
    let mut published: BTreeMap<(&str, &str), Vec<&Record>> = BTreeMap::new();
    for record in flow.each_record().filter(|record| record.failure.is_none() && record.transaction.is_none()) {
        if let Some(id) = &record.event.id {
            published.entry((record.position.channel.as_str(), id)).or_default().push(record);
        }
    }
    let mut findings = Vec::new();
    for ((_, id), records) in published.into_iter().filter(|(_, records)| records.len() > 1) {
        let mut by_consumer: BTreeMap<&str, usize> = BTreeMap::new();
        for delivery in &flow.deliveries {
            if delivery.event_id.as_deref() == Some(id) && delivery.state == super::DeliveryState::Processed {
                *by_consumer.entry(&delivery.consumer).or_default() += 1;
            }
        }
        let twice: Vec<&str> =
            by_consumer.iter().filter(|(_, times)| **times > 1).map(|(consumer, _)| *consumer).collect();
        let handled =
            if twice.is_empty() { String::new() } else { format!("; handled more than once by {}", twice.join(", ")) };
        let name = records[0].event.event_type.as_deref().unwrap_or("The event");
        findings.push(Finding {
            kind: "duplicate",
            says: format!("{name} {id} was published {} times{handled}", records.len()),
            position: records.last().map(|record| record.position.clone()),
        });
    }
    findings
}

/// Records whose body, headers or metadata could not be read.
fn undecodable(flow: &Flow) -> Vec<Finding> {
    flow.each_record()
        .filter_map(|record| {
            let problem = record.problem.as_ref()?;
            let says = format!("{} could not be read in whole: {problem}", record.position);
            Some(Finding { kind: "undecodable", says, position: Some(record.position.clone()) })
        })
        .collect()
}

/// Services whose spans begin before what called them.
fn skewed_clocks(flow: &Flow) -> Vec<Finding> {
    let spans: HashMap<(TraceId, SpanId), &Span> =
        flow.each_span().map(|span| ((span.trace_id, span.span_id), span)).collect();
    let mut behind: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for span in flow.each_span() {
        let parent = span.parent_span_id.and_then(|parent| spans.get(&(span.trace_id, parent)));
        if let Some(parent) = parent
            && parent.service() != span.service()
        {
            let early = parent.started_at.nanos_since(span.started_at);
            let worst = behind.entry((span.service(), parent.service())).or_insert(0);
            *worst = early.max(*worst);
        }
    }
    behind
        .into_iter()
        .filter(|(_, early)| u128::try_from(*early).unwrap_or(0) > SKEW_TOLERATED.as_nanos())
        .map(|((service, parent), early)| Finding {
            kind: "clock",
            says: format!("the clock of {service} is at least {} ms behind that of {parent}", early / 1_000_000),
            position: None,
        })
        .collect()
}

/// Records that are dated later than now.
fn from_the_future(flow: &Flow, now: Timestamp) -> Vec<Finding> {
    flow.each_record()
        .filter(|record| record.time() > record.received_at.max(now).plus(SKEW_TOLERATED))
        .map(|record| Finding {
            kind: "clock",
            says: format!("{} is dated in the future: {}", record.position, record.time()),
            position: Some(record.position.clone()),
        })
        .collect()
}
