//! The names of fields, and which values an entry has for each.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value as Json;
use smallvec::SmallVec;

use super::Field;
use crate::entry::Entry;
use crate::gap::Gap;
use crate::id::TraceId;
use crate::record::{BodyEncoding, Fate, Record, Transaction};
use crate::span::{Messaging, SpanStatus};
use crate::value::{Attributes, Value};

/// The longest body whose fields can be asked for, in bytes; a longer one is found by its other fields and its text only.
/// Kafka's default for the largest message is 1 MiB; parsing more for each question would hold up everybody else's.
pub const BODY_PARSED_BYTES_MAX: usize = 1 << 20;

/// Every field with a fixed name, and that name, in the order in which help lists them.
pub(super) const NAMED: [(&str, Field); 19] = [
    ("trace", Field::Trace),
    ("event", Field::Event),
    ("type", Field::Type),
    ("key", Field::Key),
    ("topic", Field::Topic),
    ("partition", Field::Partition),
    ("offset", Field::Offset),
    ("source", Field::Source),
    ("group", Field::Group),
    ("service", Field::Service),
    ("span", Field::Span),
    ("status", Field::Status),
    ("role", Field::Role),
    ("producer", Field::Producer),
    ("version", Field::Version),
    ("cause", Field::Cause),
    ("duration", Field::Duration),
    ("age", Field::Age),
    ("kind", Field::Kind),
];

/// The values of one field. Nearly all entries have one or none, and an allocation would cost more than telling it.
pub type FieldValues<'a> = SmallVec<[Cow<'a, str>; 2]>;

impl Field {
    /// All values that an entry has for this field, in the order met; none where it has none. What the index keeps for the field.
    ///
    /// Ids in hexadecimal digits, kinds, states and roles come in lower case: see [`Field::fold`]. [`Field::Age`] has no values.
    pub fn values<'a>(&self, entry: &'a Entry) -> FieldValues<'a> {
        let mut values = Values { field: self, found: FieldValues::new() };
        match self {
            Field::Kind => values.add(entry.kind().as_str()),
            Field::Trace => {
                values.own(entry.trace_id().map(|id| id.to_string()));
                values.own(entry.as_record().and_then(|record| record.event.origin_trace).map(|id| id.to_string()));
            }
            Field::Status => values.found.extend(status(entry).into_iter().map(Cow::Borrowed)),
            Field::Duration => values.own(entry.as_span().map(|span| span.duration_nanos().to_string())),
            Field::Age => {}
            Field::Body(path) => body(entry, path, &mut values),
            Field::Attribute(name) => attributes(entry, name, &mut values),
            Field::Event
            | Field::Type
            | Field::Key
            | Field::Topic
            | Field::Partition
            | Field::Offset
            | Field::Source
            | Field::Group
            | Field::Service
            | Field::Span
            | Field::Role
            | Field::Producer
            | Field::Version
            | Field::Cause
            | Field::Header(_) => match entry {
                Entry::Record(record) => of_record(record, &mut values),
                Entry::Span(span) => match self {
                    Field::Service => values.add(span.service()),
                    Field::Span => values.add(&span.name),
                    Field::Role => values.add(span.kind.as_str()),
                    Field::Type => of_attribute(&span.attributes, "cloudevents.event_type", &mut values),
                    _ => {
                        if let Some(messaging) = &span.messaging {
                            of_messaging(messaging, &mut values);
                        }
                    }
                },
                Entry::Log(log) => match self {
                    Field::Service => values.add(log.service()),
                    Field::Role => values.add(log.severity_name()),
                    Field::Event => values.maybe(log.event_id.as_deref()),
                    Field::Topic | Field::Source => {
                        if let Some(gap) = Gap::told_by(log) {
                            values.own(Some(match self {
                                Field::Topic => gap.channel.to_string(),
                                _ => gap.source.to_string(),
                            }));
                        }
                    }
                    _ => {}
                },
            },
        }
        values.found
    }

    /// A value as it is compared: ids in hexadecimal digits, kinds, states and roles in lower case, everything else as it is.
    pub fn fold<'a>(&self, value: &'a str) -> Cow<'a, str> {
        let in_lower_case = match self {
            Field::Kind | Field::Trace | Field::Status | Field::Role => true,
            Field::Event => {
                value.len() >= HEX_ID_DIGITS_MIN && value.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
            }
            _ => false,
        };
        if in_lower_case && value.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(value.to_ascii_lowercase())
        } else {
            Cow::Borrowed(value)
        }
    }

    /// Whether it counts nanoseconds, and is written with a unit.
    pub(super) fn is_time_span(&self) -> bool {
        matches!(self, Field::Duration | Field::Age)
    }
}

