//! About how much memory an entry takes, counted and not hoped for: admission and sealing go by it.

use crate::entry::Entry;
use crate::record::{Decoded, Record};
use crate::value::{Attributes, Text, Value};

/// What an allocation costs beside its bytes: the allocator's rounding, and the pointer, length and capacity that refer to it.
const ALLOCATION_BYTES: usize = 40;

/// What the live set's own maps and columns take for each entry.
const INDEX_BYTES: usize = 400;

/// About how many bytes of memory an entry takes in the live set.
pub fn weight(entry: &Entry) -> usize {
    let own = match entry {
        Entry::Record(record) => of_record(record),
        Entry::Span(span) => {
            let events: usize = span.events.iter().map(|event| ALLOCATION_BYTES + attributes(&event.attributes)).sum();
            let links: usize = span.links.iter().map(|link| ALLOCATION_BYTES + attributes(&link.attributes)).sum();
            let messaging = if span.messaging.is_some() { 6 * ALLOCATION_BYTES } else { 0 };
            span.name.len() + span.trace_state.len() + attributes(&span.attributes) + events + links + messaging
        }
        Entry::Log(log) => {
            value(&log.body)
                + ALLOCATION_BYTES
                + attributes(&log.attributes)
                + log.severity_text.len()
                + log.event_name.len()
        }
    };
    own + size_of::<Entry>() + INDEX_BYTES
}

fn of_record(record: &Record) -> usize {
    let bytes = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, |bytes| bytes.len() + ALLOCATION_BYTES);
    let headers: usize =
        record.headers.iter().map(|header| header.name.len() + bytes(&header.value) + ALLOCATION_BYTES).sum();
    let failure = record.failure.as_ref().map_or(0, |failure| {
        let texts = [&failure.message, &failure.stack_trace, &failure.exception, &failure.group];
        texts.iter().map(|text| ALLOCATION_BYTES + text.as_ref().map_or(0, String::len)).sum()
    });
    let decoded = record.decoded.as_ref().map_or(0, |decoded| {
        let schemas = [&decoded.body_schema, &decoded.key_schema].into_iter().flatten().count();
        size_of::<Decoded>() + bytes(&decoded.body) + bytes(&decoded.key) + (1 + 4 * schemas) * ALLOCATION_BYTES
    });
    bytes(&record.key) + bytes(&record.body) + decoded + headers + failure + 8 * ALLOCATION_BYTES
}

fn attributes(attributes: &Attributes) -> usize {
    attributes.iter().map(|(name, said)| size_of::<Text>() + text(name) + value(said)).sum()
}

fn value(said: &Value) -> usize {
    size_of::<Value>()
        + match said {
            Value::Empty | Value::Bool(_) | Value::Int(_) | Value::Double(_) => 0,
            Value::Text(said) => text(said),
            Value::Bytes(bytes) => ALLOCATION_BYTES + bytes.len(),
            Value::List(values) => ALLOCATION_BYTES + values.iter().map(value).sum::<usize>(),
            Value::Map(entries) => ALLOCATION_BYTES + attributes(entries),
        }
}

/// A share of what the text takes: those that share it stay and go together, for they came in one request.
fn text(text: &Text) -> usize {
    (ALLOCATION_BYTES + text.len()).div_ceil(text.sharers())
}
