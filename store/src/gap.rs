//! Records that went from the broker before we could read them: a log line of Sillage's own, at the place where they are missing.
//!
//! A gap is no record: there is nothing at its offsets any more, and whoever counts records or looks for the one that a group waits on
//! must not meet one. As a log it is searched, listed, streamed, forgotten and expired as everything else that somebody says.

use std::sync::Arc;

use crate::log::Log;
use crate::position::{Channel, SourceName};
use crate::span::{Resource, Scope};
use crate::time::Timestamp;
use crate::value::{Attributes, Value, attribute};

/// Offsets of a partition that expired before they were read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gap {
    /// Which broker.
    pub source: SourceName,
    /// Which topic.
    pub channel: Channel,
    /// Which partition.
    pub partition: i32,
    /// The first offset that is missing.
    pub first: i64,
    /// The last one.
    pub last: i64,
}

/// What a gap's scope is called. Nobody else tells gaps.
const SCOPE: &str = "sillage.gap";

/// Who says it.
const SERVICE: &str = "sillage";

/// OpenTelemetry's number for a warning.
const SEVERITY: u8 = 13;

// The names of OpenTelemetry's messaging conventions where there is one.
const SOURCE: &str = "sillage.source";
const TOPIC: &str = "messaging.destination.name";
const PARTITION: &str = "messaging.destination.partition.id";
const FIRST: &str = "sillage.gap.first_offset";
const LAST: &str = "sillage.gap.last_offset";

impl Gap {
    /// What happened, in a sentence.
    pub fn sentence(&self) -> String {
        let Gap { channel, partition, first, last, .. } = self;
        format!("offsets {first} to {last} of `{channel}` partition {partition} expired before they were read")
    }

    /// The same, and what to do about it.
    pub fn advice(&self) -> String {
        format!("{}: lengthen the topic's retention, or keep Sillage running", self.sentence())
    }

    /// Whether this offset is missing.
    pub fn has(&self, partition: i32, offset: i64) -> bool {
        self.partition == partition && (self.first..=self.last).contains(&offset)
    }

    /// The log line that is kept of it; `at` is when it was noticed.
    pub fn log(&self, at: Timestamp) -> Log {
        let text = |value: &str| Value::Text(value.into());
        Log {
            timestamp: at,
            severity: SEVERITY,
            severity_text: "WARN".to_owned(),
            body: Value::Text(self.advice().into()),
            attributes: named([
                (SOURCE, text(self.source.as_str())),
                (TOPIC, text(self.channel.as_str())),
                (PARTITION, Value::Text(self.partition.to_string().into())),
                (FIRST, Value::Int(self.first)),
                (LAST, Value::Int(self.last)),
            ]),
            dropped_attributes: 0,
            trace_id: None,
            span_id: None,
            event_id: None,
            flags: 0,
            event_name: SCOPE.to_owned(),
            resource: Arc::new(Resource {
                service: SERVICE.to_owned(),
                attributes: named([("service.name", text(SERVICE))]),
            }),
            scope: Arc::new(Scope { name: SCOPE.to_owned(), ..Scope::default() }),
            ordinal: 0,
            received_at: at,
        }
    }

    /// Whether a log line tells a gap.
    pub fn is_told_by(log: &Log) -> bool {
        log.scope.name == SCOPE && log.service() == SERVICE
    }

    /// The gap that a log line tells, if it does.
    pub fn told_by(log: &Log) -> Option<Gap> {
        if !Gap::is_told_by(log) {
            return None;
        }
        let of = |name: &str| attribute(&log.attributes, name);
        Some(Gap {
            source: of(SOURCE)?.as_text()?.into(),
            channel: of(TOPIC)?.as_text()?.into(),
            partition: i32::try_from(of(PARTITION)?.as_int()?).ok()?,
            first: of(FIRST)?.as_int()?,
            last: of(LAST)?.as_int()?,
        })
    }
}

fn named<const N: usize>(attributes: [(&str, Value); N]) -> Attributes {
    attributes.into_iter().map(|(name, value)| (name.into(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{Field, Query};
    use crate::{Entry, fixture};

    #[test]
    fn a_gap_is_found_by_its_topic_and_reads_back() {
        let gap = Gap { source: "main".into(), channel: "orders".into(), partition: 3, first: 120, last: 480 };
        let log = gap.log(fixture::START);
        assert_eq!(Gap::told_by(&log), Some(gap.clone()));
        assert!(gap.has(3, 120) && gap.has(3, 480) && !gap.has(3, 481) && !gap.has(0, 200));
        let entry = Entry::Log(log);
        for asked in ["status:gap topic:orders source:main", "service:sillage", "\"offsets 120 to 480\" kind:log"] {
            assert!(Query::parse(asked).unwrap().matches(&entry, fixture::START), "{asked}");
        }
        assert!(!Query::is(Field::Topic, "payments").matches(&entry, fixture::START));
    }

    #[test]
    fn anybody_elses_log_is_no_gap() {
        let log = fixture::log("sillage", "x").attribute("messaging.destination.name", "orders");
        assert_eq!(Gap::told_by(&log.clone().log()), None);
        assert!(Field::Topic.values(&log.entry()).is_empty());
    }
}