/// An event id of fewer hexadecimal digits may as well be a word such as `facade`.
const HEX_ID_DIGITS_MIN: usize = 16;

struct Values<'a, 'f> {
    field: &'f Field,
    found: FieldValues<'a>,
}

impl<'a> Values<'a, '_> {
    fn add(&mut self, value: &'a str) {
        if !value.is_empty() {
            self.found.push(self.field.fold(value));
        }
    }

    fn maybe(&mut self, value: Option<&'a str>) {
        if let Some(value) = value {
            self.add(value);
        }
    }

    fn own(&mut self, value: Option<String>) {
        self.found.extend(value.map(Cow::Owned));
    }
}

fn status(entry: &Entry) -> Vec<&'static str> {
    let mut states = Vec::new();
    match entry {
        Entry::Record(record) => {
            states.extend(record.transaction.map(Transaction::as_str));
            if let Some(failure) = &record.failure {
                if failure.fate == Fate::DeadLetter {
                    states.push("dead");
                }
                if failure.fate == Fate::Retry || failure.attempts.is_some_and(|attempts| attempts > 1) {
                    states.push("retried");
                }
            }
        }
        Entry::Span(span) => states.push(match span.status {
            SpanStatus::Error(_) => "failed",
            SpanStatus::Ok | SpanStatus::Unset => "ok",
        }),
        Entry::Log(log) if Gap::is_told_by(log) => states.push("gap"),
        Entry::Log(_) => {}
    }
    states
}

fn of_record<'a>(record: &'a Record, values: &mut Values<'a, '_>) {
    let event = &record.event;
    let position = &record.position;
    let failure = record.failure.as_ref();
    match values.field {
        Field::Event => values.maybe(event.id.as_deref()),
        Field::Type => values.maybe(event.event_type.as_deref()),
        Field::Key => match record.key_text() {
            Some(key) => values.add(key),
            None => values.own(record.key.as_ref().map(hex::encode)),
        },
        Field::Topic => values.add(position.channel.as_str()),
        Field::Partition => values.own(position.place.partition().map(|partition| partition.to_string())),
        Field::Offset => values.own(position.place.number().map(|number| number.to_string())),
        Field::Source => values.add(position.source.as_str()),
        Field::Group => values.maybe(failure.and_then(|failure| failure.group.as_deref())),
        Field::Service | Field::Producer => values.maybe(event.producer.as_deref()),
        Field::Role => values.add(record.role()),
        Field::Version => values.maybe(event.version.as_deref()),
        Field::Cause => {
            for cause in &event.causes {
                values.add(&cause.id);
            }
            values.maybe(failure.and_then(|failure| failure.exception.as_deref()));
        }
        Field::Header(name) => {
            for header in record.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name)) {
                let Some(value) = &header.value else { continue };
                match std::str::from_utf8(value) {
                    Ok(text) => values.found.push(Cow::Borrowed(text)),
                    Err(_) => values.own(Some(hex::encode(value))),
                }
            }
        }
        _ => {}
    }
}

fn of_messaging<'a>(messaging: &'a Messaging, values: &mut Values<'a, '_>) {
    let place = messaging.place.as_ref();
    match values.field {
        Field::Event => {
            for id in &messaging.event_ids {
                values.add(id);
            }
        }
        Field::Key => values.maybe(messaging.key.as_deref()),
        Field::Topic => values.maybe(messaging.destination.as_deref()),
        Field::Partition => {
            values.own(place.and_then(|place| place.partition()).map(|partition| partition.to_string()))
        }
        Field::Offset => values.own(place.and_then(|place| place.number()).map(|number| number.to_string())),
        Field::Group => values.maybe(messaging.group.as_deref()),
        Field::Cause => values.maybe(messaging.conversation_id.as_deref()),
        _ => {}
    }
}

