//! A hash over everything that the sender of a span or a log said: not over when we received it, nor over what we read out of it.
//!
//! SHA-256, because whoever could craft two logs with one hash could make another's disappear as a duplicate. It is asked for every entry,
//! so what it is taken over is written plainly: each text behind its length, each choice as a number.

use sha2::{Digest, Sha256};

use crate::id::{SpanId, TraceId};
use crate::log::Log;
use crate::span::{Resource, Scope, Span, SpanStatus};
use crate::time::Timestamp;
use crate::value::{Attributes, Value};

/// About how many bytes most spans have.
const BYTES_ABOUT: usize = 2_048;

/// The hash of a span's content, but for its ids and its kind.
pub fn of_span(span: &Span) -> u64 {
    let mut content = Content(Vec::with_capacity(BYTES_ABOUT));
    content.id(span.parent_span_id.as_ref().map(SpanId::as_bytes));
    content.text(&span.trace_state);
    content.number(span.flags.into());
    content.text(&span.name);
    content.time(span.started_at);
    content.time(span.ended_at);
    match &span.status {
        SpanStatus::Unset => content.number(0),
        SpanStatus::Ok => content.number(1),
        SpanStatus::Error(says) => {
            content.number(2);
            content.text(says);
        }
    }
    content.attributes(&span.attributes);
    content.number(span.dropped_attributes.into());
    content.number(span.events.len() as u64);
    for event in &span.events {
        content.time(event.at);
        content.text(&event.name);
        content.attributes(&event.attributes);
    }
    content.number(span.links.len() as u64);
    for link in &span.links {
        content.0.extend_from_slice(link.trace_id.as_bytes());
        content.0.extend_from_slice(link.span_id.as_bytes());
        content.attributes(&link.attributes);
    }
    content.sender(&span.resource, &span.scope);
    u64::from_be_bytes(content.digest())
}

/// The hash of a log's content, but for its ordinal.
pub fn of_log(log: &Log) -> [u8; 16] {
    let mut content = Content(Vec::with_capacity(BYTES_ABOUT));
    content.time(log.timestamp);
    content.number(log.severity.into());
    content.text(&log.severity_text);
    content.value(&log.body);
    content.attributes(&log.attributes);
    content.number(log.dropped_attributes.into());
    content.id(log.trace_id.as_ref().map(TraceId::as_bytes));
    content.id(log.span_id.as_ref().map(SpanId::as_bytes));
    content.number(log.flags.into());
    content.text(&log.event_name);
    content.sender(&log.resource, &log.scope);
    content.digest()
}

/// What is hashed. No two contents are written alike: what has no fixed length stands behind it, and a choice behind its number.
struct Content(Vec<u8>);

impl Content {
    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn time(&mut self, at: Timestamp) {
        self.number(at.as_nanos().cast_unsigned());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn id<const N: usize>(&mut self, id: Option<&[u8; N]>) {
        self.bytes(id.map_or(&[], |id| id));
    }

    fn attributes(&mut self, attributes: &Attributes) {
        self.number(attributes.len() as u64);
        for (name, said) in attributes {
            self.text(name);
            self.value(said);
        }
    }

    fn value(&mut self, said: &Value) {
        let kind = match said {
            Value::Empty => 0,
            Value::Text(_) => 1,
            Value::Bool(_) => 2,
            Value::Int(_) => 3,
            Value::Double(_) => 4,
            Value::Bytes(_) => 5,
            Value::List(_) => 6,
            Value::Map(_) => 7,
        };
        self.0.push(kind);
        match said {
            Value::Empty => {}
            Value::Text(text) => self.text(text),
            Value::Bool(truth) => self.number((*truth).into()),
            Value::Int(number) => self.number(number.cast_unsigned()),
            Value::Double(number) => self.number(number.to_bits()),
            Value::Bytes(bytes) => self.bytes(bytes),
            Value::List(values) => {
                self.number(values.len() as u64);
                values.iter().for_each(|value| self.value(value));
            }
            Value::Map(entries) => self.attributes(entries),
        }
    }

    fn sender(&mut self, resource: &Resource, scope: &Scope) {
        self.text(&resource.service);
        self.attributes(&resource.attributes);
        self.text(&scope.name);
        self.text(&scope.version);
        self.attributes(&scope.attributes);
    }

    /// The first bytes of the digest.
    fn digest<const N: usize>(&self) -> [u8; N] {
        let digest = Sha256::digest(&self.0);
        digest[..N].try_into().expect("a SHA-256 digest has 32 bytes, and no more are asked for")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    type Change = Box<dyn FnOnce(&mut Span)>;

    fn changed(change: impl FnOnce(&mut Span)) -> u64 {
        let mut span = fixture::span("shop", "charge").span();
        change(&mut span);
        of_span(&span)
    }

    #[test]
    fn whatever_a_sender_changes_makes_another_span() {
        let text = |text: &str| Value::Text(text.into());
        let plain = changed(|_| {});
        assert_eq!(plain, changed(|span| span.received_at = Timestamp::from_nanos(1)), "not what we add");
        let changes: Vec<Change> = vec![
            Box::new(|span| span.name.push('x')),
            Box::new(|span| span.flags += 1),
            Box::new(|span| span.status = SpanStatus::Ok),
            Box::new(|span| span.status = SpanStatus::Error(String::new())),
            Box::new(move |span| span.attributes = vec![("ab".into(), text("c"))]),
            Box::new(move |span| span.attributes = vec![("a".into(), text("bc"))]),
            Box::new(move |span| span.attributes = vec![("a".into(), Value::Bytes(b"bc".to_vec()))]),
            Box::new(move |span| span.attributes = vec![("a".into(), Value::List(vec![text("bc")]))]),
            Box::new(|span| span.parent_span_id = SpanId::from_bytes(&[9; 8])),
        ];
        let mut hashes: Vec<u64> = changes.into_iter().map(changed).chain([plain]).collect();
        let n_hashes = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), n_hashes);
    }
}
