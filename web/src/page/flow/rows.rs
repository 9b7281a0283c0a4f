//! The rows of a flow's tables: its records, its logs, who was delivered what.

use store::engine::Sequence;
use store::flow::{Delivery, DeliveryState, Flow, Joined};

use super::headline::Pill;
use crate::wording;

/// A wait from which on it is told beside the outcome: below, it is how brokers work.
const LATE_NANOS: u64 = 1_000_000_000;

/// A row of the records' table.
pub struct RecordRow {
    pub sequence: Sequence,
    pub at: String,
    pub what: String,
    pub role: &'static str,
    pub place: String,
    pub key: String,
    pub size: String,
    pub copies: u32,
    pub joined_by: String,
}

/// A row of the logs' table.
pub struct LogRow {
    pub sequence: Sequence,
    pub at: String,
    pub severity: String,
    pub tone: &'static str,
    pub service: String,
    pub says: String,
    pub joined_by: String,
}

/// A row of the deliveries' table.
pub struct DeliveryRow {
    pub consumer: String,
    pub by: &'static str,
    pub event: String,
    pub place: String,
    pub pill: Pill,
    pub attempts: u32,
    /// How long the record lay in the broker before anybody began.
    pub waited: String,
    /// Whether that is what a reader came for: longer than the work, and than anybody would call at once.
    pub is_late: bool,
    pub took: String,
    pub error: String,
}

impl RecordRow {
    /// Of an entry; `None` for what is no record.
    pub fn of(flow: &Flow, joined: &Joined) -> Option<RecordRow> {
        let record = joined.held.entry.as_record()?;
        Some(RecordRow {
            sequence: joined.held.sequence,
            at: wording::offset(record.time().nanos_since(flow.started_at)),
            what: record.event.event_type.clone().unwrap_or_else(|| record.encoding.as_str().to_owned()),
            role: record.role(),
            place: record.position.to_string(),
            key: record.key.as_ref().map_or_else(
                || "no key".to_owned(),
                |key| wording::cut(&wording::visible(&String::from_utf8_lossy(key)), 80),
            ),
            size: record.body.as_ref().map_or_else(|| "null".to_owned(), |body| wording::bytes(body.len() as u64)),
            copies: joined.held.copies,
            joined_by: joined.by.to_string(),
        })
    }
}

impl LogRow {
    /// Of an entry; `None` for what is no log.
    pub fn of(flow: &Flow, joined: &Joined) -> Option<LogRow> {
        let log = joined.held.entry.as_log()?;
        let tone = match log.severity {
            17.. => "bad",
            13..=16 => "warn",
            _ => "",
        };
        Some(LogRow {
            sequence: joined.held.sequence,
            at: wording::offset(log.timestamp.nanos_since(flow.started_at)),
            severity: log.severity_name().to_owned(),
            tone,
            service: log.service().to_owned(),
            says: wording::cut(&wording::visible(&log.body.to_string()), 500),
            joined_by: joined.by.to_string(),
        })
    }
}

impl DeliveryRow {
    /// Of a delivery.
    pub fn of(flow: &Flow, delivery: &Delivery) -> DeliveryRow {
        let took = match (delivery.started_at, delivery.ended_at) {
            (Some(from), Some(to)) => wording::duration(to.nanos_since(from).max(0).unsigned_abs()),
            _ => String::new(),
        };
        let took_nanos = delivery.started_at.zip(delivery.ended_at).map_or(0, |(from, to)| to.nanos_since(from));
        let written =
            flow.each_record().find(|record| record.position == delivery.position).map(|record| record.time());
        let waited = written.zip(delivery.started_at).map(|(from, to)| to.nanos_since(from).max(0).unsigned_abs());
        DeliveryRow {
            waited: waited.map_or_else(String::new, wording::duration),
            is_late: waited.is_some_and(|nanos| nanos >= LATE_NANOS.max(took_nanos.max(0).unsigned_abs())),
            consumer: delivery.consumer.clone(),
            by: if delivery.is_group { "group" } else { "service" },
            event: delivery.event_type.clone().unwrap_or_default(),
            place: delivery.position.to_string(),
            pill: delivery_pill(delivery.state, delivery.attempts),
            attempts: delivery.attempts,
            took,
            error: delivery.error.clone().unwrap_or_default(),
        }
    }
}

fn delivery_pill(state: DeliveryState, attempts: u32) -> Pill {
    let tries = |word: &str| match attempts {
        0 | 1 => word.to_owned(),
        many => format!("{word} after {many} attempts"),
    };
    match state {
        DeliveryState::Waiting(Some(ahead)) => Pill::new("warn", &format!("waiting, {} ahead", wording::count(ahead))),
        DeliveryState::Waiting(None) => Pill::new("warn", "waiting"),
        DeliveryState::CommittedPast => Pill::new("", "committed past"),
        DeliveryState::Processed if attempts > 1 => Pill::new("ok", &format!("processed on attempt {attempts}")),
        DeliveryState::Processed => Pill::new("ok", "processed"),
        DeliveryState::Failed => Pill::new("bad", &tries("failed")),
        DeliveryState::Retrying => Pill::new("warn", "to be tried again"),
        DeliveryState::DeadLettered => Pill::new("bad", &tries("dead")),
        DeliveryState::Skipped => Pill::new("warn", "skipped"),
    }
}
