//! What is wrong among the records of one key: brokers keep the order of a key within one partition only.
//!
//! Of records alone: spans are sampled. Copies, what was taken back and events published again are left out, for they come late by nature.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::SKEW_TOLERATED;
use crate::flow::{Finding, Flow};
use crate::position::{Channel, Incarnation, Place, SourceName};
use crate::record::Record;
use crate::redacted;

/// One key in one life of a topic.
type Key<'a> = (&'a SourceName, &'a Channel, Incarnation, &'a [u8]);

/// The records of one key, by partition and offset.
type Records<'a> = BTreeMap<(i32, i64), &'a Record>;

/// The record of the highest version so far, by partition and event type.
type Highest<'a> = BTreeMap<(i32, Option<&'a str>), (Vec<u64>, &'a Record)>;

/// Keys on several partitions, then events that go back within their key.
pub(super) fn findings(flow: &Flow) -> [Vec<Finding>; 2] {
    let by_key = by_key(flow);
    let scattered = by_key.values().filter_map(scattered).collect();
    let going_back = by_key.values().flat_map(going_back).collect();
    [scattered, going_back]
}

fn by_key(flow: &Flow) -> BTreeMap<Key<'_>, Records<'_>> {
    let mut by_key: BTreeMap<Key<'_>, Records<'_>> = BTreeMap::new();
    for record in super::originals(flow) {
        let Place::Offset { partition, offset } = record.position.place else { continue };
        let Some(key) = record.key.as_deref().filter(|key| !key.is_empty()) else { continue };
        // Different keys look alike once they are masked.
        if record.key_text().is_some_and(|key| key.contains(redacted::MASK)) {
            continue;
        }
        let position = &record.position;
        by_key
            .entry((&position.source, &position.channel, position.incarnation, key))
            .or_default()
            .insert((partition, offset), record);
    }
    by_key
}

/// One key on several partitions.
fn scattered(records: &Records<'_>) -> Option<Finding> {
    let partitions: BTreeSet<i32> = records.keys().map(|(partition, _)| *partition).collect();
    let last = records.values().next_back().filter(|_| partitions.len() > 1)?;
    let partitions: Vec<String> = partitions.iter().map(i32::to_string).collect();
    Some(Finding {
        kind: "partitions",
        says: format!(
            "{} is on partitions {} of {}: nothing keeps the order of its events",
            named(last),
            partitions.join(", "),
            last.position.channel
        ),
        position: Some(last.position.clone()),
    })
}

/// Each event that happened before, or has a lower version than, one that stands before it in its partition.
fn going_back(records: &Records<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut published: HashSet<&str> = HashSet::new();
    let mut latest: Option<(i32, &Record)> = None;
    let mut highest = Highest::new();
    for ((partition, _), record) in records {
        let event = &record.event;
        if event.id.as_deref().is_some_and(|id| !published.insert(id)) {
            continue; // a duplicate, which is told by itself
        }
        let before = latest.filter(|(of, _)| of == partition).map(|(_, before)| before);
        if let Some(before) = before
            && let Some(nanos) = early(record, before)
        {
            let by = format!("happened {} ms earlier than", nanos / 1_000_000);
            findings.push(behind(record, before, &by));
        } else if event.occurred_at.is_some() {
            latest = Some((*partition, record));
        }
        let Some(version) = event.version.as_deref().and_then(numbers) else { continue };
        match highest.get(&(*partition, event.event_type.as_deref())) {
            Some((higher, before)) if version < *higher => {
                let versions = [record, before].map(|record| record.event.version.as_deref().unwrap_or_default());
                let by = format!("has version {}, less than {} of", versions[0], versions[1]);
                findings.push(behind(record, before, &by));
            }
            _ => {
                highest.insert((*partition, event.event_type.as_deref()), (version, record));
            }
        }
    }
    findings
}

/// By how many nanoseconds an event happened before another one; `None` where it didn't, and where the clocks of two producers may differ so.
fn early(record: &Record, before: &Record) -> Option<i64> {
    let nanos = before.event.occurred_at?.nanos_since(record.event.occurred_at?);
    let is_one_clock = record.event.producer.is_some() && record.event.producer == before.event.producer;
    let tolerated = if is_one_clock { 0 } else { i64::try_from(SKEW_TOLERATED.as_nanos()).unwrap_or(i64::MAX) };
    (nanos > tolerated).then_some(nanos)
}

fn behind(record: &Record, before: &Record, by: &str) -> Finding {
    let kind = |record: &Record| record.event.event_type.clone().unwrap_or_else(|| "the event".to_owned());
    Finding {
        kind: "order",
        says: format!(
            "of {}, {} at {} {by} {} at {}, which stands before it",
            named(record),
            kind(record),
            record.position.place,
            kind(before),
            before.position.place
        ),
        position: Some(record.position.clone()),
    }
}

fn named(record: &Record) -> String {
    match record.key_text() {
        Some(key) => format!("key {key}"),
        None => format!("key {}", hex::encode(record.key.as_deref().unwrap_or_default())),
    }
}

/// A version as it is compared: `12`, `v2`, `1.10.0`. Others have no order that everybody shares.
fn numbers(version: &str) -> Option<Vec<u64>> {
    version.trim().trim_start_matches(['v', 'V']).split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{RecordFixture, record};
    use crate::flow::finding::tests::findings;

    fn event(partition: i32, offset: i64, kind: &str) -> RecordFixture {
        record("orders", partition, offset).event(kind).key("o-1").trace(1).producer("shop")
    }

    #[tokio::test]
    async fn a_key_on_two_partitions_is_told() {
        let entries = vec![event(0, 7, "Placed").at(0.0).entry(), event(3, 2, "Paid").at(1.0).entry()];
        let says = "key o-1 is on partitions 0, 3 of orders: nothing keeps the order of its events";
        assert_eq!(findings(entries).await, [("partitions", says.to_owned())]);
        // A retry copy and another topic have their own partitions.
        let entries = vec![
            event(0, 7, "Placed").at(0.0).entry(),
            event(1, 9, "Placed").retry("billing", 1).at(1.0).entry(),
            record("payments", 2, 2).event("Paid").key("o-1").trace(1).at(1.0).entry(),
        ];
        assert_eq!(findings(entries).await, []);
    }

    #[tokio::test]
    async fn an_event_that_happened_before_what_stands_before_it_is_told() {
        let entries = vec![
            event(0, 7, "Paid").occurred(5.0).at(6.0).entry(),
            event(0, 8, "Placed").occurred(3.0).at(6.1).entry(),
            event(0, 9, "Shipped").occurred(7.0).at(7.1).entry(),
        ];
        let says = "of key o-1, Placed at 0@8 happened 2000 ms earlier than Paid at 0@7, which stands before it";
        assert_eq!(findings(entries).await, [("order", says.to_owned())]);
    }

    #[tokio::test]
    async fn clocks_of_two_producers_may_differ_a_little() {
        let entries = vec![
            event(0, 7, "Paid").occurred(5.0).at(6.0).entry(),
            event(0, 8, "Billed").producer("billing").occurred(4.98).at(6.1).entry(),
        ];
        assert_eq!(findings(entries).await, []);
    }

    #[tokio::test]
    async fn a_version_that_goes_back_within_a_type_is_told() {
        let entries = vec![
            event(0, 7, "Changed").version("9").at(0.0).entry(),
            event(0, 8, "Placed").version("1").at(0.1).entry(),
            event(0, 9, "Changed").version("10").at(0.2).entry(),
            event(0, 10, "Changed").version("9").at(0.3).entry(),
            event(0, 11, "Changed").version("late").at(0.4).entry(),
        ];
        let says = "of key o-1, Changed at 0@10 has version 9, less than 10 of Changed at 0@9, which stands before it";
        assert_eq!(findings(entries).await, [("order", says.to_owned())]);
    }

    #[tokio::test]
    async fn an_event_published_again_is_a_duplicate_and_not_out_of_order() {
        let entries = vec![
            event(0, 7, "Placed").id("event-0001").occurred(1.0).at(1.0).entry(),
            event(0, 8, "Paid").id("event-0002").occurred(2.0).at(2.0).entry(),
            event(0, 9, "Placed").id("event-0001").occurred(1.0).at(3.0).entry(),
        ];
        let kinds: Vec<&str> = findings(entries).await.into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, ["duplicate"]);
    }
}