fn attributes<'a>(entry: &'a Entry, name: &str, values: &mut Values<'a, '_>) {
    match entry {
        Entry::Record(_) => {}
        Entry::Span(span) => {
            of_attribute(&span.attributes, name, values);
            for event in &span.events {
                of_attribute(&event.attributes, name, values);
            }
            of_attribute(&span.scope.attributes, name, values);
            of_attribute(&span.resource.attributes, name, values);
        }
        Entry::Log(log) => {
            of_attribute(&log.attributes, name, values);
            of_attribute(&log.scope.attributes, name, values);
            of_attribute(&log.resource.attributes, name, values);
        }
    }
}

fn of_attribute<'a>(attributes: &'a Attributes, name: &str, values: &mut Values<'a, '_>) {
    for (_, value) in attributes.iter().filter(|(key, _)| key == name) {
        match value {
            Value::Text(text) => values.found.push(Cow::Borrowed(text)),
            Value::List(items) => values.found.extend(items.iter().map(|item| Cow::Owned(item.to_string()))),
            other => values.own(Some(other.to_string())),
        }
    }
}

fn body(entry: &Entry, path: &str, values: &mut Values<'_, '_>) {
    let json = match entry {
        Entry::Record(record) if record.readable_encoding() == BodyEncoding::Json => {
            record.readable_body().and_then(|body| parsed(body))
        }
        Entry::Log(log) => match &log.body {
            Value::Map(_) => Some(log.body.to_json()),
            Value::Text(text) if text.trim_start().starts_with('{') => parsed(text.as_bytes()),
            _ => None,
        },
        Entry::Record(_) | Entry::Span(_) => None,
    };
    if let Some(json) = json {
        at_path(&json, path, &mut values.found);
    }
}

fn parsed(body: &[u8]) -> Option<Json> {
    (body.len() <= BODY_PARSED_BYTES_MAX).then(|| serde_json::from_slice(body).ok()).flatten()
}

/// Follows a dotted path through objects, and through every item of a list on the way. A name that itself has dots is met too.
/// Bounded by the length of the path, which is bounded by that of a query, and by the size of the body.
fn at_path(json: &Json, path: &str, found: &mut FieldValues<'_>) {
    match json {
        Json::Array(items) => {
            for item in items {
                at_path(item, path, found);
            }
        }
        Json::Object(fields) => {
            if let Some(value) = fields.get(path) {
                leaves(value, found);
            }
            for (dot, _) in path.match_indices('.') {
                if let Some(inner) = fields.get(&path[..dot]) {
                    at_path(inner, &path[dot + 1..], found);
                }
            }
        }
        _ => {}
    }
}

fn leaves(value: &Json, found: &mut FieldValues<'_>) {
    match value {
        Json::String(text) => found.push(Cow::Owned(text.clone())),
        Json::Array(items) => {
            for item in items {
                leaves(item, found);
            }
        }
        other => found.push(Cow::Owned(other.to_string())),
    }
}

impl fmt::Display for Field {
    /// Its name as a query has it, quoted where it would not read back otherwise.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prefix, name) = match self {
            Field::Body(path) => ("body", path),
            Field::Header(name) => ("header", name),
            Field::Attribute(name) => ("attr", name),
            fixed => {
                let named = NAMED.iter().find(|(_, field)| field == fixed);
                return f.write_str(named.map(|(name, _)| *name).expect("every field without a path is in the table"));
            }
        };
        let plain = !name.is_empty()
            && name.chars().all(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '(' | ')' | '"' | ':'));
        if plain { write!(f, "{prefix}.{name}") } else { write!(f, "{prefix}.{}", super::print::Quoted(name)) }
    }
}

/// The trace id that a person may have written in any of its spellings, as it is compared.
pub(super) fn trace_id(text: &str) -> Option<String> {
    TraceId::from_lenient(text).map(|id| id.to_string())
}
