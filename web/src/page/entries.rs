//! One entry as a row, wherever entries are listed one by one: in a topic, live.

use store::engine::Held;
use store::{Entry, Gap, Timestamp};

use crate::drawing::scene::work;
use crate::href::{Href, Links};
use crate::wording;

/// One entry as a row.
pub struct EntryRow {
    pub at: String,
    /// Where its flow is; `None` for a log that belongs to none.
    pub href: Option<Href>,
    /// What it is: an event's type, a span's name, what a log says.
    pub what: String,
    /// Whose: a key.
    pub key: String,
    /// Where: a position, a service.
    pub place: String,
    /// What kind of thing, or what became of it: word and tone.
    pub mark: (&'static str, String),
    pub size: String,
    pub problem: String,
}

/// One entry as a row.
pub fn entry_row(held: &Held, links: &Links, now: Timestamp) -> EntryRow {
    let at = wording::clock(held.entry.time(), now);
    match &*held.entry {
        Entry::Record(record) => EntryRow {
            at,
            href: Some(links.record(&record.position)),
            what: record.event.event_type.clone().unwrap_or_else(|| match &record.body {
                Some(_) => format!("{} record", record.encoding.as_str()),
                None => "null (tombstone)".to_owned(),
            }),
            key: record
                .readable_key()
                .map_or_else(String::new, |key| wording::cut(&wording::visible(&String::from_utf8_lossy(key)), 80)),
            place: record.position.to_string(),
            mark: match (record.transaction, record.role()) {
                (Some(transaction), _) => ("warn", transaction.as_str().to_owned()),
                (None, "retry") => ("warn", "retry".to_owned()),
                (None, "dead") => ("bad", "dead".to_owned()),
                (None, _) => ("", "record".to_owned()),
            },
            size: record.body.as_ref().map_or_else(String::new, |body| wording::bytes(body.len() as u64)),
            problem: record.problem.as_deref().unwrap_or_default().to_owned(),
        },
        Entry::Span(span) => EntryRow {
            at,
            href: Some(links.flow(span.trace_id)),
            what: wording::cut(&wording::visible(&span.name), 120),
            key: String::new(),
            place: span.service().to_owned(),
            mark: if span.failed() { ("bad", "failed span".to_owned()) } else { ("", "span".to_owned()) },
            size: wording::duration(span.duration_nanos()),
            problem: work::error(span).unwrap_or_default(),
        },
        Entry::Log(log) => EntryRow {
            at,
            href: log
                .trace_id
                .map(|id| links.flow(id))
                .or_else(|| Some(links.event(log.event_id.as_deref()?)))
                .or_else(|| Gap::told_by(log).map(|gap| links.topic(gap.source.as_str(), gap.channel.as_str()))),
            what: wording::cut(&wording::visible(&log.body.to_string()), 200),
            key: String::new(),
            place: log.service().to_owned(),
            mark: match log.severity {
                _ if Gap::is_told_by(log) => ("warn", "gap".to_owned()),
                17.. => ("bad", log.severity_name().to_owned()),
                13..=16 => ("warn", log.severity_name().to_owned()),
                _ => ("", "log".to_owned()),
            },
            size: String::new(),
            problem: String::new(),
        },
    }
}
