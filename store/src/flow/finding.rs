//! What is wrong with a flow and can be proved from its entries.

mod key; // among the records of one key
pub mod reaction; // what nothing followed

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::{Finding, Flow};
use crate::board::Board;
use crate::id::{SpanId, TraceId};
use crate::position::{Channel, Position, SourceName};
use crate::record::{CauseKind, Record};
use crate::redrive::added::is_redriven;
use crate::span::Span;
use crate::time::Timestamp;

/// How much earlier than its parent in another service a span may begin before a clock is said to be wrong:
/// clocks that are kept by NTP differ by less.
const SKEW_TOLERATED: Duration = Duration::from_millis(50);

/// All kinds of findings, as the search names them.
pub const KINDS: [&str; 6] = ["duplicate", "reaction", "partitions", "order", "undecodable", "clock"];

/// The most findings of one kind in one flow: the first ones tell it, and the page stays a page.
const FINDINGS_PER_KIND_MAX: usize = 20;

/// What can be proved, most serious kinds first.
pub(super) fn findings(flow: &Flow, board: &Board, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    let [scattered, going_back] = key::findings(flow);
    let clocks = [skewed_clocks(flow), from_the_future(flow, now)];
    let missing = reaction::missing(flow, board, now);
    for mut kind in [duplicates(flow), missing, scattered, going_back, undecodable(flow)].into_iter().chain(clocks) {
        kind.truncate(FINDINGS_PER_KIND_MAX);
        findings.append(&mut kind);
    }
    findings
}

/// Records that their producers published and left there: no retry copies, no dead letters, nothing that was taken back, and nothing that
/// people sent back by us, who knew what they did.
fn originals(flow: &Flow) -> impl Iterator<Item = &Record> {
    let is_own = |record: &&Record| record.failure.is_none() && record.transaction.is_none();
    flow.each_record().filter(is_own).filter(|record| !is_redriven(&record.headers))
}

/// The same event published more than once on one topic, and what is known of a second effect.
fn duplicates(flow: &Flow) -> Vec<Finding> {
    let mut published: BTreeMap<(&SourceName, &Channel, &str), Vec<&Record>> = BTreeMap::new();
    for record in originals(flow) {
        if let Some(id) = &record.event.id {
            published.entry((&record.position.source, &record.position.channel, id)).or_default().push(record);
        }
    }
    let twice = published.into_iter().filter(|(_, records)| records.len() > 1);
    twice
        .map(|((_, _, id), records)| {
            let name = records[0].event.event_type.as_deref().unwrap_or("The event");
            let mut says = vec![format!("{name} {id} was published {} times", records.len())];
            let handled = handled_twice(flow, &records);
            if !handled.is_empty() {
                says.push(format!("handled more than once by {}", handled.join(", ")));
            }
            let caused = caused_twice(flow, id);
            if !caused.is_empty() {
                says.push(format!("it caused {}", caused.join(", ")));
            }
            if says.len() == 1 {
                says.push("no second effect of it is known".to_owned());
            }
            let position = records.last().map(|record| record.position.clone());
            Finding { kind: "duplicate", says: says.join("; "), position }
        })
        .collect()
}

/// Who is known to have processed several records of one event.
fn handled_twice<'a>(flow: &'a Flow, records: &[&Record]) -> Vec<&'a str> {
    let mut by_consumer: BTreeMap<&str, usize> = BTreeMap::new();
    for delivery in &flow.deliveries {
        let is_processed = delivery.state == super::DeliveryState::Processed;
        if is_processed && records.iter().any(|record| record.position == delivery.position) {
            *by_consumer.entry(&delivery.consumer).or_default() += 1;
        }
    }
    by_consumer.into_iter().filter(|(_, times)| *times > 1).map(|(consumer, _)| consumer).collect()
}

/// What was published more than once because of an event, by the records that name it as their cause.
fn caused_twice(flow: &Flow, id: &str) -> Vec<String> {
    let mut effects: BTreeMap<(&Channel, &str), BTreeSet<&Position>> = BTreeMap::new();
    for record in originals(flow) {
        if record.event.causes.iter().any(|cause| cause.kind == CauseKind::Causation && cause.id == id) {
            let name = record.event.event_type.as_deref().unwrap_or("records");
            effects.entry((&record.position.channel, name)).or_default().insert(&record.position);
        }
    }
    let twice = effects.into_iter().filter(|(_, positions)| positions.len() > 1);
    twice.map(|((channel, name), positions)| format!("{} {name} on {channel}", positions.len())).collect()
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

#[cfg(test)]
mod tests {
    use crate::board::Board;
    use crate::checkpoint::Checkpoint;
    use crate::engine::Store;
    use crate::entry::Entry;
    use crate::fixture::{RecordFixture, at, record, span, trace};
    use crate::flow::{Start, assemble};
    use crate::memory::Memory;

    /// The findings of trace 1: their kinds and what they say.
    pub(super) async fn findings(entries: Vec<Entry>) -> Vec<(&'static str, String)> {
        let store = Memory::new();
        store.append(entries, Checkpoint::none("test".into())).await.unwrap();
        let flow = assemble(&store, &Board::default(), Start::Trace(trace(1)), at(3_600.0)).await.unwrap();
        let findings = flow.unwrap().findings;
        assert!(findings.iter().all(|finding| super::KINDS.contains(&finding.kind)), "the search knows every kind");
        findings.into_iter().map(|finding| (finding.kind, finding.says)).collect()
    }

    fn placed(offset: i64) -> RecordFixture {
        record("orders", 0, offset).event("OrderPlaced").id("event-0001").trace(1).at(0.0)
    }

    fn paid(offset: i64, id: &str) -> RecordFixture {
        record("payments", 0, offset).event("Paid").id(id).caused_by("event-0001").trace(1).at(1.0)
    }

    #[tokio::test]
    async fn a_duplicate_without_a_second_effect_says_that_none_is_known() {
        let says = "OrderPlaced event-0001 was published 2 times; no second effect of it is known";
        let once = vec![placed(7).entry(), placed(8).entry(), paid(1, "event-0002").entry()];
        assert_eq!(findings(once).await, [("duplicate", says.to_owned())]);
    }

    #[tokio::test]
    async fn a_duplicate_that_had_a_second_effect_names_it_by_records_alone() {
        let says = "OrderPlaced event-0001 was published 2 times; it caused 2 Paid on payments";
        let again = vec![
            placed(7).entry(),
            placed(8).entry(),
            paid(1, "event-0002").entry(),
            paid(2, "event-0003").entry(),
            paid(3, "event-0002").retry("billing", 1).entry(),
        ];
        assert_eq!(findings(again).await, [("duplicate", says.to_owned())]);
    }

    #[tokio::test]
    async fn what_people_sent_back_is_no_duplicate() {
        let again = placed(8).header("sillage-redrive-id", "18b2c09f3a1d/0");
        assert_eq!(findings(vec![placed(7).entry(), again.entry()]).await, []);
    }

    #[tokio::test]
    async fn the_same_event_on_two_brokers_or_topics_is_no_duplicate() {
        let mirrored = vec![
            placed(7).entry(),
            placed(7).source("mirror").entry(),
            record("orders-copy", 0, 1).event("OrderPlaced").id("event-0001").trace(1).entry(),
            span("read-model", "process a").id(3).consumed("orders", 0, 7).at(0.1).entry(),
        ];
        assert_eq!(findings(mirrored).await, []);
    }
}
