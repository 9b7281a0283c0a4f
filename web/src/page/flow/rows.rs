//! The rows of a flow's tables: its records, its logs.

use store::engine::Sequence;
use store::flow::{Flow, Joined};
use store::record::Transaction;

use crate::wording;

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

impl RecordRow {
    /// Of an entry; `None` for what is no record.
    pub fn of(flow: &Flow, joined: &Joined) -> Option<RecordRow> {
        let record = joined.held.entry.as_record()?;
        Some(RecordRow {
            sequence: joined.held.sequence,
            at: wording::offset(record.time().nanos_since(flow.started_at)),
            what: record.event.event_type.clone().unwrap_or_else(|| record.encoding.as_str().to_owned()),
            role: record.transaction.map_or(record.role(), Transaction::as_str),
            place: record.position.to_string(),
            key: record.readable_key().map_or_else(
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
